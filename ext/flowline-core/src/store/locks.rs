//! Locks that the kernel drops when their process ends, however it ends.
//!
//! They are POSIX record locks, a byte of one file each: a forked child does not inherit them, so an orphan
//! never keeps what its owner had. Closing any descriptor of the file would drop them all, hence one
//! descriptor a process; and since a process never excludes itself, what it holds is remembered here.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::FcntlArg::{F_GETLK, F_SETLK};
use nix::fcntl::fcntl;
use nix::libc::{self, flock};

use super::StoreError;

/// The locks of one store that this process holds.
#[derive(Debug)]
pub struct Locks {
    file: File,
    /// By the process: a forked child has this set, but not the locks.
    held: HashSet<(u32, i64)>,
}

impl Locks {
    /// The locks of the store in that directory.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(root.join("lock"))?;
        Ok(Self { file, held: HashSet::new() })
    }

    /// Takes a lock if nobody has it, else says which process has.
    ///
    /// # Errors
    /// The file system knows no locks.
    pub fn acquire(&mut self, id: i64) -> Result<Option<i32>, StoreError> {
        if let Some(pid) = self.holder(id)? {
            return Ok(Some(pid));
        }
        match fcntl(&self.file, F_SETLK(&record(id, libc::F_WRLCK as libc::c_short))) {
            Ok(_) => {
                self.held.insert((std::process::id(), id));
                Ok(None)
            }
            Err(Errno::EAGAIN | Errno::EACCES) => self.acquire(id), // Somebody was quicker just now.
            Err(errno) => Err(std::io::Error::from(errno).into()),
        }
    }

    /// Which process has a lock, if any.
    ///
    /// # Errors
    /// The file system knows no locks.
    pub fn holder(&self, id: i64) -> Result<Option<i32>, StoreError> {
        let own = std::process::id();
        if self.held.contains(&(own, id)) {
            return Ok(Some(own as i32));
        }
        let mut found = record(id, libc::F_WRLCK as libc::c_short);
        fcntl(&self.file, F_GETLK(&mut found)).map_err(std::io::Error::from)?;
        Ok((found.l_type != libc::F_UNLCK as libc::c_short).then_some(found.l_pid))
    }

    /// Gives a lock back.
    ///
    /// # Errors
    /// The file system knows no locks.
    pub fn release(&mut self, id: i64) -> Result<(), StoreError> {
        if self.held.remove(&(std::process::id(), id)) {
            fcntl(&self.file, F_SETLK(&record(id, libc::F_UNLCK as libc::c_short)))
                .map_err(std::io::Error::from)?;
        }
        Ok(())
    }
}

/// One byte of the file.
fn record(id: i64, kind: libc::c_short) -> flock {
    flock {
        l_type: kind,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: id as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}
