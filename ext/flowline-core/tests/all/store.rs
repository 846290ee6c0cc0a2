//! Checks that a store returns everything that it recorded: runs, steps, records with their outputs, and a cache.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Barrier};

use crate::common::store::{
    LOCKS, NONE, TempDir, TestStore, begun, blob_name, bytes, completion, describe, end, impatient, large,
    names, patient, record, resumption, start, step,
};
use flowline_core::store::{
    Begin, Claim, Completion, End, Entry, Graph, INLINE, Key, Lock, Others, Record, Run, Start, Step,
    StoreError,
};

fn with_store(test: impl FnOnce(&TestStore)) {
    let directory = TempDir::new();
    test(&TestStore::at(&directory.path));
}

mod runs {
    use super::*;

    #[test]
    fn are_numbered_from_one_and_no_number_is_given_twice() {
        with_store(|store| {
            assert_eq!(store.begin("r1", "p", "i").id, 1);
            assert_eq!(store.begin("r2", "p", "i").id, 2);
            store.change("DELETE FROM runs");
            assert_eq!(store.begin("r3", "p", "i").id, 3);
        });
    }

    #[test]
    fn keep_every_column_from_begin_to_finish() {
        with_store(|store| {
            let mut start = start("r1", "p", "i");
            start.run.params = Some(b"\xffparams\0".to_vec());
            start.run.resumed = Some("r0".to_owned());
            start.run.pid = 4711;
            start.run.started = 100.25;
            start.run.status = "succeeded".to_owned(); // It is not for the caller to say.
            start.run.id = 99;
            start.run.shown = Some(r#"{"date":"2024-01-31"}"#.to_owned());
            start.run.trigger = Some("cli".to_owned());
            start.run.location = Some("import.rb:3".to_owned());
            start.run.directory = Some("/srv".to_owned());
            start.graph = Some(Arc::new(Graph::new("graph".to_owned())));
            let run = begun(store.store.begin(&start, false, patient()).unwrap());
            let expected = Run {
                id: 1,
                checkpoint: 1,
                status: "running".to_owned(),
                alive: true,
                graph: Some(1),
                ..start.run.clone()
            };
            assert_eq!(run, expected);
            assert_eq!(store.runs(Some("p"), 9, patient()).unwrap(), std::slice::from_ref(&expected));
            assert_eq!(store.latest("p", Some("i"), patient()).unwrap(), Some(expected.clone()));
            let end = End {
                run: 1,
                status: "failed".to_owned(),
                duration: 2.5,
                error: Some("boom".to_owned()),
                warnings: Some(r#"["late"]"#.to_owned()),
                ..End::default()
            };
            store.store.finish(&end, &[], false, patient()).unwrap();
            let finished = Run {
                status: "failed".to_owned(),
                duration: Some(2.5),
                error: Some("boom".to_owned()),
                warnings: Some(r#"["late"]"#.to_owned()),
                alive: false,
                ..expected
            };
            assert_eq!(store.runs(None, 9, patient()).unwrap(), [finished]);
        });
    }

    #[test]
    fn are_sound_with_a_negative_zero_for_a_time() {
        with_store(|store| {
            let mut start = start("r1", "p", "i");
            start.run.started = -0.0;
            let run = begun(store.store.begin(&start, false, patient()).unwrap());
            let step = Step { started: Some(-0.0), duration: Some(-0.0), ..step(1, 0, "a") };
            let completion = Completion { step: Some(step), record: None, ends_items: false, writes: None };
            let end = End { duration: -0.0, ..end(&run, "succeeded") };
            store.store.finish(&end, &[completion], false, patient()).unwrap();
            assert_eq!(store.statuses("p"), "1 succeeded");
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1);
        });
    }

    #[test]
    fn have_unique_run_ids() {
        with_store(|store| {
            store.begin("r1", "p", "i");
            let again = store.store.begin(&start("r1", "q", "i"), false, patient());
            assert!(
                matches!(&again, Err(StoreError::Other(why)) if why.contains("runs.run_id")),
                "{again:?}"
            );
            assert_eq!(store.count("runs"), 1);
            assert!(!store.is_taken(Lock::Checkpoint(2)).unwrap(), "a failed begin leaves no lock");
            assert_eq!(store.begin("r2", "q", "i").id, 2);
        });
    }

    #[test]
    fn hold_the_lock_of_their_checkpoint_until_they_finish() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let lock = Lock::Checkpoint(run.checkpoint);
            assert!(store.is_taken(lock).unwrap());
            assert!(!store.acquire(lock).unwrap());
            store.finish(&run);
            assert!(!store.is_taken(lock).unwrap());
            let other = TestStore::at(&store.root);
            assert!(other.acquire(lock).unwrap(), "free for others, too");
        });
    }

    #[test]
    fn keep_their_lock_when_they_cannot_be_finished() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.change("CREATE TRIGGER no BEFORE UPDATE ON runs BEGIN SELECT raise(ABORT, 'not now'); END");
            let answer = store.store.finish(&end(&run, "failed"), &[], false, patient());
            assert!(matches!(&answer, Err(StoreError::Other(why)) if why.contains("not now")), "{answer:?}");
            assert!(store.is_taken(Lock::Checkpoint(1)).unwrap());
            assert_eq!(store.statuses("p"), "1 running");
        });
    }

    #[test]
    fn are_changed_by_their_own_finish_alone() {
        with_store(|store| {
            let runs: Vec<_> = (1..4).map(|n| store.begin(&format!("r{n}"), "p", "i")).collect();
            store.finish(&runs[1]);
            assert_eq!(store.statuses("p"), "3 running, 2 succeeded, 1 running");
            store.store.finish(&End { run: 99, ..End::default() }, &[], false, patient()).unwrap();
            assert_eq!(store.statuses("p"), "3 running, 2 succeeded, 1 running", "no such run");
        });
    }

    #[test]
    fn are_crashed_when_their_lock_is_free_and_the_next_begin_records_it() {
        with_store(|store| {
            for (run_id, pipeline) in [("r1", "p"), ("r2", "p"), ("r3", "q")] {
                store.begin(run_id, pipeline, "i");
            }
            store.release(Lock::Checkpoint(1));
            store.release(Lock::Checkpoint(3));
            let stored = |id| {
                let sql = format!("SELECT status FROM runs WHERE id = {id}");
                store.sql().query_row(&sql, [], |row| row.get::<_, String>(0)).unwrap()
            };
            assert_eq!(store.statuses("p"), "2 running, 1 crashed");
            assert_eq!(store.latest("q", None, patient()).unwrap().unwrap().status, "crashed");
            assert_eq!(stored(1), "running", "looking changes nothing");
            store.begin("r4", "p", "other identity");
            assert_eq!(
                (stored(1), stored(2), stored(3)),
                ("crashed".into(), "running".into(), "running".into())
            );
            assert_eq!(store.statuses("p"), "4 running, 2 running, 1 crashed");
        });
    }

    #[test]
    fn stay_crashed_when_another_process_takes_their_lock() {
        with_store(|store| {
            store.begin("r1", "p", "i");
            store.release(Lock::Checkpoint(1));
            store.begin("r2", "p", "i");
            assert!(store.acquire(Lock::Checkpoint(1)).unwrap());
            assert_eq!(store.statuses("p"), "2 running, 1 crashed");
        });
    }

    #[test]
    fn latest_is_of_one_pipeline_and_one_identity_or_any() {
        with_store(|store| {
            for (run_id, pipeline, identity) in
                [("r1", "p", "i"), ("r2", "p", "j"), ("r3", "p", "i"), ("r4", "p", "j"), ("r5", "q", "i")]
            {
                store.begin(run_id, pipeline, identity);
            }
            let latest = |pipeline, identity| {
                store.latest(pipeline, identity, patient()).unwrap().map_or(0, |run| run.id)
            };
            assert_eq!(latest("p", Some("i")), 3);
            assert_eq!(latest("p", None), 4);
            assert_eq!(latest("q", None), 5);
            assert_eq!(latest("q", Some("j")), 0);
            assert_eq!(latest("none", None), 0);
        });
    }

    #[test]
    fn are_listed_latest_first_for_one_pipeline_or_all_up_to_a_limit() {
        with_store(|store| {
            for (n, pipeline) in (1..).zip(["p", "q", "p", "q", "p"]) {
                store.begin(&format!("r{n}"), pipeline, "i");
            }
            let ids = |pipeline, most| {
                let runs = store.runs(pipeline, most, patient()).unwrap();
                runs.iter().map(|run| run.id).collect::<Vec<_>>()
            };
            assert_eq!(ids(Some("p"), 2), [5, 3]);
            assert_eq!(ids(Some("p"), 9), [5, 3, 1]);
            assert_eq!(ids(None, 4), [5, 4, 3, 2]);
            assert_eq!(ids(Some("none"), 4), [0; 0]);
        });
    }

    #[test]
    fn last_runs_are_one_for_each_pipeline_by_its_name() {
        with_store(|store| {
            assert_eq!(store.last_runs(patient()).unwrap(), []);
            for (n, pipeline) in (1..).zip(["z", "a", "z", "a", "m"]) {
                store.begin(&format!("r{n}"), pipeline, "i");
            }
            store.release(Lock::Checkpoint(3));
            let last: Vec<_> = store.last_runs(patient()).unwrap();
            let last: Vec<_> =
                last.iter().map(|run| (run.id, run.pipeline.as_str(), run.status.as_str())).collect();
            assert_eq!(last, [(4, "a", "running"), (5, "m", "running"), (3, "z", "crashed")]);
        });
    }
}

