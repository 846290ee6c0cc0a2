//! Values too large for the database: files named by the BLAKE3 digest of what is in them.
//!
//! A file is written under another name first. It gets its own within the transaction that refers to it, and
//! files that nothing refers to are removed within a transaction, too, so the two cannot miss each other.

use std::collections::HashSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::types::Value;

use super::{INLINE, Rows, StoreError};

/// A file that was begun and never finished is removed after this long.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// The files of one store.
#[derive(Debug)]
pub struct Blobs {
    folder: PathBuf,
    begun: u64,
}

/// A value that is being stored; its file, if it has one, is gone unless it is [kept](Blob::keep).
#[derive(Debug)]
pub struct Blob {
    sum: String,
    size: i64,
    /// Where it was written; it belongs beside, under its digest.
    begun: Option<PathBuf>,
    durable: bool,
}

/// Makes a directory that only its owner may look into: what is in it is loaded as `Marshal` data. Version
/// control shall leave it alone.
pub fn make_private(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::write(folder.join(".gitignore"), "*\n")
}

impl Blobs {
    pub fn new(root: &Path) -> Self {
        Self { folder: root.join("blobs"), begun: 0 }
    }

    /// Writes a large value beside its place, and digests it meanwhile; of a small one only the digest is made.
    pub fn prepare(&mut self, bytes: &[u8], durable: bool) -> Result<Blob, StoreError> {
        let size = bytes.len() as i64;
        if bytes.len() < INLINE {
            let sum = blake3::hash(bytes).to_hex().to_string();
            return Ok(Blob { sum, size, begun: None, durable });
        }
        make_private(&self.folder)?;
        let (begun, mut file) = self.begin()?;
        let mut blob = Blob { sum: String::new(), size, begun: Some(begun), durable };
        std::thread::scope(|scope| {
            let digest = scope.spawn(|| blake3::hash(bytes));
            file.write_all(bytes)?;
            if durable {
                file.sync_all()?;
            }
            let digest = digest.join().map_err(|_| StoreError::Other("cannot digest".to_owned()))?;
            blob.sum = digest.to_hex().to_string();
            Ok(blob)
        })
    }

    fn begin(&mut self) -> io::Result<(PathBuf, File)> {
        loop {
            self.begun += 1;
            let begun = self.folder.join(format!("begun-{}-{}", std::process::id(), self.begun));
            match File::create_new(&begun) {
                // Another store's of this process, or of a process with this number in another container.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                file => return Ok((begun, file?)),
            }
        }
    }

    /// Removes the files that no row names.
    pub fn collect(&self, rows: &Rows) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let named: HashSet<&str> = rows.iter().flatten().filter_map(text).collect();
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            let age = entry.metadata().and_then(|data| data.modified()).ok().and_then(|at| at.elapsed().ok());
            let unfinished = name.starts_with("begun-") && age.is_none_or(|age| age < ABANDONED);
            if !unfinished && !name.starts_with('.') && !named.contains(name.as_ref()) {
                let _ = fs::remove_file(entry.path()); // The next time, then.
            }
        }
    }

    /// Puts the value in the place of a row's last two columns, its bytes and their digest. A value that is
    /// gone, or that does not have this digest, is `NULL`.
    pub fn resolve(&self, mut row: Vec<Value>) -> Vec<Value> {
        let sum = row.pop();
        let bytes = row.pop();
        let sum = sum.as_ref().and_then(text).unwrap_or_default();
        let bytes = match bytes {
            Some(Value::Blob(bytes)) => Some(bytes),
            _ => fs::read(self.folder.join(sum)).ok(),
        };
        let sound = bytes.filter(|bytes| blake3::hash(bytes).to_hex().as_str() == sum);
        row.push(sound.map_or(Value::Null, Value::Blob));
        row
    }
}

impl Blob {
    /// What a row says of it: its bytes unless they are in a file, their digest, and how many there are.
    pub fn columns(&self, bytes: Option<&[u8]>) -> Vec<Value> {
        let inline = bytes.filter(|bytes| bytes.len() < INLINE);
        vec![
            inline.map_or(Value::Null, |bytes| Value::Blob(bytes.to_vec())),
            Value::Text(self.sum.clone()),
            Value::Integer(self.size),
        ]
    }

    /// Gives its file the name by which it is found.
    pub fn keep(&mut self) -> Result<(), StoreError> {
        if let Some(begun) = &self.begun {
            let place = begun.with_file_name(&self.sum);
            fs::rename(begun, &place)?;
            // Its directory, and that one's, which may be new.
            for folder in place.ancestors().skip(1).take(if self.durable { 2 } else { 0 }) {
                File::open(folder)?.sync_all()?;
            }
            self.begun = None; // Somebody else may begin one of that name now.
        }
        Ok(())
    }
}

impl Drop for Blob {
    fn drop(&mut self) {
        if let Some(begun) = &self.begun {
            let _ = fs::remove_file(begun);
        }
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}
