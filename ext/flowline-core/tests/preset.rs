//! Runs of which some steps have ended before they begin, and runs whose time is limited.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

use std::sync::Arc;

use flowline_core::event::{CancelReason, Next, OnError, Outcome, Report, SkipReason, Status};
use flowline_core::graph::{Graph, Rule, RunIf, StepId};
use flowline_core::run::Run;

const UNSELECTED: Outcome = Outcome::Skipped(SkipReason::NotSelected);

fn graph(steps: usize, edges: &[(StepId, StepId)]) -> Arc<Graph> {
    Arc::new(Graph::new(vec![Rule::default(); steps], edges.iter().copied()).unwrap())
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

/// Vigna's splitmix64.
fn random(seed: &mut u64, below: u64) -> u64 {
    *seed = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *seed;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (mixed ^ (mixed >> 31)) % below
}

/// Any selection runs as a whole if what it gets from others is restored, whatever became of those before them.
#[test]
fn a_selection_runs_on_restored_inputs() {
    for case in 0..10_000 {
        let mut seed = case;
        let steps = 1 + random(&mut seed, 12) as usize;
        let mut edges = Vec::new();
        for to in 1..steps as StepId {
            for from in 0..to {
                if random(&mut seed, 3) == 0 {
                    edges.push((from, to));
                }
            }
        }
        let selected: Vec<bool> = (0..steps).map(|_| random(&mut seed, 2) == 0).collect();
        let needed = |step: StepId| edges.iter().any(|&(from, to)| from == step && selected[to as usize]);
        let expected = |step: StepId| match (selected[step as usize], needed(step)) {
            (true, _) => None,
            (false, true) => Some(Outcome::Restored),
            (false, false) => Some(UNSELECTED),
        };
        let mut run = Run::new(graph(steps, &edges), OnError::Stop);
        run.preset(expected, 0);
        let mut told = run.take_passed_over();
        told.sort_unstable();
        let preset: Vec<StepId> = (0..steps as StepId).filter(|&step| expected(step).is_some()).collect();
        assert_eq!(told, preset, "case {case}");
        let mut ran = finish(&mut run, 1);
        ran.sort_unstable();
        let wanted: Vec<StepId> = (0..steps as StepId).filter(|&step| selected[step as usize]).collect();
        assert_eq!(ran, wanted, "case {case}");
        assert!(run.take_passed_over().is_empty(), "case {case}");
        for step in 0..steps as StepId {
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
    run.preset(|_| Some(Outcome::Restored), 5);
    assert_eq!((run.next(5), run.ended(), run.status()), (Next::Done, 3, Status::Succeeded));
    assert_eq!((run.attempts(0), run.timing(0)), (0, None));
}

#[test]
fn what_an_unselected_step_leads_to_is_skipped_unless_it_is_preset() {
    let mut run = Run::new(graph(2, &[(0, 1)]), OnError::Stop);
    run.preset(|step| (step == 0).then_some(UNSELECTED), 0);
    assert_eq!(run.outcome(1), Some(Outcome::Skipped(SkipReason::UpstreamSkipped)));
}

#[test]
fn time_ends_what_has_not_started() {
    let mut run = Run::new(graph(2, &[(0, 1)]), OnError::Stop);
    run.limit(10);
    assert_eq!(run.next(0), Next::Start(0));
    assert_eq!(run.next(9), Next::Wait(Some(10)), "it is time to look again when time is up");
    assert!(!run.is_stopped());
    assert_eq!(run.next(10), Next::Wait(None), "what runs is still reported on");
    assert!(run.is_stopped());
    run.report(0, Report::Ended(Outcome::Succeeded), 12).unwrap();
    assert_eq!(run.outcome(1), Some(Outcome::Cancelled(CancelReason::RunTimedOut)));
    assert_eq!((run.next(12), run.status()), (Next::Done, Status::TimedOut));
}

#[test]
fn a_wait_is_no_longer_than_the_time_left() {
    let mut run = Run::new(graph(1, &[]), OnError::Stop);
    run.limit(10);
    run.next(0);
    run.report(0, Report::RetryAt(50), 1).unwrap();
    assert_eq!(run.next(1), Next::Wait(Some(10)));
    assert_eq!(run.next(10), Next::Done);
    assert_eq!(run.outcome(0), Some(Outcome::Cancelled(CancelReason::RunTimedOut)));
}

#[test]
fn steps_that_run_always_do_so_when_time_is_up() {
    let rules = vec![Rule::default(), Rule { run_if: RunIf::Always, optional: false }];
    let mut run = Run::new(Arc::new(Graph::new(rules, [(0, 1)]).unwrap()), OnError::Stop);
    run.limit(10);
    assert_eq!(run.next(20), Next::Start(1));
    run.report(1, Report::Ended(Outcome::Succeeded), 21).unwrap();
    assert_eq!((run.next(99), run.status()), (Next::Done, Status::TimedOut));
}
