//! What each operation of a store means, what becomes of large values, and that a failure leaves nothing.
#![allow(
    clippy::type_complexity,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic
)]

mod common;

use std::fs;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime};

use common::store::{NOTHING, Place, Subject, bytes, complete, large, open, show, skip, sum, told};
use flowline_core::store::{FILE, INLINE, Request, StoreError, Value};
use rusqlite::Connection;

fn with_store(test: impl FnOnce(&mut Subject)) {
    let place = Place::new();
    test(&mut Subject::at(&place.path));
}

mod runs {
    use super::*;

    #[test]
    fn are_numbered_from_one_on_and_no_number_is_given_twice() {
        with_store(|store| {
            assert_eq!(store.begin("r1", "p", "i", 1), 1);
            assert_eq!(store.begin("r2", "p", "i", 1), 2);
            store.sql().execute("DELETE FROM runs", []).unwrap();
            assert_eq!(store.begin("r3", "p", "i", 1), 3);
        });
    }

    #[test]
    fn begin_with_what_is_known_and_finish_with_the_rest() {
        with_store(|store| {
            let list = row!["r1", "p", "i", 9, "r0", &b"params"[..], 4711, 100.25];
            assert_eq!(store.ask("begin", list), ["1"]);
            assert_eq!(store.ask("runs", row!["p", 9]), ["1|r1|p|9|r0|running|4711|100.25|NULL|NULL"]);
            assert_eq!(store.ask("latest", row!["p", "i"]), ["1|r1|9|running|<params>"]);
            assert_eq!(store.ask("finish", row![1, "failed", 2.5, "boom", "p"]), NOTHING);
            assert_eq!(store.ask("runs", row!["p", 9]), ["1|r1|p|9|r0|failed|4711|100.25|2.5|boom"]);
        });
    }

    #[test]
    fn may_resume_nothing_and_have_no_params_and_no_error() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store.finish(1, "p");
            assert_eq!(store.ask("runs", row![(), 9]), ["1|r1|p|1|NULL|succeeded|7|100.0|1.5|NULL"]);
            assert_eq!(store.ask("latest", row!["p", "i"]), ["1|r1|1|succeeded|NULL"]);
        });
    }

    #[test]
    fn have_an_id_of_their_own() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let again = store.call("begin", &[row!["r1", "q", "i", 2, (), (), 7, 100.0]], None);
            assert!(
                matches!(&again, Err(StoreError::Other(why)) if why.contains("runs.run_id")),
                "{again:?}"
            );
            assert_eq!(store.count("runs"), 1);
        });
    }

    #[test]
    fn finish_changes_that_run_alone() {
        with_store(|store| {
            (1..4).for_each(|n| assert_eq!(store.begin(&format!("r{n}"), "p", "i", n), n));
            store.finish(2, "p");
            assert_eq!(store.ask("running", row!["p"]), ["1|1", "3|3"]);
        });
    }

    #[test]
    fn crash_only_while_they_run() {
        with_store(|store| {
            (1..4).for_each(|n| assert_eq!(store.begin(&format!("r{n}"), "p", "i", n), n));
            store.finish(2, "p");
            assert_eq!(store.ask("crashed", row![1]), NOTHING);
            assert_eq!(store.ask("crashed", row![2]), NOTHING);
            let statuses: Vec<_> = (store.ask("runs", row!["p", 9]).iter())
                .map(|row| row.split('|').nth(5).unwrap().to_owned())
                .collect();
            assert_eq!(statuses, ["running", "succeeded", "crashed"]);
        });
    }

    #[test]
    fn running_are_those_of_the_pipeline_that_have_not_ended() {
        with_store(|store| {
            store.begin("r1", "p", "i", 5);
            store.begin("r2", "q", "i", 6);
            store.begin("r3", "p", "other", 7);
            store.begin("r4", "p", "i", 8);
            store.finish(4, "p");
            assert_eq!(store.ask("running", row!["p"]), ["1|5", "3|7"]);
            assert_eq!(store.ask("running", row!["none"]), NOTHING);
        });
    }

    #[test]
    fn latest_is_that_of_the_pipeline_with_this_identity_or_any() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store.begin("r2", "p", "j", 2);
            store.begin("r3", "p", "i", 3);
            store.begin("r4", "p", "j", 4);
            store.begin("r5", "q", "i", 5);
            assert_eq!(store.ask("latest", row!["p", "i"]), ["3|r3|3|running|NULL"]);
            assert_eq!(store.ask("latest", row!["p", ()]), ["4|r4|4|running|NULL"]);
            assert_eq!(store.ask("latest", row!["q", ()]), ["5|r5|5|running|NULL"]);
            assert_eq!(store.ask("latest", row!["q", "j"]), NOTHING);
            assert_eq!(store.ask("latest", row!["none", ()]), NOTHING);
        });
    }

    #[test]
    fn are_listed_latest_first_of_one_pipeline_or_all_and_no_more_than_asked_for() {
        with_store(|store| {
            for (n, pipeline) in (1..).zip(["p", "q", "p", "q", "p"]) {
                store.begin(&format!("r{n}"), pipeline, "i", n);
            }
            let ids = |rows: Vec<String>| {
                rows.iter().map(|row| row.split('|').next().unwrap()).collect::<Vec<_>>().join(" ")
            };
            assert_eq!(ids(store.ask("runs", row!["p", 2])), "5 3");
            assert_eq!(ids(store.ask("runs", row!["p", 9])), "5 3 1");
            assert_eq!(ids(store.ask("runs", row![(), 4])), "5 4 3 2");
            assert_eq!(ids(store.ask("runs", row!["none", 4])), "");
        });
    }

    #[test]
    fn last_runs_are_one_of_each_pipeline_by_its_name() {
        with_store(|store| {
            assert_eq!(store.ask("last_runs", row![]), NOTHING);
            for (n, pipeline) in (1..).zip(["z", "a", "z", "a", "m"]) {
                store.begin(&format!("r{n}"), pipeline, "i", n * 10);
            }
            store.ask("finish", row![3, "failed", 2.5, "boom", "z"]);
            assert_eq!(
                store.ask("last_runs", row![]),
                [
                    "4|r4|a|40|NULL|running|7|100.0|NULL|NULL",
                    "5|r5|m|50|NULL|running|7|100.0|NULL|NULL",
                    "3|r3|z|30|NULL|failed|7|100.0|2.5|boom",
                ]
            );
        });
    }
}

