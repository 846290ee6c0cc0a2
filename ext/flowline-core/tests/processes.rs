//! Several processes with one store: they write side by side, are killed, and exclude each other.
//!
//! The other processes are this program, asked to play a [part](child).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::Random;
use common::store::{Place, Subject, bytes, complete, told};
use flowline_core::store::{INLINE, Locks, Request, StoreError};
use nix::libc;

/// Another process. It is killed when it is no longer needed.
struct Player {
    process: Child,
    stdin: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Player {
    fn new(part: &str, root: &Path, number: u64) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--ignored", "--nocapture"])
            .env("FLOWLINE_PART", part)
            .env("FLOWLINE_ROOT", root)
            .env("FLOWLINE_NUMBER", number.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, stdin, lines }
    }

    fn pid(&self) -> i32 {
        self.process.id() as i32
    }

    /// The next thing it says.
    #[track_caller]
    fn hear(&mut self) -> String {
        self.try_hear().expect("it has more to say")
    }

    /// What the test harness prints is not said by it.
    fn try_hear(&mut self) -> Option<String> {
        self.lines.by_ref().map_while(Result::ok).find_map(|line| {
            let (_, said) = line.split_once("says: ")?;
            Some(said.to_owned())
        })
    }

    fn tell(&mut self, what: &str) {
        writeln!(self.stdin.as_mut().unwrap(), "{what}").unwrap();
    }

    fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }

    #[track_caller]
    fn ends_well(mut self) {
        self.stdin = None;
        while self.try_hear().is_some() {}
        assert!(self.process.wait().unwrap().success());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn say(what: impl std::fmt::Display) {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "says: {what}").unwrap();
    stdout.flush().unwrap();
}

fn hear() -> String {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    line.trim().to_owned()
}

#[test]
#[ignore = "the other processes"]
fn child() {
    let Ok(part) = std::env::var("FLOWLINE_PART") else { return };
    let root = std::env::var_os("FLOWLINE_ROOT").unwrap();
    let root = Path::new(&root);
    let number: u64 = std::env::var("FLOWLINE_NUMBER").unwrap().parse().unwrap();
    match part.as_str() {
        "writer" => writer(root, number),
        "first" => first(root, number),
        "endless writer" => endless_writer(root, number),
        "holder" => holder(root, number as i64),
        "parent" => parent(root, number as i64),
        "busy" => busy(root),
        _ => panic!("no part {part}"),
    }
}

mod writing_side_by_side {
    use super::*;

    pub const RECORDS: i64 = 200;

    #[test]
    fn loses_nothing_and_fails_for_nobody() {
        let place = Place::new();
        let mut store = Subject::at(&place.path);
        let mut players: Vec<_> = (1..=8).map(|n| Player::new("writer", &place.path, n)).collect();
        players.iter_mut().for_each(|player| assert_eq!(player.hear(), "ready"));
        players.iter_mut().for_each(|player| player.tell("go"));
        players.into_iter().for_each(Player::ends_well);
        assert_eq!(store.ask("running", row!["p"]).len(), 8);
        for checkpoint in 1..=8 {
            let mut found = store.ask("outputs", row![checkpoint]);
            let mut expected: Vec<_> = (0..RECORDS)
                .map(|n| format!("step {n}|print|{}", told(&value(checkpoint as u64, n as u64))))
                .collect();
            found.sort();
            expected.sort();
            assert_eq!(found, expected);
        }
        assert_eq!(store.count("steps"), 8 * RECORDS);
        let files = store.files();
        store.call("collect", &[vec![]], None).unwrap();
        assert_eq!(store.files(), files, "none too many, none too few");
    }

    #[test]
    fn may_begin_with_the_first_open() {
        for _ in 0..5 {
            let place = Place::new();
            let root = place.join("a/store");
            let mut players: Vec<_> = (1..=8).map(|n| Player::new("first", &root, n)).collect();
            players.iter_mut().for_each(|player| assert_eq!(player.hear(), "ready"));
            players.iter_mut().for_each(|player| player.tell("go"));
            players.into_iter().for_each(Player::ends_well);
            assert_eq!(Subject::at(&root).ask("running", row!["p"]).len(), 8);
        }
    }
}