mod resuming {
    use super::*;

    #[test]
    fn claims_the_checkpoint_and_goes_on_with_its_records() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.record(&first, 0, "a", b"output");
            store.store.finish(&end(&first, "failed"), &[], false, patient()).unwrap();
            let first = store.latest("p", Some("i"), patient()).unwrap().unwrap();
            let second = store.resume("r2", &first);
            assert_eq!((second.id, second.checkpoint, second.resumed.as_deref()), (2, 1, Some("r1")));
            assert_eq!(store.outputs(1), ["a <output>"]);
            assert!(store.is_taken(Lock::Checkpoint(1)).unwrap());
            assert_eq!(store.statuses("p"), "2 running, 1 failed");
            store.finish(&second);
            assert!(!store.is_taken(Lock::Checkpoint(1)).unwrap());
        });
    }

    #[test]
    fn is_refused_while_the_run_is_alive() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            for store in [store, &TestStore::at(&store.root)] {
                let claim = store.claim(&first, patient()).unwrap();
                assert_eq!(claim, Claim::Held(Box::new(first.clone())));
            }
            assert_eq!(store.statuses("p"), "1 running");
        });
    }

    #[test]
    fn is_refused_when_another_run_has_begun_or_the_run_is_gone() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.finish(&first);
            store.begin("other identity", "p", "j");
            store.begin("other pipeline", "q", "i");
            let second = store.begin("r2", "p", "i");
            store.finish(&second);
            assert_eq!(store.claim(&first, patient()).unwrap(), Claim::Changed);
            assert!(!store.is_taken(Lock::Checkpoint(1)).unwrap());
            assert_eq!(store.claim(&second, patient()).unwrap(), Claim::Claimed);
            store.change("DELETE FROM runs");
            assert_eq!(store.claim(&second, patient()).unwrap(), Claim::Changed);
        });
    }

    #[test]
    fn marks_the_run_that_had_the_checkpoint_crashed() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.release(Lock::Checkpoint(1));
            assert_eq!(store.claim(&first, patient()).unwrap(), Claim::Claimed);
            // The lock is held for the run to come, not for the first.
            let status: String =
                store.sql().query_row("SELECT status FROM runs", [], |row| row.get(0)).unwrap();
            assert_eq!(status, "crashed");
            store.store.begin(&resumption("r2", &first), false, patient()).unwrap();
            assert_eq!(store.statuses("p"), "2 running, 1 crashed");
        });
    }

    #[test]
    fn begins_apart_from_runs_that_are_alive() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            let attempt = |run_id: &str, identity: &str, apart_from| {
                let start = Start { apart_from, ..start(run_id, "p", identity) };
                store.store.begin(&start, false, patient()).unwrap()
            };
            let held = |answer| matches!(answer, Begin::Held(run) if *run == first);
            assert!(held(attempt("r2", "i", Others::Alike)));
            assert!(held(attempt("r3", "other", Others::All)));
            assert_eq!(store.statuses("p"), "1 running");
            let other = begun(attempt("r4", "other", Others::Alike));
            store.begin("r5", "another pipeline", "i");
            for run in [&first, &other] {
                store.finish(run);
            }
            let last = begun(attempt("r6", "i", Others::All));
            store.release(Lock::Checkpoint(last.checkpoint)); // Its process is gone.
            assert_eq!(begun(attempt("r7", "i", Others::All)).id, last.id + 1);
        });
    }

    #[test]
    fn begins_apart_from_others_although_it_has_claimed_the_checkpoint_of_a_run() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.release(Lock::Checkpoint(1));
            assert_eq!(store.claim(&first, patient()).unwrap(), Claim::Claimed);
            let start = Start { apart_from: Others::All, ..resumption("r2", &first) };
            begun(store.store.begin(&start, false, patient()).unwrap());
            assert_eq!(store.statuses("p"), "2 running, 1 crashed");
        });
    }

    #[test]
    fn marks_the_earlier_run_crashed_when_the_caller_already_has_the_lock() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            let second = begun(store.store.begin(&resumption("r2", &first), false, patient()).unwrap());
            assert_eq!(store.statuses("p"), "2 running, 1 crashed");
            assert_eq!(second.checkpoint, 1);
        });
    }

    #[test]
    fn by_many_threads_and_handles_is_granted_to_one() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.finish(&first);
            let other = TestStore::at(&store.root);
            let start = Barrier::new(8);
            let claims: Vec<_> = std::thread::scope(|scope| {
                let claim = |n: usize| {
                    let (store, first, start) = (if n % 2 == 0 { store } else { &other }, &first, &start);
                    scope.spawn(move || {
                        start.wait();
                        store.claim(first, patient()).unwrap()
                    })
                };
                let threads: Vec<_> = (0..8).map(claim).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(claims.iter().filter(|claim| **claim == Claim::Claimed).count(), 1, "{claims:?}");
            assert!(claims.iter().all(|claim| *claim != Claim::Changed));
        });
    }

    #[test]
    fn drops_what_is_outdated_of_steps_and_their_items() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            for (step, items) in [("whole", 3), ("some", 3), ("other", 2)] {
                for item in 0..items {
                    let record = Record { item: Some(item), ..record(first.checkpoint, step) };
                    let completion =
                        Completion { step: None, record: Some(record), ends_items: false, writes: None };
                    store.store.record(&[completion], b"item", false, patient()).unwrap();
                }
            }
            let failed = Record { outcome: "failed".to_owned(), ..record(first.checkpoint, "whole") };
            let completion = Completion { step: None, record: Some(failed), ends_items: false, writes: None };
            store.store.record(&[completion], b"", false, patient()).unwrap();
            store.finish(&first);
            assert_eq!(store.claim(&first, patient()).unwrap(), Claim::Claimed);
            let mut start = resumption("r2", &first);
            start.outdated = vec![
                ("whole".to_owned(), -1..=i64::MAX),
                ("some".to_owned(), 0..=0),
                ("some".to_owned(), 2..=2),
                ("other".to_owned(), -1..=-1),
                ("none".to_owned(), -1..=i64::MAX),
            ];
            store.store.begin(&start, false, patient()).unwrap();
            assert_eq!(store.outputs(1), ["other[0] <item>", "other[1] <item>", "some[1] <item>"]);
        });
    }
}

