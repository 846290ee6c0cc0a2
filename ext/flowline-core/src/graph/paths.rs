//! The longest paths of a graph.

use super::edges::Edges;
use crate::ids::StepId;

/// For each step, the most edges on a path that reaches it. The steps come with those before them on such a path,
/// which have come already.
pub(super) fn longest_paths<'a>(
    count: usize,
    steps: impl Iterator<Item = (StepId, &'a [StepId])>,
) -> Vec<u32> {
    let mut lengths: Vec<u32> = vec![0; count];
    for (step, before) in steps {
        let through = |other: &StepId| lengths.get(other.index()).map_or(0, |length| length + 1);
        let length = before.iter().map(through).fold(0, u32::max);
        if let Some(slot) = lengths.get_mut(step.index()) {
            *slot = length;
        }
    }
    lengths
}

/// The steps by their longest remaining path, longest first, then in definition order: a counting
/// sort, since heights are small whole numbers. The dependents are those of the steps in that order.
pub(super) fn by_height(order: &[StepId], dependents: &Edges) -> Vec<StepId> {
    let steps = order.iter().copied().zip(dependents.lists());
    let heights = longest_paths(order.len(), steps.rev());
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
    let mut sorted = vec![StepId::default(); heights.len()];
    for (step, &height) in StepId::first(heights.len()).zip(&heights) {
        if let Some(next) = starts.get_mut(height as usize) {
            if let Some(slot) = sorted.get_mut(*next as usize) {
                *slot = step;
            }
            *next += 1;
        }
    }
    sorted
}
