//! The life of a run: it begins, is claimed by a run that resumes it, and ends.

use std::sync::Arc;

use rusqlite::params;

use super::graphs::{self, Graph};
use super::history::{count, find, latest, mark_crashed, prune, update};
use super::logs::{self, Lines};
use super::records::{Completion, Items, clear, complete, forget};
use super::rows::{RUNNING, Run, SUCCEEDED};
use super::session::Session;
use super::state;
use super::{Lock, Store, StoreError, Wait, live};

/// How a run begins.
#[derive(Debug, Clone, Default)]
pub struct Start {
    /// Its row. Its number, and its checkpoint if it resumes none, are assigned when it begins.
    pub run: Run,
    /// Whether it resumes the checkpoint that it has claimed.
    pub resumes: bool,
    /// Records in that checkpoint that are no longer needed: a step's name and a range of items each.
    pub outdated: Vec<(String, Items)>,
    /// The runs of the pipeline that keep it from beginning while one of them is alive.
    pub apart_from: Others,
    /// The graph of its pipeline, which is stored once.
    pub graph: Option<Arc<Graph>>,
}

/// Runs of the same pipeline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Others {
    /// No run.
    #[default]
    None,
    /// The runs of the same identity.
    Alike,
    /// All runs.
    All,
}

impl Others {
    fn include(self, run: &Run, other: &Run) -> bool {
        match self {
            Self::None => false,
            Self::Alike => other.identity == run.identity,
            Self::All => true,
        }
    }
}

/// The answer to the start of a run.
#[derive(Debug, Clone, PartialEq)]
pub enum Begin {
    /// It has begun.
    Begun(Box<Run>),
    /// It has not begun, because this other run is alive.
    Held(Box<Run>),
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
    /// Whether its checkpoint is no longer needed.
    pub clear: bool,
    /// Its warnings as a JSON array of texts.
    pub warnings: Option<String>,
    /// How many runs of the pipeline stay in history; `None`: 100.
    pub keep: Option<i64>,
    /// The monotonic clock of its machine; see [`clock`](super::clock).
    pub clock: Option<String>,
    /// The seconds that this clock shows.
    pub ended: Option<f64>,
    /// The steps whose writes into the state are committed if it succeeded; `None`: all of them.
    pub commits: Option<Vec<String>>,
    /// The lines of its log that are not in the store yet.
    pub lines: Vec<Lines>,
}

/// The answer to a claim of a run's checkpoint.
#[derive(Debug, Clone, PartialEq)]
pub enum Claim {
    /// Its checkpoint is locked now.
    Claimed,
    /// Another process holds it: for this run, or, if this run has ended, for one that has not begun yet.
    Held(Box<Run>),
    /// The run is no longer the latest of its identity.
    Changed,
}

impl Store {
    /// Begins a run, and acquires the lock of its checkpoint. Other runs of the pipeline whose process is gone are
    /// marked as crashed. Unless the run resumes one, older checkpoints of the same identity are cleared. If a run is
    /// alive that it has to be apart from, it does not begin.
    ///
    /// # Errors
    /// As for every write: it failed, and changed nothing; or it was cancelled while it waited.
    pub fn begin(&self, start: &Start, durable: bool, wait: Wait) -> Result<Begin, StoreError> {
        self.write(wait, durable, |session| {
            let mut run = start.run.clone();
            RUNNING.clone_into(&mut run.status);
            run.alive = true;
            let mut alive = mark_crashed(session, &run, start.resumes)?;
            if let Some(position) = alive.iter().position(|other| start.apart_from.include(&run, other)) {
                return Ok(Begin::Held(Box::new(alive.swap_remove(position))));
            }
            if start.resumes {
                forget(session, run.checkpoint, &start.outdated)?;
            } else {
                clear_older(session, &run)?;
            }
            run.id = next_number(session)?;
            if !start.resumes {
                run.checkpoint = run.id;
                if !session.acquire(Lock::Checkpoint(run.id))? {
                    return Err(StoreError::Other(format!("checkpoint {} is locked already", run.id)));
                }
            }
            if let Some(graph) = &start.graph {
                run.graph = Some(graphs::number(session, &run.pipeline, graph)?);
            }
            insert(session, &run)?;
            Ok(Begin::Begun(Box::new(run)))
        })
    }

    /// Ends a run, with the results of steps that are not recorded yet. The lock of its checkpoint is released.
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
            run.warnings.clone_from(&end.warnings);
            run.clock.clone_from(&end.clock);
            run.ended = end.ended;
            count(session, &mut run)?;
            update(session, &run)?;
            if run.status == SUCCEEDED {
                state::commit(session, &run, end.commits.as_deref())?;
            }
            logs::add(session, run.id, &end.lines)?;
            live::end(session, run.id)?;
            if end.clear {
                clear(session, run.checkpoint)?;
            }
            prune(session, &run, end.keep)?;
            session.release(Lock::Checkpoint(run.checkpoint));
            session.shrink(false)
        })
    }

    /// Claims the checkpoint of a run that is to be resumed, if it is still the latest of its identity. If the lock is
    /// free although the run has not ended, its process is gone, so the run is marked as crashed.
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

    /// Removes the records of a checkpoint, unless a run that is alive needs it.
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
}

/// Returns the number of the next run: no run has had it, also if the counter of SQLite was damaged.
fn next_number(session: &Session) -> Result<i64, StoreError> {
    let sql = "SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'runs'), 0), \
                          coalesce((SELECT max(id) FROM runs), 0), \
                          coalesce((SELECT max(checkpoint) FROM records), 0))";
    let latest: i64 = session.first(sql, [], |row| Ok(row.get(0)?))?.unwrap_or(0);
    latest.checked_add(1).ok_or_else(|| StoreError::Damaged("no number is left for a run".to_owned()))
}

fn insert(session: &Session, run: &Run) -> Result<(), StoreError> {
    let sql = format!(
        "INSERT INTO runs ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
         ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26)",
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
            run.shown,
            run.trigger,
            run.location,
            run.directory,
            run.graph,
            run.warnings,
            run.outcomes,
            run.items_done,
            run.items_failed,
            run.items_restored,
            run.clock,
            run.ended,
            run.seal()
        ],
    )?;
    Ok(())
}

/// The number of earlier runs of an identity whose checkpoints are looked for.
const OLDER: i64 = 100;

/// Clears the checkpoints of earlier runs of the same identity, unless they are alive. Each of these runs has cleared those
/// before it, so that only the last ones can have any. The checkpoint of a run that was alive while many others of its
/// identity began stays until the run leaves the history.
fn clear_older(session: &mut Session, run: &Run) -> Result<(), StoreError> {
    let sql = "SELECT DISTINCT checkpoint FROM \
               (SELECT checkpoint FROM runs WHERE pipeline = ?1 AND identity = ?2 ORDER BY id DESC LIMIT ?3) AS older \
               WHERE EXISTS (SELECT 1 FROM records WHERE records.checkpoint = older.checkpoint)";
    let older =
        session.rows(sql, params![run.pipeline, run.identity, OLDER], |row| Ok(row.get::<_, i64>(0).ok()))?;
    for checkpoint in older.into_iter().flatten() {
        if !session.locks.is_taken(Lock::Checkpoint(checkpoint))? {
            clear(session, checkpoint)?;
        }
    }
    Ok(())
}
