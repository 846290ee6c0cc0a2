//! Several processes with one store: they write at the same time, are killed, and exclude each other.

use std::collections::HashSet;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::common::Random;
use crate::common::process::{self, Helper, receive, send};
use crate::common::store::{LOCKS, NONE, TempDir, TestStore, bytes, describe, large, open, patient};
use flowline_core::store::{Claim, FILE, INLINE, Key, Lock, Run, StoreError};
use nix::sys::resource::{Resource, setrlimit};

/// Plays a part in another process, if it is one of these.
pub fn play(part: &str, root: &Path, number: u64) -> bool {
    match part {
        "writer" => writer(root, number),
        "first" => first(root, number),
        "endless writer" => endless_writer(root, number),
        "holder" => holder(root, number),
        "claimer" => claimer(root),
        "busy" => busy(root),
        "many stores" => many_stores(root, number as usize),
        "no descriptors" => no_descriptors(root),
        "no permission" => no_permission(root),
        _ => return false,
    }
    true
}

mod many_writers {
    use super::*;

    pub const RECORDS: i64 = 150;

    #[test]
    fn lose_nothing_and_never_fail() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let mut helpers: Vec<_> = (1..=6).map(|n| Helper::start("writer", &directory.path, n)).collect();
        helpers.iter_mut().for_each(|helper| assert_eq!(helper.receive(), "ready"));
        helpers.iter_mut().for_each(|helper| helper.send("go"));
        let writers: Vec<(i64, u64)> = (1..)
            .zip(&mut helpers)
            .map(|(writer, helper)| (helper.receive().parse().unwrap(), writer))
            .collect();
        helpers.into_iter().for_each(Helper::succeeds);
        assert_eq!(store.ids(Some("p")).len(), 6);
        for (checkpoint, writer) in writers {
            let mut expected: Vec<_> =
                (0..RECORDS).map(|n| format!("step {n} {}", describe(&value(writer, n as u64)))).collect();
            expected.sort();
            assert_eq!(store.outputs(checkpoint), expected);
        }
        assert_eq!(store.count("steps"), 6 * RECORDS);
        let needed = store.number("SELECT count(DISTINCT digest) FROM records WHERE bytes IS NULL");
        assert_eq!(store.files().len() as i64, needed, "none too many, none too few");
        store.assert_sound();
    }

    #[test]
    fn may_open_the_store_for_the_first_time_at_once() {
        for _ in 0..5 {
            let directory = TempDir::new();
            let root = directory.join("a/store");
            let mut helpers: Vec<_> = (1..=6).map(|n| Helper::start("first", &root, n)).collect();
            helpers.iter_mut().for_each(|helper| assert_eq!(helper.receive(), "ready"));
            helpers.iter_mut().for_each(|helper| helper.send("go"));
            helpers.into_iter().for_each(Helper::succeeds);
            assert_eq!(TestStore::at(&root).ids(Some("p")).len(), 6);
        }
    }
}

/// Returns the nth output of a writer: sometimes a large one, sometimes the same as other writers record.
fn value(writer: u64, n: u64) -> Vec<u8> {
    match n % 20 {
        0 => bytes(writer * 1000 + n, INLINE + 3),
        10 => bytes(n, INLINE),
        _ => bytes(writer * 1000 + n, 50 + n as usize),
    }
}

fn record(store: &TestStore, run: &Run, writer: u64, n: u64) -> Result<(), StoreError> {
    store.try_record(run, n as i64, &format!("step {n}"), &value(writer, n), n % 7 == 0)
}

fn writer(root: &Path, number: u64) {
    let store = TestStore::at(root);
    send("ready");
    receive();
    let run = store.begin(&format!("r{number}"), "p", &number.to_string());
    send(run.checkpoint);
    for n in 0..many_writers::RECORDS as u64 {
        record(&store, &run, number, n).unwrap();
        // Others' files come and go meanwhile.
        store.put(&number.to_string(), &value(number, n % 3 * 10));
    }
    store.delete(&number.to_string());
    receive();
}