mod history {
    use super::*;

    /// Begins and finishes that many runs, each with a step and an output in a checkpoint of its own.
    fn run_often(store: &mut Subject, pipeline: &str, times: i64) {
        for _ in 0..times {
            let checkpoint = 1000 + next(store);
            let run = store.begin(&format!("r{checkpoint}"), pipeline, "i", checkpoint);
            store.complete(run, 0, "step", checkpoint, b"output");
            store.finish(run, pipeline);
        }
    }

    /// The number the next run will get.
    fn next(store: &Subject) -> i64 {
        let sql = "SELECT coalesce(max(seq), 0) + 1 FROM sqlite_sequence";
        store.sql().query_row(sql, [], |row| row.get(0)).unwrap()
    }

    fn ids(store: &mut Subject, pipeline: &str) -> Vec<i64> {
        let rows = store.call("runs", &[row![pipeline, 1000]], None).unwrap();
        rows.iter().map(|row| if let Value::Integer(id) = row[0] { id } else { panic!() }).rev().collect()
    }

    #[test]
    fn keeps_exactly_the_last_hundred_runs_with_their_steps_and_outputs() {
        with_store(|store| {
            run_often(store, "p", 100);
            assert_eq!(ids(store, "p"), (1..=100).collect::<Vec<_>>());
            run_often(store, "p", 1);
            assert_eq!(ids(store, "p"), (2..=101).collect::<Vec<_>>());
            run_often(store, "p", 2);
            assert_eq!(ids(store, "p"), (4..=103).collect::<Vec<_>>());
            assert_eq!((store.count("steps"), store.count("outputs")), (100, 100));
            assert_eq!(store.ask("steps", row![3]), NOTHING);
            assert_eq!(store.ask("steps", row![4]), ["step|succeeded|NULL|1|0.5|2.5|NULL"]);
        });
    }

    #[test]
    fn counts_each_pipeline_by_itself_and_leaves_the_others_alone() {
        with_store(|store| {
            run_often(store, "q", 60);
            run_often(store, "p", 60);
            run_often(store, "q", 30);
            run_often(store, "p", 60);
            assert_eq!(ids(store, "q").len(), 90);
            assert_eq!(ids(store, "p"), (81..=120).chain(151..=210).collect::<Vec<_>>());
            assert_eq!((store.count("steps"), store.count("outputs")), (190, 190));
        });
    }

    #[test]
    fn never_forgets_a_run_that_has_not_ended_however_old() {
        with_store(|store| {
            let running = store.begin("old", "p", "i", 77);
            store.complete(running, 0, "step", 77, b"kept");
            run_often(store, "p", 102);
            assert_eq!(ids(store, "p")[..2], [running, 4], "the hundred latest, and the one that runs");
            assert_eq!(store.ask("output", row![77, "step"]), ["<kept>"]);
            assert_eq!(store.ask("steps", row![running]).len(), 1);
            store.finish(running, "p");
            assert_eq!(ids(store, "p").len(), 100, "it goes when it has ended");
            assert_eq!(store.ask("output", row![77, "step"]), NOTHING);
        });
    }

    #[test]
    fn counts_running_ones_among_the_hundred() {
        with_store(|store| {
            run_often(store, "p", 100);
            store.begin("running", "p", "i", 1);
            let last = store.begin("last", "p", "i", 1);
            store.finish(last, "p");
            assert_eq!(ids(store, "p"), (3..=102).collect::<Vec<_>>());
        });
    }

    #[test]
    fn forgets_outputs_only_when_no_run_of_any_pipeline_has_their_checkpoint() {
        with_store(|store| {
            store.begin("old", "p", "i", 77);
            store.complete(1, 0, "step", 77, b"kept");
            store.finish(1, "p");
            let resumed = store.begin("resumed", "q", "i", 77);
            run_often(store, "p", 100);
            assert!(!ids(store, "p").contains(&1));
            assert_eq!(store.ask("output", row![77, "step"]), ["<kept>"]);
            store.sql().execute("DELETE FROM runs WHERE id = ?1", [resumed]).unwrap();
            run_often(store, "p", 1);
            assert_eq!(store.ask("output", row![77, "step"]), NOTHING);
        });
    }

    #[test]
    fn forgets_crashed_runs_like_others() {
        with_store(|store| {
            store.begin("crashed", "p", "i", 1);
            store.ask("crashed", row![1]);
            run_often(store, "p", 100);
            assert_eq!(ids(store, "p"), (2..=101).collect::<Vec<_>>());
        });
    }
}

mod steps {
    use super::*;

