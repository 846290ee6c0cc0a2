//! Steps and the edges between them: acyclic, immutable once built.
//!
//! Steps are numbered in definition order. Nothing here recurses, so a chain may be a million deep.

use std::cmp::Reverse;
use std::collections::hash_map::Entry;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use petgraph::Direction::{self, Incoming, Outgoing};
use petgraph::algo::kosaraju_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::{Dfs, EdgeRef, Reversed, Visitable};
use serde::{Deserialize, Serialize};

use crate::ranking::Ranking;

/// A step: its position in definition order.
pub type StepId = u32;

/// When a step runs, seen from its dependencies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunIf {
    /// Every dependency has an output.
    #[default]
    Success,
    /// At least one dependency has an output.
    Any,
    /// Whatever happened.
    Always,
}

/// What a run must know of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// When it runs.
    pub run_if: RunIf,
    /// Whether it may fail without failing the run.
    pub optional: bool,
}

/// A validated graph.
#[derive(Debug)]
pub struct Graph {
    /// Edges point from a dependency to its dependent: the way the data flows.
    inner: DiGraph<Rule, ()>,
    order: Vec<StepId>,
    ranking: Ranking,
}

/// A cycle as a closed path in the direction the data flows: `[a, b, a]`.
pub type Cycle = Vec<StepId>;

impl Graph {
    /// Builds the graph of `rules.len()` steps; an edge is `(dependency, dependent)`. Edges to steps
    /// that do not exist are left out.
    ///
    /// # Errors
    /// The cycles, one for each knot of steps that depend on each other: the shortest through the
    /// step of the knot that was defined first. Ordered by that step.
    pub fn new(
        rules: Vec<Rule>,
        edges: impl IntoIterator<Item = (StepId, StepId)>,
    ) -> Result<Self, Vec<Cycle>> {
        let edges = edges.into_iter();
        let mut inner = DiGraph::with_capacity(rules.len(), edges.size_hint().0);
        for rule in rules {
            inner.add_node(rule);
        }
        for (dependency, dependent) in edges {
            // Fails only for a step that does not exist.
            let _ = inner.try_add_edge(dependency.into(), dependent.into(), ());
        }
        let order = topological_order(&inner);
        if order.len() < inner.node_count() {
            return Err(cycles(&inner));
        }
        let ranking = Ranking::new(by_height(&inner, &order));
        Ok(Self { inner, order, ranking })
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.inner.node_count()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The steps so that each comes after its dependencies; among those that could come next, the one
    /// defined first does.
    pub fn order(&self) -> &[StepId] {
        &self.order
    }

    /// What a run must know of the step.
    pub fn rule(&self, step: StepId) -> Rule {
        self.inner.node_weight(step.into()).copied().unwrap_or_default()
    }

    /// The steps that depend on this one directly, in no particular order.
    pub fn dependents(&self, step: StepId) -> impl Iterator<Item = StepId> + '_ {
        neighbours(&self.inner, step, Outgoing)
    }

    /// The steps this one depends on directly, in no particular order.
    pub fn dependencies(&self, step: StepId) -> impl Iterator<Item = StepId> + '_ {
        neighbours(&self.inner, step, Incoming)
    }

    /// The steps in levels: those of a level depend only on steps of earlier ones, and on at least one
    /// of the level just before.
    pub fn levels(&self) -> Vec<Vec<StepId>> {
        let depths = longest_paths(&self.inner, self.order.iter(), Incoming);
        let mut levels = Vec::new();
        levels.resize_with(depths.iter().max().map_or(0, |&deepest| deepest as usize + 1), Vec::new);
        for (step, &depth) in (0..).zip(&depths) {
            if let Some(level) = levels.get_mut(depth as usize) {
                level.push(step);
            }
        }
        levels
    }

    /// Everything the given steps need, themselves included, in definition order.
    pub fn upstream(&self, steps: &[StepId]) -> Vec<StepId> {
        let mut search = Dfs::from_parts(self.known(steps), self.inner.visit_map());
        while search.next(Reversed(&self.inner)).is_some() {}
        search.discovered.ones().map(|step| step as StepId).collect()
    }

    /// Everything that needs one of the given steps, themselves included, in definition order.
    pub fn downstream(&self, steps: &[StepId]) -> Vec<StepId> {
        let mut search = Dfs::from_parts(self.known(steps), self.inner.visit_map());
        while search.next(&self.inner).is_some() {}
        search.discovered.ones().map(|step| step as StepId).collect()
    }

    /// Where the step stands among all when several could start: 0 is first. A path is as long as it
    /// has steps.
    pub fn rank(&self, step: StepId) -> u32 {
        self.ranking.rank(step)
    }

    /// The step of that rank.
    pub fn of_rank(&self, rank: u32) -> Option<StepId> {
        self.ranking.step(rank)
    }

    fn known(&self, steps: &[StepId]) -> Vec<NodeIndex> {
        let known = |step: &&StepId| (**step as usize) < self.len();
        steps.iter().filter(known).map(|&step| step.into()).collect()
    }
}

