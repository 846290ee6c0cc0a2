//! The journal of a run: its events as bytes, from which it is rebuilt in another process.

use std::sync::Arc;

use flowline_core::run::Run as Core;
use magnus::{Error, Module, Object, RClass, RString, Ruby, function, method};

use super::Run;
use crate::graph::Graph;
use crate::{error, raw};

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_singleton_method("replay", function!(replay, 2))?;
    class.define_method("journal!", method!(keep_journal, 0))?;
    class.define_method("take_events", method!(take_events, 0))
}

/// `journal!`: records events from now on. It must be called before anything else, and may be called again.
fn keep_journal(ruby: &Ruby, run: &Run) -> Result<(), Error> {
    run.core(ruby)?.keep_journal().map_err(|e| error::raise(ruby, &e))
}

/// `take_events -> String`: the bytes of the journal since this was last called; empty if there are none. Everything
/// taken so far, joined in order, is the journal of the run.
fn take_events(ruby: &Ruby, run: &Run) -> Result<RString, Error> {
    let bytes = run.core(ruby)?.take_events();
    Ok(ruby.str_from_slice(&bytes))
}

/// `replay(graph, journal: String) -> Run`: the run of which that is the journal, after its last event. Its clock
/// continues from the time of that event. It continues the journal, so that `take_events` returns only what follows.
fn replay(ruby: &Ruby, graph: &Graph, journal: RString) -> Result<Run, Error> {
    let core = raw::with_bytes(journal, |bytes| Core::replay(Arc::clone(&graph.0), bytes));
    let core = core.map_err(|e| error::raise(ruby, &e))?;
    let last = core.last_event_at();
    Ok(Run::of(core, last))
}
