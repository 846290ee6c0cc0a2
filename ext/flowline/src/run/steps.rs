//! Methods of a run that start steps, and report how they end.

use flowline_core::event::{Nanos, Next, Outcome, Report};
use flowline_core::ids::StepId;
use magnus::scan_args::scan_args;
use magnus::{Error, IntoValue, Module, RClass, Ruby, Symbol, Value, method};

use super::{Run, nanos, numbers, seconds};
use crate::{error, symbols};

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("next", method!(next, 0))?;
    class.define_method("begin", method!(begin, -1))?;
    class.define_method("succeed", method!(succeed, 1))?;
    class.define_method("report", method!(report, -1))?;
    class.define_method("withdraw", method!(withdraw, 1))?;
    class.define_method("retry", method!(retry, 2))?;
    class.define_method("stop", method!(stop, 2))?;
    class.define_method("drain_ended", method!(drain_ended, 0))
}

/// `next -> Integer` to start that step, `Float` to ask again after so many seconds or the next
/// report (`Infinity`: only then), `nil` when every step has ended.
fn next(ruby: &Ruby, run: &Run) -> Result<Value, Error> {
    let now = run.now();
    Ok(answer(ruby, run.core(ruby)?.next(now), now))
}

/// `begin(step, at = now)`: its callable is called at that time, after conditions and hooks. Times are those of `elapsed`.
fn begin(ruby: &Ruby, run: &Run, arguments: &[Value]) -> Result<(), Error> {
    let arguments = scan_args::<(u32,), (Option<Option<f64>>,), (), (), (), ()>(arguments)?;
    let ((step,), (at,)) = (arguments.required, arguments.optional);
    let now = at.flatten().map_or_else(|| run.now(), nanos);
    run.core(ruby)?.begin(StepId::new(step), now).map_err(|e| error::raise(ruby, &e))
}

/// `succeed(step)`: reports a success and asks for the next step in one call, the hot path.
fn succeed(ruby: &Ruby, run: &Run, step: u32) -> Result<Value, Error> {
    let now = run.now();
    let mut core = run.core(ruby)?;
    let report = Report::Ended(Outcome::Succeeded);
    core.report(StepId::new(step), report, now).map_err(|e| error::raise(ruby, &e))?;
    Ok(answer(ruby, core.next(now), now))
}

/// `report(step, outcome: Symbol, reason: Symbol or nil, at = now)`: how it ended, and when.
fn report(ruby: &Ruby, run: &Run, arguments: &[Value]) -> Result<(), Error> {
    type Required = (u32, Symbol, Option<Symbol>);
    let arguments = scan_args::<Required, (Option<Option<f64>>,), (), (), (), ()>(arguments)?;
    let ((step, name, reason), (at,)) = (arguments.required, arguments.optional);
    let report = Report::Ended(symbols::reported_outcome(ruby, name, reason)?);
    let now = at.flatten().map_or_else(|| run.now(), nanos);
    run.core(ruby)?.report(StepId::new(step), report, now).map_err(|e| error::raise(ruby, &e))
}

/// `withdraw(step)`: it was started, and is not called, because the run was stopped.
fn withdraw(ruby: &Ruby, run: &Run, step: u32) -> Result<(), Error> {
    let now = run.now();
    run.core(ruby)?.report(StepId::new(step), Report::Withdrawn, now).map_err(|e| error::raise(ruby, &e))
}

/// `retry(step, seconds: Float) -> true or false`: an attempt failed; whether the step is started again after that time. If
/// the run was stopped since, the step has failed.
fn retry(ruby: &Ruby, run: &Run, step: u32, wait: f64) -> Result<bool, Error> {
    let now = run.now();
    let step = StepId::new(step);
    let mut core = run.core(ruby)?;
    core.report(step, Report::RetryAt(now.saturating_add(nanos(wait))), now)
        .map_err(|e| error::raise(ruby, &e))?;
    Ok(core.outcome(step).is_none())
}

/// `stop(status: :failed, :cancelled or :timed_out, entirely)`
fn stop(ruby: &Ruby, run: &Run, status: Symbol, entirely: bool) -> Result<(), Error> {
    let stop = symbols::meaning(ruby, "stop status", symbols::STOPS, status)?;
    let now = run.now();
    run.core(ruby)?.stop(stop, entirely, now);
    Ok(())
}

/// `drain_ended -> Array<Integer>`: the steps that ended without a report on them since this was last called.
fn drain_ended(ruby: &Ruby, run: &Run) -> Result<Vec<u32>, Error> {
    Ok(numbers(&run.core(ruby)?.drain_ended()))
}

fn answer(ruby: &Ruby, next: Next, now: Nanos) -> Value {
    match next {
        Next::Start(step) => step.number().into_value_with(ruby),
        Next::Wait(Some(until)) => seconds(until.saturating_sub(now)).into_value_with(ruby),
        Next::Wait(None) => f64::INFINITY.into_value_with(ruby),
        Next::Done => ruby.qnil().into_value_with(ruby),
    }
}
