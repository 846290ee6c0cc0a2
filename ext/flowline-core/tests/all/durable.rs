//! In which order a store writes, renames, removes and waits for the disk, and what remains when a call fails or the
//! process is killed there.
//!
//! This program has its own `rename`, `unlink`, `fsync` and `fdatasync`, which take notes. The linker prefers them to
//! those of the C library, for SQLite as for Rust.
#![cfg(target_os = "linux")]

use std::cell::RefCell;
use std::ffi::{CStr, c_char, c_int};
use std::path::Path;

use crate::common::process::{self, Helper};
use crate::common::store::{
    NONE, TempDir, TestStore, blob_name, bytes, describe, large, names, patient, start,
};
use flowline_core::store::{Claim, FILE, INLINE, Run, StoreError};
use nix::libc;

thread_local! {
    static NOTES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    /// The beginning of the note of the call that is to fail next. Without an error the process is killed there.
    static REFUSED: RefCell<Option<(&'static str, Option<c_int>)>> = const { RefCell::new(None) };
}

/// Takes a note; whether the call is to fail.
fn note(what: String) -> bool {
    let refused = REFUSED.with_borrow_mut(|refused| {
        refused.take_if(|(beginning, _)| what.starts_with(*beginning)).map(|(_, errno)| errno)
    });
    NOTES.with_borrow_mut(|notes| notes.push(what));
    match refused {
        // SAFETY: it is this thread's own.
        Some(Some(errno)) => unsafe { *libc::__errno_location() = errno },
        Some(None) => nix::sys::signal::raise(nix::sys::signal::SIGKILL).unwrap(),
        None => {}
    }
    refused.is_some()
}

/// The last part of a path, without what differs each time.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if name.ends_with(".part") { "part".to_owned() } else { name }
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

/// # Safety
/// A string that ends in NUL.
#[unsafe(no_mangle)]
unsafe extern "C" fn unlink(path: *const c_char) -> c_int {
    // SAFETY: as promised.
    let text = Path::new(unsafe { CStr::from_ptr(path) }.to_str().unwrap_or_default());
    if note(format!("unlink {}", name(text))) {
        return -1;
    }
    // SAFETY: as promised.
    unsafe { libc::syscall(libc::SYS_unlinkat, libc::AT_FDCWD, path, 0) as c_int }
}

/// Plays a part in another process, if it is one of these.
pub fn play(part: &str, root: &Path, number: u64) -> bool {
    match part {
        "is killed" => is_killed(root, number as usize),
        _ => return false,
    }
    true
}

/// An open store in a directory called `store`, in which a run has begun.
fn with_store(test: impl FnOnce(&TestStore, &Run)) {
    let directory = TempDir::new();
    let store = TestStore::at(&directory.join("store"));
    let run = store.begin("r1", "p", "i");
    store.put("k", &large(0)); // So that all its files are there.
    NOTES.take();
    test(&store, &run);
}

#[test]
fn what_need_not_be_durable_waits_for_no_disk() {
    with_store(|store, run| {
        for n in 0..20 {
            store.record(run, n, "step", b"small");
        }
        assert_eq!(NOTES.take(), NONE);
        store.record(run, 20, "step", &large(1));
        assert_eq!(NOTES.take(), [format!("rename part {}", blob_name(&large(1)))]);
    });
}

#[test]
fn what_is_small_and_durable_waits_for_the_log_once() {
    with_store(|store, run| {
        store.try_record(run, 0, "step", b"small", true).unwrap();
        NOTES.take(); // A log that is new waits for its directory, too.
        for n in 1..5 {
            store.try_record(run, n, "step", &bytes(n as u64, INLINE / 4), true).unwrap();
            assert_eq!(NOTES.take(), ["sync flowline.db-wal"]);
        }
    });
}

#[test]
fn what_is_large_and_durable_is_on_disk_before_it_has_its_name_and_that_before_a_row_refers_to_it() {
    with_store(|store, run| {
        store.try_record(run, 0, "step", b"small", true).unwrap();
        NOTES.take();
        store.try_record(run, 1, "step", &large(1), true).unwrap();
        let rename = format!("rename part {}", blob_name(&large(1)));
        let expected = ["sync part", &rename, "sync flowline.blobs", "sync store", "sync flowline.db-wal"];
        assert_eq!(NOTES.take(), expected);
    });
}

#[test]
fn a_file_is_removed_after_the_commit_that_dropped_its_last_reference() {
    with_store(|store, run| {
        store.record(run, 0, "a", &large(1));
        store.try_record(run, 1, "b", b"small", true).unwrap();
        store.finish(run);
        NOTES.take();
        let next = start("r2", "p", "i"); // It clears the older records.
        store.store.begin(&next, true, patient()).unwrap();
        assert_eq!(
            NOTES.take(),
            ["sync flowline.db-wal".to_owned(), format!("unlink {}", blob_name(&large(1)))]
        );
    });
}

#[test]
fn each_call_is_as_durable_as_it_asks() {
    with_store(|store, run| {
        store.try_record(run, 0, "step", b"small", true).unwrap();
        NOTES.take();
        for (n, durable) in (1..).zip([false, true, true, false, false, true]) {
            store.try_record(run, n, "step", b"small", durable).unwrap();
            let expected: &[&str] = if durable { &["sync flowline.db-wal"] } else { &[] };
            assert_eq!(NOTES.take(), expected, "{n}");
        }
        let finish = flowline_core::store::End { run: 1, status: "failed".to_owned(), ..Default::default() };
        store.store.finish(&finish, &[], true, patient()).unwrap();
        assert_eq!(NOTES.take(), ["sync flowline.db-wal"]);
        store.store.begin(&start("r2", "p", "i"), true, patient()).unwrap();
        assert_eq!(NOTES.take().iter().filter(|note| *note == "sync flowline.db-wal").count(), 1);
    });
}

#[test]
fn what_the_disk_refuses_is_not_recorded_and_leaves_no_file() {
    for (refused, durable) in [
        ("sync part", true),
        ("rename", true),
        ("rename", false),
        ("sync flowline.blobs", true),
        ("sync store", true),
        ("sync flowline.db-wal", true),
    ] {
        for (errno, full) in [(libc::ENOSPC, true), (libc::EDQUOT, true), (libc::EIO, false)] {
            with_store(|store, run| {
                store.try_record(run, 0, "first", b"small", durable).unwrap();
                REFUSED.set(Some((refused, Some(errno))));
                let answer = store.try_record(run, 1, "step", &large(1), durable);
                assert_eq!(REFUSED.take(), None, "{refused} was called");
                match answer.unwrap_err() {
                    StoreError::Full => assert!(full, "{refused}, {errno}"),
                    StoreError::Device(why) => {
                        assert!(!full || refused.ends_with("wal"), "{refused}, {errno}: {why}");
                    }
                    other => panic!("{refused}: {other:?}"),
                }
                assert_eq!((store.count("steps"), store.count("records")), (1, 1), "{refused}");
                assert!(!store.files().iter().any(|name| name.ends_with(".part")), "{refused}");
                TestStore::at(&store.root).put("other", b"sweeps");
                assert_eq!(store.files(), [blob_name(&large(0))], "{refused}");
                store.try_record(run, 1, "step", &large(1), durable).unwrap();
                assert_eq!(store.count("steps"), 2, "{refused}: works on");
                store.assert_sound();
            });
        }
    }
}

#[test]
fn a_log_that_cannot_be_synced_records_nothing() {
    with_store(|store, run| {
        store.try_record(run, 0, "a", b"small", true).unwrap();
        REFUSED.set(Some(("sync flowline.db-wal", Some(libc::EIO))));
        let answer = store.try_record(run, 1, "b", b"other", true);
        assert_eq!(REFUSED.take(), None, "it was called");
        assert!(matches!(answer, Err(StoreError::Device(_))), "{answer:?}");
        assert_eq!(store.steps(1, patient()).unwrap().len(), 1);
        store.try_record(run, 1, "b", b"other", true).unwrap();
        assert_eq!(store.steps(1, patient()).unwrap().len(), 2);
    });
}

#[test]
fn a_file_that_cannot_be_removed_stays_until_the_next_process_removes_it() {
    with_store(|store, run| {
        store.record(run, 0, "a", &large(1));
        store.finish(run);
        REFUSED.set(Some(("unlink", Some(libc::EIO))));
        assert_eq!(store.clear(1, patient()).unwrap(), Claim::Claimed, "it is cleared all the same");
        assert_eq!(REFUSED.take(), None, "it was called");
        assert_eq!(store.outputs(1), NONE);
        assert_eq!(store.files().len(), 2);
        TestStore::at(&store.root).put("other", b"sweeps");
        assert_eq!(store.files(), [blob_name(&large(0))]);
    });
}

/// Where the helper is killed while it replaces a large output by another, and clears the other.
const DEATHS: [(&str, &str); 6] = [
    // In the course of the replacement: the old output is there.
    ("sync part", "old"),
    ("rename part", "old"),
    ("sync flowline.blobs", "old"),
    ("sync flowline.db-wal", "either"),
    // After its commit, before the old file is removed: the new output is there.
    ("unlink", "new"),
    // Nowhere: all is done.
    ("nothing", "new"),
];

#[test]
fn a_process_that_is_killed_anywhere_loses_nothing_and_the_next_one_cleans_up() {
    for (number, (death, expected)) in DEATHS.into_iter().enumerate() {
        let directory = TempDir::new();
        let root = directory.join("store");
        let mut helper = Helper::start("is killed", &root, number as u64);
        assert_eq!(helper.receive(), "ready");
        helper.close_stdin();
        helper.wait();
        let store = TestStore::at(&root);
        let found = store.output(1, "step");
        let (old, new) = (describe(&large(1)), describe(&large(2)));
        match expected {
            "old" => assert_eq!(found, old, "{death}"),
            "new" => assert_eq!(found, new, "{death}"),
            _ => assert!(found == old || found == new, "{death}: {found}"),
        }
        if death != "nothing" && death != "sync flowline.db-wal" {
            assert_eq!(store.files().len(), 2, "{death}: something is to be cleaned up");
        }
        store.put("k", b"sweeps");
        let left = if found == old { large(1) } else { large(2) };
        assert_eq!(store.files(), [blob_name(&left)], "{death}");
        assert_eq!(store.output(1, "step"), found, "{death}");
        assert_eq!(store.statuses("p"), "1 crashed");
        store.assert_sound();
        assert!(names(&root).contains(&FILE.to_owned()));
    }
}

fn is_killed(root: &Path, number: usize) {
    let store = TestStore::at(root);
    let run = store.begin("r1", "p", "i");
    store.try_record(&run, 0, "step", &large(1), true).unwrap();
    process::send("ready");
    process::receive();
    REFUSED.set(Some((DEATHS[number].0, None)));
    store.try_record(&run, 0, "step", &large(2), true).unwrap();
}
