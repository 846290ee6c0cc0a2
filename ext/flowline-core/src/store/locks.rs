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

mod kernel;

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

/// What somebody is about to do with a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    Read,
    Write,
}

/// The locks of one store that this process holds.
#[derive(Debug, Default)]
pub struct Locks {
    file: Option<File>,
    /// Whether the file can be written. Otherwise it can only be locked to read.
    writable: bool,
    held: HashSet<Lock>,
}

impl Locks {
    /// Opens the file of the store in that directory, unless it is open. `false`: it can't be written, nor
    /// anything else there.
    pub fn open(&mut self, root: &Path, create: bool) -> Result<bool, StoreError> {
        if self.file.is_none() {
            self.file = directory::open_private(&root.join(FILE), create)?;
            self.writable = self.file.as_ref().is_some_and(directory::is_writable);
        }
        Ok(self.file.is_some())
    }

    /// The file.
    pub fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Takes the store as a whole, or changes how it is held. Answers [`Busy`](StoreError::Busy) if another
    /// process has it.
    pub fn hold(&self, access: Access) -> Result<(), StoreError> {
        if access == Access::Write && !self.writable {
            return Err(read_only());
        }
        let Some(file) = &self.file else { return Ok(()) };
        if kernel::take(file, 0, access)? { Ok(()) } else { Err(StoreError::TAKEN) }
    }

    /// How the store is held while its database is opened: nothing is made anew where nothing can be written.
    pub fn access_to_open(&self) -> Access {
        if self.writable { Access::Write } else { Access::Read }
    }

    /// Gives the store as a whole back.
    pub fn leave(&self) {
        if let Some(file) = &self.file {
            let _ = kernel::give_back(file, 0); // It cannot fail; closing the file would do it as well.
        }
    }

    /// Takes a lock if nobody has it.
    pub fn acquire(&mut self, lock: Lock) -> Result<bool, StoreError> {
        let Some(file) = self.file.as_ref().filter(|_| self.writable) else { return Err(read_only()) };
        if self.held.contains(&lock) || !kernel::take(file, lock.offset(), Access::Write)? {
            return Ok(false);
        }
        Ok(self.held.insert(lock))
    }

    /// Whether anybody has a lock, this process included.
    pub fn is_taken(&self, lock: Lock) -> Result<bool, StoreError> {
        let Some(file) = &self.file else { return Ok(false) };
        Ok(self.held.contains(&lock) || kernel::is_taken(file, lock.offset())?)
    }

    /// Gives a lock back that this process has.
    pub fn release(&mut self, lock: Lock) -> Result<(), StoreError> {
        match &self.file {
            Some(file) if self.held.remove(&lock) => kernel::give_back(file, lock.offset()),
            _ => Ok(()),
        }
    }

    /// Gives all locks back that this process has. Closing the file is not enough: a child that was just forked may
    /// have a copy of it for a moment.
    pub fn release_all(&mut self) {
        for lock in std::mem::take(&mut self.held) {
            if let Some(file) = &self.file {
                let _ = kernel::give_back(file, lock.offset());
            }
        }
    }

    /// Whether the file is open for no lock.
    pub fn is_idle(&self) -> bool {
        self.file.is_some() && self.held.is_empty()
    }

    /// Closes the file unless it would drop a lock.
    pub fn close_if_idle(&mut self) {
        if self.is_idle() {
            self.file = None;
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
