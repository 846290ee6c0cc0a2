//! Checks how a store opens a directory with unexpected content, and a disk that is full or read-only.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use crate::common::process::{self, Helper, receive, send, take_byte};
use crate::common::store::{
    BLOBS, LOCKS, NONE, TempDir, TestStore, begun, completion, describe, end, impatient, large, names, open,
    patient, skip, start, step, tree,
};
use flowline_core::store::{FILE, INLINE, Lock, Run, Step, Store, StoreError, Wait};
use nix::fcntl::{FcntlArg, fcntl};
use rusqlite::Connection;

const VERSION_1: &str = include_str!("fixtures/store_v1.sql");
const VERSION_2: &str = include_str!("fixtures/store_v2.sql");
const VERSION_3: &str = include_str!("fixtures/store_v3.sql");
const VERSION_4: &str = include_str!("fixtures/store_v4.sql");

/// Plays a part in another process, if it is one of these.
pub fn play(part: &str, root: &Path, _: u64) -> bool {
    match part {
        "older" => older(root),
        _ => return false,
    }
    true
}

/// A directory with a database made by that SQL.
fn with_database(sql: &str, test: impl FnOnce(&TempDir)) {
    let directory = TempDir::new();
    Connection::open(directory.join(FILE)).unwrap().execute_batch(sql).unwrap();
    test(&directory);
}

/// The message with which the store refuses to open.
#[track_caller]
fn refusal(root: &Path) -> String {
    open(root).map(drop).expect_err("it must not open").to_string()
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

/// Tables with their columns, and indexes, however they were made.
fn schema(root: &Path) -> Vec<String> {
    let connection = Connection::open(root.join(FILE)).unwrap();
    let sql = "SELECT t.name || '.' || c.name || ' ' || c.type || c.\"notnull\" || c.pk \
               FROM pragma_table_list t, pragma_table_info(t.name) c WHERE t.name NOT LIKE 'sqlite_%' \
               UNION SELECT coalesce(sql, name) FROM sqlite_schema WHERE type = 'index'";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.map(Result::unwrap).collect()
}

mod a_new_store {
    use super::*;

    #[test]
    fn is_for_its_owner_only() {
        let directory = TempDir::new();
        let root = directory.join("a/b/.flowline");
        let store = TestStore::at(&root);
        store.put("k", &large(1));
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        for folder in [root.clone(), root.join(BLOBS)] {
            assert_eq!(mode(&folder), 0o700, "{folder:?}");
        }
        for name in [FILE, "flowline.db-wal", "flowline.db-shm", LOCKS] {
            assert_eq!(mode(&root.join(name)), 0o600, "{name}");
        }
        assert_eq!(mode(&store.blob_of(&large(1))), 0o600);
        assert_eq!(store.root(), root.canonicalize().unwrap());
    }

    #[test]
    fn takes_the_permissions_of_others_away_from_its_files() {
        let directory = TempDir::new();
        drop(TestStore::at(&directory.path));
        for name in [FILE, LOCKS] {
            fs::set_permissions(directory.join(name), fs::Permissions::from_mode(0o644)).unwrap();
        }
        drop(TestStore::at(&directory.path));
        for name in [FILE, LOCKS] {
            assert_eq!(
                fs::metadata(directory.join(name)).unwrap().permissions().mode() & 0o777,
                0o600,
                "{name}"
            );
        }
    }

    #[test]
    fn is_ignored_by_version_control_unless_the_user_wants_otherwise() {
        let directory = TempDir::new();
        let root = directory.join(".flowline");
        open(&root).unwrap();
        assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n");
        fs::remove_file(root.join(".gitignore")).unwrap();
        open(&root).unwrap();
        assert!(!root.join(".gitignore").exists(), "it is not made again");
    }

    #[test]
    fn says_in_its_header_what_it_is() {
        let directory = TempDir::new();
        open(&directory.path).unwrap();
        assert_eq!(fs::read(directory.join(FILE)).unwrap()[68..72], *b"Flow");
        assert_eq!(pragma(&directory.path, "user_version"), "5");
        assert_eq!(pragma(&directory.path, "journal_mode"), "wal");
        assert_eq!(pragma(&directory.path, "auto_vacuum"), "2");
    }

    #[test]
    fn leaves_a_directory_that_was_there_as_it_was() {
        let directory = TempDir::new();
        fs::set_permissions(&directory.path, fs::Permissions::from_mode(0o755)).unwrap();
        open(&directory.path).unwrap();
        assert_eq!(fs::metadata(&directory.path).unwrap().permissions().mode() & 0o777, 0o755);
        assert!(!directory.join(".gitignore").exists());
    }

    #[test]
    fn may_be_what_was_an_empty_file() {
        let directory = TempDir::new();
        fs::write(directory.join(FILE), "").unwrap();
        assert_eq!(TestStore::at(&directory.path).begin("r1", "p", "i").id, 1);
    }

    #[test]
    fn has_its_rows_when_it_is_opened_again() {
        let directory = TempDir::new();
        for n in 1..5 {
            assert_eq!(TestStore::at(&directory.path).begin(&format!("r{n}"), "p", "i").id, n);
        }
        let store = TestStore::at(&directory.path);
        assert_eq!(store.statuses("p"), "4 crashed, 3 crashed, 2 crashed, 1 crashed", "their locks are gone");
    }

    #[test]
    fn is_not_made_by_existing() {
        let directory = TempDir::new();
        assert!(Store::existing(&directory.join("none"), patient()).unwrap().is_none());
        assert!(Store::existing(&directory.path, patient()).unwrap().is_none());
        assert_eq!(names(&directory.path), NONE);
        drop(TestStore::at(&directory.path));
        assert!(Store::existing(&directory.path, patient()).unwrap().is_some());
    }

    #[test]
    fn keeps_its_log_short() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        let many: Vec<_> =
            (0..60_000).map(|n| completion(&run, n, &format!("step {n} {}", "x".repeat(300)))).collect();
        store.store.record(&many, b"output", false, patient()).unwrap();
        let log = || fs::metadata(directory.join(&format!("{FILE}-wal"))).unwrap().len();
        let longest = log();
        (0..10).for_each(|_| store.put("k", b"small"));
        assert!(longest > 16 << 20 && log() <= 16 << 20, "{longest}, then {}", log());
    }
}