mod a_new_run {
    use super::*;

    #[test]
    fn clears_older_records_of_its_identity() {
        with_store(|store| {
            for (n, pipeline, identity) in [(1, "p", "i"), (2, "p", "i"), (3, "p", "j"), (4, "q", "i")] {
                let run = store.begin(&format!("r{n}"), pipeline, identity);
                store.record(&run, 0, "a", &large(n));
                store.finish(&run);
            }
            assert_eq!(store.outputs(1), NONE, "cleared by the second run");
            store.begin("r5", "p", "i");
            assert_eq!(store.outputs(2), NONE);
            assert_eq!((store.outputs(3).len(), store.outputs(4).len()), (1, 1));
            let mut files = [blob_name(&large(3)), blob_name(&large(4))];
            files.sort();
            assert_eq!(store.files(), files);
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1, "history stays");
        });
    }

    #[test]
    fn spares_the_records_of_runs_that_are_alive() {
        with_store(|store| {
            let alive = store.begin("r1", "p", "i");
            store.record(&alive, 0, "a", b"needed");
            store.begin("r2", "p", "i");
            TestStore::at(&store.root).begin("r3", "p", "i");
            assert_eq!(store.outputs(1), ["a <needed>"]);
        });
    }

    #[test]
    fn keeps_older_records_when_it_cannot_begin() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            store.record(&first, 0, "a", &large(1));
            store.finish(&first);
            let again = store.store.begin(&start("r1", "p", "i"), false, patient());
            assert!(again.is_err(), "its run id is taken");
            assert_eq!(store.outputs(1), [format!("a {}", describe(&large(1)))]);
        });
    }
}

mod history {
    use super::*;

    /// Begins and finishes that many runs, each with a step and an output.
    fn run_often(store: &TestStore, pipeline: &str, times: usize) {
        for _ in 0..times {
            let number = 1 + store.number("SELECT coalesce(max(seq), 0) FROM sqlite_sequence");
            let run = store.begin(&format!("r{number}"), pipeline, &format!("identity {number}"));
            store.record(&run, 0, "step", b"output");
            store.finish(&run);
        }
    }

    fn ids(store: &TestStore, pipeline: &str) -> Vec<i64> {
        let mut ids = store.ids(Some(pipeline));
        ids.reverse();
        ids
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
            assert_eq!((store.count("steps"), store.count("records")), (100, 100));
            assert_eq!(store.steps(3, patient()).unwrap(), []);
            assert_eq!(store.steps(4, patient()).unwrap(), [step(4, 0, "step")]);
        });
    }

    #[test]
    fn counts_each_pipeline_separately() {
        with_store(|store| {
            run_often(store, "q", 60);
            run_often(store, "p", 60);
            run_often(store, "q", 30);
            run_often(store, "p", 60);
            assert_eq!(ids(store, "q").len(), 90);
            assert_eq!(ids(store, "p"), (81..=120).chain(151..=210).collect::<Vec<_>>());
            assert_eq!((store.count("steps"), store.count("records")), (190, 190));
        });
    }

    #[test]
    fn keeps_a_run_that_has_not_ended_however_old_it_is() {
        with_store(|store| {
            let running = store.begin("old", "p", "i");
            store.record(&running, 0, "step", &large(1));
            run_often(store, "p", 102);
            assert_eq!(ids(store, "p")[..2], [running.id, 4], "the hundred latest, and the one that runs");
            assert_eq!(store.output(1, "step"), describe(&large(1)));
            assert_eq!(store.steps(1, patient()).unwrap().len(), 1);
            store.finish(&running);
            assert_eq!(ids(store, "p").len(), 100, "it is pruned by its own end");
            assert_eq!(store.output(1, "step"), "none");
            assert_eq!(store.files(), NONE);
        });
    }

    #[test]
    fn counts_running_ones_among_the_hundred() {
        with_store(|store| {
            run_often(store, "p", 100);
            store.begin("running", "p", "i");
            let last = store.begin("last", "p", "i");
            store.finish(&last);
            assert_eq!(ids(store, "p"), (3..=102).collect::<Vec<_>>());
        });
    }

    #[test]
    fn keeps_the_records_of_a_checkpoint_while_a_run_of_any_pipeline_has_it() {
        with_store(|store| {
            let old = store.begin("old", "p", "i");
            store.record(&old, 0, "step", b"needed");
            store.finish(&old);
            let other = store.resume("resumed", &old);
            store.finish(&other);
            store.change("UPDATE runs SET pipeline = 'q' WHERE id = 2");
            run_often(store, "p", 100);
            assert!(!ids(store, "p").contains(&1));
            assert_eq!(store.output(1, "step"), "<needed>");
        });
    }

    #[test]
    fn prunes_crashed_runs_like_others() {
        with_store(|store| {
            store.begin("crashed", "p", "i");
            store.release(Lock::Checkpoint(1));
            run_often(store, "p", 100);
            assert_eq!(ids(store, "p"), (2..=101).collect::<Vec<_>>());
        });
    }
}

mod steps {
    use super::*;

    fn finish_with(store: &TestStore, run: i64, steps: Vec<Step>) -> Result<(), StoreError> {
        let completions: Vec<_> = steps
            .into_iter()
            .map(|step| Completion { step: Some(step), record: None, ends_items: false, writes: None })
            .collect();
        store.store.record(&completions, b"", false, patient()).map(|()| assert!(run > 0))
    }

    #[test]
    fn are_listed_in_the_order_of_their_definition_with_every_column() {
        with_store(|store| {
            store.begin("r1", "p", "i");
            store.begin("r2", "p", "i");
            let failed = Step {
                status: "failed".to_owned(),
                reason: Some("reason".to_owned()),
                attempts: 3,
                error: Some("boom".to_owned()),
                ..step(1, 2, "c")
            };
            let skipped = Step { started: None, duration: None, attempts: 0, ..step(1, 0, "a") };
            finish_with(store, 1, vec![failed.clone(), skipped.clone(), step(2, 1, "b")]).unwrap();
            assert_eq!(store.steps(1, patient()).unwrap(), [skipped, failed]);
            assert_eq!(store.steps(2, patient()).unwrap(), [step(2, 1, "b")]);
            assert_eq!(store.steps(3, patient()).unwrap(), []);
        });
    }

    #[test]
    fn that_are_recorded_again_replace_the_earlier_row() {
        with_store(|store| {
            store.begin("r1", "p", "i");
            let failed = Step { status: "failed".to_owned(), ..step(1, 0, "a") };
            finish_with(store, 1, vec![failed]).unwrap();
            finish_with(store, 1, vec![step(1, 0, "a")]).unwrap();
            assert_eq!(store.steps(1, patient()).unwrap(), [step(1, 0, "a")]);
        });
    }

    #[test]
    fn belong_to_a_run_that_exists() {
        with_store(|store| {
            let answer = finish_with(store, 1, vec![step(1, 0, "a")]);
            assert!(matches!(answer, Err(StoreError::Gone)), "somebody removed it: {answer:?}");
        });
    }

