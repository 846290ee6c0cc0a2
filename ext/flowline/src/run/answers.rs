//! Questions about a run, which change nothing.

use flowline_core::event::{Obstacle, State};
use flowline_core::ids::StepId;
use magnus::{Error, IntoValue, Module, RArray, RClass, Ruby, Symbol, method};

use super::{Run, numbers, seconds};
use crate::symbols;

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("status", method!(status, 0))?;
    class.define_method("stopped?", method!(is_stopped, 0))?;
    class.define_method("ready?", method!(is_ready, 0))?;
    class.define_method("ended", method!(ended, 0))?;
    class.define_method("ended?", method!(has_ended, 1))?;
    class.define_method("running", method!(running, 0))?;
    class.define_method("failures", method!(failures, 0))?;
    class.define_method("uncalled", method!(uncalled, 0))?;
    class.define_method("step", method!(step, 1))?;
    class.define_method("state", method!(state, 1))
}

/// `status -> Symbol`: `:running`, `:succeeded`, `:failed`, `:timed_out` or `:cancelled`.
fn status(ruby: &Ruby, run: &Run) -> Result<Symbol, Error> {
    Ok(symbols::symbol(ruby, symbols::name(symbols::STATUSES, run.core(ruby)?.status())))
}

/// `stopped? -> true or false`: whether it was stopped before its steps ended.
fn is_stopped(ruby: &Ruby, run: &Run) -> Result<bool, Error> {
    Ok(run.core(ruby)?.is_stopped())
}

/// `ready? -> true or false`: whether `next` may have a step at once.
fn is_ready(ruby: &Ruby, run: &Run) -> Result<bool, Error> {
    Ok(run.core(ruby)?.has_ready())
}

/// `ended -> Integer`: how many steps have ended.
fn ended(ruby: &Ruby, run: &Run) -> Result<usize, Error> {
    Ok(run.core(ruby)?.ended())
}

/// `ended?(step) -> true or false`
fn has_ended(ruby: &Ruby, run: &Run, step: u32) -> Result<bool, Error> {
    Ok(run.core(ruby)?.outcome(StepId::new(step)).is_some())
}

/// `running -> Array<Integer>`: the steps in flight.
fn running(ruby: &Ruby, run: &Run) -> Result<Vec<u32>, Error> {
    Ok(numbers(&run.core(ruby)?.running()))
}

/// `failures -> Array<Integer>`: the steps whose failure fails the run, in the order in which they failed.
fn failures(ruby: &Ruby, run: &Run) -> Result<Vec<u32>, Error> {
    Ok(numbers(run.core(ruby)?.failures()))
}

/// `uncalled -> Array<[outcome: Symbol, reason: Symbol or nil, Array<Integer>]>`: the steps that ended without an attempt.
fn uncalled(ruby: &Ruby, run: &Run) -> Result<RArray, Error> {
    let groups = ruby.ary_new();
    for (outcome, steps) in run.core(ruby)?.uncalled() {
        let (outcome, reason) = symbols::outcome_name(outcome);
        let reason = reason.map(|name| symbols::symbol(ruby, name));
        groups.push((symbols::symbol(ruby, outcome), reason, numbers(&steps)))?;
    }
    Ok(groups)
}

/// `step(id) -> [outcome: Symbol or nil, reason: Symbol or nil, attempts: Integer, started: Float or nil,
/// duration: Float or nil]`, times in seconds, from the run's start; of a running step, so far.
fn step(ruby: &Ruby, run: &Run, step: u32) -> Result<RArray, Error> {
    let (core, step) = (run.core(ruby)?, StepId::new(step));
    let (outcome, reason) = core.outcome(step).map(symbols::outcome_name).unzip();
    let (started, duration) = core
        .timing(step)
        .or_else(|| core.started(step).map(|start| (start, run.now())))
        .map(|(start, end)| (seconds(start), seconds(end.saturating_sub(start))))
        .unzip();
    let answer = ruby.ary_new_capa(5);
    answer.push(outcome.map(|name| symbols::symbol(ruby, name)))?;
    answer.push(reason.flatten().map(|name| symbols::symbol(ruby, name)))?;
    answer.push(core.attempts(step))?;
    answer.push(started)?;
    answer.push(duration)?;
    Ok(answer)
}

/// `state(step) -> [Symbol, what it waits for: :retry, :rate, the Integer of a pool, or nil, and until when: Float or nil]`, the
/// time in seconds from the run's start
fn state(ruby: &Ruby, run: &Run, step: u32) -> Result<RArray, Error> {
    let state = run.core(ruby)?.state(StepId::new(step), run.now());
    words(ruby, state.unwrap_or(State::Pending))
}

/// The answer of `state`.
pub(super) fn words(ruby: &Ruby, state: State) -> Result<RArray, Error> {
    let named = |name| symbols::symbol(ruby, name).into_value_with(ruby);
    let (name, what, until) = match state {
        State::Running => ("running", None, None),
        State::Ready => ("ready", None, None),
        State::Retry(until) => ("waiting", Some(named("retry")), Some(until)),
        State::Resource(Obstacle::Rate(until)) => ("waiting", Some(named("rate")), Some(until)),
        State::Resource(Obstacle::Pool(pool)) => ("waiting", Some(pool.number().into_value_with(ruby)), None),
        State::Ended(outcome) => (symbols::outcome_name(outcome).0, None, None),
        State::Pending => ("pending", None, None),
    };
    let answer = ruby.ary_new_capa(3);
    answer.push(named(name))?;
    answer.push(what)?;
    answer.push(until.map(seconds))?;
    Ok(answer)
}
