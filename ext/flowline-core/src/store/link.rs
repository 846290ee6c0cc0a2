//! An open database.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::blobs::{Blobs, Name};
use super::directory::{self, FileId, Stamp};
use super::locks::{Lock, Locks};
use super::rows::Digest;
use super::{FILE, StoreError, schema, sqlite_file};

/// Statements that stay compiled.
const STATEMENTS: usize = 64;
/// A log that is longer is cut after a checkpoint.
const LOG: i64 = 16 << 20;

/// An open database.
#[derive(Debug)]
pub struct Link {
    pub connection: Connection,
    log: Version,
    index: Version,
    seen: Option<Seen>,
    pub durable: bool,
}

/// The stamp of the directory from when all files of the store were last checked, and whether a later check was so much
/// later that every change since would have changed the stamp. Time is measured by this process, because the clock of
/// the file system may be another machine's.
#[derive(Debug)]
struct Seen {
    folder: Stamp,
    since: Instant,
    settled: bool,
}

/// The identity and the size of a file when it was last checked.
#[derive(Debug)]
struct Version {
    path: PathBuf,
    file: Option<FileId>,
    size: u64,
}

impl Link {
    /// Opens the database in that directory. No other process may use it meanwhile.
    pub fn open(root: &Path, create: bool, locks: &Locks) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let database = directory::open_private(&path, create)?;
        let writable = database.as_ref().is_some_and(directory::is_writable);
        if database.is_none() {
            return Err(if create { super::locks::read_only() } else { StoreError::Gone });
        }
        let connection = connect(&path, writable)?;
        prepare(&connection, root, writable, locks).map_err(|error| explain(root, error))?;
        if writable {
            schema::make_own(&path)?;
            locks.file().map_or(Ok(()), |_| directory::make_own(&root.join(super::locks::FILE)))?;
        }
        let log = Version::of(sqlite_file(&path, "-wal"))?;
        let index = Version::of(sqlite_file(&path, "-shm"))?;
        Ok(Self { connection, log, index, seen: None, durable: false })
    }

    /// Whether the index of the log is still the one that is open. Another program may have replaced it. Writing into
    /// an index that was cut would kill this process with `SIGBUS`.
    pub fn has_index(&mut self) -> bool {
        self.index.is_current(true)
    }

    /// Whether the log is still the one that is open.
    pub fn has_log(&mut self) -> bool {
        self.log.is_current(false)
    }

    /// Whether the directory certainly has the same entries as at the last check of all files.
    pub fn knows(&self, folder: Option<&Stamp>) -> bool {
        self.seen.as_ref().is_some_and(|seen| seen.settled && Some(&seen.folder) == folder)
    }

    /// Records the stamp of the directory from right before a successful check of all files.
    pub fn note(&mut self, folder: Option<Stamp>) {
        match (&mut self.seen, folder) {
            (Some(seen), Some(folder)) if seen.folder == folder => {
                seen.settled = seen.since.elapsed() > folder.tick();
            }
            (seen, folder) => {
                *seen = folder.map(|folder| Seen { folder, since: Instant::now(), settled: false });
            }
        }
    }

    /// Whether SQLite finds no damage in any page and any index.
    pub fn is_sound(&self) -> Result<bool, StoreError> {
        let found =
            self.connection.query_row("PRAGMA integrity_check(1)", [], |row| row.get::<_, String>(0))?;
        Ok(found == "ok")
    }

    /// Removes files of values that no row refers to, and files that no process is writing any more. The caller holds
    /// the store for writing.
    pub fn sweep(&self, locks: &mut Locks, blobs: &Blobs) -> Result<(), StoreError> {
        let names = blobs.names();
        if names.is_empty() {
            return Ok(());
        }
        let sql = "SELECT digest FROM records WHERE bytes IS NULL UNION SELECT digest FROM cache WHERE bytes IS NULL";
        let mut statement = self.connection.prepare(sql)?;
        let needed = statement.query_map([], |row| row.get(0))?.collect::<Result<HashSet<Digest>, _>>()?;
        for name in names {
            match name {
                Name::Blob(digest) if !needed.contains(&digest) => blobs.remove(&digest),
                Name::Part(number) if locks.acquire(Lock::Part(number))? => {
                    let _ = std::fs::remove_file(blobs.part(number)); // If it fails, the next sweep removes the file.
                    locks.release(Lock::Part(number))?;
                }
                Name::Blob(_) | Name::Part(_) => {}
            }
        }
        Ok(())
    }
}

fn connect(path: &Path, writable: bool) -> Result<Connection, StoreError> {
    let access = if writable { OpenFlags::SQLITE_OPEN_READ_WRITE } else { OpenFlags::SQLITE_OPEN_READ_ONLY };
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let log = directory::metadata(&sqlite_file(path, "-wal"))?;
    let indexed = directory::metadata(&sqlite_file(path, "-shm"))?.is_some();
    let connection = if writable || (log.is_some() && indexed) {
        Connection::open_with_flags(path, flags)
    } else if log.is_some_and(|log| log.len() > 0) {
        return Err(StoreError::Unindexed);
    } else {
        // There is no log, and none can be created.
        let name = format!("file:{}?immutable=1", escape(path));
        Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)
    };
    connection.map_err(|error| why(path, error))
}

/// Makes a database ready for use.
fn prepare(connection: &Connection, root: &Path, writable: bool, locks: &Locks) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    schema::migrate(connection, root, writable, locks)?;
    if writable {
        connection.pragma_update(None, "journal_mode", "WAL")?; // Only a database of Flowline gets here.
    }
    // The first query makes SQLite open the log and its index.
    connection.query_row("SELECT count(*) FROM totals", [], |_| Ok(()))?;
    Ok(())
}

/// Finds out why SQLite could not open a file, because its error does not say. The process may lack descriptors for its
/// three files.
fn explain(root: &Path, error: StoreError) -> StoreError {
    let StoreError::Denied(_) = error else { return error };
    match (0..3).map(|_| std::fs::File::open(root)).collect::<Result<Vec<_>, _>>().map_err(StoreError::from) {
        Err(none @ StoreError::Descriptors(_)) => none,
        _ => error,
    }
}

/// Escapes a path for a URI.
fn escape(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// Finds out why a database cannot be opened, because the error of SQLite does not say.
fn why(path: &Path, error: rusqlite::Error) -> StoreError {
    match std::fs::File::open(path) {
        Err(reason) if !directory::is_absent(&reason) => reason.into(),
        _ => error.into(),
    }
}

impl Version {
    fn of(path: PathBuf) -> Result<Self, StoreError> {
        let data = directory::metadata(&path)?;
        let file = data.as_ref().map(FileId::of);
        Ok(Self { path, file, size: data.map_or(0, |data| data.len()) })
    }

    /// Whether it is still the same file, and no smaller if it only ever grows.
    fn is_current(&mut self, grows: bool) -> bool {
        let Ok(found) = directory::metadata(&self.path) else { return false };
        let size = found.as_ref().map_or(0, |data| data.len());
        let same = found.as_ref().map(FileId::of) == self.file && (!grows || size >= self.size);
        self.size = size;
        same
    }
}
