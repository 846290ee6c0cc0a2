//! The rows of a store, a struct each. A row that is read is checked by its [seal](super::seal).

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::StoreError;
use super::blobs::Source;
use super::payload::{Found, Payload};
use super::seal::{SEAL, seal};

/// The size of a digest in bytes.
pub const DIGEST: usize = 32;
/// A BLAKE3 digest.
pub type Digest = [u8; DIGEST];

/// The status of a run whose row has a wrong seal.
pub const DAMAGED: &str = "damaged";
/// The status of a run that has not ended.
pub const RUNNING: &str = "running";
/// The status of a run whose process is gone.
pub const CRASHED: &str = "crashed";

/// A run of a pipeline. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)] // They are named as in Ruby.
pub struct Run {
    pub id: i64,
    pub run_id: String,
    pub pipeline: String,
    /// The digest of its params, input and context.
    pub identity: String,
    /// The number of the first of the runs that resumed each other, which they share.
    pub checkpoint: i64,
    /// The `run_id` of the run that it resumed.
    pub resumed: Option<String>,
    /// Its params as bytes, if they can be restored.
    pub params: Option<Vec<u8>>,
    pub status: String,
    pub pid: i64,
    /// The machine or container in which `pid` is its number.
    pub host: String,
    pub started: f64,
    pub duration: Option<f64>,
    pub error: Option<String>,
    /// Whether its process holds its checkpoint's lock.
    pub alive: bool,
}

/// How a step of a run ended. `started` is in seconds after the start of the run.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Step {
    pub run: i64,
    pub position: i64,
    pub name: String,
    pub status: String,
    pub reason: Option<String>,
    pub attempts: i64,
    pub started: Option<f64>,
    pub duration: Option<f64>,
    pub error: Option<String>,
}

/// The record of a step, or of one of its items, in a checkpoint.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Record {
    /// The checkpoint.
    pub checkpoint: i64,
    /// The name of the step.
    pub step: String,
    /// The item index; `None` if this is the step itself.
    pub item: Option<i64>,
    /// How it ended.
    pub outcome: String,
    /// The digest of the step's code and of the options that affect its output.
    pub imprint: String,
    /// A token that identifies this output.
    pub token: String,
    /// The tokens of the inputs from which it was made.
    pub made_of: String,
    /// Its output: no bytes if it has none. When read, `None` if it is gone or damaged.
    pub output: Option<Vec<u8>>,
}

/// An entry of a cache. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Entry {
    pub key: Key,
    pub expires: Option<f64>,
    pub written: f64,
    pub used: f64,
    pub size: i64,
    /// The value. When read, `None` if it is gone or damaged.
    pub value: Option<Vec<u8>>,
}

/// The key of a cached value: text, or other bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Key {
    Text(String),
    Bytes(Vec<u8>),
}

impl Default for Key {
    fn default() -> Self {
        Self::Bytes(vec![])
    }
}

/// Reads the columns of a row one after the other.
pub struct Columns<'a> {
    row: &'a Row<'a>,
    next: usize,
}

impl<'a> Columns<'a> {
    pub fn of(row: &'a Row<'a>) -> Self {
        Self { row, next: 0 }
    }

    /// Reads the next column. A column of another type is an error.
    pub fn next<T: FromSql>(&mut self) -> Result<T, StoreError> {
        self.next += 1;
        Ok(self.row.get(self.next - 1)?)
    }
}

impl Run {
    /// Its columns, in the order in which they are read.
    pub const COLUMNS: &'static str = "id, run_id, pipeline, identity, checkpoint, resumed, params, status, pid, host, started, duration, \
         error, seal";

    /// Returns the run of a row. A row with a wrong seal is [`DAMAGED`].
    pub fn read(row: &Row) -> Result<Self, StoreError> {
        let mut columns = Columns::of(row);
        let id = columns.next()?;
        let damaged = || Self { id, status: DAMAGED.to_owned(), ..Self::default() };
        let Ok(run) = Self::unsealed(id, &mut columns) else { return Ok(damaged()) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == run.seal());
        Ok(if sound { run } else { Self { run_id: run.run_id, pipeline: run.pipeline, ..damaged() } })
    }

