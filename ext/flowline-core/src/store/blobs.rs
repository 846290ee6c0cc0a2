//! Values too large for the database: files named by the BLAKE3 digest of what is in them.
//!
//! A file is written as `<number>.part` first, whose [lock](Lock::Part) its writer holds. Within the transaction
//! that refers to it, it becomes `<digest>.blob`. Files that nothing refers to any more are removed after the
//! transaction that dropped the last reference, while the store is still held; those of processes that ended in
//! between by a [sweep](Blobs::sweep). Other names are never touched.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::thread;

use nix::errno::Errno;

use super::payload::Payload;
use super::rows::{DIGEST, Digest};
use super::{INLINE, StoreError, directory};

/// The directory within a store's.
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
    /// Its file, if it has one.
    part: Option<PathBuf>,
    durable: bool,
}

/// What a file in the directory is.
#[derive(Debug, PartialEq, Eq)]
pub enum Name {
    Blob(Digest),
    Part(u64),
}

impl Blobs {
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join(FOLDER) }
    }

    /// Makes the directory. A link in its place would lead to other files, and is refused.
    pub fn make_folder(&self) -> Result<(), StoreError> {
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => self.check_folder(),
            made => Ok(made?),
        }
    }

    /// Refuses a directory that others could have put something into.
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

    /// Where a value is written at first.
    pub fn part(&self, number: u64) -> PathBuf {
        self.folder.join(format!("{number:016x}{PART}"))
    }

    /// The file of a value.
    pub fn path(&self, digest: &Digest) -> PathBuf {
        self.folder.join(format!("{}{BLOB}", blake3::Hash::from_bytes(*digest).to_hex()))
    }

    /// Opens the file of a value; `None`: it is not there.
    pub fn open(&self, digest: &Digest) -> Result<Option<File>, StoreError> {
        match File::open(self.path(digest)) {
            Ok(file) => Ok(Some(file)),
            Err(error) if directory::is_absent(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes the file of a value to which nothing refers.
    pub fn remove(&self, digest: &Digest) {
        let _ = fs::remove_file(self.path(digest)); // If it fails, the next sweep will do it.
    }

    /// What is in the directory.
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
    /// Digests a value that goes into the database.
    pub fn inline(bytes: &[u8]) -> Self {
        let digest = *blake3::hash(bytes).as_bytes();
        Self { digest, size: bytes.len() as i64, part: None, durable: false }
    }

    /// Writes a large value to that file, and digests it meanwhile.
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

    /// Gives its file the name by which it is found.
    pub fn keep(&mut self, blobs: &Blobs) -> Result<(), StoreError> {
        if let Some(part) = &self.part {
            fs::rename(part, blobs.path(&self.digest))?;
            // Its directory, and that one's, which may be new.
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

/// Where a value that is read back is.
#[derive(Debug)]
pub enum Source {
    /// It was in the database.
    Inline(Vec<u8>),
    /// It is in a file; `None`: that is gone.
    File(Option<File>),
}

impl Source {
    /// The value, if it is the one that was stored.
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

/// Reads a file of that size; one of another size is damaged, and is not read to its end.
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
