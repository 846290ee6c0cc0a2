//! Measures how long it takes to build, validate and order a graph: of numbered edges, and of names.
//!
//! Prints a line for each case: which, how many steps, milliseconds (the median of several runs), with
//! tabs between. `benchmarks/core.rb` makes a table of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use flowline_core::builder::Builder;
use flowline_core::graph::{Graph, Rule, StepId};

const ROUNDS: usize = 7;

type Edge = (StepId, StepId);

fn main() {
    for (steps, edges) in [(1_000_000, random(1_000_000)), (100_000, bushy(100_000))] {
        let shuffled = shuffle(steps, &edges);
        report("numbered, defined in order", steps, || measure_graph(steps, &edges));
        report("numbered, in any order", steps, || measure_graph(steps, &shuffled));
        report("named, defined in order", steps, || measure_builder(steps, &edges));
        report("named, in any order", steps, || measure_builder(steps, &shuffled));
    }
}

fn report(label: &str, steps: StepId, measure: impl Fn() -> Duration) {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| measure()).collect();
    times.sort_unstable();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    println!("{label}\t{steps}\t{:.3}", median.as_secs_f64() * 1e3);
}

/// From numbered edges to a graph.
fn measure_graph(steps: StepId, edges: &[Edge]) -> Duration {
    let rules = vec![Rule::default(); steps as usize];
    let edges = edges.to_vec();
    let start = Instant::now();
    let graph = Graph::new(rules, edges);
    let took = start.elapsed();
    assert_eq!(
        graph.map_or(0, |graph| black_box(graph).order().len()),
        steps as usize,
        "the graph has a cycle"
    );
    took
}

/// The same from names, as the binding gives them.
fn measure_builder(steps: StepId, edges: &[Edge]) -> Duration {
    let mut depends_on = vec![Vec::new(); steps as usize];
    for &(dependency, dependent) in edges {
        if let Some(names) = depends_on.get_mut(dependent as usize) {
            names.push(name(dependency));
        }
    }
    let names: Vec<String> = (0..steps).map(name).collect();
    let start = Instant::now();
    let mut builder = Builder::default();
    for (name, depends_on) in names.into_iter().zip(depends_on) {
        builder.add(name, depends_on, Rule::default());
    }
    let graph = builder.build();
    let took = start.elapsed();
    assert_eq!(
        graph.map_or(0, |graph| black_box(graph).order().len()),
        steps as usize,
        "the graph has a cycle"
    );
    took
}

fn name(step: StepId) -> String {
    format!("step_{step}")
}

/// Two dependencies for each step, anywhere before it.
fn random(steps: StepId) -> Vec<Edge> {
    let mut random = Random(1);
    (1..steps).flat_map(|step| [(random.below(step), step), (random.below(step), step)]).collect()
}

/// Two dependencies for most, and no long paths: the graph that `benchmarks/` calls so, too.
fn bushy(steps: StepId) -> Vec<Edge> {
    let dependencies = |step| [(step / 2, step), (step / 3, step)];
    (2..steps).flat_map(dependencies).collect()
}

/// The same graph with the steps numbered at random, so that edges point in either direction, and its
/// edges given in the order of their dependents.
fn shuffle(steps: StepId, edges: &[Edge]) -> Vec<Edge> {
    let mut random = Random(2);
    let mut places: Vec<StepId> = (0..steps).collect();
    for step in (1..steps).rev() {
        places.swap(step as usize, random.below(step + 1) as usize);
    }
    let place = |step: StepId| places.get(step as usize).copied().unwrap_or_default();
    let mut edges: Vec<Edge> = edges.iter().map(|&(from, to)| (place(from), place(to))).collect();
    edges.sort_unstable_by_key(|&(_, dependent)| dependent);
    edges
}

/// Vigna's splitmix64: the same numbers everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((mixed ^ (mixed >> 31)) % u64::from(limit)) as u32
    }
}
