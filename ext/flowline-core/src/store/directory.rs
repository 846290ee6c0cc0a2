//! The directory of a store and the files in it, for their owner alone: what is in them is loaded as `Marshal`
//! data, so anyone who can write there can run code. Only files that the store made are ever touched.

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

/// Which file this is, whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileId(u64, u64);

impl FileId {
    pub fn of(data: &Metadata) -> Self {
        Self(data.dev(), data.ino())
    }

    /// The file at a path, if there is one.
    pub fn at(path: &Path) -> Result<Option<Self>, StoreError> {
        Ok(metadata(path)?.map(|data| Self::of(&data)))
    }
}

/// A directory, and when an entry of it was last made, removed or renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stamp {
    folder: FileId,
    changed: Duration,
}

impl Stamp {
    /// The directory at a path, if there is one.
    pub fn at(path: &Path) -> Result<Option<Self>, StoreError> {
        let Some(data) = metadata(path)? else { return Ok(None) };
        let whole = |number: i64| u64::try_from(number).unwrap_or_default();
        let changed =
            Duration::from_secs(whole(data.ctime())) + Duration::from_nanos(whole(data.ctime_nsec()));
        Ok(Some(Self { folder: FileId::of(&data), changed }))
    }

    /// So long after a change, every later one has another time. File systems count in ticks of the kernel, and some
    /// in seconds.
    pub fn tick(&self) -> Duration {
        Duration::from_millis(if self.changed.subsec_nanos() == 0 { 3000 } else { 100 })
    }
}

/// What is known of a file, if there is one.
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

/// Makes a directory that only its owner may look into, and that version control leaves alone. One that is
/// there stays as it is.
pub fn make_private(folder: &Path) -> Result<(), StoreError> {
    if let Some(above) = folder.parent() {
        fs::create_dir_all(above)?;
    }
    match DirBuilder::new().mode(0o700).create(folder) {
        Ok(()) => {
            let mut note = OpenOptions::new();
            let mut note = note.write(true).create_new(true).mode(0o600).open(folder.join(".gitignore"))?;
            Ok(note.write_all(b"*\n")?)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Refuses a directory that others own or may write into.
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

/// Opens a file for reading and writing, made if need be for its owner alone. Where nothing can be written it is
/// opened for reading; `None`: it is not there. A link would lead to another file, and is refused.
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

/// Whether nothing can be written in the directory of this file.
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

/// Takes from others what they may do with a file, if there is one.
pub fn make_own(path: &Path) -> Result<(), StoreError> {
    let Some(data) = metadata(path)? else { return Ok(()) };
    if data.is_file() && data.mode() & 0o077 != 0 {
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    }
    Ok(())
}
