//! Measures how long it takes to build, validate and order a graph: of numbered edges, and of names; and how much
//! memory the graph takes.
//!
//! Prints a line for each case, with tabs between: which, how many steps, and milliseconds (the median of several
//! runs, of this process's time on a processor) or bytes a step. `benchmarks/core.rb` makes a table of them.

use std::hint::black_box;

use flowline_core::builder::Builder;
use flowline_core::graph::{Graph, Rule};
use flowline_core::ids::StepId;
use nix::sys::resource::{UsageWho, getrusage};

const ROUNDS: usize = 7;

type Edge = (u32, u32);

fn main() {
    measure_memory(1_000_000, &random(1_000_000));
    for (steps, edges) in [(1_000_000, random(1_000_000)), (100_000, bushy(100_000))] {
        let shuffled = shuffle(steps, &edges);
        let mixed = mix(&shuffled);
        report("numbered, defined in order", steps, || measure_graph(steps, &edges));
        report("numbered, in any order", steps, || measure_graph(steps, &shuffled));
        report("numbered, edges in any order, too", steps, || measure_graph(steps, &mixed));
        report("named, defined in order", steps, || measure_builder(steps, &edges));
        report("named, in any order", steps, || measure_builder(steps, &shuffled));
    }
}

fn report(label: &str, steps: u32, measure: impl Fn() -> f64) {
    let mut times: Vec<f64> = (0..ROUNDS).map(|_| measure()).collect();
    times.sort_unstable_by(f64::total_cmp);
    println!("{label}\t{steps}\t{:.3}", times.get(ROUNDS / 2).copied().unwrap_or_default());
}

/// Milliseconds on a processor so far, of this process and of the system for it: other programs do not count.
fn clock() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(0.0, |usage| {
        let times = [usage.user_time(), usage.system_time()];
        times.iter().map(|time| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3).sum()
    })
}

/// The bytes that the process has in memory, if the system reports them.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    status.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).map_or(0, |pages: u64| pages * 4096)
}

fn measure_memory(steps: u32, edges: &[Edge]) {
    let before = resident();
    let graph = build(steps, edges);
    let bytes = resident().saturating_sub(before) as f64 / f64::from(steps);
    black_box(graph);
    println!("memory\t{steps}\t{bytes:.1}");
}

fn build(steps: u32, edges: &[Edge]) -> Option<Graph> {
    let edges = edges.iter().map(|&(from, to)| (StepId::new(from), StepId::new(to)));
    Graph::new(vec![Rule::default(); steps as usize], edges).ok()
}

/// From numbered edges to a graph.
fn measure_graph(steps: u32, edges: &[Edge]) -> f64 {
    let start = clock();
    let graph = build(steps, edges);
    let took = clock() - start;
    check(steps, graph);
    took
}

/// From names to a graph. The extension, which has Symbols for names, does the same with their numbers as keys.
fn measure_builder(steps: u32, edges: &[Edge]) -> f64 {
    let mut depends_on = vec![Vec::new(); steps as usize];
    for &(dependency, dependent) in edges {
        if let Some(names) = depends_on.get_mut(dependent as usize) {
            names.push(name(dependency));
        }
    }
    let names: Vec<String> = (0..steps).map(name).collect();
    let start = clock();
    let mut builder = Builder::default();
    for (name, depends_on) in names.iter().zip(&depends_on) {
        builder.add(name.as_str(), depends_on.iter().map(String::as_str), Rule::default());
    }
    let graph = builder.build();
    let took = clock() - start;
    check(steps, graph.ok());
    took
}

fn check(steps: u32, graph: Option<Graph>) {
    let ordered = graph.map_or(0, |graph| black_box(graph).order().len());
    assert_eq!(ordered, steps as usize, "the graph has a cycle");
}

fn name(step: u32) -> String {
    format!("step_{step}")
}

/// Two dependencies for each step, anywhere before it.
fn random(steps: u32) -> Vec<Edge> {
    let mut random = Random(1);
    (1..steps).flat_map(|step| [(random.below(step), step), (random.below(step), step)]).collect()
}

/// Two dependencies for most, and no long paths: the graph that `benchmarks/` calls so, too.
fn bushy(steps: u32) -> Vec<Edge> {
    let dependencies = |step| [(step / 2, step), (step / 3, step)];
    (2..steps).flat_map(dependencies).collect()
}

/// The same graph with the steps numbered at random, so that edges point in either direction, and its
/// edges given in the order of their dependents.
fn shuffle(steps: u32, edges: &[Edge]) -> Vec<Edge> {
    let mut random = Random(2);
    let mut places: Vec<u32> = (0..steps).collect();
    for step in (1..steps).rev() {
        places.swap(step as usize, random.below(step + 1) as usize);
    }
    let place = |step: u32| places.get(step as usize).copied().unwrap_or_default();
    let mut edges: Vec<Edge> = edges.iter().map(|&(from, to)| (place(from), place(to))).collect();
    edges.sort_unstable_by_key(|&(_, dependent)| dependent);
    edges
}

/// The same edges in any order.
fn mix(edges: &[Edge]) -> Vec<Edge> {
    let mut random = Random(3);
    let mut edges = edges.to_vec();
    for edge in (1..edges.len()).rev() {
        edges.swap(edge, random.below(edge as u32 + 1) as usize);
    }
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
