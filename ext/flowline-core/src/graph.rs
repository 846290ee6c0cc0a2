//! Steps and the edges between them: acyclic, immutable once built.
//!
//! Steps are numbered in definition order. Edges are two flat lists, so that a million steps are built and ordered
//! without a million small allocations. Nothing here recurses, so a chain may be a million deep.

mod cycles;
mod edges;
mod order;
mod paths;
mod queue;
pub mod snapshot;

use std::sync::OnceLock;

pub use self::cycles::Cycle;
use self::cycles::cycles;
use self::edges::Edges;
use self::order::topological_order;
use self::paths::{by_height, longest_paths};
use crate::ids::{Rank, StepId};
use crate::ranking::Ranking;

/// When a step runs, depending on how its dependencies ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunIf {
    /// Every dependency has an output.
    #[default]
    Success,
    /// At least one dependency has an output.
    Any,
    /// However they ended.
    Always,
}

/// The options of a step that a run depends on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rule {
    /// When it runs.
    pub run_if: RunIf,
    /// Whether it may fail without failing the run.
    pub optional: bool,
    /// Whether it still runs after the run was stopped, under the conditions of `run_if`: a later step of a clean-up.
    pub lasting: bool,
}

impl Rule {
    /// Whether it runs even after the run was stopped.
    pub fn outlasts_stop(self) -> bool {
        self.lasting || self.run_if == RunIf::Always
    }
}

/// A validated graph.
#[derive(Debug)]
pub struct Graph {
    rules: Vec<Rule>,
    dependencies: Edges,
    dependents: Edges,
    order: Vec<StepId>,
    ranking: Ranking,
    /// The digest of the steps' names, if they have any.
    names: Option<Digest>,
    digest: OnceLock<Digest>,
}

/// A BLAKE3 digest.
pub type Digest = [u8; 32];

impl Graph {
    /// Builds the graph of `rules.len()` steps; an edge is `(dependency, dependent)`. Edges to steps
    /// that do not exist are left out.
    ///
    /// # Errors
    /// The cycles, one for each set of steps that depend on each other: the shortest through the
    /// step of the set that was defined first. Ordered by that step.
    pub fn new(
        rules: Vec<Rule>,
        edges: impl IntoIterator<Item = (StepId, StepId)>,
    ) -> Result<Self, Vec<Cycle>> {
        Self::named(rules, edges, None)
    }

    /// The same with the digest of the steps' names, which becomes part of the graph's.
    pub(crate) fn named(
        rules: Vec<Rule>,
        edges: impl IntoIterator<Item = (StepId, StepId)>,
        names: Option<Digest>,
    ) -> Result<Self, Vec<Cycle>> {
        let steps = rules.len();
        let known = |&(from, to): &(StepId, StepId)| from.index() < steps && to.index() < steps;
        let edges: Vec<_> = edges.into_iter().filter(known).collect();
        let in_order = edges.iter().all(|(from, to)| from < to);
        let dependencies = Edges::group(steps, edges);
        let dependents = dependencies.reversed();
        let (order, by_height) = if in_order {
            let order: Vec<_> = StepId::first(steps).collect(); // The usual case: defined in order.
            let by_height = by_height(&order, &dependents);
            (order, by_height)
        } else {
            let (order, dependents_in_order) = topological_order(&dependencies, &dependents);
            if order.len() < steps {
                return Err(cycles(&dependents));
            }
            let by_height = by_height(&order, &dependents_in_order);
            (order, by_height)
        };
        let ranking = Ranking::new(by_height);
        Ok(Self { rules, dependencies, dependents, order, ranking, names, digest: OnceLock::new() })
    }

    /// How many steps there are.
    pub fn len(&self) -> usize {
        self.rules.len()
    }

    /// Whether there is no step at all.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// The steps in definition order.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = StepId> + Clone + use<> {
        StepId::first(self.len())
    }

    /// The steps so that each comes after its dependencies; among those that could come next, the one
    /// defined first does.
    pub fn order(&self) -> &[StepId] {
        &self.order
    }

    /// The options of the step that a run depends on.
    pub fn rule(&self, step: StepId) -> Rule {
        self.rules.get(step.index()).copied().unwrap_or_default()
    }

    /// Returns the steps that depend on this one directly, in definition order. A step that names it twice is repeated.
    pub fn dependents(&self, step: StepId) -> &[StepId] {
        self.dependents.of(step)
    }

    /// The steps this one depends on directly, in the order in which their edges were given.
    pub fn dependencies(&self, step: StepId) -> &[StepId] {
        self.dependencies.of(step)
    }

    /// The steps in levels: those of a level depend only on steps of earlier ones, and on at least one
    /// of the level just before.
    pub fn levels(&self) -> Vec<Vec<StepId>> {
        let before = |&step: &StepId| (step, self.dependencies(step));
        let depths = longest_paths(self.len(), self.order.iter().map(before));
        let mut levels = Vec::new();
        levels.resize_with(depths.iter().max().map_or(0, |&deepest| deepest as usize + 1), Vec::new);
        for (step, &depth) in self.steps().zip(&depths) {
            if let Some(level) = levels.get_mut(depth as usize) {
                level.push(step);
            }
        }
        levels
    }

    /// Returns all steps that the given ones need, including these, in definition order.
    pub fn upstream(&self, steps: &[StepId]) -> Vec<StepId> {
        self.dependencies.reachable(steps)
    }

    /// Returns all steps that need one of the given ones, including these, in definition order.
    pub fn downstream(&self, steps: &[StepId]) -> Vec<StepId> {
        self.dependents.reachable(steps)
    }

    /// Where the step stands among all when several can start: 0 is first. A path is as long as it
    /// has steps.
    pub fn rank(&self, step: StepId) -> Rank {
        self.ranking.rank(step)
    }

    /// The step of that rank.
    pub fn of_rank(&self, rank: Rank) -> Option<StepId> {
        self.ranking.step(rank)
    }

    /// Identifies everything that a run's decisions depend on: the steps' rules, their edges, and their names if
    /// they have any. It is the same in every process and on every machine.
    pub fn digest(&self) -> &Digest {
        self.digest.get_or_init(|| {
            let mut bytes = Vec::with_capacity(64 + self.len() * 6 + self.dependencies.len() * 4);
            bytes.extend_from_slice(b"flowline graph 1");
            bytes.extend_from_slice(&(self.len() as u64).to_le_bytes());
            bytes.push(u8::from(self.names.is_some()));
            bytes.extend_from_slice(&self.names.unwrap_or_default());
            for (step, rule) in self.steps().zip(&self.rules) {
                bytes.push(rule.run_if as u8 | u8::from(rule.optional) << 2 | u8::from(rule.lasting) << 3);
                let dependencies = self.dependencies(step);
                bytes.extend_from_slice(&(dependencies.len() as u32).to_le_bytes());
                for dependency in dependencies {
                    bytes.extend_from_slice(&dependency.number().to_le_bytes());
                }
            }
            blake3::hash(&bytes).into()
        })
    }
}