/// What a writer records as its nth output: sometimes large, sometimes what others record, too.
fn value(writer: u64, n: u64) -> Vec<u8> {
    match n % 20 {
        0 => bytes(writer * 1000 + n, INLINE + 3),
        10 => bytes(n, INLINE),
        _ => bytes(writer * 1000 + n, 50 + n as usize),
    }
}

fn record(store: &mut Subject, run: i64, writer: u64, n: u64) -> Result<(), StoreError> {
    let lists = [complete(run, n as i64, &format!("step {n}"), writer as i64)];
    let value = value(writer, n);
    let request =
        Request { operation: "complete", arguments: &lists, payload: Some(&value), durable: n % 7 == 0 };
    store.store.call(request, &AtomicBool::new(false)).map(|_| ())
}

fn writer(root: &Path, number: u64) {
    let mut store = Subject::at(root);
    say("ready");
    hear();
    let run = store.begin(&format!("r{number}"), "p", "i", number as i64);
    for n in 0..writing_side_by_side::RECORDS as u64 {
        record(&mut store, run, number, n).unwrap();
        if n % 50 == 0 {
            store.call("collect", &[vec![]], None).unwrap();
        }
    }
}

fn first(root: &Path, number: u64) {
    say("ready");
    hear();
    Subject::at(root).begin(&format!("r{number}"), "p", "i", 1);
}

mod killing_a_writer {
    use super::*;

    #[test]
    fn loses_nothing_that_was_acknowledged_and_leaves_nothing_torn() {
        let place = Place::new();
        let root = place.join("store");
        let mut random = Random(std::process::id().into());
        let mut acknowledged = Vec::new();
        for writer in 1..=40 {
            let mut player = Player::new("endless writer", &root, writer);
            for _ in 0..random.below(60) {
                acknowledged.push((writer, player.hear().parse::<u64>().unwrap()));
            }
            // In the midst of what comes next.
            let until = Instant::now() + Duration::from_micros(random.below(1500) as u64);
            while Instant::now() < until {
                std::hint::spin_loop();
            }
            player.kill();
            while let Some(said) = player.try_hear() {
                acknowledged.push((writer, said.parse().unwrap()));
            }
            if writer % 10 == 0 {
                check(&root, writer, &acknowledged);
            }
        }
        assert!(acknowledged.len() > 200, "{}", acknowledged.len());
        let mut store = Subject::at(&root);
        let sound: String = store.sql().query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(sound, "ok");
        // What was begun by those that were killed goes when it is a day old.
        for name in store.files().iter().filter(|name| name.starts_with("begun-")) {
            let file = std::fs::File::options().write(true).open(store.blob(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_secs(25 * 60 * 60)).unwrap();
        }
        store.call("collect", &[vec![]], None).unwrap();
        let needed: i64 = store
            .sql()
            .query_row("SELECT count(DISTINCT sum) FROM outputs WHERE bytes IS NULL", [], |row| row.get(0))
            .unwrap();
        assert_eq!(store.files().len() as i64, needed);
        check(&root, 40, &acknowledged);
    }

    fn check(root: &Path, writers: u64, acknowledged: &[(u64, u64)]) {
        let mut store = Subject::at(root);
        let mut found = std::collections::HashSet::new();
        for writer in 1..=writers {
            for row in store.ask("outputs", row![writer as i64]) {
                let (name, output) = row.split_once("|print|").unwrap();
                let n: u64 = name.strip_prefix("step ").unwrap().parse().unwrap();
                assert_eq!(output, told(&value(writer, n)), "{name} of {writer}");
                found.insert((writer, n));
            }
        }
        let lost: Vec<_> = acknowledged.iter().filter(|&known| !found.contains(known)).collect();
        assert!(lost.is_empty(), "lost: {lost:?}");
        assert_eq!(store.count("steps"), store.count("outputs"), "no step without its output");
    }
}

fn endless_writer(root: &Path, number: u64) {
    let mut store = Subject::at(root);
    let run = store.begin(&format!("r{number}"), "p", "i", number as i64);
    for n in 0.. {
        record(&mut store, run, number, n).unwrap();
        say(n);
    }
}

mod locks {
    use super::*;

