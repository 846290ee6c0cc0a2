//! `Flowline::Native::Run`: the state of one run. The clock is read here, once a call.
use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use flowline_core::event::{
    ItemReport, Next, Obstacle, OnError, Outcome, PoolId, Position, Report, SkipReason, State, Status, Stop,
};
use flowline_core::graph::StepId;
use flowline_core::resources::Needs;
use flowline_core::run::Run as Core;
use magnus::{
    Class, Error, IntoValue, Module, Object, RArray, RModule, Ruby, Symbol, TypedData, Value, function,
    method,
};

use crate::error;
use crate::graph::Graph;
use crate::outcome;

/// What a step takes of which pools; how often it may start, in how many seconds.
type Need = (StepId, Vec<(PoolId, u32)>, Option<u32>, Option<f64>);

#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Run", free_immediately)]
pub struct Run {
    core: RefCell<Core>,
    origin: Instant,
}

impl magnus::DataTypeFunctions for Run {}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Run", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Run::class(ruby); // Looked up now: later, an interruption might come in between.
    class.define_singleton_method("new", function!(Run::new, 2))?;
    class.define_method("next", method!(Run::next, 0))?;
    class.define_method("limit", method!(Run::limit, 1))?;
    class.define_method("share", method!(Run::share, 2))?;
    class.define_method("expect", method!(Run::expect, 1))?;
    class.define_method("ready?", method!(Run::is_ready, 0))?;
    class.define_method("state", method!(Run::state, 1))?;
    class.define_method("open", method!(Run::open, 2))?;
    class.define_method("supply", method!(Run::supply, 2))?;
    class.define_method("take", method!(Run::take, 1))?;
    class.define_method("exhaust", method!(Run::exhaust, 1))?;
    class.define_method("item", method!(Run::item, 5))?;
    class.define_method("item_attempts", method!(Run::item_attempts, 2))?;
    class.define_method("preset", method!(Run::preset, 2))?;
    class.define_method("retry", method!(Run::retry, 2))?;
    class.define_method("begin", method!(Run::begin, 1))?;
    class.define_method("succeed", method!(Run::succeed, 1))?;
    class.define_method("report", method!(Run::report, 3))?;
    class.define_method("stop", method!(Run::stop, 2))?;
    class.define_method("stopped?", method!(Run::is_stopped, 0))?;
    class.define_method("status", method!(Run::status, 0))?;
    class.define_method("step", method!(Run::step, 1))?;
    class.define_method("failures", method!(Run::failures, 0))?;
    class.define_method("running", method!(Run::running, 0))?;
    class.define_method("take_passed_over", method!(Run::take_passed_over, 0))?;
    class.define_method("ended", method!(Run::ended, 0))?;
    class.define_method("elapsed", method!(Run::elapsed, 0))
}

impl Run {
    /// `new(graph, go_on: true or false)`: whether steps that don't depend on a failure still run.
    fn new(graph: &Graph, go_on: bool) -> Self {
        let on_error = if go_on { OnError::Continue } else { OnError::Stop };
        let core = RefCell::new(Core::new(Arc::clone(&graph.0), on_error));
        Self { core, origin: Instant::now() }
    }

    /// `next -> Integer` to start that step, `Float` to ask again after so many seconds or the next
    /// report (`Infinity`: only then), `nil` when every step has ended.
    fn next(ruby: &Ruby, rb_self: &Self) -> Result<Value, Error> {
        let now = rb_self.now();
        Ok(answer(ruby, rb_self.core(ruby)?.next(now), now))
    }

    /// `limit(seconds: Float)`: the run's time, from its start.
    fn limit(ruby: &Ruby, rb_self: &Self, limit: f64) -> Result<(), Error> {
        rb_self.core(ruby)?.limit(nanos(limit));
        Ok(())
    }

    /// `share(pools: Array<Integer>, needs: Array<[step, [[pool, amount], …], count or nil, seconds or nil]>)`:
    /// the sizes of the pools, and what the steps take of them; and how often they may start in so many seconds.
    fn share(ruby: &Ruby, rb_self: &Self, pools: Vec<u32>, needs: Vec<Need>) -> Result<(), Error> {
        let needs = needs
            .into_iter()
            .map(|(step, pools, count, period)| (step, Needs { pools, rate: count.zip(period.map(nanos)) }));
        rb_self.core(ruby)?.share(&pools, needs.collect());
        Ok(())
    }

    /// `expect(seconds: Array<Float or nil>)`: how long steps will take, for the order of those that could start.
    fn expect(ruby: &Ruby, rb_self: &Self, seconds: Vec<Option<f64>>) -> Result<(), Error> {
        rb_self.core(ruby)?.expect(&seconds);
        Ok(())
    }

