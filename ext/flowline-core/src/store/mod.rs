//! Where runs, outcomes, outputs and cached values are recorded: a SQLite database in WAL mode, large values as
//! content-addressed files in a directory of their own, and a file of kernel locks.
//!
//! Every question and every change is one transaction, which is there as a whole or not at all. Around each the
//! store's own [lock](locks) is held: shared to read, exclusive to write. SQLite's own locks are only a second
//! line, because any code of the process that closes some descriptor of the database drops them. For the same
//! reason a database is opened under the exclusive lock, and closing one neither moves the log into it nor
//! removes the log.
//!
//! A [`Store`] is a handle for all threads of its process. It opens files when it needs them, closes them when
//! others need descriptors, and opens them again in a forked child. Before and after each transaction it checks
//! that the files are still those that it opened: what has been removed, moved or replaced acknowledges nothing.
//!
//! Who finds the store busy waits and tries again, and holds nothing in between.

mod blobs;
mod cache;
mod directory;
mod error;
pub mod fork;
mod locks;
mod owner;
mod rows;
mod runs;
mod schema;
mod session;
mod wait;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

pub use error::StoreError;
pub use locks::Lock;
pub use owner::host;
pub use rows::{CRASHED, DAMAGED, Entry, Key, RUNNING, Record, Run, Step};
pub use runs::{Claim, Completion, End, Items, Start};
pub use wait::Wait;

use blobs::{Blobs, Prepared};
use directory::FileId;
use locks::{Access, Locks};
use session::{Link, Session};

/// The database within a store's directory.
pub const FILE: &str = "flowline.db";

/// Values from this size up are files of their own.
pub const INLINE: usize = 256 * 1024;

/// A store, for all threads of its process.
#[derive(Debug, Clone)]
pub struct Store(Arc<Handle>);

/// What is behind a store.
#[derive(Debug)]
struct Handle {
    root: PathBuf,
    blobs: Blobs,
    /// Which files these are, once they have been opened.
    files: OnceLock<(FileId, Option<FileId>)>,
    open: AtomicBool,
    used: AtomicU64,
    parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
struct Parts {
    locks: Locks,
    link: Option<Link>,
    /// Whether this process has looked for files that others left behind.
    swept: bool,
    parts: u64,
}

impl Store {
    /// Opens the store in that directory, made if need be with access for its owner only.
    ///
    /// # Errors
    /// It cannot be read or written, is damaged, is no store, was written by a newer version, or others can write
    /// into its directory.
    pub fn open(root: &Path, wait: Wait) -> Result<Self, StoreError> {
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
        directory::check(&root)?;
        let store = Self(Arc::new(Handle {
            blobs: Blobs::new(&root),
            root,
            files: OnceLock::new(),
            open: AtomicBool::new(false),
            used: AtomicU64::new(0),
            parts: Mutex::default(),
        }));
        {
            let _pass = fork::enter();
            fork::register(&store.0);
        }
        store.read(wait, |_| Ok(()))?;
        Ok(store)
    }

    /// The directory.
    pub fn root(&self) -> &Path {
        &self.0.root
    }

    /// Whether its files are still those that were opened.
    pub fn is_there(&self) -> bool {
        self.0.check_files().is_ok()
    }

    /// Takes a lock if nobody has it.
    ///
    /// # Errors
    /// The store is gone or can only be read, or its file system has no locks.
    pub fn acquire(&self, lock: Lock) -> Result<bool, StoreError> {
        self.0.with_locks(|locks| locks.acquire(lock))
    }

    /// Gives a lock back that this process has. In a forked child of that process it does nothing.
    pub fn release(&self, lock: Lock) {
        let _pass = fork::enter();
        let _ = self.0.parts().locks.release(lock); // Closing the file would do it as well.
    }

    /// Whether anybody has a lock, this process included.
    ///
    /// # Errors
    /// The store is gone, or its file system has no locks.
    pub fn is_taken(&self, lock: Lock) -> Result<bool, StoreError> {
        self.0.with_locks(|locks| locks.is_taken(lock))
    }

    /// Asks in a transaction.
    fn read<T>(
        &self,
        wait: Wait,
        mut work: impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        wait.until_free(|| self.0.attempt(Access::Read, false, &mut work))
    }

    /// Changes in a transaction.
    fn write<T>(
        &self,
        wait: Wait,
        durable: bool,
        mut work: impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        wait.until_free(|| self.0.attempt(Access::Write, durable, &mut work))
    }

    /// Makes a value ready to be stored. A large one is written to a file, under a lock of its own, which
    /// `work` has to make known before it is dropped.
    fn with_prepared<T>(
        &self,
        bytes: &[u8],
        durable: bool,
        work: impl FnOnce(&mut Prepared) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if !blobs::is_large(bytes.len()) {
            return work(&mut Prepared::inline(bytes));
        }
        let lock = self.0.reserve_part()?;
        let _held = Held { store: self, lock: Lock::Part(lock) };
        self.0.blobs.make_folder()?;
        work(&mut Prepared::write(self.0.blobs.part(lock), bytes, durable)?)
    }
}

/// A lock that is given back when it is dropped.
struct Held<'a> {
    store: &'a Store,
    lock: Lock,
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.store.release(self.lock);
    }
}

