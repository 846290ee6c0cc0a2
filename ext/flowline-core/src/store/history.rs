//! The history of a store: past runs, and how their steps ended.

use rusqlite::{ToSql, params};

use super::records::clear;
use super::rows::{CRASHED, DAMAGED, RUNNING, Run, SUCCEEDED, Step};
use super::session::Session;
use super::{Lock, Store, StoreError, Wait, graphs, owner};

/// The least number of runs of a pipeline that history has.
const HISTORY: i64 = 100;

/// A selection of past runs. A field that is `None`, or empty, selects all.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Query {
    pub pipeline: Option<String>,
    pub run_id: Option<String>,
    /// Any of these.
    pub statuses: Vec<String>,
    /// The kind of caller that started it.
    pub trigger: Option<String>,
    /// A part of its id, the name of its pipeline, its shown params or its error; ASCII letters of either case.
    pub text: Option<String>,
    /// The start of the earliest run, in seconds since 1970.
    pub since: Option<f64>,
    /// The `run_id` of a run: only earlier ones are selected.
    pub before: Option<String>,
    /// Members of [`Run::shown`], each as it is written there: `"name":"text"`.
    pub params: Vec<String>,
    /// The maximum number of runs.
    pub limit: i64,
}

impl Store {
    /// Returns a page of past runs, the latest first, and which runs resumed them.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn history(&self, query: &Query, wait: Wait) -> Result<Vec<Run>, StoreError> {
        self.read(wait, |session| {
            let wanted = |status: &str| query.statuses.iter().any(|other| other == status);
            let mut runs = match query.statuses.as_slice() {
                [only] if only == RUNNING => vec![],
                any => page(session, query, any, query.limit)?,
            };
            if wanted(RUNNING) || wanted(CRASHED) {
                let open = page(session, query, &[RUNNING.to_owned()], -1)?;
                runs.extend(open.into_iter().filter(|run| wanted(&run.status))); // Crashed runs may not be marked yet.
                runs.sort_by_key(|run| std::cmp::Reverse(run.id));
            }
            if let Ok(most) = usize::try_from(query.limit) {
                runs.truncate(most);
            }
            for run in &mut runs {
                let sql = "SELECT run_id FROM runs WHERE resumed = ?1 ORDER BY id DESC LIMIT 1";
                run.resumed_by = session.first(sql, [&run.run_id], |row| Ok(row.get(0).ok()))?.flatten();
            }
            Ok(runs)
        })
    }

    /// Returns how many items of each step a checkpoint has.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn item_counts(&self, checkpoint: i64, wait: Wait) -> Result<Vec<(String, i64)>, StoreError> {
        let sql = "SELECT step, count(*) FROM records WHERE checkpoint = ?1 AND item >= 0 GROUP BY step";
        let read = |row: &rusqlite::Row| Ok(row.get(0).ok().zip(row.get(1).ok()));
        let found = self.read(wait, |session| session.rows(sql, [checkpoint], read))?;
        Ok(found.into_iter().flatten().collect())
    }

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

    /// Returns the run of a pipeline, or of an identity, that ended last, if that was after a time of a monotonic clock. A
    /// damaged record says nothing.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ended_after(
        &self,
        pipeline: &str,
        identity: Option<&str>,
        (clock, time): (&str, f64),
        wait: Wait,
    ) -> Result<Option<Run>, StoreError> {
        // "+identity" is no column, so that SQLite finds the runs by their ends: there are hardly any.
        let rest = "pipeline = ?1 AND +identity = coalesce(?2, identity) AND clock = ?3 AND ended > ?4 \
                    ORDER BY ended DESC";
        let run = self.read(wait, |session| find(session, rest, params![pipeline, identity, clock, time]))?;
        Ok(run.filter(|run| run.status != DAMAGED))
    }

    /// Returns the runs of a pipeline or of all pipelines, the latest first.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn runs(&self, pipeline: Option<&str>, most: i64, wait: Wait) -> Result<Vec<Run>, StoreError> {
        let which = if pipeline.is_some() { "pipeline = ?1" } else { "?1 IS NULL" };
        let rest = format!("{which} ORDER BY id DESC LIMIT ?2");
        self.read(wait, |session| select(session, &rest, params![pipeline, most]))
    }

    /// Returns the latest run of every pipeline.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn last_runs(&self, wait: Wait) -> Result<Vec<Run>, StoreError> {
        // From one name to the next in the index, without its runs in between.
        let names = "WITH RECURSIVE names(name) AS (SELECT min(pipeline) FROM runs UNION ALL SELECT \
                     (SELECT min(pipeline) FROM runs WHERE pipeline > name) FROM names WHERE name IS NOT NULL)";
        let latest = "SELECT (SELECT max(id) FROM runs WHERE pipeline = name) FROM names";
        let rest = format!("id IN ({names} {latest}) ORDER BY pipeline");
        self.read(wait, |session| select(session, &rest, []))
    }

    /// Returns the steps of a run that have ended.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn steps(&self, run: i64, wait: Wait) -> Result<Vec<Step>, StoreError> {
        let sql = format!("SELECT {} FROM steps WHERE run = ?1 ORDER BY position", Step::COLUMNS);
        self.read(wait, |session| Ok(session.rows(&sql, [run], Step::read)?.into_iter().flatten().collect()))
    }
}

