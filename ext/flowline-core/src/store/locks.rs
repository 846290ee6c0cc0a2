//! Locks that the kernel releases when their process ends, even by `SIGKILL`.
//!
//! A lock is a byte of a file that has no other use, [`FILE`]. Byte 0 is the lock of the store as a whole: shared while
//! a process reads, exclusive while it writes. Every other byte belongs to a [`Lock`]: a checkpoint, a key of a cache,
//! or the file of a value that is being written. Systems without locks by byte have a file for each lock instead
//! (see `files.rs`).
//!
//! The locks belong to an open file description, not to a process or a thread. So they stay when some code of the
//! process closes another descriptor of the file, which would release POSIX record locks, and when a thread is killed.
//! A forked child shares its parent's description, and closes its copy immediately (see [`fork`](super::fork)). Until
//! then a lock may outlive a parent that was killed.
//!
//! The kernel does not make locks of one description exclude each other, so [`Locks`] remembers which it holds. Its
//! handle's mutex admits one thread at a time. A second handle of the same directory has its own description, so the
//! kernel excludes it like another process. No call here waits for a lock that is not free. The caller tries again
//! later ([`Wait`](super::Wait)), and does not hold the store in between.
//!
//! It must never happen that:
//! - two runs hold the lock of one checkpoint, or two writers hold the store;
//! - a forked child releases a lock of its parent: the child may close its copy, but not unlock a byte;
//! - a lock is still held after its run has ended, because the run could then not be resumed.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use super::{StoreError, directory};

#[cfg(any(test, not(any(target_os = "linux", target_os = "android"))))]
mod files;
#[cfg(any(target_os = "linux", target_os = "android"))]
mod kernel;

#[cfg(not(any(target_os = "linux", target_os = "android")))]
use files::Kernel;
#[cfg(any(target_os = "linux", target_os = "android"))]
use kernel::Kernel;

/// The file that is locked.
pub const FILE: &str = "flowline.lock";

/// The locks of a store, apart from that of the store as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lock {
    /// The lock of a checkpoint, held as long as a run that records into it is alive.
    Checkpoint(i64),
    /// The lock of a cache key, held while its value is computed. The number is the first part of the key's digest.
    Key(u64),
    /// The lock of a value's file, held while the file is written.
    Part(u64),
}

impl Lock {
    /// Returns its byte in the file.
    fn offset(self) -> i64 {
        const SPACE: i64 = 1 << 60;
        const NUMBER: u64 = (1 << 59) - 1;
        match self {
            Self::Checkpoint(id) => 1 + (id & (SPACE - 1)),
            Self::Key(digest) => SPACE + (digest & NUMBER) as i64,
            Self::Part(number) => 2 * SPACE + (number & NUMBER) as i64,
        }
    }
}

/// The kind of access to a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// The locks of one store that this process holds.
#[derive(Debug, Default)]
pub struct Locks {
    kernel: Option<Kernel>,
    /// Whether the file can be written. Otherwise only shared locks are possible.
    writable: bool,
    held: HashSet<Lock>,
}

impl Locks {
    /// Opens the file of the store in that directory, unless it is open. Returns `false` if there is no such file and
    /// none can be created, because the directory is read-only.
    pub fn open(&mut self, root: &Path, create: bool) -> Result<bool, StoreError> {
        if self.kernel.is_none() {
            let file = directory::open_private(&root.join(FILE), create)?;
            self.writable = file.as_ref().is_some_and(directory::is_writable);
            self.kernel = file.map(|file| Kernel::new(file, root));
        }
        Ok(self.kernel.is_some())
    }

    /// Returns the file, if it is open.
    pub fn file(&self) -> Option<&File> {
        self.kernel.as_ref().map(Kernel::file)
    }

    /// Acquires the lock of the store as a whole, or changes it from shared to exclusive or back. Returns
    /// [`Busy`](StoreError::Busy) if another process holds it.
    pub fn hold(&mut self, access: Access) -> Result<(), StoreError> {
        if access == Access::Write && !self.writable {
            return Err(read_only());
        }
        let Some(kernel) = &mut self.kernel else { return Ok(()) };
        if kernel.take(0, access)? { Ok(()) } else { Err(StoreError::TAKEN) }
    }

    /// Returns the access that opening the database needs. A store that cannot be written needs no exclusive lock,
    /// because no file is created there.
    pub fn access_to_open(&self) -> Access {
        if self.writable { Access::Write } else { Access::Read }
    }

    /// Releases the lock of the store as a whole.
    pub fn leave(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            let _ = kernel.give_back(0); // It cannot fail; and closing the file releases the lock, too.
        }
    }

    /// Acquires a lock if it is free.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let Some(kernel) = self.kernel.as_mut().filter(|_| self.writable) else { return Err(read_only()) };
        if self.held.contains(&lock) || !kernel.take(lock.offset(), Access::Write)? {
            return Ok(false);
        }
        Ok(self.held.insert(lock))
    }

    /// Whether any process holds a lock, this one included.
    pub fn is_taken(&self, lock: Lock) -> Result<bool, StoreError> {
        let Some(kernel) = &self.kernel else { return Ok(false) };
        Ok(self.held.contains(&lock) || kernel.is_taken(lock.offset())?)
    }

    /// Releases a lock, if it is held here.
    pub fn release(&mut self, lock: Lock) -> Result<(), StoreError> {
        match &mut self.kernel {
            Some(kernel) if self.held.remove(&lock) => kernel.give_back(lock.offset()),
            _ => Ok(()),
        }
    }

    /// Releases all locks that are held here. Closing the file is not enough, because a child that was just forked may
    /// have a copy of it for a moment.
    pub fn release_all(&mut self) {
        for lock in std::mem::take(&mut self.held) {
            if let Some(kernel) = &mut self.kernel {
                let _ = kernel.give_back(lock.offset());
            }
        }
    }

    /// Whether the file is open although no lock is held.
    pub fn is_idle(&self) -> bool {
        self.kernel.is_some() && self.held.is_empty()
    }

    /// Closes the file unless this would release a lock.
    pub fn close_if_idle(&mut self) {
        if self.is_idle() {
            self.kernel = None;
        }
    }

    /// Closes a forked child's copy of its parent's locks. The parent still holds them.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// Returns the error of a change to a store that can only be read.
pub fn read_only() -> StoreError {
    StoreError::Denied("Read-only".to_owned())
}
