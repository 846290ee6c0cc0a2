//! The cycles of a graph that has some.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use petgraph::algo::kosaraju_scc;
use petgraph::graph::DiGraph;

use super::edges::Edges;
use crate::ids::StepId;

/// A cycle as a closed path in the direction the data flows: `[a, b, a]`.
pub type Cycle = Vec<StepId>;

/// One cycle for each set of steps that depend on each other: the shortest through the step of the set that was defined
/// first. Ordered by that step.
pub(super) fn cycles(dependents: &Edges) -> Vec<Cycle> {
    let mut graph: DiGraph<(), ()> = DiGraph::with_capacity(dependents.steps(), dependents.len());
    for _ in 0..dependents.steps() {
        graph.add_node(());
    }
    for (from, to) in dependents.pairs() {
        graph.add_edge(from.number().into(), to.number().into(), ());
    }
    let mut found: Vec<Cycle> = kosaraju_scc(&graph)
        .into_iter()
        .filter_map(|component| {
            let first = StepId::new(component.iter().min()?.index() as u32);
            let cyclic = component.len() > 1 || dependents.of(first).contains(&first);
            cyclic.then(|| shortest_cycle(dependents, first))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Breadth-first from `start` until it is reached again. Dependents are taken in definition order, so
/// the path is the same in every process.
fn shortest_cycle(dependents: &Edges, start: StepId) -> Cycle {
    let mut came_from: HashMap<StepId, StepId> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(step) = queue.pop_front() {
        for &next in dependents.of(step) {
            if let Entry::Vacant(unseen) = came_from.entry(next) {
                unseen.insert(step);
                queue.push_back(next);
            }
        }
        if came_from.contains_key(&start) {
            break;
        }
    }
    let mut path = vec![start];
    let mut step = start;
    while let Some(&before) = came_from.get(&step) {
        path.push(before);
        step = before;
        if step == start {
            break;
        }
    }
    path.reverse();
    path
}
