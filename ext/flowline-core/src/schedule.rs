//! How long a run takes with so many workers: a simulation by expected times. Steps start as in a run: of those that could,
//! the one with the longest remaining path comes first (list scheduling: Graham 1969). Pools are respected, rates are not.
//! A step that is called for each item keeps several workers busy: it has as many equal parts, and ends with the last one.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use crate::graph::Graph;
use crate::ids::{PoolId, Rank, StepId};
use crate::ranking::Ranking;

/// A run that is this much longer than the shortest one counts as equally fast.
const SLACK: f64 = 1.02;

/// More parts of a step change nothing that anybody could see, and would take memory.
const MOST_PARTS: usize = 10_000;

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
    /// By step, how many parts it has.
    parts: Vec<usize>,
}

/// A simulated run.
struct Simulation {
    /// By kind, the steps of which a part could start.
    ready: Vec<Ready>,
    /// By step, the parts that have not started.
    waiting: Vec<usize>,
    /// By step, the parts that have not ended.
    unfinished: Vec<usize>,
    /// By pool, what is not in use.
    free: Vec<u32>,
}

/// The steps of a kind that could start, the most urgent first.
type Ready = BinaryHeap<Reverse<Rank>>;

impl<'a> Schedule<'a> {
    /// `seconds` are by step; `needs` has the steps that use pools, and `pools` their sizes; `wide` has the steps that keep
    /// several workers busy, and how many.
    pub fn new(
        graph: &'a Graph,
        seconds: &'a [f64],
        needs: &[(StepId, Uses)],
        pools: &'a [u32],
        wide: &[(StepId, u32)],
    ) -> Self {
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
        let mut parts = vec![1; graph.len()];
        for &(step, workers) in wide {
            if let Some(slot) = parts.get_mut(step.index()) {
                *slot = (workers as usize).clamp(1, MOST_PARTS);
            }
        }
        Self { graph, seconds, pools, ranking: Ranking::by_time(graph, &known), kinds, uses, parts }
    }

    /// The seconds that the run takes with that many workers.
    pub fn length(&self, workers: usize) -> f64 {
        let mut simulation = Simulation {
            ready: vec![Ready::new(); self.uses.len()],
            waiting: self.parts.clone(),
            unfinished: self.parts.clone(),
            free: self.pools.to_vec(),
        };
        let mut open: Vec<usize> =
            self.graph.steps().map(|step| self.graph.dependencies(step).len()).collect();
        let mut running: BinaryHeap<Reverse<(u64, StepId)>> = BinaryHeap::new();
        let mut now = 0.0;
        for step in self.graph.steps().filter(|&step| self.graph.dependencies(step).is_empty()) {
            self.add(&mut simulation.ready, step);
        }
        loop {
            while running.len() < workers.max(1) {
                let Some(step) = self.start(&mut simulation) else { break };
                let own = self.seconds.get(step.index()).copied().unwrap_or_default().max(0.0);
                running.push(Reverse(((now + own).to_bits(), step))); // The bits of positive numbers have their order.
            }
            let Some(Reverse((ends, step))) = running.pop() else { return now };
            now = f64::from_bits(ends);
            self.take(step, &mut simulation.free, u32::saturating_add);
            if count_down(&mut simulation.unfinished, step) > 0 {
                continue;
            }
            for &next in self.graph.dependents(step) {
                let Some(count) = open.get_mut(next.index()) else { continue };
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.add(&mut simulation.ready, next);
                }
            }
        }
    }

    /// The seconds that the run takes with any number of workers.
    pub fn shortest(&self) -> f64 {
        self.length(self.most())
    }

    /// The number of workers that are enough for everything at once.
    fn most(&self) -> usize {
        self.parts.iter().sum()
    }

    /// The least number of workers with which the run is as fast as with any number.
    pub fn useful_workers(&self) -> usize {
        let shortest = self.shortest();
        let limit = shortest * SLACK;
        let work: f64 = self.seconds.iter().zip(&self.parts).map(|(own, &parts)| own * parts as f64).sum();
        let all = self.most().max(1);
        if work.is_nan() || work <= 0.0 || limit <= 0.0 {
            return 1;
        }
        let mut least = ((work / limit).ceil() as usize).clamp(1, all);
        let mut most = least;
        while self.length(most) > limit && most < all {
            least = most + 1;
            most = (most * 2).min(all);
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

    /// Starts a part of the most urgent step whose pools have room.
    fn start(&self, simulation: &mut Simulation) -> Option<StepId> {
        let Simulation { ready, waiting, free, .. } = simulation;
        let urgent = ready.iter().zip(&self.uses).enumerate().filter_map(|(kind, (queue, uses))| {
            let Reverse(rank) = *queue.peek()?;
            let fits =
                |&(pool, amount): &(PoolId, u32)| free.get(pool.index()).is_none_or(|&left| left >= amount);
            uses.iter().all(fits).then_some((rank, kind))
        });
        let (rank, kind) = urgent.min()?;
        let step = self.ranking.step(rank)?;
        if count_down(waiting, step) == 0 {
            ready.get_mut(kind)?.pop();
        }
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

/// Takes one from the count of a step, and returns what is left.
fn count_down(counts: &mut [usize], step: StepId) -> usize {
    counts.get_mut(step.index()).map_or(0, |count| {
        *count = count.saturating_sub(1);
        *count
    })
}