    #[test]
    fn exclude_other_processes_that_are_told_who_has_them() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        let mut player = Player::new("holder", &place.path, 5);
        assert_eq!(player.hear(), "acquired: None");
        assert_eq!(own.holder(5).unwrap(), Some(player.pid()));
        assert_eq!(own.acquire(5).unwrap(), Some(player.pid()));
        for other in [4, 6, 0, i64::from(i32::MAX) * 1000] {
            assert_eq!(own.holder(other).unwrap(), None, "{other}");
            assert_eq!(own.acquire(other).unwrap(), None, "{other}");
        }
        let mut second = Player::new("holder", &place.path, 5);
        assert_eq!(second.hear(), format!("acquired: Some({})", player.pid()));
        let mut third = Player::new("holder", &place.path, 6);
        assert_eq!(third.hear(), format!("acquired: Some({})", std::process::id()));
    }

    #[test]
    fn are_gone_at_once_when_their_process_is_killed() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        for _ in 0..10 {
            let mut player = Player::new("holder", &place.path, 5);
            assert_eq!(player.hear(), "acquired: None");
            player.kill();
            assert_eq!(own.holder(5).unwrap(), None);
            assert_eq!(own.acquire(5).unwrap(), None);
            own.release(5).unwrap();
        }
    }

    #[test]
    fn are_free_when_they_were_released() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        let mut player = Player::new("holder", &place.path, 5);
        assert_eq!(player.hear(), "acquired: None");
        player.tell("release");
        assert_eq!(player.hear(), "released");
        assert_eq!(own.holder(5).unwrap(), None);
        assert_eq!(own.acquire(5).unwrap(), None);
        player.tell("acquire");
        assert_eq!(player.hear(), format!("acquired: Some({})", std::process::id()));
        own.release(5).unwrap();
        player.tell("acquire");
        assert_eq!(player.hear(), "acquired: None");
        assert_eq!(own.holder(5).unwrap(), Some(player.pid()));
    }

    #[test]
    fn exclude_their_own_process_too() {
        let place = Place::new();
        let mut locks = Locks::open(&place.path).unwrap();
        let own = Some(std::process::id() as i32);
        assert_eq!(locks.acquire(5).unwrap(), None);
        assert_eq!(locks.acquire(5).unwrap(), own);
        assert_eq!(locks.holder(5).unwrap(), own);
        assert_eq!((locks.holder(6).unwrap(), locks.acquire(6).unwrap()), (None, None));
        locks.release(5).unwrap();
        assert_eq!((locks.holder(5).unwrap(), locks.holder(6).unwrap()), (None, own));
        assert_eq!(locks.acquire(5).unwrap(), None);
    }

    #[test]
    fn that_are_not_ours_cannot_be_released() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        let mut player = Player::new("holder", &place.path, 5);
        assert_eq!(player.hear(), "acquired: None");
        own.release(5).unwrap();
        assert_eq!(own.holder(5).unwrap(), Some(player.pid()));
    }

    #[test]
    fn are_kept_when_other_files_of_the_store_are_opened_and_closed() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        own.acquire(5).unwrap();
        drop(Subject::at(&place.path));
        let mut player = Player::new("holder", &place.path, 5);
        assert_eq!(player.hear(), format!("acquired: Some({})", std::process::id()));
    }

    #[test]
    fn of_different_stores_are_different() {
        let (one, other) = (Place::new(), Place::new());
        assert_eq!(Locks::open(&one.path).unwrap().acquire(5).unwrap(), None);
        assert_eq!(Locks::open(&other.path).unwrap().acquire(5).unwrap(), None);
    }

    #[test]
    fn are_not_inherited_by_a_forked_child_which_may_outlive_its_parent() {
        let place = Place::new();
        let mut own = Locks::open(&place.path).unwrap();
        let mut player = Player::new("parent", &place.path, 5);
        let pid = player.pid();
        assert_eq!(player.hear(), format!("child: held by Some({pid}), acquired: Some({pid})"));
        assert_eq!(player.hear(), "child: released what it had not");
        assert_eq!(own.holder(5).unwrap(), Some(pid));
        player.kill();
        assert_eq!(own.holder(5).unwrap(), None, "the child still lives");
        assert_eq!(own.acquire(5).unwrap(), None);
        own.release(5).unwrap();
        player.tell("go");
        assert_eq!(player.hear(), "child: acquired: None");
        let orphan = player.hear().parse::<i32>().unwrap();
        assert_eq!(own.holder(5).unwrap(), Some(orphan));
        player.stdin = None; // It ends.
        assert_eq!(player.try_hear(), None);
        assert_eq!(own.acquire(5).unwrap(), None);
    }
}

