//! An open database, and a transaction in it.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use rusqlite::config::DbConfig;
use rusqlite::{CachedStatement, Connection, OpenFlags, OptionalExtension, Params, Row};

use super::blobs::{Blobs, Name, Prepared, Source};
use super::directory::{self, FileId};
use super::locks::{Access, Lock, Locks};
use super::rows::{Digest, Found, Payload};
use super::{FILE, StoreError, beside, schema};

/// Statements that stay compiled.
const STATEMENTS: usize = 64;
/// A log that has become longer is cut.
const LOG: i64 = 16 << 20;
/// So many free pages are given back to the file system at once.
const FREE: i64 = 1024;

/// An open database.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
    log: Version,
    index: Version,
    durable: bool,
}

/// Which file it was, and how large, when it was last seen.
#[derive(Debug)]
struct Version {
    path: PathBuf,
    file: Option<FileId>,
    size: u64,
}

impl Link {
    /// Opens the database in that directory. Nobody else may use it meanwhile.
    pub fn open(root: &Path, create: bool, locks: &Locks) -> Result<Self, StoreError> {
        let path = root.join(FILE);
        let database = directory::open_private(&path, create)?;
        let writable = database.as_ref().is_some_and(directory::is_writable);
        if database.is_none() {
            return Err(if create { super::locks::read_only() } else { StoreError::Gone });
        }
        let connection = connect(&path, writable)?;
        prepare(&connection, root, writable).map_err(|error| explain(root, error))?;
        if writable {
            schema::make_own(&path)?;
            locks.file().map_or(Ok(()), |_| directory::make_own(&root.join(super::locks::FILE)))?;
        }
        let log = Version::of(beside(&path, "-wal"))?;
        let index = Version::of(beside(&path, "-shm"))?;
        Ok(Self { connection, log, index, durable: false })
    }

    /// Whether the log and its index are still those that are open. Another program may have made them anew;
    /// writing into an index that was cut would end this process.
    pub fn is_current(&mut self) -> bool {
        self.log.is_current(false) && self.index.is_current(true)
    }

    /// Removes files of values to which nothing refers, and those that nobody is writing any more. The store is
    /// held for writing.
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
                    let _ = std::fs::remove_file(blobs.part(number)); // The next time, then.
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
    let connection = if !writable && directory::metadata(&beside(path, "-wal"))?.is_none() {
        // Nothing is in a log, and none can be made.
        let name = format!("file:{}?immutable=1", escape(path));
        Connection::open_with_flags(name, flags | OpenFlags::SQLITE_OPEN_URI)
    } else {
        Connection::open_with_flags(path, flags)
    };
    connection.map_err(|error| why(path, error))
}

/// Makes a database ready for use.
fn prepare(connection: &Connection, root: &Path, writable: bool) -> Result<(), StoreError> {
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.pragma_update(None, "journal_size_limit", LOG)?;
    schema::migrate(connection, root, writable)?;
    if writable {
        connection.pragma_update(None, "journal_mode", "WAL")?; // Not before it is known to be ours.
    }
    connection.query_row("SELECT count(*) FROM totals", [], |_| Ok(()))?; // Makes what SQLite needs.
    Ok(())
}

/// SQLite does not say why it cannot open a file: there may be no descriptor for each of its three.
fn explain(root: &Path, error: StoreError) -> StoreError {
    let StoreError::Denied(_) = error else { return error };
    match (0..3).map(|_| std::fs::File::open(root)).collect::<Result<Vec<_>, _>>().map_err(StoreError::from) {
        Err(none @ StoreError::Descriptors(_)) => none,
        _ => error,
    }
}

/// A path as part of a URI.
fn escape(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/-_.~".contains(&byte);
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02x}") })
        .collect()
}

/// Why a database cannot be opened: SQLite says just that it can't.
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

    /// Whether it is still that file, and, if it is one that only grows, no smaller.
    fn is_current(&mut self, grows: bool) -> bool {
        let Ok(found) = directory::metadata(&self.path) else { return false };
        let size = found.as_ref().map_or(0, |data| data.len());
        let same = found.as_ref().map(FileId::of) == self.file && (!grows || size >= self.size);
        self.size = size;
        same
    }
}

/// A transaction, with what has to happen once it is there. Dropped without [`commit`](Self::commit) it has not
/// been.
pub struct Session<'a> {
    connection: &'a Connection,
    pub locks: &'a mut Locks,
    pub blobs: &'a Blobs,
    access: Access,
    /// Values that a row less refers to.
    dropped: Vec<Digest>,
    /// Locks that were taken, for the case that it fails.
    acquired: Vec<Lock>,
    /// Locks to be given back.
    released: Vec<Lock>,
    shrink: bool,
    done: bool,
}

impl<'a> Session<'a> {
    pub fn begin(
        link: &'a mut Link,
        locks: &'a mut Locks,
        blobs: &'a Blobs,
        access: Access,
        durable: bool,
    ) -> Result<Self, StoreError> {
        if access == Access::Write {
            if link.durable != durable {
                let level = if durable { "FULL" } else { "NORMAL" };
                link.connection.pragma_update(None, "synchronous", level)?;
                link.durable = durable;
            }
            link.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        }
        Ok(Self {
            connection: &link.connection,
            locks,
            blobs,
            access,
            dropped: vec![],
            acquired: vec![],
            released: vec![],
            shrink: false,
            done: access == Access::Read,
        })
    }

