//! The history of a store: past runs, and how their steps ended.

use std::collections::HashMap;

use rusqlite::params;

use super::records::clear;
use super::rows::{CRASHED, DAMAGED, RUNNING, Run, Step};
use super::session::Session;
use super::{Lock, Store, StoreError, Wait, owner};

/// The least number of runs of a pipeline that history has.
const HISTORY: i64 = 100;
/// The number of runs over which expected times are averaged.
const TIMED: i64 = 10;

impl Store {
    /// Returns the latest run of a pipeline, with the given identity or any.
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

    /// Returns the runs of a pipeline or of all pipelines, the latest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn runs(&self, pipeline: Option<&str>, most: i64, wait: Wait) -> Result<Vec<Run>, StoreError> {
        let rest = "pipeline = coalesce(?1, pipeline) ORDER BY id DESC LIMIT ?2";
        self.read(wait, |session| select(session, rest, params![pipeline, most]))
    }

    /// Returns the latest run of every pipeline.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn last_runs(&self, wait: Wait) -> Result<Vec<Run>, StoreError> {
        let rest = "id IN (SELECT max(id) FROM runs GROUP BY pipeline) ORDER BY pipeline";
        self.read(wait, |session| select(session, rest, []))
    }

    /// Returns the steps of a run that have ended.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn steps(&self, run: i64, wait: Wait) -> Result<Vec<Step>, StoreError> {
        let sql = format!("SELECT {} FROM steps WHERE run = ?1 ORDER BY position", Step::COLUMNS);
        self.read(wait, |session| Ok(session.rows(&sql, [run], Step::read)?.into_iter().flatten().collect()))
    }

    /// Returns the seconds that steps of a pipeline took on average in its latest runs.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn timings(&self, pipeline: &str, wait: Wait) -> Result<HashMap<String, f64>, StoreError> {
        let sql = "SELECT name, avg(duration) FROM steps WHERE status = 'succeeded' AND run IN \
                   (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT ?2) GROUP BY name \
                   HAVING avg(duration) IS NOT NULL";
        // A damaged name is skipped.
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

pub fn find(
    session: &Session,
    rest: &str,
    parameters: impl rusqlite::Params,
) -> Result<Option<Run>, StoreError> {
    Ok(select(session, &format!("{rest} LIMIT 1"), parameters)?.pop())
}

/// Returns the latest run. A damaged run is left out if an identity is wanted, because its own cannot be trusted.
pub fn latest(session: &Session, pipeline: &str, identity: Option<&str>) -> Result<Option<Run>, StoreError> {
    let rest = "pipeline = ?1 AND identity = coalesce(?2, identity) ORDER BY id DESC";
    let run = find(session, rest, params![pipeline, identity])?;
    Ok(run.filter(|run| run.status != DAMAGED || identity.is_none()))
}

/// Updates the status, duration and error of a run.
pub fn update(session: &Session, run: &Run) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET status = ?2, duration = ?3, error = ?4, seal = ?5 WHERE id = ?1";
    session.execute(sql, params![run.id, run.status, run.duration, run.error, run.seal()])?;
    Ok(())
}

/// Marks runs of the same pipeline as crashed whose process is gone, and returns the ones that are alive. If the run has
/// just claimed the checkpoint of an earlier run, that one has crashed, too.
pub fn mark_crashed(session: &Session, run: &Run, took_over: bool) -> Result<Vec<Run>, StoreError> {
    let mut alive = vec![];
    for mut other in select(session, "pipeline = ?1 AND status = 'running'", [&run.pipeline])? {
        let had_it = took_over && other.checkpoint == run.checkpoint;
        if other.status == CRASHED || (had_it && other.status == RUNNING) {
            CRASHED.clone_into(&mut other.status);
            update(session, &other)?;
        } else {
            alive.push(other);
        }
    }
    Ok(alive)
}

/// Deletes old runs of a pipeline. The latest ones stay, and the ones that have not ended.
pub fn prune(session: &mut Session, pipeline: &str) -> Result<(), StoreError> {
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
