//! Runs that go on: what they show, what is asked of them, and their logs.
use magnus::{Error, Module, RArray, RClass, Ruby, Value, method};

use super::{Store, list};
use crate::rows;

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("show", method!(show, 5))?;
    class.define_method("shown", method!(shown, 2))?;
    class.define_method("ask", method!(ask, 2))?;
    class.define_method("requests", method!(requests, 2))?;
    class.define_method("log", method!(log, 3))?;
    class.define_method("logs", method!(logs, 5))
}

/// `show(run: Integer, now: Float, body: String, lines: Array<Array>, patience) -> Array<Array>`: what was asked of it.
fn show(
    ruby: &Ruby,
    store: &Store,
    run: i64,
    now: f64,
    body: String,
    lines: RArray,
    patience: f64,
) -> Result<RArray, Error> {
    let lines = rows::lines(lines)?;
    let asked = store.ask(ruby, patience, |store, wait| store.show(run, now, &body, &lines, wait))?;
    list(ruby, asked, rows::from_request)
}

/// `shown(run: Integer, patience) -> [Float, String] or nil`
fn shown(ruby: &Ruby, store: &Store, run: i64, patience: f64) -> Result<Option<(f64, String)>, Error> {
    store.ask(ruby, patience, |store, wait| store.shown(run, wait))
}

/// `ask(request: Array, patience)`
fn ask(ruby: &Ruby, store: &Store, request: Value, patience: f64) -> Result<(), Error> {
    let request = rows::request(request)?;
    store.ask(ruby, patience, |store, wait| store.ask(&request, wait))
}

/// `requests(run: Integer, patience) -> Array<Array>`
fn requests(ruby: &Ruby, store: &Store, run: i64, patience: f64) -> Result<RArray, Error> {
    let asked = store.ask(ruby, patience, |store, wait| store.requests(run, wait))?;
    list(ruby, asked, rows::from_request)
}

/// `log(run: Integer, lines: Array<Array>, patience)`
fn log(ruby: &Ruby, store: &Store, run: i64, lines: RArray, patience: f64) -> Result<(), Error> {
    let lines = rows::lines(lines)?;
    store.ask(ruby, patience, |store, wait| store.log(run, &lines, wait))
}

/// `logs(run: Integer, step: Integer or nil, after: Integer, last: Integer, patience) -> Array<Array>`
fn logs(
    ruby: &Ruby,
    store: &Store,
    run: i64,
    step: Option<i64>,
    after: i64,
    last: i64,
    patience: f64,
) -> Result<RArray, Error> {
    let lines = store.ask(ruby, patience, |store, wait| store.logs(run, step, after, last, wait))?;
    list(ruby, lines, rows::from_lines)
}
