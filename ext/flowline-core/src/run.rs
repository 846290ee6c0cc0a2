//! One execution of a graph, as a state machine.
//!
//! A run is asked [what to start next](Run::next), and gets a [report](Run::report) on each step that it started.
//! Several steps may be in flight. Time is an argument, so schedules are tested without sleeping. Every decision, and
//! everything that decisions depend on, is an [`Event`]; with a [journal](crate::journal) a run can be
//! [replayed](Run::replay) anywhere.
//!
//! # A step
//!
//! ```text
//!             its last dependency ends          next              report(outcome)
//!   Pending ──────────────────────────> Ready ──────> Running ─────────────────────> Ended
//!      │                                 │ ▲           │   ▲                           ▲
//!      │          its rate allows no     │ │ time      │   │ next, at its time         │
//!      │          start before a time    │ │ comes     │   │                           │
//!      │                                 ▼ │           ▼   │                           │
//!      │                               Waiting <── report(RetryAt) ── (stopped) ───────┤
//!      │                                 │                                             │
//!      └── skipped, cancelled or preset ─┴─────────────────────────────────────────────┘
//! ```
//!
//! A ready step that finds too little room in a pool stays Ready and is parked at the pool (see `resources.rs`).
//!
//! # A step with items
//!
//! Its first start finds the items; `open` makes it a step that is started again for each of them. It stays Running
//! from then on, and its items go through states of their own (see `items.rs`):
//!
//! ```text
//!   Running ── open ──> open ── next ──> take -> position ──> report_item(Done | Restored | Failed | RetryAt)
//!                        │  ▲                                          │
//!                        │  └──── items are left, or may be to come ───┘
//!                        └─ all have ended: next ──> take -> none ──> report(outcome) ──> Ended
//! ```
//!
//! # A run
//!
//! ```text
//!   set up (limit, share, expect, preset) ── next ──> going ── the last step ends ──> over
//!                                                       │                              ▲
//!                         a failure, stop or time limit │                              │
//!                                                       ▼                              │
//!                                                    stopped ── steps in flight end ───┘
//!                                                               and steps that run always
//! ```
//!
//! Stopped means: nothing starts any more, except steps that run always, or not even those (`entirely`). A run that
//! is stopped entirely stays so; the first reason stands.
//!
//! # Invariants
//!
//! It must never happen that:
//! - a step ends twice, or never: it ends in exactly one outcome, whatever is reported, and however late;
//! - a step starts before all of its dependencies have ended, or again while it is in flight;
//! - a step that could start is in no queue: nothing would wake it;
//! - a decision depends on something that is no event: a replay would decide differently;
//! - a decision depends on the order of a hash table, a clock or chance;
//! - a call that is refused changes anything.

mod ending;
mod mapping;
mod recording;
mod schedule;
mod setup;
mod view;
mod watch;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use self::recording::Recording;
use crate::event::{Event, ItemCounts, Nanos, OnError, Outcome, Report, RunError, Stop};
use crate::graph::Graph;
use crate::ids::{Rank, StepId};
use crate::items::Items;
use crate::ranking::Ranking;
use crate::resources::Resources;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Ready,
    Running,
    Waiting(Nanos),
    Ended(Outcome),
}

/// How the dependencies of a step ended, as far as they have.
#[derive(Debug, Clone, Copy, Default)]
struct Upstream {
    some_output: bool,
    some_skipped: bool,
    some_failed: bool,
}

#[derive(Debug, Clone, Copy)]
struct StepState {
    phase: Phase,
    /// How many dependencies have not ended.
    open: u32,
    upstream: Upstream,
    attempts: u32,
    started: Option<Nanos>,
    ended: Nanos,
}

/// One execution of a graph.
#[derive(Debug)]
pub struct Run {
    graph: Arc<Graph>,
    on_error: OnError,
    /// The ranking by expected times. Without them the graph's ranking counts.
    ranking: Option<Ranking>,
    resources: Resources,
    /// The items of the steps that were opened and have not ended.
    items: HashMap<StepId, Items>,
    /// How the items ended of steps that were opened and have ended.
    item_counts: HashMap<StepId, ItemCounts>,
    steps: Vec<StepState>,
    /// Ranks of ready steps. A step that was cancelled since is skipped when its turn comes.
    ready: BinaryHeap<Reverse<Rank>>,
    /// Steps that wait for a time. A stale entry is skipped when its time comes.
    waiting: BinaryHeap<Reverse<(Nanos, StepId)>>,
    unfinished: usize,
    /// Whether it was asked what to start.
    begun: bool,
    stopped: Option<Stop>,
    stopped_at: Nanos,
    entirely: bool,
    deadline: Option<Nanos>,
    failures: Vec<StepId>,
    ended_unreported: Vec<StepId>,
    recording: Recording,
    /// The steps that may have begun to wait since they were last [asked for](Run::waits). `None`: nobody asks.
    stirred: Option<Vec<StepId>>,
}

