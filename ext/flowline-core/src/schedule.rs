//! How long a run takes with so many workers: a simulation by expected times. Steps start as in a run: of those that could,
//! the one with the longest remaining path comes first (list scheduling: Graham 1969). Pools are respected, rates are not.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::graph::Graph;
use crate::ids::{PoolId, Rank, StepId};
use crate::ranking::Ranking;

/// A run that is this much longer than the shortest one counts as equally fast.
const SLACK: f64 = 1.02;

/// The parts of pools that a step takes while it is called.
pub type Uses = Vec<(PoolId, u32)>;

/// The expected times of a run.
#[derive(Debug)]
pub struct Schedule<'a> {
    graph: &'a Graph,
    seconds: &'a [f64],
    pools: &'a [u32],
    ranking: Ranking,
    /// By step, its kind: steps that take the same of pools are of one kind.
    kinds: Vec<usize>,
    uses: Vec<Uses>,
}

/// The steps of a kind that could start, the most urgent first.
type Ready = BinaryHeap<Reverse<Rank>>;

impl<'a> Schedule<'a> {
    /// `seconds` are by step; `needs` has the steps that use pools, and `pools` their sizes.
    pub fn new(graph: &'a Graph, seconds: &'a [f64], needs: &[(StepId, Uses)], pools: &'a [u32]) -> Self {
        let known: Vec<Option<f64>> = seconds.iter().copied().map(Some).collect();
        let mut uses = vec![Uses::new()];
        let mut kinds = vec![0; graph.len()];
        let mut indexes = HashMap::new();
        for (step, taken) in needs.iter().filter(|(_, taken)| !taken.is_empty()) {
            let kind = *indexes.entry(taken.clone()).or_insert_with(|| {
                uses.push(taken.clone());
                uses.len() - 1
            });
            if let Some(slot) = kinds.get_mut(step.index()) {
                *slot = kind;
            }
        }
        Self { graph, seconds, pools, ranking: Ranking::by_time(graph, &known), kinds, uses }
    }

    /// The seconds that the run takes with that many workers.
    pub fn length(&self, workers: usize) -> f64 {
        let mut ready: Vec<Ready> = vec![Ready::new(); self.uses.len()];
        let mut open: Vec<usize> =
            self.graph.steps().map(|step| self.graph.dependencies(step).len()).collect();
        let mut free = self.pools.to_vec();
        let mut running: BinaryHeap<Reverse<(u64, StepId)>> = BinaryHeap::new();
        let mut now = 0.0;
        for step in self.graph.steps().filter(|&step| self.graph.dependencies(step).is_empty()) {
            self.add(&mut ready, step);
        }
        loop {
            while running.len() < workers.max(1) {
                let Some(step) = self.start(&mut ready, &mut free) else { break };
                let own = self.seconds.get(step.index()).copied().unwrap_or_default().max(0.0);
                running.push(Reverse(((now + own).to_bits(), step))); // The bits of positive numbers have their order.
            }
            let Some(Reverse((ends, step))) = running.pop() else { return now };
            now = f64::from_bits(ends);
            self.take(step, &mut free, u32::saturating_add);
            for &next in self.graph.dependents(step) {
                let Some(count) = open.get_mut(next.index()) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.add(&mut ready, next);
                }
            }
        }
    }

    /// The seconds that the run takes with any number of workers.
    pub fn shortest(&self) -> f64 {
        self.length(self.graph.len())
    }

    /// The least number of workers with which the run is as fast as with any number.
    pub fn useful_workers(&self) -> usize {
        let shortest = self.shortest();
        let limit = shortest * SLACK;
        let work: f64 = self.seconds.iter().sum();
        if work.is_nan() || work <= 0.0 || limit <= 0.0 {
            return 1;
        }
        let mut least = ((work / limit).ceil() as usize).clamp(1, self.graph.len().max(1));
        let mut most = least;
        while self.length(most) > limit && most < self.graph.len() {
            least = most + 1;
            most = (most * 2).min(self.graph.len());
        }
        while least < most {
            let middle = least.midpoint(most);
            if self.length(middle) > limit { least = middle + 1 } else { most = middle }
        }
        most
    }

    fn kind(&self, step: StepId) -> usize {
        self.kinds.get(step.index()).copied().unwrap_or_default()
    }

    fn add(&self, ready: &mut [Ready], step: StepId) {
        if let Some(queue) = ready.get_mut(self.kind(step)) {
            queue.push(Reverse(self.ranking.rank(step)));
        }
    }

    /// The most urgent step whose pools have room.
    fn start(&self, ready: &mut [Ready], free: &mut [u32]) -> Option<StepId> {
        let urgent = ready.iter().zip(&self.uses).enumerate().filter_map(|(kind, (queue, uses))| {
            let Reverse(rank) = *queue.peek()?;
            let fits =
                |&(pool, amount): &(PoolId, u32)| free.get(pool.index()).is_none_or(|&left| left >= amount);
            uses.iter().all(fits).then_some((rank, kind))
        });
        let (rank, kind) = urgent.min()?;
        ready.get_mut(kind)?.pop();
        let step = self.ranking.step(rank)?;
        self.take(step, free, u32::saturating_sub);
        Some(step)
    }

    fn take(&self, step: StepId, free: &mut [u32], change: fn(u32, u32) -> u32) {
        for &(pool, amount) in self.uses.get(self.kind(step)).into_iter().flatten() {
            if let Some(left) = free.get_mut(pool.index()) {
                *left = change(*left, amount);
            }
        }
    }
}
