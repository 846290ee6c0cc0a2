//! Journals: what is written, what is read, and everything that is refused.

use std::collections::HashMap;
use std::sync::Arc;

use crate::common::script::view;
use crate::common::{events, for_each_seed, graph, item, nth, pool};
use flowline_core::event::Outcome::{Failed, Restored, Skipped, Succeeded};
use flowline_core::event::Report::{Ended, RetryAt};
use flowline_core::event::SkipReason::NotSelected;
use flowline_core::event::{Event, ItemReport, Next, OnError, OnItemError, RunError, Stop};
use flowline_core::graph::Graph;
use flowline_core::journal::{JournalError, Reader};
use flowline_core::resources::Needs;
use flowline_core::run::Run;

const STEPS: &str = "a; m: a; b: m | optional; c | always";

fn run_of(graph: Arc<Graph>) -> Run {
    let mut run = Run::new(graph, OnError::Continue);
    run.keep_journal().unwrap();
    run
}

/// A run in which everything happens that can, and its journal.
fn eventful() -> (Arc<Graph>, Run, Vec<u8>) {
    let graph = graph(STEPS).graph;
    let mut run = run_of(graph.clone());
    run.limit(1_000);
    let needs = Needs { pools: vec![(pool(0), 1)], rate: Some((2, 50)) };
    run.share(&[1, 300], HashMap::from([(nth(1), needs)])).unwrap();
    run.expect(&[Some(1.5), None, Some(f64::INFINITY)]).unwrap();
    run.preset(|step| (step == nth(0)).then_some(Restored), 1).unwrap();
    assert_eq!((run.next(2), run.next(2)), (Next::Start(nth(1)), Next::Start(nth(3))));
    run.open(nth(1), 2, OnItemError::FailAt(300), 3).unwrap();
    run.supply(nth(1), 2);
    run.exhaust(nth(1));
    assert_eq!(run.next(300), Next::Start(nth(1)));
    assert_eq!(run.take(nth(1)), Some(item(0)));
    run.begin(nth(1), 301).unwrap();
    assert_eq!(run.next(303), Next::Wait(Some(1_000)));
    run.report(nth(3), RetryAt(400), 304).unwrap();
    run.report_item(nth(1), ItemReport::RetryAt(item(0), 500), true, 305).unwrap();
    run.stop(Stop::Interrupted, true, 306);
    let journal = run.take_events();
    (graph, run, journal)
}

fn assert_same(run: &mut Run, other: &mut Run, steps: usize, now: u64) {
    assert_eq!(view(run, steps, now), view(other, steps, now));
    assert_eq!(run.next(now), other.next(now));
    assert_eq!(view(run, steps, now), view(other, steps, now));
}

mod a_journal {
    use super::*;

    #[test]
    fn holds_every_call_and_every_decision_in_order() {
        let (_, _, journal) = eventful();
        let needs = Needs { pools: vec![(pool(0), 1)], rate: Some((2, 50)) };
        assert_eq!(
            events(&journal),
            [
                Event::Limited { deadline: 1_000 },
                Event::Shared { pools: vec![1, 300], needs: vec![(nth(1), needs)] },
                Event::Expected { seconds: vec![Some(1.5), None, Some(f64::INFINITY)] },
                Event::Preset { outcomes: vec![(nth(0), Restored)], at: 1 },
                Event::Started { step: nth(1), at: 2 },
                Event::Started { step: nth(3), at: 2 },
                Event::Opened { step: nth(1), most: 2, on_error: OnItemError::FailAt(300), at: 3 },
                Event::Supplied { step: nth(1), count: 2 },
                Event::Exhausted { step: nth(1) },
                Event::Started { step: nth(1), at: 300 },
                Event::Taken { step: nth(1), position: item(0) },
                Event::Began { step: nth(1), at: 301 },
                Event::Waited { at: 303 },
                Event::Reported { step: nth(3), report: RetryAt(400), at: 304 },
                Event::Item {
                    step: nth(1),
                    report: ItemReport::RetryAt(item(0), 500),
                    called: true,
                    at: 305
                },
                Event::Stopped { stop: Stop::Interrupted, entirely: true, at: 306 },
            ]
        );
    }

