//! How long runs of a pipeline, and their steps, took.

use std::collections::HashMap;

use rusqlite::{Row, params};

use super::{Store, StoreError, Wait};

/// The number of runs whose median is the expected time.
const TIMED: i64 = 10;

/// The seconds that something took in the latest runs, the latest first.
pub type Durations = Vec<(String, Vec<f64>)>;

impl Store {
    /// Returns the median of the seconds that steps of a pipeline took in its latest runs.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn timings(&self, pipeline: &str, wait: Wait) -> Result<HashMap<String, f64>, StoreError> {
        let found = self.durations(pipeline, TIMED, wait)?;
        Ok(found.into_iter().filter_map(|(name, seconds)| Some((name, median(seconds)?))).collect())
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

/// The middle of some numbers, or the mean of the two in the middle.
fn median(mut numbers: Vec<f64>) -> Option<f64> {
    numbers.sort_by(f64::total_cmp);
    let upper = numbers.len() / 2;
    let lower = if numbers.len() % 2 == 0 { upper.checked_sub(1)? } else { upper };
    Some(numbers.get(lower)?.midpoint(*numbers.get(upper)?))
}
