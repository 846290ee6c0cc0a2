//! The storage of runs, outcomes, outputs and cached values: a SQLite database in WAL mode, large values as
//! content-addressed files in a directory of their own, and a file of kernel locks.
//!
//! Every read and every write is one transaction, which succeeds as a whole or changes nothing. The store's own
//! [lock](locks) is held during each: shared to read, exclusive to write. SQLite's own locks are only a second line of
//! defence, because they are released when any code of the process closes some descriptor of the database. For the same
//! reason a database is opened under the exclusive lock, and closing one neither moves the log into it nor
//! removes the log.
//!
//! A [`Store`] is a handle for all threads of its process. It opens files when it needs them, closes them when
//! other stores need descriptors, and opens them again in a forked child. Before and after each transaction it checks
//! that the files are still those that it opened. If one was removed, moved or replaced, no change is acknowledged.
//!
//! A caller that finds the store busy waits and tries again, and holds no lock in between.

mod blobs;
mod cache;
mod damage;
mod directory;
mod error;
pub mod fork;
mod graphs;
mod grid;
mod handle;
mod history;
mod link;
mod live;
mod locks;
mod logs;
mod owner;
mod payload;
mod records;
mod rows;
mod runs;
mod schema;
mod seal;
mod session;
mod state;
mod times;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use error::StoreError;
pub use graphs::Graph;
pub use history::Query;
pub use live::Request;
pub use locks::Lock;
pub use logs::Lines;
pub use owner::{clock, host};
pub use records::{Completion, Items, Writes};
pub use rows::{CRASHED, DAMAGED, Entry, Key, RUNNING, Record, Run, Step, Tally};
pub use runs::{Begin, Claim, End, Others, Start};
pub use state::{Change, Value, Write};
pub use wait::Wait;

use blobs::Prepared;
use handle::Handle;
use locks::Access;
use session::Session;

/// The database within a store's directory.
pub const FILE: &str = "flowline.db";

/// Values from this size up are files of their own.
pub const INLINE: usize = 256 * 1024;

/// A store, for all threads of its process.
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

impl Store {
    /// Opens the store in that directory. A missing directory is created with access for its owner only.
    ///
    /// # Errors
    /// It cannot be read or written, is damaged, is no store, was written by a newer version, or other users can
    /// write to its directory.
    pub fn open(root: &Path, wait: Wait) -> Result<Self, StoreError> {
        directory::check_length(root)?;
        directory::make_private(root)?;
        Self::attach(root, wait)
    }

    /// Opens the store in that directory, if there is one.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn existing(root: &Path, wait: Wait) -> Result<Option<Self>, StoreError> {
        let there = directory::metadata(&root.join(FILE))?.is_some();
        there.then(|| Self::attach(root, wait)).transpose()
    }

    fn attach(root: &Path, wait: Wait) -> Result<Self, StoreError> {
        let root = root.canonicalize()?;
        directory::check_length(&root)?;
        directory::check(&root)?;
        let store = Self(Arc::new(Handle::new(root)));
        {
            let _pass = fork::enter();
            fork::register(&store.0);
        }
        store.read(wait, |_| Ok(()))?;
        Ok(store)
    }

    /// Returns the directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Whether its files are still those that were opened.
    pub fn is_there(&self) -> bool {
        self.0.check_files().is_ok()
    }

    /// Acquires a lock if it is free.
    ///
    /// # Errors
    /// The store is gone or can only be read, or its file system has no locks.
    pub fn acquire(&self, lock: Lock) -> Result<bool, StoreError> {
        self.0.with_locks(|locks| locks.acquire(lock))
    }

    /// Releases a lock that this process holds. In a forked child of that process it does nothing.
    pub fn release(&self, lock: Lock) {
        let _pass = fork::enter();
        let _ = self.0.parts().locks.release(lock); // Closing the file releases the lock, too.
    }

    /// Whether any process holds a lock, this one included.
    ///
    /// # Errors
    /// The store is gone, or its file system has no locks.
    pub fn is_taken(&self, lock: Lock) -> Result<bool, StoreError> {
        self.0.with_locks(|locks| locks.is_taken(lock))
    }

    /// Reads in a transaction.
    fn read<T>(
        &self,
        wait: Wait,
        mut work: impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        wait.until_free(|| self.0.attempt(Access::Read, false, &mut work))
    }

    /// Writes in a transaction.
    fn write<T>(
        &self,
        wait: Wait,
        durable: bool,
        mut work: impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        wait.until_free(|| self.0.attempt(Access::Write, durable, &mut work))
    }

    /// Prepares a value for a transaction in `work`. A large one is written to a file, under a lock of its own. The
    /// file is removed afterwards unless `work` has renamed it.
    fn with_prepared<T>(
        &self,
        bytes: &[u8],
        durable: bool,
        work: impl FnOnce(&mut Prepared) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !blobs::is_large(bytes.len()) {
            return work(&mut Prepared::inline(bytes));
        }
        self.0.check_files()?;
        let answer = self.with_part(bytes, durable, work);
        if answer.is_err() {
            self.0.check_files()?; // If the store was removed, that is the error to report, not the missing directory.
        }
        answer
    }

    fn with_part<T>(
        &self,
        bytes: &[u8],
        durable: bool,
        work: impl FnOnce(&mut Prepared) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let lock = self.0.reserve_part()?;
        let _held = Held { store: self, lock: Lock::Part(lock) };
        self.0.blobs.make_folder()?;
        work(&mut Prepared::write(self.0.blobs.part(lock), bytes, durable)?)
    }
}

/// Releases a lock when it is dropped.
struct Held<'a> {
    store: &'a Store,
    lock: Lock,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.store.release(self.lock);
    }
}

/// Returns the path of a file that SQLite has next to a database: its log, or the index of the log.
fn sqlite_file(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