    /// Its format is a promise: a change of these bytes needs another version.
    #[test]
    fn is_written_and_read_as_it_was_in_version_2() {
        let (graph, mut run, journal) = eventful();
        let hex: String = journal.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, include_str!("fixtures/journal_2.hex").trim());
        assert_same(&mut Run::replay(graph, &journal).unwrap(), &mut run, 4, 700);
    }

    #[test]
    fn of_a_failure_and_a_time_limit_says_when_the_run_was_stopped() {
        let mut run = Run::new(graph("a; b").graph, OnError::Stop);
        run.keep_journal().unwrap();
        assert_eq!(run.next(1), Next::Start(nth(0)));
        run.report(nth(0), Ended(Failed), 2).unwrap();
        let stopped = |stop, at| Event::Stopped { stop, entirely: false, at };
        assert_eq!(events(&run.take_events()).last(), Some(&stopped(Stop::Failed, 2)));

        let mut run = run_of(graph("a; b").graph);
        run.limit(5);
        assert_eq!(run.next(6), Next::Done);
        let waited = Event::Waited { at: 6 };
        assert_eq!(events(&run.take_events())[1..], [stopped(Stop::TimedOut, 6), waited]);
    }

    #[test]
    fn has_no_event_for_a_call_that_changes_nothing_or_is_refused() {
        let mut run = run_of(graph("a; b: a").graph);
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!(run.next(1), Next::Wait(None));
        let before = events(&run.take_events()).len();
        assert_eq!((before, run.take_events()), (1, vec![]));
        run.next(2);
        run.supply(nth(0), 1);
        run.exhaust(nth(1));
        run.take(nth(0));
        run.begin(nth(1), 3).unwrap_err();
        run.report(nth(1), Ended(Succeeded), 3).unwrap_err();
        run.report_item(nth(0), ItemReport::Done, true, 3).unwrap_err();
        run.open(nth(7), 1, OnItemError::Collect, 3).unwrap_err();
        run.share(&[1], HashMap::new()).unwrap_err();
        run.expect(&[]).unwrap_err();
        run.preset(|_| Some(Restored), 3).unwrap_err();
        assert_eq!(run.take_events(), []);
    }

    #[test]
    fn may_be_taken_in_any_portions() {
        let (graph, ..) = eventful();
        let mut run = run_of(graph.clone());
        let mut journal = run.take_events();
        Run::replay(graph.clone(), &journal).unwrap();
        for now in 0..9 {
            run.limit(1_000 + now);
            journal.extend(run.take_events());
            journal.extend(run.take_events());
            Run::replay(graph.clone(), &journal).unwrap();
        }
        assert_eq!(events(&journal).len(), 9);
    }

    #[test]
    fn is_continued_by_a_replayed_run() {
        let (graph, _, mut journal) = eventful();
        let mut replayed = Run::replay(graph.clone(), &journal).unwrap();
        assert_eq!((replayed.take_events(), replayed.last_event_at()), (vec![], 306));
        assert_eq!(replayed.keep_journal(), Ok(()));
        replayed.limit(77);
        journal.extend(replayed.take_events());
        let mut again = Run::replay(graph, &journal).unwrap();
        assert_eq!(events(&journal).len(), 17);
        assert_same(&mut again, &mut replayed, 4, 900);
    }

    #[test]
    fn is_off_unless_it_is_asked_for_before_the_first_event() {
        let mut run = Run::new(graph("a").graph, OnError::Stop);
        assert_eq!(run.take_events(), []);
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!((run.keep_journal(), run.take_events()), (Err(RunError::Begun), vec![]));
        let mut run = run_of(graph("a").graph);
        assert_eq!(run.keep_journal(), Ok(()), "it is on already");
    }

    #[test]
    fn takes_few_bytes_for_a_step() {
        let text: String = (0..100).map(|step| format!("s{step};")).collect();
        let mut run = run_of(graph(&text).graph);
        let header = run.take_events().len();
        for step in 0..100 {
            let now = u64::from(step) * 50_000;
            assert_eq!(run.next(now), Next::Start(nth(step)));
            run.report(nth(step), Ended(Succeeded), now + 20_000).unwrap();
        }
        let size = run.take_events().len();
        assert!((header, size) <= (49, 1_200), "{header} and {size} bytes");
    }
}

mod setting_up {
    use super::*;

    #[test]
    fn is_refused_once_the_run_was_asked_what_to_start() {
        let mut run = Run::new(graph("a").graph, OnError::Stop);
        run.next(0);
        assert_eq!(run.share(&[1], HashMap::new()), Err(RunError::Begun));
        assert_eq!(run.expect(&[Some(1.0)]), Err(RunError::Begun));
        assert_eq!(run.preset(|_| Some(Restored), 0), Err(RunError::Begun));
    }

    #[test]
    fn refuses_steps_and_pools_that_do_not_exist() {
        let needs =
            |pools: &[u32]| Needs { pools: pools.iter().map(|&n| (pool(n), 1)).collect(), rate: None };
        let mut run = Run::new(graph("a").graph, OnError::Stop);
        assert_eq!(run.share(&[1], [(nth(1), needs(&[]))].into()), Err(RunError::UnknownStep(nth(1))));
        assert_eq!(run.share(&[1], [(nth(0), needs(&[0, 1]))].into()), Err(RunError::UnknownPool(pool(1))));
        assert_eq!(run.next(0), Next::Start(nth(0)), "nothing was shared");
    }

