//! What can go wrong with a store, in words for a person.

use rusqlite::ErrorCode;
use rusqlite::ffi::SQLITE_IOERR_SHMSIZE;

/// Why a store could not do what it was asked. Nothing of it was done.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A newer version of Flowline wrote it.
    #[error(
        "has format {found}, written by a newer Flowline; this one knows formats up to {known}: update Flowline, or use another store"
    )]
    Newer {
        /// The format it has.
        found: i64,
        /// The newest format known.
        known: i64,
    },
    /// It is somebody else's database.
    #[error("is a database of another program; choose another directory")]
    Foreign,
    /// Its bytes make no sense.
    #[error(
        "is damaged ({0}); move it away, and a new one is made: what it recorded is lost, pipelines run from the beginning"
    )]
    Damaged(String),
    /// No room is left.
    #[error("the disk is full; nothing was recorded: make room and run again")]
    Full,
    /// It cannot be opened or written.
    #[error("cannot be written ({0}); check its permissions, or choose another directory")]
    Denied(String),
    /// Another process was writing all the time.
    #[error("another process has been writing to it for a minute; see what that process does")]
    Busy,
    /// Somebody wanted the waiting thread for something else.
    #[error("the wait for another process was cancelled")]
    Cancelled,
    /// There is no such operation.
    #[error("knows no operation {0}")]
    Unknown(String),
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if error.sqlite_error().is_some_and(|error| error.extended_code == SQLITE_IOERR_SHMSIZE) {
            return Self::Full; // No room for the index of the log.
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Damaged(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Denied(error.to_string())
            }
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        use std::io::ErrorKind::{QuotaExceeded, StorageFull};
        match error.kind() {
            StorageFull | QuotaExceeded => Self::Full,
            _ => Self::Denied(error.to_string()),
        }
    }
}
