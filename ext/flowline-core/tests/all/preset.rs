//! Runs of which some steps have ended before they begin, and runs whose time is limited.

use std::sync::Arc;

use crate::common::{Random, nth};
use flowline_core::event::{CancelReason, Next, OnError, Outcome, Report, SkipReason, Status};
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::StepId;
use flowline_core::run::Run;

const UNSELECTED: Outcome = Outcome::Skipped(SkipReason::NotSelected);

fn graph(steps: usize, edges: &[(u32, u32)]) -> Arc<Graph> {
    let edges = edges.iter().map(|&(from, to)| (nth(from), nth(to)));
    Arc::new(Graph::new(vec![Rule::default(); steps], edges).unwrap())
}

fn finish(run: &mut Run, now: u64) -> Vec<StepId> {
    let mut ran = Vec::new();
    loop {
        match run.next(now) {
            Next::Start(step) => {
                ran.push(step);
                run.report(step, Report::Ended(Outcome::Succeeded), now).unwrap();
            }
            Next::Done => return ran,
            Next::Wait(_) => panic!("waits for nothing"),
        }
    }
}

/// Any selection runs as a whole if what it gets from others is restored, whatever became of those before them.
#[test]
fn a_selection_runs_on_restored_inputs() {
    for case in 0..10_000 {
        let mut random = Random(case);
        let steps = 1 + random.below(12);
        let mut edges = Vec::new();
        for to in 1..steps as u32 {
            for from in 0..to {
                if random.below(3) == 0 {
                    edges.push((from, to));
                }
            }
        }
        let selected: Vec<bool> = (0..steps).map(|_| random.below(2) == 0).collect();
        let needed =
            |step: StepId| edges.iter().any(|&(from, to)| nth(from) == step && selected[to as usize]);
        let expected = |step: StepId| match (selected[step.index()], needed(step)) {
            (true, _) => None,
            (false, true) => Some(Outcome::Restored),
            (false, false) => Some(UNSELECTED),
        };
        let mut run = Run::new(graph(steps, &edges), OnError::Stop);
        run.preset(expected, 0).unwrap();
        let mut drained = run.drain_ended();
        drained.sort_unstable();
        let preset: Vec<StepId> = StepId::first(steps).filter(|&step| expected(step).is_some()).collect();
        assert_eq!(drained, preset, "case {case}");
        let mut ran = finish(&mut run, 1);
        ran.sort_unstable();
        let wanted: Vec<StepId> = StepId::first(steps).filter(|&step| selected[step.index()]).collect();
        assert_eq!(ran, wanted, "case {case}");
        assert!(run.drain_ended().is_empty(), "case {case}");
        for step in StepId::first(steps) {
            assert_eq!(
                run.outcome(step),
                expected(step).or(Some(Outcome::Succeeded)),
                "case {case}, step {step}"
            );
        }
        assert_eq!(run.status(), Status::Succeeded, "case {case}");
    }
}

#[test]
fn a_run_of_which_all_is_restored_has_ended() {
    let mut run = Run::new(graph(3, &[(0, 1), (1, 2)]), OnError::Stop);
    run.preset(|_| Some(Outcome::Restored), 5).unwrap();
    assert_eq!((run.next(5), run.ended(), run.status()), (Next::Done, 3, Status::Succeeded));
    assert_eq!((run.attempts(nth(0)), run.timing(nth(0))), (0, None));
}

#[test]
fn what_an_unselected_step_leads_to_is_skipped_unless_it_is_preset() {
    let mut run = Run::new(graph(2, &[(0, 1)]), OnError::Stop);
    run.preset(|step| (step == nth(0)).then_some(UNSELECTED), 0).unwrap();
    assert_eq!(run.outcome(nth(1)), Some(Outcome::Skipped(SkipReason::UpstreamSkipped)));
}

#[test]
fn time_ends_what_has_not_started() {
    let mut run = Run::new(graph(2, &[(0, 1)]), OnError::Stop);
    run.limit(10);
    assert_eq!(run.next(0), Next::Start(nth(0)));
    assert_eq!(run.next(9), Next::Wait(Some(10)), "it is time to look again when time is up");
    assert!(!run.is_stopped());
    assert_eq!(run.next(10), Next::Wait(None), "what runs is still reported on");
    assert!(run.is_stopped());
    run.report(nth(0), Report::Ended(Outcome::Succeeded), 12).unwrap();
    assert_eq!(run.outcome(nth(1)), Some(Outcome::Cancelled(CancelReason::RunTimedOut)));
    assert_eq!((run.next(12), run.status()), (Next::Done, Status::TimedOut));
}

#[test]
fn a_wait_is_no_longer_than_the_time_left() {
    let mut run = Run::new(graph(1, &[]), OnError::Stop);
    run.limit(10);
    run.next(0);
    run.report(nth(0), Report::RetryAt(50), 1).unwrap();
    assert_eq!(run.next(1), Next::Wait(Some(10)));
    assert_eq!(run.next(10), Next::Done);
    assert_eq!(run.outcome(nth(0)), Some(Outcome::Failed));
}

#[test]
fn steps_that_run_always_do_so_when_time_is_up() {
    let rules = vec![Rule::default(), Rule { run_if: RunIf::Always, ..Rule::default() }];
    let mut run = Run::new(Arc::new(Graph::new(rules, [(nth(0), nth(1))]).unwrap()), OnError::Stop);
    run.limit(10);
    assert_eq!(run.next(20), Next::Start(nth(1)));
    run.report(nth(1), Report::Ended(Outcome::Succeeded), 21).unwrap();
    assert_eq!((run.next(99), run.status()), (Next::Done, Status::TimedOut));
}