    #[test]
    fn can_be_recorded_many_at_once_and_with_the_end_of_the_run() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            finish_with(store, 1, (0..500).map(|n| step(1, n, "s")).collect()).unwrap();
            assert_eq!(store.count("steps"), 500);
            let rest: Vec<_> = (500..700).map(|n| completion(&run, n, &n.to_string())).collect();
            store.store.finish(&end(&run, "failed"), &rest, false, patient()).unwrap();
            assert_eq!((store.count("steps"), store.count("records")), (700, 200));
            assert_eq!(store.statuses("p"), "1 failed");
        });
    }

    #[test]
    fn have_an_average_time_over_the_ten_latest_runs_in_which_they_succeeded() {
        with_store(|store| {
            for n in 1..=12 {
                store.begin(&format!("r{n}"), "p", "i");
                let status = |ok: bool| if ok { "succeeded" } else { "failed" }.to_owned();
                let steps = vec![
                    Step { duration: Some(n as f64), ..step(n, 0, "a") },
                    Step { duration: Some(2.0), status: status(n < 11), ..step(n, 1, "b") },
                    Step { duration: Some(2.0), status: status(false), ..step(n, 2, "c") },
                    Step { duration: None, ..step(n, 3, "d") },
                ];
                finish_with(store, n, steps).unwrap();
            }
            store.begin("other", "q", "i");
            finish_with(store, 13, vec![Step { duration: Some(1000.0), ..step(13, 0, "a") }]).unwrap();
            let timings = |pipeline| {
                let mut timings: Vec<_> = store.timings(pipeline, patient()).unwrap().into_iter().collect();
                timings.sort_by(|one, other| one.0.cmp(&other.0));
                timings
            };
            assert_eq!(timings("p"), [("a".to_owned(), 7.5), ("b".to_owned(), 2.0)]);
            assert_eq!(timings("q"), [("a".to_owned(), 1000.0)]);
            assert_eq!(timings("none"), []);
        });
    }
}

mod records {
    use super::*;

    fn put(store: &TestStore, record: Record, output: &[u8]) {
        store
            .store
            .record(
                &[Completion { step: None, record: Some(record), ends_items: false, writes: None }],
                output,
                false,
                patient(),
            )
            .unwrap();
    }

    #[test]
    fn are_stored_with_their_steps_and_come_back_with_every_column() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 3, "load", b"out");
            assert_eq!(store.steps(1, patient()).unwrap(), [step(1, 3, "load")]);
            let expected = Record { output: Some(b"out".to_vec()), ..record(1, "load") };
            assert_eq!(store.records(1, patient()).unwrap(), [expected]);
            assert_eq!(store.output(1, "load"), "<out>");
            assert_eq!(store.sizes(1, patient()).unwrap(), [("load".to_owned(), 3)]);
            assert_eq!(store.outcomes(1, patient()).unwrap(), [("load".to_owned(), "succeeded".to_owned())]);
        });
    }

    #[test]
    fn of_several_steps_at_once_have_no_output_but_the_last() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let completions = [completion(&run, 0, "a"), completion(&run, 1, "b"), completion(&run, 2, "c")];
            store.store.record(&completions, b"of c", false, patient()).unwrap();
            assert_eq!(store.outputs(1), ["a <>", "b <>", "c <of c>"]);
            assert_eq!(store.sizes(1, patient()).unwrap(), [("c".to_owned(), 4)], "only what has bytes");
            assert_eq!(store.outcomes(1, patient()).unwrap().len(), 3);
            store.store.record(&[], b"of nothing", false, patient()).unwrap();
            assert_eq!(store.count("records"), 3);
        });
    }

    #[test]
    fn are_found_by_checkpoint_and_step() {
        with_store(|store| {
            put(store, record(5, "a"), b"five");
            put(store, record(6, "a"), b"six");
            put(store, record(5, "b"), b"bee");
            assert_eq!(store.output(5, "a"), "<five>");
            assert_eq!(store.output(6, "a"), "<six>");
            assert_eq!(store.outputs(6), ["a <six>"]);
            assert_eq!(store.output(6, "b"), "none");
            assert_eq!(store.outputs(7), NONE);
            assert_eq!(store.sizes(7, patient()).unwrap(), []);
        });
    }

    #[test]
    fn that_are_recorded_again_replace_the_earlier_ones() {
        with_store(|store| {
            put(store, record(5, "a"), b"old");
            let other = Record { token: "other".to_owned(), ..record(5, "a") };
            put(store, other.clone(), b"newer");
            let expected = Record { output: Some(b"newer".to_vec()), ..other };
            assert_eq!(store.records(5, patient()).unwrap(), [expected]);
        });
    }

    #[test]
    fn of_a_step_end_those_of_its_items_if_told_so() {
        for ends_items in [false, true] {
            with_store(|store| {
                for item in 0..3 {
                    put(store, Record { item: Some(item), ..record(5, "a") }, format!("{item}").as_bytes());
                }
                put(store, Record { item: Some(1), ..record(5, "other") }, b"other");
                put(store, Record { item: Some(1), ..record(5, "a") }, b"again");
                assert_eq!(store.outputs(5), ["a[0] <0>", "a[1] <again>", "a[2] <2>", "other[1] <other>"]);
                let whole = Completion { step: None, record: Some(record(5, "a")), ends_items, writes: None };
                store.store.record(&[whole], b"whole", false, patient()).unwrap();
                let items: &[&str] = if ends_items { &[] } else { &["a[0] <0>", "a[1] <again>", "a[2] <2>"] };
                let expected = ["a <whole>"].iter().chain(items).chain(&["other[1] <other>"]).copied();
                let mut expected: Vec<_> = expected.collect();
                expected.sort_unstable();
                assert_eq!(store.outputs(5), expected, "{ends_items}");
                assert_eq!(store.output(5, "a"), "<whole>", "not that of an item");
            });
        }
    }

    #[test]
    fn are_cleared_a_checkpoint_at_a_time() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &large(1));
            store.record(&run, 1, "b", b"b");
            put(store, record(6, "a"), b"other");
            store.finish(&run);
            assert_eq!(store.clear(1, patient()).unwrap(), Claim::Claimed);
            assert_eq!(store.outputs(1), NONE);
            assert_eq!(store.files(), NONE);
            assert_eq!(store.output(6, "a"), "<other>");
            assert_eq!(store.steps(1, patient()).unwrap().len(), 2, "history stays");
            assert_eq!(store.clear(99, patient()).unwrap(), Claim::Claimed);
        });
    }

    #[test]
    fn are_not_cleared_while_a_run_that_is_alive_needs_them() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", b"needed");
            for store in [store, &TestStore::at(&store.root)] {
                let answer = store.clear(1, patient()).unwrap();
                assert_eq!(answer, Claim::Held(Box::new(run.clone())));
                assert_eq!(store.outputs(1), ["a <needed>"]);
            }
        });
    }

    #[test]
    fn are_cleared_by_the_end_of_a_run_that_asks_for_it() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &large(1));
            let end = End { clear: true, ..end(&run, "succeeded") };
            let last = [completion(&run, 1, "b")];
            store.store.finish(&end, &last, false, patient()).unwrap();
            assert_eq!(store.outputs(1), NONE);
            assert_eq!(store.files(), NONE);
            assert_eq!(store.steps(1, patient()).unwrap().len(), 2);
        });
    }
}

mod cache {
    use super::*;

    #[test]
    fn holds_what_was_written_last_under_a_key() {
        with_store(|store| {
            store.put("k", b"old");
            store.try_put("k", Some(19.0), 2.0, b"newer", 1000).unwrap();
            store.try_put("l", None, 3.0, b"other", 1000).unwrap();
            assert_eq!(store.value("k"), "<newer>");
            assert_eq!(store.value("l"), "<other>");
            assert_eq!(store.value("none"), "absent");
            let entry = store.entry(&Key::Text("k".to_owned()), 10.0, patient()).unwrap().unwrap();
            let key = |key: &str| Key::Text(key.to_owned());
            let expected = Entry {
                key: key("k"),
                expires: Some(19.0),
                written: 2.0,
                used: 2.0,
                size: 5,
                value: Some(b"newer".to_vec()),
            };
            assert_eq!(entry, expected);
            let other = Entry { key: key("l"), expires: None, written: 3.0, used: 3.0, size: 5, value: None };
            assert_eq!(store.entries(10.0, patient()).unwrap(), [Entry { value: None, ..expected }, other]);
            store.assert_total();
        });
    }

