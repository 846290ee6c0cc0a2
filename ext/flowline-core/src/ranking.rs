//! Which step comes first when several could start: the one with the longest remaining path
//! (critical-path scheduling: Graham 1969; Coffman 1976), then the one defined first.

use crate::graph::{Graph, StepId};

/// An order of all steps.
#[derive(Debug, Default)]
pub struct Ranking {
    by_rank: Vec<StepId>,
    ranks: Vec<u32>,
}

impl Ranking {
    /// That order, the first step first.
    pub fn new(by_rank: Vec<StepId>) -> Self {
        let mut ranks = vec![0; by_rank.len()];
        for (rank, &step) in (0..).zip(&by_rank) {
            if let Some(slot) = ranks.get_mut(step as usize) {
                *slot = rank;
            }
        }
        Self { by_rank, ranks }
    }

    /// By the time the path takes. A step whose seconds are not known counts as much as the known ones
    /// do on average; none is known: by the number of steps.
    pub fn by_time(graph: &Graph, seconds: &[Option<f64>]) -> Self {
        let known: Vec<f64> = seconds.iter().copied().flatten().collect();
        let average = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
        let mut lengths = vec![0.0_f64; graph.len()];
        for &step in graph.order().iter().rev() {
            let own = seconds.get(step as usize).copied().flatten().unwrap_or(average);
            let rest = graph.dependents(step).filter_map(|next| lengths.get(next as usize)).copied();
            let length = own + rest.fold(0.0, f64::max);
            if let Some(slot) = lengths.get_mut(step as usize) {
                *slot = length;
            }
        }
        let length = |step: StepId| lengths.get(step as usize).copied().unwrap_or_default();
        let mut by_rank: Vec<StepId> = (0..graph.len() as StepId).collect();
        by_rank.sort_by(|&a, &b| length(b).total_cmp(&length(a)).then(graph.rank(a).cmp(&graph.rank(b))));
        Self::new(by_rank)
    }

    /// Where the step stands: 0 is first.
    pub fn rank(&self, step: StepId) -> u32 {
        self.ranks.get(step as usize).copied().unwrap_or(u32::MAX)
    }

    /// The step of that rank.
    pub fn step(&self, rank: u32) -> Option<StepId> {
        self.by_rank.get(rank as usize).copied()
    }
}
