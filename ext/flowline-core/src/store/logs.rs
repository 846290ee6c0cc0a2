//! The lines that steps of a run log or print, in chunks. Of each step the first and the last lines stay.

use rusqlite::{Row, params};

use super::rows::Columns;
use super::seal::{SEAL, seal};
use super::session::Session;
use super::{Store, StoreError, Wait};

/// Consecutive lines of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    /// The position of the step; -1: lines of the run itself.
    pub step: i64,
    /// The number of the first line among those of the step, from 0.
    pub number: i64,
    /// How many lines there are.
    pub lines: i64,
    /// The lines, in the encoding of the caller.
    pub body: String,
    /// How many of the first, and of the last, lines of the step stay.
    pub most: i64,
}

impl Lines {
    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let mut columns = Columns::of(row);
        let run = columns.next()?;
        let Ok(lines) = Self::unsealed(&mut columns) else { return Ok(None) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == lines.seal(run));
        Ok(sound.then_some(lines))
    }

    fn unsealed(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            step: columns.next()?,
            number: columns.next()?,
            lines: columns.next()?,
            body: columns.next()?,
            most: 0,
        })
    }

    fn seal(&self, run: i64) -> [u8; SEAL] {
        seal(&[&run, &self.step, &self.number, &self.lines, &self.body])
    }
}

impl Store {
    /// Adds lines to the log of a run.
    ///
    /// # Errors
    /// As for every write.
    pub fn log(&self, run: i64, lines: &[Lines], wait: Wait) -> Result<(), StoreError> {
        self.write(wait, false, |session| add(session, run, lines))
    }

    /// Returns the log of a run, or of one of its steps, in the order in which the lines were added, without the chunks up
    /// to a number that was read before. `last` is how many chunks at the end are returned at most; -1 is all.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn logs(
        &self,
        run: i64,
        step: Option<i64>,
        after: i64,
        last: i64,
        wait: Wait,
    ) -> Result<Vec<(i64, Lines)>, StoreError> {
        let sql = "SELECT run, step, number, lines, body, seal, rowid FROM logs WHERE rowid IN \
                   (SELECT rowid FROM logs WHERE run = ?1 AND step = coalesce(?2, step) AND rowid > ?3 \
                   ORDER BY rowid DESC LIMIT ?4) ORDER BY rowid";
        let read = |row: &Row| Ok((row.get::<_, i64>(6)?, Lines::read(row)?));
        let found = self.read(wait, |session| session.rows(sql, params![run, step, after, last], read))?;
        Ok(found.into_iter().filter_map(|(id, lines)| lines.map(|lines| (id, lines))).collect())
    }
}

/// Adds lines, and removes those between the first and the last lines of their steps.
pub fn add(session: &Session, run: i64, chunks: &[Lines]) -> Result<(), StoreError> {
    for chunk in chunks {
        let sql = "INSERT OR REPLACE INTO logs (run, step, number, lines, body, seal) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
        let row = params![run, chunk.step, chunk.number, chunk.lines, chunk.body, chunk.seal(run)];
        session.execute(sql, row)?;
        let sql = "DELETE FROM logs WHERE run = ?1 AND step = ?2 AND number >= ?3 AND number + lines <= ?4";
        let last = chunk.number.saturating_add(chunk.lines).saturating_sub(chunk.most);
        session.execute(sql, params![run, chunk.step, chunk.most, last])?;
    }
    Ok(())
}