fn holder(root: &Path, id: i64) {
    let mut locks = Locks::open(root).unwrap();
    say(format_args!("acquired: {:?}", locks.acquire(id).unwrap()));
    loop {
        match hear().as_str() {
            "release" => {
                locks.release(id).unwrap();
                say("released");
            }
            "acquire" => say(format_args!("acquired: {:?}", locks.acquire(id).unwrap())),
            _ => return,
        }
    }
}

fn parent(root: &Path, id: i64) {
    let mut locks = Locks::open(root).unwrap();
    assert_eq!(locks.acquire(id).unwrap(), None);
    // SAFETY: the child does nothing that another thread could have locked.
    if unsafe { libc::fork() } == 0 {
        let (held, acquired) = (locks.holder(id).unwrap(), locks.acquire(id).unwrap());
        say(format_args!("child: held by {held:?}, acquired: {acquired:?}"));
        locks.release(id).unwrap();
        say("child: released what it had not");
        hear();
        say(format_args!("child: acquired: {:?}", locks.acquire(id).unwrap()));
        say(std::process::id());
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        // SAFETY: ends this process and nothing else.
        unsafe { libc::_exit(0) }
    }
    loop {
        std::thread::park(); // Until it is killed.
    }
}

mod a_process_that_writes_for_long {
    use super::*;

    #[test]
    fn makes_others_wait_and_nothing_else() {
        let place = Place::new();
        let mut store = Subject::at(&place.path);
        store.begin("r1", "p", "i", 1);
        let mut player = Player::new("busy", &place.path, 0);
        assert_eq!(player.hear(), "writing");
        let since = Instant::now();
        record(&mut store, 1, 1, 0).unwrap();
        let waited = since.elapsed();
        player.ends_well();
        assert!(waited > Duration::from_millis(100), "{waited:?}");
        assert_eq!(store.count("outputs"), 1);
        assert_eq!(store.ask("running", row!["p"]), ["1|1", "2|1"]);
    }

    #[test]
    fn and_is_killed_leaves_nothing_and_no_lock() {
        let place = Place::new();
        let mut store = Subject::at(&place.path);
        store.begin("r1", "p", "i", 1);
        let mut player = Player::new("busy", &place.path, 0);
        assert_eq!(player.hear(), "writing");
        player.kill();
        let since = Instant::now();
        record(&mut store, 1, 1, 0).unwrap();
        assert!(since.elapsed() < Duration::from_secs(2), "{:?}", since.elapsed());
        assert_eq!(store.ask("running", row!["p"]), ["1|1"]);
    }
}

fn busy(root: &Path) {
    let store = Subject::at(root);
    let sql = store.sql();
    let run = "INSERT INTO runs (run_id, pipeline, identity, checkpoint, status, pid, started) \
               VALUES ('busy', 'p', 'i', 1, 'running', 7, 0)";
    sql.execute_batch(&format!("BEGIN IMMEDIATE; {run}")).unwrap();
    say("writing");
    std::thread::sleep(Duration::from_millis(300));
    sql.execute_batch("COMMIT").unwrap();
}
