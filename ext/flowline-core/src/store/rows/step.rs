//! The row of a step of a run.

use rusqlite::Row;

use super::super::StoreError;
use super::super::seal::{SEAL, seal_extended};
use super::Columns;

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
    /// The items of a step that is called for each of them.
    pub items: Tally,
    /// The class of its output.
    pub kind: Option<String>,
    /// How many elements its output has; of a text, how many bytes.
    pub size: Option<i64>,
    /// Its output as a short text.
    pub preview: Option<String>,
    /// Its attempts, waits and failed items, as JSON.
    pub detail: Option<String>,
}

/// The number of items of a step, and how they ended. An item is done by this run, or restored, or failed.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Tally {
    pub total: Option<i64>,
    pub done: Option<i64>,
    pub failed: Option<i64>,
    pub restored: Option<i64>,
}

impl Step {
    /// Its columns, in the order in which they are read.
    pub const COLUMNS: &'static str = "run, position, name, status, reason, attempts, started, duration, error, items_total, items_done, \
         items_failed, items_restored, kind, size, preview, detail, seal";

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
            items: Tally {
                total: columns.next()?,
                done: columns.next()?,
                failed: columns.next()?,
                restored: columns.next()?,
            },
            kind: columns.next()?,
            size: columns.next()?,
            preview: columns.next()?,
            detail: columns.next()?,
        })
    }

    /// The seal of the row.
    pub fn seal(&self) -> [u8; SEAL] {
        seal_extended(
            &[
                &self.run,
                &self.position,
                &self.name,
                &self.status,
                &self.reason,
                &self.attempts,
                &self.started,
                &self.duration,
                &self.error,
            ],
            &[
                &self.items.total,
                &self.items.done,
                &self.items.failed,
                &self.items.restored,
                &self.kind,
                &self.size,
                &self.preview,
                &self.detail,
            ],
        )
    }
}