    #[test]
    fn are_told_in_the_order_of_their_definition_with_all_that_is_known() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store.begin("r2", "p", "i", 1);
            store.ask("step", row![1, 2, "c", "failed", (), 3, 0.5, 1.5, "boom"]);
            store.ask("step", row![1, 0, "a", "skipped", "condition", 0, (), (), ()]);
            store.ask("step", row![2, 1, "b", "succeeded", (), 1, 0.0, 0.25, ()]);
            let expected = ["a|skipped|condition|0|NULL|NULL|NULL", "c|failed|NULL|3|0.5|1.5|boom"];
            assert_eq!(store.ask("steps", row![1]), expected);
            assert_eq!(store.ask("steps", row![2]), ["b|succeeded|NULL|1|0.0|0.25|NULL"]);
            assert_eq!(store.ask("steps", row![3]), NOTHING);
        });
    }

    #[test]
    fn end_once_the_last_record_stands() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store.ask("step", row![1, 0, "a", "failed", (), 3, 0.5, 1.5, "boom"]);
            store.ask("step", row![1, 0, "a", "succeeded", (), 4, 0.5, 1.5, ()]);
            assert_eq!(store.ask("steps", row![1]), ["a|succeeded|NULL|4|0.5|1.5|NULL"]);
        });
    }

    #[test]
    fn belong_to_a_run_that_exists() {
        with_store(|store| {
            let answer = store.call("step", &[row![1, 0, "a", "failed", (), 3, (), (), ()]], None);
            assert!(
                matches!(&answer, Err(StoreError::Other(why)) if why.contains("FOREIGN KEY")),
                "{answer:?}"
            );
        });
    }

    #[test]
    fn many_are_recorded_at_once() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let lists: Vec<_> =
                (0..500).map(|n| row![1, n, "s", "skipped", "not_selected", 0, (), (), ()]).collect();
            assert_eq!(store.call("step", &lists, None).unwrap(), Vec::<Vec<Value>>::new());
            assert_eq!(store.count("steps"), 500);
        });
    }

    #[test]
    fn take_on_average_what_they_took_when_they_succeeded_in_the_ten_latest_runs() {
        with_store(|store| {
            for n in 1..=12 {
                store.begin(&format!("r{n}"), "p", "i", n);
                store.ask("step", row![n, 0, "a", "succeeded", (), 1, 0.0, n as f64, ()]);
                store.ask(
                    "step",
                    row![n, 1, "b", if n < 11 { "succeeded" } else { "failed" }, (), 1, 0.0, 2.0, ()],
                );
                store.ask("step", row![n, 2, "c", "failed", (), 1, 0.0, 2.0, ()]);
                store.ask("step", row![n, 3, "d", "restored", (), 0, (), (), ()]);
            }
            store.begin("other", "q", "i", 1);
            store.ask("step", row![13, 0, "a", "succeeded", (), 1, 0.0, 1000.0, ()]);
            let mut timings = store.ask("timings", row!["p"]);
            timings.sort();
            assert_eq!(timings, ["a|7.5", "b|2.0"]);
            assert_eq!(store.ask("timings", row!["q"]), ["a|1000.0"]);
            assert_eq!(store.ask("timings", row!["none"]), NOTHING);
        });
    }
}

mod outputs {
    use super::*;

    #[test]
    fn are_recorded_with_their_steps() {
        with_store(|store| {
            store.begin("r1", "p", "i", 5);
            store.complete(1, 3, "load", 5, b"out");
            assert_eq!(store.ask("steps", row![1]), ["load|succeeded|NULL|1|0.5|2.5|NULL"]);
            assert_eq!(store.ask("outputs", row![5]), ["load|print|<out>"]);
            assert_eq!(store.ask("output", row![5, "load"]), ["<out>"]);
            assert_eq!(store.ask("recorded", row![5]), ["load|3"]);
        });
    }

    #[test]
    fn of_another_checkpoint_or_name_are_others() {
        with_store(|store| {
            store.begin("r1", "p", "i", 5);
            store.complete(1, 0, "a", 5, b"five");
            store.complete(1, 0, "a", 6, b"six");
            store.complete(1, 1, "b", 5, b"bee");
            assert_eq!(store.ask("output", row![5, "a"]), ["<five>"]);
            assert_eq!(store.ask("output", row![6, "a"]), ["<six>"]);
            assert_eq!(store.ask("outputs", row![6]), ["a|print|<six>"]);
            assert_eq!(store.ask("output", row![6, "b"]), NOTHING);
            assert_eq!(store.ask("recorded", row![5]), ["a|4", "b|3"]);
            assert_eq!(store.ask("outputs", row![7]), NOTHING);
        });
    }

    #[test]
    fn recorded_again_are_the_last_ones() {
        with_store(|store| {
            store.begin("r1", "p", "i", 5);
            store.complete(1, 0, "a", 5, b"old");
            let mut list = complete(1, 0, "a", 5);
            list[10] = Value::Text("other".to_owned());
            store.put("complete", list, b"newer");
            assert_eq!(store.ask("outputs", row![5]), ["a|other|<newer>"]);
            assert_eq!(store.ask("recorded", row![5]), ["a|5"]);
        });
    }

