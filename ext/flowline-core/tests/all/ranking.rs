//! Which step comes first when the time that steps take is known: of some of them, or all.

use std::sync::Arc;

use crate::common::script::{STOP, check};
use crate::common::{Random, for_each_seed, graph, nth, nths};
use flowline_core::event::Outcome::{Restored, Succeeded};
use flowline_core::event::Report::{Ended, RetryAt};
use flowline_core::event::{Next, OnError};
use flowline_core::graph::{Graph, Rule};
use flowline_core::ids::{Rank, StepId};
use flowline_core::ranking::Ranking;
use flowline_core::run::Run;

const CASES: u64 = 10_000;

type Edges = Vec<(usize, usize)>;

mod expected_times {
    use super::*;

    #[test]
    fn let_the_longest_path_in_time_come_first() {
        check(
            STOP,
            "a | seconds=1; a2: a | seconds=1; a3: a2 | seconds=1; b | seconds=10; c | seconds=2; c2: c | seconds=3",
            "starts b c a
             waits
             a ok
             c ok
             starts c2 a2
             waits",
        );
    }

    #[test]
    fn count_the_longest_of_several_ways_on() {
        check(
            STOP,
            "a | seconds=1; quick: a | seconds=1; slow: a | seconds=7; b | seconds=7; last: quick slow | seconds=1",
            "starts a b\n a ok\n starts slow quick\n waits",
        );
    }

    #[test]
    fn that_are_not_known_count_as_the_average_of_those_that_are() {
        // Four on average: `b` takes longer than `c`, less than `a`.
        check(STOP, "c | seconds=3; b; a | seconds=5", "starts a b c\n waits");
        check(STOP, "c | seconds=4; b; a | seconds=4", "starts c b a\n waits");
    }

    #[test]
    fn that_are_equal_leave_the_order_of_the_graph() {
        // As long in time, `b` has more steps to come.
        check(
            STOP,
            "a | seconds=6; b | seconds=2; b2: b | seconds=2; b3: b2 | seconds=2; c | seconds=6",
            "starts b a c\n waits",
        );
        check(STOP, "a | seconds=0; b | seconds=0; c: b | seconds=0", "starts b a\n waits");
    }

    #[test]
    fn of_which_none_is_known_leave_the_order_of_the_graph() {
        let named = graph("a; b; b2: b; c; c2: c; c3: c2");
        let mut run = Run::new(named.graph.clone(), STOP);
        run.expect(&[None; 6]).unwrap();
        assert!(named.ids("c b a").into_iter().all(|step| run.next(0) == Next::Start(step)));
        let ranking = Ranking::by_time(&named.graph, &[]);
        assert!(nths(0..6).into_iter().all(|step| ranking.rank(step) == named.graph.rank(step)));
    }

    #[test]
    fn hold_for_steps_that_become_ready_or_wake_later() {
        check(
            STOP,
            "first | seconds=1; short: first | seconds=1; long: first | seconds=9; other | seconds=4; more | seconds=3",
            "starts first other
             first retries 5
             at 5
             starts first more
             more retries 6
             other retries 6
             at 6
             first ok
             starts long other more short
             waits",
        );
    }

    #[test]
    fn may_come_for_more_or_fewer_steps_than_there_are() {
        let named = graph("a; b; c");
        for seconds in [vec![None, Some(2.0)], vec![Some(1.0), Some(2.0), Some(0.5), Some(9.0)]] {
            let mut run = Run::new(named.graph.clone(), STOP);
            run.expect(&seconds).unwrap();
            assert_eq!(run.next(0), Next::Start(nth(if seconds.len() == 2 { 0 } else { 1 })));
        }
    }

    #[test]
    fn may_come_after_some_steps_were_restored() {
        let named = graph("a; b: a; c: a; d");
        let mut run = Run::new(named.graph.clone(), STOP);
        run.preset(|step| (step == nth(0)).then_some(Restored), 0).unwrap();
        run.expect(&[Some(9.0), Some(1.0), Some(2.0), Some(1.5)]).unwrap();
        assert!(named.ids("c d b").into_iter().all(|step| run.next(0) == Next::Start(step)));
        assert_eq!(run.next(0), Next::Wait(None));
    }

    #[test]
    fn may_be_said_again() {
        let mut run = Run::new(graph("a; b; c").graph, STOP);
        run.expect(&[Some(1.0), Some(2.0), Some(3.0)]).unwrap();
        run.expect(&[Some(2.0), Some(3.0), Some(1.0)]).unwrap();
        assert_eq!([1, 0, 2].map(|step| Next::Start(nth(step))), [run.next(0), run.next(0), run.next(0)]);
    }
}