mod an_unsafe_directory {
    use super::*;

    #[test]
    fn that_others_can_write_into_is_refused() {
        for mode in [0o770, 0o707, 0o777] {
            let directory = TempDir::new();
            fs::set_permissions(&directory.path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(
                refusal(&directory.path),
                "can be written by others, who could run code as you; chmod 700 it"
            );
            assert_eq!(names(&directory.path), NONE);
        }
    }

    #[test]
    fn that_belongs_to_another_user_is_refused() {
        let directory = TempDir::new();
        if std::os::unix::fs::chown(&directory.path, Some(65534), None).is_err() {
            return skip("only root can give a directory away").unwrap_or_default();
        }
        assert_eq!(
            refusal(&directory.path),
            "belongs to another user; choose another directory, or chown it"
        );
    }
}

mod a_store_of_format_1 {
    use super::*;

    #[test]
    fn has_its_history_and_no_outputs() {
        with_database(VERSION_1, |directory| {
            let store = TestStore::at(&directory.path);
            let run = Run {
                id: 3,
                run_id: "old".to_owned(),
                pipeline: "import".to_owned(),
                identity: "same".to_owned(),
                checkpoint: 3,
                resumed: None,
                params: Some(b"params".to_vec()),
                status: "failed".to_owned(),
                pid: 4711,
                host: String::new(),
                started: 100.5,
                duration: Some(2.5),
                error: Some("boom".to_owned()),
                ..Run::default()
            };
            assert_eq!(store.runs(None, 9, patient()).unwrap(), std::slice::from_ref(&run));
            assert_eq!(store.latest("import", Some("same"), patient()).unwrap(), Some(run.clone()));
            let fetch = Step { started: Some(0.25), duration: Some(1.25), ..step(3, 0, "fetch") };
            let load = Step {
                status: "failed".to_owned(),
                attempts: 2,
                started: Some(1.5),
                duration: Some(1.0),
                error: Some("boom".to_owned()),
                ..step(3, 1, "load")
            };
            assert_eq!(store.steps(3, patient()).unwrap(), [fetch, load]);
            assert_eq!((store.outputs(2), store.outputs(3)), (vec![], vec![]));
            let next = store.resume("new", &run);
            assert_eq!((next.id, next.checkpoint), (4, 3), "no number is given twice");
            store.record(&next, 0, "fetch", b"output");
            store.put("k", b"value");
            assert_eq!(store.value("k"), "<value>");
            store.assert_sound();
            store.assert_total();
        });
    }

    #[test]
    fn becomes_like_a_new_one() {
        let new = TempDir::new();
        open(&new.path).unwrap();
        for version in [VERSION_1, VERSION_2, VERSION_3, VERSION_4] {
            with_database(version, |directory| {
                open(&directory.path).unwrap();
                assert_eq!(schema(&directory.path), schema(&new.path));
                for name in ["application_id", "user_version", "journal_mode"] {
                    assert_eq!(pragma(&directory.path, name), pragma(&new.path, name), "{name}");
                }
            });
        }
    }

    #[test]
    fn loses_the_files_of_its_outputs() {
        let sql = VERSION_1.replace(
            "PRAGMA application_id",
            "INSERT INTO outputs VALUES (2, 'large', 'print', NULL, \
             'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa', 300000); \
             PRAGMA application_id",
        );
        with_database(&sql, |directory| {
            fs::create_dir(directory.join("blobs")).unwrap();
            fs::write(directory.join("blobs/.gitignore"), "*\n").unwrap();
            fs::write(directory.join("blobs").join("a".repeat(64)), "output").unwrap();
            open(&directory.path).unwrap();
            assert!(!directory.join("blobs").exists());
        });
    }

    #[test]
    fn is_migrated_once_while_others_wait() {
        for version in [VERSION_1, VERSION_2, VERSION_3, VERSION_4] {
            with_database(version, |directory| {
                let start = Barrier::new(8);
                std::thread::scope(|scope| {
                    for thread in 0..8 {
                        let (directory, start) = (&directory, &start);
                        scope.spawn(move || {
                            start.wait();
                            let store = TestStore::at(&directory.path);
                            store.begin(&format!("r{thread}"), "p", "i");
                        });
                    }
                });
                assert_eq!(TestStore::at(&directory.path).ids(Some("p")).len(), 8);
            });
        }
    }