    #[test]
    fn are_cleared_a_checkpoint_at_a_time() {
        with_store(|store| {
            store.begin("r1", "p", "i", 5);
            store.complete(1, 0, "a", 5, b"a");
            store.complete(1, 1, "b", 5, b"b");
            store.complete(1, 0, "a", 6, b"other");
            assert_eq!(store.ask("clear", row![5]), NOTHING);
            assert_eq!(store.ask("outputs", row![5]), NOTHING);
            assert_eq!(store.ask("output", row![6, "a"]), ["<other>"]);
            assert_eq!(store.ask("steps", row![1]).len(), 2, "history stays");
        });
    }

    #[test]
    fn make_checkpoints_told_once_of_this_pipeline_and_identity() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store.begin("r2", "p", "i", 1);
            store.begin("r3", "p", "i", 3);
            store.begin("r4", "p", "j", 4);
            store.begin("r5", "q", "i", 5);
            store.begin("r6", "p", "i", 6);
            for (run, checkpoint) in [(1, 1), (2, 1), (4, 4), (5, 5), (6, 6)] {
                store.complete(run, run, "step", checkpoint, b"x");
                store.complete(run, run + 1, "other", checkpoint, b"x");
            }
            let mut found = store.ask("checkpoints", row!["p", "i"]);
            found.sort();
            assert_eq!(found, ["1", "6"], "each once, without those that hold nothing");
            assert_eq!(store.ask("checkpoints", row!["p", "j"]), ["4"]);
            store.ask("clear", row![6]);
            assert_eq!(store.ask("checkpoints", row!["p", "i"]), ["1"]);
            assert_eq!(store.ask("checkpoints", row!["none", "i"]), NOTHING);
        });
    }
}

mod cache {
    use super::*;

    #[test]
    fn holds_what_was_written_last_under_a_key() {
        with_store(|store| {
            store.write("k", None, 1.0, b"old");
            store.write("k", Some(9.0), 2.0, b"newer");
            store.write("l", None, 3.0, b"other");
            assert_eq!(store.read("k"), "<newer>");
            assert_eq!(store.read("l"), "<other>");
            assert_eq!(store.read("none"), "nothing");
            assert_eq!(store.ask("entries", row![0.0]), ["k|5|2.0|9.0", "l|5|3.0|NULL"]);
        });
    }

    #[test]
    fn holds_nothing_from_the_moment_it_expires() {
        with_store(|store| {
            store.write("k", Some(10.0), 1.0, b"value");
            store.write("forever", None, 1.0, b"value");
            for (now, there) in [(9.999, true), (10.0, false), (10.001, false)] {
                let read = |store: &mut Subject, key| !store.ask("read", row![key, now]).is_empty();
                assert_eq!((read(store, "k"), read(store, "forever")), (there, true), "at {now}");
                assert_eq!(store.ask("entries", row![now]).len(), 1 + usize::from(there), "at {now}");
            }
        });
    }

    #[test]
    fn lists_entries_by_key() {
        with_store(|store| {
            for key in ["b", "a", "c", "B"] {
                store.write(key, None, 1.0, b"");
            }
            assert_eq!(store.keys(), ["B", "a", "b", "c"]);
        });
    }

    #[test]
    fn remembers_when_an_entry_was_used() {
        with_store(|store| {
            store.write("k", None, 1.0, b"value");
            store.write("l", None, 1.0, b"value");
            store.ask("used", row!["k", 5.5]);
            store.ask("used", row!["none", 5.5]);
            assert_eq!(store.ask("entries", row![0.0]), ["k|5|5.5|NULL", "l|5|1.0|NULL"]);
        });
    }

    #[test]
    fn deletes_one_key_all_that_begin_so_or_all() {
        let keys = ["a", "a%", "a%b", "a%bc", "aXb", "A%b", "a_", "a_c", "axc", "b", "", "é", "éa"];
        let remaining = |key: Option<&str>, prefix: i64| {
            let mut left = vec![];
            with_store(|store| {
                keys.iter().for_each(|key| store.write(key, None, 1.0, b""));
                assert_eq!(store.ask("delete", row![key, prefix]), NOTHING);
                left = store.keys();
            });
            left
        };
        for key in keys {
            let gone = |prefix, gone: &dyn Fn(&str) -> bool| {
                let mut kept: Vec<_> = keys.into_iter().filter(|known| !gone(known)).collect();
                kept.sort();
                assert_eq!(remaining(Some(key), prefix), kept, "{key:?}, {prefix}");
            };
            gone(0, &|known| known == key);
            gone(1, &|known| known.starts_with(key));
        }
        assert_eq!(remaining(Some("none"), 1).len(), keys.len());
        assert_eq!(remaining(Some("a%bcd"), 1).len(), keys.len(), "not what the key begins with");
        assert_eq!(remaining(None, 0), NOTHING);
        assert_eq!(remaining(None, 1), NOTHING);
    }

    #[test]
    fn evicts_what_has_expired_then_what_was_used_longest_ago_until_the_rest_fits() {
        // Key, expiry, used, size.
        let entries: [(&str, Option<f64>, f64, usize); 5] = [
            ("expired", Some(50.0), 9.0, 1),
            ("old", None, 1.0, 10),
            ("newest", None, 5.0, 30),
            ("middle", Some(51.0), 3.0, 20),
            ("tiny, but oldest", None, 0.5, 1),
        ];
        let left = |most: Option<i64>| {
            let mut keys = vec![];
            with_store(|store| {
                for (key, expires, used, size) in entries {
                    store.write(key, expires, used, &bytes(1, size));
                }
                assert_eq!(store.ask("evict", row![50.0, most]), NOTHING);
                keys = store.keys();
            });
            keys.join(" ")
        };
        assert_eq!(left(None), "middle newest old tiny, but oldest");
        assert_eq!(left(Some(1000)), "middle newest old tiny, but oldest");
        assert_eq!(left(Some(61)), "middle newest old tiny, but oldest");
        assert_eq!(left(Some(60)), "middle newest old");
        assert_eq!(left(Some(59)), "middle newest", "also what is small, if it is older");
        assert_eq!(left(Some(50)), "middle newest");
        assert_eq!(left(Some(49)), "newest");
        assert_eq!(left(Some(29)), "");
        assert_eq!(left(Some(0)), "");
    }