fn neighbours(
    graph: &DiGraph<Rule, ()>,
    step: StepId,
    direction: Direction,
) -> impl Iterator<Item = StepId> + '_ {
    graph.neighbors_directed(step.into(), direction).map(|node| node.index() as StepId)
}

fn set(values: &mut [u32], step: StepId, value: u32) {
    if let Some(slot) = values.get_mut(step as usize) {
        *slot = value;
    }
}

fn steps(graph: &DiGraph<Rule, ()>) -> std::ops::Range<StepId> {
    0..graph.node_count() as StepId
}

/// Kahn's algorithm (1962), the smallest number first. Steps on a cycle, or behind one, are left out.
fn topological_order(graph: &DiGraph<Rule, ()>) -> Vec<StepId> {
    if graph.edge_references().all(|edge| edge.source() < edge.target()) {
        return steps(graph).collect(); // What most pipelines look like: defined in order already.
    }
    let mut open: Vec<u32> = vec![0; graph.node_count()];
    for edge in graph.edge_references() {
        if let Some(count) = open.get_mut(edge.target().index()) {
            *count += 1;
        }
    }
    let mut ready: BinaryHeap<Reverse<StepId>> =
        (0..).zip(&open).filter(|&(_, &count)| count == 0).map(|(step, _)| Reverse(step)).collect();
    let mut order = Vec::with_capacity(graph.node_count());
    while let Some(Reverse(step)) = ready.pop() {
        order.push(step);
        for dependent in neighbours(graph, step, Outgoing) {
            if let Some(count) = open.get_mut(dependent as usize) {
                *count -= 1;
                if *count == 0 {
                    ready.push(Reverse(dependent));
                }
            }
        }
    }
    order
}

/// For each step, the most edges on a path that reaches it, walking from `order`'s start; `towards`
/// says where its predecessors on such a path are.
fn longest_paths<'a>(
    graph: &DiGraph<Rule, ()>,
    order: impl Iterator<Item = &'a StepId>,
    towards: Direction,
) -> Vec<u32> {
    let mut lengths: Vec<u32> = vec![0; graph.node_count()];
    for &step in order {
        let longest = neighbours(graph, step, towards)
            .filter_map(|before| lengths.get(before as usize))
            .max()
            .map_or(0, |&length| length + 1);
        set(&mut lengths, step, longest);
    }
    lengths
}

/// The steps by their longest remaining path, longest first, then in definition order: a counting
/// sort, since heights are small whole numbers.
fn by_height(graph: &DiGraph<Rule, ()>, order: &[StepId]) -> Vec<StepId> {
    let heights = longest_paths(graph, order.iter().rev(), Outgoing);
    let mut starts = vec![0_u32; heights.iter().max().map_or(0, |&highest| highest as usize + 1)];
    for &height in &heights {
        if let Some(count) = starts.get_mut(height as usize) {
            *count += 1;
        }
    }
    let mut start = 0;
    for slot in starts.iter_mut().rev() {
        start += std::mem::replace(slot, start);
    }
    let mut sorted = vec![0; heights.len()];
    for (step, &height) in (0..).zip(&heights) {
        if let Some(next) = starts.get_mut(height as usize) {
            set(&mut sorted, *next, step);
            *next += 1;
        }
    }
    sorted
}

fn cycles(graph: &DiGraph<Rule, ()>) -> Vec<Cycle> {
    let mut found: Vec<Cycle> = kosaraju_scc(graph)
        .into_iter()
        .filter_map(|knot| {
            let first = knot.iter().min().copied()?;
            (knot.len() > 1 || graph.contains_edge(first, first)).then(|| shortest_cycle(graph, first))
        })
        .collect();
    found.sort_unstable();
    found
}

/// Breadth-first from `start` until it is reached again. Neighbours are taken in definition order, so
/// the path is the same in every process.
fn shortest_cycle(graph: &DiGraph<Rule, ()>, start: NodeIndex) -> Cycle {
    let mut came_from: HashMap<NodeIndex, NodeIndex> = HashMap::new();
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        let mut nexts: Vec<NodeIndex> = graph.neighbors(node).collect();
        nexts.sort_unstable();
        for next in nexts {
            if let Entry::Vacant(unseen) = came_from.entry(next) {
                unseen.insert(node);
                queue.push_back(next);
            }
        }
        if came_from.contains_key(&start) {
            break;
        }
    }
    let mut path = vec![start.index() as StepId];
    let mut node = start;
    while let Some(&before) = came_from.get(&node) {
        path.push(before.index() as StepId);
        node = before;
        if node == start {
            break;
        }
    }
    path.reverse();
    path
}
