//! Values that are too large for the database: files named by the BLAKE3 digest of their content.
//!
//! The life of a file:
//!
//! 1. A writer acquires a [lock](super::Lock::Part) with a number, and writes the value to `<number>.part`. It does
//!    not hold the store meanwhile, so other threads and processes can use the store.
//! 2. Within the transaction whose row refers to the value, the file is renamed to `<digest>.blob`. If the record has
//!    to survive a loss of power, the file and its directories are synced before the commit.
//! 3. A transaction that deletes the last row of a value removes the file after its commit, while it still holds the
//!    store. A process that ends before that leaves the file to a [sweep](super::link::Link::sweep).
//!
//! A reader opens the file under the store's lock, or while it holds the checkpoint that the file belongs to, and reads
//! it afterwards. The file may be removed in between: an open descriptor can still be read. Two writers of the same
//! value rename to the same name, and it does not matter which of them is first, because the content is the same.
//!
//! A file may be damaged, replaced or cut at any time, so its size and its digest are checked when it is read. A file
//! that is larger than its row says is not read to the end.
//!
//! It must never happen that:
//! - a row refers to a file that is not complete;
//! - a file is removed although a row refers to it, or a `.part` although its writer is alive;
//! - a value is returned whose digest differs from that of its row;
//! - a file with any other name is touched, or a file behind a symbolic link in place of the directory.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;

use super::payload::Payload;
use super::rows::{DIGEST, Digest};
use super::{INLINE, StoreError, directory};

/// The directory of the files, within the directory of the store.
pub const FOLDER: &str = "flowline.blobs";
const BLOB: &str = ".blob";
const PART: &str = ".part";

/// The files of one store.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
}

/// A value that is being stored.
#[derive(Debug)]
pub struct Prepared {
    pub digest: Digest,
    pub size: i64,
    /// Its file, if it has one that is not renamed yet.
    part: Option<PathBuf>,
    durable: bool,
}

/// The kind of a file in the directory, by its name.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    Blob(Digest),
    Part(u64),
}

impl Blobs {
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join(FOLDER) }
    }

    /// Creates the directory. A link in its place would lead to other files, and is refused.
    pub fn make_folder(&self) -> Result<(), StoreError> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.check_folder(),
            made => Ok(made?),
        }
    }

    /// Refuses a directory to which other users could have added files.
    pub fn check_folder(&self) -> Result<(), StoreError> {
        match fs::symlink_metadata(&self.folder) {
            Ok(data) if data.is_dir() => directory::check(&self.folder),
            Ok(_) => {
                Err(StoreError::Unsafe(format!("has a {FOLDER} that is no directory of its own; remove it")))
            }
            Err(error) if directory::is_absent(&error) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Returns the path to which a value is written first.
    pub fn part(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}{PART}"))
    }

    /// Returns the path of a value's file.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}{BLOB}", blake3::Hash::from_bytes(*digest).to_hex()))
    }

    /// Opens the file of a value. Returns `None` if there is none.
    pub fn open(&self, digest: &Digest) -> Result<Option<File>, StoreError> {
        match File::open(self.path(digest)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if directory::is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file of a value that no row refers to.
    pub fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest)); // If it fails, the next sweep removes the file.
    }

    /// Returns the files in the directory. Files of other kinds are left out.
    pub fn names(&self) -> Vec<Name> {
        let Ok(entries) = fs::read_dir(&self.folder) else { return vec![] };
        entries.flatten().filter_map(|entry| Name::of(entry.file_name().to_str()?)).collect()
    }
}

impl Name {
    fn of(name: &str) -> Option<Self> {
        let lower = |text: &str| !text.bytes().any(|byte| byte.is_ascii_uppercase());
        if let Some(digits) = name.strip_suffix(BLOB).filter(|digits| lower(digits)) {
            return blake3::Hash::from_hex(digits).ok().map(|hash| Self::Blob(*hash.as_bytes()));
        }
        let digits = name.strip_suffix(PART).filter(|digits| digits.len() == 16 && lower(digits))?;
        u64::from_str_radix(digits, 16).ok().map(Self::Part)
    }
}

impl Prepared {
    /// Computes the digest of a value that the database will contain.
    pub fn inline(bytes: &[u8]) -> Self {
        let digest = *blake3::hash(bytes).as_bytes();
        Self { digest, size: bytes.len() as i64, part: None, durable: false }
    }

    /// Writes a large value to a file, and computes its digest in a thread meanwhile.
    pub fn write(part: PathBuf, bytes: &[u8], durable: bool) -> Result<Self, StoreError> {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&part)?;
        let mut prepared = Self { digest: [0; DIGEST], size: bytes.len() as i64, part: Some(part), durable };
        thread::scope(|scope| {
            let digest = scope.spawn(|| blake3::hash(bytes));
            file.write_all(bytes)?;
            if durable {
                file.sync_all()?;
            }
            let digest = digest.join().map_err(|_| StoreError::Other("cannot digest a value".to_owned()))?;
            prepared.digest = *digest.as_bytes();
            Ok(prepared)
        })
    }

    /// Whether it has a file.
    pub fn is_file(&self) -> bool {
        self.part.is_some()
    }

    /// Renames its file to the digest, by which readers find it.
    pub fn keep(&mut self, blobs: &Blobs) -> Result<(), StoreError> {
        if let Some(part) = &self.part {
            fs::rename(part, blobs.path(&self.digest))?;
            // Both the new name and the directory, which may be new, have to survive a loss of power.
            for folder in part.ancestors().skip(1).take(if self.durable { 2 } else { 0 }) {
                File::open(folder)?.sync_all()?;
            }
            self.part = None;
        }
        Ok(())
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if let Some(part) = &self.part {
            let _ = fs::remove_file(part); // Otherwise the next sweep removes it.
        }
    }
}

/// The location of a value that is to be read.
#[derive(Debug)]
pub enum Source {
    /// The bytes, read from the database.
    Inline(Vec<u8>),
    /// The open file; `None` if the file is gone.
    File(Option<File>),
}

impl Source {
    /// Returns the value, or `None` if it is gone or damaged.
    pub fn read(self, payload: &Payload) -> Result<Option<Vec<u8>>, StoreError> {
        let bytes = match self {
            Self::Inline(bytes) => bytes,
            Self::File(None) => return Ok(None),
            Self::File(Some(file)) => match read(file, payload.size) {
                Err(error) if error.raw_os_error() == Some(Errno::EISDIR as i32) => return Ok(None),
                bytes => bytes?,
            },
        };
        Ok((blake3::hash(&bytes).as_bytes() == &payload.digest).then_some(bytes))
    }
}

/// Reads a file of a known size. A larger file is damaged, and is read only one byte further.
fn read(file: File, size: i64) -> std::io::Result<Vec<u8>> {
    let size = u64::try_from(size).unwrap_or_default();
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX).saturating_add(1))?;
    file.take(size + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a value of that many bytes has a file of its own.
pub fn is_large(size: usize) -> bool {
    size >= INLINE
}
