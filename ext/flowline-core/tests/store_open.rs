//! What a store makes of what it finds in its place, and of a disk that is full or read-only.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use common::store::{NOTHING, Place, Subject, complete, large, open, show, skip, told};
use flowline_core::store::{FILE, INLINE, Locks, Request, Store, StoreError};
use rusqlite::Connection;

const VERSION_1: &str = include_str!("fixtures/store_v1.sql");

/// A directory with a database made by that SQL.
fn with_database(sql: &str, test: impl FnOnce(&Place)) {
    let place = Place::new();
    Connection::open(place.join(FILE)).unwrap().execute_batch(sql).unwrap();
    test(&place);
}

/// Why the store cannot be opened, in words, as they follow its path.
#[track_caller]
fn refusal(root: &Path) -> String {
    open(root).map(|_| ()).expect_err("it must not open").to_string()
}

fn pragma(root: &Path, name: &str) -> String {
    let connection = Connection::open(root.join(FILE)).unwrap();
    connection
        .pragma_query_value(None, name, |row| {
            Ok(match row.get_ref(0)? {
                rusqlite::types::ValueRef::Integer(number) => number.to_string(),
                other => other.as_str().unwrap().to_owned(),
            })
        })
        .unwrap()
}

fn schema(root: &Path) -> Vec<(String, Option<String>)> {
    let connection = Connection::open(root.join(FILE)).unwrap();
    let mut statement =
        connection.prepare("SELECT name, sql FROM sqlite_schema ORDER BY type, name").unwrap();
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
    // Its layout is not what it says.
    let words = |sql: String| sql.split_whitespace().collect::<Vec<_>>().join(" ");
    rows.map(Result::unwrap).map(|(name, sql): (_, Option<String>)| (name, sql.map(words))).collect()
}

mod a_new_store {
    use super::*;

    #[test]
    fn is_made_with_its_directories_for_its_owner_only() {
        let place = Place::new();
        let root = place.join("a/b/.flowline");
        let mut store = Subject::at(&root);
        store.write("k", None, 1.0, &large(1));
        for folder in [place.join("a"), place.join("a/b"), root.clone(), root.join("blobs")] {
            let mode = fs::metadata(&folder).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode, 0o700, "{folder:?}");
        }
        assert_eq!(store.store.path(), root.join(FILE));
    }

    #[test]
    fn is_left_alone_by_version_control() {
        let place = Place::new();
        let root = place.join(".flowline");
        open(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
        fs::remove_file(root.join(".gitignore")).unwrap();
        open(&root).unwrap();
        assert!(!root.join(".gitignore").exists(), "it is not made again: somebody wants it so");
    }

    #[test]
    fn says_in_its_header_what_it_is() {
        let place = Place::new();
        open(&place.path).unwrap();
        assert_eq!(fs::read(place.join(FILE)).unwrap()[68..72], *b"Flow");
        assert_eq!(pragma(&place.path, "user_version"), "2");
        assert_eq!(pragma(&place.path, "journal_mode"), "wal");
    }

    #[test]
    fn keeps_its_directory_as_it_was_if_there_was_one() {
        let place = Place::new();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o755)).unwrap();
        open(&place.path).unwrap();
        assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(!place.join(".gitignore").exists());
    }

    #[test]
    fn may_be_what_was_an_empty_file() {
        let place = Place::new();
        fs::write(place.join(FILE), "").unwrap();
        assert_eq!(Subject::at(&place.path).begin("r1", "p", "i", 1), 1);
    }

    #[test]
    fn keeps_what_it_holds_when_it_is_opened_again() {
        let place = Place::new();
        for n in 1..5 {
            assert_eq!(Subject::at(&place.path).begin(&format!("r{n}"), "p", "i", n), n);
        }
        assert_eq!(Subject::at(&place.path).ask("running", row!["p"]), ["1|1", "2|2", "3|3", "4|4"]);
    }

    #[test]
    fn does_not_keep_a_long_log() {
        let place = Place::new();
        let mut store = Subject::at(&place.path);
        let value = vec![1; INLINE - 1];
        let lists: Vec<_> = (0..100).map(|n| row![n.to_string().as_str(), (), 1.0]).collect();
        store.call("write", &lists, Some(&value)).unwrap();
        (0..10).for_each(|_| store.write("k", None, 1.0, b"small"));
        let log = fs::metadata(place.join(&format!("{FILE}-wal"))).unwrap().len();
        assert!(log <= 16 << 20, "{log}");
    }
}