fn first(root: &Path, number: u64) {
    send("ready");
    receive();
    TestStore::at(root).begin(&format!("r{number}"), "p", "i");
}

mod killing_a_writer {
    use super::*;

    #[test]
    fn loses_nothing_that_was_acknowledged_and_leaves_nothing_torn() {
        let directory = TempDir::new();
        let root = directory.join("store");
        let mut random = Random(std::process::id().into());
        let mut acknowledged = Vec::new();
        for writer in 1..=30 {
            let mut helper = Helper::start("endless writer", &root, writer);
            for _ in 0..random.below(60) {
                acknowledged.push((writer, helper.receive().parse::<u64>().unwrap()));
            }
            // In the midst of what comes next.
            let until = Instant::now() + Duration::from_micros(random.below(1500) as u64);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            helper.kill();
            while let Some(sent) = helper.try_receive() {
                acknowledged.push((writer, sent.parse().unwrap()));
            }
            if writer % 10 == 0 {
                check(&root, &acknowledged);
            }
        }
        assert!(acknowledged.len() > 200, "{}", acknowledged.len());
        let store = TestStore::at(&root);
        store.assert_sound();
        store.put("k", b"the first change removes what those that were killed left");
        let needed = store.number("SELECT count(DISTINCT digest) FROM records WHERE bytes IS NULL");
        assert_eq!(store.files().len() as i64, needed);
        check(&root, &acknowledged);
    }

    fn check(root: &Path, acknowledged: &[(u64, u64)]) {
        let store = TestStore::at(root);
        let mut found = HashSet::new();
        for run in store.runs(None, 999, patient()).unwrap() {
            assert_eq!(run.status, "crashed");
            let writer: u64 = run.identity.parse().unwrap();
            for record in store.records(run.checkpoint, patient()).unwrap() {
                let n: u64 = record.step.strip_prefix("step ").unwrap().parse().unwrap();
                assert_eq!(record.output, Some(value(writer, n)), "{n} of {writer}");
                found.insert((writer, n));
            }
        }
        let lost: Vec<_> = acknowledged.iter().filter(|&known| !found.contains(known)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert_eq!(store.count("steps"), store.count("records"), "no step without its output");
    }
}

fn endless_writer(root: &Path, number: u64) {
    let store = TestStore::at(root);
    let run = store.begin(&format!("r{number}"), "p", &number.to_string());
    for n in 0.. {
        record(&store, &run, number, n).unwrap();
        send(n);
    }
}

mod locks {
    use super::*;

    #[test]
    fn exclude_other_processes() {
        let directory = TempDir::new();
        let own = open(&directory.path).unwrap();
        let mut helper = Helper::start("holder", &directory.path, 5);
        assert_eq!(helper.receive(), "acquired: true");
        for lock in [Lock::Checkpoint(5), Lock::Key(5), Lock::Part(5)] {
            assert!(own.is_taken(lock).unwrap(), "{lock:?}");
            assert!(!own.acquire(lock).unwrap(), "{lock:?}");
        }
        for other in [4, 6, 0, i64::from(i32::MAX) * 1000] {
            let lock = Lock::Checkpoint(other);
            assert!(!own.is_taken(lock).unwrap() && own.acquire(lock).unwrap(), "{other}");
        }
        let mut second = Helper::start("holder", &directory.path, 5);
        assert_eq!(second.receive(), "acquired: false");
        let mut third = Helper::start("holder", &directory.path, 6);
        assert_eq!(third.receive(), "acquired: false");
    }

    #[test]
    fn are_free_at_once_when_their_process_is_killed() {
        let directory = TempDir::new();
        let own = open(&directory.path).unwrap();
        for _ in 0..10 {
            let mut helper = Helper::start("holder", &directory.path, 5);
            assert_eq!(helper.receive(), "acquired: true");
            helper.kill();
            assert!(!own.is_taken(Lock::Checkpoint(5)).unwrap());
            assert!(own.acquire(Lock::Checkpoint(5)).unwrap());
            own.release(Lock::Checkpoint(5));
        }
    }

