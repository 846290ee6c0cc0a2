//! A store whose files are removed, moved or replaced while it is in use: it acknowledges nothing that is lost.

use std::fmt::Debug;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::process::Helper;
use crate::common::store::{
    BLOBS, LOCKS, TempDir, TestStore, completion, describe, end, large, names, patient, start, tree,
};
use flowline_core::store::{FILE, Key, Lock, StoreError};

/// Plays a part in another process, if it is one of these.
pub fn play(part: &str, root: &Path, number: u64) -> bool {
    match part {
        "loses its log" => loses_its_log(root, number as usize),
        _ => return false,
    }
    true
}

#[track_caller]
fn assert_gone<T: Debug>(answer: Result<T, StoreError>, way: &str) {
    let error = answer.expect_err(way);
    assert!(matches!(error, StoreError::Gone), "{way}: {error:?}");
    assert_eq!(error.kind(), "gone");
}

type Call<'a> = (&'a str, &'a dyn Fn(&TestStore) -> Result<(), StoreError>);

/// Makes a store with a run, loses it in some way, and expects that every call says so.
fn lose(way: &str, lose: impl Fn(&Path, &Path)) {
    // Each call must notice it by itself.
    let calls: [Call; 12] = [
        ("begin", &|store| store.store.begin(&start("r2", "p", "j"), false, patient()).map(drop)),
        ("record small", &|store| store.store.record(&[run_step(store)], b"small", false, patient())),
        ("record large", &|store| store.store.record(&[run_step(store)], &large(2), false, patient())),
        ("record durable", &|store| store.store.record(&[run_step(store)], &large(2), true, patient())),
        ("finish", &|store| store.store.finish(&end(&run(store), "failed"), &[], true, patient())),
        ("put small", &|store| store.try_put("k", None, 1.0, b"small", 9)),
        ("put large", &|store| store.try_put("k", None, 1.0, &large(2), i64::MAX)),
        ("touch", &|store| store.touch(&[Key::Text("k".into())], 2.0, patient())),
        ("runs", &|store| store.runs(None, 9, patient()).map(drop)),
        ("records", &|store| store.records(1, patient()).map(drop)),
        ("acquire", &|store| store.acquire(Lock::Checkpoint(7)).map(drop)),
        ("is_taken", &|store| store.is_taken(Lock::Checkpoint(7)).map(drop)),
    ];
    // Also after a while in which the directory did not change, so that its files were not looked at one by one.
    let in_use = [1, 3, 7, 8].map(|number: usize| (calls[number], true));
    for ((name, call), settled) in calls.map(|call| (call, false)).into_iter().chain(in_use) {
        let directory = TempDir::new();
        let (root, aside) = (directory.join("store"), directory.join("aside"));
        let store = TestStore::at(&root);
        let run = store.begin("r1", "p", "i");
        store.record(&run, 0, "a", &large(1));
        if settled {
            use_for_a_while(&store);
        }
        assert!(store.is_there());
        lose(&root, &aside);
        let before = tree(&directory.path);
        assert!(!store.is_there(), "{way}");
        for _ in 0..2 {
            assert_gone(call(&store), &format!("{way}, {name}"));
        }
        let files = |tree: &std::collections::BTreeMap<_, _>| {
            tree.keys().cloned().collect::<Vec<std::path::PathBuf>>()
        };
        assert_eq!(
            files(&tree(&directory.path)),
            files(&before),
            "{way}, {name}: nothing is made or removed"
        );
    }
}

/// For more than a tick of the file system's clock.
fn use_for_a_while(store: &TestStore) {
    let started = Instant::now();
    while started.elapsed() < Duration::from_millis(150) {
        store.touch(&[Key::Text("k".into())], 2.0, patient()).unwrap();
        store.runs(None, 9, patient()).unwrap();
    }
}

/// The run that has begun, which cannot be asked for any more.
fn run(store: &TestStore) -> flowline_core::store::Run {
    assert!(!store.is_there());
    flowline_core::store::Run { id: 1, checkpoint: 1, ..Default::default() }
}

fn run_step(store: &TestStore) -> flowline_core::store::Completion {
    completion(&run(store), 1, "b")
}

#[test]
fn a_removed_directory_is_noticed_by_every_call() {
    lose("removed", |root, _| fs::remove_dir_all(root).unwrap());
}

#[test]
fn a_renamed_directory_is_noticed_by_every_call() {
    lose("renamed", |root, aside| fs::rename(root, aside).unwrap());
}

#[test]
fn a_directory_that_was_replaced_by_another_store_is_noticed_by_every_call() {
    lose("replaced", |root, aside| {
        fs::rename(root, aside).unwrap();
        let other = TestStore::at(root);
        other.begin("other", "p", "i");
        other.put("large", &large(9));
    });
}

#[test]
fn a_removed_or_replaced_database_or_file_of_locks_is_noticed_by_every_call() {
    for name in [FILE, LOCKS] {
        lose(&format!("without {name}"), |root, _| fs::remove_file(root.join(name)).unwrap());
        lose(&format!("with a copy of {name}"), |root, _| {
            fs::copy(root.join(name), root.join("copy")).unwrap();
            fs::rename(root.join("copy"), root.join(name)).unwrap();
        });
    }
}

