//! The same steps in several runs, for pictures of runs and steps.

use rusqlite::params;

use super::rows::Step;
use super::{Store, StoreError, Wait};
use crate::json;

impl Store {
    /// Returns a page of the names of the steps that have ended in any of some runs, and how many names there are. Steps that
    /// failed in one of the runs come first, then those that did not succeed for another reason, each in the order of the steps.
    /// A name is selected if it has a text; ASCII letters may be of either case.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn names_in(
        &self,
        runs: &[i64],
        text: &str,
        (limit, offset): (i64, i64),
        wait: Wait,
    ) -> Result<(Vec<String>, i64), StoreError> {
        let sql = "SELECT name, count(*) OVER () FROM steps \
                   WHERE run IN (SELECT value FROM json_each(?1)) AND instr(lower(name), lower(?2)) > 0 GROUP BY name \
                   ORDER BY max(CASE WHEN status IN ('failed', 'timed_out') THEN 2 ELSE status = 'cancelled' END) DESC, \
                   min(position), name LIMIT ?3 OFFSET ?4";
        let read = |row: &rusqlite::Row| Ok(row.get(0).ok().zip(row.get(1).ok())); // A damaged name is skipped.
        let parameters = params![numbers(runs), text, limit, offset];
        let found = self.read(wait, |session| session.rows(sql, parameters, read))?;
        let total = found.iter().flatten().map(|(_, total)| *total).next().unwrap_or_default();
        Ok((found.into_iter().flatten().map(|(name, _): (String, i64)| name).collect(), total))
    }

    /// Returns how steps with some names ended in some runs.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn steps_in(&self, runs: &[i64], names: &[String], wait: Wait) -> Result<Vec<Step>, StoreError> {
        let sql = format!(
            "SELECT {} FROM steps WHERE run IN (SELECT value FROM json_each(?1)) \
             AND name IN (SELECT value FROM json_each(?2)) ORDER BY run, position",
            Step::COLUMNS
        );
        let mut list = String::new();
        json::list(&mut list, names, |out, name| json::text(out, name));
        let parameters = params![numbers(runs), list];
        let found = self.read(wait, |session| session.rows(&sql, parameters, Step::read))?;
        Ok(found.into_iter().flatten().collect())
    }
}

fn numbers(runs: &[i64]) -> String {
    let mut list = String::new();
    json::list(&mut list, runs, |out, run| out.push_str(&run.to_string()));
    list
}