    #[test]
    fn are_free_when_they_were_released() {
        let directory = TempDir::new();
        let own = open(&directory.path).unwrap();
        let mut helper = Helper::start("holder", &directory.path, 5);
        assert_eq!(helper.receive(), "acquired: true");
        own.release(Lock::Checkpoint(5));
        assert!(own.is_taken(Lock::Checkpoint(5)).unwrap(), "it was not its own");
        helper.send("release");
        assert_eq!(helper.receive(), "released");
        let locks = [Lock::Checkpoint(5), Lock::Key(5), Lock::Part(5)];
        assert!(locks.iter().all(|&lock| own.acquire(lock).unwrap()));
        helper.send("acquire");
        assert_eq!(helper.receive(), "acquired: false");
        locks.iter().for_each(|&lock| own.release(lock));
        helper.send("acquire");
        assert_eq!(helper.receive(), "acquired: true");
    }

    #[test]
    fn survive_another_descriptor_that_is_closed_in_their_process() {
        let directory = TempDir::new();
        let own = open(&directory.path).unwrap();
        let mut helper = Helper::start("holder", &directory.path, 5);
        assert_eq!(helper.receive(), "acquired: true");
        helper.send("close others");
        assert_eq!(helper.receive(), "closed");
        assert!(own.is_taken(Lock::Checkpoint(5)).unwrap());
        assert!(!own.acquire(Lock::Checkpoint(5)).unwrap());
    }
}

fn holder(root: &Path, number: u64) {
    let store = TestStore::at(root);
    let locks = [Lock::Checkpoint(number as i64), Lock::Key(number), Lock::Part(number)];
    let acquire = || {
        let answers: HashSet<bool> = locks.iter().map(|&lock| store.acquire(lock).unwrap()).collect();
        assert_eq!(answers.len(), 1);
        send(format_args!("acquired: {}", answers.contains(&true)));
    };
    if number == 6 {
        return send(format_args!("acquired: {}", store.acquire(locks[0]).unwrap()));
    }
    acquire();
    loop {
        match receive().as_str() {
            "release" => {
                locks.iter().for_each(|&lock| store.release(lock));
                send("released");
            }
            "acquire" => acquire(),
            "close others" => {
                for name in [LOCKS, FILE, "flowline.db-shm"] {
                    drop(std::fs::File::options().read(true).write(true).open(root.join(name)).unwrap());
                }
                drop(TestStore::at(root));
                send("closed");
            }
            _ => return,
        }
    }
}

mod a_run_that_is_to_be_resumed {
    use super::*;

    #[test]
    fn is_claimed_by_exactly_one_of_many_processes_and_again_when_that_has_ended() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        store.record(&run, 0, "a", b"output");
        store.store.finish(&crate::common::store::end(&run, "failed"), &[], false, patient()).unwrap();
        let mut helpers: Vec<_> = (1..=6).map(|n| Helper::start("claimer", &directory.path, n)).collect();
        helpers.iter_mut().for_each(|helper| assert_eq!(helper.receive(), "ready"));
        helpers.iter_mut().for_each(|helper| helper.send("go"));
        let answers: Vec<_> = helpers.iter_mut().map(Helper::receive).collect();
        assert_eq!(answers.iter().filter(|answer| *answer == "claimed").count(), 1, "{answers:?}");
        assert_eq!(answers.iter().filter(|answer| *answer == "held").count(), 5, "{answers:?}");
        let latest = || store.latest("p", Some("i"), patient()).unwrap().unwrap();
        assert!(matches!(store.claim(&latest(), patient()).unwrap(), Claim::Held(_)));
        helpers.iter_mut().for_each(Helper::kill);
        assert_eq!(store.claim(&latest(), patient()).unwrap(), Claim::Claimed);
        assert_eq!(store.outputs(1), ["a <output>"]);
    }