/// Returns the runs of a query. Runs that succeeded are found from the latest one back; those that did not, and those that
/// go on, have indexes of their own, which cost a run that succeeds little.
fn page(session: &Session, query: &Query, statuses: &[String], limit: i64) -> Result<Vec<Run>, StoreError> {
    let mut parameters: Vec<&dyn ToSql> = vec![&limit];
    let mut place = |value| {
        parameters.push(value);
        format!("?{}", parameters.len())
    };
    let is = |status| move |other: &String| other == status;
    // SQLite uses an index of some rows only if the query has its condition, word by word, and does not ask for the order of
    // the ids: "+id" is no column.
    let (literal, id) = match statuses {
        [] => ("1", "id"),
        several if several.iter().all(is(RUNNING)) => ("status = 'running'", "+id"),
        several if several.iter().any(is(SUCCEEDED)) => ("status <> 'running'", "id"),
        _ => ("status NOT IN ('running', 'succeeded')", "+id"),
    };
    let mut conditions = vec![literal.to_owned()];
    if !statuses.iter().all(is(RUNNING)) {
        let places: Vec<_> = statuses.iter().map(|status| place(status)).collect();
        conditions.push(format!("status IN ({})", places.join(", ")));
    }
    let mut add = |condition: &str, value| conditions.push(condition.replace('?', &place(value)));
    query.run_id.iter().for_each(|id| add("run_id = ?", id));
    query.pipeline.iter().for_each(|name| add("pipeline = ?", name));
    // The trigger of a job has the job's id after its kind.
    query
        .trigger
        .iter()
        .for_each(|kind| add("(trigger = ? OR substr(trigger, 1, length(?) + 1) = ? || ' ')", kind));
    let pattern = query.text.as_deref().map(pattern);
    pattern.iter().for_each(|text| {
        let columns =
            ["run_id", "pipeline", "shown", "error"].map(|name| format!("{name} LIKE ? ESCAPE '\\'"));
        add(&format!("({})", columns.join(" OR ")), text);
    });
    query.since.iter().for_each(|time| {
        add(&format!("started >= ? AND {id} >= (SELECT min(+id) FROM runs WHERE started >= ?)"), time);
    });
    query
        .before
        .iter()
        .for_each(|run_id| add(&format!("{id} < (SELECT id FROM runs WHERE run_id = ?)"), run_id));
    query.params.iter().for_each(|param| {
        add("(instr(shown, '{' || ?) > 0 OR instr(shown, ',' || ?) > 0)", param);
    });
    let filter = conditions.join(" AND ");
    let rest =
        format!("id IN (SELECT id FROM runs WHERE {filter} ORDER BY {id} DESC LIMIT ?1) ORDER BY id DESC");
    select(session, &rest, parameters.as_slice())
}

/// Returns the pattern of texts that have a text in them.
fn pattern(text: &str) -> String {
    let escaped = text.replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
    format!("%{escaped}%")
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
    let Some(identity) = identity else {
        return find(session, "pipeline = ?1 ORDER BY id DESC", [pipeline]);
    };
    let run = find(session, "pipeline = ?1 AND identity = ?2 ORDER BY id DESC", [pipeline, identity])?;
    Ok(run.filter(|run| run.status != DAMAGED))
}