mod a_store_of_format_1 {
    use super::*;

    #[test]
    fn keeps_what_it_holds_and_gets_what_it_lacks() {
        with_database(VERSION_1, |place| {
            let mut store = Subject::at(&place.path);
            assert_eq!(store.ask("runs", row![(), 9]), ["3|old|import|2|NULL|failed|4711|100.5|2.5|boom"]);
            assert_eq!(store.ask("latest", row!["import", "same"]), ["3|old|2|failed|<params>"]);
            assert_eq!(
                store.ask("steps", row![3]),
                ["fetch|succeeded|NULL|1|0.25|1.25|NULL", "load|failed|NULL|2|1.5|1.0|boom"]
            );
            assert_eq!(store.ask("outputs", row![2]), ["fetch|print|<output>"]);
            store.write("k", None, 1.0, b"value");
            assert_eq!(store.read("k"), "<value>");
            assert_eq!(store.begin("new", "import", "same", 2), 4, "no number is given twice");
        });
    }

    #[test]
    fn becomes_like_a_new_one() {
        let new = Place::new();
        open(&new.path).unwrap();
        with_database(VERSION_1, |place| {
            open(&place.path).unwrap();
            assert_eq!(schema(&place.path), schema(&new.path));
            for name in ["application_id", "user_version", "journal_mode"] {
                assert_eq!(pragma(&place.path, name), pragma(&new.path, name), "{name}");
            }
        });
    }

    #[test]
    fn is_migrated_by_one_while_the_others_wait() {
        with_database(VERSION_1, |place| {
            let start = Barrier::new(8);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (place, start) = (&place, &start);
                    scope.spawn(move || {
                        start.wait();
                        let mut store = Subject::at(&place.path);
                        store.begin(&format!("r{thread}"), "p", "i", 1);
                    });
                }
            });
            assert_eq!(Subject::at(&place.path).ask("running", row!["p"]).len(), 8);
        });
    }

    #[test]
    fn waits_while_another_writes_and_can_be_cancelled() {
        with_database(VERSION_1, |place| {
            let writer = Connection::open(place.join(FILE)).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let answer = Store::open(&place.path, &AtomicBool::new(true)).unwrap_err();
            assert!(matches!(answer, StoreError::Cancelled), "{answer:?}");
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(50)); // So that it is met.
                    writer.execute_batch("COMMIT").unwrap();
                });
                let since = Instant::now();
                open(&place.path).unwrap();
                assert!(since.elapsed() < Duration::from_secs(5));
            });
        });
    }

    #[test]
    fn stays_what_it_was_when_it_cannot_be_migrated() {
        let sql = VERSION_1.replace("PRAGMA application_id", "CREATE TABLE cache (a); PRAGMA application_id");
        with_database(&sql, |place| {
            assert!(refusal(&place.path).starts_with("table cache already exists"));
            assert_eq!(pragma(&place.path, "user_version"), "1");
        });
    }
}

mod a_foreign_database {
    use super::*;

    const FOREIGN: &str = "is a database of another program; choose another directory";

    #[test]
    fn is_refused_and_stays_as_it_was() {
        for sql in [
            "CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1);",
            "CREATE TABLE theirs (a); PRAGMA user_version = 1;",
            "CREATE TABLE theirs (a); PRAGMA user_version = 2;",
            "CREATE TABLE theirs (a); PRAGMA user_version = 99;",
            "CREATE TABLE theirs (a); PRAGMA application_id = 7;",
            "PRAGMA application_id = 7; PRAGMA user_version = 2;",
            "PRAGMA application_id = 7;",
            "PRAGMA user_version = 1;",
            "PRAGMA user_version = 2;",
            "CREATE TABLE runs (id); CREATE TABLE steps (id); PRAGMA user_version = 2;",
        ] {
            with_database(sql, |place| {
                let before = fs::read(place.join(FILE)).unwrap();
                assert_eq!(refusal(&place.path), FOREIGN, "{sql}");
                assert!(fs::read(place.join(FILE)).unwrap() == before, "unchanged: {sql}");
                assert!(matches!(open(&place.path), Err(StoreError::Foreign)));
            });
        }
    }
}

mod a_newer_store {
    use super::*;