#[test]
fn a_directory_that_is_moved_back_can_be_used_again() {
    let directory = TempDir::new();
    let (root, aside) = (directory.join("store"), directory.join("aside"));
    let store = TestStore::at(&root);
    let run = store.begin("r1", "p", "i");
    fs::rename(&root, &aside).unwrap();
    assert_gone(store.try_record(&run, 0, "a", b"lost", false), "renamed");
    fs::rename(&aside, &root).unwrap();
    assert!(store.is_there());
    store.record(&run, 1, "b", b"recorded");
    assert_eq!(store.outputs(1), ["b <recorded>"]);
    assert_eq!(store.statuses("p"), "1 running", "its lock was never lost");
}

#[test]
fn a_new_handle_uses_the_store_that_is_there_now() {
    let directory = TempDir::new();
    let root = directory.join("store");
    let old = TestStore::at(&root);
    fs::remove_dir_all(&root).unwrap();
    let new = TestStore::at(&root);
    new.put("k", b"value");
    assert_gone(old.entries(10.0, patient()), "replaced");
    assert_eq!(new.value("k"), "<value>");
}

#[test]
fn a_directory_of_values_that_is_removed_loses_values_and_nothing_else() {
    let directory = TempDir::new();
    let store = TestStore::at(&directory.path);
    let run = store.begin("r1", "p", "i");
    store.record(&run, 0, "a", &large(1));
    store.record(&run, 1, "b", b"small");
    fs::remove_dir_all(directory.join(BLOBS)).unwrap();
    assert_eq!(store.outputs(1), ["a damaged", "b <small>"]);
    store.record(&run, 0, "a", &large(1));
    assert_eq!(store.output(1, "a"), describe(&large(1)));
}

/// Which files of SQLite's log are damaged, and how.
const LOSSES: [(&str, fn(&Path)); 5] = [
    ("-wal removed", |root| fs::remove_file(root.join("flowline.db-wal")).unwrap()),
    ("-shm removed", |root| fs::remove_file(root.join("flowline.db-shm")).unwrap()),
    ("both removed", |root| {
        fs::remove_file(root.join("flowline.db-wal")).unwrap();
        fs::remove_file(root.join("flowline.db-shm")).unwrap();
    }),
    ("-shm replaced by an empty file", |root| {
        fs::write(root.join("new"), "").unwrap();
        fs::rename(root.join("new"), root.join("flowline.db-shm")).unwrap();
    }),
    ("-shm cut", |root| {
        fs::File::options().write(true).open(root.join("flowline.db-shm")).unwrap().set_len(0).unwrap();
    }),
];

#[test]
fn a_log_or_its_index_that_is_lost_loses_at_most_what_was_in_the_log_alone() {
    // In processes of their own, because writing into a file that was cut could end the process.
    for number in 0..LOSSES.len() {
        let directory = TempDir::new();
        Helper::run("loses its log", &directory.path, number as u64);
    }
}

fn loses_its_log(root: &Path, number: usize) {
    let (way, lose) = LOSSES[number];
    for handles in [1, 2] {
        let root = root.join(handles.to_string());
        let stores: Vec<_> = (0..handles).map(|_| TestStore::at(&root)).collect();
        let store = &stores[0];
        let run = store.begin("r1", "p", "i");
        store.record(&run, 0, "checkpointed", b"old");
        store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        store.record(&run, 1, "in the log", b"new");
        stores.iter().for_each(|store| assert_eq!(store.outputs(1).len(), 2));
        lose(&root);
        assert!(store.is_there(), "{way}: the database is still there");
        let found = store.outputs(1);
        assert!(found.contains(&"checkpointed <old>".to_owned()), "{way}: {found:?}");
        let log_is_there = way.starts_with("-shm");
        assert_eq!(found.len(), 1 + usize::from(log_is_there), "{way}: {found:?}");
        for (n, store) in (2..).zip(stores.iter().rev()) {
            store.record(&run, n, &format!("after {n}"), b"after");
            store.record(&run, n + 10, &format!("large {n}"), &large(n as u64));
        }
        for store in &stores {
            let found = store.outputs(1);
            assert_eq!(found.len(), 1 + usize::from(log_is_there) + 2 * handles, "{way}: {found:?}");
            assert!(found.contains(&"after 2 <after>".to_owned()));
            assert_eq!(store.statuses("p"), "1 running", "{way}: the locks are untouched");
        }
        store.assert_sound();
        drop(stores);
        let again = TestStore::at(&root);
        assert_eq!(again.outputs(1).len(), 1 + usize::from(log_is_there) + 2 * handles, "{way}");
        again.assert_sound();
        assert!(names(&root).contains(&FILE.to_owned()));
    }
}

#[test]
fn a_write_into_a_log_that_was_removed_is_not_acknowledged() {
    let directory = TempDir::new();
    let store = TestStore::at(&directory.path);
    let run = store.begin("r1", "p", "i");
    store.record(&run, 0, "checkpointed", b"old");
    store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    store.record(&run, 1, "in the log", b"new");
    fs::remove_file(directory.join("flowline.db-wal")).unwrap();
    assert_gone(store.try_record(&run, 2, "lost", b"lost", false), "-wal removed");
    store.record(&run, 3, "after", b"after");
    assert_eq!(store.outputs(1), ["after <after>", "checkpointed <old>"]);
    store.assert_sound();
}
