//! A transaction in an open database.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::StoreError;
use super::blobs::{Blobs, Prepared};
use super::link::Link;
use super::locks::{Access, Lock, Locks};
use super::payload::Found;
use super::rows::Digest;

/// So many free pages are given back to the file system at once.
const FREE: i64 = 1024;

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

    /// Cuts the free pages off the database. A database of an older format has to be rewritten once.
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

    /// Gives the file of a value its name. A value that was dropped here is not removed if it comes back.
    pub fn keep(&self, prepared: &mut Prepared) -> Result<(), StoreError> {
        prepared.keep(self.blobs)
    }

    /// Takes a lock if it is free. It is given back if the transaction fails.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let acquired = self.locks.acquire(lock)?;
        if acquired {
            self.acquired.push(lock);
        }
        Ok(acquired)
    }

    /// Gives a lock back once the transaction is there, and before the store is free.
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
