//! In which order a store writes, renames and waits for the disk; and what remains when the disk refuses.
//!
//! This program has its own `rename`, `fsync` and `fdatasync`, which take notes: they come before those of the C
//! library, for SQLite as for Rust.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use common::store::{NOTHING, Place, Subject, bytes, complete, large, sum};
use flowline_core::store::{INLINE, Request, StoreError};
use nix::libc;

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// What is to fail next, if its note begins like that.
    static REFUSED: RefCell<Option<(&'static str, c_int)>> = const { RefCell::new(None) };
}

/// Takes a note; whether it is to fail.
fn note(what: String) -> bool {
    let refused = REFUSED.with_borrow_mut(|refused| {
        refused.take_if(|(beginning, _)| what.starts_with(*beginning)).map(|(_, errno)| errno)
    });
    NOTES.with_borrow_mut(|notes| notes.push(what));
    if let Some(errno) = refused {
        // SAFETY: it is this thread's own.
        unsafe { *libc::__errno_location() = errno };
    }
    refused.is_some()
}

/// The last part of a path, without what differs each time.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.starts_with("begun-") { "begun".to_owned() } else { name }
}

fn sync(descriptor: c_int, call: libc::c_long) -> c_int {
    let path = std::fs::read_link(format!("/proc/self/fd/{descriptor}")).unwrap_or_default();
    if note(format!("sync {}", name(&path))) {
        return -1;
    }
    // SAFETY: what the caller asked for.
    unsafe { libc::syscall(call, descriptor) as c_int }
}

#[unsafe(no_mangle)]
extern "C" fn fsync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fsync)
}

#[unsafe(no_mangle)]
extern "C" fn fdatasync(descriptor: c_int) -> c_int {
    sync(descriptor, libc::SYS_fdatasync)
}

/// # Safety
/// Two strings that end in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn rename(from: *const c_char, to: *const c_char) -> c_int {
    // SAFETY: as promised.
    let path = |text| Path::new(unsafe { CStr::from_ptr(text) }.to_str().unwrap_or_default());
    if note(format!("rename {} {}", name(path(from)), name(path(to)))) {
        return -1;
    }
    // SAFETY: as promised.
    unsafe { libc::syscall(libc::SYS_renameat2, libc::AT_FDCWD, from, libc::AT_FDCWD, to, 0) as c_int }
}

/// An open store in a directory called `store`, in which a run has begun.
fn with_store(test: impl FnOnce(&mut Subject)) {
    let place = Place::new();
    let mut store = Subject::at(&place.join("store"));
    store.begin("r1", "p", "i", 1);
    store.write("k", None, 1.0, &large(0)); // So that all its files are there.
    NOTES.take();
    test(&mut store);
}

fn record(store: &mut Subject, position: i64, value: &[u8], durable: bool) -> Result<(), StoreError> {
    let lists = [complete(1, position, "step", 1)];
    let request = Request { operation: "complete", arguments: &lists, payload: Some(value), durable };
    store.store.call(request, &AtomicBool::new(false)).map(|_| ())
}

#[test]
fn what_need_not_be_durable_waits_for_no_disk() {
    with_store(|store| {
        for n in 0..20 {
            record(store, n, b"small", false).unwrap();
        }
        assert_eq!(NOTES.take(), NOTHING);
        record(store, 20, &large(1), false).unwrap();
        assert_eq!(NOTES.take(), [format!("rename begun {}", sum(&large(1)))]);
    });
}

#[test]
fn what_is_small_and_durable_waits_for_the_log_once() {
    with_store(|store| {
        record(store, 0, b"small", true).unwrap();
        NOTES.take(); // A log that is new waits for its directory, too.
        for n in 1..5 {
            record(store, n, &bytes(n as u64, INLINE / 4), true).unwrap();
            assert_eq!(NOTES.take(), ["sync flowline.db-wal"]);
        }
    });
}

#[test]
fn what_is_large_and_durable_is_on_disk_before_it_has_its_name_and_that_before_a_row_names_it() {
    with_store(|store| {
        record(store, 0, b"small", true).unwrap();
        NOTES.take();
        record(store, 1, &large(1), true).unwrap();
        let rename = format!("rename begun {}", sum(&large(1)));
        assert_eq!(NOTES.take(), ["sync begun", &rename, "sync blobs", "sync store", "sync flowline.db-wal"]);
    });
}

#[test]
fn each_request_is_as_durable_as_it_asks() {
    // A database that says how it is synchronised, in place of what outputs are recorded.
    with_store(|store| {
        store
            .sql()
            .execute_batch(
                "ALTER TABLE outputs RENAME TO others;
                 CREATE VIEW outputs AS SELECT 1 AS checkpoint, 'level' AS name, synchronous AS size
                 FROM pragma_synchronous",
            )
            .unwrap();
        for (durable, level) in [(false, 1), (true, 2), (true, 2), (false, 1), (false, 1), (true, 2)] {
            let request = Request { operation: "recorded", arguments: &[row![1]], payload: None, durable };
            let rows = store.store.call(request, &AtomicBool::new(false)).unwrap();
            assert_eq!(common::store::show(&rows), [format!("level|{level}")], "durable: {durable}");
        }
    });
}

#[test]
fn what_the_disk_refuses_is_not_recorded_and_leaves_no_file() {
    for (refused, durable) in [
        ("sync begun", true),
        ("rename", true),
        ("rename", false),
        ("sync blobs", true),
        ("sync store", true),
    ] {
        for (errno, full) in [(libc::ENOSPC, true), (libc::EDQUOT, true), (libc::EIO, false)] {
            with_store(|store| {
                record(store, 0, b"small", durable).unwrap();
                REFUSED.set(Some((refused, errno)));
                let answer = record(store, 1, &large(1), durable);
                assert_eq!(REFUSED.take(), None, "{refused} was called");
                match answer.unwrap_err() {
                    StoreError::Full => assert!(full, "{refused}, {errno}"),
                    StoreError::Denied(why) => {
                        assert!(!full && why.contains("put/output"), "{refused}: {why}")
                    }
                    other => panic!("{refused}: {other:?}"),
                }
                assert_eq!((store.count("steps"), store.count("outputs")), (1, 1), "{refused}");
                assert!(!store.files().iter().any(|name| name.starts_with("begun")), "{refused}");
                store.call("collect", &[vec![]], None).unwrap();
                assert_eq!(store.files(), [sum(&large(0))], "{refused}");
                record(store, 1, &large(1), durable).unwrap();
                assert_eq!(store.count("steps"), 2, "{refused}: works on");
            });
        }
    }
}

#[test]
fn a_log_that_cannot_be_synced_records_nothing() {
    with_store(|store| {
        record(store, 0, b"small", true).unwrap();
        REFUSED.set(Some(("sync flowline.db-wal", libc::EIO)));
        let answer = record(store, 1, b"other", true);
        assert_eq!(REFUSED.take(), None, "it was called");
        assert!(answer.is_err());
        assert_eq!(store.ask("steps", row![1]).len(), 1);
        record(store, 1, b"other", true).unwrap();
        assert_eq!(store.ask("steps", row![1]).len(), 2);
    });
}
