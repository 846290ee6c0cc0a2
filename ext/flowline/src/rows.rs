//! Converts rows of a store to Ruby's Arrays and back. The elements have the order of the members of the structs in
//! `Flowline::Store`, which have the names.

use std::collections::HashMap;
use std::sync::Arc;

use flowline_core::store::{
    Change, Completion, End, Entry, Graph, Items, Key, Lines, Query, Record, Request, Run, Start, Step,
    Tally, Value as State, Write, Writes,
};
use magnus::encoding::EncodingCapable;
use magnus::value::ReprValue;
use magnus::{Error, IntoValue, RArray, RString, RStruct, Ruby, Symbol, TryConvert, Value};

use crate::{raw, symbols};

/// Reads the elements of an Array, or the members of a Struct, one after the other. An Array may end early: the rest is
/// `nil`.
struct Fields {
    row: Row,
    next: usize,
}

enum Row {
    Array(RArray),
    Struct(RStruct),
}

impl Fields {
    fn of(row: Value) -> Result<Self, Error> {
        let row = match RStruct::from_value(row) {
            Some(row) => Row::Struct(row),
            None => Row::Array(RArray::try_convert(row)?),
        };
        Ok(Self { row, next: 0 })
    }

    fn next<T: TryConvert>(&mut self) -> Result<T, Error> {
        let index = self.next;
        self.next += 1;
        match self.row {
            Row::Array(row) => row.entry(index as isize),
            Row::Struct(row) => row.aref(index),
        }
    }

    fn bytes(&mut self) -> Result<Option<Vec<u8>>, Error> {
        let string: Option<RString> = self.next()?;
        Ok(string.map(|string| raw::with_bytes(string, <[u8]>::to_vec)))
    }
}

/// `[id, run_id, pipeline, identity, checkpoint, resumed, params, status, pid, host, started, duration, error, alive, shown,
/// trigger, location, directory, graph, warnings, outcomes, items_done, items_failed, items_restored, resumed_by]`
pub fn run(row: Value) -> Result<Run, Error> {
    let mut fields = Fields::of(row)?;
    Ok(Run {
        id: fields.next::<Option<i64>>()?.unwrap_or_default(),
        run_id: fields.next()?,
        pipeline: fields.next()?,
        identity: fields.next()?,
        checkpoint: fields.next::<Option<i64>>()?.unwrap_or_default(),
        resumed: fields.next()?,
        params: fields.bytes()?,
        status: fields.next::<Option<String>>()?.unwrap_or_default(),
        pid: fields.next()?,
        host: fields.next()?,
        started: fields.next()?,
        duration: fields.next()?,
        error: fields.next()?,
        alive: fields.next::<Option<bool>>()?.unwrap_or_default(),
        shown: fields.next()?,
        trigger: fields.next()?,
        location: fields.next()?,
        directory: fields.next()?,
        ..Run::default()
    })
}

/// Converts a run that was read to the same Array.
pub fn from_run(ruby: &Ruby, run: Run) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(25);
    row.push(run.id)?;
    row.push(run.run_id)?;
    row.push(run.pipeline)?;
    row.push(run.identity)?;
    row.push(run.checkpoint)?;
    row.push(run.resumed)?;
    row.push(bytes(ruby, run.params))?;
    row.push(run.status)?;
    row.push(run.pid)?;
    row.push(run.host)?;
    row.push(run.started)?;
    row.push(run.duration)?;
    row.push(run.error)?;
    row.push(run.alive)?;
    row.push(run.shown)?;
    row.push(run.trigger)?;
    row.push(run.location)?;
    row.push(run.directory)?;
    row.push(run.graph)?;
    row.push(run.warnings)?;
    row.push(run.outcomes)?;
    row.push(run.items_done)?;
    row.push(run.items_failed)?;
    row.push(run.items_restored)?;
    row.push(run.resumed_by)?;
    Ok(row)
}

