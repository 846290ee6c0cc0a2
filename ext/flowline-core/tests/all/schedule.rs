//! How long a run takes with so many workers.

use flowline_core::graph::{Graph, Rule};
use flowline_core::ids::{PoolId, StepId};
use flowline_core::schedule::{Schedule, Uses};

fn graph(steps: usize, edges: &[(u32, u32)]) -> Graph {
    let edges = edges.iter().map(|&(from, to)| (StepId::new(from), StepId::new(to)));
    Graph::new(vec![Rule::default(); steps], edges).unwrap()
}

#[test]
fn a_chain_has_use_for_one_worker() {
    let graph = graph(3, &[(0, 1), (1, 2)]);
    let schedule = Schedule::new(&graph, &[1.0, 2.0, 3.0], &[], &[], &[]);
    assert_eq!([schedule.length(1), schedule.length(8), schedule.shortest()], [6.0; 3]);
    assert_eq!(schedule.useful_workers(), 1);
}

#[test]
fn a_fan_has_use_for_as_many_workers_as_make_it_shorter() {
    let graph = graph(5, &[]);
    let schedule = Schedule::new(&graph, &[4.0, 1.0, 1.0, 1.0, 1.0], &[], &[], &[]);
    assert_eq!([schedule.length(1), schedule.length(2), schedule.length(3)], [8.0, 4.0, 4.0]);
    assert_eq!(schedule.useful_workers(), 2);
}

#[test]
fn steps_that_share_a_pool_wait_for_each_other() {
    let graph = graph(4, &[]);
    let db: Vec<(StepId, Uses)> = (0..3).map(|id| (StepId::new(id), vec![(PoolId::new(0), 1)])).collect();
    let schedule = Schedule::new(&graph, &[1.0; 4], &db, &[2], &[]);
    assert_eq!([schedule.length(4), schedule.shortest()], [2.0, 2.0]);
    assert_eq!(schedule.useful_workers(), 2);
}

#[test]
fn a_step_of_many_items_keeps_several_workers_busy() {
    let graph = graph(2, &[(0, 1)]);
    let schedule = Schedule::new(&graph, &[6.0, 1.0], &[], &[], &[(StepId::new(0), 4)]);
    assert_eq!([1, 2, 4, 9].map(|workers| schedule.length(workers)), [25.0, 13.0, 7.0, 7.0]);
    assert_eq!((schedule.shortest(), schedule.useful_workers()), (7.0, 4));
    let pool = [(StepId::new(0), vec![(PoolId::new(0), 1)])];
    let schedule = Schedule::new(&graph, &[6.0, 1.0], &pool, &[2], &[(StepId::new(0), 4)]);
    assert_eq!((schedule.length(8), schedule.useful_workers()), (13.0, 2));
}

#[test]
fn the_longest_remaining_path_comes_first() {
    let graph = graph(4, &[(2, 3)]);
    let schedule = Schedule::new(&graph, &[1.0, 1.0, 1.0, 2.0], &[], &[], &[]);
    assert_eq!(schedule.length(2), 3.0);
}

#[test]
fn nothing_to_do_takes_no_time() {
    let graph = graph(0, &[]);
    let schedule = Schedule::new(&graph, &[], &[], &[], &[]);
    assert_eq!((schedule.length(3), schedule.useful_workers()), (0.0, 1));
}

/// No schedule is shorter than the longest path, or than the work shared among the workers; and more than one is as good as all.
#[test]
fn lengths_keep_to_the_bounds_of_graham() {
    let mut state = 7_u64;
    let mut random = move |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    for _ in 0..200 {
        let steps = 1 + random(30) as usize;
        let mut edges = vec![];
        for to in 1..steps as u32 {
            let from = random(u64::from(to)) as u32;
            if random(3) > 0 {
                edges.push((from, to));
            }
        }
        let graph = graph(steps, &edges);
        let seconds: Vec<f64> = (0..steps).map(|_| random(10) as f64).collect();
        let schedule = Schedule::new(&graph, &seconds, &[], &[], &[]);
        let work: f64 = seconds.iter().sum();
        for workers in 1..=4_usize {
            let (length, shortest) = (schedule.length(workers), schedule.shortest());
            assert!(length >= shortest.max(work / workers as f64) - 1e-9);
            assert!(length <= shortest + work / workers as f64 + 1e-9);
        }
        let useful = schedule.useful_workers();
        assert!(schedule.length(useful) <= schedule.shortest() * 1.02 + 1e-9);
    }
}
