//! For each step a list of others, all in one array: the compressed sparse row form of an adjacency matrix.

use std::hint::black_box;
use std::ops::Range;

use crate::ids::StepId;

/// For each step the steps at the other end of its edges.
#[derive(Debug)]
pub(super) struct Edges {
    /// The start of each step's list in `others`, and the end of the last list.
    starts: Vec<u32>,
    others: Vec<StepId>,
}

impl Edges {
    /// Returns an empty list of edges with some capacity.
    pub(super) fn with_capacity(steps: usize, edges: usize) -> Self {
        let mut starts = Vec::with_capacity(steps + 1);
        starts.push(0);
        Self { starts, others: Vec::with_capacity(edges) }
    }

    /// Appends an edge of the step after the last list.
    pub(super) fn push(&mut self, other: StepId) {
        self.others.push(other);
    }

    /// Ends the list of that step.
    pub(super) fn end_list(&mut self) {
        self.starts.push(self.others.len() as u32);
    }

    /// Edges `(other, step)` by their step, each list in the order given. At most `u32::MAX` edges are taken.
    pub(super) fn group(steps: usize, mut pairs: Vec<(StepId, StepId)>) -> Self {
        pairs.truncate(u32::MAX as usize);
        if pairs.is_sorted_by_key(|&(_, step)| step) {
            let starts = at_most(steps, pairs.iter().map(|&(_, step)| step.index() + 1));
            return Self { starts, others: pairs.into_iter().map(|(other, _)| other).collect() };
        }
        Self::scatter(steps, pairs.iter().copied())
    }

    /// The same edges by their other end, each list in definition order.
    pub(super) fn reversed(&self) -> Self {
        Self::scatter(self.steps(), self.pairs())
    }

    /// A counting sort. Pairs that belong to the same step stay in order. They are taken from the last to the first, so
    /// that the end of each list counts down to its start.
    fn scatter(steps: usize, pairs: impl DoubleEndedIterator<Item = (StepId, StepId)> + Clone) -> Self {
        let mut starts = at_most(steps, pairs.clone().map(|(_, step)| step.index()));
        let mut others = vec![StepId::default(); starts.last().map_or(0, |&end| end as usize)];
        // `for_each` is several times as fast here as `for`: it becomes two plain loops.
        pairs.rev().for_each(|(other, step)| {
            if let Some(start) = starts.get_mut(step.index()) {
                *start -= 1;
                if let Some(slot) = others.get_mut(*start as usize) {
                    *slot = other;
                }
            }
        });
        Self { starts, others }
    }

    /// How many steps there are.
    pub(super) fn steps(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// How many edges there are.
    pub(super) fn len(&self) -> usize {
        self.others.len()
    }

    /// The list of the step.
    pub(super) fn of(&self, step: StepId) -> &[StepId] {
        match self.starts.get(step.index()..step.index() + 2) {
            Some(&[start, end]) => self.at(start..end),
            _ => &[],
        }
    }

    /// Reads the beginning of the step's list, so that a processor has it in its cache soon.
    pub(super) fn read_ahead(&self, step: StepId) {
        black_box(self.of(step).first().copied());
    }

    /// Reads where the step's list starts, so that a processor has that in its cache soon.
    pub(super) fn read_start_ahead(&self, step: StepId) {
        black_box(self.starts.get(step.index()).copied());
    }

    /// The list in that range.
    pub(super) fn at(&self, range: Range<u32>) -> &[StepId] {
        self.others.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    /// For each step the range of its list.
    pub(super) fn ranges(&self) -> impl DoubleEndedIterator<Item = Range<u32>> + ExactSizeIterator {
        self.starts.windows(2).map(|ends| if let [start, end] = *ends { start..end } else { 0..0 })
    }

    /// The list of each step.
    pub(super) fn lists(&self) -> impl DoubleEndedIterator<Item = &[StepId]> + ExactSizeIterator {
        self.ranges().map(|range| self.at(range))
    }

    /// Every edge as `(step, other)`, in definition order of the steps.
    pub(super) fn pairs(&self) -> impl DoubleEndedIterator<Item = (StepId, StepId)> + Clone + '_ {
        StepId::first(self.steps()).flat_map(|step| self.of(step).iter().map(move |&other| (step, other)))
    }

    /// Returns all steps that can be reached from the given ones, including these, in definition order.
    pub(super) fn reachable(&self, from: &[StepId]) -> Vec<StepId> {
        let mut seen = vec![false; self.steps()];
        let mut stack = from.to_vec();
        while let Some(step) = stack.pop() {
            if let Some(seen) = seen.get_mut(step.index()).filter(|seen| !**seen) {
                *seen = true;
                stack.extend_from_slice(self.of(step));
            }
        }
        StepId::first(seen.len()).zip(seen).filter(|(_, seen)| *seen).map(|(step, _)| step).collect()
    }
}

/// For each index up to the limit, how many of the numbers are at most that.
fn at_most(limit: usize, numbers: impl Iterator<Item = usize>) -> Vec<u32> {
    let mut counts = vec![0_u32; limit + 1];
    numbers.for_each(|number| {
        if let Some(count) = counts.get_mut(number) {
            *count += 1;
        }
    });
    let mut sum = 0;
    for count in &mut counts {
        sum += *count;
        *count = sum;
    }
    counts
}
