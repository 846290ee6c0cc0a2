//! The rows of a store, a struct each. A row that is read is checked by its [seal](super::seal).

use rusqlite::Row;
use rusqlite::types::FromSql;

use super::StoreError;
use super::blobs::Source;
use super::payload::{Found, Payload};
use super::seal::{SEAL, seal};

mod run;
mod step;

pub use run::Run;
pub use step::{Step, Tally};

/// The size of a digest in bytes.
pub const DIGEST: usize = 32;
/// A BLAKE3 digest.
pub type Digest = [u8; DIGEST];

/// The status of a run whose row has a wrong seal.
pub const DAMAGED: &str = "damaged";
/// The status of a run that has succeeded.
pub const SUCCEEDED: &str = "succeeded";
/// The status of a run that has not ended.
pub const RUNNING: &str = "running";
/// The status of a run whose process is gone.
pub const CRASHED: &str = "crashed";

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
