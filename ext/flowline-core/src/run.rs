//! One execution of a graph, as a state machine.
//!
//! A run is asked [what to start next](Run::next) and told [what became of it](Run::report). Several
//! steps may be in flight. Time is an argument, so schedules are tested without sleeping; every change
//! is an [`Event`], so a run can be [replayed](Run::replay) from what was recorded of it.

mod ending;
mod mapping;
mod schedule;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

use crate::event::{Event, Nanos, OnError, Outcome, Report, RunError, Status, Stop};
use crate::graph::{Graph, RunIf, StepId};
use crate::items::Items;
use crate::ranking::Ranking;
use crate::resources::{Needs, Resources};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Pending,
    Ready,
    Running,
    Waiting(Nanos),
    Ended(Outcome),
}

/// What went on in the dependencies of a step that have ended.
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
    /// By the times that are expected; else the graph's.
    ranking: Option<Ranking>,
    resources: Resources,
    /// Of the steps that are called for each of their items, and have started.
    items: HashMap<StepId, Items>,
    steps: Vec<StepState>,
    /// Ranks of ready steps. A step cancelled meanwhile is passed over when its turn comes.
    ready: BinaryHeap<Reverse<u32>>,
    waiting: BinaryHeap<Reverse<(Nanos, StepId)>>,
    unfinished: usize,
    stopped: Option<Stop>,
    stopped_at: Nanos,
    entirely: bool,
    deadline: Option<Nanos>,
    failures: Vec<StepId>,
    passed_over: Vec<StepId>,
}

impl Run {
    /// A run of that graph, nothing started.
    pub fn new(graph: Arc<Graph>, on_error: OnError) -> Self {
        let unfinished = graph.len();
        let blank = StepState {
            phase: Phase::Pending,
            open: 0,
            upstream: Upstream::default(),
            attempts: 0,
            started: None,
            ended: 0,
        };
        let mut steps = vec![blank; unfinished];
        let mut ready = Vec::new();
        for (step, state) in (0..).zip(&mut steps) {
            state.open = graph.dependencies(step).count() as u32;
            if state.open == 0 {
                state.phase = Phase::Ready;
                ready.push(Reverse(graph.rank(step)));
            }
        }
        Self {
            graph,
            on_error,
            ranking: None,
            resources: Resources::default(),
            items: HashMap::new(),
            steps,
            ready: ready.into(),
            waiting: BinaryHeap::new(),
            unfinished,
            stopped: None,
            stopped_at: 0,
            entirely: false,
            deadline: None,
            failures: Vec::new(),
            passed_over: Vec::new(),
        }
    }

    /// The run that went through those events.
    ///
    /// # Errors
    /// The first event that does not fit what came before it.
    pub fn replay(
        graph: Arc<Graph>,
        on_error: OnError,
        events: impl IntoIterator<Item = Event>,
    ) -> Result<Self, RunError> {
        let mut run = Self::new(graph, on_error);
        for event in events {
            run.apply(event)?;
        }
        Ok(run)
    }

