//! Checks what a store shows of runs: pages of history, graphs, the state of pipelines, runs that go on, requests and logs;
//! and that all of this is removed with its run.

use std::sync::Arc;

use crate::common::store::{TempDir, TestStore, begun, completion, end, patient, resumption, start, step};
use flowline_core::store::{
    Change, Completion, End, Graph, Lines, Lock, Query, Request, Run, Step, Tally, Writes,
};

fn with_store(test: impl FnOnce(&TestStore)) {
    let directory = TempDir::new();
    test(&TestStore::at(&directory.path));
}

/// Begins and ends a run.
fn past(store: &TestStore, run_id: &str, pipeline: &str, status: &str, change: impl FnOnce(&mut Run)) -> Run {
    let mut start = start(run_id, pipeline, run_id);
    change(&mut start.run);
    let run = begun(store.store.begin(&start, false, patient()).unwrap());
    store.store.finish(&end(&run, status), &[], false, patient()).unwrap();
    run
}

#[track_caller]
fn ids(store: &TestStore, query: Query) -> Vec<String> {
    let query = Query { limit: if query.limit == 0 { -1 } else { query.limit }, ..query };
    store.history(&query, patient()).unwrap().into_iter().map(|run| run.run_id).collect()
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

mod the_same_steps_in_several_runs {
    use super::*;

    /// Begins a run with steps that end with a status each.
    fn run(store: &TestStore, run_id: &str, steps: &[(&str, &str)]) -> i64 {
        let run = store.begin(run_id, "p", run_id);
        for (position, (name, status)) in steps.iter().enumerate() {
            let mut completion = completion(&run, position as i64, name);
            completion.step =
                Some(Step { status: (*status).to_owned(), ..step(run.id, position as i64, name) });
            store.store.record(&[completion], b"", false, patient()).unwrap();
        }
        store.finish(&run);
        run.id
    }

    #[test]
    fn are_named_page_by_page_and_the_failed_ones_come_first() {
        with_store(|store| {
            let first = run(store, "r1", &[("a", "succeeded"), ("b", "failed"), ("Old\"é", "succeeded")]);
            let second = run(
                store,
                "r2",
                &[("a", "succeeded"), ("b", "succeeded"), ("c", "cancelled"), ("d", "skipped")],
            );
            let names = |runs: &[i64], text, page| store.names_in(runs, text, page, patient()).unwrap();
            let all = |runs: &[i64]| names(runs, "", (9, 0)).0;
            assert_eq!(all(&[first, second]), ["b", "c", "a", "Old\"é", "d"]);
            assert_eq!(all(&[second]), ["c", "a", "b", "d"]);
            assert_eq!(names(&[first, second], "", (2, 1)), (vec!["c".to_owned(), "a".to_owned()], 5));
            assert_eq!(names(&[first, second], "OLD", (9, 0)), (vec!["Old\"é".to_owned()], 1));
            assert_eq!(names(&[], "", (9, 0)), (vec![], 0));
        });
    }

    #[test]
    fn are_read_by_name() {
        with_store(|store| {
            let first = run(store, "r1", &[("a", "succeeded"), ("b", "failed"), ("Old\"é", "succeeded")]);
            let second = run(store, "r2", &[("a", "skipped")]);
            let read = |runs: &[i64], names: &[&str]| {
                let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
                let steps = store.steps_in(runs, &names, patient()).unwrap();
                steps.into_iter().map(|step| (step.run, step.name, step.status)).collect::<Vec<_>>()
            };
            let row = |run, name: &str, status: &str| (run, name.to_owned(), status.to_owned());
            let found = [
                row(first, "a", "succeeded"),
                row(first, "Old\"é", "succeeded"),
                row(second, "a", "skipped"),
            ];
            assert_eq!(read(&[second, first], &["a", "Old\"é", "z"]), found);
            assert_eq!(read(&[second], &["b"]), []);
        });
    }
}

mod history {
    use super::*;

    #[test]
    fn selects_by_trigger_and_text() {
        with_store(|store| {
            let mut start = start("r1", "Import", "r1");
            start.run.trigger = text("web");
            let run = begun(store.store.begin(&start, false, patient()).unwrap());
            let ended = End { error: text("HTTP 503: été"), ..end(&run, "failed") };
            store.store.finish(&ended, &[], false, patient()).unwrap();
            past(store, "r2", "q", "succeeded", |run| {
                (run.trigger, run.shown) = (text("cli"), text(r#"{"day":"2024-01-31"}"#));
            });
            past(store, "r3", "100%_sure", "succeeded", |_| {});
            let by = |trigger: Option<String>| ids(store, Query { trigger, ..Query::default() });
            assert_eq!(by(text("web")), ["r1"]);
            assert_eq!(by(text("job")), [""; 0]);
            past(store, "r4", "q", "succeeded", |run| run.trigger = text("job 4711"));
            past(store, "r5", "q", "succeeded", |run| run.trigger = text("jobless"));
            assert_eq!(by(text("job")), ["r4"], "a job has its id after its kind");
            let with = |part| ids(store, Query { text: text(part), ..Query::default() });
            assert_eq!(with("http 503"), ["r1"]);
            assert_eq!(with("ÉTÉ"), [""; 0], "case is ignored only in ASCII");
            assert_eq!(with("été"), ["r1"]);
            assert_eq!(with("iMPORT"), ["r1"]);
            assert_eq!(with("2024-01"), ["r2"]);
            assert_eq!(with("R2"), ["r2"]);
            assert_eq!(with("%_s"), ["r3"], "no character is a wildcard");
            assert_eq!(with("_"), ["r3"]);
            assert_eq!(with(r"\"), [""; 0]);
            assert_eq!(with(""), ["r5", "r4", "r3", "r2", "r1"]);
        });
    }

    #[test]
    fn has_pages_of_runs_the_latest_first() {
        with_store(|store| {
            (1..=5).for_each(|n| drop(past(store, &format!("r{n}"), "p", "succeeded", |_| {})));
            let page = |before, limit| ids(store, Query { before, limit, ..Query::default() });
            assert_eq!(page(None, 2), ["r5", "r4"]);
            assert_eq!(page(text("r4"), 2), ["r3", "r2"]);
            assert_eq!(page(text("r2"), 2), ["r1"]);
            assert_eq!(page(text("none"), 2), [""; 0], "before a run that does not exist there is none");
        });
    }

    #[test]
    fn selects_by_pipeline_status_start_id_and_params() {
        with_store(|store| {
            past(store, "r1", "p", "failed", |run| run.started = 10.0);
            past(store, "r2", "q", "succeeded", |run| run.shown = text(r#"{"day":"1","to":"2"}"#));
            past(store, "r3", "p", "succeeded", |run| run.shown = text(r#"{"to":"2","x":"\"day\":\"1\""}"#));
            let select = |change: &dyn Fn(&mut Query)| {
                let mut query = Query::default();
                change(&mut query);
                ids(store, query)
            };
            assert_eq!(select(&|query| query.pipeline = text("p")), ["r3", "r1"]);
            assert_eq!(select(&|query| query.statuses = words("succeeded")), ["r3", "r2"]);
            assert_eq!(select(&|query| query.run_id = text("r2")), ["r2"]);
            assert_eq!(select(&|query| query.since = Some(99.0)), ["r3", "r2"]);
            assert_eq!(select(&|query| query.params = vec![r#""to":"2""#.to_owned()]), ["r3", "r2"]);
            assert_eq!(select(&|query| query.params = vec![r#""day":"1""#.to_owned()]), ["r2"]);
            assert_eq!(
                select(&|query| (query.pipeline, query.statuses) = (text("p"), words("failed"))),
                ["r1"]
            );
        });
    }

    #[test]
    fn tells_running_runs_from_crashed_ones() {
        with_store(|store| {
            store.begin("alive", "p", "i");
            let gone = store.begin("gone", "q", "i");
            store.release(Lock::Checkpoint(gone.checkpoint));
            past(store, "marked", "p", "crashed", |_| {});
            let select = |status: &str, limit| {
                ids(store, Query { statuses: words(status), limit, ..Query::default() })
            };
            assert_eq!(select("running", 9), ["alive"]);
            assert_eq!(select("crashed", 9), ["marked", "gone"]);
            assert_eq!(select("crashed", 1), ["marked"]);
            assert_eq!(select("crashed", 2), ["marked", "gone"]);
            past(store, "done", "p", "succeeded", |_| {});
            assert_eq!(select("succeeded running", 9), ["done", "alive"]);
            assert_eq!(select("crashed running", 9), ["marked", "gone", "alive"]);
            assert_eq!(select("crashed running succeeded", 2), ["done", "marked"]);
        });
    }

    #[test]
    fn knows_the_latest_run_that_resumed_a_run() {
        with_store(|store| {
            let first = store.begin("first", "p", "i");
            store.finish(&first);
            for id in ["second", "third"] {
                let latest = store.latest("p", Some("i"), patient()).unwrap().unwrap();
                assert_eq!(store.claim(&latest, patient()).unwrap(), flowline_core::store::Claim::Claimed);
                let run = begun(store.store.begin(&resumption(id, &first), false, patient()).unwrap());
                store.finish(&run);
            }
            let all = store.history(&Query { limit: -1, ..Query::default() }, patient()).unwrap();
            let by: Vec<_> = all.iter().map(|run| run.resumed_by.as_deref()).collect();
            assert_eq!(by, [None, None, Some("third")]);
        });
    }

    #[test]
    fn counts_steps_and_items_when_a_run_ends() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let items = |done, failed, restored| Tally { total: None, done, failed, restored };
            let steps = [
                Step { items: items(Some(5), None, Some(2)), ..step(run.id, 0, "a") },
                Step {
                    items: items(Some(7), Some(3), None),
                    status: "failed".to_owned(),
                    ..step(run.id, 1, "b")
                },
                step(run.id, 2, "c"),
            ];
            let done = steps.map(|step| Completion {
                step: Some(step),
                record: None,
                ends_items: false,
                writes: None,
            });
            store.store.finish(&end(&run, "failed"), &done, false, patient()).unwrap();
            let found = store.runs(None, 1, patient()).unwrap().remove(0);
            assert_eq!(found.outcomes.as_deref(), Some("failed 1, succeeded 2"));
            assert_eq!(
                (found.items_done, found.items_failed, found.items_restored),
                (Some(12), Some(3), Some(2))
            );
        });
    }

    #[test]
    fn counts_the_steps_of_a_run_that_crashed_when_the_next_one_begins() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.store.record(&[completion(&run, 0, "a")], b"", false, patient()).unwrap();
            store.release(Lock::Checkpoint(run.checkpoint));
            store.begin("r2", "p", "j");
            assert_eq!(store.runs(None, 9, patient()).unwrap()[1].outcomes.as_deref(), Some("succeeded 1"));
        });
    }

    #[test]
    fn keeps_as_many_runs_as_it_should() {
        with_store(|store| {
            for n in 0..5 {
                let run = store.begin(&format!("r{n}"), "p", "i");
                let end = End { keep: Some(3), ..end(&run, "failed") };
                store.store.finish(&end, &[], false, patient()).unwrap();
            }
            assert_eq!(ids(store, Query::default()), ["r4", "r3", "r2"]);
        });
    }
}

mod a_graph {
    use super::*;

    fn run_with(store: &TestStore, run_id: &str, pipeline: &str, graph: &str) -> Run {
        let mut start = start(run_id, pipeline, run_id);
        start.graph = Some(Arc::new(Graph::new(graph.to_owned())));
        let run = begun(store.store.begin(&start, false, patient()).unwrap());
        let end = End { keep: Some(2), ..end(&run, "succeeded") };
        store.store.finish(&end, &[], false, patient()).unwrap();
        run
    }

    #[test]
    fn is_stored_once_for_all_runs_that_have_it() {
        with_store(|store| {
            let runs = [("r1", "p", "one"), ("r2", "p", "one"), ("r3", "p", "two"), ("r4", "q", "one")]
                .map(|(run, pipeline, graph)| run_with(store, run, pipeline, graph).graph.unwrap());
            assert_eq!(runs[0], runs[1]);
            assert_eq!(store.count("graphs"), 3);
            let texts: Vec<_> =
                runs.iter().map(|graph| store.graph(*graph, patient()).unwrap().unwrap()).collect();
            assert_eq!(texts, ["one", "one", "two", "one"]);
            assert_eq!(store.graph(99, patient()).unwrap(), None);
        });
    }

    #[test]
    fn is_removed_with_the_last_run_that_has_it() {
        with_store(|store| {
            run_with(store, "other", "q", "one");
            for (n, graph) in ["one", "one", "two", "two", "two"].iter().enumerate() {
                run_with(store, &format!("r{n}"), "p", graph);
            }
            assert_eq!(store.count("graphs WHERE pipeline = 'p'"), 1);
            assert_eq!(store.count("graphs WHERE pipeline = 'q'"), 1);
        });
    }

    #[test]
    fn that_is_damaged_is_none() {
        with_store(|store| {
            let number = run_with(store, "r1", "p", "one").graph.unwrap();
            store.change("UPDATE graphs SET body = 'other'");
            assert_eq!(store.graph(number, patient()).unwrap(), None);
        });
    }
}

mod the_state_of_a_pipeline {
    use super::*;

    fn change(key: &str, value: Option<&str>, written: f64) -> Change {
        let shown = format!("shown {}", value.unwrap_or("nothing"));
        Change { key: key.to_owned(), value: value.map(|value| value.as_bytes().to_vec()), shown, written }
    }

    /// Records a step with what it wrote.
    fn write(store: &TestStore, run: &Run, step: &str, changes: Vec<Change>) {
        let writes = Writes { run: run.id, checkpoint: run.checkpoint, step: step.to_owned(), changes };
        let done = Completion { writes: Some(writes), ..completion(run, 0, step) };
        store.store.record(&[done], b"output", false, patient()).unwrap();
    }

    fn finish(store: &TestStore, run: &Run, status: &str) {
        store.store.finish(&end(run, status), &[], false, patient()).unwrap();
    }

    fn state(store: &TestStore, pipeline: Option<&str>) -> Vec<String> {
        let values = store.state(pipeline, patient()).unwrap();
        let show = |value: &flowline_core::store::Value| {
            let bytes = String::from_utf8(value.value.clone()).unwrap();
            format!("{}.{}={bytes} {} {:?}", value.pipeline, value.key, value.shown, value.run_id.as_deref())
        };
        values.iter().map(show).collect()
    }

    #[test]
    fn has_what_the_steps_of_a_run_wrote_once_it_succeeds() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            write(store, &run, "fetch", vec![change("b", Some("1"), 1.0), change("a", Some("2"), 1.0)]);
            write(store, &run, "load", vec![change("b", Some("3"), 2.0)]);
            assert_eq!(state(store, Some("p")), [""; 0]);
            finish(store, &run, "succeeded");
            assert_eq!(
                state(store, Some("p")),
                [r#"p.a=2 shown 2 Some("r1")"#, r#"p.b=3 shown 3 Some("r1")"#]
            );
            assert_eq!(store.count("writes"), 0);
            store
                .change_state("p", &[change("a", None, 5.0), change("b", Some("4"), 5.0)], patient())
                .unwrap();
            store.change_state("q", &[change("a", Some("5"), 5.0)], patient()).unwrap();
            assert_eq!(state(store, None), ["p.b=4 shown 4 None", "q.a=5 shown 5 None"]);
        });
    }

    #[test]
    fn has_what_a_step_wrote_that_a_later_run_restored() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            write(store, &first, "fetch", vec![change("a", Some("1"), 1.0)]);
            write(store, &first, "stale", vec![change("b", Some("1"), 1.0)]);
            finish(store, &first, "failed");
            assert_eq!(
                (state(store, None), store.writes(first.checkpoint, patient()).unwrap().len()),
                (vec![], 2)
            );
            assert_eq!(store.claim(&first, patient()).unwrap(), flowline_core::store::Claim::Claimed);
            let mut again = resumption("r2", &first);
            again.outdated = vec![("stale".to_owned(), -1..=-1), ("fetch".to_owned(), 3..=3)];
            let second = begun(store.store.begin(&again, false, patient()).unwrap());
            finish(store, &second, "succeeded");
            assert_eq!(state(store, None), [r#"p.a=1 shown 1 Some("r2")"#]);
        });
    }

    #[test]
    fn has_nothing_of_a_run_that_was_given_up() {
        with_store(|store| {
            let first = store.begin("r1", "p", "i");
            write(store, &first, "fetch", vec![change("a", Some("1"), 1.0)]);
            finish(store, &first, "failed");
            let next = store.begin("r2", "p", "i");
            assert_eq!(store.count("writes"), 0, "its checkpoint is cleared");
            finish(store, &next, "succeeded");
            assert_eq!(state(store, None), [""; 0]);
        });
    }

    #[test]
    fn stays_when_its_runs_are_pruned() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            write(store, &run, "fetch", vec![change("a", Some("1"), 1.0)]);
            let end = End { keep: Some(0), ..end(&run, "succeeded") };
            store.store.finish(&end, &[], false, patient()).unwrap();
            assert_eq!((store.count("runs"), state(store, Some("p")).len()), (0, 1));
        });
    }

    #[test]
    fn leaves_out_damaged_values() {
        with_store(|store| {
            let changes = [change("a", Some("1"), 1.0), change("b", Some("1"), 1.0)];
            store.change_state("p", &changes, patient()).unwrap();
            store.change("UPDATE state SET value = x'32' WHERE key = 'a'");
            assert_eq!(state(store, Some("p")), ["p.b=1 shown 1 None"]);
            let run = store.begin("r1", "p", "i");
            write(store, &run, "fetch", vec![change("c", Some("1"), 1.0), change("d", Some("1"), 1.0)]);
            store.change("UPDATE writes SET value = x'32' WHERE key = 'c'");
            finish(store, &run, "succeeded");
            assert_eq!(state(store, Some("p")), ["p.b=1 shown 1 None", r#"p.d=1 shown 1 Some("r1")"#]);
        });
    }
}

mod a_run_that_goes_on {
    use super::*;

    fn request(run: &Run, kind: &str, requested: f64) -> Request {
        Request {
            run: run.id,
            kind: kind.to_owned(),
            requester: "me".to_owned(),
            requested,
            ..Request::default()
        }
    }

    fn lines(step: i64, number: i64, body: &str) -> Lines {
        Lines { step, number, lines: 2, body: body.to_owned(), most: 4 }
    }

    fn logs(store: &TestStore, run: &Run, step: Option<i64>, after: i64) -> Vec<String> {
        let found = store.logs(run.id, step, after, -1, patient()).unwrap();
        found
            .into_iter()
            .map(|(_, lines)| format!("{}:{} {}", lines.step, lines.number, lines.body))
            .collect()
    }

    #[test]
    fn is_shown_and_gets_what_was_asked_of_it() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            assert_eq!(store.shown(run.id, patient()).unwrap(), None);
            assert_eq!(store.show(run.id, 1.0, "one", &[], patient()).unwrap(), []);
            let (now, first) = (request(&run, "cancel_now", 3.0), request(&run, "cancel", 2.0));
            for request in [&now, &first, &request(&run, "cancel", 9.0)] {
                store.ask(request, patient()).unwrap();
            }
            let asked = store.show(run.id, 2.0, "two", &[lines(0, 0, "x")], patient()).unwrap();
            assert_eq!(asked, [first, now], "asking again changes nothing");
            assert_eq!(store.shown(run.id, patient()).unwrap(), Some((2.0, "two".to_owned())));
            assert_eq!(logs(store, &run, None, 0), ["0:0 x"]);
        });
    }

    #[test]
    fn is_not_shown_after_its_end() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.show(run.id, 1.0, "one", &[], patient()).unwrap();
            store.ask(&request(&run, "cancel", 2.0), patient()).unwrap();
            store.finish(&run);
            assert_eq!(store.shown(run.id, patient()).unwrap(), None);
            assert_eq!(store.requests(run.id, patient()).unwrap().len(), 1, "what was asked is history");
        });
    }

    #[test]
    fn is_asked_nothing_if_it_does_not_exist() {
        with_store(|store| {
            assert!(store.ask(&request(&Run { id: 9, ..Run::default() }, "cancel", 2.0), patient()).is_err());
        });
    }

    #[test]
    fn keeps_the_lines_that_come_with_its_end() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            let end = End { lines: vec![lines(0, 0, "x")], ..end(&run, "failed") };
            store.store.finish(&end, &[], false, patient()).unwrap();
            assert_eq!(logs(store, &run, None, 0), ["0:0 x"]);
        });
    }

    #[test]
    fn logs_the_first_and_the_last_lines_of_each_step() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.log(run.id, &[lines(1, 0, "other")], patient()).unwrap();
            for n in 0..8 {
                store.log(run.id, &[lines(0, 2 * n, &format!("line {}", 2 * n))], patient()).unwrap();
            }
            assert_eq!(
                logs(store, &run, Some(0), 0),
                ["0:0 line 0", "0:2 line 2", "0:12 line 12", "0:14 line 14"]
            );
            assert_eq!(logs(store, &run, Some(1), 0), ["1:0 other"]);
            let all = store.logs(run.id, None, 0, -1, patient()).unwrap();
            let last = all[all.len() - 2].0;
            assert_eq!(logs(store, &run, None, last), ["0:14 line 14"], "a reader follows");
        });
    }

    #[test]
    fn loses_damaged_rows_and_no_others() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.log(run.id, &[lines(0, 0, "a"), lines(0, 2, "b")], patient()).unwrap();
            store.ask(&request(&run, "cancel", 1.0), patient()).unwrap();
            store.ask(&request(&run, "cancel_now", 2.0), patient()).unwrap();
            store.show(run.id, 1.0, "one", &[], patient()).unwrap();
            store.change("UPDATE logs SET body = 'x' WHERE number = 0");
            store.change("UPDATE requests SET requested = 0.5 WHERE kind = 'cancel'");
            store.change("UPDATE live SET body = 'x'");
            assert_eq!(logs(store, &run, None, 0), ["0:2 b"]);
            assert_eq!(store.requests(run.id, patient()).unwrap(), [request(&run, "cancel_now", 2.0)]);
            assert_eq!(store.shown(run.id, patient()).unwrap(), None);
        });
    }

    #[test]
    fn is_pruned_with_everything_that_it_has() {
        with_store(|store| {
            let run = store.begin("r1", "p", "i");
            store.store.record(&[completion(&run, 0, "a")], b"output", false, patient()).unwrap();
            store.show(run.id, 1.0, "one", &[lines(0, 0, "x")], patient()).unwrap();
            store.ask(&request(&run, "cancel", 2.0), patient()).unwrap();
            let end = End { keep: Some(0), ..end(&run, "failed") };
            store.store.finish(&end, &[], false, patient()).unwrap();
            for table in ["runs", "steps", "records", "live", "requests", "logs", "graphs"] {
                assert_eq!(store.count(table), 0, "{table}");
            }
        });
    }
}
