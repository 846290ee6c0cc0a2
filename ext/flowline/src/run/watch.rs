//! How a run goes on, for those who watch it.

use flowline_core::event::State;
use flowline_core::ids::StepId;
use magnus::{Error, Module, RArray, RClass, Ruby, method};

use super::{Run, answers};

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("watch", method!(watch, 0))?;
    class.define_method("waits", method!(waits, 0))?;
    class.define_method("progress", method!(progress, 1))?;
    class.define_method("open_steps", method!(open_steps, 2))
}

/// `watch`: collects the steps that begin to wait from now on.
fn watch(ruby: &Ruby, run: &Run) -> Result<(), Error> {
    run.core(ruby)?.watch();
    Ok(())
}

/// `waits -> Array<[step: Integer, state: Array]>`: the steps that have begun to wait since this was last called, and still do.
fn waits(ruby: &Ruby, run: &Run) -> Result<RArray, Error> {
    let waits = run.core(ruby)?.waits(run.now());
    states(ruby, waits)
}

/// `progress(step) -> [done, restored, failed, retries] or nil`: how the items of an open step have ended so far; nil: as it was
/// when this last returned them, or that was less than 200 ms ago.
fn progress(ruby: &Ruby, run: &Run, step: u32) -> Result<Option<Vec<u64>>, Error> {
    let counts = run.core(ruby)?.progress(StepId::new(step), run.now());
    Ok(counts.map(|counts| vec![counts.done, counts.restored, counts.failed, counts.retries]))
}

/// `open_steps(most, ready) -> [Array<[step: Integer, state: Array]>, Integer]`: steps that have started or could start and have not
/// ended, so many at most, and so many of those that wait for a worker; and how many there are.
fn open_steps(ruby: &Ruby, run: &Run, most: usize, ready: usize) -> Result<(RArray, usize), Error> {
    let (open, count) = run.core(ruby)?.open_steps(most, ready, run.now());
    Ok((states(ruby, open)?, count))
}

fn states(ruby: &Ruby, steps: Vec<(StepId, State)>) -> Result<RArray, Error> {
    let answer = ruby.ary_new_capa(steps.len());
    for (step, state) in steps {
        answer.push((step.number(), answers::words(ruby, state)?))?;
    }
    Ok(answer)
}
