//! Results of the steps of a run, and of their items: for history, and for a run that resumes it.

use rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY;
use rusqlite::{Statement, ToSql, params};

use super::blobs::Prepared;
use super::payload::{Found, Payload};
use super::rows::{Record, Step};
use super::session::Session;
use super::state::{self, Change};
use super::{Store, StoreError, Wait};

/// A range of items of a step; -1 is the step itself.
pub type Items = std::ops::RangeInclusive<i64>;

/// The result of a step, or of one of its items.
#[derive(Debug, Clone)]
pub struct Completion {
    /// The row for history. An item has none.
    pub step: Option<Step>,
    /// The record for a run that resumes this one.
    pub record: Option<Record>,
    /// Whether the records of the step's items are no longer needed.
    pub ends_items: bool,
    /// Its changes of the state of the pipeline.
    pub writes: Option<Writes>,
}

/// The changes that a step makes to the state of the pipeline.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Writes {
    /// The number of the run.
    pub run: i64,
    /// The checkpoint of the run.
    pub checkpoint: i64,
    /// The name of the step.
    pub step: String,
    /// The values that it wrote.
    pub changes: Vec<Change>,
}

impl Store {
    /// Records the results of steps, with the output of the last of them. They are committed when this returns.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn record(
        &self,
        completions: &[Completion],
        output: &[u8],
        durable: bool,
        wait: Wait,
    ) -> Result<(), StoreError> {
        self.with_prepared(output, durable, |prepared| {
            self.write(wait, durable, |session| {
                let (last, others) = match completions.split_last() {
                    Some(parts) => parts,
                    None => return Ok(()),
                };
                complete(session, others)?;
                if let Some(step) = &last.step {
                    insert_step(session, &mut *session.statement(STEP)?, step)?;
                }
                if let Some(record) = &last.record {
                    let bytes = (!prepared.is_file()).then_some(output);
                    insert_record(session, record, last.ends_items, &Payload::of(prepared), bytes)?;
                }
                write_state(session, last)?;
                session.keep(prepared)
            })
        })
    }

    /// Removes records that are no longer needed from a checkpoint. The caller holds the checkpoint.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn forget(
        &self,
        checkpoint: i64,
        outdated: &[(String, Items)],
        durable: bool,
        wait: Wait,
    ) -> Result<(), StoreError> {
        self.write(wait, durable, |session| forget(session, checkpoint, outdated))
    }

    /// Returns the records of a checkpoint, with its outputs. The caller holds the checkpoint, so its files stay.
    ///
    /// # Errors
    /// It cannot be read. Damage is no error: a record with a wrong seal is left out, and an output that is gone or
    /// damaged is `None`.
    pub fn records(&self, checkpoint: i64, wait: Wait) -> Result<Vec<Record>, StoreError> {
        let sql = format!("SELECT {} FROM records WHERE checkpoint = ?1", Record::COLUMNS);
        let found = self.read(wait, |session| session.rows(&sql, [checkpoint], Record::read))?;
        found.into_iter().flatten().map(|found| self.output_of(found)).collect()
    }

    fn output_of(&self, found: Found<Record>) -> Result<Record, StoreError> {
        let found = if found.is_in_file() { found.open(&self.0.blobs)? } else { found };
        let (mut record, output) = found.read()?;
        record.output = output;
        Ok(record)
    }

    /// Returns the output of a step in a checkpoint; `None` if there is none, or if it is gone or damaged.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn output(&self, checkpoint: i64, step: &str, wait: Wait) -> Result<Option<Vec<u8>>, StoreError> {
        let sql = format!(
            "SELECT {} FROM records WHERE checkpoint = ?1 AND step = ?2 AND item = -1",
            Record::COLUMNS
        );
        let found = self.read(wait, |session| {
            let found = session.first(&sql, params![checkpoint, step], Record::read)?.flatten();
            found.map(|found| session.find(found)).transpose()
        })?;
        Ok(found.map(Found::read).transpose()?.and_then(|(_, output)| output))
    }

    /// Returns how each step of a checkpoint ended.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn outcomes(&self, checkpoint: i64, wait: Wait) -> Result<Vec<(String, String)>, StoreError> {
        let records = self.heads(checkpoint, wait)?;
        Ok(records.into_iter().map(|found| (found.row.step, found.row.outcome)).collect())
    }

    /// Returns the steps of a checkpoint whose outputs it has, and the size of each output in bytes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn sizes(&self, checkpoint: i64, wait: Wait) -> Result<Vec<(String, i64)>, StoreError> {
        let records = self.heads(checkpoint, wait)?.into_iter().filter(|found| found.payload.size > 0);
        Ok(records.map(|found| (found.row.step, found.payload.size)).collect())
    }

    /// Returns the records of steps in a checkpoint, without their outputs.
    fn heads(&self, checkpoint: i64, wait: Wait) -> Result<Vec<Found<Record>>, StoreError> {
        let sql = format!("SELECT {} FROM records WHERE checkpoint = ?1 AND item = -1", Record::HEAD);
        let found = self.read(wait, |session| session.rows(&sql, [checkpoint], Record::read))?;
        Ok(found.into_iter().flatten().collect())
    }
}

