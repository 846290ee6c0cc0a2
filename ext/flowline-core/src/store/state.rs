//! The state of pipelines: a few named values each, which stay between runs.
//!
//! A step of a run writes with its completion, in the same transaction, and into the checkpoint of the run. So a run that
//! resumes it has the writes of the steps that it restores. The end of a run that succeeded moves the writes of its
//! checkpoint to the state of the pipeline; with the checkpoint of any other run they are removed. A write that the run has
//! restored is older than the run, so it is left out if the state has changed since: each write knows the seal of the value
//! that it followed. No clock decides, because clocks are set back.

use rusqlite::{Row, params};

use super::records::Writes;
use super::rows::{Columns, Run};
use super::seal::{Part, SEAL, seal, seal_extended};
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

/// A change of a value in a pipeline's state.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// The name of the value.
    pub key: String,
    /// The new value; `None`: it is deleted.
    pub value: Option<Vec<u8>>,
    /// The value as a short text.
    pub shown: String,
    /// When it was written, in seconds since 1970.
    pub written: f64,
}

/// A change that a step has recorded and that is not committed.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Write {
    /// The name of the step.
    pub step: String,
    /// The change itself.
    pub change: Change,
    /// The number of the run that recorded it. Older formats have none.
    pub run: Option<i64>,
    /// Whether the value in the state of the pipeline is another one than the step has followed.
    pub overtaken: bool,
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

impl Write {
    const COLUMNS: &'static str = "checkpoint, step, key, value, shown, written, run, base, seal";

    /// Returns the write of a row and the seal of the value that is committed, or `None` if its own seal is wrong.
    fn read(row: &Row) -> Result<Option<Self>, StoreError> {
        let mut columns = Columns::of(row);
        Ok(Self::sound(&mut columns).ok().flatten())
    }

    fn sound(columns: &mut Columns) -> Result<Option<Self>, StoreError> {
        let (checkpoint, step) = (columns.next::<i64>()?, columns.next()?);
        let change = Change {
            key: columns.next()?,
            value: columns.next()?,
            shown: columns.next()?,
            written: columns.next()?,
        };
        let (run, base) = (columns.next::<Option<i64>>()?, columns.next::<Option<[u8; SEAL]>>()?);
        let found = columns.next::<[u8; SEAL]>()?;
        let overtaken = run.is_some() && base != columns.next::<Option<[u8; SEAL]>>()?;
        let sound = found == change.seal(checkpoint, &step, run, base.as_ref());
        Ok(sound.then_some(Self { step, change, run, overtaken }))
    }
}

impl Change {
    fn seal(
        &self,
        checkpoint: i64,
        step: &String,
        run: Option<i64>,
        base: Option<&[u8; SEAL]>,
    ) -> [u8; SEAL] {
        let base = base.map(|seal| seal.to_vec());
        let parts: [&dyn Part; 6] = [&checkpoint, step, &self.key, &self.value, &self.shown, &self.written];
        seal_extended(&parts, &[&run, &base])
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
        let values = self.read(wait, |session| session.rows(&sql, [pipeline], Value::read))?;
        Ok(values.into_iter().flatten().collect())
    }

    /// Returns what the steps of a checkpoint have written, in the order in which they wrote.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn writes(&self, checkpoint: i64, wait: Wait) -> Result<Vec<Write>, StoreError> {
        self.read(wait, |session| writes(session, checkpoint))
    }

    /// Changes the state of a pipeline.
    ///
    /// # Errors
    /// As for every write.
    pub fn change_state(&self, pipeline: &str, changes: &[Change], wait: Wait) -> Result<(), StoreError> {
        self.write(wait, false, |session| apply(session, pipeline, None, changes))
    }

    /// Returns the secret key of this store, which has the given one from now on if it had none.
    ///
    /// # Errors
    /// As for every write.
    pub fn key(&self, new: &[u8], wait: Wait) -> Result<Vec<u8>, StoreError> {
        if let Some(key) = self.read(wait, |session| key(session))? {
            return Ok(key);
        }
        self.write(wait, false, |session| {
            let seal = seal(&[&new.to_vec()]);
            session.execute("INSERT OR IGNORE INTO keys VALUES (1, ?1, ?2)", params![new, seal])?;
            Ok(key(session)?.unwrap_or_default())
        })
    }
}

