//! The directory of a store, and the files in it: creates them, checks who may write to them, and identifies them.
//!
//! Outputs are loaded as `Marshal` data, so a user who can write to a store can run code in the processes that read it.
//! Therefore the store creates its directory with mode 0700 and its files with mode 0600. It refuses a directory that
//! a user other than root owns, or that other users can write to, and a symbolic link in place of a file. A
//! `.gitignore` in a new directory excludes it from version control.
//!
//! Files are identified by device and inode ([`FileId`]), because another program may remove, move or replace them
//! while they are open; writes would then go to a file that no reader finds. To look at each file for each transaction
//! would be slow. So a [`Stamp`] of the directory, with the time of its last change, shows whether an entry was made,
//! removed or renamed since the last check.
//!
//! Several processes may create the same directory or file at the same time. An entry that exists already is no error,
//! and only the process that created the directory writes the `.gitignore`. A check says nothing about the next moment,
//! so a write is checked after its commit as well.
//!
//! It must never happen that:
//! - a value is loaded from a directory to which other users can write;
//! - a link leads the store to a file outside its directory;
//! - the store changes or removes a file that it did not make, or the mode of a directory that was there before.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::Duration;

use nix::errno::Errno;
use nix::fcntl::FcntlArg::F_GETFL;
use nix::fcntl::{OFlag, fcntl};
use nix::unistd::Uid;

use super::StoreError;

/// The identity of a file, which does not depend on its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    pub fn of(data: &Metadata) -> Self {
        Self(data.dev(), data.ino())
    }

    /// Returns the identity of the file at a path, if there is one.
    pub fn at(path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(metadata(path)?.map(|data| Self::of(&data)))
    }
}

/// The identity of a directory, and the time at which an entry was last made, removed or renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    folder: FileId,
    changed: Duration,
}

impl Stamp {
    /// Returns the stamp of the directory at a path, if there is one.
    pub fn at(path: &Path) -> Result<Option<Self>, StoreError> {
        let Some(data) = metadata(path)? else { return Ok(None) };
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        let changed =
            Duration::from_secs(whole(data.ctime())) + Duration::from_nanos(whole(data.ctime_nsec()));
        Ok(Some(Self { folder: FileId::of(&data), changed }))
    }

    /// Returns how long after a change every later change has another time. File systems count in ticks of the kernel,
    /// and some in seconds.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(if self.changed.subsec_nanos() == 0 { 3000 } else { 100 })
    }
}

/// Returns the metadata of a file, if there is one.
pub fn metadata(path: &Path) -> Result<Option<Metadata>, StoreError> {
    match fs::metadata(path) {
        Ok(data) => Ok(Some(data)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether there is no such file.
pub fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
}

/// Creates a directory that only its owner can read, and that version control ignores. An existing directory is not
/// changed.
pub fn make_private(folder: &Path) -> Result<(), StoreError> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => write_note(&folder.join(".gitignore")).inspect_err(|_| {
            let _ = fs::remove_dir(folder); // So that the next one has its note.
        }),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Writes the file that makes version control ignore the directory, or leaves none.
fn write_note(path: &Path) -> Result<(), StoreError> {
    let mut note = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    note.write_all(b"*\n").inspect_err(|_| {
        let _ = fs::remove_file(path);
    })?;
    Ok(())
}

/// The longest path of a file that SQLite opens, in bytes: its `MAX_PATHNAME`.
const LONGEST: usize = 512;

/// Checks that SQLite can open the database of a store in this directory.
///
/// # Errors
/// Its path is too long.
pub fn check_length(root: &Path) -> Result<(), StoreError> {
    let most = LONGEST - super::FILE.len() - 1;
    let length = root.as_os_str().len();
    if length > most { Err(StoreError::PathTooLong(length, most)) } else { Ok(()) }
}

/// Refuses a directory that another user owns or can write to.
pub fn check(folder: &Path) -> Result<(), StoreError> {
    let Some(data) = metadata(folder)? else { return Ok(()) };
    if !data.is_dir() {
        return Err(StoreError::Denied(format!("{} is no directory", folder.display())));
    }
    let part = folder.ends_with(super::blobs::FOLDER).then_some(super::blobs::FOLDER);
    let whose = part.map_or_else(String::new, |name| format!("has a {name} that "));
    let refuse = |why: &str| Err(StoreError::Unsafe(format!("{whose}{why}")));
    if data.uid() != Uid::effective().as_raw() && data.uid() != 0 {
        return refuse("belongs to another user; choose another directory, or chown it");
    }
    if data.mode() & 0o022 != 0 {
        return refuse("can be written by others, who could run code as you; chmod 700 it");
    }
    Ok(())
}

/// Opens a file for reading and writing, or only for reading if it cannot be written. If `create` is set, a missing
/// file is created with access for its owner only. Returns `None` if there is no file, and none can or should be
/// created. A link would lead to another file, and is refused.
pub fn open_private(path: &Path, create: bool) -> Result<Option<File>, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(OFlag::O_NOFOLLOW.bits());
    let opened = match options.clone().write(true).create(create).mode(0o600).open(path) {
        Err(error) if is_refused(&error) => options.open(path),
        opened => opened,
    };
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.raw_os_error() == Some(Errno::ELOOP as i32) => {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            Err(StoreError::Unsafe(format!("has a {name} that is a link to another file; remove it")))
        }
        Err(error) if is_absent(&error) && (!create || is_read_only(path)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Whether a file was opened for writing.
pub fn is_writable(file: &File) -> bool {
    fcntl(file, F_GETFL).is_ok_and(|flags| OFlag::from_bits_truncate(flags).contains(OFlag::O_RDWR))
}

/// Whether the directory of this file is read-only.
fn is_read_only(path: &Path) -> bool {
    path.parent().is_some_and(|folder| {
        nix::unistd::access(folder, nix::unistd::AccessFlags::W_OK)
            .is_err_and(|errno| matches!(errno, Errno::EROFS | Errno::EACCES | Errno::EPERM))
    })
}

/// Whether a file could not be opened because it cannot be written.
pub fn is_refused(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EROFS | Errno::EACCES | Errno::EPERM))
}

/// Removes the access of other users to a file, if there is one.
pub fn make_own(path: &Path) -> Result<(), StoreError> {
    let Some(data) = metadata(path)? else { return Ok(()) };
    if data.is_file() && data.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