    #[test]
    fn evicts_the_older_of_two_that_were_used_at_the_same_time() {
        with_store(|store| {
            ["b", "a", "c"].iter().for_each(|key| store.write(key, None, 1.0, b"ten bytes."));
            store.ask("evict", row![0.0, 20]);
            assert_eq!(store.keys(), ["a", "c"]);
            store.write("a", None, 1.0, b"ten bytes.");
            store.ask("evict", row![0.0, 10]);
            assert_eq!(store.keys(), ["a"], "written again");
        });
    }

    #[test]
    fn counts_values_in_files_by_their_size_too() {
        with_store(|store| {
            store.write("old", None, 1.0, &large(1));
            store.write("new", None, 2.0, b"x");
            store.ask("evict", row![0.0, INLINE as i64]);
            assert_eq!(store.keys(), ["new"]);
        });
    }
}

mod values {
    use super::*;

    #[test]
    fn of_any_size_come_back_as_they_were() {
        for size in [0, 1, 4095, 4096, INLINE - 1, INLINE, INLINE + 1, 3 * INLINE + 7] {
            with_store(|store| {
                let value = bytes(size as u64, size);
                store.begin("r1", "p", "i", 1);
                store.complete(1, 0, "a", 1, &value);
                store.write("k", None, 1.0, &value);
                assert_eq!(store.read("k"), told(&value), "{size}");
                assert_eq!(store.ask("output", row![1, "a"]), [told(&value)], "{size}");
                assert_eq!(store.ask("recorded", row![1]), [format!("a|{size}")]);
                assert_eq!(store.ask("entries", row![0.0]), [format!("k|{size}|1.0|NULL")]);
                let files = if size < INLINE { vec![] } else { vec![sum(&value)] };
                assert_eq!(store.files(), files, "a file only from {INLINE} up, {size}");
                let sql = "SELECT coalesce(length(bytes), -1) FROM cache";
                let inline: i64 = store.sql().query_row(sql, [], |row| row.get(0)).unwrap();
                assert_eq!(inline, if size < INLINE { size as i64 } else { -1 });
            });
        }
    }

    #[test]
    fn are_bytes_whatever_they_would_be_as_text() {
        with_store(|store| {
            for value in [&b"\0\0"[..], b"\xff\xfe", "é".as_bytes(), b"NULL", b"1"] {
                store.write("k", None, 1.0, value);
                assert_eq!(store.read("k"), told(value));
            }
        });
    }

