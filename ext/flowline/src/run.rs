//! `Flowline::Native::Run`: the state of one run. The clock is read here, once a call.
//!
//! Its methods are in a file for each noun: setting it up, its steps, their items, answers about it, its journal, how it goes on.
//! Steps, pools and items are integers in Ruby, and have types of their own from here on.

mod answers;
mod items;
mod journal;
mod setup;
mod steps;
mod watch;

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;
use std::time::Instant;

use flowline_core::event::{Nanos, OnError};
use flowline_core::ids::StepId;
use flowline_core::run::Run as Core;
use magnus::{Class, Error, Module, Object, RModule, Ruby, TypedData, function, method};

use crate::error;
use crate::graph::Graph;

#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Run", free_immediately)]
pub struct Run {
    core: RefCell<Core>,
    /// The time of the run when this object was made: 0 unless it was replayed. Skipped time is added.
    offset: Cell<Nanos>,
    made: Instant,
}

impl magnus::DataTypeFunctions for Run {}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Run", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Run::class(ruby); // Looked up now: later, an interruption might come in between.
    class.define_singleton_method("new", function!(Run::new, 2))?;
    class.define_method("elapsed", method!(Run::elapsed, 0))?;
    class.define_method("advance", method!(Run::advance, 1))?;
    setup::init(class)?;
    steps::init(class)?;
    items::init(class)?;
    answers::init(class)?;
    journal::init(class)?;
    watch::init(class)
}

impl Run {
    /// `new(graph, continue_on_error: true or false)`: whether steps that don't depend on a failure still run.
    fn new(graph: &Graph, continue_on_error: bool) -> Self {
        let on_error = if continue_on_error { OnError::Continue } else { OnError::Stop };
        Self::of(Core::new(Arc::clone(&graph.0), on_error), 0)
    }

    /// Returns a run whose time is `offset` now.
    fn of(core: Core, offset: Nanos) -> Self {
        Self { core: RefCell::new(core), offset: Cell::new(offset), made: Instant::now() }
    }

    /// `elapsed -> Float`: seconds since the run was made.
    fn elapsed(&self) -> f64 {
        seconds(self.now())
    }

    /// `advance(seconds) -> nil`: skips time. For a run, it is later from now on.
    fn advance(&self, seconds: f64) {
        self.offset.set(self.offset.get().saturating_add(nanos(seconds)));
    }

    fn now(&self) -> Nanos {
        self.offset.get().saturating_add(self.made.elapsed().as_nanos() as Nanos)
    }

    fn core(&self, ruby: &Ruby) -> Result<RefMut<'_, Core>, Error> {
        self.core.try_borrow_mut().map_err(|e| error::raise(ruby, &e))
    }
}

fn numbers(steps: &[StepId]) -> Vec<u32> {
    steps.iter().map(|step| step.number()).collect()
}

fn seconds(nanos: Nanos) -> f64 {
    nanos as f64 / 1e9
}

/// Converts seconds to nanoseconds. Infinity becomes the largest number.
fn nanos(seconds: f64) -> Nanos {
    (seconds * 1e9) as Nanos
}