    #[test]
    fn waits_while_another_program_writes_and_can_be_cancelled() {
        with_database(VERSION_1, |directory| {
            let writer = Connection::open(directory.join(FILE)).unwrap();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let cancelled = AtomicBool::new(true);
            let answer =
                Store::open(&directory.path, Wait::new(Duration::from_secs(9), &cancelled)).unwrap_err();
            assert!(matches!(answer, StoreError::Cancelled), "{answer:?}");
            std::thread::scope(|scope| {
                scope.spawn(move || {
                    std::thread::sleep(Duration::from_millis(50)); // So that the other has to wait.
                    writer.execute_batch("COMMIT").unwrap();
                });
                let since = Instant::now();
                open(&directory.path).unwrap();
                assert!(since.elapsed() < Duration::from_secs(5));
            });
        });
    }

    #[test]
    fn stays_what_it_was_when_it_cannot_be_migrated() {
        let sql = VERSION_1.replace("PRAGMA application_id", "CREATE TABLE cache (a); PRAGMA application_id");
        with_database(&sql, |directory| {
            let text = refusal(&directory.path);
            assert!(text.starts_with("table cache already exists"), "{text}");
            assert_eq!(pragma(&directory.path, "user_version"), "1");
        });
    }
}

mod a_store_of_format_2 {
    use super::*;

    #[test]
    fn has_its_history_and_neither_outputs_nor_cache() {
        with_database(VERSION_2, |directory| {
            let store = TestStore::at(&directory.path);
            let runs = store.runs(None, 9, patient()).unwrap();
            let columns: Vec<_> = runs
                .iter()
                .map(|run| {
                    (run.id, run.run_id.as_str(), run.checkpoint, run.resumed.as_deref(), run.status.as_str())
                })
                .collect();
            let expected = [
                (5, "second", 3, Some("first"), "crashed"),
                (4, "other", 4, None, "succeeded"),
                (3, "first", 3, None, "failed"),
            ];
            assert_eq!(columns, expected, "a checkpoint is the number of its first run");
            assert_eq!(runs[2].params.as_deref(), Some(&b"params"[..]));
            let steps = |run| {
                let steps = store.steps(run, patient()).unwrap();
                steps.iter().map(|step| format!("{} {}", step.name, step.status)).collect::<Vec<_>>()
            };
            assert_eq!(
                (steps(3), steps(4), steps(5)),
                (
                    vec!["fetch succeeded".to_owned(), "load failed".to_owned()],
                    vec![],
                    vec!["fetch restored".to_owned()],
                )
            );
            assert_eq!((store.outputs(3), store.outputs(776_655_443_322)), (vec![], vec![]));
            assert_eq!(store.keys(), NONE);
            assert_eq!(store.resume("third", &runs[0]).id, 6);
            store.assert_sound();
            store.assert_total();
        });
    }

    #[test]
    fn loses_just_the_files_that_it_named() {
        with_database(VERSION_2, |directory| {
            let folder = directory.join("blobs");
            fs::create_dir(&folder).unwrap();
            let named = ["a".repeat(64), "c".repeat(64)];
            let others = [
                "b".repeat(64),
                "d".repeat(64),
                "begun-1-1".to_owned(),
                ".gitignore".to_owned(),
                "notes".to_owned(),
            ];
            named.iter().chain(&others).for_each(|name| fs::write(folder.join(name), "*\n").unwrap());
            fs::write(directory.join("lock"), "").unwrap();
            fs::write(directory.join("notes"), "").unwrap();
            open(&directory.path).unwrap();
            let mut expected = others.to_vec();
            expected.sort();
            assert_eq!(names(&folder), expected);
            assert!(directory.join("lock").exists() && directory.join("notes").exists());
        });
    }

    #[test]
    fn loses_its_directory_of_files_if_nothing_else_is_there() {
        with_database(VERSION_2, |directory| {
            let folder = directory.join("blobs");
            fs::create_dir(&folder).unwrap();
            for name in ["a".repeat(64), "c".repeat(64), ".gitignore".to_owned()] {
                fs::write(folder.join(name), "*\n").unwrap();
            }
            open(&directory.path).unwrap();
            assert!(!folder.exists());
        });
    }

    #[test]
    fn touches_nothing_behind_a_symbolic_link_or_a_strange_name() {
        let sql = VERSION_2.replace(
            "PRAGMA application_id",
            "INSERT INTO cache VALUES ('evil', NULL, 1.0, NULL, '../notes', 5); PRAGMA application_id",
        );
        with_database(&sql, |directory| {
            let elsewhere = TempDir::new();
            fs::write(elsewhere.join(&"a".repeat(64)), "theirs").unwrap();
            fs::write(directory.join("notes"), "theirs").unwrap();
            std::os::unix::fs::symlink(&elsewhere.path, directory.join("blobs")).unwrap();
            open(&directory.path).unwrap();
            assert_eq!(names(&elsewhere.path).len(), 1);
            fs::remove_file(directory.join("blobs")).unwrap();
            assert!(directory.join("notes").exists());
        });
        with_database(&sql, |directory| {
            fs::create_dir(directory.join("blobs")).unwrap();
            fs::write(directory.join("notes"), "theirs").unwrap();
            open(&directory.path).unwrap();
            assert!(directory.join("notes").exists());
        });
    }

    #[test]
    fn is_not_converted_while_an_older_version_uses_it() {
        for version in [VERSION_1, VERSION_2] {
            with_database(version, |directory| {
                let mut older = Helper::start("older", &directory.path, 0);
                assert_eq!(older.receive(), "locked");
                let before = tree(&directory.path).remove(&directory.join(FILE));
                assert_eq!(
                    refusal(&directory.path),
                    "is in use by an older Flowline, and can be converted only when that has ended"
                );
                assert!(matches!(open(&directory.path), Err(StoreError::Older)));
                assert_eq!(tree(&directory.path).remove(&directory.join(FILE)), before, "unchanged");
                older.send("unlock");
                assert_eq!(older.receive(), "unlocked");
                assert!(TestStore::at(&directory.path).begin("new", "p", "i").id > 3);
                older.succeeds();
            });
        }
    }

