//! Limits that the steps of a run share: pools (how much at a time) and rates (how often).
//!
//! A step that finds too little room in a pool is parked at that pool. Room that becomes free wakes one parked step,
//! the first by age and rank. If that starts and leaves room, or cannot start for another reason, it wakes the next.
//!
//! Steps that wait are ordered by *generation*, then by rank. A new generation begins when a step that was started
//! before, for an item or an attempt, starts again and overtakes waiting steps: whatever begins to wait from then on
//! comes after those. So a stream of items of any rank overtakes a waiting step once at most, streams take turns, and
//! rank alone decides between steps that start once. (The idea is that of start-time fair queueing: Goyal 1996.)
//!
//! - No deadlock: no step holds one pool while it waits for another.
//! - No starvation: no later step overtakes a parked step, so a step that needs one pool gets it.
//! - A step that needs several pools is parked at one at a time and leaves the others to steps that can use them, but
//!   not to steps of a later generation. The oldest waiting step waits for running steps only, so that it starts.
//!
//! A rate counts calls, not starts: a start is *expected* to lead to a call until the call begins, or until it is
//! known that there is none. An expected call begins now at the earliest, so a rate never lets too many through.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

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

/// Where a waiting step stands: its generation, then its rank.
type Place = (u64, Rank);

#[derive(Debug, Default)]
struct Pool {
    free: u32,
    /// The steps that wait for it.
    parked: BTreeSet<Place>,
    /// Waiting steps that need it, too, but are parked at another pool.
    awaited: BTreeSet<Place>,
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
    /// By rank, the steps that were woken and have not been considered since, and the pools they are parked at.
    woken: HashMap<Rank, PoolId>,
    /// By rank, the steps that wait for a pool, and in which generation they began to.
    waiting: HashMap<Rank, (StepId, u64)>,
    /// The generation of the steps that begin to wait now.
    generation: u64,
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
        let needs = self.needs.get(&step)?;
        let place = self.place(rank);
        let lacks = |&&(id, amount): &&(PoolId, u32)| {
            self.pools.get(id.index()).is_some_and(|pool| {
                pool.free < amount.saturating_add(self.reserved(id, pool, place))
                    || pool.parked.first().is_some_and(|&first| first < place)
            })
        };
        needs.pools.iter().find(lacks).map(|&(pool, _)| Obstacle::Pool(pool))
    }

    fn place(&self, rank: Rank) -> Place {
        (self.waiting.get(&rank).map_or(self.generation, |&(_, generation)| generation), rank)
    }

    /// Returns how much of the pool is left to an older step that waits for another one.
    fn reserved(&self, id: PoolId, pool: &Pool, place: Place) -> u32 {
        let oldest = pool.awaited.first().filter(|&&(generation, _)| generation < place.0);
        oldest.and_then(|(_, rank)| self.waiting.get(rank)).map_or(0, |&(step, _)| self.amount(step, id))
    }

    fn amount(&self, step: StepId, id: PoolId) -> u32 {
        let needs = self.needs.get(&step).into_iter().flat_map(|needs| &needs.pools);
        needs.filter(|&&(pool, _)| pool == id).map(|&(_, amount)| amount).sum()
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

    /// Takes the resources that a step needs when it starts, `again` for another item or attempt.
    pub(crate) fn acquire(&mut self, step: StepId, again: bool) {
        let Some(needs) = self.needs.get(&step) else { return };
        if needs.rate.is_some() {
            self.calls.entry(step).or_default().expected += 1;
        }
        if needs.pools.is_empty() {
            return;
        }
        *self.held.entry(step).or_default() += 1;
        let mut overtakes = false;
        for &(pool, amount) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool.index()) {
                pool.free = pool.free.saturating_sub(amount);
                let last = pool.parked.last().max(pool.awaited.last());
                overtakes |= last.is_some_and(|&(generation, _)| generation == self.generation);
            }
        }
        self.generation += u64::from(overtakes && again);
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

    /// Parks a step at a pool.
    pub(crate) fn park(&mut self, step: StepId, rank: Rank, at: PoolId) {
        let from = self.woken.remove(&rank).filter(|&from| from != at);
        self.waiting.entry(rank).or_insert((step, self.generation));
        let place = self.place(rank);
        self.needs.get(&step).into_iter().flat_map(|needs| &needs.pools).for_each(|&(id, _)| {
            if let Some(pool) = self.pools.get_mut(id.index()) {
                pool.parked.remove(&place);
                pool.awaited.remove(&place);
                if id == at {
                    pool.parked.insert(place)
                } else {
                    pool.awaited.insert(place)
                };
                pool.check |= from == Some(id);
            }
        });
    }

    /// Records that a step does not wait for a pool any more: it starts, or cannot. Steps behind it may start, too.
    pub(crate) fn leave(&mut self, rank: Rank) {
        if self.waiting.is_empty() {
            return;
        }
        self.woken.remove(&rank);
        let place = self.place(rank);
        let Some((step, _)) = self.waiting.remove(&rank) else { return };
        for &(id, _) in self.needs.get(&step).into_iter().flat_map(|needs| &needs.pools) {
            if let Some(pool) = self.pools.get_mut(id.index()) {
                pool.parked.remove(&place);
                pool.awaited.remove(&place);
                pool.check = true;
            }
        }
    }

    /// Returns the rank of a parked step that may be able to start, which keeps its place until it is considered. Repeated
    /// calls end, because a step that stays at its pool wakes no other.
    pub(crate) fn wake(&mut self) -> Option<Rank> {
        for (id, pool) in (0..).map(PoolId::new).zip(&mut self.pools) {
            if pool.check && pool.free > 0 {
                pool.check = false;
                let Some(&(_, rank)) = pool.parked.first() else { continue };
                if self.woken.insert(rank, id).is_none() {
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

    /// Removes all parked steps, and returns the ranks of those that were not woken.
    pub(crate) fn unpark(&mut self) -> Vec<Rank> {
        for pool in &mut self.pools {
            pool.parked.clear();
            pool.awaited.clear();
        }
        let woken = std::mem::take(&mut self.woken);
        let mut ranks: Vec<Rank> = self.waiting.drain().map(|(rank, _)| rank).collect();
        ranks.retain(|rank| !woken.contains_key(rank));
        ranks
    }
}
