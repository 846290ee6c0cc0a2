//! The cache of a store: values by key, until they expire, up to a number of bytes.
//!
//! The database has the total size as a number, and an index finds the least recently used entry, so a write takes as
//! long with a million entries as with none.

use rusqlite::params;
use rusqlite::types::{FromSql, FromSqlResult, ToSql, ToSqlOutput, ValueRef};

use super::blobs::Source;
use super::payload::{Found, Payload};
use super::rows::{Columns, Entry, Key};
use super::session::Session;
use super::{Store, StoreError, Wait};

const COLUMNS: &str = "key, expires, written, used, digest, size, seal, bytes";

impl Store {
    /// Returns the entry of a key. It has no value if that is gone or damaged. An expired entry is left out; so is an
    /// entry that was written in the future, when some clock was ahead, because its age is unknown.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn entry(&self, key: &Key, now: f64, wait: Wait) -> Result<Option<Entry>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cache WHERE key = ?1");
        let found = self.read(wait, |session| {
            let Some(found) = session.first(&sql, [key], read)? else { return Ok(None) };
            found.map(|found| session.find(found)).transpose().map(Some)
        })?;
        match found {
            None => Ok(None),
            Some(None) => Ok(Some(Entry { key: key.clone(), ..Entry::default() })),
            Some(Some(found)) => valid(found, now),
        }
    }

    /// Returns the entries of several keys, as they are at one time. Left out are those that [`entry`](Self::entry) leaves
    /// out, and those whose value is damaged or in a file, because each needs a descriptor.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn small_entries(
        &self,
        keys: &[Key],
        now: f64,
        wait: Wait,
    ) -> Result<Vec<Option<Entry>>, StoreError> {
        let sql = format!("SELECT {COLUMNS} FROM cache WHERE key = ?1");
        let found = self.read(wait, |session| {
            let find = |key| Ok(session.first(&sql, [key], read)?.flatten());
            keys.iter().map(find).collect::<Result<Vec<_>, StoreError>>()
        })?;
        let small = found.into_iter().map(|found| found.filter(|found| !found.is_in_file()));
        small.map(|found| found.map_or(Ok(None), |found| valid(found, now))).collect()
    }

    /// Records that entries were used.
    ///
    /// # Errors
    /// As for every write: it failed, and changed nothing; or it was cancelled while it waited.
    pub fn touch(&self, keys: &[Key], now: f64, wait: Wait) -> Result<(), StoreError> {
        self.write(wait, false, |session| {
            for key in keys {
                session.execute("UPDATE cache SET used = ?2 WHERE key = ?1", params![key, now])?;
            }
            Ok(())
        })
    }

    /// Stores a value, then drops the least recently used entries until at most `most` bytes are left.
    ///
    /// # Errors
    /// As for [`touch`](Self::touch).
    pub fn put(&self, entry: &Entry, value: &[u8], most: i64, wait: Wait) -> Result<(), StoreError> {
        self.with_prepared(value, false, |prepared| {
            self.write(wait, false, |session| {
                drop_where(session, "key = ?1", params![entry.key])?;
                let payload = Payload::of(prepared);
                session.execute(
                    "INSERT INTO cache (key, expires, written, used, digest, size, seal, bytes) \
                     VALUES (?1, ?2, ?3, ?3, ?4, ?5, ?6, ?7)",
                    params![
                        entry.key,
                        entry.expires,
                        entry.written,
                        payload.digest,
                        payload.size,
                        entry.seal(&payload),
                        (!prepared.is_file()).then_some(value)
                    ],
                )?;
                session.execute("UPDATE totals SET cached = cached + ?1", [payload.size])?;
                make_room(session, entry.written, most)?;
                session.keep(prepared)
            })
        })
    }

    /// Drops an entry, or all entries whose keys begin with `key` if it is a prefix, or all entries if it is `None`.
    /// Returns how many were dropped.
    ///
    /// # Errors
    /// As for [`touch`](Self::touch).
    pub fn drop_entries(&self, key: Option<&Key>, prefix: bool, wait: Wait) -> Result<usize, StoreError> {
        self.write(wait, false, |session| {
            let dropped = match key {
                None => {
                    let dropped = drop_where(session, "true", [])?;
                    recount(session)?;
                    dropped
                }
                Some(key) if prefix => {
                    // Compares bytes, because SQLite ends the length of a text at its first NUL.
                    let begins = "typeof(key) = typeof(?1) AND (octet_length(?1) = 0 OR \
                                  substr(CAST(key AS BLOB), 1, octet_length(?1)) = CAST(?1 AS BLOB))";
                    drop_where(session, begins, params![key])?
                }
                Some(key) => drop_where(session, "key = ?1", params![key])?,
            };
            session.shrink(key.is_none())?;
            Ok(dropped)
        })
    }

    /// Returns all entries by their keys, without values.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn entries(&self, now: f64, wait: Wait) -> Result<Vec<Entry>, StoreError> {
        let sql = "SELECT key, expires, written, used, digest, size, seal, NULL FROM cache \
                   WHERE (expires IS NULL OR expires > ?1) AND written <= ?1 ORDER BY key";
        let found = self.read(wait, |session| session.rows(sql, [now], read))?;
        Ok(found.into_iter().flatten().map(|found| found.row).collect())
    }
}