    #[test]
    fn is_refused_and_stays_as_it_was() {
        for sql in ["PRAGMA user_version = 3", "PRAGMA user_version = 3; DROP TABLE cache"] {
            let place = Place::new();
            Subject::at(&place.path).sql().execute_batch(sql).unwrap();
            assert_eq!(
                refusal(&place.path),
                "has format 3, written by a newer Flowline; this one knows formats up to 2: \
                 update Flowline, or use another store"
            );
            assert!(matches!(open(&place.path), Err(StoreError::Newer { found: 3, known: 2 })));
            assert_eq!(pragma(&place.path, "user_version"), "3");
        }
    }
}

mod a_damaged_store {
    use super::*;

    fn advice(what: &str) -> String {
        format!(
            "is damaged ({what}); move it away, and a new one is made: \
             what it recorded is lost, pipelines run from the beginning"
        )
    }

    #[test]
    fn is_told_from_one_of_no_sense() {
        for garbage in [&b"no database"[..], &[0; 100], &[0xff; 8192], b"SQLite format 3\0 but not really"] {
            let place = Place::new();
            fs::write(place.join(FILE), garbage.repeat(20)).unwrap();
            assert_eq!(refusal(&place.path), advice("file is not a database"), "{garbage:?}");
            assert_eq!(fs::read(place.join(FILE)).unwrap(), garbage.repeat(20), "stays as it was");
        }
    }

    /// A store of some pages, closed, so that all is in its file.
    fn filled() -> (Place, Vec<u8>) {
        let place = Place::new();
        let mut store = Subject::at(&place.path);
        store.begin("r1", "p", "i", 1);
        let lists: Vec<_> = (0..300).map(|n| complete(1, n, &format!("step {n}"), 1)).collect();
        store.call("complete", &lists, Some(b"output")).unwrap();
        drop(store);
        let bytes = fs::read(place.join(FILE)).unwrap();
        assert!(bytes.len() > 8 * 4096);
        (place, bytes)
    }

    /// What the store gives back is right or missing; or it does not open, or says that it is damaged.
    #[track_caller]
    fn never_lies(place: &Place, damage: &str) {
        let outputs = open(&place.path)
            .and_then(|store| Subject { root: place.path.clone(), store }.call("outputs", &[row![1]], None));
        match outputs {
            Ok(rows) => {
                for row in show(&rows) {
                    let value = row.rsplit('|').next().unwrap();
                    assert!(value == "NULL" || value == "<output>", "{row}, {damage}");
                }
            }
            Err(StoreError::Damaged(_) | StoreError::Other(_)) => {}
            Err(other) => panic!("{other:?}, {damage}"),
        }
    }

    #[test]
    fn is_recognised_wherever_it_was_cut_off() {
        let (place, bytes) = filled();
        let last = bytes.len() - 4096;
        for length in (2..=last).step_by(997).chain([99, 100, 4095, 4096, 4097, 8192, last]) {
            fs::write(place.join(FILE), &bytes[..length]).unwrap();
            let answer = open(&place.path).map(|_| ()).expect_err("it was cut off");
            let StoreError::Damaged(why) = &answer else { panic!("cut at {length}: {answer:?}") };
            let known = ["file is not a database", "database disk image is malformed"];
            assert!(known[usize::from(length >= 512)..].contains(&why.as_str()), "cut at {length}: {why}");
            assert_eq!(answer.to_string(), advice(why), "cut at {length}");
        }
        for length in (last + 1..bytes.len()).step_by(97) {
            fs::write(place.join(FILE), &bytes[..length]).unwrap();
            never_lies(&place, &format!("cut at {length}, in its last page"));
        }
    }

    #[test]
    fn never_takes_garbage_for_values() {
        let (place, bytes) = filled();
        let mut random = common::Random(1);
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            let from = 100 + random.below(bytes.len() - 100);
            let to = (from + 1 + random.below(4000)).min(bytes.len());
            damaged[from..to].iter_mut().for_each(|byte| *byte ^= random.below(256) as u8);
            fs::write(place.join(FILE), &damaged).unwrap();
            never_lies(&place, &format!("garbage in {from}..{to}"));
        }
    }

    #[test]
    fn is_told_from_one_of_the_right_name_without_tables() {
        with_database("PRAGMA application_id = 0x466c6f77; PRAGMA user_version = 2;", |place| {
            let answer = Subject::at(&place.path).call("running", &[row!["p"]], None).unwrap_err();
            assert!(answer.to_string().starts_with("no such table: runs"), "{answer:?}");
        });
    }
}

