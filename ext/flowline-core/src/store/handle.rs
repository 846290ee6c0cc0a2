//! The implementation of a store: its files, opened when they are needed, and one transaction at a time in them.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::blobs::Blobs;
use super::directory::{FileId, Stamp};
use super::link::Link;
use super::locks::{self, Access, Lock, Locks};
use super::session::Session;
use super::{FILE, StoreError, fork};

/// The files of a store, and their state. All threads of the process share it.
#[derive(Debug)]
pub struct Handle {
    pub root: PathBuf,
    pub blobs: Blobs,
    /// The identities of the files, once they have been opened.
    pub files: OnceLock<(FileId, Option<FileId>)>,
    open: AtomicBool,
    used: AtomicU64,
    pub parts: Mutex<Parts>,
}

#[derive(Debug, Default)]
pub struct Parts {
    pub locks: Locks,
    pub link: Option<Link>,
    /// Whether this process has removed files that other processes did not remove.
    swept: bool,
    parts: u64,
}

impl Drop for Handle {
    /// Closes the files behind the gate: a fork meanwhile would leave the child with a lock of SQLite's that no thread
    /// releases, and with a copy of the parent's locks that is never closed.
    fn drop(&mut self) {
        let _pass = fork::enter();
        let parts = self.parts.get_mut().unwrap_or_else(PoisonError::into_inner);
        parts.locks.release_all();
        *parts = Parts::default();
    }
}

impl Handle {
    pub fn new(root: PathBuf) -> Self {
        Self {
            blobs: Blobs::new(&root),
            root,
            files: OnceLock::new(),
            open: AtomicBool::new(false),
            used: AtomicU64::new(0),
            parts: Mutex::default(),
        }
    }

    pub fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tries a transaction once. Returns [`Busy`](StoreError::Busy) if another process holds the store.
    pub fn attempt<T>(
        &self,
        access: Access,
        durable: bool,
        work: &mut impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _pass = fork::enter();
        self.used.store(fork::next_use(), Ordering::Relaxed);
        let mut parts = self.parts();
        self.open_locks(&mut parts.locks)?;
        // Opening the database may create SQLite's files again, which no other process may use meanwhile.
        let first = if parts.link.is_none() { parts.locks.access_to_open() } else { access };
        parts.locks.hold(first)?;
        let answer = match self.transact(&mut parts, access, durable, work) {
            Err(StoreError::Malformed(what)) => Err(self.examine(&mut parts, what)),
            answer => answer,
        };
        if !matches!(answer, Ok(_) | Err(StoreError::Busy(_))) {
            parts.link = None; // A new connection may work where this one has failed.
        }
        parts.locks.leave();
        self.note_open(&parts);
        answer
    }

    pub fn transact<T>(
        &self,
        parts: &mut Parts,
        access: Access,
        durable: bool,
        work: &mut impl FnMut(&mut Session) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let is_current = match &mut parts.link {
            None => self.check_files().map(|()| true)?,
            Some(link) if access == Access::Read => self.has_files(link)? && link.has_index(),
            Some(link) => link.has_index(), // A write is checked after its commit.
        };
        if !is_current {
            // SQLite shares the index among the connections of a process: all of them have to be closed.
            let first = parts.locks.access_to_open();
            parts.locks.hold(first)?;
            parts.link = None;
            fork::close_others(self)?;
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
            if !self.has_files(link)? {
                return Err(StoreError::Gone); // Changes to a file that has been removed are not acknowledged.
            }
            if !parts.swept {
                parts.swept = true;
                let _ = link.sweep(&mut parts.locks, &self.blobs); // An error only costs disk space.
            }
        }
        Ok(answer)
    }

    /// Opens the database.
    pub fn connect(&self, locks: &Locks) -> Result<Link, StoreError> {
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

    pub fn open_link(&self, locks: &Locks) -> Result<Link, StoreError> {
        Link::open(&self.root, self.files.get().is_none(), locks)
    }

    pub fn open_locks(&self, locks: &mut Locks) -> Result<(), StoreError> {
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

    pub fn with_locks<T>(
        &self,
        work: impl FnOnce(&mut Locks) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let _pass = fork::enter();
        self.used.store(fork::next_use(), Ordering::Relaxed);
        let mut parts = self.parts();
        self.open_locks(&mut parts.locks)?;
        self.note_open(&parts);
        self.check_files()?;
        work(&mut parts.locks)
    }

    /// Acquires the lock of a file for a new value, and returns the file's number. Numbers start again in each process,
    /// so a number that another process has is skipped.
    pub fn reserve_part(&self) -> Result<u64, StoreError> {
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

    /// Whether the log and the other files are those that were opened. As long as the directory has the same entries,
    /// the files are not looked at.
    fn has_files(&self, link: &mut Link) -> Result<bool, StoreError> {
        let folder = Stamp::at(&self.root)?;
        if link.knows(folder.as_ref()) {
            return Ok(true);
        }
        self.check_files()?;
        let complete = link.has_log();
        if complete {
            link.note(folder);
        }
        Ok(complete)
    }

    /// Checks that the files are those that were opened. Before they are opened, any files are right.
    pub fn check_files(&self) -> Result<(), StoreError> {
        let Some(known) = self.files.get() else { return Ok(()) };
        let found = (FileId::at(&self.root.join(FILE))?, FileId::at(&self.root.join(locks::FILE))?);
        let same = found.0 == Some(known.0) && (known.1.is_none() || found.1 == known.1);
        if same { Ok(()) } else { Err(StoreError::Gone) }
    }

    /// Closes the files that a forked child has inherited.
    pub fn forget(&self) {
        let mut parts = self.parts();
        parts.link = None;
        parts.locks.forget();
        self.note_open(&parts);
    }

    /// Notes whether there is a file that could be closed.
    pub fn note_open(&self, parts: &Parts) {
        self.open.store(parts.link.is_some() || parts.locks.is_idle(), Ordering::Relaxed);
    }

    pub fn is_open(&self) -> bool {
        self.open.load(Ordering::Relaxed)
    }

    pub fn last_used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }

    /// Closes the database if no thread is using it.
    pub fn try_disconnect(&self) -> bool {
        let Ok(mut parts) = self.parts.try_lock() else { return false };
        parts.link = None;
        self.note_open(&parts);
        true
    }

    /// Closes the files if no thread is using them.
    pub fn close_if_idle(&self) -> bool {
        let Ok(mut parts) = self.parts.try_lock() else { return false };
        parts.link = None;
        parts.locks.close_if_idle();
        self.note_open(&parts);
        true
    }
}