/// Converts the start of a run: the run, whether it resumes one, the outdated records of that one, its graph, and the runs
/// that it has to be apart from: `:alike`, `:all`, or `nil`.
pub fn start(
    ruby: &Ruby,
    run_row: Value,
    resumes: bool,
    outdated_rows: RArray,
    graph: Option<Arc<Graph>>,
    apart_from: Option<Symbol>,
) -> Result<Start, Error> {
    let others =
        apart_from.map(|name| symbols::meaning(ruby, "other runs", symbols::OTHERS, name)).transpose()?;
    Ok(Start {
        run: run(run_row)?,
        resumes,
        outdated: outdated(outdated_rows)?,
        graph,
        apart_from: others.unwrap_or_default(),
    })
}

/// `[[step, first item, last item], …]`
pub fn outdated(list: RArray) -> Result<Vec<(String, Items)>, Error> {
    list.into_iter()
        .map(|row| {
            let mut fields = Fields::of(row)?;
            Ok((fields.next()?, fields.next()?..=fields.next()?))
        })
        .collect()
}

/// `[run, position, name, status, reason, attempts, started, duration, error, items_total, items_done, items_failed,
/// items_restored, kind, size, preview, detail]`
fn step(row: Value) -> Result<Step, Error> {
    let mut fields = Fields::of(row)?;
    Ok(Step {
        run: fields.next()?,
        position: fields.next()?,
        name: fields.next()?,
        status: fields.next()?,
        reason: fields.next()?,
        attempts: fields.next()?,
        started: fields.next()?,
        duration: fields.next()?,
        error: fields.next()?,
        items: Tally {
            total: fields.next()?,
            done: fields.next()?,
            failed: fields.next()?,
            restored: fields.next()?,
        },
        kind: fields.next()?,
        size: fields.next()?,
        preview: fields.next()?,
        detail: fields.next()?,
    })
}

/// Converts a step that was read to the same Array.
pub fn from_step(ruby: &Ruby, step: Step) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(17);
    row.push(step.run)?;
    row.push(step.position)?;
    row.push(step.name)?;
    row.push(step.status)?;
    row.push(step.reason)?;
    row.push(step.attempts)?;
    row.push(step.started)?;
    row.push(step.duration)?;
    row.push(step.error)?;
    row.push(step.items.total)?;
    row.push(step.items.done)?;
    row.push(step.items.failed)?;
    row.push(step.items.restored)?;
    row.push(step.kind)?;
    row.push(step.size)?;
    row.push(step.preview)?;
    row.push(step.detail)?;
    Ok(row)
}

/// `[checkpoint, step, item, outcome, imprint, token, made_of, output]`
fn record(row: Value) -> Result<Record, Error> {
    let mut fields = Fields::of(row)?;
    Ok(Record {
        checkpoint: fields.next()?,
        step: fields.next()?,
        item: fields.next()?,
        outcome: fields.next()?,
        imprint: fields.next()?,
        token: fields.next()?,
        made_of: fields.next()?,
        output: None,
    })
}

/// Yields the members of records that were read, from the step on: of the steps with these names, with the position of the
/// name for the step. There may be many records, so there is no Array for each. Consecutive ones share frozen Strings that
/// are equal, and an imprint that is the expected one is the same frozen String.
pub fn yield_records(
    ruby: &Ruby,
    records: Vec<Record>,
    names: RArray,
    imprints: RArray,
) -> Result<(), Error> {
    let (mut outcome, mut made_of) = (Shared::new(ruby), Shared::new(ruby));
    let names: Vec<String> = names.to_vec()?;
    let steps: HashMap<&str, usize> =
        names.iter().enumerate().map(|(step, name)| (name.as_str(), step)).collect();
    for record in records {
        let Some(&step) = steps.get(record.step.as_str()) else { continue };
        let expected: RString = imprints.entry(step as isize)?;
        let same = raw::frozen_bytes(&expected) == record.imprint.as_bytes();
        let _: Value = ruby.yield_values((
            step,
            record.item,
            outcome.string(ruby, record.outcome),
            if same { expected } else { ruby.str_new(&record.imprint) },
            ruby.str_new(&record.token),
            made_of.string(ruby, record.made_of),
            bytes(ruby, record.output),
        ))?;
    }
    Ok(())
}

