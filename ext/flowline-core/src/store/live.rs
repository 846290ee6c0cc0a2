//! The view that other processes have of a run that goes on, which is a row that its process replaces; and their requests
//! to it.

use rusqlite::{Row, params};

use super::logs::{self, Lines};
use super::rows::Columns;
use super::seal::{SEAL, seal};
use super::session::Session;
use super::{Store, StoreError, Wait};

/// A request of another process to a run that goes on. Times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Request {
    pub run: i64,
    /// `cancel` or `cancel_now`.
    pub kind: String,
    /// The step that it is about, or no text.
    pub subject: String,
    /// The user and process that asked.
    pub requester: String,
    pub requested: f64,
}

impl Request {
    const COLUMNS: &'static str = "run, kind, subject, requester, requested, seal";

    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let mut columns = Columns::of(row);
        let Ok(request) = Self::unsealed(&mut columns) else { return Ok(None) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == request.seal());
        Ok(sound.then_some(request))
    }

    fn unsealed(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            run: columns.next()?,
            kind: columns.next()?,
            subject: columns.next()?,
            requester: columns.next()?,
            requested: columns.next()?,
        })
    }

    fn seal(&self) -> [u8; SEAL] {
        seal(&[&self.run, &self.kind, &self.subject, &self.requester, &self.requested])
    }
}

impl Store {
    /// Replaces the row of a run that goes on, adds lines to its log, and returns what was asked of it.
    ///
    /// # Errors
    /// As for every write.
    pub fn show(
        &self,
        run: i64,
        now: f64,
        body: &str,
        lines: &[Lines],
        wait: Wait,
    ) -> Result<Vec<Request>, StoreError> {
        self.write(wait, false, |session| {
            let seal = seal(&[&run, &now, &body.to_owned()]);
            let sql = "INSERT OR REPLACE INTO live (run, updated, body, seal) VALUES (?1, ?2, ?3, ?4)";
            session.execute(sql, params![run, now, body, seal])?;
            logs::add(session, run, lines)?;
            requests(session, run)
        })
    }

    /// Returns the row of a run that goes on, or of one that has crashed, and when it was written.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn shown(&self, run: i64, wait: Wait) -> Result<Option<(f64, String)>, StoreError> {
        let sql = "SELECT updated, body, seal FROM live WHERE run = ?1";
        let read = |row: &Row| {
            let mut columns = Columns::of(row);
            let (Ok(updated), Ok(body)) = (columns.next::<f64>(), columns.next::<String>()) else {
                return Ok(None);
            };
            let sound =
                columns.next::<[u8; SEAL]>().is_ok_and(|found| found == seal(&[&run, &updated, &body]));
            Ok(sound.then_some((updated, body)))
        };
        Ok(self.read(wait, |session| session.first(sql, [run], read))?.flatten())
    }

    /// Asks something of a run. Asking again changes nothing.
    ///
    /// # Errors
    /// As for every write.
    pub fn ask(&self, request: &Request, wait: Wait) -> Result<(), StoreError> {
        let sql =
            format!("INSERT OR IGNORE INTO requests ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6)", Request::COLUMNS);
        self.write(wait, false, |session| {
            let Request { run, kind, subject, requester, requested } = request;
            session.execute(&sql, params![run, kind, subject, requester, requested, request.seal()])?;
            Ok(())
        })
    }

    /// Returns what was asked of a run, in the order of time.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn requests(&self, run: i64, wait: Wait) -> Result<Vec<Request>, StoreError> {
        self.read(wait, |session| requests(session, run))
    }
}

fn requests(session: &Session, run: i64) -> Result<Vec<Request>, StoreError> {
    let sql = format!("SELECT {} FROM requests WHERE run = ?1 ORDER BY requested", Request::COLUMNS);
    Ok(session.rows(&sql, [run], Request::read)?.into_iter().flatten().collect())
}

/// Removes the row of a run that has ended.
pub fn end(session: &Session, run: i64) -> Result<(), StoreError> {
    session.execute("DELETE FROM live WHERE run = ?1", [run]).map(|_| ())
}
