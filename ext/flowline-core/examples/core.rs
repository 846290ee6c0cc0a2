//! Measures how long it takes to build, validate and order a graph of 1,000,000 steps and 2,000,000
//! edges. Prints a line for each case: what, milliseconds (the median of several), and the goal if
//! there is one, with tabs between. `benchmarks/core.rb` makes a table of them.

use std::hint::black_box;
use std::time::{Duration, Instant};

use flowline_core::builder::Builder;
use flowline_core::graph::{Graph, Rule, StepId};

const STEPS: StepId = 1_000_000;
const ROUNDS: usize = 7;
const GOAL: u32 = 200;

type Edge = (StepId, StepId);

fn main() {
    let ordered = edges();
    let shuffled = shuffle(&ordered);
    report("defined in order", Some(GOAL), || measure_graph(&ordered));
    report("defined in any order", Some(GOAL), || measure_graph(&shuffled));
    report("defined in order, by name", None, || measure_builder(&ordered));
    report("defined in any order, by name", None, || measure_builder(&shuffled));
}

fn report(label: &str, goal: Option<u32>, measure: impl Fn() -> Duration) {
    let mut times: Vec<Duration> = (0..ROUNDS).map(|_| measure()).collect();
    times.sort_unstable();
    let median = times.get(ROUNDS / 2).copied().unwrap_or_default();
    let goal = goal.map_or(String::new(), |milliseconds| format!("\t{milliseconds}"));
    println!("{label}\t{:.1}{goal}", median.as_secs_f64() * 1e3);
}

/// From numbered edges to a graph.
fn measure_graph(edges: &[Edge]) -> Duration {
    let rules = vec![Rule::default(); STEPS as usize];
    let edges = edges.to_vec();
    let start = Instant::now();
    let graph = Graph::new(rules, edges);
    let took = start.elapsed();
    assert_eq!(
        graph.map_or(0, |graph| black_box(graph).order().len()),
        STEPS as usize,
        "the graph has a cycle"
    );
    took
}

/// The same from names, as the binding gives them.
fn measure_builder(edges: &[Edge]) -> Duration {
    let mut depends_on = vec![Vec::new(); STEPS as usize];
    for &(dependency, dependent) in edges {
        if let Some(names) = depends_on.get_mut(dependent as usize) {
            names.push(name(dependency));
        }
    }
    let names: Vec<String> = (0..STEPS).map(name).collect();
    let start = Instant::now();
    let mut builder = Builder::default();
    for (name, depends_on) in names.into_iter().zip(depends_on) {
        builder.add(name, depends_on, Rule::default());
    }
    let graph = builder.build();
    let took = start.elapsed();
    assert_eq!(
        graph.map_or(0, |graph| black_box(graph).order().len()),
        STEPS as usize,
        "the graph has a cycle"
    );
    took
}

fn name(step: StepId) -> String {
    format!("step_{step}")
}

/// Two dependencies for each step, anywhere before it.
fn edges() -> Vec<Edge> {
    let mut random = Random(1);
    (1..STEPS).flat_map(|step| [(random.below(step), step), (random.below(step), step)]).collect()
}

/// The same graph with the steps numbered at random, so that edges point in either direction, and its
/// edges given in the order of their dependents.
fn shuffle(edges: &[Edge]) -> Vec<Edge> {
    let mut random = Random(2);
    let mut places: Vec<StepId> = (0..STEPS).collect();
    for step in (1..STEPS).rev() {
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