/// A String that is reused for the next equal text. It must stay on the stack, where the garbage collector finds it.
struct Shared {
    text: String,
    string: RString,
}

impl Shared {
    fn new(ruby: &Ruby) -> Self {
        Self::of(ruby, String::new())
    }

    fn of(ruby: &Ruby, text: String) -> Self {
        let string = ruby.str_new(&text);
        string.freeze();
        Self { text, string }
    }

    fn string(&mut self, ruby: &Ruby, text: String) -> Value {
        if self.text != text {
            *self = Self::of(ruby, text);
        }
        self.string.as_value()
    }
}

/// `[[step or nil, record or nil, whether the records of its items are no longer needed, [run, checkpoint, step, changes
/// of the state] or nil], …]`
pub fn completions(list: RArray) -> Result<Vec<Completion>, Error> {
    list.into_iter()
        .map(|pair| {
            let mut fields = Fields::of(pair)?;
            let step_row: Option<Value> = fields.next()?;
            let record_row: Option<Value> = fields.next()?;
            Ok(Completion {
                step: step_row.map(step).transpose()?,
                record: record_row.map(record).transpose()?,
                ends_items: fields.next()?,
                writes: fields.next::<Option<RArray>>()?.map(writes).transpose()?,
            })
        })
        .collect()
}

/// `[[status, reason or nil, [position, …], [name, …]], …]`: steps of that run that were not called.
pub fn uncalled(run: i64, list: RArray) -> Result<Vec<Completion>, Error> {
    let mut completions = Vec::new();
    for group in list {
        let mut fields = Fields::of(group)?;
        let alike = Step { run, status: fields.next()?, reason: fields.next()?, ..Step::default() };
        let (positions, names): (RArray, RArray) = (fields.next()?, fields.next()?);
        for (position, name) in positions.into_iter().zip(names) {
            let (position, name) = (i64::try_convert(position)?, String::try_convert(name)?);
            let step = Step { position, name, ..alike.clone() };
            completions.push(Completion { step: Some(step), record: None, ends_items: false, writes: None });
        }
    }
    Ok(completions)
}

fn writes(row: RArray) -> Result<Writes, Error> {
    let mut fields = Fields::of(row.as_value())?;
    Ok(Writes {
        run: fields.next()?,
        checkpoint: fields.next()?,
        step: fields.next()?,
        changes: changes(fields.next()?)?,
    })
}

/// `[run, status, duration, error, clear, warnings, keep, clock, ended, commits, lines]`
pub fn end(row: Value) -> Result<End, Error> {
    let mut fields = Fields::of(row)?;
    Ok(End {
        run: fields.next()?,
        status: fields.next()?,
        duration: fields.next()?,
        error: fields.next()?,
        clear: fields.next()?,
        warnings: fields.next()?,
        keep: fields.next()?,
        clock: fields.next()?,
        ended: fields.next()?,
        commits: fields.next()?,
        lines: fields.next::<Option<RArray>>()?.map(lines).transpose()?.unwrap_or_default(),
    })
}

/// `[[key, bytes or nil, text, written], …]`: changes of the state.
pub fn changes(list: RArray) -> Result<Vec<Change>, Error> {
    list.into_iter()
        .map(|row| {
            let mut fields = Fields::of(row)?;
            let (key, value) = (fields.next()?, fields.bytes()?);
            Ok(Change { key, value, shown: fields.next()?, written: fields.next()? })
        })
        .collect()
}

/// `[pipeline, key, value, shown, written, run_id]`
pub fn from_state(ruby: &Ruby, value: State) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(6);
    row.push(value.pipeline)?;
    row.push(value.key)?;
    row.push(bytes(ruby, Some(value.value)))?;
    row.push(value.shown)?;
    row.push(value.written)?;
    row.push(value.run_id)?;
    Ok(row)
}

