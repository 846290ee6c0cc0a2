//! One execution of a graph, as a state machine.
//!
//! A run is asked [what to start next](Run::next) and told [what became of it](Run::report). Several
//! steps may be in flight. Time is an argument, so schedules are tested without sleeping; every change
//! is an [`Event`], so a run can be [replayed](Run::replay) from what was recorded of it.

mod mapping;

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::sync::Arc;

use crate::event::{
    CancelReason, Event, Nanos, Next, OnError, Outcome, Report, RunError, SkipReason, Status, Stop,
};
use crate::graph::{Graph, RunIf, StepId};
use crate::items::Items;
use crate::ranking::Ranking;
use crate::resources::{Needs, Obstacle, Resources};

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
            Event::Opened { step, most } => self.open(step, most),
            Event::Taken { step } => {
                self.take(step);
                Ok(())
            }
            Event::Exhausted { step } => {
                self.exhaust(step);
                Ok(())
            }
            Event::Item { step, report, at } => self.report_item(step, report, at).map(|_| ()),
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

    /// What to do at this time. A step that is to start counts as running from now on.
    pub fn next(&mut self, now: Nanos) -> Next {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.stop(Stop::TimedOut, false, now);
        }
        self.wake(now);
        while let Some(step) = self.first_ready() {
            let rank = self.rank(step);
            let can = self.can_start(step, now);
            match self.resources.obstacle(step, rank, now).filter(|_| can) {
                None if self.start(step, now).is_ok() => {
                    self.resources.pass_on(rank, None);
                    return Next::Start(step);
                }
                Some(Obstacle::Pool(pool)) => self.resources.park(rank, pool),
                Some(Obstacle::Rate(until)) => {
                    self.resources.pass_on(rank, None);
                    self.wait(step, until);
                }
                None => {
                    self.resources.pass_on(rank, None);
                    self.unqueue(step);
                }
            }
        }
        if self.unfinished == 0 {
            return Next::Done;
        }
        while let Some(&Reverse((until, step))) = self.waiting.peek() {
            let of_items = self.items.get_mut(&step).is_some_and(|items| items.awaits(until));
            if of_items || self.phase(step) == Some(Phase::Waiting(until)) {
                return Next::Wait(Some(self.deadline.map_or(until, |deadline| deadline.min(until))));
            }
            self.waiting.pop();
        }
        Next::Wait(self.deadline)
    }

    /// Whether [`next`](Self::next) might start something at once.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || self.resources.is_stirred()
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
        let stop = self.stop_of(step);
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

    /// Ends the run early: what has not started is cancelled, except steps that run always, unless it
    /// is to stop `entirely`. Running steps are still reported on. The first reason given stands.
    pub fn stop(&mut self, stop: Stop, entirely: bool, now: Nanos) {
        if self.unfinished == 0 || (self.stopped.is_some() && !entirely) {
            return; // Nothing is left that this could cancel.
        }
        (self.entirely, self.stopped_at) = (entirely, now);
        let outcome = Outcome::Cancelled(self.stopped.get_or_insert(stop).reason());
        let graph = Arc::clone(&self.graph);
        for &step in graph.order() {
            let spared = !entirely && graph.rule(step).run_if == RunIf::Always;
            match self.phase(step) {
                _ if spared => {}
                Some(Phase::Pending | Phase::Ready | Phase::Waiting(_)) => self.end(step, outcome, now),
                Some(Phase::Running) => self.close(step, outcome, now),
                _ => {}
            }
        }
        // What is left of those that wait for a pool must not wait for what has been cancelled.
        self.ready.extend(self.resources.unpark().into_iter().map(Reverse));
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

    fn phase(&self, step: StepId) -> Option<Phase> {
        self.steps.get(step as usize).map(|state| state.phase)
    }

    fn rank(&self, step: StepId) -> u32 {
        self.ranking.as_ref().map_or_else(|| self.graph.rank(step), |ranking| ranking.rank(step))
    }

    fn of_rank(&self, rank: u32) -> Option<StepId> {
        self.ranking.as_ref().map_or_else(|| self.graph.of_rank(rank), |ranking| ranking.step(rank))
    }

    fn first_ready(&mut self) -> Option<StepId> {
        while let Some(rank) = self.resources.wake() {
            self.ready.push(Reverse(rank));
        }
        let Reverse(rank) = self.ready.pop()?;
        self.of_rank(rank)
    }

    fn wait(&mut self, step: StepId, until: Nanos) {
        self.waiting.push(Reverse((until, step)));
        match (self.items.get_mut(&step), self.steps.get_mut(step as usize)) {
            (Some(items), _) => items.kept = Some(until),
            (None, Some(state)) => state.phase = Phase::Waiting(until),
            (None, None) => {}
        }
    }

    fn wake(&mut self, now: Nanos) {
        while let Some(&Reverse((until, step))) = self.waiting.peek() {
            if until > now {
                break;
            }
            self.waiting.pop();
            if self.phase(step) == Some(Phase::Waiting(until)) {
                self.make_ready(step);
            }
            self.wake_items(step, now);
        }
    }

    fn make_ready(&mut self, step: StepId) {
        if let Some(state) = self.steps.get_mut(step as usize) {
            state.phase = Phase::Ready;
            self.ready.push(Reverse(self.rank(step)));
        }
    }

    fn can_start(&mut self, step: StepId, now: Nanos) -> bool {
        match self.phase(step) {
            Some(Phase::Ready) => true,
            Some(Phase::Waiting(until)) => until <= now,
            Some(Phase::Running) => self.items.get_mut(&step).is_some_and(|items| {
                items.wake(now);
                items.wants()
            }),
            _ => false,
        }
    }

    fn start(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        if step as usize >= self.steps.len() {
            return Err(RunError::UnknownStep(step));
        }
        if !self.can_start(step, now) {
            return Err(RunError::NotReady(step));
        }
        self.resources.take(step, now);
        self.start_item(step);
        if let Some(state) = self.steps.get_mut(step as usize) {
            state.phase = Phase::Running;
            state.started.get_or_insert(now);
        }
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
        self.resources.release_all(step);
        if let Some(items) = self.items.remove(&step) {
            if let Some(state) = self.steps.get_mut(step as usize) {
                state.attempts += items.most_attempts();
            }
            self.resources.stir(step);
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