/// Updates how a run ended.
pub fn update(session: &Session, run: &Run) -> Result<(), StoreError> {
    let sql = "UPDATE runs SET status = ?2, duration = ?3, error = ?4, warnings = ?5, outcomes = ?6, items_done = ?7, \
               items_failed = ?8, items_restored = ?9, clock = ?10, ended = ?11, seal = ?12 WHERE id = ?1";
    let how = params![
        run.id,
        run.status,
        run.duration,
        run.error,
        run.warnings,
        run.outcomes,
        run.items_done,
        run.items_failed,
        run.items_restored,
        run.clock,
        run.ended,
        run.seal()
    ];
    session.execute(sql, how)?;
    Ok(())
}

/// Counts how the steps of a run, and their items, have ended.
pub fn count(session: &Session, run: &mut Run) -> Result<(), StoreError> {
    let sql = "SELECT status, count(*), sum(items_done), sum(items_failed), sum(items_restored) FROM steps \
               WHERE run = ?1 GROUP BY status";
    let mut outcomes = Vec::new();
    let mut statement = session.statement(sql)?;
    let mut rows = statement.query([run.id])?;
    while let Some(row) = rows.next()? {
        let Ok(status) = row.get::<_, String>(0) else { continue }; // Damaged: its step is left out, too.
        outcomes.push(format!("{status} {}", row.get::<_, i64>(1)?));
        for (sum, column) in
            [(&mut run.items_done, 2), (&mut run.items_failed, 3), (&mut run.items_restored, 4)]
        {
            *sum = add(*sum, row.get(column).unwrap_or_default());
        }
    }
    run.outcomes = (!outcomes.is_empty()).then(|| outcomes.join(", "));
    Ok(())
}

fn add(sum: Option<i64>, more: Option<i64>) -> Option<i64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (sum, more) => sum.or(more),
    }
}

/// Marks runs of the same pipeline as crashed whose process is gone, and returns the ones that are alive. If the run has
/// just claimed the checkpoint of an earlier run, that one has crashed, too.
pub fn mark_crashed(session: &Session, run: &Run, took_over: bool) -> Result<Vec<Run>, StoreError> {
    let mut alive = vec![];
    // Without the hint SQLite reads all runs of the pipeline, because it knows nothing of how few are running.
    let running =
        "id IN (SELECT id FROM runs INDEXED BY runs_alive WHERE pipeline = ?1 AND status = 'running')";
    for mut other in select(session, running, [&run.pipeline])? {
        let had_it = took_over && other.checkpoint == run.checkpoint;
        if other.status == CRASHED || (had_it && other.status == RUNNING) {
            CRASHED.clone_into(&mut other.status);
            count(session, &mut other)?;
            update(session, &other)?;
        } else {
            alive.push(other);
        }
    }
    Ok(alive)
}

/// Deletes old runs of the pipeline of a run. The latest ones stay, and the ones that have not ended. Finding the old ones
/// takes as long as there are runs that stay, so many runs are not pruned at each end.
pub fn prune(session: &mut Session, run: &Run, keep: Option<i64>) -> Result<(), StoreError> {
    let keep = keep.unwrap_or(HISTORY);
    if run.id % (keep / HISTORY).max(1) != 0 {
        return Ok(());
    }
    let sql = "DELETE FROM runs WHERE pipeline = ?1 AND status <> 'running' AND id <= \
               (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2) \
               RETURNING checkpoint, graph";
    let parameters = params![run.pipeline, keep];
    let gone = session.rows(sql, parameters, |row| Ok((row.get(0).ok(), row.get(1).ok().flatten())))?;
    for checkpoint in gone.iter().filter_map(|(checkpoint, _)| *checkpoint) {
        let sql = "SELECT 1 FROM runs WHERE checkpoint = ?1";
        if session.first(sql, [checkpoint], |_| Ok(()))?.is_none() {
            clear(session, checkpoint)?;
        }
    }
    if gone.iter().any(|(_, graph): &(Option<i64>, Option<i64>)| graph.is_some() && *graph != run.graph) {
        graphs::prune(session, &run.pipeline)?;
    }
    Ok(())
}
