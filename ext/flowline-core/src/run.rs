//! One execution of a graph, as a state machine.
//!
//! A run is asked [what to start next](Run::next) and told [what became of it](Run::report). Several
//! steps may be in flight. Time is an argument, so schedules are tested without sleeping; every change
//! is an [`Event`], so a run can be [replayed](Run::replay) from what was recorded of it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::sync::Arc;

use crate::event::{
    CancelReason, Event, Nanos, Next, OnError, Outcome, Report, RunError, SkipReason, Status, Stop,
};
use crate::graph::{Graph, RunIf, StepId};

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
    steps: Vec<StepState>,
    /// Ranks of ready steps. A step cancelled meanwhile is passed over when its turn comes.
    ready: BinaryHeap<Reverse<u32>>,
    waiting: BinaryHeap<Reverse<(Nanos, StepId)>>,
    unfinished: usize,
    stopped: Option<Stop>,
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
            steps,
            ready: ready.into(),
            waiting: BinaryHeap::new(),
            unfinished,
            stopped: None,
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

    /// What to do at this time. A step that is to start counts as running from now on.
    pub fn next(&mut self, now: Nanos) -> Next {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.stop(Stop::TimedOut, false, now);
        }
        self.wake(now);
        while let Some(Reverse(rank)) = self.ready.pop() {
            if let Some(step) = self.graph.of_rank(rank) {
                if self.start(step, now).is_ok() {
                    return Next::Start(step);
                }
            }
        }
        if self.unfinished == 0 {
            return Next::Done;
        }
        while let Some(&Reverse((until, step))) = self.waiting.peek() {
            if self.phase(step) == Some(Phase::Waiting(until)) {
                return Next::Wait(Some(self.deadline.map_or(until, |deadline| deadline.min(until))));
            }
            self.waiting.pop();
        }
        Next::Wait(self.deadline)
    }

    /// Takes note that a started step's callable is called only now: the conditions and hooks before it
    /// are not part of its time.
    ///
    /// # Errors
    /// The step is not running.
    pub fn begin(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        let state = self.steps.get_mut(step as usize).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
        }
        if state.attempts == 0 {
            state.started = Some(now);
        }
        Ok(())
    }

    /// Takes note of what became of a started step.
    ///
    /// # Errors
    /// The step is not running.
    pub fn report(&mut self, step: StepId, report: Report, now: Nanos) -> Result<(), RunError> {
        let (stopped, entirely) = (self.stopped, self.entirely);
        let state = self.steps.get_mut(step as usize).ok_or(RunError::UnknownStep(step))?;
        if state.phase != Phase::Running {
            return Err(RunError::NotRunning(step));
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
                match stopped.filter(|_| entirely || self.graph.rule(step).run_if != RunIf::Always) {
                    Some(stop) => self.end(step, Outcome::Cancelled(stop.reason()), now),
                    None => {
                        state.phase = Phase::Waiting(until);
                        self.waiting.push(Reverse((until, step)));
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the run early: what has not started is cancelled, except steps that run always, unless it
    /// is to stop `entirely`. Running steps are still reported on. The first reason given stands.
    pub fn stop(&mut self, stop: Stop, entirely: bool, now: Nanos) {
        if self.unfinished == 0 || (self.stopped.is_some() && !entirely) {
            return; // Nothing is left that this could cancel.
        }
        self.entirely = entirely;
        let outcome = Outcome::Cancelled(self.stopped.get_or_insert(stop).reason());
        let graph = Arc::clone(&self.graph);
        for &step in graph.order() {
            let idle = matches!(self.phase(step), Some(Phase::Pending | Phase::Ready | Phase::Waiting(_)));
            if idle && (entirely || graph.rule(step).run_if != RunIf::Always) {
                self.end(step, outcome, now);
            }
        }
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

    /// How often the step's callable was called to an end.
    pub fn attempts(&self, step: StepId) -> u32 {
        self.steps.get(step as usize).map_or(0, |state| state.attempts)
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

    /// The steps that ended while not in flight, so without a report, since this was last asked.
    pub fn take_passed_over(&mut self) -> Vec<StepId> {
        std::mem::take(&mut self.passed_over)
    }

    /// How many steps have ended.
    pub fn ended(&self) -> usize {
        self.steps.len() - self.unfinished
    }

    fn phase(&self, step: StepId) -> Option<Phase> {
        self.steps.get(step as usize).map(|state| state.phase)
    }

    fn wake(&mut self, now: Nanos) {
        while let Some(&Reverse((until, step))) = self.waiting.peek() {
            if until > now {
                break;
            }
            self.waiting.pop();
            match self.steps.get_mut(step as usize) {
                Some(state) if state.phase == Phase::Waiting(until) => self.make_ready(step),
                _ => {}
            }
        }
    }

    fn make_ready(&mut self, step: StepId) {
        if let Some(state) = self.steps.get_mut(step as usize) {
            state.phase = Phase::Ready;
            self.ready.push(Reverse(self.graph.rank(step)));
        }
    }

    fn start(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        let state = self.steps.get_mut(step as usize).ok_or(RunError::UnknownStep(step))?;
        match state.phase {
            Phase::Ready => {}
            Phase::Waiting(until) if until <= now => {}
            _ => return Err(RunError::NotReady(step)),
        }
        state.phase = Phase::Running;
        state.started.get_or_insert(now);
        Ok(())
    }

    /// Ends a step and, without recursion, every step that this decides.
    fn end(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
        let graph = Arc::clone(&self.graph);
        let mut decided = VecDeque::new();
        let mut next = Some((step, outcome));
        while let Some((step, outcome)) = next {
            let rule = graph.rule(step);
            self.settle(step, outcome, now);
            if outcome.is_failure() && !rule.optional {
                self.failures.push(step);
                if self.on_error == OnError::Stop {
                    self.stop(Stop::Failed, false, now);
                }
            }
            for dependent in graph.dependents(step) {
                if self.take_note(dependent, outcome, rule.optional) {
                    match self.decide(dependent) {
                        Some(outcome) => decided.push_back((dependent, outcome)),
                        None => self.make_ready(dependent),
                    }
                }
            }
            next = decided.pop_front();
        }
    }

    fn settle(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
        if let Some(state) = self.steps.get_mut(step as usize) {
            if state.phase != Phase::Running {
                self.passed_over.push(step);
            }
            state.phase = Phase::Ended(outcome);
            state.ended = now;
            self.unfinished -= 1;
        }
    }

    /// Tells a step how one of its dependencies ended; true if it was the last one it waited for.
    fn take_note(&mut self, step: StepId, outcome: Outcome, optional: bool) -> bool {
        let Some(state) = self.steps.get_mut(step as usize) else { return false };
        state.open -= 1;
        match outcome {
            Outcome::Succeeded | Outcome::Cached | Outcome::Restored => {
                state.upstream.some_output = true;
            }
            Outcome::Skipped(_) => state.upstream.some_skipped = true,
            Outcome::Failed | Outcome::TimedOut if optional => state.upstream.some_skipped = true,
            Outcome::Failed | Outcome::TimedOut | Outcome::Cancelled(_) => {
                state.upstream.some_failed = true;
            }
        }
        state.open == 0 && state.phase == Phase::Pending
    }

    /// How a step ends whose dependencies all have, or nothing if it is to run.
    fn decide(&self, step: StepId) -> Option<Outcome> {
        let run_if = self.graph.rule(step).run_if;
        if run_if == RunIf::Always {
            return None;
        }
        if let Some(stop) = self.stopped {
            return Some(Outcome::Cancelled(stop.reason()));
        }
        let upstream = self.steps.get(step as usize)?.upstream;
        match run_if {
            RunIf::Any if upstream.some_output => None,
            RunIf::Success if !upstream.some_skipped && !upstream.some_failed => None,
            _ if upstream.some_failed => Some(Outcome::Cancelled(CancelReason::UpstreamFailed)),
            _ => Some(Outcome::Skipped(SkipReason::UpstreamSkipped)),
        }
    }
}
