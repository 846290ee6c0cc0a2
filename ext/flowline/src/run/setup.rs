//! Settings of a run, made before it begins.

use std::collections::HashMap;

use flowline_core::event::{Outcome, SkipReason};
use flowline_core::ids::{PoolId, StepId};
use flowline_core::resources::Needs;
use magnus::{Error, Module, RArray, RClass, Ruby, method};

use super::{Run, nanos};
use crate::error;

/// The step, how much it takes of which pools, and how often it may start in how many seconds.
type Need = (u32, Vec<(u32, u32)>, Option<u32>, Option<f64>);

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("limit", method!(limit, 1))?;
    class.define_method("share", method!(share, 2))?;
    class.define_method("expect", method!(expect, 1))?;
    class.define_method("preset", method!(preset, 3))
}

/// `limit(seconds: Float)`: the run's time limit, from its start. It may be set at any time.
fn limit(ruby: &Ruby, run: &Run, limit: f64) -> Result<(), Error> {
    run.core(ruby)?.limit(nanos(limit));
    Ok(())
}

/// `share(pools: Array<Integer>, needs: Array<[step, [[pool, amount], …], count or nil, seconds or nil]>)`:
/// the sizes of the pools, how much the steps take of them, and how often they may start in so many seconds.
fn share(ruby: &Ruby, run: &Run, pools: Vec<u32>, needs: Vec<Need>) -> Result<(), Error> {
    let needs = needs.into_iter().map(|(step, pools, count, period)| {
        let pools = pools.into_iter().map(|(pool, amount)| (PoolId::new(pool), amount)).collect();
        (StepId::new(step), Needs { pools, rate: count.zip(period.map(nanos)) })
    });
    run.core(ruby)?.share(&pools, needs.collect()).map_err(|e| error::raise(ruby, &e))
}

/// `expect(seconds: Array<Float or nil>)`: how long steps will take, for the order of those that can start.
fn expect(ruby: &Ruby, run: &Run, seconds: Vec<Option<f64>>) -> Result<(), Error> {
    run.core(ruby)?.expect(&seconds).map_err(|e| error::raise(ruby, &e))
}

/// `preset(restored: Array<Integer>, cached: Array<Integer>, unselected: Array<Integer>)`: ends these steps.
fn preset(ruby: &Ruby, run: &Run, restored: RArray, cached: RArray, unselected: RArray) -> Result<(), Error> {
    let mut outcomes = HashMap::new();
    for (steps, outcome) in [
        (restored, Outcome::Restored),
        (cached, Outcome::Cached),
        (unselected, Outcome::Skipped(SkipReason::NotSelected)),
    ] {
        outcomes.extend(steps.to_vec::<u32>()?.into_iter().map(|step| (StepId::new(step), outcome)));
    }
    let now = run.now();
    let mut core = run.core(ruby)?;
    core.preset(|step| outcomes.get(&step).copied(), now).map_err(|e| error::raise(ruby, &e))
}