    #[test]
    fn gives_its_space_back_when_the_cache_is_cleared() {
        with_database(VERSION_2, |directory| {
            let store = TestStore::at(&directory.path);
            for n in 0..40 {
                store.put(&n.to_string(), &crate::common::store::bytes(n, INLINE - 1));
            }
            store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            store.drop_entries(None, false, patient()).unwrap();
            let size = fs::metadata(directory.join(FILE)).unwrap().len();
            assert!(size < 200_000, "{size}");
            assert_eq!(pragma(&directory.path, "auto_vacuum"), "2", "from now on without a rewrite");
            assert_eq!(store.ids(None), [5, 4, 3]);
            assert_eq!(store.statuses("export"), "4 succeeded");
            store.assert_sound();
        });
    }
}

/// Holds a POSIX lock like format 2, in a process of its own: they belong to processes.
fn older(root: &Path) {
    let file = fs::File::create(root.join("lock")).unwrap();
    fcntl(&file, FcntlArg::F_SETLK(&process::byte(1234, true))).unwrap();
    send("locked");
    receive();
    let mut free = process::byte(1234, true);
    free.l_type = nix::libc::F_UNLCK as _;
    fcntl(&file, FcntlArg::F_SETLK(&free)).unwrap();
    send("unlocked");
}

mod a_store_of_format_3 {
    use super::*;

    #[test]
    fn has_its_history_its_outputs_and_its_cache() {
        with_database(VERSION_3, |directory| {
            let store = TestStore::at(&directory.path);
            assert_eq!(store.statuses("import"), "3 crashed, 1 failed");
            let runs = store.runs(None, 9, patient()).unwrap();
            let first = Run {
                id: 1,
                run_id: "first".to_owned(),
                pipeline: "import".to_owned(),
                identity: "same".to_owned(),
                checkpoint: 1,
                params: Some(b"params".to_vec()),
                status: "failed".to_owned(),
                pid: 4711,
                host: "host".to_owned(),
                started: 100.5,
                duration: Some(2.5),
                error: Some("boom".to_owned()),
                ..Run::default()
            };
            assert_eq!(runs[2], first, "what is new is empty");
            assert_eq!(runs[0].resumed.as_deref(), Some("first"));
            assert_eq!(store.steps(1, patient()).unwrap().len(), 2);
            let off = store.steps(2, patient()).unwrap().remove(0);
            assert_eq!((off.name.as_str(), off.reason.as_deref()), ("off", Some("condition")));
            assert_eq!(store.output(1, "fetch"), "<output>");
            assert_eq!(store.item_counts(1, patient()).unwrap(), [("load".to_owned(), 1)]);
            assert_eq!(store.value("key"), "<value>");
            assert_eq!(store.resume("third", &runs[0]).id, 4);
            store.assert_sound();
            store.assert_total();
        });
    }

    #[test]
    fn has_no_row_that_the_older_version_would_have_refused() {
        let damage =
            "UPDATE runs SET error = 'other' WHERE id = 1; UPDATE steps SET name = 'other' WHERE run = 1;";
        with_database(&format!("{VERSION_3} {damage}"), |directory| {
            let store = TestStore::at(&directory.path);
            assert_eq!(store.statuses("import"), "3 crashed, 1 damaged");
            assert_eq!(store.steps(1, patient()).unwrap(), []);
        });
    }

    #[test]
    fn is_refused_as_long_as_one_of_its_runs_is_alive() {
        with_database(VERSION_3, |directory| {
            let other = TempDir::new();
            let store = TestStore::at(&other.path);
            assert!(store.acquire(Lock::Checkpoint(1)).unwrap());
            fs::hard_link(other.join(LOCKS), directory.join(LOCKS)).unwrap();
            let text = refusal(&directory.path);
            assert_eq!(text, "is in use by an older Flowline, and can be converted only when that has ended");
            assert_eq!(pragma(&directory.path, "user_version"), "3");
            store.release(Lock::Checkpoint(1));
            assert_eq!(TestStore::at(&directory.path).statuses("import"), "3 crashed, 1 failed");
        });
    }
}

mod a_store_of_format_4 {
    use super::*;

    #[test]
    fn has_its_history_and_commits_what_a_step_wrote_when_the_run_is_resumed() {
        with_database(VERSION_4, |directory| {
            let store = TestStore::at(&directory.path);
            let run = store.runs(None, 9, patient()).unwrap().remove(0);
            assert_eq!(
                (run.status.as_str(), run.outcomes.as_deref()),
                ("failed", Some("failed 1, succeeded 1"))
            );
            let again = store.resume("later", &run);
            store.store.finish(&end(&again, "succeeded"), &[], false, patient()).unwrap();
            let state = store.state(Some("import"), patient()).unwrap();
            assert_eq!(
                state.iter().map(|value| (value.key.as_str(), value.shown.as_str())).collect::<Vec<_>>(),
                [("until", "5")]
            );
            store.assert_sound();
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
            "CREATE TABLE theirs (a); PRAGMA user_version = 3;",
            "CREATE TABLE theirs (a); PRAGMA user_version = 99;",
            "CREATE TABLE theirs (a); PRAGMA application_id = 7;",
            "PRAGMA application_id = 7; PRAGMA user_version = 2;",
            "PRAGMA application_id = 7;",
            "PRAGMA user_version = 1;",
            "PRAGMA user_version = 3;",
            "CREATE TABLE runs (id); CREATE TABLE steps (id); PRAGMA user_version = 3;",
        ] {
            with_database(sql, |directory| {
                let before = fs::read(directory.join(FILE)).unwrap();
                assert_eq!(refusal(&directory.path), FOREIGN, "{sql}");
                assert!(fs::read(directory.join(FILE)).unwrap() == before, "unchanged: {sql}");
                let answer = open(&directory.path).map(drop).unwrap_err();
                assert!(matches!(answer, StoreError::Foreign));
                assert_eq!(answer.kind(), "format");
            });
        }
    }
}

mod a_newer_store {
    use super::*;

