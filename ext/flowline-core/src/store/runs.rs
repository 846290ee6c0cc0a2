//! What a store records of runs: begin, what came of each step, the end; and what a later run resumes from.

use std::collections::HashMap;

use rusqlite::{Statement, params};

use super::blobs::Prepared;
use super::rows::{CRASHED, DAMAGED, Found, Payload, RUNNING, Record, Run, Step};
use super::session::Session;
use super::{Lock, Store, StoreError, Wait, owner};

/// History has so many runs of a pipeline at least.
const HISTORY: i64 = 100;
/// Expected times are averages of so many runs.
const TIMED: i64 = 10;

/// How a run begins.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// What is known of it. Its number, and its checkpoint if it has none to resume, are made now.
    pub run: Run,
    /// Whether it goes on with the checkpoint that it has claimed.
    pub resumes: bool,
    /// What that checkpoint has and is of no more use: of a step, these items.
    pub outdated: Vec<(String, Items)>,
}

/// From which item of a step to which; -1 is the step itself.
pub type Items = std::ops::RangeInclusive<i64>;

/// What came of a step, or of an item of it.
#[derive(Debug, Clone)]
pub struct Completion {
    /// For history; an item has no part in that.
    pub step: Option<Step>,
    /// For a run that resumes this one.
    pub record: Option<Record>,
    /// Whether what was recorded of the step's items is of no more use.
    pub ends_items: bool,
}

/// How a run ends.
#[derive(Debug, Clone, Default)]
pub struct End {
    /// The number of the run.
    pub run: i64,
    /// How it ended.
    pub status: String,
    /// Seconds that it took.
    pub duration: f64,
    /// Why it did not succeed.
    pub error: Option<String>,
    /// Whether its checkpoint is of no more use.
    pub clear: bool,
}

/// What came of the wish to resume a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Its checkpoint is locked now.
    Claimed,
    /// Another process has it: for this run, or, if this has ended, for one that has not begun yet.
    Held(Box<Run>),
    /// Another run has come in between.
    Changed,
}

impl Store {
    /// Begins a run: it is there, alone with its checkpoint's lock, or not at all. Other runs of the pipeline whose
    /// process is gone have crashed; unless it resumes one, older checkpoints of the same identity are cleared.
    ///
    /// # Errors
    /// As for every change: it failed, and changed nothing; or it was cancelled while it waited.
    pub fn begin(&self, start: &Start, durable: bool, wait: Wait) -> Result<Run, StoreError> {
        self.write(wait, durable, |session| {
            let mut run = start.run.clone();
            RUNNING.clone_into(&mut run.status);
            run.alive = true;
            mark_crashed(session, &run, start.resumes)?;
            if start.resumes {
                forget(session, run.checkpoint, &start.outdated)?;
            } else {
                clear_older(session, &run)?;
            }
            run.id = 1 + session
                .first("SELECT seq FROM sqlite_sequence WHERE name = 'runs'", [], |row| Ok(row.get(0)?))?
                .unwrap_or(0);
            if !start.resumes {
                run.checkpoint = run.id;
                if !session.acquire(Lock::Checkpoint(run.id))? {
                    return Err(StoreError::Other(format!("checkpoint {} is locked already", run.id)));
                }
            }
            insert(session, &run)?;
            Ok(run)
        })
    }

