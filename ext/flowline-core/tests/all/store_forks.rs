//! Forks of a process that has stores open: no lock is inherited, nothing hangs, nothing is lost.
//!
//! Each test forks in a process of its own, with the handlers that the Ruby binding registers.

use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use crate::common::process::{Helper, fork_with, join, receive, send, take_byte};
use crate::common::store::{TempDir, TestStore, bytes, describe, large, patient};
use flowline_core::store::{Lock, StoreError, Wait};

/// Plays a part in another process, if it is one of these.
pub fn play(part: &str, root: &Path, number: u64) -> bool {
    match part {
        "child reopens" => child_reopens(root),
        "child has no locks" => child_has_no_locks(root),
        "parent ends" => parent_ends(root),
        "threads record" => threads_record(root, number),
        "threads open and close" => threads_open_and_close(root),
        "a thread waits" => a_thread_waits(root),
        "children fork" => children_fork(root),
        _ => return false,
    }
    true
}

#[test]
fn a_child_opens_the_store_again_and_both_record() {
    let directory = TempDir::new();
    Helper::run("child reopens", &directory.path, 0);
    let store = TestStore::at(&directory.path);
    assert_eq!(store.outputs(1), ["before <before>".to_owned(), format!("parent {}", describe(&large(3)))]);
    assert_eq!(store.outputs(2), [format!("child {}", describe(&large(2)))]);
    assert_eq!(store.statuses("p"), "2 succeeded, 1 crashed");
    store.assert_sound();
}

fn child_reopens(root: &Path) {
    let store = TestStore::at(root);
    let run = store.begin("parent", "p", "i");
    store.record(&run, 0, "before", b"before");
    let child = fork_with(|| {
        assert_eq!(store.outputs(1)[0], "before <before>", "its parent may record more meanwhile");
        assert_eq!(store.statuses("p"), "1 running", "its parent has it");
        let run = store.begin("child", "p", "j");
        store.record(&run, 0, "child", &large(2));
        store.finish(&run);
    });
    store.record(&run, 1, "parent", &large(3));
    join(child);
    assert_eq!(store.statuses("p"), "2 succeeded, 1 running");
    store.assert_sound();
}

#[test]
fn a_child_has_none_of_its_parents_locks_and_its_exit_drops_none() {
    let directory = TempDir::new();
    Helper::run("child has no locks", &directory.path, 0);
}