    /// `ready? -> true or false`: whether `next` might have a step at once.
    fn is_ready(ruby: &Ruby, rb_self: &Self) -> Result<bool, Error> {
        Ok(rb_self.core(ruby)?.has_ready())
    }

    /// `state(step) -> [Symbol, what it waits for: :retry, :rate, the Integer of a pool, or nil]`
    fn state(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<RArray, Error> {
        let state = rb_self.core(ruby)?.state(step, rb_self.now());
        let waiting = |what: Value| (ruby.to_symbol("waiting"), Some(what));
        let (name, what) = match state {
            Some(State::Running) => (ruby.to_symbol("running"), None),
            Some(State::Ready) => (ruby.to_symbol("ready"), None),
            Some(State::Retry) => waiting(ruby.to_symbol("retry").into_value_with(ruby)),
            Some(State::Resource(Obstacle::Rate(_))) => waiting(ruby.to_symbol("rate").into_value_with(ruby)),
            Some(State::Resource(Obstacle::Pool(pool))) => waiting(pool.into_value_with(ruby)),
            Some(State::Ended(outcome)) => (ruby.to_symbol(outcome::name(outcome).0), None),
            Some(State::Pending) | None => (ruby.to_symbol("pending"), None),
        };
        let facts = ruby.ary_new_capa(2);
        facts.push(name)?;
        facts.push(what)?;
        Ok(facts)
    }

    /// `open(step, most)`: the step is started again for each of its items, that many at a time.
    fn open(ruby: &Ruby, rb_self: &Self, step: StepId, most: u32) -> Result<(), Error> {
        let now = rb_self.now();
        rb_self.core(ruby)?.open(step, most, now).map_err(|e| error::raise(ruby, &e))
    }

    /// `supply(step, count)`: so many further items are there.
    fn supply(ruby: &Ruby, rb_self: &Self, step: StepId, count: u64) -> Result<(), Error> {
        rb_self.core(ruby)?.supply(step, count);
        Ok(())
    }

    /// `exhaust(step)`: no more items are to come.
    fn exhaust(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<(), Error> {
        rb_self.core(ruby)?.exhaust(step);
        Ok(())
    }

    /// `take(step) -> Integer or nil`: the position of the item it was started for; nil: all have ended.
    fn take(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<Option<Position>, Error> {
        Ok(rb_self.core(ruby)?.take(step))
    }

    /// `item(step, position, :done, :failed or :retry, called, seconds or nil)`: what became of an item, and whether
    /// the callable was called for it.
    fn item(
        ruby: &Ruby,
        rb_self: &Self,
        step: StepId,
        position: Position,
        name: Symbol,
        called: bool,
        wait: Option<f64>,
    ) -> Result<(), Error> {
        let now = rb_self.now();
        let report = match name.name()?.as_ref() {
            "retry" => ItemReport::RetryAt(position, now.saturating_add(nanos(wait.unwrap_or_default()))),
            "failed" => ItemReport::Failed,
            _ => ItemReport::Done,
        };
        // Of a step that has ended meanwhile nothing is left to say.
        let _ = rb_self.core(ruby)?.report_item(step, report, called, now);
        Ok(())
    }

    /// `item_attempts(step, position) -> Integer`: how often that item was tried in vain.
    fn item_attempts(ruby: &Ruby, rb_self: &Self, step: StepId, position: Position) -> Result<u32, Error> {
        Ok(rb_self.core(ruby)?.item_attempts(step, position))
    }

    /// `preset(restored: Array<Integer>, unselected: Array<Integer>)`: ends these before the run begins.
    fn preset(ruby: &Ruby, rb_self: &Self, restored: RArray, unselected: RArray) -> Result<(), Error> {
        let mut outcomes = HashMap::new();
        for (steps, outcome) in
            [(restored, Outcome::Restored), (unselected, Outcome::Skipped(SkipReason::NotSelected))]
        {
            outcomes.extend(steps.to_vec::<StepId>()?.into_iter().map(|step| (step, outcome)));
        }
        let now = rb_self.now();
        rb_self.core(ruby)?.preset(|step| outcomes.get(&step).copied(), now);
        Ok(())
    }

    /// `retry(step, seconds: Float)`: an attempt failed; the step asks to be started again after that time.
    fn retry(ruby: &Ruby, rb_self: &Self, step: StepId, wait: f64) -> Result<(), Error> {
        let now = rb_self.now();
        let report = Report::RetryAt(now.saturating_add(nanos(wait)));
        rb_self.core(ruby)?.report(step, report, now).map_err(|e| error::raise(ruby, &e))
    }

    /// `begin(step)`: its callable is called now, after conditions and hooks.
    fn begin(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<(), Error> {
        let now = rb_self.now();
        rb_self.core(ruby)?.begin(step, now).map_err(|e| error::raise(ruby, &e))
    }

    /// `succeed(step)`: reports a success and asks for the next step in one call, the hot path.
    fn succeed(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<Value, Error> {
        let now = rb_self.now();
        let mut core = rb_self.core(ruby)?;
        core.report(step, Report::Ended(Outcome::Succeeded), now).map_err(|e| error::raise(ruby, &e))?;
        Ok(answer(ruby, core.next(now), now))
    }

    /// `report(step, outcome: Symbol, reason: Symbol or nil)`
    fn report(
        ruby: &Ruby,
        rb_self: &Self,
        step: StepId,
        name: Symbol,
        reason: Option<Symbol>,
    ) -> Result<(), Error> {
        let outcome = outcome::named(ruby, &name.name()?, reason)?;
        let now = rb_self.now();
        let mut core = rb_self.core(ruby)?;
        core.report(step, Report::Ended(outcome), now).map_err(|e| error::raise(ruby, &e))
    }

    /// `stop(status: :failed, :cancelled or :timed_out, entirely)`
    fn stop(ruby: &Ruby, rb_self: &Self, status: Symbol, entirely: bool) -> Result<(), Error> {
        let stop = match status.name()?.as_ref() {
            "failed" => Stop::Failed,
            "timed_out" => Stop::TimedOut,
            _ => Stop::Interrupted,
        };
        let now = rb_self.now();
        rb_self.core(ruby)?.stop(stop, entirely, now);
        Ok(())
    }

    fn is_stopped(ruby: &Ruby, rb_self: &Self) -> Result<bool, Error> {
        Ok(rb_self.core(ruby)?.is_stopped())
    }

    fn status(ruby: &Ruby, rb_self: &Self) -> Result<Symbol, Error> {
        Ok(ruby.to_symbol(match rb_self.core(ruby)?.status() {
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::TimedOut => "timed_out",
            Status::Cancelled => "cancelled",
        }))
    }

    /// `step(id) -> [outcome: Symbol or nil, reason: Symbol or nil, attempts: Integer, started: Float or nil,
    /// duration: Float or nil]`, times in seconds, from the run's start; of a running step, so far.
    fn step(ruby: &Ruby, rb_self: &Self, step: StepId) -> Result<RArray, Error> {
        let core = rb_self.core(ruby)?;
        let (outcome, reason) = core.outcome(step).map(outcome::name).unzip();
        let (started, duration) = core
            .timing(step)
            .or_else(|| core.started(step).map(|start| (start, rb_self.now())))
            .map(|(start, end)| (seconds(start), seconds(end.saturating_sub(start))))
            .unzip();
        let facts = ruby.ary_new_capa(5);
        facts.push(outcome.map(|name| ruby.to_symbol(name)))?;
        facts.push(reason.flatten().map(|name| ruby.to_symbol(name)))?;
        facts.push(core.attempts(step))?;
        facts.push(started)?;
        facts.push(duration)?;
        Ok(facts)
    }

    fn failures(ruby: &Ruby, rb_self: &Self) -> Result<Vec<StepId>, Error> {
        Ok(rb_self.core(ruby)?.failures().to_vec())
    }

    fn running(ruby: &Ruby, rb_self: &Self) -> Result<Vec<StepId>, Error> {
        Ok(rb_self.core(ruby)?.running())
    }

    fn take_passed_over(ruby: &Ruby, rb_self: &Self) -> Result<Vec<StepId>, Error> {
        Ok(rb_self.core(ruby)?.take_passed_over())
    }

    fn ended(ruby: &Ruby, rb_self: &Self) -> Result<usize, Error> {
        Ok(rb_self.core(ruby)?.ended())
    }

    /// `elapsed -> Float`: seconds since the run was made.
    fn elapsed(&self) -> f64 {
        seconds(self.now())
    }

    fn now(&self) -> u64 {
        self.origin.elapsed().as_nanos() as u64
    }

    fn core(&self, ruby: &Ruby) -> Result<RefMut<'_, Core>, Error> {
        self.core.try_borrow_mut().map_err(|e| error::raise(ruby, &e))
    }
}

fn answer(ruby: &Ruby, next: Next, now: u64) -> Value {
    match next {
        Next::Start(step) => step.into_value_with(ruby),
        Next::Wait(Some(until)) => seconds(until.saturating_sub(now)).into_value_with(ruby),
        Next::Wait(None) => f64::INFINITY.into_value_with(ruby),
        Next::Done => ruby.qnil().into_value_with(ruby),
    }
}

fn seconds(nanos: u64) -> f64 {
    nanos as f64 / 1e9
}

/// As many as there are; Infinity is never.
fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}