    #[test]
    fn has_crashed_when_its_process_was_killed() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let mut helper = Helper::start("endless writer", &directory.path, 1);
        helper.receive();
        assert_eq!(store.statuses("p"), "1 running");
        let run = store.latest("p", Some("1"), patient()).unwrap().unwrap();
        assert!(run.alive);
        assert_eq!(store.clear(1, patient()).unwrap(), Claim::Held(Box::new(run.clone())));
        let next = store.begin("new", "p", "1");
        assert_ne!(store.outputs(1), NONE, "spared, because its run is alive");
        store.finish(&next);
        helper.kill();
        assert_eq!(store.statuses("p"), "2 succeeded, 1 crashed");
        store.begin("newer", "p", "1");
        assert_eq!(store.outputs(1), NONE, "cleared, because its run is dead");
    }
}

fn claimer(root: &Path) {
    let store = TestStore::at(root);
    let run = store.latest("p", Some("i"), patient()).unwrap().unwrap();
    send("ready");
    receive();
    match store.claim(&run, patient()).unwrap() {
        Claim::Claimed => send("claimed"),
        Claim::Held(_) => send("held"),
        Claim::Changed => send("changed"),
    }
    receive();
}

mod a_process_that_writes_for_long {
    use super::*;

    #[test]
    fn makes_others_wait_and_nothing_else() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        let mut helper = Helper::start("busy", &directory.path, 0);
        assert_eq!(helper.receive(), "writing");
        let since = Instant::now();
        record(&store, &run, 1, 0).unwrap();
        let waited = since.elapsed();
        helper.succeeds();
        assert!(waited > Duration::from_millis(100), "{waited:?}");
        assert_eq!(store.count("records"), 1);
        assert_eq!(store.count("runs"), 2);
    }

    #[test]
    fn and_is_killed_leaves_nothing_and_no_lock() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        let mut helper = Helper::start("busy", &directory.path, 0);
        assert_eq!(helper.receive(), "writing");
        helper.kill();
        let since = Instant::now();
        record(&store, &run, 1, 0).unwrap();
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        assert_eq!(store.statuses("p"), "1 running");
    }
}

fn busy(root: &Path) {
    let sql = TestStore::at(root).sql();
    let run = "INSERT INTO runs (run_id, pipeline, identity, checkpoint, status, pid, started) \
               VALUES ('busy', 'p', 'i', 1, 'running', 7, 0)";
    sql.execute_batch(&format!("BEGIN IMMEDIATE; {run}")).unwrap();
    send("writing");
    std::thread::sleep(Duration::from_millis(300));
    sql.execute_batch("COMMIT").unwrap();
}

mod descriptors {
    use super::*;

    #[test]
    fn are_enough_for_many_stores() {
        let directory = TempDir::new();
        Helper::run("many stores", &directory.path, 0);
    }

    #[test]
    fn are_enough_for_many_stores_that_hold_locks() {
        let directory = TempDir::new();
        Helper::run("many stores", &directory.path, 1);
    }

    #[test]
    fn are_enough_for_many_stores_although_the_process_forks() {
        let directory = TempDir::new();
        Helper::run("many stores", &directory.path, 2);
    }

