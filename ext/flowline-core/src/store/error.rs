//! Errors of a store, with messages for users.

use std::io;

use nix::errno::Errno;
use rusqlite::ErrorCode;
use rusqlite::ffi::{SQLITE_CONSTRAINT_FOREIGNKEY, SQLITE_IOERR_NOMEM, SQLITE_IOERR_SHMSIZE};

/// The reason why a call of a store failed. The call changed nothing.
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
    /// An older version of Flowline is using it.
    #[error("is in use by an older Flowline, and can be converted only when that has ended")]
    Older,
    /// It is the database of another program.
    #[error("is a database of another program; choose another directory")]
    Foreign,
    /// Other users could have changed it.
    #[error("{0}")]
    Unsafe(String),
    /// Its content is damaged.
    #[error(
        "is damaged ({0}); move it away, and a new one is made: what it recorded is lost, pipelines run from the beginning"
    )]
    Damaged(String),
    /// SQLite has called the database malformed: it is damaged, or the device has refused a read. See `damage.rs`.
    #[error("is damaged ({0})")]
    Malformed(String),
    /// It is no longer where it was opened.
    #[error("was removed, moved or replaced while it was in use; nothing more is recorded: run again")]
    Gone,
    /// No room is left.
    #[error("the disk is full; nothing was recorded: make room and run again")]
    Full,
    /// It cannot be opened or written.
    #[error("cannot be written ({0}); check its permissions, or choose another directory")]
    Denied(String),
    /// A copy that cannot be written has the log and not its index, which readers of the log would make.
    #[error(
        "is a copy without flowline.db-shm, and that file cannot be made here; copy the store to where it can be written"
    )]
    Unindexed,
    /// SQLite can open no file with so long a path.
    #[error("has a path of {0} bytes, and {1} are possible; choose another directory")]
    PathTooLong(usize, usize),
    /// The process has no file descriptor left.
    #[error("cannot be opened: too many files are open ({0}); raise the limit with ulimit -n, or close some")]
    Descriptors(String),
    /// The device failed.
    #[error("cannot be read or written: the device failed ({0}); check the disk and the kernel's log")]
    Device(String),
    /// No memory is left.
    #[error("cannot be read or written: no memory is left ({0})")]
    Memory(String),
    /// The file system has no locks.
    #[error(
        "is on a file system without record locks ({0}), so two runs cannot lock each other out; choose a directory on a local disk"
    )]
    NoLocks(String),
    /// Another process was writing all the time.
    #[error("another process has been writing to it for {0:.1} seconds; see what that process does")]
    Busy(f64),
    /// The waiting thread was interrupted.
    #[error("the wait for another process was cancelled")]
    Cancelled,
    /// Anything else.
    #[error("{0}")]
    Other(String),
}

impl StoreError {
    /// Another process holds a lock that the call needs. The caller tries again.
    pub(crate) const TAKEN: Self = Self::Busy(0.0);

    /// Returns the kind of the error, in a word that programs can compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Newer { .. } | Self::Older | Self::Foreign => "format",
            Self::Unsafe(_) => "unsafe",
            Self::Damaged(_) | Self::Malformed(_) => "damaged",
            Self::Gone => "gone",
            Self::Full => "full",
            Self::Denied(_) | Self::PathTooLong(..) | Self::Unindexed => "denied",
            Self::Descriptors(_) => "descriptors",
            Self::Device(_) => "device",
            Self::Memory(_) => "memory",
            Self::NoLocks(_) => "no_locks",
            Self::Busy(_) => "busy",
            Self::Cancelled | Self::Other(_) => "other",
        }
    }

    /// Returns the error of a lock that the system refused.
    pub(crate) fn of_lock(errno: Errno) -> Self {
        match errno {
            Errno::ENOLCK | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EINVAL => {
                Self::NoLocks(format!("{errno:?}"))
            }
            errno => io::Error::from(errno).into(),
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        if let rusqlite::Error::SqlInputError { msg, .. } = error {
            return Self::Other(msg); // Without the statement itself, which may be long.
        }
        match error.sqlite_error().map(|error| error.extended_code) {
            Some(SQLITE_IOERR_SHMSIZE) => return Self::Full, // No room for the index of the log.
            Some(SQLITE_CONSTRAINT_FOREIGNKEY) => return Self::Gone, // The row of the run is gone, because the log was removed.
            Some(SQLITE_IOERR_NOMEM) => return Self::Memory(error.to_string()),
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::TAKEN,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Malformed(error.to_string()),
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::OutOfMemory) => Self::Memory(error.to_string()),
            Some(ErrorCode::SystemIoFailure) => Self::Device(error.to_string()),
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
                Self::Denied(error.to_string())
            }
            None => Self::Damaged(error.to_string()), // A column is of another type, or a row is missing.
            _ => Self::Other(error.to_string()),
        }
    }
}

impl From<io::Error> for StoreError {
    fn from(error: io::Error) -> Self {
        let text = error.to_string();
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => Self::Full,
            Some(Errno::EMFILE | Errno::ENFILE) => Self::Descriptors(text),
            Some(Errno::EIO | Errno::ENXIO | Errno::ENODEV | Errno::ESTALE) => Self::Device(text),
            Some(Errno::ENOMEM) => Self::Memory(text),
            None if error.kind() == io::ErrorKind::OutOfMemory => Self::Memory(text),
            _ => Self::Denied(text),
        }
    }
}
