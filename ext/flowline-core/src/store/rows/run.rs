//! The row of a run.

use rusqlite::Row;

use super::super::StoreError;
use super::super::seal::{SEAL, seal_extended};
use super::{Columns, DAMAGED};

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
    /// Its params as people may see them: a JSON object of texts.
    pub shown: Option<String>,
    /// The kind of caller that started it: `cli`, `job`, `web`, `schedule` or `ruby`.
    pub trigger: Option<String>,
    /// The line that defines its pipeline, as `file:line`.
    pub location: Option<String>,
    /// Its working directory.
    pub directory: Option<String>,
    /// The number of its graph.
    pub graph: Option<i64>,
    /// Its warnings as a JSON array of texts.
    pub warnings: Option<String>,
    /// How many of its steps ended in which way, as `succeeded 3, failed 1`.
    pub outcomes: Option<String>,
    /// The number of items of all its steps, by how they ended.
    pub items_done: Option<i64>,
    pub items_failed: Option<i64>,
    pub items_restored: Option<i64>,
    /// The monotonic clock of its machine, and the seconds that it showed when the run ended.
    pub clock: Option<String>,
    pub ended: Option<f64>,
    /// Whether its process holds its checkpoint's lock.
    pub alive: bool,
    /// The `run_id` of the latest run that resumed it, where history asks for it.
    pub resumed_by: Option<String>,
}

impl Run {
    /// Its columns, in the order in which they are read.
    pub const COLUMNS: &'static str = "id, run_id, pipeline, identity, checkpoint, resumed, params, status, pid, host, started, duration, \
         error, shown, trigger, location, directory, graph, warnings, outcomes, items_done, items_failed, \
         items_restored, clock, ended, seal";

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
            shown: columns.next()?,
            trigger: columns.next()?,
            location: columns.next()?,
            directory: columns.next()?,
            graph: columns.next()?,
            warnings: columns.next()?,
            outcomes: columns.next()?,
            items_done: columns.next()?,
            items_failed: columns.next()?,
            items_restored: columns.next()?,
            clock: columns.next()?,
            ended: columns.next()?,
            alive: false,
            resumed_by: None,
        })
    }

    /// The seal of the row.
    pub fn seal(&self) -> [u8; SEAL] {
        seal_extended(
            &[
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
            ],
            &[
                &self.shown,
                &self.trigger,
                &self.location,
                &self.directory,
                &self.graph,
                &self.warnings,
                &self.outcomes,
                &self.items_done,
                &self.items_failed,
                &self.items_restored,
                &self.clock,
                &self.ended,
            ],
        )
    }
}