    #[test]
    fn is_refused_and_stays_as_it_was() {
        for sql in ["PRAGMA user_version = 6", "PRAGMA user_version = 6; DROP TABLE cache"] {
            let directory = TempDir::new();
            TestStore::at(&directory.path).sql().execute_batch(sql).unwrap();
            assert_eq!(
                refusal(&directory.path),
                "has format 6, written by a newer Flowline; this one knows formats up to 5: \
                 update Flowline, or use another store"
            );
            assert!(matches!(open(&directory.path), Err(StoreError::Newer { found: 6, known: 5 })));
            assert_eq!(pragma(&directory.path, "user_version"), "6");
        }
    }
}

mod a_damaged_database {
    use super::*;

    fn advice(what: &str) -> String {
        format!(
            "is damaged ({what}); move it away, and a new one is made: \
             what it recorded is lost, pipelines run from the beginning"
        )
    }

    #[test]
    fn is_recognised_when_it_is_no_database_at_all() {
        for garbage in [&b"no database"[..], &[0; 100], &[0xff; 8192], b"SQLite format 3\0 but not really"] {
            let directory = TempDir::new();
            fs::write(directory.join(FILE), garbage.repeat(20)).unwrap();
            assert_eq!(refusal(&directory.path), advice("file is not a database"), "{garbage:?}");
            assert_eq!(fs::read(directory.join(FILE)).unwrap(), garbage.repeat(20), "stays as it was");
        }
    }

    /// A store of some pages, closed, of which nothing is left in the log.
    fn filled() -> (TempDir, Vec<u8>) {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        for n in 0..300 {
            store.record(&run, n, &format!("step {n}"), b"output");
        }
        store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
        drop(store);
        forget_log(&directory);
        let bytes = fs::read(directory.join(FILE)).unwrap();
        assert!(bytes.len() > 8 * 4096);
        (directory, bytes)
    }

    fn forget_log(directory: &TempDir) {
        for ending in ["-wal", "-shm"] {
            let _ = fs::remove_file(directory.join(&format!("{FILE}{ending}")));
        }
    }

    /// Checks that the store returns right values or none; or that it does not open, or reports that it is damaged.
    #[track_caller]
    fn never_lies(directory: &TempDir, damage: &str) {
        let records = open(&directory.path).and_then(|store| {
            let _ = store.runs(None, 9, patient())?;
            store.records(1, patient())
        });
        match records {
            Ok(records) => {
                for record in records {
                    let sound = record.output.as_deref().is_none_or(|output| output == b"output");
                    assert!(sound && record.token == "token", "{record:?}, {damage}");
                }
            }
            Err(StoreError::Damaged(_) | StoreError::Other(_)) => {}
            Err(other) => panic!("{other:?}, {damage}"),
        }
    }

    #[test]
    fn is_recognised_wherever_it_was_cut_off() {
        let (directory, bytes) = filled();
        let last = bytes.len() - 4096;
        for length in (2..=last).step_by(997).chain([99, 100, 4095, 4096, 4097, 8192, last]) {
            forget_log(&directory);
            fs::write(directory.join(FILE), &bytes[..length]).unwrap();
            let answer = open(&directory.path).map(drop).expect_err("it was cut off");
            let StoreError::Damaged(why) = &answer else { panic!("cut at {length}: {answer:?}") };
            let known = ["file is not a database", "database disk image is malformed"];
            assert!(known[usize::from(length >= 512)..].contains(&why.as_str()), "cut at {length}: {why}");
            assert_eq!(answer.to_string(), advice(why), "cut at {length}");
        }
        for length in (last + 1..bytes.len()).step_by(97) {
            forget_log(&directory);
            fs::write(directory.join(FILE), &bytes[..length]).unwrap();
            never_lies(&directory, &format!("cut at {length}, in its last page"));
        }
    }

    #[test]
    fn never_takes_garbage_for_values() {
        let (directory, bytes) = filled();
        let mut random = crate::common::Random(1);
        for _ in 0..150 {
            let mut damaged = bytes.clone();
            let from = 100 + random.below(bytes.len() - 100);
            let to = (from + 1 + random.below(4000)).min(bytes.len());
            damaged[from..to].iter_mut().for_each(|byte| *byte ^= random.below(256) as u8);
            forget_log(&directory);
            fs::write(directory.join(FILE), &damaged).unwrap();
            never_lies(&directory, &format!("garbage in {from}..{to}"));
        }
    }