/// `[key, bytes or nil, text, written, step, run or nil, overtaken]`
pub fn from_write(ruby: &Ruby, write: Write) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(7);
    row.push(write.change.key)?;
    row.push(bytes(ruby, write.change.value))?;
    row.push(write.change.shown)?;
    row.push(write.change.written)?;
    row.push(write.step)?;
    row.push(write.run)?;
    row.push(write.overtaken)?;
    Ok(row)
}

/// `[pipeline, run_id, statuses, since, before, params, limit, trigger, text]`
pub fn query(row: Value) -> Result<Query, Error> {
    let mut fields = Fields::of(row)?;
    Ok(Query {
        pipeline: fields.next()?,
        run_id: fields.next()?,
        statuses: texts(fields.next()?)?,
        since: fields.next()?,
        before: fields.next()?,
        params: texts(fields.next()?)?,
        limit: fields.next::<Option<i64>>()?.unwrap_or(-1),
        trigger: fields.next()?,
        text: fields.next()?,
    })
}

fn texts(list: Option<RArray>) -> Result<Vec<String>, Error> {
    Ok(list.map(|list| list.to_vec()).transpose()?.unwrap_or_default())
}

/// `[run, kind, subject, requester, requested]`
pub fn request(row: Value) -> Result<Request, Error> {
    let mut fields = Fields::of(row)?;
    Ok(Request {
        run: fields.next()?,
        kind: fields.next()?,
        subject: fields.next::<Option<String>>()?.unwrap_or_default(),
        requester: fields.next()?,
        requested: fields.next()?,
    })
}

/// Converts a request that was read to the same Array.
pub fn from_request(ruby: &Ruby, request: Request) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(5);
    row.push(request.run)?;
    row.push(request.kind)?;
    row.push(request.subject)?;
    row.push(request.requester)?;
    row.push(request.requested)?;
    Ok(row)
}

/// `[[step, number of the first line, how many lines, body, how many of the first and of the last lines stay], …]`
pub fn lines(list: RArray) -> Result<Vec<Lines>, Error> {
    list.into_iter()
        .map(|row| {
            let mut fields = Fields::of(row)?;
            Ok(Lines {
                step: fields.next()?,
                number: fields.next()?,
                lines: fields.next()?,
                body: fields.next()?,
                most: fields.next()?,
            })
        })
        .collect()
}

/// `[number of the chunk, step, number of the first line, how many lines, body]`
pub fn from_lines(ruby: &Ruby, (id, lines): (i64, Lines)) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(5);
    row.push(id)?;
    row.push(lines.step)?;
    row.push(lines.number)?;
    row.push(lines.lines)?;
    row.push(lines.body)?;
    Ok(row)
}

/// Converts the key of a cached value: text, unless its bytes are not valid text.
pub fn key(ruby: &Ruby, key: RString) -> Result<Key, Error> {
    if key.enc_get() == ruby.ascii8bit_encindex() {
        return Ok(Key::Bytes(raw::with_bytes(key, <[u8]>::to_vec)));
    }
    key.to_string().map(Key::Text)
}

/// Converts the keys of cached values.
pub fn keys(ruby: &Ruby, keys: RArray) -> Result<Vec<Key>, Error> {
    keys.into_iter().map(|string| key(ruby, RString::try_convert(string)?)).collect()
}

/// `[key, expires, written, used, size, value]`
pub fn from_entry(ruby: &Ruby, entry: Entry) -> Result<RArray, Error> {
    let row = ruby.ary_new_capa(6);
    match entry.key {
        Key::Text(text) => row.push(text)?,
        Key::Bytes(bytes) => row.push(ruby.str_from_slice(&bytes))?,
    }
    row.push(entry.expires)?;
    row.push(entry.written)?;
    row.push(entry.used)?;
    row.push(entry.size)?;
    row.push(bytes(ruby, entry.value))?;
    Ok(row)
}

/// A binary String, or `nil`.
pub fn bytes(ruby: &Ruby, bytes: Option<Vec<u8>>) -> Value {
    match bytes {
        Some(bytes) => ruby.str_from_slice(&bytes).into_value_with(ruby),
        None => ruby.qnil().as_value(),
    }
}