mod something_else_in_its_place {
    use super::*;

    #[test]
    fn a_directory_instead_of_the_database() {
        let place = Place::new();
        fs::create_dir(place.join(FILE)).unwrap();
        let path = place.join(FILE);
        assert_eq!(
            refusal(&place.path),
            format!(
                "cannot be written (unable to open database file: {}); check its permissions, \
                 or choose another directory",
                path.display()
            )
        );
    }

    #[test]
    fn a_file_instead_of_the_directory() {
        let place = Place::new();
        fs::write(place.join("store"), "").unwrap();
        assert_eq!(
            refusal(&place.join("store")),
            "cannot be written (File exists (os error 17)); check its permissions, or choose another directory"
        );
        assert_eq!(
            refusal(&place.join("store/deeper")),
            "cannot be written (Not a directory (os error 20)); check its permissions, or choose another directory"
        );
    }

    #[test]
    fn a_directory_instead_of_the_locks() {
        let place = Place::new();
        fs::create_dir(place.join("lock")).unwrap();
        assert_eq!(
            Locks::open(&place.path).unwrap_err().to_string(),
            "cannot be written (Is a directory (os error 21)); check its permissions, or choose another directory"
        );
    }
}

mod a_read_only_directory {
    use super::*;

    /// A place nobody can write to: one of another file system, since nothing keeps root from writing.
    fn read_only(before: impl FnOnce(&Place)) -> Option<Place> {
        let place = Place::small(1 << 20)?;
        before(&place);
        place.make_read_only();
        Some(place)
    }

    #[test]
    fn can_hold_no_new_store() {
        let Some(place) = read_only(|_| {}) else { return };
        assert_eq!(
            refusal(&place.join("store")),
            "cannot be written (Read-only file system (os error 30)); check its permissions, \
             or choose another directory"
        );
        let answer = open(&place.path).map(|_| ()).unwrap_err();
        assert!(matches!(answer, StoreError::Denied(_)), "{answer:?}");
        let answer = Locks::open(&place.path).map(|_| ()).unwrap_err();
        assert!(matches!(answer, StoreError::Denied(_)), "{answer:?}");
    }

    #[test]
    fn gives_no_access_to_an_old_store_either() {
        let made = |place: &Place| {
            Subject::at(&place.path).begin("r1", "p", "i", 1);
        };
        let Some(place) = read_only(made) else { return };
        let answer = open(&place.path).map(|_| ()).unwrap_err();
        assert!(matches!(answer, StoreError::Denied(_)), "{answer:?}");
    }

    #[test]
    fn of_another_owner_is_denied() {
        let place = Place::new();
        fs::set_permissions(&place.path, fs::Permissions::from_mode(0o500)).unwrap();
        let root = fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0);
        if root {
            return skip("nothing is denied to root").unwrap_or_default();
        }
        let answer = open(&place.join("store")).map(|_| ()).unwrap_err();
        assert!(matches!(answer, StoreError::Denied(_)), "{answer:?}");
    }
}

mod a_full_disk {
    use super::*;

    const DISK: usize = 4 << 20;

    fn call(store: &mut Subject, n: i64, value: &[u8], durable: bool) -> Result<(), StoreError> {
        let lists = [complete(1, n, &n.to_string(), 1)];
        let request = Request { operation: "complete", arguments: &lists, payload: Some(value), durable };
        store.store.call(request, &AtomicBool::new(false)).map(|_| ())
    }

