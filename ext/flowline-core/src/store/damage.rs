//! Tells a damaged database from a device that has failed. SQLite calls both malformed: it turns `EIO` into
//! `SQLITE_CORRUPT` (`unixRead` in `os_unix.c`, `SQLITE_IOERR_CORRUPTFS`). But a damaged cache starts empty, and what only
//! could not be read for a moment must stay.

use std::fs::File;
use std::io;

use super::handle::{Handle, Parts};
use super::{FILE, StoreError, directory, fork, sqlite_file};

impl Handle {
    /// Reads the whole database again, because SQLite has called it malformed. Without proof, it is not damaged.
    pub fn examine(&self, parts: &mut Parts, what: String) -> StoreError {
        match self.is_sound(parts) {
            Ok(false) => StoreError::Damaged(what),
            Ok(true) | Err(StoreError::Busy(_)) => StoreError::Device(what),
            Err(error) => error,
        }
    }

    fn is_sound(&self, parts: &mut Parts) -> Result<bool, StoreError> {
        parts.link = None;
        let access = parts.locks.access_to_open();
        parts.locks.hold(access)?;
        fork::close_others(self)?;
        let path = self.root.join(FILE);
        read(File::open(&path))?;
        read(File::open(sqlite_file(&path, "-wal")))?;
        match self.connect(&parts.locks).and_then(|link| link.is_sound()) {
            Err(StoreError::Malformed(_) | StoreError::Damaged(_)) => Ok(false),
            sound => sound,
        }
    }
}

/// Reads a file to its end, if it is there.
fn read(file: io::Result<File>) -> Result<(), StoreError> {
    match file {
        Err(error) if directory::is_absent(&error) => Ok(()),
        file => Ok(io::copy(&mut file?, &mut io::sink()).map(|_| ())?),
    }
}