    #[test]
    fn that_are_missing_are_an_error_and_no_damage() {
        let directory = TempDir::new();
        Helper::run("no descriptors", &directory.path, 0);
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// Uses 200 stores in turn; some with locks, or with forks in between.
fn many_stores(root: &Path, kind: usize) {
    setrlimit(Resource::RLIMIT_NOFILE, 256, 256).unwrap();
    let before = open_descriptors();
    let stores: Vec<_> = (0..200)
        .map(|n| {
            let store = TestStore::at(&root.join(n.to_string()));
            if kind == 2 && n % 11 == 0 {
                process::join(process::fork_with(|| store.put("child", b"child")));
            }
            store
        })
        .collect();
    let locked = if kind == 1 { 120 } else { 0 };
    for store in &stores[..locked] {
        assert!(store.acquire(Lock::Checkpoint(5)).unwrap());
    }
    for round in 0..2 {
        for (n, store) in stores.iter().enumerate() {
            store.put("k", format!("{round} {n}").as_bytes());
            if kind == 2 && n % 11 == 0 {
                process::join(process::fork_with(|| assert_eq!(store.value("k"), format!("<{round} {n}>"))));
            }
        }
        for (n, store) in stores.iter().enumerate() {
            assert_eq!(store.value("k"), format!("<{round} {n}>"));
        }
    }
    let open = open_descriptors() - before;
    assert!(open <= locked + 40, "idle stores are closed: {open}");
    for store in &stores[..locked] {
        assert!(!open_again(store).acquire(Lock::Checkpoint(5)).unwrap(), "it holds its lock still");
    }
    drop(stores);
    assert_eq!(open_descriptors(), before, "none is left");
}

fn open_again(store: &TestStore) -> TestStore {
    TestStore::at(&store.root)
}

fn no_descriptors(root: &Path) {
    setrlimit(Resource::RLIMIT_NOFILE, 64, 64).unwrap();
    let store = TestStore::at(&root.join("store"));
    let run = store.begin("r1", "p", "i");
    store.record(&run, 0, "a", &large(1));
    store.put("k", &large(2));
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    let none = |answer: Result<(), StoreError>| {
        let error = answer.unwrap_err();
        assert!(matches!(error, StoreError::Descriptors(_)), "{error:?}");
        assert_eq!(error.kind(), "descriptors");
        assert!(error.to_string().contains("raise the limit with ulimit -n"));
    };
    none(store.records(1, patient()).map(drop));
    none(store.store.output(1, "a", patient()).map(drop));
    none(store.entry(&Key::Text("k".into()), 10.0, patient()).map(drop));
    none(store.try_record(&run, 1, "b", &large(3), false));
    for spare in 0..6 {
        // With none, and with one for some of the files that SQLite needs. An idle store is closed for another one.
        for answer in
            [open(&root.join(format!("other {spare}"))).map(drop), store.runs(None, 9, patient()).map(drop)]
        {
            assert!(matches!(answer, Ok(()) | Err(StoreError::Descriptors(_))), "{spare}: {answer:?}");
        }
        drop(files.pop());
    }
    drop(files);
    assert_eq!(store.outputs(1), [format!("a {}", describe(&large(1)))]);
    assert_eq!(store.value("k"), describe(&large(2)));
    assert_eq!(store.files().len(), 2);
    store.record(&run, 1, "b", &large(3));
    assert_eq!(open(&root.join("other 0")).unwrap().root(), root.join("other 0").canonicalize().unwrap());
}

#[test]
fn a_value_that_may_not_be_read_is_an_error_and_no_damage() {
    let directory = TempDir::new();
    Helper::run("no permission", &directory.path, 0);
}

fn no_permission(root: &Path) {
    use nix::unistd::{Uid, seteuid};
    use std::os::unix::fs::PermissionsExt;
    let nobody = 65534;
    let store = TestStore::at(&root.join("store"));
    store.put("k", &large(2));
    let file = store.blob_of(&large(2));
    let is_root = Uid::effective().is_root();
    if is_root {
        for path in [root.join("store"), root.join("store/flowline.blobs")] {
            std::os::unix::fs::chown(path, Some(nobody), None).unwrap();
        }
        for name in [FILE, "flowline.db-wal", "flowline.db-shm", LOCKS] {
            std::os::unix::fs::chown(root.join("store").join(name), Some(nobody), None).unwrap();
        }
        seteuid(Uid::from_raw(nobody)).unwrap();
    } else {
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o000)).unwrap();
    }
    let answer = store.entry(&Key::Text("k".into()), 10.0, patient());
    assert!(matches!(&answer, Err(StoreError::Denied(_))), "{answer:?}");
    if is_root {
        seteuid(Uid::from_raw(0)).unwrap();
        for path in [root.join("store"), root.join("store/flowline.blobs")] {
            std::os::unix::fs::chown(path, Some(0), None).unwrap();
        }
        assert_eq!(store.value("k"), describe(&large(2)));
    }
}
