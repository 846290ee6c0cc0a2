//! `Flowline::Native::Store`: see the core's `store`. Waiting for the disk and for
//! other processes is done without Ruby's global lock.
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flowline_core::store::{Begin, Claim, Entry, Lock as Id, Store as Core, StoreError, Wait};
use magnus::{
    Class, Error, Module, Object, RArray, RHash, RModule, RString, Ruby, Symbol, TypedData, Value, function,
    method,
};

use crate::graph::Snapshot;
use crate::{error, raw, rows};

mod history;
mod live;
mod lock;

use lock::Lock;

#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Store", free_immediately)]
pub struct Store(Core);

impl magnus::DataTypeFunctions for Store {}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    lock::init(ruby, native)?;
    let class = native.define_class("Store", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Store::class(ruby); // Looked up now: later, an interruption might come in between.
    class.define_singleton_method("host", function!(flowline_core::store::host, 0))?;
    class.define_singleton_method("clock", function!(flowline_core::store::clock, 0))?;
    class.define_singleton_method("open", function!(Store::open, 2))?;
    class.define_singleton_method("existing", function!(Store::existing, 2))?;
    class.define_method("path", method!(Store::path, 0))?;
    class.define_method("there?", method!(Store::is_there, 0))?;
    class.define_method("lock", method!(Store::lock, 0))?;
    class.define_method("begin", method!(Store::begin, 8))?;
    class.define_method("key", method!(Store::key, 2))?;
    class.define_method("claim", method!(Store::claim, 3))?;
    class.define_method("record", method!(Store::record, 4))?;
    class.define_method("forget", method!(Store::forget, 4))?;
    class.define_method("finish", method!(Store::finish, 6))?;
    class.define_method("latest", method!(Store::latest, 3))?;
    class.define_method("ended_after", method!(Store::ended_after, 5))?;
    class.define_method("runs", method!(Store::runs, 3))?;
    class.define_method("last_runs", method!(Store::last_runs, 1))?;
    class.define_method("steps", method!(Store::steps, 2))?;
    class.define_method("records", method!(Store::records, 4))?;
    class.define_method("output", method!(Store::output, 3))?;
    class.define_method("outcomes", method!(Store::outcomes, 2))?;
    class.define_method("sizes", method!(Store::sizes, 2))?;
    class.define_method("clear", method!(Store::clear, 2))?;
    class.define_method("timings", method!(Store::timings, 2))?;
    class.define_method("entry", method!(Store::entry, 3))?;
    class.define_method("values", method!(Store::values, 3))?;
    class.define_method("touch", method!(Store::touch, 3))?;
    class.define_method("put", method!(Store::put, 6))?;
    class.define_method("drop_entries", method!(Store::drop_entries, 3))?;
    class.define_method("entries", method!(Store::entries, 2))?;
    history::init(class)?;
    live::init(class)
}

// Every `patience` is how many seconds to wait for other processes. Every method may raise a `Flowline::StoreError`.
impl Store {
    /// `open(directory: String, patience: Float) -> Store`
    fn open(ruby: &Ruby, root: PathBuf, patience: f64) -> Result<Self, Error> {
        raw::watch_forks();
        patiently(ruby, &root, patience, |wait| Core::open(&root, wait)).map(Self)
    }

    /// `existing(directory: String, patience: Float) -> Store or nil`
    fn existing(ruby: &Ruby, root: PathBuf, patience: f64) -> Result<Option<Self>, Error> {
        raw::watch_forks();
        Ok(patiently(ruby, &root, patience, |wait| Core::existing(&root, wait))?.map(Self))
    }

    /// `path() -> String`: its directory, without links.
    fn path(&self) -> PathBuf {
        self.0.root().to_owned()
    }

    /// `there?() -> true or false`: whether its files are still those that were opened.
    fn is_there(&self) -> bool {
        self.0.is_there()
    }

    /// `lock() -> Lock`, which holds none yet.
    fn lock(&self) -> Lock {
        Lock::of(self.0.clone())
    }

