//! How long runs of a pipeline, and their steps, took.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::{Store, StoreError, Wait};

/// The number of runs over which expected times are averaged.
const TIMED: i64 = 10;

/// The seconds that something took in the latest runs, the latest first.
pub type Durations = Vec<(String, Vec<f64>)>;

impl Store {
    /// Returns the seconds that steps of a pipeline took on average in its latest runs.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn timings(&self, pipeline: &str, wait: Wait) -> Result<HashMap<String, f64>, StoreError> {
        let sql = "SELECT name, avg(duration) FROM steps WHERE status = 'succeeded' AND run IN \
                   (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT ?2) GROUP BY name \
                   HAVING avg(duration) IS NOT NULL";
        // A damaged name is skipped.
        let read = |row: &Row| Ok(row.get(0).ok().zip(row.get(1).ok()));
        let found = self.read(wait, |session| session.rows(sql, params![pipeline, TIMED], read))?;
        Ok(found.into_iter().flatten().collect())
    }

    /// Returns the seconds that each step of a pipeline took when it succeeded in one of the latest runs, in the order of
    /// the steps.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn durations(&self, pipeline: &str, last: i64, wait: Wait) -> Result<Durations, StoreError> {
        let sql = "SELECT name, duration, position FROM steps WHERE status = 'succeeded' AND run IN \
                   (SELECT id FROM runs WHERE pipeline = ?1 ORDER BY id DESC LIMIT ?2) \
                   ORDER BY run DESC, position";
        let read = |row: &Row| {
            let named = row.get::<_, String>(0).ok().zip(row.get::<_, f64>(1).ok());
            Ok(named.zip(row.get::<_, i64>(2).ok()))
        };
        let found = self.read(wait, |session| session.rows(sql, params![pipeline, last], read))?;
        let mut steps: HashMap<String, (i64, Vec<f64>)> = HashMap::new();
        for ((name, duration), position) in found.into_iter().flatten() {
            steps.entry(name).or_insert((position, vec![])).1.push(duration);
        }
        let mut sorted: Vec<_> = steps.into_iter().collect();
        sorted.sort_by_key(|(_, (position, _))| *position); // That of the latest run.
        Ok(sorted.into_iter().map(|(name, (_, list))| (name, list)).collect())
    }
}