    #[test]
    fn treats_an_entry_as_absent_once_it_has_expired() {
        with_store(|store| {
            store.try_put("k", Some(10.0), 1.0, b"value", 1000).unwrap();
            store.put("forever", b"value");
            for (now, there) in [(9.999, true), (10.0, false), (10.001, false)] {
                assert_eq!(store.value_at("k", now) == "<value>", there, "at {now}");
                assert_eq!(store.value_at("forever", now), "<value>");
                assert_eq!(store.keys_at(now).len(), 1 + usize::from(there), "at {now}");
            }
        });
    }

    #[test]
    fn treats_an_entry_as_absent_that_was_written_in_the_future() {
        with_store(|store| {
            store.try_put("k", Some(30.0), 20.0, b"value", 1000).unwrap();
            for (now, there) in [(19.999, false), (20.0, true), (29.0, true)] {
                assert_eq!(store.value_at("k", now) == "<value>", there, "at {now}");
                assert_eq!(store.keys_at(now).len(), usize::from(there), "at {now}");
            }
        });
    }

    #[test]
    fn lists_entries_by_key() {
        with_store(|store| {
            for key in ["b", "a", "c", "B"] {
                store.put(key, b"");
            }
            assert_eq!(store.keys(), ["B", "a", "b", "c"]);
        });
    }

    #[test]
    fn distinguishes_keys_of_text_from_keys_of_bytes() {
        with_store(|store| {
            let text = Key::Text("ab".to_owned());
            for (key, value) in [
                (text.clone(), "text"),
                (Key::Bytes(b"ab".to_vec()), "bytes"),
                (Key::Bytes(vec![0xff, 0]), "other"),
            ] {
                let entry = Entry { key: key.clone(), written: 1.0, ..Entry::default() };
                store.store.put(&entry, value.as_bytes(), 1000, patient()).unwrap();
                let found = store.entry(&key, 10.0, patient()).unwrap().unwrap();
                assert_eq!((found.key, found.value), (key, Some(value.as_bytes().to_vec())));
            }
            assert_eq!(store.drop_entries(Some(&text), true, patient()).unwrap(), 1, "only text begins so");
            assert_eq!(store.drop_entries(Some(&Key::Bytes(vec![0xff])), true, patient()).unwrap(), 1);
            assert_eq!(store.keys(), ["[97, 98]"]);
        });
    }

    #[test]
    fn records_when_an_entry_was_used() {
        with_store(|store| {
            store.put("k", b"value");
            store.put("l", b"value");
            store.touch(&[Key::Text("k".to_owned())], 5.5, patient()).unwrap();
            store.touch(&[Key::Text("none".to_owned())], 5.5, patient()).unwrap();
            let used: Vec<_> =
                store.entries(10.0, patient()).unwrap().iter().map(|entry| entry.used).collect();
            assert_eq!(used, [5.5, 1.0]);
            assert_eq!(store.value("k"), "<value>", "a use breaks no seal");
        });
    }

    #[test]
    fn deletes_one_key_or_all_that_begin_with_it_or_everything() {
        let keys = [
            "a", "a%", "a%b", "a%bc", "aXb", "A%b", "a_", "a_c", "axc", "b", "", "é", "éa", "n\0a", "n\0",
            "n",
        ];
        let check = |key: Option<&str>, prefix, is_gone: &dyn Fn(&str) -> bool| {
            with_store(|store| {
                keys.iter().for_each(|key| store.put(key, b"four"));
                let wanted = key.map(|key| Key::Text(key.to_owned()));
                let dropped = store.drop_entries(wanted.as_ref(), prefix, patient()).unwrap();
                let mut left: Vec<_> = keys.into_iter().filter(|known| !is_gone(known)).collect();
                assert_eq!(dropped, keys.len() - left.len(), "{key:?}, {prefix}");
                left.sort_unstable();
                assert_eq!(store.keys(), left, "{key:?}, {prefix}");
                store.assert_total();
            });
        };
        for key in keys {
            check(Some(key), false, &|known| known == key);
            check(Some(key), true, &|known| known.starts_with(key));
        }
        check(Some("none"), true, &|_| false);
        check(Some("a%bcd"), true, &|_| false);
        check(None, false, &|_| true);
        check(None, true, &|_| true);
    }

    #[test]
    fn evicts_expired_entries_then_the_least_recently_used_until_the_rest_fits() {
        // Key, expiry, used, size.
        let entries: [(&str, Option<f64>, f64, usize); 5] = [
            ("expired", Some(50.0), 9.0, 1),
            ("old", None, 1.0, 10),
            ("newest", None, 5.0, 30),
            ("middle", Some(51.0), 3.0, 20),
            ("tiny, but oldest", None, 0.5, 1),
        ];
        let left = |most| {
            let mut keys = vec![];
            with_store(|store| {
                for (key, expires, used, size) in entries {
                    store.try_put(key, expires, used, &bytes(1, size), i64::MAX).unwrap();
                }
                store.try_put("new", None, 50.0, b"", most).unwrap();
                keys = store.keys_at(50.0);
                assert_eq!(store.number("SELECT count(*) FROM cache WHERE key = 'expired'"), 0);
                store.assert_total();
                assert!(store.number("SELECT cached FROM totals") <= most);
            });
            keys.retain(|key| key != "new");
            keys.join(" ")
        };
        assert_eq!(left(1000), "middle newest old tiny, but oldest");
        assert_eq!(left(61), "middle newest old tiny, but oldest");
        assert_eq!(left(60), "middle newest old");
        assert_eq!(left(59), "middle newest", "also what is small, if it is older");
        assert_eq!(left(50), "middle newest");
        assert_eq!(left(49), "newest");
        assert_eq!(left(29), "");
        assert_eq!(left(0), "");
    }

    #[test]
    fn spares_an_old_entry_that_was_touched() {
        with_store(|store| {
            ["a", "b", "c"].iter().for_each(|key| store.put(key, b"ten bytes."));
            store.touch(&[Key::Text("a".to_owned())], 2.0, patient()).unwrap();
            store.try_put("d", None, 3.0, b"ten bytes.", 20).unwrap();
            assert_eq!(store.keys(), ["a", "d"]);
        });
    }

    #[test]
    fn counts_a_use_in_the_future_as_none() {
        with_store(|store| {
            ["a", "b"].iter().for_each(|key| store.put(key, b"ten bytes."));
            store.touch(&[Key::Text("a".to_owned())], 1e9, patient()).unwrap();
            store.try_put("c", None, 3.0, b"ten bytes.", 20).unwrap();
            assert_eq!(store.keys(), ["b", "c"], "otherwise it would never be evicted");
        });
    }

    #[test]
    fn evicts_the_older_of_two_that_were_used_at_the_same_time() {
        with_store(|store| {
            ["b", "a", "c"].iter().for_each(|key| store.put(key, b"ten bytes."));
            store.try_put("d", None, 1.0, b"", 20).unwrap();
            assert_eq!(store.keys(), ["a", "c", "d"]);
            store.put("a", b"ten bytes.");
            store.try_put("d", None, 1.0, b"", 10).unwrap();
            assert_eq!(store.keys(), ["a", "d"], "it was written again");
        });
    }

    #[test]
    fn keeps_no_value_that_is_larger_than_the_cache() {
        for value in [bytes(1, 100), large(1)] {
            with_store(|store| {
                store.put("old", b"x");
                store.try_put("k", None, 2.0, &value, 50).unwrap();
                assert_eq!(store.value("k"), "absent");
                assert_eq!(store.files(), NONE);
                store.assert_total();
            });
        }
    }