    #[test]
    fn never_takes_a_flipped_bit_for_another_value() {
        let (directory, bytes) = filled();
        let mut random = crate::common::Random(2);
        for _ in 0..300 {
            let mut damaged = bytes.clone();
            let (byte, bit) = (100 + random.below(bytes.len() - 100), random.below(8));
            damaged[byte] ^= 1 << bit;
            forget_log(&directory);
            fs::write(directory.join(FILE), &damaged).unwrap();
            never_lies(&directory, &format!("bit {bit} of {byte}"));
        }
    }

    #[test]
    fn is_recognised_when_its_tables_are_missing() {
        with_database("PRAGMA application_id = 0x466c6f77; PRAGMA user_version = 5;", |directory| {
            assert!(refusal(&directory.path).starts_with("no such table: totals"));
        });
    }
}

mod something_else_in_its_place {
    use super::*;

    #[test]
    fn a_directory_instead_of_a_file() {
        for name in [FILE, LOCKS] {
            let directory = TempDir::new();
            fs::create_dir(directory.join(name)).unwrap();
            assert_eq!(
                refusal(&directory.path),
                "cannot be written (Is a directory (os error 21)); check its permissions, \
                 or choose another directory",
                "{name}"
            );
        }
    }

    #[test]
    fn a_file_instead_of_the_directory() {
        let directory = TempDir::new();
        fs::write(directory.join("store"), "").unwrap();
        let answer = open(&directory.join("store")).map(drop).unwrap_err();
        assert!(
            matches!(&answer, StoreError::Denied(why) if why.ends_with("store is no directory")),
            "{answer:?}"
        );
        assert_eq!(answer.kind(), "denied");
        let text = refusal(&directory.join("store/deeper"));
        assert!(text.starts_with("cannot be written ("), "{text}");
        assert!(Store::existing(&directory.join("store"), patient()).unwrap().is_none());
    }
}

mod a_read_only_file_system {
    use super::*;

    /// A read-only mount, because nothing else keeps root from writing.
    fn read_only(before: impl FnOnce(&TempDir)) -> Option<TempDir> {
        let directory = TempDir::tmpfs(4 << 20)?;
        before(&directory);
        directory.remount("ro");
        Some(directory)
    }

    #[track_caller]
    fn assert_read_only<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
        let answer = answer.unwrap_err();
        let text = answer.to_string();
        assert!(text.starts_with("cannot be written (Read-only"), "{text}");
        assert_eq!(answer.kind(), "denied");
    }

    #[test]
    fn can_hold_no_new_store() {
        let Some(directory) = read_only(|_| {}) else { return };
        assert_read_only(open(&directory.join("store")));
        assert_read_only(open(&directory.path));
        assert!(Store::existing(&directory.path, patient()).unwrap().is_none());
    }

    #[test]
    fn says_what_a_copy_lacks_that_has_a_log_without_its_index() {
        // With a log that has something, and with an empty one, which need not be read.
        for full in [true, false] {
            let copy = |directory: &TempDir| {
                let folder = TempDir::new();
                let original = TestStore::at(&folder.path);
                original.begin("r1", "p", "i");
                if !full {
                    original.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                }
                for file in [FILE.to_owned(), format!("{FILE}-wal")] {
                    fs::copy(original.root.join(&file), directory.join(&file)).unwrap();
                }
            };
            let Some(directory) = read_only(copy) else { return };
            match Store::existing(&directory.path, patient()) {
                Ok(store) => assert!(!full && store.unwrap().last_runs(patient()).unwrap().len() == 1),
                Err(error) => {
                    assert!(full && error.to_string().starts_with("is a copy without flowline.db-shm"))
                }
            }
        }
    }

    #[test]
    fn lets_a_store_be_read_and_not_changed() {
        // With a log and without one.
        for checkpointed in [false, true] {
            let fill = |directory: &TempDir| {
                let store = TestStore::at(&directory.path);
                let run = store.begin("r1", "p", "i");
                store.record(&run, 0, "a", b"small");
                store.record(&run, 1, "b", &large(1));
                store.put("k", b"value");
                if checkpointed {
                    store.finish(&run);
                    store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
                    drop(store);
                    for ending in ["-wal", "-shm"] {
                        fs::remove_file(directory.join(&format!("{FILE}{ending}"))).unwrap();
                    }
                }
            };
            let Some(directory) = read_only(fill) else { return };
            let before = tree(&directory.path);
            let open = || Store::existing(&directory.path, patient()).unwrap().unwrap();
            let (store, other) = (TestStore { root: directory.path.clone(), store: open() }, open());
            for _ in 0..2 {
                let status = if checkpointed { "1 succeeded" } else { "1 crashed" };
                assert_eq!(store.statuses("p"), status);
                assert_eq!(store.steps(1, patient()).unwrap().len(), 2);
                assert_eq!(store.sizes(1, patient()).unwrap().len(), 2);
                assert_eq!(store.outputs(1), ["a <small>".to_owned(), format!("b {}", describe(&large(1)))]);
                assert_eq!(store.value("k"), "<value>");
                assert_eq!(other.last_runs(patient()).unwrap().len(), 1);
                let run = store.latest("p", None, patient()).unwrap().unwrap();
                assert_read_only(store.store.begin(&start("r2", "p", "i"), false, patient()));
                assert_read_only(store.try_put("k", None, 2.0, b"other", 9));
                assert_read_only(store.try_put("k", None, 2.0, &large(2), 9));
                assert_read_only(store.clear(1, patient()));
                assert_read_only(store.claim(&run, patient()));
                assert_read_only(store.drop_entries(None, false, patient()));
                assert_read_only(store.acquire(Lock::Checkpoint(1)));
                assert!(!store.is_taken(Lock::Checkpoint(1)).unwrap());
            }
            assert_eq!(tree(&directory.path), before);
        }
    }

