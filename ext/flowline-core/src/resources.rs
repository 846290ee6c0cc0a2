//! What the steps of a run share, and how often they may start: pools and rates.
//!
//! A step that finds too little left in a pool is parked there. Room that is made wakes one parked step,
//! first in rank; if that starts and leaves some, or cannot start for another reason, it wakes the next.
//! Nothing holds one pool while it waits for another, so nothing deadlocks; nothing of a lower rank
//! overtakes what is parked, so nothing that needs one pool starves. What needs several waits for one at a
//! time and leaves the others to whoever can use them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::event::{Nanos, Obstacle, PoolId};
use crate::graph::StepId;

/// What each start of a step takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// How much of which pools, until it ends.
    pub pools: Vec<(PoolId, u32)>,
    /// How often it may start within how long.
    pub rate: Option<(u32, Nanos)>,
}

#[derive(Debug, Default)]
struct Pool {
    free: u32,
    /// Ranks of the steps that wait for it.
    parked: BinaryHeap<Reverse<u32>>,
    /// Whether one of those may have become able to start.
    stirred: bool,
}

/// How often a step with a rate was called.
#[derive(Debug, Default)]
struct Calls {
    /// When the last ones began, the latest last.
    begun: VecDeque<Nanos>,
    /// How many starts may yet lead to one.
    expected: u32,
}

/// The state of all pools and rates.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pools: Vec<Pool>,
    needs: HashMap<StepId, Needs>,
    /// Of the steps with a rate.
    calls: HashMap<StepId, Calls>,
    /// How many starts of a step hold what they took.
    held: HashMap<StepId, u32>,
    /// From which pools steps have been woken whose turn has not come, by rank.
    woken: HashMap<u32, PoolId>,
}

impl Resources {
    pub(crate) fn new(sizes: &[u32], needs: HashMap<StepId, Needs>) -> Self {
        let pools = sizes.iter().map(|&free| Pool { free, ..Pool::default() }).collect();
        Self { pools, needs, ..Self::default() }
    }

    /// What keeps a step from starting, if anything does.
    pub(crate) fn obstacle(&self, step: StepId, rank: u32, now: Nanos) -> Option<Obstacle> {
        if let Some(again) = self.kept(step, now) {
            return Some(Obstacle::Rate(again)); // First: what could not start anyway keeps no room from others.
        }
        let lacks = |&&(pool, amount): &&(PoolId, u32)| {
            self.pools.get(pool as usize).is_some_and(|pool| {
                pool.free < amount || pool.parked.peek().is_some_and(|&Reverse(first)| first < rank)
            })
        };
        let (pool, _) = self.needs.get(&step)?.pools.iter().find(lacks)?;
        Some(Obstacle::Pool(*pool))
    }

    /// Until when its rate keeps a step from starting, if it does. What is expected begins now at the earliest.
    pub(crate) fn kept(&self, step: StepId, now: Nanos) -> Option<Nanos> {
        let (most, period) = self.needs.get(&step)?.rate?;
        let calls = self.calls.get(&step)?;
        let first = match most.checked_sub(calls.expected).filter(|&most| most > 0) {
            Some(most) => *calls.begun.get(calls.begun.len().checked_sub(most as usize)?)?,
            None => now,
        };
        let again = first.saturating_add(period);
        (again > now).then_some(again)
    }

    /// The step starts.
    pub(crate) fn take(&mut self, step: StepId) {
        let Some(needs) = self.needs.get(&step) else { return };
        if needs.rate.is_some() {
            self.calls.entry(step).or_default().expected += 1;
        }
        if needs.pools.is_empty() {
            return;
        }
        *self.held.entry(step).or_default() += 1;
        for &(pool, amount) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool as usize) {
                pool.free = pool.free.saturating_sub(amount);
            }
        }
    }

    /// A start of the step leads to a call.
    pub(crate) fn begin(&mut self, step: StepId, now: Nanos) {
        let Some((most, _)) = self.needs.get(&step).and_then(|needs| needs.rate) else { return };
        let calls = self.calls.entry(step).or_default();
        calls.expected = calls.expected.saturating_sub(1);
        calls.begun.push_back(now);
        if calls.begun.len() > most as usize {
            calls.begun.pop_front();
        }
    }

    /// A start of the step leads to none.
    pub(crate) fn spare(&mut self, step: StepId) {
        if let Some(calls) = self.calls.get_mut(&step) {
            calls.expected = calls.expected.saturating_sub(1);
        }
    }

    /// One start of the step has ended.
    pub(crate) fn release(&mut self, step: StepId) {
        let Some(held) = self.held.get_mut(&step).filter(|held| **held > 0) else { return };
        *held -= 1;
        let Some(needs) = self.needs.get(&step) else { return };
        for &(pool, amount) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool as usize) {
                pool.free += amount;
                pool.stirred = true;
            }
        }
    }

    /// Every start of the step has ended.
    pub(crate) fn release_all(&mut self, step: StepId) {
        while self.held.get(&step).is_some_and(|&held| held > 0) {
            self.release(step);
        }
    }

    /// The step wants nothing any more: those that wait behind it may start.
    pub(crate) fn stir(&mut self, step: StepId) {
        let Some(needs) = self.needs.get(&step) else { return };
        for &(pool, _) in &needs.pools {
            if let Some(pool) = self.pools.get_mut(pool as usize) {
                pool.stirred = true;
            }
        }
    }

    /// The step of that rank waits for that pool.
    pub(crate) fn park(&mut self, rank: u32, at: PoolId) {
        self.pass_on(rank, Some(at));
        if let Some(pool) = self.pools.get_mut(at as usize) {
            pool.parked.push(Reverse(rank));
        }
    }

    /// The turn of a step has come that may have been woken: those behind it may start, too, unless it
    /// goes back there.
    pub(crate) fn pass_on(&mut self, rank: u32, back: Option<PoolId>) {
        let from = self.woken.remove(&rank).filter(|&from| Some(from) != back);
        if let Some(pool) = from.and_then(|from| self.pools.get_mut(from as usize)) {
            pool.stirred = true;
        }
    }

    /// The rank of a parked step that may be able to start. It ends: the first in rank of those that are
    /// woken goes back to where it was, and so on.
    pub(crate) fn wake(&mut self) -> Option<u32> {
        for (id, pool) in (0..).zip(&mut self.pools) {
            if pool.stirred && pool.free > 0 {
                pool.stirred = false;
                if let Some(Reverse(rank)) = pool.parked.pop() {
                    self.woken.insert(rank, id);
                    return Some(rank);
                }
            }
        }
        None
    }

    /// Whether [`wake`](Self::wake) has one.
    pub(crate) fn is_stirred(&self) -> bool {
        self.pools.iter().any(|pool| pool.stirred && pool.free > 0 && !pool.parked.is_empty())
    }

    /// The ranks of all parked steps, which are not any longer.
    pub(crate) fn unpark(&mut self) -> Vec<u32> {
        self.pools
            .iter_mut()
            .flat_map(|pool| std::mem::take(&mut pool.parked))
            .map(|Reverse(rank)| rank)
            .collect()
    }
}
