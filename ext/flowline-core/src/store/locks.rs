//! Locks that the kernel drops when their process ends, however it ends.
//!
//! They belong to an open file description of a file of our own: a byte of it for each. So closing some other
//! descriptor of the file does not drop them (as it would POSIX record locks), nor does a thread's death. A
//! forked child shares the description, and closes its copy at once (see [`fork`](super::fork)). Locks of one
//! description never exclude each other, hence what this process holds is remembered here.
//!
//! Byte 0 is the store's own: shared around what reads, exclusive around what writes. The others are numbered
//! by [`Lock`].

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

/// What can be locked, apart from the store as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lock {
    /// A checkpoint, while a run that records into it is alive.
    Checkpoint(i64),
    /// A key of a cache, while its value is computed; by a digest of 40 bits.
    Key(u64),
    /// A file of a value that is being written.
    Part(u64),
}

impl Lock {
    /// Its byte.
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
    /// Whether the file can be written. Otherwise it can only be locked to read.
    writable: bool,
    held: HashSet<Lock>,
}

impl Locks {
    /// Opens the file of the store in that directory, unless it is open. `false`: it can't be written, nor
    /// anything else there.
    pub fn open(&mut self, root: &Path, create: bool) -> Result<bool, StoreError> {
        if self.kernel.is_none() {
            let file = directory::open_private(&root.join(FILE), create)?;
            self.writable = file.as_ref().is_some_and(directory::is_writable);
            self.kernel = file.map(|file| Kernel::new(file, root));
        }
        Ok(self.kernel.is_some())
    }

    /// The file.
    pub fn file(&self) -> Option<&File> {
        self.kernel.as_ref().map(Kernel::file)
    }

    /// Takes the store as a whole, or changes how it is held. Answers [`Busy`](StoreError::Busy) if another
    /// process has it.
    pub fn hold(&mut self, access: Access) -> Result<(), StoreError> {
        if access == Access::Write && !self.writable {
            return Err(read_only());
        }
        let Some(kernel) = &mut self.kernel else { return Ok(()) };
        if kernel.take(0, access)? { Ok(()) } else { Err(StoreError::TAKEN) }
    }

    /// How the store is held while its database is opened: where nothing can be written, nothing is made.
    pub fn access_to_open(&self) -> Access {
        if self.writable { Access::Write } else { Access::Read }
    }

    /// Gives the store as a whole back.
    pub fn leave(&mut self) {
        if let Some(kernel) = &mut self.kernel {
            let _ = kernel.give_back(0); // It cannot fail; closing the file would do it as well.
        }
    }

    /// Takes a lock if it is free.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let Some(kernel) = self.kernel.as_mut().filter(|_| self.writable) else { return Err(read_only()) };
        if self.held.contains(&lock) || !kernel.take(lock.offset(), Access::Write)? {
            return Ok(false);
        }
        Ok(self.held.insert(lock))
    }

    /// Whether any process has a lock, this one included.
    pub fn is_taken(&self, lock: Lock) -> Result<bool, StoreError> {
        let Some(kernel) = &self.kernel else { return Ok(false) };
        Ok(self.held.contains(&lock) || kernel.is_taken(lock.offset())?)
    }

    /// Gives a lock back that this process has.
    pub fn release(&mut self, lock: Lock) -> Result<(), StoreError> {
        match &mut self.kernel {
            Some(kernel) if self.held.remove(&lock) => kernel.give_back(lock.offset()),
            _ => Ok(()),
        }
    }

    /// Gives all locks back that this process has. Closing the file is not enough: a child that was just forked may
    /// have a copy of it for a moment.
    pub fn release_all(&mut self) {
        for lock in std::mem::take(&mut self.held) {
            if let Some(kernel) = &mut self.kernel {
                let _ = kernel.give_back(lock.offset());
            }
        }
    }

    /// Whether the file is open for no lock.
    pub fn is_idle(&self) -> bool {
        self.kernel.is_some() && self.held.is_empty()
    }

    /// Closes the file unless it would drop a lock.
    pub fn close_if_idle(&mut self) {
        if self.is_idle() {
            self.kernel = None;
        }
    }

    /// Drops a copy of another process's locks; that process keeps them.
    pub fn forget(&mut self) {
        *self = Self::default();
    }
}

/// What is said where a store can only be read.
pub fn read_only() -> StoreError {
    StoreError::Denied("Read-only".to_owned())
}
