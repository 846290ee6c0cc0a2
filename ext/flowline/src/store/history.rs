//! Past runs, their graphs, and the state of pipelines.
use magnus::{Error, Module, RArray, RClass, RHash, Ruby, Value, method};

use super::{Store, list};
use crate::rows;

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("history", method!(history, 2))?;
    class.define_method("names_in", method!(names_in, 5))?;
    class.define_method("steps_in", method!(steps_in, 3))?;
    class.define_method("item_counts", method!(item_counts, 2))?;
    class.define_method("durations", method!(durations, 3))?;
    class.define_method("graph", method!(graph, 2))?;
    class.define_method("state", method!(state, 2))?;
    class.define_method("writes", method!(writes, 2))?;
    class.define_method("change_state", method!(change_state, 3))
}

/// `history(query: Array, patience) -> Array<Array>`: runs, the latest first.
fn history(ruby: &Ruby, store: &Store, query: Value, patience: f64) -> Result<RArray, Error> {
    let query = rows::query(query)?;
    let runs = store.ask(ruby, patience, |store, wait| store.history(&query, wait))?;
    list(ruby, runs, rows::from_run)
}

/// `names_in(runs: Array<Integer>, text: String, limit: Integer, offset: Integer, patience) -> [Array<String>, Integer]`: a page of
/// the names of their steps, and how many there are.
fn names_in(
    ruby: &Ruby,
    store: &Store,
    runs: RArray,
    text: String,
    limit: i64,
    offset: i64,
    patience: f64,
) -> Result<(Vec<String>, i64), Error> {
    let runs = runs.to_vec()?;
    store.ask(ruby, patience, |store, wait| store.names_in(&runs, &text, (limit, offset), wait))
}

/// `steps_in(runs: Array<Integer>, names: Array<String>, patience) -> Array<Array>`
fn steps_in(ruby: &Ruby, store: &Store, runs: RArray, names: RArray, patience: f64) -> Result<RArray, Error> {
    let (runs, names): (Vec<i64>, Vec<String>) = (runs.to_vec()?, names.to_vec()?);
    list(ruby, store.ask(ruby, patience, |store, wait| store.steps_in(&runs, &names, wait))?, rows::from_step)
}

/// `item_counts(checkpoint: Integer, patience) -> Hash{String => Integer}`: by step, how many items are recorded.
fn item_counts(ruby: &Ruby, store: &Store, checkpoint: i64, patience: f64) -> Result<RHash, Error> {
    let counts = store.ask(ruby, patience, |store, wait| store.item_counts(checkpoint, wait))?;
    Ok(ruby.hash_from_iter(counts))
}

/// `durations(pipeline: String, last: Integer, patience) -> Array<[String, Array<Float>]>`: by step, the latest run first.
fn durations(
    ruby: &Ruby,
    store: &Store,
    pipeline: String,
    last: i64,
    patience: f64,
) -> Result<RArray, Error> {
    let durations = store.ask(ruby, patience, |store, wait| store.durations(&pipeline, last, wait))?;
    list(ruby, durations, |ruby, (name, seconds)| {
        let row = ruby.ary_new_capa(2);
        row.push(name)?;
        row.push(seconds)?;
        Ok(row)
    })
}

/// `graph(number: Integer, patience) -> String or nil`: JSON.
fn graph(ruby: &Ruby, store: &Store, number: i64, patience: f64) -> Result<Option<String>, Error> {
    store.ask(ruby, patience, |store, wait| store.graph(number, wait))
}

/// `state(pipeline: String or nil, patience) -> Array<Array>`
fn state(ruby: &Ruby, store: &Store, pipeline: Option<String>, patience: f64) -> Result<RArray, Error> {
    let values = store.ask(ruby, patience, |store, wait| store.state(pipeline.as_deref(), wait))?;
    list(ruby, values, rows::from_state)
}

/// `writes(checkpoint: Integer, patience) -> Array<Array>`: the changes of the state that its steps have made.
fn writes(ruby: &Ruby, store: &Store, checkpoint: i64, patience: f64) -> Result<RArray, Error> {
    let changes = store.ask(ruby, patience, |store, wait| store.writes(checkpoint, wait))?;
    list(ruby, changes, rows::from_write)
}

/// `change_state(pipeline: String, changes: Array<Array>, patience)`
fn change_state(
    ruby: &Ruby,
    store: &Store,
    pipeline: String,
    changes: RArray,
    patience: f64,
) -> Result<(), Error> {
    let changes = rows::changes(changes)?;
    store.ask(ruby, patience, |store, wait| store.change_state(&pipeline, &changes, wait))
}
