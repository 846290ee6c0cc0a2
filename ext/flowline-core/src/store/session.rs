//! A transaction in an open database, with the changes outside the database that depend on it.
//!
//! A [`Session`] is what every read and every write of a store works with. A write begins with `BEGIN IMMEDIATE`, and
//! ends with [`commit`](Session::commit), or with a rollback when the session is dropped. A read needs no transaction
//! of SQLite: the store's own lock excludes writers as long as the session exists.
//!
//! Locks and files cannot be rolled back, so the session changes them in this order:
//!
//! - Before the commit it acquires locks, and renames the files of new values. If the commit fails, it releases these
//!   locks; the files have no row then, and a sweep removes them.
//! - After the commit it releases locks, removes the files of values that have no row any more, and returns free
//!   pages to the file system. An error in any of this is ignored, because the transaction has succeeded; the next
//!   sweep, or the next process, does it again.
//!
//! A store has one session at a time in this process, under the mutex of its [`Handle`](super::handle::Handle). The
//! store's lock is held from before the session begins until after the commit and its follow-ups, so no other process
//! can refer to a value between the check that it is unused and the removal of its file.
//!
//! It must never happen that:
//! - a row refers to a file that is not complete, or that is removed;
//! - a transaction that was reported as failed is found by the next reader (see [`undo`](Session::undo));
//! - a lock stays acquired for a transaction that failed.

use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};

use super::StoreError;
use super::blobs::{Blobs, Prepared};
use super::link::Link;
use super::locks::{Access, Lock, Locks};
use super::payload::Found;
use super::rows::Digest;

/// The number of free pages that are left in the database. If there are more, all are returned to the file system.
const FREE: i64 = 1024;

/// A transaction, with the actions that follow its commit. It is rolled back if it is dropped without
/// [`commit`](Self::commit).
pub struct Session<'a> {
    connection: &'a Connection,
    pub locks: &'a mut Locks,
    pub blobs: &'a Blobs,
    access: Access,
    /// Values of rows that were deleted, whose files may have no row left.
    dropped: Vec<Digest>,
    /// Locks to release if the transaction fails.
    acquired: Vec<Lock>,
    /// Locks to release after the commit.
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

    /// Commits the transaction, then carries out the actions that depend on it.
    pub fn commit(mut self) -> Result<(), StoreError> {
        if self.access == Access::Read {
            return Ok(());
        }
        if let Err(error) = self.connection.prepare_cached("COMMIT")?.execute([]) {
            self.undo();
            return Err(error.into());
        }
        self.done = true;
        // The transaction has succeeded: errors from here on are ignored.
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

    /// Overwrites the pages that a failed commit may have written to the log. If only the sync failed, the log has the
    /// whole transaction, and the next connection that reads the log would treat it as committed.
    fn undo(&mut self) {
        let run = |sql| self.connection.execute_batch(sql);
        let _ = run("ROLLBACK");
        self.done = true;
        // SQLite writes no page for an update that changes no value.
        let _ = run("PRAGMA synchronous = NORMAL; BEGIN IMMEDIATE; UPDATE totals SET cached = cached + 1; \
                     UPDATE totals SET cached = cached - 1; COMMIT")
        .or_else(|_| run("ROLLBACK"));
    }

    fn is_unused(&self, digest: &Digest) -> Result<bool, StoreError> {
        let sql = "SELECT 1 FROM records WHERE digest = ?1 AND bytes IS NULL UNION ALL \
                   SELECT 1 FROM cache WHERE digest = ?1 AND bytes IS NULL LIMIT 1";
        Ok(self.connection.prepare_cached(sql)?.query_row([digest], |_| Ok(())).optional()?.is_none())
    }

    /// Returns free pages to the file system. A database of an older format has to be rewritten once.
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

    /// Returns a statement, which is compiled at most once.
    pub fn statement(&self, sql: &str) -> Result<CachedStatement<'a>, StoreError> {
        Ok(self.connection.prepare_cached(sql)?)
    }

    /// Executes a statement, and returns how many rows it changed.
    pub fn execute(&self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        Ok(self.statement(sql)?.execute(parameters)?)
    }

    /// Returns the rows that a statement finds, each converted by `read`.
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

    /// Returns the first row that a statement finds, converted by `read`.
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

    /// Deletes rows that have a value, and returns how many. `sql` ends with `RETURNING digest, bytes IS NULL`.
    pub fn delete(&mut self, sql: &str, parameters: impl Params) -> Result<usize, StoreError> {
        let gone =
            self.rows(sql, parameters, |row| Ok((row.get::<_, Digest>(0).ok(), row.get::<_, bool>(1)?)))?;
        self.dropped.extend(gone.iter().filter(|(_, file)| *file).filter_map(|(digest, _)| *digest));
        Ok(gone.len())
    }

    /// Renames the file of a new value to its digest. The commit does not remove it if an earlier row of the same value
    /// was deleted here.
    pub fn keep(&self, prepared: &mut Prepared) -> Result<(), StoreError> {
        prepared.keep(self.blobs)
    }

    /// Acquires a lock if it is free. The lock is released if the transaction fails.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let acquired = self.locks.acquire(lock)?;
        if acquired {
            self.acquired.push(lock);
        }
        Ok(acquired)
    }

    /// Releases a lock after the commit, before the store's lock is released.
    pub fn release(&mut self, lock: Lock) {
        self.released.push(lock);
    }

    /// Returns the space of deleted rows to the file system after the commit, if there is much of it or `anyway`.
    pub fn shrink(&mut self, anyway: bool) -> Result<(), StoreError> {
        let free: i64 = self.connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
        self.shrink = anyway || free > FREE;
        Ok(())
    }

    /// Opens the file of a value, unless the value is in the database. The file can still be read after the store's
    /// lock is released.
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
