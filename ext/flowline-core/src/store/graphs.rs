//! The graphs of pipelines, each stored once, however many runs have it. The text of a graph is checked by its digest.

use rusqlite::params;

use super::rows::Digest;
use super::session::Session;
use super::{Store, StoreError, Wait};

/// A graph: its digest and its text, in the encoding of the caller.
#[derive(Debug, Clone, PartialEq)]
pub struct Graph {
    digest: Digest,
    text: String,
}

impl Graph {
    /// Returns the graph with that text.
    pub fn new(text: String) -> Self {
        Self { digest: blake3::hash(text.as_bytes()).into(), text }
    }

    /// Returns its text.
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl Store {
    /// Returns the text of a graph by its number; `None` if it is gone or damaged.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn graph(&self, number: i64, wait: Wait) -> Result<Option<String>, StoreError> {
        let sql = "SELECT digest, body FROM graphs WHERE id = ?1";
        let read = |row: &rusqlite::Row| Ok(row.get::<_, Digest>(0).ok().zip(row.get::<_, String>(1).ok()));
        let found = self.read(wait, |session| session.first(sql, [number], read))?.flatten();
        Ok(found
            .filter(|(digest, body)| *blake3::hash(body.as_bytes()).as_bytes() == *digest)
            .map(|(_, body)| body))
    }
}

/// Returns the number of a graph, which is stored if it is new.
pub fn number(session: &Session, pipeline: &str, graph: &Graph) -> Result<i64, StoreError> {
    let sql = "SELECT id FROM graphs WHERE pipeline = ?1 AND digest = ?2";
    if let Some(id) = session.first(sql, params![pipeline, graph.digest], |row| Ok(row.get(0)?))? {
        return Ok(id);
    }
    let sql = "INSERT INTO graphs (pipeline, digest, body) VALUES (?1, ?2, ?3) RETURNING id";
    let id = session.first(sql, params![pipeline, graph.digest, graph.text], |row| Ok(row.get(0)?))?;
    id.ok_or_else(|| StoreError::Other("a graph was not stored".to_owned()))
}

/// Removes the graphs of a pipeline that no run of it has.
pub fn prune(session: &Session, pipeline: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM graphs WHERE pipeline = ?1 AND id NOT IN \
               (SELECT graph FROM runs WHERE pipeline = ?1 AND graph IS NOT NULL)";
    session.execute(sql, [pipeline]).map(|_| ())
}