    #[test]
    fn is_no_obstacle_once_it_can_be_written_again() {
        let Some(directory) = read_only(|directory| drop(TestStore::at(&directory.path))) else { return };
        let store = Store::existing(&directory.path, patient()).unwrap().unwrap();
        drop(store);
        directory.remount("rw");
        TestStore::at(&directory.path).put("k", b"value");
    }

    #[test]
    fn that_denies_access_to_its_owner_is_reported() {
        let directory = TempDir::new();
        fs::set_permissions(&directory.path, fs::Permissions::from_mode(0o500)).unwrap();
        if fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0) {
            return skip("nothing is denied to root").unwrap_or_default();
        }
        let answer = open(&directory.join("store")).map(drop).unwrap_err();
        assert!(matches!(answer, StoreError::Denied(_)), "{answer:?}");
    }
}

mod a_full_disk {
    use super::*;

    const DISK: usize = 4 << 20;

    #[test]
    fn is_reported_loses_nothing_and_works_again_when_there_is_room() {
        for (value, durable) in
            [(vec![7; 2000], false), (vec![7; 2000], true), (large(1), false), (large(2), true)]
        {
            let Some(disk) = TempDir::tmpfs(DISK) else { return };
            fs::write(disk.join("ballast"), vec![0; DISK / 4]).unwrap();
            let store = TestStore::at(&disk.join("store"));
            let run = store.begin("r1", "p", "i");
            // Each differs, because equal values share a file.
            let value = |n: i64| [&n.to_le_bytes(), &value[..]].concat();
            let record = |n: i64| store.try_record(&run, n, &n.to_string(), &value(n), durable);
            let mut recorded = 0;
            let answer = loop {
                match record(recorded) {
                    Ok(()) => recorded += 1,
                    Err(error) => break error,
                }
                assert!(recorded < 5000, "the disk is never full");
            };
            assert!(matches!(answer, StoreError::Full), "{answer:?}");
            assert_eq!(answer.to_string(), "the disk is full; nothing was recorded: make room and run again");
            assert_eq!(answer.kind(), "full");
            for _ in 0..3 {
                let again = record(recorded);
                assert!(matches!(again, Err(StoreError::Full)), "{again:?}");
            }
            let mut found = store.sizes(1, patient()).unwrap();
            found.sort_by_key(|(step, _)| step.parse::<i64>().unwrap());
            let expected: Vec<_> = (0..recorded).map(|n| (n.to_string(), value(n).len() as i64)).collect();
            assert_eq!(found, expected, "nothing of what failed");
            assert!(store.files().iter().all(|name| !name.ends_with(".part")), "{:?}", store.files());
            for n in 0..recorded {
                assert_eq!(store.output(1, &n.to_string()), describe(&value(n)));
            }
            fs::remove_file(disk.join("ballast")).unwrap();
            record(recorded).unwrap();
            drop(store);
            let store = TestStore::at(&disk.join("store"));
            assert_eq!(store.sizes(1, patient()).unwrap().len(), recorded as usize + 1);
            assert_eq!(store.steps(1, patient()).unwrap().len(), recorded as usize + 1);
            store.assert_sound();
        }
    }

    /// Leaves room for that many bytes.
    fn fill(disk: &TempDir, room: usize) {
        use std::io::Write;
        let mut file = fs::File::create(disk.join("ballast")).unwrap();
        while file.write_all(&[0; 4096]).is_ok() {}
        let length = file.metadata().unwrap().len();
        file.set_len(length.saturating_sub(room as u64)).unwrap();
    }

