//! The state of pipelines: a few named values each, which stay between runs.

use rusqlite::{Row, params};

use super::rows::Columns;
use super::seal::{SEAL, seal};
use super::session::Session;
use super::{Store, StoreError, Wait};

/// A value of a pipeline's state.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs)]
pub struct Value {
    pub pipeline: String,
    pub key: String,
    pub value: Vec<u8>,
    /// The value as a short text.
    pub shown: String,
    /// When it was written, in seconds since 1970.
    pub written: f64,
    /// The run that wrote it, if one did.
    pub run_id: Option<String>,
}

/// A change of a pipeline's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The name of the value.
    pub key: String,
    /// The new value and its text; `None`: the value is deleted.
    pub value: Option<(Vec<u8>, String)>,
    /// When it was written, in seconds since 1970.
    pub written: f64,
}

impl Value {
    const COLUMNS: &'static str = "pipeline, key, value, shown, written, run_id, seal";

    /// Returns the value of a row, or `None` if its seal is wrong.
    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let mut columns = Columns::of(row);
        let Ok(value) = Self::unsealed(&mut columns) else { return Ok(None) };
        let sound = columns.next::<[u8; SEAL]>().is_ok_and(|seal| seal == value.seal());
        Ok(sound.then_some(value))
    }

    fn unsealed(columns: &mut Columns) -> Result<Self, StoreError> {
        Ok(Self {
            pipeline: columns.next()?,
            key: columns.next()?,
            value: columns.next()?,
            shown: columns.next()?,
            written: columns.next()?,
            run_id: columns.next()?,
        })
    }

    fn seal(&self) -> [u8; SEAL] {
        seal(&[&self.pipeline, &self.key, &self.value, &self.shown, &self.written, &self.run_id])
    }
}

impl Store {
    /// Returns the state of a pipeline, or of all, by key. A damaged value is left out.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn state(&self, pipeline: Option<&str>, wait: Wait) -> Result<Vec<Value>, StoreError> {
        let sql = format!(
            "SELECT {} FROM state WHERE pipeline = coalesce(?1, pipeline) ORDER BY pipeline, key",
            Value::COLUMNS
        );
        Ok(self
            .read(wait, |session| session.rows(&sql, [pipeline], Value::read))?
            .into_iter()
            .flatten()
            .collect())
    }

    /// Changes the state of a pipeline.
    ///
    /// # Errors
    /// As for every write.
    pub fn change_state(&self, pipeline: &str, changes: &[Change], wait: Wait) -> Result<(), StoreError> {
        self.write(wait, false, |session| change(session, pipeline, None, changes))
    }
}

/// Changes the state of a pipeline.
pub fn change(
    session: &Session,
    pipeline: &str,
    run_id: Option<&str>,
    changes: &[Change],
) -> Result<(), StoreError> {
    for Change { key, value, written } in changes {
        let Some((bytes, shown)) = value else {
            session.execute("DELETE FROM state WHERE pipeline = ?1 AND key = ?2", params![pipeline, key])?;
            continue;
        };
        let row = Value {
            pipeline: pipeline.to_owned(),
            key: key.clone(),
            value: bytes.clone(),
            shown: shown.clone(),
            written: *written,
            run_id: run_id.map(str::to_owned),
        };
        let sql =
            format!("INSERT OR REPLACE INTO state ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", Value::COLUMNS);
        let columns =
            params![row.pipeline, row.key, row.value, row.shown, row.written, row.run_id, row.seal()];
        session.execute(&sql, columns)?;
    }
    Ok(())
}