/// Returns an entry with its value, or `None` if it has expired or was written in the future.
fn valid(found: Found<Entry>, now: f64) -> Result<Option<Entry>, StoreError> {
    let entry = &found.row;
    if entry.written > now || entry.expires.is_some_and(|end| end <= now) {
        return Ok(None);
    }
    let (mut entry, value) = found.read()?;
    entry.value = value;
    Ok(Some(entry))
}

/// Returns the entry of a row, or `None` if it is damaged.
fn read(row: &rusqlite::Row) -> Result<Option<Found<Entry>>, StoreError> {
    Ok(read_sound(&mut Columns::of(row)).ok().flatten())
}

fn read_sound(columns: &mut Columns) -> Result<Option<Found<Entry>>, StoreError> {
    let mut entry = Entry {
        key: columns.next()?,
        expires: columns.next()?,
        written: columns.next()?,
        used: columns.next()?,
        ..Entry::default()
    };
    let payload = Payload { digest: columns.next()?, size: columns.next()? };
    entry.size = payload.size;
    let sound = columns.next::<Vec<u8>>()? == entry.seal(&payload);
    let source = columns.next::<Option<Vec<u8>>>()?.map_or(Source::File(None), Source::Inline);
    Ok(sound.then_some(Found { row: entry, payload, source }))
}

/// Drops expired entries, then the least recently used ones. A use in the future counts as none.
fn make_room(session: &mut Session, now: f64, most: i64) -> Result<(), StoreError> {
    drop_where(session, "expires <= ?1", [now])?;
    let known =
        session.first("SELECT cached FROM totals", [], |row| Ok(row.get::<_, i64>(0).ok()))?.flatten();
    let mut total = match known.filter(|total| *total >= 0) {
        Some(total) => total,
        None => recount(session)?, // The total, or the size of an entry, was damaged.
    };
    if total <= most {
        return Ok(());
    }
    session.execute("UPDATE cache SET used = 0 WHERE used > ?1", [now])?;
    let mut oldest = Vec::new();
    {
        let mut statement = session.statement("SELECT rowid, size FROM cache ORDER BY used, rowid")?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()?.filter(|_| total > most) {
            oldest.push(row.get::<_, i64>(0)?);
            total = total.saturating_sub(row.get(1).unwrap_or(0));
        }
    }
    for entry in oldest {
        drop_where(session, "rowid = ?1", [entry])?;
    }
    if total > most {
        recount(session)?; // No entry is left, so the total was damaged.
    }
    Ok(())
}

/// Computes the total again from all entries.
fn recount(session: &Session) -> Result<i64, StoreError> {
    session.execute("DELETE FROM totals", [])?;
    session.execute("INSERT INTO totals SELECT CAST(total(size) AS INTEGER) FROM cache", [])?;
    let total = session.first("SELECT cached FROM totals", [], |row| Ok(row.get(0)?))?;
    Ok(total.unwrap_or_default())
}

fn drop_where(
    session: &mut Session,
    which: &str,
    parameters: impl rusqlite::Params + Clone,
) -> Result<usize, StoreError> {
    let sql = format!("SELECT CAST(total(size) AS INTEGER) FROM cache WHERE {which}");
    let size: i64 = session.first(&sql, parameters.clone(), |row| Ok(row.get(0)?))?.unwrap_or_default();
    let sql = format!("DELETE FROM cache WHERE {which} RETURNING digest, bytes IS NULL");
    let dropped = session.delete(&sql, parameters)?;
    if dropped > 0 {
        session.execute("UPDATE totals SET cached = cached - ?1", [size])?;
    }
    Ok(dropped)
}

impl ToSql for Key {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl FromSql for Key {
    fn column_result(value: ValueRef<'_>) -> FromSqlResult<Self> {
        match value {
            ValueRef::Blob(bytes) => Ok(Self::Bytes(bytes.to_owned())),
            text => text.as_str().map(|text| Self::Text(text.to_owned())),
        }
    }
}
