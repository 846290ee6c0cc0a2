//! Which step comes first when several could start: the one with the longest remaining path
//! (critical-path scheduling: Graham 1969; Coffman 1976), then the one defined first.

use crate::graph::Graph;
use crate::ids::{Rank, StepId};

/// An order of all steps.
#[derive(Debug, Default)]
pub struct Ranking {
    by_rank: Vec<StepId>,
    ranks: Vec<Rank>,
}

impl Ranking {
    /// That order, the first step first.
    pub fn new(by_rank: Vec<StepId>) -> Self {
        let mut ranks = vec![Rank::default(); by_rank.len()];
        for (rank, &step) in (0..).map(Rank::new).zip(&by_rank) {
            if let Some(slot) = ranks.get_mut(step.index()) {
                *slot = rank;
            }
        }
        Self { by_rank, ranks }
    }

    /// By the time the path takes. A step whose seconds are not known counts as much as the known ones
    /// do on average; if none is known, by the number of steps.
    pub fn by_time(graph: &Graph, seconds: &[Option<f64>]) -> Self {
        let known: Vec<f64> = seconds.iter().copied().flatten().collect();
        let average = if known.is_empty() { 1.0 } else { known.iter().sum::<f64>() / known.len() as f64 };
        let mut lengths = vec![0.0_f64; graph.len()];
        for &step in graph.order().iter().rev() {
            let own = seconds.get(step.index()).copied().flatten().unwrap_or(average);
            let rest = graph.dependents(step).iter().filter_map(|next| lengths.get(next.index())).copied();
            let length = own + rest.fold(0.0, f64::max);
            if let Some(slot) = lengths.get_mut(step.index()) {
                *slot = length;
            }
        }
        let length = |step: StepId| lengths.get(step.index()).copied().unwrap_or_default();
        let mut by_rank: Vec<StepId> = graph.steps().collect();
        by_rank.sort_by(|&a, &b| length(b).total_cmp(&length(a)).then(graph.rank(a).cmp(&graph.rank(b))));
        Self::new(by_rank)
    }

    /// Where the step stands.
    pub fn rank(&self, step: StepId) -> Rank {
        self.ranks.get(step.index()).copied().unwrap_or(Rank::LAST)
    }

    /// The step of that rank.
    pub fn step(&self, rank: Rank) -> Option<StepId> {
        self.by_rank.get(rank.index()).copied()
    }
}