impl Handle {
    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries once, and answers [`Busy`](StoreError::Busy) if another process has the store.
    fn attempt<T>(
        &self,
        access: Access,
        durable: bool,
        work: &mut impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _pass = fork::enter();
        self.used.store(fork::next_use(), Ordering::Relaxed);
        let mut parts = self.parts();
        self.open_locks(&mut parts.locks)?;
        // Opening the database may make SQLite's files anew, which nobody else may use then.
        let first = if parts.link.is_none() { parts.locks.access_to_open() } else { access };
        parts.locks.hold(first)?;
        let answer = self.transact(&mut parts, access, durable, work);
        if !matches!(answer, Ok(_) | Err(StoreError::Busy(_))) {
            parts.link = None; // Whatever has failed shall not go on failing.
        }
        self.open.store(parts.link.is_some(), Ordering::Relaxed);
        parts.locks.leave();
        answer
    }

    fn transact<T>(
        &self,
        parts: &mut Parts,
        access: Access,
        durable: bool,
        work: &mut impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if access == Access::Read || parts.link.is_none() {
            self.check_files()?; // What writes is checked afterwards.
        }
        if parts.link.as_mut().is_some_and(|link| !link.is_current()) {
            parts.link = None;
            let first = parts.locks.access_to_open();
            parts.locks.hold(first)?;
        }
        let link = match &mut parts.link {
            Some(link) => link,
            None => {
                let link = self.connect(&parts.locks)?;
                parts.locks.hold(access)?;
                parts.link.insert(link)
            }
        };
        let mut session = Session::begin(link, &mut parts.locks, &self.blobs, access, durable)?;
        let answer = work(&mut session)?;
        session.commit()?;
        if access == Access::Write {
            self.check_files()?; // What went into a file that has been removed is not acknowledged.
            if !parts.swept {
                parts.swept = true;
                let _ = link.sweep(&mut parts.locks, &self.blobs); // It is a matter of space alone.
            }
        }
        Ok(answer)
    }

    /// Opens the database.
    fn connect(&self, locks: &Locks) -> Result<Link, StoreError> {
        self.blobs.check_folder()?;
        fork::make_room(self);
        let link = match self.open_link(locks) {
            Err(StoreError::Descriptors(_)) => {
                fork::close_idle(self, 0);
                self.open_link(locks)?
            }
            link => link?,
        };
        let locks = locks.file().map(|file| file.metadata()).transpose()?;
        let files =
            (FileId::at(&self.root.join(FILE))?.ok_or(StoreError::Gone)?, locks.as_ref().map(FileId::of));
        if *self.files.get_or_init(|| files) == files { Ok(link) } else { Err(StoreError::Gone) }
    }

    fn open_link(&self, locks: &Locks) -> Result<Link, StoreError> {
        Link::open(&self.root, self.files.get().is_none(), locks)
    }

    fn open_locks(&self, locks: &mut Locks) -> Result<(), StoreError> {
        if locks.file().is_some() {
            return Ok(());
        }
        let opened = match locks.open(&self.root, self.files.get().is_none()) {
            Err(StoreError::Descriptors(_)) => {
                fork::close_idle(self, 0);
                locks.open(&self.root, self.files.get().is_none())
            }
            opened => opened,
        }?;
        let had_locks = self.files.get().is_some_and(|(_, locks)| locks.is_some());
        if opened || !had_locks { Ok(()) } else { Err(StoreError::Gone) }
    }

    fn with_locks<T>(&self, work: impl FnOnce(&mut Locks) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let _pass = fork::enter();
        let mut parts = self.parts();
        self.open_locks(&mut parts.locks)?;
        self.check_files()?;
        work(&mut parts.locks)
    }

    /// Takes the lock of a file of a value. Numbers start anew in each process: one that another process has is
    /// passed over.
    fn reserve_part(&self) -> Result<u64, StoreError> {
        let _pass = fork::enter();
        let mut parts = self.parts();
        self.open_locks(&mut parts.locks)?;
        loop {
            parts.parts += 1;
            let number = (u64::from(std::process::id()) << 24) + parts.parts;
            if parts.locks.acquire(Lock::Part(number))? {
                return Ok(number);
            }
        }
    }

    /// Whether the files are those that were opened. Before that, any will do.
    fn check_files(&self) -> Result<(), StoreError> {
        let Some(known) = self.files.get() else { return Ok(()) };
        let found = (FileId::at(&self.root.join(FILE))?, FileId::at(&self.root.join(locks::FILE))?);
        let same = found.0 == Some(known.0) && (known.1.is_none() || found.1 == known.1);
        if same { Ok(()) } else { Err(StoreError::Gone) }
    }

    /// Closes what a forked child has inherited.
    fn forget(&self) {
        let mut parts = self.parts();
        parts.link = None;
        parts.locks.forget();
        self.open.store(false, Ordering::Relaxed);
    }

    fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Closes the files if no thread is using them.
    fn close_if_idle(&self) -> bool {
        let Ok(mut parts) = self.parts.try_lock() else { return false };
        parts.link = None;
        parts.locks.close_if_idle();
        self.open.store(false, Ordering::Relaxed);
        true
    }
}

/// The name of a file that SQLite keeps for a database.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}
