//! How a run goes on, for those who watch it.

use crate::common::{graph, item, nth, pool};
use flowline_core::event::OnItemError::Collect;
use flowline_core::event::Outcome::Succeeded;
use flowline_core::event::Report::{Ended, RetryAt};
use flowline_core::event::{ItemCounts, ItemReport, Next, Obstacle, OnError, State};
use flowline_core::resources::Needs;
use flowline_core::run::Run;

const MS: u64 = 1_000_000;

fn run(text: &str) -> Run {
    Run::new(graph(text).graph, OnError::Stop)
}

fn watched(text: &str) -> Run {
    let mut run = run(text);
    run.watch();
    run
}

mod waits {
    use super::*;

    #[test]
    fn are_told_of_steps_for_which_there_is_no_worker() {
        let mut run = watched("a; b; c: a");
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!(run.waits(0), [(nth(1), State::Ready)]);
        assert_eq!(run.waits(1), []);
        run.report(nth(0), Ended(Succeeded), 2).unwrap();
        assert_eq!(run.waits(2), [(nth(2), State::Ready)]);
    }

    #[test]
    fn are_not_told_of_steps_that_have_started_meanwhile() {
        let mut run = watched("a; b: a");
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.report(nth(0), Ended(Succeeded), 1).unwrap();
        assert_eq!(run.next(1), Next::Start(nth(1)));
        assert_eq!(run.waits(1), []);
    }

    #[test]
    fn say_until_when_a_step_waits_for_its_next_attempt() {
        let mut run = watched("a");
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.report(nth(0), RetryAt(50), 10).unwrap();
        assert_eq!(run.waits(10), [(nth(0), State::Retry(50))]);
        assert_eq!(run.next(50), Next::Start(nth(0)));
        assert_eq!(run.waits(50), []);
    }

    #[test]
    fn say_for_which_pool_and_for_which_time_of_a_rate() {
        let mut run = run("a; b; c");
        let needs = |pools, rate| Needs { pools, rate };
        let mut all = std::collections::HashMap::new();
        all.insert(nth(0), needs(vec![(pool(0), 1)], None));
        all.insert(nth(1), needs(vec![(pool(0), 1)], None));
        all.insert(nth(2), needs(vec![], Some((1, 100))));
        run.share(&[1], all).unwrap();
        run.watch();
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!(run.next(0), Next::Start(nth(2)));
        assert_eq!(run.waits(0), [(nth(1), State::Resource(Obstacle::Pool(pool(0))))]);
        run.begin(nth(2), 5).unwrap();
        run.report(nth(2), RetryAt(6), 6).unwrap();
        assert_eq!(run.waits(6), [(nth(2), State::Resource(Obstacle::Rate(105)))]);
    }

    #[test]
    fn are_told_of_a_step_whose_other_items_wait_once_none_is_in_flight() {
        let mut run = run("m");
        let rate = Needs { pools: vec![], rate: Some((1, 100)) };
        run.share(&[], std::collections::HashMap::from([(nth(0), rate)])).unwrap();
        run.watch();
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.open(nth(0), 2, Collect, 0).unwrap();
        run.supply(nth(0), 2);
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.take(nth(0)).unwrap();
        run.begin(nth(0), 0).unwrap();
        assert_eq!(run.next(0), Next::Wait(Some(100)));
        assert_eq!(run.waits(0), []);
        run.report_item(nth(0), ItemReport::Done, true, 5).unwrap();
        assert_eq!(run.waits(5), [(nth(0), State::Resource(Obstacle::Rate(100)))]);
    }

    #[test]
    fn are_collected_for_those_who_watch_only() {
        let mut run = run("a; b");
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!(run.waits(0), []);
        assert_eq!(run.waits(0), []);
    }
}

mod progress {
    use super::*;

    fn open(count: u64) -> Run {
        let mut run = run("m");
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.open(nth(0), 1, Collect, 0).unwrap();
        run.supply(nth(0), count);
        run.exhaust(nth(0));
        run
    }

    fn end_one(run: &mut Run, report: ItemReport, now: u64) {
        assert_eq!(run.next(now), Next::Start(nth(0)));
        run.take(nth(0)).unwrap();
        run.report_item(nth(0), report, true, now).unwrap();
    }

    #[test]
    fn is_shown_at_once_and_then_every_200_ms() {
        let mut run = open(9);
        end_one(&mut run, ItemReport::Done, 10 * MS);
        let one = ItemCounts { done: 1, ..ItemCounts::default() };
        assert_eq!(run.progress(nth(0), 10 * MS), Some(one));
        end_one(&mut run, ItemReport::Failed, 11 * MS);
        assert_eq!(run.progress(nth(0), 209 * MS), None);
        assert_eq!(run.progress(nth(0), 210 * MS), Some(ItemCounts { failed: 1, ..one }));
    }

    #[test]
    fn is_not_shown_again_if_nothing_has_changed() {
        let mut run = open(2);
        assert_eq!(run.progress(nth(0), 0), None);
        end_one(&mut run, ItemReport::Restored, MS);
        assert!(run.progress(nth(0), MS).is_some());
        assert_eq!(run.progress(nth(0), 900 * MS), None);
    }

    #[test]
    fn counts_retries() {
        let mut run = open(1);
        end_one(&mut run, ItemReport::RetryAt(item(0), MS), 0);
        assert_eq!(run.progress(nth(0), MS), Some(ItemCounts { retries: 1, ..ItemCounts::default() }));
    }

    #[test]
    fn is_shown_of_open_steps_only() {
        assert_eq!(run("a").progress(nth(0), 0), None);
    }
}

mod open_steps {
    use super::*;

    #[test]
    fn are_the_running_ones_then_those_that_wait_then_some_that_wait_for_a_worker() {
        let mut run = run("a; b; c: b; d; e: d");
        assert_eq!(run.next(0), Next::Start(nth(1)));
        let states =
            |steps: &[(u32, State)]| steps.iter().map(|&(id, state)| (nth(id), state)).collect::<Vec<_>>();
        let all = states(&[(1, State::Running), (0, State::Ready), (3, State::Ready)]);
        assert_eq!(run.open_steps(9, 9, 0), (all.clone(), 3));
        assert_eq!(run.open_steps(9, 1, 0), (all.iter().take(2).copied().collect(), 3));
        assert_eq!(run.open_steps(1, 9, 0), (all.iter().take(1).copied().collect(), 3));
        run.report(nth(1), RetryAt(50), 1).unwrap();
        let waiting = states(&[(1, State::Retry(50)), (0, State::Ready)]);
        assert_eq!(run.open_steps(9, 1, 1), (waiting, 3));
    }
}