    #[test]
    fn counts_values_in_files_by_their_size() {
        with_store(|store| {
            store.put("old", &large(1));
            store.try_put("new", None, 2.0, b"x", INLINE as i64).unwrap();
            assert_eq!(store.keys(), ["new"]);
            assert_eq!(store.files(), NONE);
            store.assert_total();
        });
    }

    #[test]
    fn has_the_right_total_whatever_was_done() {
        with_store(|store| {
            let mut random = crate::common::Random(7);
            for n in 0..400 {
                let key = format!("k{}", random.below(20));
                let now = f64::from(n);
                match random.below(10) {
                    0 => _ = store.delete(&key),
                    1 => store.touch(&[Key::Text(key)], now, patient()).unwrap(),
                    2 if random.percent(20) => _ = store.drop_entries(None, false, patient()).unwrap(),
                    3 => _ = store.drop_entries(Some(&Key::Text("k1".into())), true, patient()).unwrap(),
                    4 if random.percent(20) => {
                        store.try_put(&key, None, now, &large(n as u64), 400_000).unwrap()
                    }
                    _ => {
                        let expires = random.percent(30).then_some(now + 20.0);
                        let value = bytes(n as u64, random.below(3000));
                        store
                            .try_put(&key, expires, now, &value, 20_000 + 400_000 * i64::from(n % 50 > 0))
                            .unwrap();
                    }
                }
                store.assert_total();
            }
            store.drop_entries(None, false, patient()).unwrap();
            assert_eq!(store.number("SELECT cached FROM totals"), 0);
            assert_eq!(store.files(), NONE);
        });
    }

    #[test]
    fn writes_with_a_number_of_page_accesses_that_does_not_grow_with_the_entries() {
        with_store(|store| {
            // A write that looked at every entry would take thousands of times as long at the end.
            let time = |from: usize| {
                let mut times: Vec<_> = (0..40)
                    .map(|n| {
                        let since = std::time::Instant::now();
                        store
                            .try_put(&format!("timed {from} {n}"), None, 1e6, b"value", 1_000_000_000)
                            .unwrap();
                        since.elapsed()
                    })
                    .collect();
                times.sort();
                times[times.len() / 2]
            };
            let few = time(0);
            let sql = "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100000) \
                       INSERT INTO cache (key, written, used, digest, size, seal, bytes) \
                       SELECT 'k' || n, 1.0, n, zeroblob(32), 100, zeroblob(16), zeroblob(100) FROM n";
            store.change(sql);
            store.change("UPDATE totals SET cached = (SELECT sum(size) FROM cache)");
            let many = time(1);
            assert!(many < few * 20 + std::time::Duration::from_millis(2), "{few:?} became {many:?}");
            store.assert_total();
        });
    }

    #[test]
    fn gives_its_space_back_when_it_is_cleared() {
        with_store(|store| {
            for n in 0..40 {
                store.put(&n.to_string(), &bytes(n, INLINE - 1));
            }
            store.put("large", &large(1));
            let size = || fs::metadata(store.root.join("flowline.db")).unwrap().len();
            store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            let before = size();
            assert!(before > 40 * 200_000, "{before}");
            assert_eq!(store.drop_entries(None, false, patient()).unwrap(), 41);
            assert!(size() < 200_000, "{before} became {}", size());
            assert_eq!(store.files(), NONE);
            assert_eq!(store.keys(), NONE);
            store.put("k", b"works on");
            assert_eq!(store.value("k"), "<works on>");
            store.assert_sound();
        });
    }

    #[test]
    fn gives_space_back_when_a_checkpoint_that_used_much_is_cleared() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            (0..40).for_each(|n| store.record(&run, n, &n.to_string(), &bytes(n as u64, INLINE - 1)));
            store.finish(&run);
            store.sql().query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
            assert_eq!(store.clear(1, patient()).unwrap(), Claim::Claimed);
            let size = fs::metadata(store.root.join("flowline.db")).unwrap().len();
            assert!(size < 200_000, "{size}");
            store.assert_sound();
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
                let run = store.begin("r1", "p", "i");
                store.record(&run, 0, "a", &value);
                store.put("k", &value);
                assert_eq!(store.value("k"), describe(&value), "{size}");
                assert_eq!(store.output(1, "a"), describe(&value), "{size}");
                assert_eq!(store.outputs(1), [format!("a {}", describe(&value))], "{size}");
                assert_eq!(store.entries(10.0, patient()).unwrap()[0].size, size as i64);
                let files = if size < INLINE { vec![] } else { vec![blob_name(&value)] };
                assert_eq!(store.files(), files, "a file only from {INLINE} up, {size}");
                let inline = store.number("SELECT coalesce(length(bytes), -1) FROM cache");
                assert_eq!(inline, if size < INLINE { size as i64 } else { -1 });
            });
        }
    }

    #[test]
    fn are_bytes_whatever_they_would_be_as_text() {
        with_store(|store| {
            for value in [&b"\0\0"[..], b"\xff\xfe", "é".as_bytes(), b"NULL", b"1"] {
                store.put("k", value);
                let entry = store.entry(&Key::Text("k".to_owned()), 10.0, patient()).unwrap().unwrap();
                assert_eq!(entry.value.as_deref(), Some(value));
            }
        });
    }

    #[test]
    fn of_several_records_are_not_mixed_up() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let values = [large(1), b"small".to_vec(), large(2), vec![], large(3)];
            for (n, value) in (0..).zip(&values) {
                store.record(&run, n, &n.to_string(), value);
            }
            let expected = (0..).zip(&values).map(|(n, value)| format!("{n} {}", describe(value)));
            assert_eq!(store.outputs(1), expected.collect::<Vec<_>>());
        });
    }

    #[test]
    fn that_are_equal_share_a_file_until_the_last_reference_is_gone() {
        with_store(|store| {
            let value = large(1);
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &value);
            store.record(&run, 1, "b", &value);
            store.put("k", &value);
            let other = store.begin("r2", "p", "j");
            store.record(&other, 0, "a", &value);
            store.finish(&run);
            store.finish(&other);
            let expected = [blob_name(&value)];
            assert_eq!(store.files(), expected);
            store.clear(1, patient()).unwrap();
            assert_eq!(store.files(), expected);
            assert_eq!((store.delete("none"), store.delete("k")), (0, 1));
            assert_eq!(store.files(), expected);
            assert_eq!(store.outputs(2), [format!("a {}", describe(&value))]);
            store.clear(2, patient()).unwrap();
            assert_eq!(store.files(), NONE);
        });
    }

    #[test]
    fn that_are_replaced_lose_their_files() {
        with_store(|store| {
            store.put("k", &large(1));
            store.put("k", &large(2));
            assert_eq!(store.files(), [blob_name(&large(2))]);
            store.put("k", &large(2));
            assert_eq!(store.files(), [blob_name(&large(2))], "replaced by itself");
            assert_eq!(store.value("k"), describe(&large(2)));
            store.put("k", b"small");
            assert_eq!(store.files(), NONE);
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &large(3));
            store.record(&run, 0, "a", &large(4));
            assert_eq!(store.files(), [blob_name(&large(4))]);
        });
    }

    #[test]
    fn whose_file_is_damaged_or_gone_are_none() {
        let value = large(7);
        let damages: [(&str, &dyn Fn(&Path)); 6] = [
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
                let run = store.begin("r1", "p", "i");
                store.record(&run, 0, "a", &value);
                store.record(&run, 1, "b", b"sound");
                store.put("k", &value);
                make(&store.blob_of(&value));
                assert_eq!(store.outputs(1), ["a damaged", "b <sound>"], "{damage}");
                assert_eq!(store.output(1, "a"), "none", "{damage}");
                assert_eq!(store.value("k"), "damaged", "{damage}");
                if damage != "a directory" {
                    store.put("k", &value);
                    assert_eq!(store.value("k"), describe(&value), "{damage}, written again");
                    assert_eq!(store.output(1, "a"), describe(&value), "{damage}, the same file");
                }
            });
        }
    }

    #[test]
    fn with_one_flipped_bit_are_none() {
        with_store(|store| {
            let value = large(7);
            store.put("large", &value);
            let file = store.blob_of(&value);
            for position in [0, value.len() / 2, value.len() - 1] {
                for bit in [0, 7] {
                    let mut damaged = value.clone();
                    damaged[position] ^= 1 << bit;
                    fs::write(&file, damaged).unwrap();
                    assert_eq!(store.value("large"), "damaged", "bit {bit} of {position}");
                }
            }
            fs::write(&file, &value).unwrap();
            assert_eq!(store.value("large"), describe(&value));
        });
    }

    #[test]
    fn whose_file_cannot_be_read_for_another_reason_are_an_error() {
        with_store(|store| {
            let value = large(7);
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &value);
            store.put("k", &value);
            let file = store.blob_of(&value);
            fs::remove_file(&file).unwrap();
            std::os::unix::fs::symlink(&file, &file).unwrap(); // It leads to itself: ELOOP, also for root.
            let denied = |answer: Result<(), StoreError>| {
                assert!(matches!(&answer, Err(StoreError::Denied(_))), "{answer:?}");
            };
            denied(store.records(1, patient()).map(drop));
            denied(store.store.output(1, "a", patient()).map(drop));
            denied(store.entry(&Key::Text("k".to_owned()), 10.0, patient()).map(drop));
            fs::remove_file(&file).unwrap();
            fs::write(&file, &value).unwrap();
            assert_eq!(store.value("k"), describe(&value));
        });
    }
}