    #[test]
    fn of_several_rows_are_each_their_own() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let values = [large(1), b"small".to_vec(), large(2), vec![], large(3)];
            for (n, value) in (0..).zip(&values) {
                store.complete(1, n, &n.to_string(), 1, value);
            }
            let expected = (0..).zip(&values).map(|(n, value)| format!("{n}|print|{}", told(value)));
            assert_eq!(store.ask("outputs", row![1]), expected.collect::<Vec<_>>());
        });
    }

    #[test]
    fn that_are_alike_share_a_file_until_the_last_that_needs_it_is_gone() {
        with_store(|store| {
            let value = large(1);
            store.begin("r1", "p", "i", 1);
            store.complete(1, 0, "a", 1, &value);
            store.complete(1, 1, "b", 1, &value);
            store.complete(1, 0, "a", 2, &value);
            store.write("k", None, 1.0, &value);
            let everywhere = [sum(&value)];
            assert_eq!(store.files(), everywhere);
            for (operation, list) in
                [("clear", row![1]), ("delete", row!["k", 0]), ("delete", row!["none", 0])]
            {
                store.ask(operation, list);
                assert_eq!(store.call("collect", &[vec![]], None).map(|_| ()).ok(), Some(()));
                assert_eq!(store.files(), everywhere, "needed after {operation}");
            }
            assert_eq!(store.ask("outputs", row![2]), [format!("a|print|{}", told(&value))]);
            store.ask("clear", row![2]);
            store.call("collect", &[vec![]], None).unwrap();
            assert_eq!(store.files(), NOTHING);
        });
    }

    #[test]
    fn only_the_cache_needs_are_kept_too() {
        with_store(|store| {
            store.write("k", None, 1.0, &large(1));
            store.write("l", None, 1.0, &large(2));
            store.ask("delete", row!["l", 0]);
            store.call("collect", &[vec![]], None).unwrap();
            assert_eq!(store.files(), [sum(&large(1))]);
            assert_eq!(store.read("k"), told(&large(1)));
        });
    }

    #[test]
    fn that_replaced_others_leave_their_files_to_be_collected() {
        with_store(|store| {
            store.write("k", None, 1.0, &large(1));
            store.write("k", None, 1.0, &large(2));
            store.call("collect", &[vec![]], None).unwrap();
            assert_eq!(store.files(), [sum(&large(2))]);
            store.write("k", None, 1.0, b"small");
            store.call("collect", &[vec![]], None).unwrap();
            assert_eq!(store.files(), NOTHING);
        });
    }

    #[test]
    fn that_are_small_do_not_need_a_file_of_the_same_name() {
        with_store(|store| {
            store.write("k", None, 1.0, b"small");
            store.write("large", None, 1.0, &large(1));
            fs::write(store.blob(&sum(b"small")), "small").unwrap();
            store.call("collect", &[vec![]], None).unwrap();
            assert_eq!(store.files(), [sum(&large(1))]);
        });
    }

    #[test]
    fn collecting_leaves_what_is_being_written_and_takes_what_was_abandoned() {
        with_store(|store| {
            store.write("k", None, 1.0, &large(1));
            let day = Duration::from_secs(24 * 60 * 60);
            let minute = Duration::from_secs(60);
            let now = SystemTime::now();
            for (name, modified) in [
                ("begun-1-1", now),
                ("begun-1-2", now - day + minute),
                ("begun-1-3", now - day - minute),
                ("begun-1-4", now + day),
                ("0123", now),
                ("0124", now - day - day),
            ] {
                let file = fs::File::create(store.blob(name)).unwrap();
                file.set_modified(modified).unwrap();
            }
            fs::create_dir(store.blob("somebody's")).unwrap();
            store.call("collect", &[vec![]], None).unwrap();
            let mut expected = vec!["begun-1-1", "begun-1-2", "begun-1-4", "somebody's"]
                .into_iter()
                .map(str::to_owned)
                .collect::<Vec<_>>();
            expected.push(sum(&large(1)));
            expected.sort();
            assert_eq!(store.files(), expected);
            assert!(store.blob(".gitignore").exists());
        });
    }

    #[test]
    fn are_not_collected_where_nothing_was_asked_or_there_is_nothing() {
        with_store(|store| {
            store.call("collect", &[vec![]], None).unwrap();
            store.write("k", None, 1.0, &large(1));
            store.call("collect", &[], None).unwrap();
            assert_eq!(store.read("k"), told(&large(1)), "done no times");
        });
    }

    #[test]
    fn are_not_collected_while_somebody_else_writes() {
        with_store(|store| {
            store.write("k", None, 1.0, &large(1));
            store.ask("delete", row!["k", 0]);
            let other = store.sql();
            other.execute_batch("BEGIN IMMEDIATE").unwrap();
            let request =
                Request { operation: "collect", arguments: &[vec![]], payload: None, durable: false };
            let answer = store.store.call(request, &AtomicBool::new(true));
            assert!(matches!(answer, Err(StoreError::Cancelled)), "{answer:?}");
            assert_eq!(store.files(), [sum(&large(1))], "somebody could be about to name it");
        });
    }

    #[test]
    fn whose_file_is_damaged_or_gone_are_null() {
        let value = large(7);
        let damages: [(&str, &dyn Fn(&std::path::Path)); 6] = [
            ("truncated", &|file| fs::write(file, &value[..value.len() - 1]).unwrap()),
            ("longer", &|file| fs::write(file, [&value[..], b"x"].concat()).unwrap()),
            ("empty", &|file| fs::write(file, "").unwrap()),
            ("deleted", &|file| fs::remove_file(file).unwrap()),
            ("another's", &|file| fs::write(file, large(8)).unwrap()),
            ("a directory", &|file| {
                fs::remove_file(file).unwrap();
                fs::create_dir(file).unwrap();
            }),
        ];
        for (damage, make) in damages {
            with_store(|store| {
                store.begin("r1", "p", "i", 1);
                store.complete(1, 0, "a", 1, &value);
                store.complete(1, 1, "b", 1, b"sound");
                store.write("k", None, 1.0, &value);
                make(&store.blob(&sum(&value)));
                assert_eq!(store.ask("outputs", row![1]), ["a|print|NULL", "b|print|<sound>"], "{damage}");
                assert_eq!(store.ask("output", row![1, "a"]), ["NULL"], "{damage}");
                assert_eq!(store.read("k"), "NULL", "{damage}");
                if damage != "a directory" {
                    store.write("k", None, 1.0, &value);
                    assert_eq!(store.read("k"), told(&value), "{damage}, written again");
                }
            });
        }
    }

    #[test]
    fn with_one_bit_flipped_are_null_wherever_it_is() {
        with_store(|store| {
            let value = large(7);
            store.write("large", None, 1.0, &value);
            let file = store.blob(&sum(&value));
            for position in [0, value.len() / 2, value.len() - 1] {
                for bit in [0, 7] {
                    let mut damaged = value.clone();
                    damaged[position] ^= 1 << bit;
                    fs::write(&file, damaged).unwrap();
                    assert_eq!(store.read("large"), "NULL", "bit {bit} of {position}");
                }
            }
            fs::write(&file, &value).unwrap();
            assert_eq!(store.read("large"), told(&value));
        });
    }

    #[test]
    fn that_are_changed_in_the_database_are_null() {
        for change in [
            "bytes = x'76616c7566'",
            "bytes = x''",
            "bytes = NULL",
            "bytes = 'value'",
            "bytes = 5",
            "sum = ''",
            "sum = upper(sum)",
            "sum = x'00'",
            "sum = '../flowline.db', bytes = NULL",
        ] {
            with_store(|store| {
                store.write("k", None, 1.0, b"value");
                store.write("l", None, 1.0, &large(1)); // So that there are files.
                store.sql().execute(&format!("UPDATE cache SET {change} WHERE key = 'k'"), []).unwrap();
                assert_eq!(store.read("k"), "NULL", "{change}");
            });
        }
    }
}