    #[test]
    fn leads_to_success_or_to_the_error_however_little_room_there_is() {
        let mut fulls = 0;
        for room in (0..150).map(|pages| pages * 4096) {
            let Some(disk) = TempDir::tmpfs(DISK) else { return };
            fill(&disk, room);
            let root = disk.join("store");
            let outcome = open(&root).and_then(|store| {
                let store = TestStore { root: root.clone(), store };
                let run = begun(store.store.begin(&start("r1", "p", "i"), false, patient())?);
                store.try_record(&run, 0, "a", b"small", false)?;
                store.try_record(&run, 1, "b", &large(1), true)
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
            let store = TestStore::at(&root);
            assert_eq!(fs::read_to_string(root.join(".gitignore")).unwrap(), "*\n", "with room for {room}");
            let steps = store.steps(1, patient()).unwrap().len();
            assert_eq!(store.outputs(1).len(), steps, "with room for {room}");
            if outcome.is_ok() {
                assert_eq!(steps, 2, "with room for {room}");
            }
            assert!(!store.files().iter().any(|name| name.ends_with(".part")));
        }
        assert!((10..150).contains(&fulls), "{fulls} of 150");
    }

    #[test]
    fn does_not_keep_a_checkpoint_from_being_cleared() {
        let Some(disk) = TempDir::tmpfs(DISK) else { return };
        fs::write(disk.join("ballast"), vec![0; DISK / 4]).unwrap();
        let store = TestStore::at(&disk.join("store"));
        let run = store.begin("r1", "p", "i");
        let record = |n: i64| {
            store.try_record(&run, n, &n.to_string(), &[&n.to_le_bytes(), &large(1)[..]].concat(), false)
        };
        let mut n = 0;
        while record(n).is_ok() {
            n += 1;
        }
        store.release(Lock::Checkpoint(1));
        store.clear(1, patient()).unwrap();
        assert_eq!(store.files(), NONE);
        record(n).unwrap();
    }
}

mod waiting {
    use super::*;

    #[test]
    fn ends_with_the_seconds_when_the_patience_is_over() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        let holder = take_byte(&directory.path, 0, true);
        let cancelled = AtomicBool::new(false);
        for value in [b"small".to_vec(), large(1)] {
            let wait = Wait::new(Duration::from_millis(150), &cancelled);
            let since = Instant::now();
            let answer = store.store.record(&[completion(&run, 0, "a")], &value, false, wait).unwrap_err();
            let waited = since.elapsed();
            assert!(waited >= Duration::from_millis(150) && waited < Duration::from_secs(5), "{waited:?}");
            assert!(
                matches!(answer, StoreError::Busy(seconds) if (0.15..5.0).contains(&seconds)),
                "{answer:?}"
            );
            assert_eq!(answer.kind(), "busy");
            let text = answer.to_string();
            assert!(text.starts_with("another process has been writing to it for 0."), "{text}");
            assert!(text.ends_with(" seconds; see what that process does"), "{text}");
        }
        let answer = store.runs(None, 9, impatient()).unwrap_err();
        assert!(matches!(answer, StoreError::Busy(_)), "reading waits for writers, too: {answer:?}");
        let opened = Store::open(&directory.path, impatient()).map(drop).unwrap_err();
        assert!(matches!(opened, StoreError::Busy(_)), "{opened:?}");
        assert_eq!(store.files(), NONE, "no part is left");
        drop(holder);
        assert_eq!(store.outputs(1), NONE);
        store.record(&run, 0, "a", b"works on");
    }

    #[test]
    fn for_readers_is_not_needed_by_readers() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let reader = take_byte(&directory.path, 0, false);
        assert_eq!(store.runs(None, 9, impatient()).unwrap(), []);
        let answer = store.store.drop_entries(None, false, impatient()).unwrap_err();
        assert!(matches!(answer, StoreError::Busy(_)), "{answer:?}");
        drop(reader);
        store.put("k", b"value");
    }

    #[test]
    fn ends_at_once_when_it_is_cancelled() {
        for value in [b"small".to_vec(), large(1)] {
            let directory = TempDir::new();
            let store = TestStore::at(&directory.path);
            let run = store.begin("r1", "p", "i");
            let _holder = take_byte(&directory.path, 0, true);
            let cancelled = AtomicBool::new(false);
            let wait = Wait::new(Duration::from_secs(60), &cancelled);
            std::thread::scope(|scope| {
                let waiting =
                    scope.spawn(|| store.store.record(&[completion(&run, 0, "a")], &value, false, wait));
                std::thread::sleep(Duration::from_millis(50));
                assert!(!waiting.is_finished());
                let since = Instant::now();
                cancelled.store(true, std::sync::atomic::Ordering::Relaxed);
                let answer = waiting.join().unwrap().unwrap_err();
                assert!(since.elapsed() < Duration::from_secs(2));
                assert!(matches!(answer, StoreError::Cancelled), "{answer:?}");
                assert_eq!(answer.to_string(), "the wait for another process was cancelled");
            });
            drop(_holder);
            assert_eq!((store.count("steps"), store.count("records")), (0, 0));
            assert_eq!(store.files(), NONE);
            store.record(&run, 0, "a", &value);
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1, "works on");
        }
    }

    #[test]
    fn is_not_cancelled_when_there_is_nothing_to_wait_for() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let cancelled = AtomicBool::new(true);
        let wait = Wait::new(Duration::ZERO, &cancelled);
        store.store.begin(&start("r1", "p", "i"), false, wait).unwrap();
    }

    #[test]
    fn holds_nothing_that_others_need() {
        let directory = TempDir::new();
        let (store, other) = (TestStore::at(&directory.path), TestStore::at(&directory.path));
        let reader = take_byte(&directory.path, 0, false);
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.put("k", b"value"));
            for _ in 0..200 {
                assert_eq!(other.runs(None, 9, patient()).unwrap(), [], "it can still be read");
                assert_eq!(store.runs(None, 9, patient()).unwrap(), [], "also with the same handle");
            }
            assert!(!waiting.is_finished());
            drop(reader);
        });
        assert_eq!(other.value("k"), "<value>");
    }

    #[test]
    fn is_over_when_another_program_ends_its_transaction() {
        let directory = TempDir::new();
        let store = TestStore::at(&directory.path);
        let run = store.begin("r1", "p", "i");
        let writer = store.sql();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        assert_eq!(store.statuses("p"), "1 running", "it can still be read");
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| store.record(&run, 0, "a", &large(1)));
            std::thread::sleep(Duration::from_millis(50));
            assert!(!waiting.is_finished());
            writer.execute_batch("COMMIT").unwrap();
        });
        assert_eq!(store.output(1, "a"), describe(&large(1)));
    }
}

mod the_first_open {
    use super::*;

    #[test]
    fn may_be_made_by_many_threads_at_once() {
        for _ in 0..20 {
            let directory = TempDir::new();
            let root = directory.join("a/store");
            let start = Barrier::new(8);
            std::thread::scope(|scope| {
                for thread in 0..8 {
                    let (root, start) = (&root, &start);
                    scope.spawn(move || {
                        start.wait();
                        TestStore::at(root).begin(&format!("r{thread}"), "p", "i");
                    });
                }
            });
            assert_eq!(TestStore::at(&root).ids(Some("p")).len(), 8);
        }
    }
}