    /// Records what came of steps, with the output of the last of them. When this returns, it is there for good.
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
                    insert_step(&mut *session.statement(STEP)?, step)?;
                }
                if let Some(record) = &last.record {
                    let bytes = (!prepared.is_file()).then_some(output);
                    replace(session, record, last.ends_items, &Payload::of(prepared), bytes)?;
                }
                session.keep(prepared)
            })
        })
    }

    /// Removes what a checkpoint that is held has and is of no more use.
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

    /// Ends a run, with what came of the steps that are not recorded yet. Its checkpoint's lock is given back.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn finish(
        &self,
        end: &End,
        completions: &[Completion],
        durable: bool,
        wait: Wait,
    ) -> Result<(), StoreError> {
        self.write(wait, durable, |session| {
            complete(session, completions)?;
            let Some(mut run) = find(session, "id = ?1", params![end.run])? else { return Ok(()) };
            end.status.clone_into(&mut run.status);
            run.duration = Some(end.duration);
            run.error.clone_from(&end.error);
            update(session, &run)?;
            if end.clear {
                clear(session, run.checkpoint)?;
            }
            prune(session, &run.pipeline)?;
            session.release(Lock::Checkpoint(run.checkpoint));
            session.shrink(false)
        })
    }

    /// The latest run of a pipeline, with that identity or any.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn latest(
        &self,
        pipeline: &str,
        identity: Option<&str>,
        wait: Wait,
    ) -> Result<Option<Run>, StoreError> {
        self.read(wait, |session| latest(session, pipeline, identity))
    }

    /// Takes the checkpoint of a run that is to be resumed, if it is still the latest of its identity. A process
    /// that had it is gone, so its run has crashed.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn claim(&self, wanted: &Run, wait: Wait) -> Result<Claim, StoreError> {
        self.write(wait, false, |session| {
            let Some(run) = latest(session, &wanted.pipeline, Some(&wanted.identity))? else {
                return Ok(Claim::Changed);
            };
            if run.id != wanted.id {
                return Ok(Claim::Changed);
            }
            if !session.acquire(Lock::Checkpoint(run.checkpoint))? {
                let sql = "SELECT status = 'running' FROM runs WHERE id = ?1";
                let unmarked = session.first(sql, [run.id], |row| Ok(row.get(0)?))?.unwrap_or(false);
                // A child that was just forked may still have a copy of the lock of a process that is gone.
                return if unmarked && !run.alive {
                    Err(StoreError::TAKEN)
                } else {
                    Ok(Claim::Held(Box::new(run)))
                };
            }
            mark_crashed(session, &run, true)?;
            Ok(Claim::Claimed)
        })
    }

    /// Runs of a pipeline or of all, the latest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn runs(&self, pipeline: Option<&str>, most: i64, wait: Wait) -> Result<Vec<Run>, StoreError> {
        let rest = "pipeline = coalesce(?1, pipeline) ORDER BY id DESC LIMIT ?2";
        self.read(wait, |session| select(session, rest, params![pipeline, most]))
    }

    /// The latest run of every pipeline.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn last_runs(&self, wait: Wait) -> Result<Vec<Run>, StoreError> {
        let rest = "id IN (SELECT max(id) FROM runs GROUP BY pipeline) ORDER BY pipeline";
        self.read(wait, |session| select(session, rest, []))
    }

    /// The steps of a run that have ended.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn steps(&self, run: i64, wait: Wait) -> Result<Vec<Step>, StoreError> {
        let sql = format!("SELECT {} FROM steps WHERE run = ?1 ORDER BY position", Step::COLUMNS);
        self.read(wait, |session| Ok(session.rows(&sql, [run], Step::read)?.into_iter().flatten().collect()))
    }

    /// What a checkpoint has, with its outputs. Whoever asks holds it, so its files stay.
    ///
    /// # Errors
    /// It cannot be read. What is damaged is no error: a record that does not have its seal is not there, and an
    /// output that is gone or damaged is `None`.
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

    /// The output of a step in a checkpoint. `None`: there is none, or it is gone or damaged.
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

    /// How each step of a checkpoint ended.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn outcomes(&self, checkpoint: i64, wait: Wait) -> Result<Vec<(String, String)>, StoreError> {
        let records = self.heads(checkpoint, wait)?;
        Ok(records.into_iter().map(|found| (found.row.step, found.row.outcome)).collect())
    }

    /// The steps of a checkpoint whose outputs it has, and how many bytes each takes.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn sizes(&self, checkpoint: i64, wait: Wait) -> Result<Vec<(String, i64)>, StoreError> {
        let records = self.heads(checkpoint, wait)?.into_iter().filter(|found| found.payload.size > 0);
        Ok(records.map(|found| (found.row.step, found.payload.size)).collect())
    }

    /// The records of steps in a checkpoint, without their outputs.
    fn heads(&self, checkpoint: i64, wait: Wait) -> Result<Vec<Found<Record>>, StoreError> {
        let sql = format!("SELECT {} FROM records WHERE checkpoint = ?1 AND item = -1", Record::HEAD);
        let found = self.read(wait, |session| session.rows(&sql, [checkpoint], Record::read))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Removes what a checkpoint has, unless a run that is alive needs it.
    ///
    /// # Errors
    /// As for [`begin`](Self::begin).
    pub fn clear(&self, checkpoint: i64, wait: Wait) -> Result<Claim, StoreError> {
        self.write(wait, false, |session| {
            if session.locks.is_taken(Lock::Checkpoint(checkpoint))? {
                let run = find(session, "checkpoint = ?1 ORDER BY id DESC", [checkpoint])?;
                return Ok(Claim::Held(Box::new(run.unwrap_or_default())));
            }
            clear(session, checkpoint)?;
            session.shrink(false)?;
            Ok(Claim::Claimed)
        })
    }

    /// The seconds that steps of a pipeline took on average in its latest runs.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn timings(&self, pipeline: &str, wait: Wait) -> Result<HashMap<String, f64>, StoreError> {
        let sql = "SELECT name, avg(duration) FROM steps WHERE status = 'succeeded' AND run IN \
                   (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT ?2) GROUP BY name \
                   HAVING avg(duration) IS NOT NULL";
        // A name that is damaged is passed over.
        let read = |row: &rusqlite::Row| Ok(row.get(0).ok().zip(row.get(1).ok()));
        let found = self.read(wait, |session| session.rows(sql, params![pipeline, TIMED], read))?;
        Ok(found.into_iter().flatten().collect())
    }
}