mod atomicity {
    use super::*;

    #[test]
    fn of_many_lists_none_is_carried_out_if_one_cannot_be() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            for bad in [0, 250, 499] {
                let mut lists: Vec<_> =
                    (0..500).map(|n| row![1, n, "s", "skipped", (), 0, (), (), ()]).collect();
                lists[bad][2] = Value::Null; // A step has a name.
                let answer = store.call("step", &lists, None);
                assert!(
                    matches!(&answer, Err(StoreError::Other(why)) if why.contains("NOT NULL")),
                    "{answer:?}"
                );
                assert_eq!(store.count("steps"), 0, "{bad}");
            }
            store.ask("step", row![1, 0, "s", "skipped", (), 0, (), (), ()]);
            assert_eq!(store.count("steps"), 1, "works on");
        });
    }

    #[test]
    fn a_step_is_not_recorded_without_its_output() {
        for value in [b"small".to_vec(), large(1)] {
            with_store(|store| {
                store.begin("r1", "p", "i", 1);
                let mut list = complete(1, 0, "a", 1);
                list[10] = Value::Null; // An output has a fingerprint.
                let answer = store.call("complete", &[list], Some(&value));
                assert!(
                    matches!(&answer, Err(StoreError::Other(why)) if why.contains("outputs.fingerprint"))
                );
                assert_eq!((store.count("steps"), store.count("outputs")), (0, 0));
                assert_eq!(store.files(), NOTHING);
            });
        }
    }

    #[test]
    fn a_value_whose_file_cannot_have_its_name_leaves_neither_row_nor_file() {
        with_store(|store| {
            let value = large(1);
            store.begin("r1", "p", "i", 1);
            store.write("k", None, 1.0, &large(2));
            fs::create_dir(store.blob(&sum(&value))).unwrap();
            let answer = store.call("complete", &[complete(1, 0, "a", 1)], Some(&value));
            assert!(
                matches!(&answer, Err(StoreError::Denied(why)) if why.contains("directory")),
                "{answer:?}"
            );
            assert_eq!((store.count("steps"), store.count("outputs")), (0, 0));
            fs::remove_dir(store.blob(&sum(&value))).unwrap();
            assert_eq!(store.files(), [sum(&large(2))], "what was begun is gone");
            store.complete(1, 0, "a", 1, &value);
            assert_eq!(store.ask("recorded", row![1]), [format!("a|{}", value.len())]);
        });
    }

    #[test]
    fn a_value_whose_file_cannot_be_written_leaves_nothing() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            fs::write(store.root.join("blobs"), "in its place").unwrap();
            let answer = store.call("complete", &[complete(1, 0, "a", 1)], Some(&large(1)));
            assert!(matches!(&answer, Err(StoreError::Denied(_))), "{answer:?}");
            assert_eq!((store.count("steps"), store.count("outputs")), (0, 0));
            store.complete(1, 0, "a", 1, b"small ones need none");
        });
    }

    #[test]
    fn a_failed_pruning_leaves_the_run_as_it_was() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            store
                .sql()
                .execute_batch(
                    "CREATE TRIGGER no BEFORE DELETE ON outputs BEGIN SELECT raise(ABORT, 'not now'); END;
                     INSERT INTO outputs VALUES (99, 'a', 'print', NULL, 'sum', 1);",
                )
                .unwrap();
            let answer = store.call("finish", &[row![1, "succeeded", 1.5, (), "p"]], None);
            assert!(matches!(&answer, Err(StoreError::Other(why)) if why.contains("not now")), "{answer:?}");
            assert_eq!(store.ask("running", row!["p"]), ["1|1"]);
        });
    }

    #[test]
    fn an_unknown_operation_does_nothing() {
        with_store(|store| {
            let answer = store.call("drop", &[vec![]], Some(&large(1)));
            assert!(matches!(&answer, Err(StoreError::Unknown(name)) if name == "drop"), "{answer:?}");
            assert_eq!(answer.unwrap_err().to_string(), "knows no operation drop");
            assert_eq!(store.files(), NOTHING);
        });
    }

    #[test]
    fn what_is_missing_in_a_list_is_null_and_not_what_was_there_before() {
        with_store(|store| {
            store.ask("begin", row!["r1", "p", "i", 1, "r0", &b"params"[..], 7, 100.0]);
            store.ask("step", row![1, 0, "a", "failed", "why", 1, 1.0, 2.0, "boom"]);
            store.ask("step", row![1, 1, "b", "skipped", (), 0]);
            assert_eq!(store.ask("steps", row![1])[1], "b|skipped|NULL|0|NULL|NULL|NULL");
        });
    }
}

mod two_in_one_process {
    use super::*;

    #[test]
    fn do_not_take_each_others_files() {
        let place = Place::new();
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (place, start) = (&place, &start);
                scope.spawn(move || {
                    let mut store = Subject::at(&place.path);
                    start.wait();
                    for n in 0..40 {
                        let seed = thread * 1000 + n;
                        store.write(&seed.to_string(), None, 1.0, &large(seed));
                    }
                });
            }
        });
        let mut store = Subject::at(&place.path);
        for seed in (0..4).flat_map(|thread| (0..40).map(move |n| thread * 1000 + n)) {
            assert_eq!(store.read(&seed.to_string()), told(&large(seed)), "{seed}");
        }
        assert_eq!(store.files().len(), 160);
    }

    #[test]
    fn do_not_lose_what_another_has_begun() {
        // One of another machine or container, whose process happens to have the same number.
        with_store(|store| {
            store.write("k", None, 1.0, &large(1));
            let taken: Vec<_> =
                (1..50).map(|n| store.blob(&format!("begun-{}-{n}", std::process::id()))).collect();
            taken.iter().for_each(|file| fs::write(file, "another's").unwrap());
            store.write("l", None, 1.0, &large(2));
            for file in taken {
                assert_eq!(fs::read_to_string(&file).unwrap(), "another's", "{file:?}");
            }
            assert_eq!(store.read("l"), told(&large(2)));
        });
    }
}