    /// Returns the run of a row without checking its seal.
    pub fn unsealed(id: i64, columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            id,
            run_id: columns.next()?,
            pipeline: columns.next()?,
            identity: columns.next()?,
            checkpoint: columns.next()?,
            resumed: columns.next()?,
            params: columns.next()?,
            status: columns.next()?,
            pid: columns.next()?,
            host: columns.next()?,
            started: columns.next()?,
            duration: columns.next()?,
            error: columns.next()?,
            alive: false,
        })
    }

    /// The seal of the row.
    pub fn seal(&self) -> [u8; SEAL] {
        seal(&[
            &self.id,
            &self.run_id,
            &self.pipeline,
            &self.identity,
            &self.checkpoint,
            &self.resumed,
            &self.params,
            &self.status,
            &self.pid,
            &self.host,
            &self.started,
            &self.duration,
            &self.error,
        ])
    }
}

impl Step {
    /// Its columns, in the order in which they are read.
    pub const COLUMNS: &'static str =
        "run, position, name, status, reason, attempts, started, duration, error, seal";

    /// Returns the step of a row, or `None` if its seal is wrong.
    pub fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let mut columns = Columns::of(row);
        let Ok(step) = Self::unsealed(&mut columns) else { return Ok(None) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == step.seal());
        Ok(sound.then_some(step))
    }

    /// Returns the step of a row without checking its seal.
    pub fn unsealed(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            run: columns.next()?,
            position: columns.next()?,
            name: columns.next()?,
            status: columns.next()?,
            reason: columns.next()?,
            attempts: columns.next()?,
            started: columns.next()?,
            duration: columns.next()?,
            error: columns.next()?,
        })
    }

    /// The seal of the row.
    pub fn seal(&self) -> [u8; SEAL] {
        seal(&[
            &self.run,
            &self.position,
            &self.name,
            &self.status,
            &self.reason,
            &self.attempts,
            &self.started,
            &self.duration,
            &self.error,
        ])
    }
}

impl Record {
    /// Its columns in the order in which they are read, with its output.
    pub const COLUMNS: &'static str =
        "checkpoint, step, item, outcome, imprint, token, made_of, digest, size, seal, bytes";

    /// The same columns without the output.
    pub const HEAD: &'static str =
        "checkpoint, step, item, outcome, imprint, token, made_of, digest, size, seal, NULL";

    /// Returns the record of a row, or `None` if it is damaged. The output is read later.
    pub fn read(row: &Row) -> Result<Option<Found<Self>>, StoreError> {
        let mut columns = Columns::of(row);
        let Ok((record, payload)) = Self::unsealed(&mut columns) else { return Ok(None) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == record.seal(&payload));
        let Ok(bytes) = columns.next::<Option<Vec<u8>>>() else { return Ok(None) };
        let source = bytes.map_or(Source::File(None), Source::Inline);
        Ok(sound.then_some(Found { row: record, payload, source }))
    }

    fn unsealed(columns: &mut Columns) -> Result<(Self, Payload), StoreError> {
        let record = Self {
            checkpoint: columns.next()?,
            step: columns.next()?,
            item: Self::item(columns.next()?)?,
            outcome: columns.next()?,
            imprint: columns.next()?,
            token: columns.next()?,
            made_of: columns.next()?,
            output: None,
        };
        Ok((record, Payload { digest: columns.next()?, size: columns.next()? }))
    }

    fn item(number: i64) -> Result<Option<i64>, StoreError> {
        match number {
            -1 => Ok(None),
            0.. => Ok(Some(number)),
            _ => Err(StoreError::Damaged(format!("item {number}"))),
        }
    }

    /// The item's number as it is stored.
    pub fn number(&self) -> i64 {
        self.item.unwrap_or(-1)
    }

    /// The seal of the row with that value.
    pub fn seal(&self, payload: &Payload) -> [u8; SEAL] {
        seal(&[
            &self.checkpoint,
            &self.step,
            &self.number(),
            &self.outcome,
            &self.imprint,
            &self.token,
            &self.made_of,
            &payload.digest,
            &payload.size,
        ])
    }
}

impl Entry {
    /// The seal of the row with that value.
    pub fn seal(&self, payload: &Payload) -> [u8; SEAL] {
        seal(&[&self.key, &self.expires, &self.written, &payload.digest, &payload.size])
    }
}