fn select(session: &Session, rest: &str, parameters: impl rusqlite::Params) -> Result<Vec<Run>, StoreError> {
    let sql = format!("SELECT {} FROM runs WHERE {rest}", Run::COLUMNS);
    let mut runs = session.rows(&sql, parameters, Run::read)?;
    for run in runs.iter_mut().filter(|run| run.status == RUNNING) {
        run.alive = session.locks.is_taken(Lock::Checkpoint(run.checkpoint))? && !owner::is_gone(run);
        if !run.alive {
            CRASHED.clone_into(&mut run.status);
        }
    }
    Ok(runs)
}

fn find(session: &Session, rest: &str, parameters: impl rusqlite::Params) -> Result<Option<Run>, StoreError> {
    Ok(select(session, &format!("{rest} LIMIT 1"), parameters)?.pop())
}

/// A damaged run has no identity that could be trusted: it is passed over.
fn latest(session: &Session, pipeline: &str, identity: Option<&str>) -> Result<Option<Run>, StoreError> {
    let rest = "pipeline = ?1 AND identity = coalesce(?2, identity) ORDER BY id DESC";
    let run = find(session, rest, params![pipeline, identity])?;
    Ok(run.filter(|run| run.status != DAMAGED || identity.is_none()))
}

fn insert(session: &Session, run: &Run) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO runs ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)",
        Run::COLUMNS
    );
    session.execute(
        &sql,
        params![
            run.id,
            run.run_id,
            run.pipeline,
            run.identity,
            run.checkpoint,
            run.resumed,
            run.params,
            run.status,
            run.pid,
            run.host,
            run.started,
            run.duration,
            run.error,
            run.seal()
        ],
    )?;
    Ok(())
}

/// Writes how a run stands.
fn update(session: &Session, run: &Run) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET status = ?2, duration = ?3, error = ?4, seal = ?5 WHERE id = ?1";
    session.execute(sql, params![run.id, run.status, run.duration, run.error, run.seal()])?;
    Ok(())
}

/// Runs of the same pipeline have crashed whose process is gone; and, if its checkpoint was just taken over, the
/// one that had it.
fn mark_crashed(session: &Session, run: &Run, took_over: bool) -> Result<(), StoreError> {
    for mut other in select(session, "pipeline = ?1 AND status = 'running'", [&run.pipeline])? {
        let had_it = took_over && other.checkpoint == run.checkpoint;
        if other.status == CRASHED || (had_it && other.status == RUNNING) {
            CRASHED.clone_into(&mut other.status);
            update(session, &other)?;
        }
    }
    Ok(())
}

/// What was recorded of these is of no more use.
fn forget(session: &mut Session, checkpoint: i64, outdated: &[(String, Items)]) -> Result<(), StoreError> {
    outdated.iter().try_for_each(|(step, items)| delete(session, checkpoint, step, items))
}

