//! Locks that belong to an open file description, a byte each (`fcntl(2)`, "Open file description locks").

use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::FcntlArg::{F_OFD_GETLK, F_OFD_SETLK};
use nix::fcntl::fcntl;
use nix::libc::{self, F_RDLCK, F_UNLCK, F_WRLCK, flock};

use super::{Access, StoreError};

/// The locks of a file.
#[derive(Debug)]
pub struct Kernel {
    file: File,
}

impl Kernel {
    pub fn new(file: File, _root: &Path) -> Self {
        Self { file }
    }

    /// Returns the file.
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Acquires a lock, or changes it from shared to exclusive or back. Returns `false` if another process holds it.
    pub fn take(&mut self, offset: i64, access: Access) -> Result<bool, StoreError> {
        let kind = match access {
            Access::Read => F_RDLCK,
            Access::Write => F_WRLCK,
        };
        match fcntl(&self.file, F_OFD_SETLK(&byte(offset, kind))) {
            Ok(_) => Ok(true),
            Err(Errno::EAGAIN | Errno::EACCES) => Ok(false),
            Err(errno) => Err(StoreError::of_lock(errno)),
        }
    }

    /// Releases a lock.
    pub fn give_back(&mut self, offset: i64) -> Result<(), StoreError> {
        fcntl(&self.file, F_OFD_SETLK(&byte(offset, F_UNLCK))).map(|_| ()).map_err(StoreError::of_lock)
    }

    /// Whether another process holds a lock exclusively.
    pub fn is_taken(&self, offset: i64) -> Result<bool, StoreError> {
        let mut found = byte(offset, F_RDLCK);
        fcntl(&self.file, F_OFD_GETLK(&mut found)).map_err(StoreError::of_lock)?;
        Ok(found.l_type != F_UNLCK as libc::c_short)
    }
}

fn byte(offset: i64, kind: libc::c_int) -> flock {
    flock {
        l_type: kind as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: offset as libc::off_t,
        l_len: 1,
        l_pid: 0,
    }
}