mod sweeping {
    use super::*;

    #[test]
    fn removes_unreferenced_files_and_parts_of_dead_writers_and_nothing_else() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &large(1));
            store.put("k", &large(2));
            store.put("small", b"small");
            let held = Lock::Part(0xabc);
            assert!(store.acquire(held).unwrap());
            let part = |number: u64| format!("{number:016x}.part");
            let unreferenced = [
                blob_name(b"small"), // Its value is in the database.
                blob_name(&large(3)),
                part(0xabd),
                part(u64::from(std::process::id()) << 24),
            ];
            let others = [
                part(0xabc),
                ".gitignore".to_owned(),
                "ABC.part".to_owned(),
                "0000000000000abe.PART".to_owned(),
                "0000000000000ABE.part".to_owned(),
                "abd.part".to_owned(),
                format!("0{}", part(0xabd)),
                crate::common::store::digest(b"other"),
                format!("{}.blob.bak", crate::common::store::digest(b"other")),
                format!("{}.blob", crate::common::store::digest(b"other").to_uppercase()),
                format!("{}.blob", &crate::common::store::digest(b"other")[1..]),
                "notes.blob".to_owned(),
            ];
            unreferenced
                .iter()
                .chain(&others)
                .for_each(|name| fs::write(store.blob(name), "theirs").unwrap());
            fs::create_dir(store.blob(&blob_name(b"a directory"))).unwrap();
            let mut expected: Vec<_> = others.to_vec();
            expected.extend([blob_name(&large(1)), blob_name(&large(2)), blob_name(b"a directory")]);
            expected.sort();
            let other = TestStore::at(&store.root);
            assert_ne!(store.files(), expected, "opening and reading removes nothing");
            other.put("l", b"the first change sweeps");
            assert_eq!(store.files(), expected);
            store.release(held);
            let other = TestStore::at(&store.root);
            other.put("l", b"again");
            expected.retain(|name| *name != part(0xabc));
            assert_eq!(store.files(), expected, "its writer has ended");
            assert_eq!(store.output(1, "a"), describe(&large(1)));
            assert_eq!(store.value("k"), describe(&large(2)));
        });
    }

    #[test]
    fn leaves_no_lock() {
        with_store(|store| {
            store.put("k", &large(1));
            fs::write(store.blob("0000000000000abd.part"), "").unwrap();
            let other = TestStore::at(&store.root);
            other.put("l", b"sweeps");
            assert!(store.acquire(Lock::Part(0xabd)).unwrap());
        });
    }
}

mod the_directory_of_values {
    use super::*;

    #[test]
    fn is_refused_when_it_is_a_symbolic_link_or_a_file() {
        for link in [true, false] {
            let (directory, elsewhere) = (TempDir::new(), TempDir::new());
            let folder = directory.join("flowline.blobs");
            if link {
                std::os::unix::fs::symlink(&elsewhere.path, &folder).unwrap();
            } else {
                fs::write(&folder, "").unwrap();
            }
            let answer = crate::common::store::open(&directory.path).map(drop).unwrap_err();
            assert!(matches!(answer, StoreError::Unsafe(_)), "{answer:?}");
            assert_eq!(answer.to_string(), "has a flowline.blobs that is no directory of its own; remove it");
            // The same when it is put there after the store was opened.
            fs::remove_file(&folder).unwrap();
            let store = TestStore::at(&directory.path);
            if link {
                std::os::unix::fs::symlink(&elsewhere.path, &folder).unwrap();
            } else {
                fs::write(&folder, "").unwrap();
            }
            let answer = store.try_put("k", None, 1.0, &large(1), i64::MAX).unwrap_err();
            assert!(matches!(answer, StoreError::Unsafe(_)), "{answer:?}");
            assert_eq!(names(&elsewhere.path), NONE);
            store.put("k", b"small ones need no file");
        }
    }

    #[test]
    fn is_refused_when_others_can_write_into_it() {
        use std::os::unix::fs::PermissionsExt;
        with_store(|store| {
            store.put("k", &large(1));
            let folder = store.root.join("flowline.blobs");
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o770)).unwrap();
            let answer = crate::common::store::open(&store.root).map(drop).unwrap_err();
            assert_eq!(
                answer.to_string(),
                "has a flowline.blobs that can be written by others, who could run code as you; chmod 700 it"
            );
        });
    }
}

mod a_transaction {
    use super::*;

    #[test]
    fn records_none_of_many_steps_if_one_cannot_be() {
        with_store(|store| {
            store.begin("r1", "p", "i");
            for bad in [0, 250, 499] {
                let completions: Vec<_> = (0..500)
                    .map(|n| Completion {
                        step: Some(step(if n == bad { 99 } else { 1 }, n, "s")),
                        record: Some(record(1, &n.to_string())),
                        ends_items: false,
                        writes: None,
                    })
                    .collect();
                let answer = store.store.record(&completions, b"output", false, patient());
                assert!(answer.is_err(), "there is no run 99");
                assert_eq!((store.count("steps"), store.count("records")), (0, 0), "{bad}");
            }
            let run = store.begin("r2", "p", "i");
            store.record(&run, 0, "s", b"output");
            assert_eq!(store.count("steps"), 1, "works on");
        });
    }

    #[test]
    fn records_no_step_without_its_output() {
        for value in [b"small".to_vec(), large(1)] {
            with_store(|store| {
                let run = store.begin("r1", "p", "i");
                store.change(
                    "CREATE TRIGGER no BEFORE INSERT ON records BEGIN SELECT raise(ABORT, 'not now'); END",
                );
                let answer = store.try_record(&run, 0, "a", &value, false);
                assert!(matches!(&answer, Err(StoreError::Other(why)) if why.contains("not now")));
                assert_eq!((store.count("steps"), store.count("records")), (0, 0));
                assert_eq!(store.files(), NONE);
            });
        }
    }

