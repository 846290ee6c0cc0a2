//! The order of the steps of a graph.

use std::collections::HashMap;

use super::edges::Edges;
use super::queue::LowestFirst;
use crate::ids::StepId;

/// Kahn's algorithm (1962), the smallest number first. Steps on a cycle, or behind one, are left out. Returns the
/// dependents of each step, too, in the order of the steps, so that they are read in sequence from then on.
///
/// Nearly all of its time is spent waiting for memory, because steps are visited in random order. So the counts of open
/// dependencies take a byte each, which the cache of a processor holds, and lists that are needed soon are read ahead:
/// where those of the dependents start, since the next step is often one of them, and that of the step that is next so far.
pub(super) fn topological_order(dependencies: &Edges, dependents: &Edges) -> (Vec<StepId>, Edges) {
    let steps = dependencies.steps();
    let mut open = Open::new(dependencies);
    let mut ready = LowestFirst::new(steps);
    StepId::first(steps).filter(|&step| open.none(step)).for_each(|step| ready.insert(step.number()));
    let mut order = Vec::with_capacity(steps);
    let mut in_order = Edges::with_capacity(steps, dependents.len());
    while let Some(step) = ready.pop().map(StepId::new) {
        if let Some(next) = ready.lowest().map(StepId::new) {
            dependents.read_ahead(next);
        }
        order.push(step);
        for &dependent in dependents.of(step) {
            in_order.push(dependent);
            dependents.read_start_ahead(dependent);
            if open.close(dependent) {
                ready.insert(dependent.number());
            }
        }
        in_order.end_list();
    }
    (order, in_order)
}

/// How many dependencies of each step are still to come.
struct Open {
    /// A byte for each step; [`MANY`](Self::MANY) for a step whose number is in `many`.
    few: Vec<u8>,
    many: HashMap<StepId, usize>,
}

impl Open {
    const MANY: u8 = u8::MAX;

    fn new(dependencies: &Edges) -> Self {
        let mut many = HashMap::new();
        let counts = dependencies.ranges().map(|range| range.len());
        let few =
            StepId::first(dependencies.steps()).zip(counts).map(|(step, count)| match u8::try_from(count) {
                Ok(count) if count < Self::MANY => count,
                _ => {
                    many.insert(step, count);
                    Self::MANY
                }
            });
        Self { few: few.collect(), many }
    }

    /// Whether no dependency of the step is open.
    fn none(&self, step: StepId) -> bool {
        self.few.get(step.index()) == Some(&0)
    }

    /// Counts one dependency of the step as come, and returns whether none is open any more.
    fn close(&mut self, step: StepId) -> bool {
        match self.few.get_mut(step.index()) {
            Some(&mut Self::MANY) => self.many.get_mut(&step).is_some_and(|open| {
                *open -= 1;
                *open == 0
            }),
            Some(open) => {
                *open -= 1;
                *open == 0
            }
            None => false,
        }
    }
}