    /// Goes through one recorded change.
    ///
    /// # Errors
    /// The event does not fit the state of the run, which stays as it was.
    pub fn apply(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Started { step, at } => self.start(step, at),
            Event::Reported { step, report, at } => self.report(step, report, at),
            Event::Began { step, at } => self.begin(step, at),
            Event::Opened { step, most, at } => self.open(step, most, at),
            Event::Supplied { step, count } => {
                self.supply(step, count);
                Ok(())
            }
            Event::Taken { step } => {
                self.take(step);
                Ok(())
            }
            Event::Exhausted { step } => {
                self.exhaust(step);
                Ok(())
            }
            Event::Item { step, report, called, at } => self.report_item(step, report, called, at),
            Event::Stopped { stop, entirely, at } => {
                self.stop(stop, entirely, at);
                Ok(())
            }
        }
    }

    /// From that time on the run is [stopped](Run::stop), its time being up.
    pub fn limit(&mut self, deadline: Nanos) {
        self.deadline = Some(deadline);
    }

    /// What its steps share, before the run begins: pools of those sizes, and what each step needs of them.
    pub fn share(&mut self, pools: &[u32], needs: HashMap<StepId, Needs>) {
        self.resources = Resources::new(pools, needs);
    }

    /// The seconds that steps are expected to take, before the run begins: of those that could start, the one
    /// with the longest path in time comes first.
    pub fn expect(&mut self, seconds: &[Option<f64>]) {
        let ranking = Ranking::by_time(&self.graph, seconds);
        let ready = std::mem::take(&mut self.ready);
        let steps = ready.into_iter().filter_map(|Reverse(rank)| self.of_rank(rank));
        self.ready = steps.map(|step| Reverse(ranking.rank(step))).collect();
        self.ranking = Some(ranking);
    }

    /// Ends steps before the run begins: restored ones, and those that were not selected. It takes any set
    /// of steps; what depends on them is not decided by how they ended unless it is to run.
    pub fn preset(&mut self, outcome: impl Fn(StepId) -> Option<Outcome>, now: Nanos) {
        let graph = Arc::clone(&self.graph);
        // Dependents first: what has ended is not decided again.
        for &step in graph.order().iter().rev() {
            if let Some(outcome) = outcome(step) {
                self.end(step, outcome, now);
            }
        }
    }

    /// Takes note that a started step's callable, or that of an item, is called only now: the conditions and hooks
    /// before it are not part of its time, nor of its rate.
    ///
    /// # Errors
    /// The step is not running.
    pub fn begin(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        if !self.items.contains_key(&step) {
            self.set_off(step, now)?;
        }
        self.resources.begin(step, now);
        Ok(())
    }

    /// Takes note of what became of a started step.
    ///
    /// # Errors
    /// The step is not running.
    pub fn report(&mut self, step: StepId, report: Report, now: Nanos) -> Result<(), RunError> {
        let stop = self.stop_of(step);
        let state = self.steps.get_mut(step as usize).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
        }
        if !self.items.contains_key(&step) {
            self.resources.spare(step); // Unless it was called.
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
                    Some(stop) => self.end(step, Outcome::Cancelled(stop.reason()), now),
                    None => {
                        self.resources.release(step);
                        self.wait(step, until);
                    }
                }
            }
        }
        Ok(())
    }

    /// The state of the run as a whole.
    pub fn status(&self) -> Status {
        match self.stopped {
            _ if self.unfinished > 0 => Status::Running,
            Some(Stop::Failed) => Status::Failed,
            Some(Stop::Interrupted) => Status::Cancelled,
            Some(Stop::TimedOut) => Status::TimedOut,
            None if !self.failures.is_empty() => Status::Failed,
            None if self.steps.iter().any(|s| matches!(s.phase, Phase::Ended(Outcome::Cancelled(_)))) => {
                Status::Cancelled
            }
            None => Status::Succeeded,
        }
    }

    /// Whether it was stopped before its steps ended.
    pub fn is_stopped(&self) -> bool {
        self.stopped.is_some()
    }

    /// How the step ended, if it has.
    pub fn outcome(&self, step: StepId) -> Option<Outcome> {
        match self.phase(step)? {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// When the step first started and when it ended; of one that never started, or has not ended,
    /// nothing.
    pub fn timing(&self, step: StepId) -> Option<(Nanos, Nanos)> {
        self.outcome(step)?;
        let state = self.steps.get(step as usize)?;
        Some((state.started?, state.ended))
    }

    /// When the step first started, if it has.
    pub fn started(&self, step: StepId) -> Option<Nanos> {
        self.steps.get(step as usize)?.started
    }

    /// How often the step's callable was called to an end; of items, for the one that was tried most often.
    pub fn attempts(&self, step: StepId) -> u32 {
        let of_items = self.items.get(&step).map_or(0, Items::most_attempts);
        self.steps.get(step as usize).map_or(0, |state| state.attempts + of_items)
    }

    /// The steps whose failure fails the run, in the order in which they failed.
    pub fn failures(&self) -> &[StepId] {
        &self.failures
    }

    /// The steps in flight, in definition order.
    pub fn running(&self) -> Vec<StepId> {
        let running = |&(_, state): &(StepId, &StepState)| state.phase == Phase::Running;
        (0..).zip(&self.steps).filter(running).map(|(step, _)| step).collect()
    }

    /// The steps that ended without a report on them since this was last asked: while not in flight, or with
    /// the last of their items in flight when the run was stopped.
    pub fn take_passed_over(&mut self) -> Vec<StepId> {
        std::mem::take(&mut self.passed_over)
    }

    /// How many steps have ended.
    pub fn ended(&self) -> usize {
        self.steps.len() - self.unfinished
    }

    /// Why nothing of the step may start any more, if that is so.
    fn stop_of(&self, step: StepId) -> Option<Stop> {
        self.stopped.filter(|_| self.entirely || self.graph.rule(step).run_if != RunIf::Always)
    }

    /// The time of a running step counts from now on, unless this is another attempt.
    fn set_off(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        let state = self.steps.get_mut(step as usize).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
        }
        if state.attempts == 0 {
            state.started = Some(now);
        }
        Ok(())
    }

    fn phase(&self, step: StepId) -> Option<Phase> {
        self.steps.get(step as usize).map(|state| state.phase)
    }
}