/// Removes what a checkpoint has of a step.
fn delete(session: &mut Session, checkpoint: i64, step: &str, items: &Items) -> Result<(), StoreError> {
    let range = params![checkpoint, step, items.start(), items.end()];
    let sql = "SELECT 1 FROM records WHERE checkpoint = ?1 AND step = ?2 AND item >= ?3 AND item <= ?4";
    if session.first(sql, range, |_| Ok(()))?.is_none() {
        return Ok(()); // Usually; to look is quicker than to delete.
    }
    let sql = "DELETE FROM records WHERE checkpoint = ?1 AND step = ?2 AND item >= ?3 AND item <= ?4 \
               RETURNING digest, bytes IS NULL";
    session.delete(sql, range).map(|_| ())
}

/// Clears what earlier runs of the same identity have left, unless they are alive.
fn clear_older(session: &mut Session, run: &Run) -> Result<(), StoreError> {
    let sql = "SELECT DISTINCT checkpoint FROM runs WHERE pipeline = ?1 AND identity = ?2 \
               AND EXISTS (SELECT 1 FROM records WHERE records.checkpoint = runs.checkpoint)";
    let older =
        session.rows(sql, params![run.pipeline, run.identity], |row| Ok(row.get::<_, i64>(0).ok()))?;
    for checkpoint in older.into_iter().flatten() {
        if !session.locks.is_taken(Lock::Checkpoint(checkpoint))? {
            clear(session, checkpoint)?;
        }
    }
    Ok(())
}

fn clear(session: &mut Session, checkpoint: i64) -> Result<(), StoreError> {
    let sql = "DELETE FROM records WHERE checkpoint = ?1 RETURNING digest, bytes IS NULL";
    session.delete(sql, [checkpoint]).map(|_| ())
}

/// History has the latest runs of a pipeline, and those that have not ended.
fn prune(session: &mut Session, pipeline: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM runs WHERE pipeline = ?1 AND status <> 'running' AND id <= \
               (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2) RETURNING checkpoint";
    let gone = session.rows(sql, params![pipeline, HISTORY], |row| Ok(row.get::<_, i64>(0).ok()))?;
    for checkpoint in gone.into_iter().flatten() {
        let sql = "SELECT 1 FROM runs WHERE checkpoint = ?1";
        if session.first(sql, [checkpoint], |_| Ok(()))?.is_none() {
            clear(session, checkpoint)?;
        }
    }
    Ok(())
}

/// Writes what came of steps that have no output to be recorded.
fn complete(session: &mut Session, completions: &[Completion]) -> Result<(), StoreError> {
    let empty = Payload::of(&Prepared::inline(&[]));
    let mut insert = session.statement(STEP)?; // There may be many.
    for Completion { step, record, ends_items } in completions {
        if let Some(step) = step {
            insert_step(&mut insert, step)?;
        }
        if let Some(record) = record {
            replace(session, record, *ends_items, &empty, Some(&[]))?;
        }
    }
    Ok(())
}

const STEP: &str = "INSERT OR REPLACE INTO steps (run, position, name, status, reason, attempts, started, duration, error, seal) \
                    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)";

fn insert_step(statement: &mut Statement, step: &Step) -> Result<(), StoreError> {
    statement.execute(params![
        step.run,
        step.position,
        step.name,
        step.status,
        step.reason,
        step.attempts,
        step.started,
        step.duration,
        step.error,
        step.seal()
    ])?;
    Ok(())
}

/// Records a step, or an item, in the place of what was recorded of it.
fn replace(
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
    session.drop_replaced(
        "SELECT digest FROM records WHERE checkpoint = ?1 AND step = ?2 AND item = ?3 AND bytes IS NULL",
        params![record.checkpoint, record.step, number],
    )?;
    let sql = "INSERT OR REPLACE INTO records (checkpoint, step, item, outcome, imprint, token, made_of, digest, size, seal, bytes) \
               VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    session.execute(
        sql,
        params![
            record.checkpoint,
            record.step,
            number,
            record.outcome,
            record.imprint,
            record.token,
            record.made_of,
            payload.digest,
            payload.size,
            record.seal(payload),
            bytes
        ],
    )?;
    Ok(())
}