    #[test]
    fn adds_up_what_a_step_needs_of_one_pool() {
        let mut run = Run::new(graph("a; b").graph, OnError::Stop);
        let needs = Needs { pools: vec![(pool(0), 1), (pool(0), 1)], rate: None };
        run.share(&[3], [(nth(0), needs.clone()), (nth(1), needs)].into()).unwrap();
        assert_eq!((run.next(0), run.next(0)), (Next::Start(nth(0)), Next::Wait(None)));
        run.report(nth(0), Ended(Succeeded), 1).unwrap();
        assert_eq!(run.next(1), Next::Start(nth(1)));
    }

    #[test]
    fn ends_each_preset_step_once_however_presets_affect_each_other() {
        let mut run = Run::new(graph("a; b; c: a b").graph, OnError::Stop);
        run.preset(|step| Some([Failed, Succeeded, Skipped(NotSelected)][step.index()]), 1).unwrap();
        run.preset(|_| Some(Restored), 2).unwrap();
        assert_eq!((run.ended(), run.next(3)), (3, Next::Done));
        let mut drained = run.drain_ended();
        drained.sort_unstable();
        assert_eq!(drained, [nth(0), nth(1), nth(2)]);
    }
}

mod replaying {
    use super::*;

    #[track_caller]
    fn refused(graph: &Arc<Graph>, journal: &[u8]) -> JournalError {
        Run::replay(graph.clone(), journal).expect_err("it is refused")
    }

    #[test]
    fn with_another_graph_is_refused_and_says_so() {
        let (_, _, journal) = eventful();
        let others = [
            "a; m: a; b: m; c | always",              // Another option,
            "a; m: a; b: m a | optional; c | always", // edge,
            "a; n: a; b: n | optional; c | always",   // name,
            "a; m: a; b: m | optional",               // number of steps.
            "",
        ];
        for other in others {
            assert_eq!(refused(&graph(other).graph, &journal), JournalError::OtherGraph, "{other}");
        }
        assert!(JournalError::OtherGraph.to_string().contains("another graph"));
        assert!(Run::replay(graph(STEPS).graph, &journal).is_ok(), "the same graph, built again");
    }

    #[test]
    fn of_other_bytes_or_another_version_is_refused() {
        let (graph, _, mut journal) = eventful();
        for other in [&b""[..], b"FLOWLINE", b"{}", b"SQLite format 3"] {
            assert_eq!(refused(&graph, other), JournalError::NotAJournal);
        }
        journal[7] = 1;
        assert_eq!(refused(&graph, &journal), JournalError::Version(1));
        assert_eq!(
            JournalError::Version(1).to_string(),
            "the journal has format version 1, and this version of Flowline reads 2"
        );
    }

    #[test]
    fn of_a_journal_cut_anywhere_is_refused_unless_a_portion_ends_there() {
        let (graph, mut run, mut journal) = eventful();
        let mut ends = vec![run_of(graph.clone()).take_events().len(), journal.len()];
        for limit in [2_000, 3_000] {
            run.limit(limit);
            journal.extend(run.take_events());
            ends.push(journal.len());
        }
        for end in 0..=journal.len() {
            let replayed = Run::replay(graph.clone(), &journal[..end]);
            assert_eq!(replayed.is_ok(), ends.contains(&end), "{end} of {ends:?}");
            let expected = end > 0 && !ends.contains(&end);
            let incomplete = matches!(replayed, Err(JournalError::Incomplete(_)));
            assert_eq!(incomplete, expected, "{end}: {:?}", replayed.err());
        }
    }

    #[test]
    fn of_a_journal_with_any_byte_changed_is_refused() {
        let (graph, _, journal) = eventful();
        for position in 0..journal.len() {
            for flip in [1, 0x80, 0xFF] {
                let mut damaged = journal.clone();
                damaged[position] ^= flip;
                assert!(Run::replay(graph.clone(), &damaged).is_err(), "byte {position}");
            }
        }
    }

    #[test]
    fn of_portions_that_are_missing_twice_there_or_out_of_order_is_refused() {
        let (graph, mut run, first) = eventful();
        let header = run_of(graph.clone()).take_events().len();
        run.limit(2_000);
        let second = run.take_events();
        run.limit(3_000);
        let third = run.take_events();
        let (header, first) = first.split_at(header);
        let whole = [header, first, &second, &third].concat();
        assert!(Run::replay(graph.clone(), &whole).is_ok());
        let damaged = |parts: &[&[u8]]| {
            assert!(matches!(refused(&graph, &parts.concat()), JournalError::Damaged(_)));
        };
        damaged(&[header, first, &third]);
        damaged(&[header, &second, first, &third]);
        damaged(&[header, first, &second, &second, &third]);
        damaged(&[header, header, first, &second, &third]);
    }