    /// `begin(run: Array, resumes, outdated: Array<[String, Integer, Integer]>, graph: Snapshot or nil, apart_from: Symbol or
    /// nil, lock: Lock, durable, patience) -> Array`: the run with its number and its checkpoint, whose lock is held by `lock`
    /// then; or the run that keeps it from beginning.
    #[allow(clippy::too_many_arguments, reason = "they are those of the Ruby method")]
    fn begin(
        ruby: &Ruby,
        rb_self: &Self,
        run: Value,
        resumes: bool,
        outdated: RArray,
        graph: Option<&Snapshot>,
        apart_from: Option<Symbol>,
        lock: &Lock,
        durable: bool,
        patience: f64,
    ) -> Result<RArray, Error> {
        let start =
            rows::start(ruby, run, resumes, outdated, graph.map(|graph| graph.0.clone()), apart_from)?;
        match rb_self.ask(ruby, patience, |store, wait| store.begin(&start, durable, wait))? {
            Begin::Begun(run) => {
                lock.set(Id::Checkpoint(run.checkpoint));
                rows::from_run(ruby, *run)
            }
            Begin::Held(run) => rows::from_run(ruby, *run),
        }
    }

    /// `key(new: String, patience) -> String`: its secret key, which is the new one if it had none.
    fn key(ruby: &Ruby, rb_self: &Self, new: RString, patience: f64) -> Result<Value, Error> {
        let new = raw::with_bytes(new, <[u8]>::to_vec);
        let key = rb_self.ask(ruby, patience, |store, wait| store.key(&new, wait))?;
        Ok(rows::bytes(ruby, Some(key)))
    }

    /// `claim(run: Array, lock: Lock, patience) -> true, nil or Array`: `true` if `lock` holds its checkpoint
    /// now, `nil` if it is no longer the latest run, or the run that is alive and holds it.
    fn claim(
        ruby: &Ruby,
        rb_self: &Self,
        run: Value,
        lock: &Lock,
        patience: f64,
    ) -> Result<Option<Value>, Error> {
        use magnus::value::ReprValue;
        let run = rows::run(run)?;
        match rb_self.ask(ruby, patience, |store, wait| store.claim(&run, wait))? {
            Claim::Claimed => {
                lock.set(Id::Checkpoint(run.checkpoint));
                Ok(Some(ruby.qtrue().as_value()))
            }
            Claim::Held(run) => Ok(Some(rows::from_run(ruby, *run)?.as_value())),
            Claim::Changed => Ok(None),
        }
    }

    /// `record(completions: Array<[Array or nil, Array or nil, true or false]>, output: String, durable, patience)`: the
    /// frozen output belongs to the last completion.
    fn record(
        ruby: &Ruby,
        rb_self: &Self,
        completions: RArray,
        output: RString,
        durable: bool,
        patience: f64,
    ) -> Result<(), Error> {
        let completions = rows::completions(completions)?;
        let output = raw::frozen_bytes(&output);
        rb_self.ask(ruby, patience, |store, wait| store.record(&completions, output, durable, wait))
    }

    /// `forget(checkpoint: Integer, outdated: Array<[String, Integer, Integer]>, durable, patience)`
    fn forget(
        ruby: &Ruby,
        rb_self: &Self,
        checkpoint: i64,
        outdated: RArray,
        durable: bool,
        patience: f64,
    ) -> Result<(), Error> {
        let outdated = rows::outdated(outdated)?;
        rb_self.ask(ruby, patience, |store, wait| store.forget(checkpoint, &outdated, durable, wait))
    }

    /// `finish(end: Array, completions, uncalled: Array<Array>, lock: Lock, durable, patience)`: the lock is released.
    #[allow(clippy::too_many_arguments, reason = "they are those of the Ruby method")]
    fn finish(
        ruby: &Ruby,
        rb_self: &Self,
        end: Value,
        completions: RArray,
        uncalled: RArray,
        lock: &Lock,
        durable: bool,
        patience: f64,
    ) -> Result<(), Error> {
        let end = rows::end(end)?;
        let mut completions = rows::completions(completions)?;
        completions.extend(rows::uncalled(end.run, uncalled)?);
        rb_self.ask(ruby, patience, |store, wait| store.finish(&end, &completions, durable, wait))?;
        lock.clear();
        Ok(())
    }

    /// `latest(pipeline: String, identity: String or nil, patience) -> Array or nil`: its latest run.
    fn latest(
        ruby: &Ruby,
        rb_self: &Self,
        pipeline: String,
        identity: Option<String>,
        patience: f64,
    ) -> Result<Option<RArray>, Error> {
        let run =
            rb_self.ask(ruby, patience, |store, wait| store.latest(&pipeline, identity.as_deref(), wait))?;
        run.map(|run| rows::from_run(ruby, run)).transpose()
    }