/// Removes the records of these items from a checkpoint.
pub fn forget(
    session: &mut Session,
    checkpoint: i64,
    outdated: &[(String, Items)],
) -> Result<(), StoreError> {
    for (step, items) in outdated {
        delete(session, checkpoint, step, items)?;
        if items.start() != items.end() || *items.start() == -1 {
            state::forget(session, checkpoint, Some(step))?; // Of one item it is not known what it wrote.
        }
    }
    Ok(())
}

/// Removes the records of a step, or of some of its items, from a checkpoint.
fn delete(session: &mut Session, checkpoint: i64, step: &str, items: &Items) -> Result<(), StoreError> {
    let range = params![checkpoint, step, items.start(), items.end()];
    let sql = "SELECT 1 FROM records WHERE checkpoint = ?1 AND step = ?2 AND item >= ?3 AND item <= ?4";
    if session.first(sql, range, |_| Ok(()))?.is_none() {
        return Ok(()); // This is usual, and a query is faster than a deletion.
    }
    let sql = "DELETE FROM records WHERE checkpoint = ?1 AND step = ?2 AND item >= ?3 AND item <= ?4 \
               RETURNING digest, bytes IS NULL";
    session.delete(sql, range).map(|_| ())
}

pub fn clear(session: &mut Session, checkpoint: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM records WHERE checkpoint = ?1 RETURNING digest, bytes IS NULL";
    session.delete(sql, [checkpoint])?;
    state::forget(session, checkpoint, None)
}

/// Records the results of steps that have no output to be recorded.
pub fn complete(session: &mut Session, completions: &[Completion]) -> Result<(), StoreError> {
    if completions.is_empty() {
        return Ok(());
    }
    let empty = Payload::of(&Prepared::inline(&[]));
    let mut insert = session.statement(STEP)?; // There may be many.
    for completion in completions {
        let Completion { step, record, ends_items, .. } = completion;
        if let Some(step) = step {
            insert_step(session, &mut insert, step)?;
        }
        if let Some(record) = record {
            insert_record(session, record, *ends_items, &empty, Some(&[]))?;
        }
        write_state(session, completion)?;
    }
    Ok(())
}

fn write_state(session: &Session, completion: &Completion) -> Result<(), StoreError> {
    completion.writes.as_ref().map_or(Ok(()), |writes| state::record(session, writes))
}

/// `OR REPLACE` would cost more, and there is rarely a row to replace.
const STEP: &str = "INSERT INTO steps (run, position, name, status, reason, attempts, started, duration, error, \
                    items_total, items_done, items_failed, items_restored, kind, size, preview, detail, seal) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
const RECORD: &str = "INSERT INTO records (checkpoint, step, item, outcome, imprint, token, made_of, digest, size, seal, bytes) \
                      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Records how a step ended, in place of an earlier row of it.
fn insert_step(session: &Session, insert: &mut Statement, step: &Step) -> Result<(), StoreError> {
    let seal = step.seal();
    let row = params![
        step.run,
        step.position,
        step.name,
        step.status,
        step.reason,
        step.attempts,
        step.started,
        step.duration,
        step.error,
        step.items.total,
        step.items.done,
        step.items.failed,
        step.items.restored,
        step.kind,
        step.size,
        step.preview,
        step.detail,
        seal
    ];
    if inserts(insert, row)? {
        return Ok(());
    }
    session
        .execute("DELETE FROM steps WHERE run = ?1 AND position = ?2", params![step.run, step.position])?;
    insert.execute(row)?;
    Ok(())
}

/// Records a step, or an item, in place of an earlier record of it.
fn insert_record(
    session: &mut Session,
    record: &Record,
    ends_items: bool,
    payload: &Payload,
    bytes: Option<&[u8]>,
) -> Result<(), StoreError> {
    let number = record.number();
    if ends_items {
        delete(session, record.checkpoint, &record.step, &(number + 1..=i64::MAX))?;
    }
    let seal = record.seal(payload);
    let row = params![
        record.checkpoint,
        record.step,
        number,
        record.outcome,
        record.imprint,
        record.token,
        record.made_of,
        payload.digest,
        payload.size,
        seal,
        bytes
    ];
    let mut insert = session.statement(RECORD)?;
    if inserts(&mut insert, row)? {
        return Ok(());
    }
    delete(session, record.checkpoint, &record.step, &(number..=number))?;
    insert.execute(row)?;
    Ok(())
}

/// Inserts a row unless there is one with its key.
fn inserts(statement: &mut Statement, row: &[&dyn ToSql]) -> Result<bool, StoreError> {
    match statement.execute(row) {
        Ok(_) => Ok(true),
        Err(error) if is_taken(&error) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_taken(error: &rusqlite::Error) -> bool {
    error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_CONSTRAINT_PRIMARYKEY)
}