impl Run {
    /// Returns a run of a graph, with no step started.
    pub fn new(graph: Arc<Graph>, on_error: OnError) -> Self {
        let unfinished = graph.len();
        let state = |step| {
            let open = graph.dependencies(step).len() as u32;
            StepState {
                phase: if open == 0 { Phase::Ready } else { Phase::Pending },
                open,
                upstream: Upstream::default(),
                attempts: 0,
                started: None,
                ended: 0,
            }
        };
        let steps: Vec<StepState> = graph.steps().map(state).collect();
        let roots = graph.steps().zip(&steps).filter(|(_, state)| state.open == 0);
        let ready: Vec<Reverse<Rank>> = roots.map(|(step, _)| Reverse(graph.rank(step))).collect();
        Self {
            graph,
            on_error,
            ranking: None,
            resources: Resources::default(),
            items: HashMap::new(),
            item_counts: HashMap::new(),
            steps,
            ready: ready.into(),
            waiting: BinaryHeap::new(),
            unfinished,
            begun: false,
            stopped: None,
            stopped_at: 0,
            entirely: false,
            deadline: None,
            failures: Vec::new(),
            ended_unreported: Vec::new(),
            recording: Recording::default(),
            stirred: None,
        }
    }

    /// Records that the callable of a started step, or of an item, is called now: the conditions and hooks
    /// before it count neither as its time nor towards its rate.
    ///
    /// # Errors
    /// The step is not running.
    pub fn begin(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        if !self.items.contains_key(&step) {
            self.count_time_from(step, now)?;
        }
        self.recording.note(|| Event::Began { step, at: now });
        self.resources.begin(step, now);
        Ok(())
    }

    /// Records how a started step ended, or when it is to be retried.
    ///
    /// # Errors
    /// The step is not running.
    pub fn report(&mut self, step: StepId, report: Report, now: Nanos) -> Result<(), RunError> {
        let stop = self.stop_of(step);
        let state = self.steps.get_mut(step.index()).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
        }
        if report == Report::Withdrawn && stop.is_none() {
            return Err(RunError::NotReady(step));
        }
        self.recording.note(|| Event::Reported { step, report, at: now });
        if !self.items.contains_key(&step) {
            self.resources.expect_no_call(step); // Unless it was called.
        }
        match report {
            Report::Ended(outcome) => {
                if outcome == Outcome::Succeeded || outcome.is_failure() {
                    state.attempts += 1;
                }
                self.end(step, outcome, now);
            }
            Report::RetryAt(until) => {
                state.attempts += 1;
                match stop {
                    Some(stop) => self.end(step, self.stopped_outcome(step, stop), now),
                    None => {
                        self.resources.release(step);
                        self.wait(step, until);
                    }
                }
            }
            Report::Withdrawn => {
                if let Some(stop) = stop {
                    self.end(step, self.stopped_outcome(step, stop), now);
                }
            }
        }
        Ok(())
    }

    /// Returns the steps that ended without a report on them since the last call: while not in flight, or with the last
    /// of their items in flight when the run was stopped. A replayed run returns all of them.
    pub fn drain_ended(&mut self) -> Vec<StepId> {
        std::mem::take(&mut self.ended_unreported)
    }

    /// Returns how a step ends that does not start any more: it has failed if it was to be retried.
    fn stopped_outcome(&self, step: StepId, stop: Stop) -> Outcome {
        let tried = self.steps.get(step.index()).is_some_and(|state| state.attempts > 0);
        if tried { Outcome::Failed } else { Outcome::Cancelled(stop.reason()) }
    }

    /// Returns why the step may not start any more, if it may not.
    fn stop_of(&self, step: StepId) -> Option<Stop> {
        self.stopped.filter(|_| self.entirely || !self.graph.rule(step).outlasts_stop())
    }

    /// The time of a running step counts from now, unless this is another attempt.
    fn count_time_from(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        let state = self.steps.get_mut(step.index()).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
        }
        if state.attempts == 0 {
            state.started = Some(now);
        }
        Ok(())
    }

    fn phase(&self, step: StepId) -> Option<Phase> {
        self.steps.get(step.index()).map(|state| state.phase)
    }
}