    #[test]
    fn of_events_that_do_not_fit_is_refused_with_the_first_of_them() {
        let started = |step, at| Event::Started { step: nth(step), at };
        let check = |events: &[Event], error: RunError| {
            let named = graph("a; b; c: a");
            assert_eq!(
                crate::common::replay(named.graph, OnError::Stop, events.to_vec()).unwrap_err(),
                error
            );
        };
        check(&[started(1, 0)], RunError::NotNext(nth(1)));
        check(&[started(2, 0)], RunError::NotReady(nth(2)));
        check(&[Event::Waited { at: 0 }], RunError::NothingToWaitFor(nth(0)));
        check(&[started(0, 0), Event::Waited { at: 0 }], RunError::NothingToWaitFor(nth(1)));
        check(&[Event::Preset { outcomes: vec![(nth(9), Restored)], at: 0 }], RunError::UnknownStep(nth(9)));
        check(&[started(0, 0), Event::Expected { seconds: vec![] }], RunError::Begun);
        check(&[started(0, 0), Event::Shared { pools: vec![], needs: vec![] }], RunError::Begun);
    }

    #[test]
    fn leaves_a_run_as_it_was_when_a_start_is_refused() {
        let mut run = Run::new(graph("a; b; c: a").graph, OnError::Stop);
        assert_eq!(run.apply(Event::Started { step: nth(1), at: 5 }), Err(RunError::NotNext(nth(1))));
        assert_eq!(run.apply(Event::Waited { at: 5 }), Err(RunError::NothingToWaitFor(nth(0))));
        assert_eq!((run.next(5), run.next(5)), (Next::Start(nth(0)), Next::Start(nth(1))));
    }
}

mod reading {
    use super::*;

    /// Reads it all, and never panics.
    fn read(graph: &Arc<Graph>, bytes: &[u8]) {
        if let Ok(reader) = Reader::new(bytes) {
            assert!(reader.take(bytes.len() + 1).count() <= bytes.len());
        }
        let _ = Run::replay(graph.clone(), bytes);
    }

    #[test]
    fn of_bytes_at_random_is_an_ordinary_error() {
        let (graph, _, journal) = eventful();
        let header = run_of(graph.clone()).take_events().len();
        for_each_seed(20_000, |random| {
            let mut bytes = match random.below(3) {
                0 => vec![],
                1 => journal[..header].to_vec(),
                _ => journal[..random.below(journal.len())].to_vec(),
            };
            bytes.extend((0..random.below(60)).map(|_| random.next() as u8));
            read(&graph, &bytes);
        });
    }

    /// Damage that the seals do not find: the bytes of events are random, and sealed.
    #[test]
    fn of_sealed_events_at_random_is_an_ordinary_error() {
        let (graph, _, journal) = eventful();
        let header = run_of(graph.clone()).take_events();
        let frame = &journal[header.len()..];
        let valid = &frame[1..frame.len() - 8];
        let mut replayed = 0;
        for_each_seed(40_000, |random| {
            let mut events: Vec<u8> = match random.below(3) {
                0 => (0..1 + random.below(40)).map(|_| random.next() as u8).collect(),
                // Mostly tags and small numbers.
                1 => (0..1 + random.below(120)).map(|_| random.below(16) as u8).collect(),
                _ => valid.to_vec(),
            };
            for _ in 0..random.below(4) {
                let position = random.below(events.len());
                events[position] = random.pick(&[0, 1, 2, 3, 127, 128, 255]);
            }
            let digest = blake3::Hasher::new().update(&header[header.len() - 8..]).update(&events).finalize();
            let mut bytes = header.clone();
            match events.len() {
                length @ 0..128 => bytes.push(length as u8),
                length => bytes.extend([length as u8 | 0x80, (length >> 7) as u8]),
            }
            bytes.extend_from_slice(&events);
            bytes.extend_from_slice(&digest.as_bytes()[..8]);
            read(&graph, &bytes);
            if let Ok(mut run) = Run::replay(graph.clone(), &bytes) {
                replayed += 1;
                for now in [0, 1, 500, u64::MAX] {
                    while let Next::Start(step) = run.next(now) {
                        let _ = run.take(step);
                        let _ = run.report(step, Ended(Succeeded), now);
                    }
                }
            }
        });
        assert!(std::env::var("FLOWLINE_SEED").is_ok() || replayed > 100, "{replayed} fitted");
    }
}
