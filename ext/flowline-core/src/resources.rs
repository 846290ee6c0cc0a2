//! What the steps of a run share, and how often they may start: pools and rates.
//!
//! A step that finds too little left in a pool is parked there. Room that is made wakes one parked step,
//! first in rank; if that starts and leaves some, or cannot start for another reason, it wakes the next.
//! Nothing holds one pool while it waits for another, so nothing deadlocks; nothing of a lower rank
//! overtakes what is parked, so nothing that needs one pool starves. What needs several waits for one at a
//! time and leaves the others to whoever can use them.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::event::Nanos;
use crate::graph::StepId;

/// The position of a pool among those of the run.
pub type PoolId = u32;

/// What each start of a step takes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// How much of which pools, until it ends.
    pub pools: Vec<(PoolId, u32)>,
    /// How often it may start within how long.
    pub rate: Option<(u32, Nanos)>,
}

/// Why a step cannot start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Too little is left in that pool.
    Pool(PoolId),
    /// It started often enough until that time.
    Rate(Nanos),
}

#[derive(Debug, Default)]
struct Pool {
    free: u32,
    /// Ranks of the steps that wait for it.
    parked: BinaryHeap<Reverse<u32>>,
    /// Whether one of those may have become able to start.
    stirred: bool,
}

/// The state of all pools and rates.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    pools: Vec<Pool>,
    needs: HashMap<StepId, Needs>,
    /// When the steps with a rate last started, the latest last.
    starts: HashMap<StepId, VecDeque<Nanos>>,
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

    /// Until when its rate keeps a step from starting, if it does.
    pub(crate) fn kept(&self, step: StepId, now: Nanos) -> Option<Nanos> {
        let (most, period) = self.needs.get(&step)?.rate?;
        let starts = self.starts.get(&step)?;
        let first = *starts.get(starts.len().checked_sub(most as usize)?)?;
        let again = first.saturating_add(period);
        (again > now).then_some(again)
    }

    /// The step starts.
    pub(crate) fn take(&mut self, step: StepId, now: Nanos) {
        let Some(needs) = self.needs.get(&step) else { return };
        if let Some((most, _)) = needs.rate {
            let starts = self.starts.entry(step).or_default();
            starts.push_back(now);
            if starts.len() > most as usize {
                starts.pop_front();
            }
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

    /// The step's last start was none.
    pub(crate) fn untake(&mut self, step: StepId) {
        if let Some(starts) = self.starts.get_mut(&step) {
            starts.pop_back();
        }
        self.release(step);
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