    /// Makes it last; then what depends on that.
    pub fn commit(mut self) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Ok(());
        }
        if let Err(error) = self.connection.prepare_cached("COMMIT")?.execute([]) {
            self.undo();
            return Err(error.into());
        }
        self.done = true;
        // From here on it is there, whatever else goes wrong.
        self.acquired.clear();
        for lock in std::mem::take(&mut self.released) {
            let _ = self.locks.release(lock);
        }
        for digest in std::mem::take(&mut self.dropped) {
            if self.is_unused(&digest).unwrap_or(false) {
                self.blobs.remove(&digest);
            }
        }
        if self.shrink {
            let _ = self.give_back_space();
        }
        Ok(())
    }

    /// Overwrites what a failed commit may have written to the log. If only the sync failed, the log has the whole
    /// transaction, and the next connection that reads the log would take it for committed.
    fn undo(&mut self) {
        let run = |sql| self.connection.execute_batch(sql);
        let _ = run("ROLLBACK");
        self.done = true;
        // An update that changes nothing would write nothing.
        let _ = run("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; UPDATE totals SET cached = cached + 1; \
                     UPDATE totals SET cached = cached - 1; COMMIT")
        .or_else(|_| run("ROLLBACK"));
    }

    fn is_unused(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM records WHERE digest = ?1 AND bytes IS NULL UNION ALL \
                   SELECT 1 FROM cache WHERE digest = ?1 AND bytes IS NULL LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.query_row([digest], |_| Ok(())).optional()?.is_none())
    }

    /// Cuts the free pages off the database. A database of an older format has to be written anew once.
    fn give_back_space(&self) -> Result<(), StoreError> {
        let read = |name| self.connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0));
        if read("auto_vacuum")? == 0 {
            self.connection.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
            self.connection.execute_batch("VACUUM")?;
        } else {
            let mut statement = self.connection.prepare("PRAGMA incremental_vacuum")?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
        }
        self.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
        Ok(())
    }

    /// A statement, compiled at most once.
    pub fn statement(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// Carries a statement out; how many rows it changed.
    pub fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        Ok(self.statement(sql)?.execute(parameters)?)
    }

    /// The rows that a statement finds, each as `read` makes it.
    pub fn rows<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        mut read: impl FnMut(&Row) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(parameters)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(read(row)?);
        }
        Ok(found)
    }

    /// The first row that a statement finds.
    pub fn first<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Row) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let mut statement = self.statement(sql)?;
        let mut rows = statement.query(parameters)?;
        rows.next()?.map(read).transpose()
    }

    /// Deletes rows that have a value, as `sql` says, which ends with `RETURNING digest, bytes IS NULL`; how many.
    pub fn delete(&mut self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        let gone =
            self.rows(sql, parameters, |row| Ok((row.get::<_, Digest>(0).ok(), row.get::<_, bool>(1)?)))?;
        self.dropped.extend(gone.iter().filter(|(_, file)| *file).filter_map(|(digest, _)| *digest));
        Ok(gone.len())
    }

    /// Notes the value of a row that is about to be replaced, as `sql` finds it.
    pub fn drop_replaced(&mut self, sql: &str, parameters: impl Params) -> Result<(), StoreError> {
        let replaced = self.first(sql, parameters, |row| Ok(row.get::<_, Digest>(0).ok()))?;
        self.dropped.extend(replaced.flatten());
        Ok(())
    }

    /// Gives the file of a value its name. A value that was dropped here is not removed if it comes back.
    pub fn keep(&self, prepared: &mut Prepared) -> Result<(), StoreError> {
        prepared.keep(self.blobs)
    }

    /// Takes a lock if nobody has it. It is given back if the transaction fails.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let acquired = self.locks.acquire(lock)?;
        if acquired {
            self.acquired.push(lock);
        }
        Ok(acquired)
    }

    /// Gives a lock back once the transaction is there, and before anybody can look.
    pub fn release(&mut self, lock: Lock) {
        self.released.push(lock);
    }

    /// Gives the space of what was deleted back to the file system, once the transaction is there.
    pub fn shrink(&mut self, anyway: bool) -> Result<(), StoreError> {
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        self.shrink = anyway || free > FREE;
        Ok(())
    }

    /// Opens the file of a value, unless the value is in the database. It can be read when the store is held no
    /// longer.
    pub fn find<T>(&self, found: Found<T>) -> Result<Found<T>, StoreError> {
        if found.is_in_file() { found.open(self.blobs) } else { Ok(found) }
    }
}

impl Drop for Session<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = self.connection.prepare_cached("ROLLBACK").and_then(|mut sql| sql.execute([]));
        }
        for lock in std::mem::take(&mut self.acquired) {
            let _ = self.locks.release(lock);
        }
    }
}

impl<T> Found<T> {
    /// Whether its value is not in the database.
    pub fn is_in_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Opens the file of its value.
    pub fn open(self, blobs: &Blobs) -> Result<Self, StoreError> {
        let source = Source::File(blobs.open(&self.payload.digest)?);
        Ok(Self { source, ..self })
    }

    /// The row, and its value if that is the one that was stored.
    pub fn read(self) -> Result<(T, Option<Vec<u8>>), StoreError> {
        let Self { row, payload, source } = self;
        Ok((row, source.read(&payload)?))
    }
}

impl Payload {
    /// What a row says of a value that is being stored.
    pub fn of(prepared: &Prepared) -> Self {
        Self { digest: prepared.digest, size: prepared.size }
    }
}