mod busy {
    use super::*;

    /// What becomes of a call while another connection writes until `other` is done.
    fn meanwhile(
        request: Request,
        store: &mut Subject,
        other: impl FnOnce(&Connection, &AtomicBool) + Send,
    ) -> (Result<Vec<String>, StoreError>, Duration) {
        let cancelled = AtomicBool::new(false);
        let writer = store.sql();
        writer.execute_batch("BEGIN IMMEDIATE").unwrap();
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            let (cancelled, start) = (&cancelled, &start);
            scope.spawn(move || {
                start.wait();
                other(&writer, cancelled);
            });
            start.wait();
            let since = Instant::now();
            let answer = store.store.call(request, cancelled).map(|rows| show(&rows));
            (answer, since.elapsed())
        })
    }

    // Long enough for the call to have met it; if it has not, the test proves less, but does not fail.
    const A_WHILE: Duration = Duration::from_millis(50);

    const SKIPPED: Request = Request { operation: "crashed", arguments: &[], payload: None, durable: false };

    #[test]
    fn is_waited_for() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let lists = [complete(1, 0, "a", 1)];
            let value = large(1);
            let request =
                Request { operation: "complete", arguments: &lists, payload: Some(&value), ..SKIPPED };
            let (answer, time) = meanwhile(request, store, |writer, _| {
                std::thread::sleep(A_WHILE);
                writer.execute_batch("COMMIT").unwrap();
            });
            assert_eq!(answer.unwrap(), NOTHING);
            assert!(time < A_WHILE + Duration::from_secs(5), "{time:?}");
            assert_eq!(store.ask("output", row![1, "a"]), [told(&value)]);
        });
    }

    #[test]
    fn is_not_waited_for_by_who_only_reads() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let lists = [row!["p"]];
            let request = Request { operation: "running", arguments: &lists, ..SKIPPED };
            let (answer, _) = meanwhile(request, store, |_, cancelled| cancelled.store(true, Relaxed));
            assert_eq!(answer.unwrap(), ["1|1"]);
        });
    }

    #[test]
    fn ends_at_once_when_cancelled_and_leaves_nothing() {
        for value in [b"small".to_vec(), large(1)] {
            with_store(|store| {
                store.begin("r1", "p", "i", 1);
                let lists = [complete(1, 0, "a", 1)];
                let request =
                    Request { operation: "complete", arguments: &lists, payload: Some(&value), ..SKIPPED };
                let (answer, time) = meanwhile(request, store, |writer, cancelled| {
                    std::thread::sleep(A_WHILE);
                    cancelled.store(true, Relaxed);
                    std::thread::sleep(A_WHILE);
                    writer.execute_batch("COMMIT").unwrap();
                });
                let answer = answer.unwrap_err();
                assert!(matches!(answer, StoreError::Cancelled), "{answer:?}");
                assert_eq!(answer.to_string(), "the wait for another process was cancelled");
                assert!(time < A_WHILE + A_WHILE, "{time:?}");
                assert_eq!((store.count("steps"), store.count("outputs")), (0, 0));
                assert_eq!(store.files(), NOTHING);
                store.complete(1, 0, "a", 1, &value);
                assert_eq!(store.ask("steps", row![1]).len(), 1, "works on");
            });
        }
    }

    #[test]
    fn does_not_matter_to_who_was_cancelled_but_need_not_wait() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let request = Request { arguments: &[row![1]], ..SKIPPED };
            assert_eq!(store.store.call(request, &AtomicBool::new(true)).unwrap(), Vec::<Vec<Value>>::new());
            assert_eq!(store.ask("running", row!["p"]), NOTHING);
        });
    }

    #[test]
    fn is_given_up_after_a_minute_and_no_sooner() {
        if std::env::var_os("FLOWLINE_SLOW").is_none() {
            return skip("it takes a minute; FLOWLINE_SLOW=1 asks for it").unwrap_or_default();
        }
        with_store(|store| {
            let writer = store.sql();
            writer.execute_batch("BEGIN IMMEDIATE").unwrap();
            let since = Instant::now();
            let answer = store.call("crashed", &[row![1]], None).unwrap_err();
            let time = since.elapsed();
            assert!(matches!(answer, StoreError::Busy), "{answer:?}");
            let text = "another process has been writing to it for a minute; see what that process does";
            assert_eq!(answer.to_string(), text);
            assert!((60..90).contains(&time.as_secs()), "{time:?}");
        });
    }

    #[test]
    fn a_store_that_is_being_written_opens_and_reads() {
        with_store(|store| {
            store.begin("r1", "p", "i", 1);
            let writer = store.sql();
            writer.execute_batch("BEGIN IMMEDIATE; DELETE FROM runs;").unwrap();
            let mut other = Subject { root: store.root.clone(), store: open(&store.root).unwrap() };
            assert_eq!(other.ask("running", row!["p"]), ["1|1"]);
            assert!(other.store.path().ends_with(FILE));
        });
    }
}
