//! Limits that the steps of a run share: pools (how much at a time) and rates (how often).
//!
//! A step that finds too little room in a pool is parked at that pool. Room that becomes free wakes one parked step,
//! the first in rank. If that starts and leaves room, or cannot start for another reason, it wakes the next.
//!
//! - No deadlock: no step holds one pool while it waits for another.
//! - No starvation: no step of a lower rank overtakes a parked step, so a step that needs one pool gets it.
//! - A step that needs several pools waits for one at a time and leaves the others to steps that can use them.
//!
//! A rate counts calls, not starts: a start is *expected* to lead to a call until the call begins, or until it is
//! known that there is none. An expected call begins now at the earliest, so a rate never lets too many through.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, VecDeque};

use crate::event::{Nanos, Obstacle};
use crate::ids::{PoolId, Rank, StepId};

/// The resources that each start of a step takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// The amounts that it takes of pools until it ends.
    pub pools: Vec<(PoolId, u32)>,
    /// The rate: how many starts are allowed in how much time.
    pub rate: Option<(u32, Nanos)>,
}

impl Needs {
    /// The same, each pool named once, so that a pool never gets back more than was taken.
    fn merged(mut self) -> Self {
        let mut amounts: BTreeMap<PoolId, u32> = BTreeMap::new();
        for &(pool, amount) in &self.pools {
            let sum = amounts.entry(pool).or_default();
            *sum = sum.saturating_add(amount);
        }
        if amounts.len() < self.pools.len() {
            self.pools = amounts.into_iter().collect();
        }
        self
    }
}

#[derive(Debug, Default)]
struct Pool {
    free: u32,
    /// Ranks of the steps that wait for it.
    parked: BinaryHeap<Reverse<Rank>>,
    /// Whether one of these steps may have become able to start.
    check: bool,
}

/// How often a step with a rate was called.
#[derive(Debug, Default)]
struct Calls {
    /// The times at which the last calls began, the latest last.
    begun: VecDeque<Nanos>,
    /// The number of starts that may still lead to a call.
    expected: u32,
}

/// The state of all pools and rates.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pools: Vec<Pool>,
    needs: HashMap<StepId, Needs>,
    /// The calls of the steps with a rate.
    calls: HashMap<StepId, Calls>,
    /// How many starts of a step hold resources.
    held: HashMap<StepId, u32>,
    /// By rank, the steps that were woken and have not been considered since, and the pools they were parked at.
    woken: HashMap<Rank, PoolId>,
}

impl Resources {
    pub(crate) fn new(sizes: &[u32], needs: HashMap<StepId, Needs>) -> Self {
        let pools = sizes.iter().map(|&free| Pool { free, ..Pool::default() }).collect();
        let needs = needs.into_iter().map(|(step, needs)| (step, needs.merged())).collect();
        Self { pools, needs, ..Self::default() }
    }

    /// Returns why a step cannot start now, if it cannot.
    pub(crate) fn obstacle(&self, step: StepId, rank: Rank, now: Nanos) -> Option<Obstacle> {
        if let Some(until) = self.rate_allows_at(step, now) {
            return Some(Obstacle::Rate(until)); // First, so that a step that its rate holds back parks nowhere.
        }
        let lacks = |&&(pool, amount): &&(PoolId, u32)| {
            self.pools.get(pool.index()).is_some_and(|pool| {
                pool.free < amount || pool.parked.peek().is_some_and(|&Reverse(first)| first < rank)
            })
        };
        let (pool, _) = self.needs.get(&step)?.pools.iter().find(lacks)?;
        Some(Obstacle::Pool(*pool))
    }

    /// Returns when the step's rate lets it start, if that is not now. Expected calls begin now at the earliest.
    pub(crate) fn rate_allows_at(&self, step: StepId, now: Nanos) -> Option<Nanos> {
        let (most, period) = self.needs.get(&step)?.rate?;
        let calls = self.calls.get(&step)?;
        let first = match most.checked_sub(calls.expected).filter(|&most| most > 0) {
            Some(most) => *calls.begun.get(calls.begun.len().checked_sub(most as usize)?)?,
            None => now,
        };
        let again = first.saturating_add(period);
        (again > now).then_some(again)
    }