    /// `ended_after(pipeline: String, identity: String or nil, clock: String, time: Float, patience) -> Array or nil`: the run
    /// that ended last, if that was after that time of the monotonic clock.
    fn ended_after(
        ruby: &Ruby,
        rb_self: &Self,
        pipeline: String,
        identity: Option<String>,
        clock: String,
        time: f64,
        patience: f64,
    ) -> Result<Option<RArray>, Error> {
        let run = rb_self.ask(ruby, patience, |store, wait| {
            store.ended_after(&pipeline, identity.as_deref(), (&clock, time), wait)
        })?;
        run.map(|run| rows::from_run(ruby, run)).transpose()
    }

    /// `runs(pipeline: String or nil, most: Integer, patience) -> Array<Array>`: the latest first.
    fn runs(
        ruby: &Ruby,
        rb_self: &Self,
        pipeline: Option<String>,
        most: i64,
        patience: f64,
    ) -> Result<RArray, Error> {
        let runs = rb_self.ask(ruby, patience, |store, wait| store.runs(pipeline.as_deref(), most, wait))?;
        list(ruby, runs, rows::from_run)
    }

    /// `last_runs(patience) -> Array<Array>`: of every pipeline.
    fn last_runs(ruby: &Ruby, rb_self: &Self, patience: f64) -> Result<RArray, Error> {
        let runs = rb_self.ask(ruby, patience, |store, wait| store.last_runs(wait))?;
        list(ruby, runs, rows::from_run)
    }

    /// `steps(run: Integer, patience) -> Array<Array>`: those that have ended.
    fn steps(ruby: &Ruby, rb_self: &Self, run: i64, patience: f64) -> Result<RArray, Error> {
        let steps = rb_self.ask(ruby, patience, |store, wait| store.steps(run, wait))?;
        list(ruby, steps, rows::from_step)
    }

    /// `records(checkpoint: Integer, names: Array<String>, imprints: Array<String>, patience) { |step, item, outcome, imprint,
    /// token, made_of, output| }`
    fn records(
        ruby: &Ruby,
        rb_self: &Self,
        checkpoint: i64,
        names: RArray,
        imprints: RArray,
        patience: f64,
    ) -> Result<(), Error> {
        let records = rb_self.ask(ruby, patience, |store, wait| store.records(checkpoint, wait))?;
        rows::yield_records(ruby, records, names, imprints)
    }

    /// `output(checkpoint: Integer, step: String, patience) -> String or nil`: bytes.
    fn output(
        ruby: &Ruby,
        rb_self: &Self,
        checkpoint: i64,
        step: String,
        patience: f64,
    ) -> Result<Value, Error> {
        let output = rb_self.ask(ruby, patience, |store, wait| store.output(checkpoint, &step, wait))?;
        Ok(rows::bytes(ruby, output))
    }

    /// `outcomes(checkpoint: Integer, patience) -> Hash{String => String}`: by step, how it ended.
    fn outcomes(ruby: &Ruby, rb_self: &Self, checkpoint: i64, patience: f64) -> Result<RHash, Error> {
        let outcomes = rb_self.ask(ruby, patience, |store, wait| store.outcomes(checkpoint, wait))?;
        Ok(ruby.hash_from_iter(outcomes))
    }

    /// `sizes(checkpoint: Integer, patience) -> Hash{String => Integer}`: by step, how many bytes its output takes.
    fn sizes(ruby: &Ruby, rb_self: &Self, checkpoint: i64, patience: f64) -> Result<RHash, Error> {
        let sizes = rb_self.ask(ruby, patience, |store, wait| store.sizes(checkpoint, wait))?;
        Ok(ruby.hash_from_iter(sizes))
    }

    /// `clear(checkpoint: Integer, patience) -> nil or Array`: the run that is alive and needs it, if there is one.
    fn clear(ruby: &Ruby, rb_self: &Self, checkpoint: i64, patience: f64) -> Result<Option<RArray>, Error> {
        match rb_self.ask(ruby, patience, |store, wait| store.clear(checkpoint, wait))? {
            Claim::Held(run) => rows::from_run(ruby, *run).map(Some),
            Claim::Claimed | Claim::Changed => Ok(None),
        }
    }

    /// `timings(pipeline: String, patience) -> Hash{String => Float}`
    fn timings(ruby: &Ruby, rb_self: &Self, pipeline: String, patience: f64) -> Result<RHash, Error> {
        let timings = rb_self.ask(ruby, patience, |store, wait| store.timings(&pipeline, wait))?;
        Ok(ruby.hash_from_iter(timings))
    }