    #[test]
    fn is_told_and_what_was_recorded_stays_and_goes_on_when_there_is_room() {
        for (value, durable) in
            [(vec![7; 2000], false), (vec![7; 2000], true), (large(1), false), (large(2), true)]
        {
            let Some(disk) = Place::small(DISK) else { return };
            fs::write(disk.join("ballast"), vec![0; DISK / 4]).unwrap();
            let mut store = Subject::at(&disk.join("store"));
            store.begin("r1", "p", "i", 1);
            // Each of its own, or large ones would share a file.
            let value = |n: i64| [&n.to_le_bytes(), &value[..]].concat();
            let mut recorded = 0;
            let answer = loop {
                match call(&mut store, recorded, &value(recorded), durable) {
                    Ok(()) => recorded += 1,
                    Err(error) => break error,
                }
                assert!(recorded < 5000, "the disk is never full");
            };
            assert!(matches!(answer, StoreError::Full), "{answer:?}");
            assert_eq!(answer.to_string(), "the disk is full; nothing was recorded: make room and run again");
            for _ in 0..3 {
                let again = call(&mut store, recorded, &value(recorded), durable);
                assert!(matches!(again, Err(StoreError::Full)), "{again:?}");
            }
            let all = |n: i64| (0..n).map(|n| format!("{n}|{}", value(n).len())).collect::<Vec<_>>();
            let mut found = store.ask("recorded", row![1]);
            found.sort_by_key(|row| row.split('|').next().unwrap().parse::<i64>().unwrap());
            assert_eq!(found, all(recorded), "nothing of what failed");
            assert!(store.files().iter().all(|name| !name.starts_with("begun")), "{:?}", store.files());
            for n in 0..recorded {
                assert_eq!(store.ask("output", row![1, n.to_string().as_str()]), [told(&value(n))]);
            }
            fs::remove_file(disk.join("ballast")).unwrap();
            call(&mut store, recorded, &value(recorded), durable).unwrap();
            drop(store);
            let mut store = Subject::at(&disk.join("store"));
            assert_eq!(store.ask("recorded", row![1]).len(), recorded as usize + 1);
            assert_eq!(store.ask("steps", row![1]).len(), recorded as usize + 1);
        }
    }

    /// Leaves room for that many bytes.
    fn fill(disk: &Place, room: usize) {
        use std::io::Write;
        let mut file = fs::File::create(disk.join("ballast")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(room as u64)).unwrap();
    }

    #[test]
    fn however_little_room_there_is_it_is_done_or_the_disk_is_full() {
        let mut fulls = 0;
        for room in (0..130).map(|pages| pages * 4096) {
            let Some(disk) = Place::small(DISK) else { return };
            fill(&disk, room);
            let root = disk.join("store");
            let outcome = open(&root).and_then(|store| {
                let mut store = Subject { root: root.clone(), store };
                store.call("begin", &[row!["r1", "p", "i", 1, (), (), 7, 100.0]], None)?;
                call(&mut store, 0, b"small", false)?;
                call(&mut store, 1, &large(1), true)
            });
            match outcome {
                Ok(()) => {}
                Err(StoreError::Full) => fulls += 1,
                Err(other) => panic!("with room for {room}: {other:?}"),
            }
            fs::remove_file(disk.join("ballast")).unwrap();
            // The kernel may give back the room a moment later.
            while matches!(open(&root), Err(StoreError::Full)) {
                std::thread::yield_now();
            }
            let mut store = Subject::at(&root);
            let steps = store.ask("steps", row![1]).len();
            assert_eq!(store.ask("outputs", row![1]).len(), steps, "with room for {room}");
            if outcome.is_ok() {
                assert_eq!(steps, 2, "with room for {room}");
            }
            assert!(!store.files().iter().any(|name| name.starts_with("begun")));
        }
        assert!((10..130).contains(&fulls), "{fulls} of 130");
    }

    #[test]
    fn keeps_nothing_from_being_cleared_for_long() {
        let Some(disk) = Place::small(DISK) else { return };
        fs::write(disk.join("ballast"), vec![0; DISK / 4]).unwrap();
        let mut store = Subject::at(&disk.join("store"));
        store.begin("r1", "p", "i", 1);
        let mut n = 0;
        while call(&mut store, n, &[&n.to_le_bytes(), &large(1)[..]].concat(), false).is_ok() {
            n += 1;
        }
        store.ask("clear", row![1]);
        store.call("collect", &[vec![]], None).unwrap();
        assert_eq!(store.files(), NOTHING);
        call(&mut store, n, &large(1), false).unwrap();
    }
}

mod the_first_open {
    use super::*;

    #[test]
    fn may_be_made_by_many_at_once() {
        for _ in 0..20 {
            let place = Place::new();
            let root = place.join("a/store");
            let start = Barrier::new(8);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (root, start) = (&root, &start);
                    scope.spawn(move || {
                        start.wait();
                        Subject::at(root).begin(&format!("r{thread}"), "p", "i", 1);
                    });
                }
            });
            assert_eq!(Subject::at(&root).ask("running", row!["p"]).len(), 8);
        }
    }
}
