//! Locks for systems that cannot lock single bytes of an open file description: a file for each lock, locked as a whole
//! (`flock(2)`). Such locks belong to an open file description, too. Lock 0 is the lock of the main file.
//!
//! A file is removed when its lock is released. After locking a file, a process checks that the path still leads to
//! it, because its last owner may have removed it in between.
#![cfg_attr(any(target_os = "linux", target_os = "android"), allow(dead_code))] // On Linux only the tests use it.

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::FlockArg;

use super::{Access, StoreError};
use crate::store::directory::{self, FileId};

/// The directory of the files.
const FOLDER: &str = "flowline.locks";

/// The locks of a store, a file each.
#[derive(Debug)]
pub struct Kernel {
    main: File,
    folder: PathBuf,
    files: HashMap<i64, File>,
}

impl Kernel {
    pub fn new(main: File, root: &Path) -> Self {
        Self { main, folder: root.join(FOLDER), files: HashMap::new() }
    }

    /// Returns the main file.
    pub fn file(&self) -> &File {
        &self.main
    }

    /// Acquires a lock, or changes it from shared to exclusive or back. Returns `false` if another process holds it.
    pub fn take(&mut self, offset: i64, access: Access) -> Result<bool, StoreError> {
        if offset == 0 {
            return lock(&self.main, access);
        }
        match DirBuilder::new().mode(0o700).create(&self.folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let path = self.path(offset);
        loop {
            let Some(file) = directory::open_private(&path, true)? else { return Err(super::read_only()) };
            if !lock(&file, access)? {
                return Ok(false);
            }
            if FileId::at(&path)? == Some(FileId::of(&file.metadata()?)) {
                self.files.insert(offset, file);
                return Ok(true);
            }
        }
    }

    /// Releases a lock.
    pub fn give_back(&mut self, offset: i64) -> Result<(), StoreError> {
        if offset == 0 {
            return flock(&self.main, FlockArg::Unlock).map_err(StoreError::of_lock);
        }
        if let Some(file) = self.files.remove(&offset) {
            let _ = fs::remove_file(self.path(offset));
            drop(file);
        }
        Ok(())
    }

    /// Whether another process holds a lock exclusively.
    pub fn is_taken(&self, offset: i64) -> Result<bool, StoreError> {
        match File::open(self.path(offset)) {
            Ok(file) => lock(&file, Access::Read).map(|free| !free),
            Err(error) if directory::is_absent(&error) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    fn path(&self, offset: i64) -> PathBuf {
        self.folder.join(format!("{offset:016x}"))
    }
}

fn lock(file: &File, access: Access) -> Result<bool, StoreError> {
    let how = match access {
        Access::Read => FlockArg::LockSharedNonblock,
        Access::Write => FlockArg::LockExclusiveNonblock,
    };
    match flock(file, how) {
        Ok(()) => Ok(true),
        Err(Errno::EWOULDBLOCK) => Ok(false),
        Err(errno) => Err(StoreError::of_lock(errno)),
    }
}

/// Calls `flock(2)`. The newer wrapper of `nix` would unlock the file when a forked child drops its copy.
#[allow(deprecated)]
fn flock(file: &File, how: FlockArg) -> nix::Result<()> {
    nix::fcntl::flock(file.as_raw_fd(), how)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn two() -> (PathBuf, Kernel, Kernel) {
        let number = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos();
        let root = std::env::temp_dir().join(format!("flowline-locks-{}-{number}", std::process::id()));
        fs::create_dir(&root).unwrap();
        let open = || Kernel::new(directory::open_private(&root.join("main"), true).unwrap().unwrap(), &root);
        let (one, other) = (open(), open());
        (root, one, other)
    }

    #[test]
    fn a_lock_excludes_others_until_it_is_given_back_and_leaves_no_file() {
        let (root, mut one, mut other) = two();
        assert!(one.take(7, Access::Write).unwrap());
        assert!(!other.take(7, Access::Write).unwrap());
        assert!(other.is_taken(7).unwrap());
        assert!(!other.is_taken(8).unwrap());
        assert!(other.take(8, Access::Write).unwrap());
        one.give_back(7).unwrap();
        assert!(!other.is_taken(7).unwrap());
        assert!(other.take(7, Access::Write).unwrap());
        other.give_back(7).unwrap();
        other.give_back(8).unwrap();
        assert_eq!(fs::read_dir(root.join(FOLDER)).unwrap().count(), 0);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_main_lock_is_shared_by_readers_and_excludes_writers() {
        let (root, mut one, mut other) = two();
        assert!(one.take(0, Access::Read).unwrap());
        assert!(other.take(0, Access::Read).unwrap());
        assert!(!other.take(0, Access::Write).unwrap());
        one.give_back(0).unwrap();
        assert!(other.take(0, Access::Write).unwrap());
        assert!(!one.take(0, Access::Read).unwrap());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn closing_a_file_drops_its_locks() {
        let (root, mut one, mut other) = two();
        assert!(one.take(7, Access::Write).unwrap());
        drop(one);
        assert!(other.take(7, Access::Write).unwrap());
        fs::remove_dir_all(root).unwrap();
    }
}