#[test]
fn a_ranking_goes_both_ways() {
    let ranking = Ranking::new(nths([2, 0, 1]));
    let ranks = nths([0, 1, 2, 3]).into_iter().map(|step| ranking.rank(step)).collect::<Vec<_>>();
    assert_eq!(ranks, [Rank::new(1), Rank::new(2), Rank::new(0), Rank::LAST]);
    assert_eq!([0, 2, 3].map(|rank| ranking.step(Rank::new(rank))), [Some(nth(2)), Some(nth(1)), None]);
}

/// The longest way on from each step, itself included: all ways are gone.
fn longest(step: usize, edges: &[(usize, usize)], seconds: &[f64]) -> f64 {
    let rest = edges.iter().filter(|(from, _)| *from == step).map(|&(_, to)| longest(to, edges, seconds));
    seconds[step] + rest.fold(0.0, f64::max)
}

/// A random graph and the seconds of some of its steps, few enough different ones for ties.
fn case(random: &mut Random) -> (Arc<Graph>, Edges, Vec<Option<f64>>) {
    let steps = 1 + random.below(9);
    let mut edges = vec![];
    for to in 1..steps {
        for from in 0..to {
            if random.percent(25) {
                edges.push((from, to));
            }
        }
    }
    let (known, spread) = (random.pick(&[0, 50, 100]), 1 + random.below(6));
    let second = |random: &mut Random| random.percent(known).then(|| (60 * random.below(spread)) as f64);
    let seconds: Vec<Option<f64>> = (0..steps).map(|_| second(random)).collect();
    let ids = edges.iter().map(|&(from, to)| (nth(from as u32), nth(to as u32)));
    (Arc::new(Graph::new(vec![Rule::default(); steps], ids).unwrap()), edges, seconds)
}

#[test]
fn of_random_graphs_is_that_of_all_ways_through_them() {
    for_each_seed(CASES, |random| {
        let (graph, edges, seconds) = case(random);
        let known: Vec<f64> = seconds.iter().flatten().copied().collect();
        let average = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
        let all: Vec<f64> = seconds.iter().map(|own| own.unwrap_or(average)).collect();
        let lengths: Vec<f64> = (0..all.len()).map(|step| longest(step, &edges, &all)).collect();
        let ranking = Ranking::by_time(&graph, &seconds);
        for a in graph.order() {
            for b in graph.order() {
                let (longer, shorter) = (lengths[a.index()], lengths[b.index()]);
                let first = match longer == shorter {
                    true => graph.rank(*a) <= graph.rank(*b),
                    false => longer > shorter,
                };
                assert_eq!(ranking.rank(*a) <= ranking.rank(*b), first, "{a} and {b} of {lengths:?}");
            }
            assert_eq!(ranking.step(ranking.rank(*a)), Some(*a));
        }
    });
}

#[test]
fn of_random_runs_is_kept_whatever_ends_first() {
    for_each_seed(CASES, |random| {
        let (graph, _, seconds) = case(random);
        let ranking = Ranking::by_time(&graph, &seconds);
        let mut run = Run::new(graph.clone(), OnError::Continue);
        run.expect(&seconds).unwrap();
        let (mut in_flight, mut now) = (vec![], 0);
        let due = |run: &Run, in_flight: &[StepId]| {
            let ended = |step: StepId| run.outcome(step).is_some();
            let due = |&step: &StepId| {
                !ended(step)
                    && !in_flight.contains(&step)
                    && graph.dependencies(step).iter().all(|&on| ended(on))
            };
            StepId::first(graph.len()).filter(due).min_by_key(|&step| ranking.rank(step))
        };
        loop {
            let expected = due(&run, &in_flight);
            match run.next(now) {
                Next::Start(step) => {
                    assert_eq!(Some(step), expected);
                    in_flight.push(step);
                }
                Next::Wait(None) => assert_eq!(expected, None),
                Next::Wait(Some(_)) => panic!("nothing waits for its time"),
                Next::Done => break,
            }
            if !in_flight.is_empty() && (expected.is_none() || random.percent(50)) {
                let step = in_flight.swap_remove(random.below(in_flight.len()));
                now += 1;
                let report = if random.percent(20) { RetryAt(now) } else { Ended(Succeeded) };
                run.report(step, report, now).unwrap();
            }
        }
    });
}