    /// Takes the resources that a step needs when it starts.
    pub(crate) fn acquire(&mut self, step: StepId) {
        let Some(needs) = self.needs.get(&step) else { return };
        if needs.rate.is_some() {
            self.calls.entry(step).or_default().expected += 1;
        }
        if needs.pools.is_empty() {
            return;
        }
        *self.held.entry(step).or_default() += 1;
        for &(pool, amount) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool.index()) {
                pool.free = pool.free.saturating_sub(amount);
            }
        }
    }

    /// Records that a start of the step leads to a call.
    pub(crate) fn begin(&mut self, step: StepId, now: Nanos) {
        let Some((most, _)) = self.needs.get(&step).and_then(|needs| needs.rate) else { return };
        let calls = self.calls.entry(step).or_default();
        calls.expected = calls.expected.saturating_sub(1);
        calls.begun.push_back(now);
        if calls.begun.len() > most as usize {
            calls.begun.pop_front();
        }
    }

    /// Records that a start of the step leads to no call.
    pub(crate) fn expect_no_call(&mut self, step: StepId) {
        if let Some(calls) = self.calls.get_mut(&step) {
            calls.expected = calls.expected.saturating_sub(1);
        }
    }

    /// Releases the resources of one start of the step, which has ended.
    pub(crate) fn release(&mut self, step: StepId) {
        let Some(held) = self.held.get_mut(&step).filter(|held| **held > 0) else { return };
        *held -= 1;
        let Some(needs) = self.needs.get(&step) else { return };
        for &(pool, amount) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool.index()) {
                pool.free += amount;
                pool.check = true;
            }
        }
    }

    /// Releases the resources of every start of the step, which have all ended.
    pub(crate) fn release_all(&mut self, step: StepId) {
        while self.held.get(&step).is_some_and(|&held| held > 0) {
            self.release(step);
        }
    }

    /// Marks the pools of a step that needs them no longer, because steps that wait behind it may start.
    pub(crate) fn check_pools_of(&mut self, step: StepId) {
        let Some(needs) = self.needs.get(&step) else { return };
        for &(pool, _) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool.index()) {
                pool.check = true;
            }
        }
    }

    /// Parks the step of that rank at a pool.
    pub(crate) fn park(&mut self, rank: Rank, at: PoolId) {
        self.considered(rank, Some(at));
        if let Some(pool) = self.pools.get_mut(at.index()) {
            pool.parked.push(Reverse(rank));
        }
    }

    /// Records that a step that may have been woken has been considered. Steps that were parked behind it may start,
    /// too, unless it goes `back` there.
    pub(crate) fn considered(&mut self, rank: Rank, back: Option<PoolId>) {
        let from = self.woken.remove(&rank).filter(|&from| Some(from) != back);
        if let Some(pool) = from.and_then(|from| self.pools.get_mut(from.index())) {
            pool.check = true;
        }
    }

    /// Removes and returns the rank of a parked step that may be able to start. Repeated calls end, because a step that
    /// goes back to its pool wakes no other.
    pub(crate) fn wake(&mut self) -> Option<Rank> {
        for (id, pool) in (0..).map(PoolId::new).zip(&mut self.pools) {
            if pool.check && pool.free > 0 {
                pool.check = false;
                if let Some(Reverse(rank)) = pool.parked.pop() {
                    self.woken.insert(rank, id);
                    return Some(rank);
                }
            }
        }
        None
    }

    /// Whether [`wake`](Self::wake) would return a rank.
    pub(crate) fn can_wake(&self) -> bool {
        self.pools.iter().any(|pool| pool.check && pool.free > 0 && !pool.parked.is_empty())
    }

    /// Removes and returns the ranks of all parked steps.
    pub(crate) fn unpark(&mut self) -> Vec<Rank> {
        self.pools
            .iter_mut()
            .flat_map(|pool| std::mem::take(&mut pool.parked))
            .map(|Reverse(rank)| rank)
            .collect()
    }
}