    /// `entry(key: String, now: Float, patience) -> Array or nil`
    fn entry(
        ruby: &Ruby,
        rb_self: &Self,
        key: RString,
        now: f64,
        patience: f64,
    ) -> Result<Option<RArray>, Error> {
        let key = rows::key(ruby, key)?;
        let entry = rb_self.ask(ruby, patience, |store, wait| store.entry(&key, now, wait))?;
        entry.map(|entry| rows::from_entry(ruby, entry)).transpose()
    }

    /// `values(keys: Array<String>, now: Float, patience) { |position of the key: Integer, value: String, used: Float| }`
    fn values(ruby: &Ruby, rb_self: &Self, keys: RArray, now: f64, patience: f64) -> Result<(), Error> {
        let keys = rows::keys(ruby, keys)?;
        let entries = rb_self.ask(ruby, patience, |store, wait| store.small_entries(&keys, now, wait))?;
        for (position, entry) in entries.into_iter().enumerate() {
            if let Some(Entry { value: Some(value), used, .. }) = entry {
                let _: Value = ruby.yield_values((position, ruby.str_from_slice(&value), used))?;
            }
        }
        Ok(())
    }

    /// `touch(keys: Array<String>, now: Float, patience)`
    fn touch(ruby: &Ruby, rb_self: &Self, keys: RArray, now: f64, patience: f64) -> Result<(), Error> {
        let keys = rows::keys(ruby, keys)?;
        rb_self.ask(ruby, patience, |store, wait| store.touch(&keys, now, wait))
    }

    /// `put(key: String, expires: Float or nil, now: Float, value: String, most: Integer, patience)`: the value is frozen.
    #[allow(clippy::too_many_arguments, reason = "they are those of the Ruby method")]
    fn put(
        ruby: &Ruby,
        rb_self: &Self,
        key: RString,
        expires: Option<f64>,
        now: f64,
        value: RString,
        most: i64,
        patience: f64,
    ) -> Result<(), Error> {
        let key = rows::key(ruby, key)?;
        let entry = Entry { key, expires, written: now, used: now, ..Entry::default() };
        let value = raw::frozen_bytes(&value);
        rb_self.ask(ruby, patience, |store, wait| store.put(&entry, value, most, wait))
    }

    /// `drop_entries(key: String or nil, prefix, patience) -> Integer`: how many.
    fn drop_entries(
        ruby: &Ruby,
        rb_self: &Self,
        key: Option<RString>,
        prefix: bool,
        patience: f64,
    ) -> Result<usize, Error> {
        let key = key.map(|key| rows::key(ruby, key)).transpose()?;
        rb_self.ask(ruby, patience, |store, wait| store.drop_entries(key.as_ref(), prefix, wait))
    }

    /// `entries(now: Float, patience) -> Array<Array>`: without their values.
    fn entries(ruby: &Ruby, rb_self: &Self, now: f64, patience: f64) -> Result<RArray, Error> {
        let entries = rb_self.ask(ruby, patience, |store, wait| store.entries(now, wait))?;
        list(ruby, entries, rows::from_entry)
    }

    fn ask<T>(
        &self,
        ruby: &Ruby,
        patience: f64,
        mut work: impl FnMut(&Core, Wait) -> Result<T, StoreError>,
    ) -> Result<T, Error> {
        patiently(ruby, self.0.root(), patience, |wait| work(&self.0, wait))
    }
}

/// Calls `work` without the global lock until it is done, its patience has run out, or Ruby interrupts the thread.
fn patiently<T>(
    ruby: &Ruby,
    root: &Path,
    patience: f64,
    mut work: impl FnMut(Wait) -> Result<T, StoreError>,
) -> Result<T, Error> {
    let cancelled = AtomicBool::new(false);
    let wait = Wait::new(Duration::try_from_secs_f64(patience).unwrap_or_default(), &cancelled);
    let answer = raw::without_gvl(ruby, &cancelled, || match work(wait) {
        Err(StoreError::Cancelled) => None,
        answer => Some(answer),
    })?;
    answer.map_err(|error| error::store(ruby, root, &error))
}

fn list<T>(
    ruby: &Ruby,
    rows: Vec<T>,
    convert: impl Fn(&Ruby, T) -> Result<RArray, Error>,
) -> Result<RArray, Error> {
    let array = ruby.ary_new_capa(rows.len());
    for row in rows {
        array.push(convert(ruby, row)?)?;
    }
    Ok(array)
}