/// Returns the secret key. That of an older format has no seal.
fn key(session: &Session) -> Result<Option<Vec<u8>>, StoreError> {
    let row = session.first("SELECT value, seal FROM keys", [], |row| {
        Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Option<[u8; SEAL]>>(1)?))
    })?;
    row.map(|(key, found)| {
        let sound = found.is_none_or(|found| found == seal(&[&key]));
        sound.then_some(key).ok_or_else(|| StoreError::Damaged("its secret key has changed".to_owned()))
    })
    .transpose()
}

/// The pipeline of a checkpoint.
const PIPELINE: &str = "(SELECT pipeline FROM runs WHERE checkpoint = ?1 LIMIT 1)";

fn writes(session: &Session, checkpoint: i64) -> Result<Vec<Write>, StoreError> {
    let columns = Write::COLUMNS.split(", ").map(|column| format!("w.{column}")).collect::<Vec<_>>();
    let sql = format!(
        "SELECT {}, s.seal FROM writes w LEFT JOIN state s ON s.pipeline = {PIPELINE} AND s.key = w.key \
         WHERE w.checkpoint = ?1 ORDER BY w.written",
        columns.join(", ")
    );
    Ok(session.rows(&sql, [checkpoint], Write::read)?.into_iter().flatten().collect())
}

/// Records what a step of a run has written. Its time is later than that of every write before it, even if the clock was set
/// back, because the order of writes is the order of their times.
pub fn record(session: &Session, writes: &Writes) -> Result<(), StoreError> {
    let Writes { run, checkpoint, step, changes } = writes;
    let latest = "SELECT max(written) FROM writes WHERE checkpoint = ?1";
    let latest: Option<f64> = session.first(latest, [checkpoint], |row| Ok(row.get(0)?))?.flatten();
    let earliest = latest.map_or(f64::MIN, |latest| latest + 1e-6);
    let base = format!("SELECT seal FROM state WHERE pipeline = {PIPELINE} AND key = ?2");
    let sql = format!(
        "INSERT OR REPLACE INTO writes ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        Write::COLUMNS
    );
    for change in changes {
        let change = Change { written: change.written.max(earliest), ..change.clone() };
        let base: Option<[u8; SEAL]> =
            session.first(&base, params![checkpoint, change.key], |row| Ok(row.get(0)?))?;
        let seal = change.seal(*checkpoint, step, Some(*run), base.as_ref());
        let Change { key, value, shown, written } = change;
        session.execute(&sql, params![checkpoint, step, key, value, shown, written, run, base, seal])?;
    }
    Ok(())
}

/// Removes what the steps of a checkpoint, or one of them, have written.
pub fn forget(session: &Session, checkpoint: i64, step: Option<&str>) -> Result<(), StoreError> {
    let sql = "DELETE FROM writes WHERE checkpoint = ?1 AND step = coalesce(?2, step)";
    session.execute(sql, params![checkpoint, step]).map(|_| ())
}

/// Moves what the steps of a checkpoint, or some of them, have written to the state of the run's pipeline.
pub fn commit(session: &Session, run: &Run, steps: Option<&[String]>) -> Result<(), StoreError> {
    for Write { step, change, run: writer, overtaken } in writes(session, run.checkpoint)? {
        if steps.is_some_and(|steps| !steps.contains(&step)) {
            continue;
        }
        if !overtaken || writer == Some(run.id) {
            apply(session, &run.pipeline, Some(&run.run_id), &[change])?;
        }
        forget(session, run.checkpoint, Some(&step))?;
    }
    Ok(())
}

fn apply(
    session: &Session,
    pipeline: &str,
    run_id: Option<&str>,
    changes: &[Change],
) -> Result<(), StoreError> {
    let delete = "DELETE FROM state WHERE pipeline = ?1 AND key = ?2";
    let insert =
        format!("INSERT OR REPLACE INTO state ({}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)", Value::COLUMNS);
    for Change { key, value, shown, written } in changes {
        let Some(value) = value else {
            session.execute(delete, params![pipeline, key])?;
            continue;
        };
        let row = Value {
            pipeline: pipeline.to_owned(),
            key: key.clone(),
            value: value.clone(),
            shown: shown.clone(),
            written: *written,
            run_id: run_id.map(str::to_owned),
        };
        let columns = params![pipeline, key, value, shown, written, run_id, row.seal()];
        session.execute(&insert, columns)?;
    }
    Ok(())
}