fn child_has_no_locks(root: &Path) {
    let store = TestStore::at(root);
    let run = store.begin("parent", "p", "i");
    let locks = [Lock::Checkpoint(run.checkpoint), Lock::Checkpoint(5), Lock::Key(5), Lock::Part(5)];
    locks[1..].iter().for_each(|&lock| assert!(store.acquire(lock).unwrap()));
    // Looks through a description of its own.
    let assert_held = || {
        let other = TestStore::at(root);
        locks
            .iter()
            .for_each(|&lock| assert!(other.is_taken(lock).unwrap() && !other.acquire(lock).unwrap()));
    };
    for _ in 0..3 {
        let child = fork_with(|| {
            for lock in locks {
                assert!(store.is_taken(lock).unwrap());
                assert!(!store.acquire(lock).unwrap());
                store.release(lock); // It has none to give back.
                assert!(store.is_taken(lock).unwrap());
            }
            assert!(store.acquire(Lock::Checkpoint(6)).unwrap());
            assert!(
                store
                    .clear(1, patient())
                    .is_ok_and(|claim| matches!(claim, flowline_core::store::Claim::Held(_)))
            );
            assert_held();
        });
        assert_held();
        join(child);
        assert_held();
        assert!(store.acquire(Lock::Checkpoint(6)).unwrap(), "the child's ended with it");
        store.release(Lock::Checkpoint(6));
    }
    // A child's own locks exclude its parent, and the parent's release is not the child's.
    let child = fork_with(|| {
        assert!(store.acquire(Lock::Key(7)).unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        while !store.acquire(Lock::Key(5)).unwrap() {
            assert!(Instant::now() < until, "its parent gives it back");
            std::thread::sleep(Duration::from_millis(1));
        }
    });
    let until = Instant::now() + Duration::from_secs(20);
    while !store.is_taken(Lock::Key(7)).unwrap() {
        assert!(Instant::now() < until, "the child takes it");
        std::thread::sleep(Duration::from_millis(1));
    }
    assert!(!store.acquire(Lock::Key(7)).unwrap());
    store.release(Lock::Key(5));
    join(child);
    assert!(store.acquire(Lock::Key(7)).unwrap());
}

#[test]
fn a_parent_that_ends_right_after_a_fork_leaves_nothing_locked() {
    for _ in 0..5 {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let mut helper = Helper::start("parent ends", &directory.path, 0);
        let child = helper.receive();
        helper.wait();
        let until = Instant::now() + Duration::from_secs(5);
        while !store.acquire(Lock::Checkpoint(5)).unwrap() {
            assert!(Instant::now() < until, "the child has its parent's lock");
            std::thread::sleep(Duration::from_millis(1));
        }
        assert_eq!(store.statuses("p"), "1 crashed");
        assert!(Path::new(&format!("/proc/{child}")).exists(), "the child is alive all the time");
        store.put("k", b"the store as a whole is free, too");
        helper.send("end");
        assert_eq!(helper.receive(), "<the store as a whole is free, too>");
    }
}

fn parent_ends(root: &Path) {
    let store = TestStore::at(root);
    store.begin("parent", "p", "i");
    assert!(store.acquire(Lock::Checkpoint(5)).unwrap());
    fork_with(|| {
        send(std::process::id());
        receive();
        send(store.value("k"));
    });
    // SAFETY: ends this process, as a crash would.
    unsafe { nix::libc::_exit(0) }
}

#[test]
fn forks_while_other_threads_record_neither_hang_nor_lose_anything() {
    for number in [1, 3] {
        let directory = TempDir::new();
        Helper::run("threads record", &directory.path, number);
    }
}

/// Threads share a handle, and record small and large outputs while another one forks.
fn threads_record(root: &Path, handles: u64) {
    let (root, done) = (root.to_owned(), AtomicBool::new(false));
    let stores: Vec<_> = (0..handles).map(|_| TestStore::at(&root)).collect();
    let store = &stores[0];
    let run = store.begin("parent", "p", "i");
    let recorded: Vec<_> = (0..3).map(|_| AtomicU64::new(0)).collect();
    let mut children = 0;
    let value = |thread: u64, n: u64| {
        if n % 10 == 0 { large(thread * 10_000 + n) } else { bytes(thread * 10_000 + n, 200) }
    };
    std::thread::scope(|scope| {
        for (thread, count) in (0..).zip(&recorded) {
            let (run, done, store) = (&run, &done, &stores[thread as usize % stores.len()]);
            scope.spawn(move || {
                while !done.load(Relaxed) {
                    let n = count.load(Relaxed);
                    let position = (thread * 1_000_000 + n) as i64;
                    let step = format!("{thread}-{n}");
                    store.try_record(run, position, &step, &value(thread, n), n % 3 == 0).unwrap();
                    count.store(n + 1, Relaxed);
                }
            });
        }
        let until = Instant::now() + Duration::from_secs(60);
        while children < 40 {
            assert!(Instant::now() < until);
            let key = format!("child {children}");
            let child = fork_with(|| {
                store.put(&key, &bytes(children, 500));
                store.put("large", &large(children));
                assert_eq!(store.statuses("p"), "1 running");
                assert_eq!(store.value(&key), describe(&bytes(children, 500)));
            });
            join(child);
            children += 1;
        }
        done.store(true, Relaxed);
    });
    store.assert_sound();
    store.assert_total();
    let mut expected = Vec::new();
    for (thread, count) in (0..).zip(&recorded) {
        assert!(count.load(Relaxed) > 10);
        expected.extend(
            (0..count.load(Relaxed)).map(|n| format!("{thread}-{n} {}", describe(&value(thread, n)))),
        );
    }
    expected.sort();
    assert_eq!(store.outputs(1), expected);
    for child in 0..children {
        assert_eq!(store.value(&format!("child {child}")), describe(&bytes(child, 500)));
    }
}

#[test]
fn forks_while_other_threads_open_and_close_stores_do_not_hang() {
    let directory = TempDir::new();
    Helper::run("threads open and close", &directory.path, 0);
}

fn threads_open_and_close(root: &Path) {
    let done = AtomicBool::new(false);
    let store = TestStore::at(root);
    std::thread::scope(|scope| {
        for thread in 0..3 {
            let done = &done;
            scope.spawn(move || {
                let other = root.join(format!("other {thread}"));
                while !done.load(Relaxed) {
                    // It is dropped with a lock that is not given back.
                    let store = TestStore::at(&other);
                    let until = Instant::now() + Duration::from_secs(20);
                    while !store.acquire(Lock::Checkpoint(5)).unwrap() {
                        assert!(Instant::now() < until, "the handle before has dropped it");
                    }
                }
            });
        }
        for n in 0..200 {
            join(fork_with(|| {
                store.put(&n.to_string(), b"value");
                TestStore::at(&root.join("other 0"));
            }));
        }
        done.store(true, Relaxed);
    });
    assert_eq!(store.count("cache"), 200);
    store.assert_sound();
}

#[test]
fn a_fork_does_not_wait_for_a_thread_that_waits_for_another_process() {
    let directory = TempDir::new();
    drop(TestStore::at(&directory.path));
    let holder = take_byte(&directory.path, 0, true);
    let mut helper = Helper::start("a thread waits", &directory.path, 0);
    assert_eq!(helper.receive(), "forked");
    drop(holder);
    assert_eq!(helper.receive(), "recorded");
    helper.succeeds();
    assert_eq!(TestStore::at(&directory.path).keys(), ["k"]);
}

fn a_thread_waits(root: &Path) {
    // It cannot be opened while the test has it.
    let never = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let store = TestStore::at(root);
            store.put("k", b"value");
        });
        std::thread::sleep(Duration::from_millis(50));
        assert!(!waiting.is_finished());
        let since = Instant::now();
        for _ in 0..20 {
            join(fork_with(|| {
                let wait = Wait::new(Duration::from_millis(1), &never);
                let answer = flowline_core::store::Store::open(root, wait).map(drop);
                assert!(matches!(answer, Err(StoreError::Busy(_))), "{answer:?}");
            }));
        }
        assert!(since.elapsed() < Duration::from_secs(10), "{:?}", since.elapsed());
        send("forked");
        waiting.join().unwrap();
        send("recorded");
    });
}

#[test]
fn children_of_children_work_like_children() {
    let directory = TempDir::new();
    Helper::run("children fork", &directory.path, 0);
    let store = TestStore::at(&directory.path);
    assert_eq!(store.keys(), ["0", "1", "2", "3"]);
    store.assert_sound();
}

fn children_fork(root: &Path) {
    fn descend(store: &TestStore, depth: i64) {
        store.put(&depth.to_string(), b"value");
        assert!(store.acquire(Lock::Checkpoint(depth)).unwrap());
        if depth < 3 {
            join(fork_with(|| {
                assert!((0..=depth).all(|above| !store.acquire(Lock::Checkpoint(above)).unwrap()));
                descend(store, depth + 1);
            }));
        }
    }
    descend(&TestStore::at(root), 0);
}