    #[test]
    fn whose_file_cannot_get_its_name_leaves_neither_row_nor_file() {
        with_store(|store| {
            let value = large(1);
            let run = store.begin("r1", "p", "i");
            store.put("k", &large(2));
            fs::create_dir(store.blob_of(&value)).unwrap();
            let answer = store.try_record(&run, 0, "a", &value, false);
            assert!(
                matches!(&answer, Err(StoreError::Denied(why)) if why.contains("directory")),
                "{answer:?}"
            );
            assert_eq!((store.count("steps"), store.count("records")), (0, 0));
            fs::remove_dir(store.blob_of(&value)).unwrap();
            assert_eq!(store.files(), [blob_name(&large(2))], "the part is gone");
            store.record(&run, 0, "a", &value);
            assert_eq!(store.sizes(1, patient()).unwrap(), [("a".to_owned(), value.len() as i64)]);
        });
    }

    #[test]
    fn that_fails_to_drop_references_removes_no_file() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.record(&run, 0, "a", &large(1));
            store.put("k", &large(2));
            store.finish(&run);
            // It fails after the references have been dropped.
            store.change(
                "CREATE TRIGGER no AFTER DELETE ON records BEGIN SELECT raise(ABORT, 'not now'); END",
            );
            store
                .change("CREATE TRIGGER nor AFTER DELETE ON cache BEGIN SELECT raise(ABORT, 'not now'); END");
            assert!(store.clear(1, patient()).is_err());
            assert!(store.drop_entries(None, false, patient()).is_err());
            assert!(store.try_put("k", None, 2.0, &large(3), i64::MAX).is_err());
            assert!(store.store.begin(&start("r2", "p", "i"), false, patient()).is_err());
            assert_eq!(store.output(1, "a"), describe(&large(1)));
            assert_eq!(store.value("k"), describe(&large(2)));
            store.assert_total();
        });
    }

    #[test]
    fn that_fails_to_prune_leaves_the_run_running() {
        with_store(|store| {
            let old = store.begin("r0", "p", "j");
            store.record(&old, 0, "a", b"output");
            let run = store.begin("r1", "p", "i");
            store.change(
                "CREATE TRIGGER no BEFORE DELETE ON records BEGIN SELECT raise(ABORT, 'not now'); END",
            );
            let end = End { clear: true, ..end(&old, "succeeded") };
            let answer = store.store.finish(&end, &[], false, patient());
            assert!(matches!(&answer, Err(StoreError::Other(why)) if why.contains("not now")), "{answer:?}");
            assert_eq!(store.statuses("p"), "2 running, 1 running");
            store.finish(&run);
        });
    }
}

mod two_handles_in_one_process {
    use super::*;

    #[test]
    fn do_not_take_each_others_files() {
        let directory = TempDir::new();
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (directory, start) = (&directory, &start);
                scope.spawn(move || {
                    let store = TestStore::at(&directory.path);
                    start.wait();
                    for n in 0..40 {
                        let seed = thread * 1000 + n;
                        store.put(&seed.to_string(), &large(seed));
                    }
                });
            }
        });
        let store = TestStore::at(&directory.path);
        for seed in (0..4).flat_map(|thread| (0..40).map(move |n| thread * 1000 + n)) {
            assert_eq!(store.value(&seed.to_string()), describe(&large(seed)), "{seed}");
        }
        assert_eq!(store.files().len(), 160);
        store.assert_sound();
        store.assert_total();
    }

    #[test]
    fn do_not_overwrite_a_part_that_another_writes() {
        // A process of another container may have the same number.
        with_store(|store| {
            store.put("k", &large(1));
            let other = TestStore::at(&store.root);
            let numbers = (1..50).map(|n| (u64::from(std::process::id()) << 24) + n);
            for number in numbers.clone() {
                assert!(other.acquire(Lock::Part(number)).unwrap());
                fs::write(store.blob(&format!("{number:016x}.part")), "another's").unwrap();
            }
            store.put("l", &large(2));
            for number in numbers {
                let part = store.blob(&format!("{number:016x}.part"));
                assert_eq!(fs::read_to_string(&part).unwrap(), "another's", "{part:?}");
            }
            assert_eq!(store.value("l"), describe(&large(2)));
        });
    }

    #[test]
    fn exclude_each_other_by_locks_which_neither_loses_when_the_other_is_closed() {
        with_store(|store| {
            for lock in [Lock::Checkpoint(5), Lock::Key(5), Lock::Part(5)] {
                let other = TestStore::at(&store.root);
                assert!(store.acquire(lock).unwrap());
                assert!(!store.acquire(lock).unwrap(), "it is held already");
                assert!(!other.acquire(lock).unwrap());
                assert!(other.is_taken(lock).unwrap() && store.is_taken(lock).unwrap());
                other.release(lock);
                assert!(other.is_taken(lock).unwrap(), "it was not its own");
                drop(other);
                let third = TestStore::at(&store.root);
                assert!(!third.acquire(lock).unwrap());
                store.release(lock);
                assert!(!store.is_taken(lock).unwrap());
                assert!(third.acquire(lock).unwrap());
                third.release(lock);
            }
            let all = [Lock::Checkpoint(5), Lock::Key(5), Lock::Part(5), Lock::Checkpoint(6), Lock::Key(0)];
            assert!(all.iter().all(|&lock| store.acquire(lock).unwrap()), "each is another");
        });
    }

    #[test]
    fn have_separate_locks_in_separate_stores() {
        with_store(|one| {
            with_store(|other| {
                assert!(one.acquire(Lock::Checkpoint(5)).unwrap());
                assert!(other.acquire(Lock::Checkpoint(5)).unwrap());
            });
        });
    }

    #[test]
    fn keep_their_locks_when_other_descriptors_of_the_files_are_closed() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let other = TestStore::at(&store.root);
            for _ in 0..3 {
                for name in [LOCKS, "flowline.db", "flowline.db-wal", "flowline.db-shm"] {
                    drop(fs::File::options().read(true).write(true).open(store.root.join(name)).unwrap());
                    drop(fs::read(store.root.join(name)).unwrap());
                }
                assert!(!other.acquire(Lock::Checkpoint(1)).unwrap());
                assert_eq!(other.statuses("p"), "1 running");
                store.record(&run, 0, "a", b"output");
                other.put("k", b"value");
            }
            store.assert_sound();
        });
    }

    #[test]
    fn lose_nothing_while_their_files_are_opened_and_closed_all_the_time() {
        // Closing any descriptor of a file drops the POSIX locks that SQLite has there.
        with_store(|store| {
            let done = std::sync::atomic::AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    while !done.load(std::sync::atomic::Ordering::Relaxed) {
                        for name in [LOCKS, "flowline.db", "flowline.db-shm"] {
                            drop(fs::File::open(store.root.join(name)));
                        }
                        std::thread::sleep(std::time::Duration::from_micros(100));
                    }
                });
                let threads: Vec<_> = (0..3)
                    .map(|thread| {
                        scope.spawn(move || {
                            for n in 0..150 {
                                // Now and then it is opened and closed, too.
                                let own = if n % 10 == 0 { Some(TestStore::at(&store.root)) } else { None };
                                own.as_ref().unwrap_or(store).put(&format!("{thread} {n}"), &bytes(n, 500));
                            }
                        })
                    })
                    .collect();
                threads.into_iter().for_each(|thread| thread.join().unwrap());
                done.store(true, std::sync::atomic::Ordering::Relaxed);
            });
            assert_eq!(store.count("cache"), 450);
            store.assert_sound();
            store.assert_total();
            assert_eq!(store.value("0 7"), describe(&bytes(7, 500)));
            assert!(store.try_put("k", None, 1.0, b"", i64::MAX).is_ok());
            assert!(store.store.touch(&[Key::Text("k".into())], 2.0, impatient()).is_ok(), "nothing is held");
        });
    }
}
