//! The part of a run that ends steps, and decides the steps that depend on them.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use super::{Phase, Run};
use crate::event::{CancelReason, Event, Nanos, OnError, Outcome, SkipReason, Stop};
use crate::graph::RunIf;
use crate::ids::StepId;

impl Run {
    /// Stops the run: steps that could start are cancelled, except steps that run always, unless it is to stop
    /// `entirely`. Running steps are still reported on, and the steps that depend on them are cancelled then, so that a
    /// clean-up step comes after everything before it that still runs. A step that was to be retried has failed. The first
    /// reason stands.
    pub fn stop(&mut self, stop: Stop, entirely: bool, now: Nanos) {
        if self.unfinished == 0 || (self.stopped.is_some() && !entirely) {
            return; // No step is left that could be cancelled.
        }
        self.recording.note(|| Event::Stopped { stop, entirely, at: now });
        (self.entirely, self.stopped_at) = (entirely, now);
        let first = *self.stopped.get_or_insert(stop);
        let graph = Arc::clone(&self.graph);
        for &step in graph.order() {
            match self.phase(step) {
                _ if self.stop_of(step).is_none() => {}
                Some(Phase::Ready | Phase::Waiting(_)) => {
                    self.end(step, self.stopped_outcome(step, first), now);
                }
                Some(Phase::Running) => self.close(step, Outcome::Cancelled(first.reason()), now),
                _ => {}
            }
        }
        // Parked steps that are left must not wait behind steps that were cancelled.
        self.ready.extend(self.resources.unpark().into_iter().map(Reverse));
    }

    /// Ends a step and, without recursion, every step that is decided by this.
    pub(super) fn end(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
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
            for &dependent in graph.dependents(step) {
                if self.dependency_ended(dependent, outcome, rule.optional) {
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
        if let Some(state) = self.steps.get_mut(step.index()) {
            if state.phase != Phase::Running {
                self.ended_unreported.push(step);
            }
            state.phase = Phase::Ended(outcome);
            state.ended = now;
            self.unfinished -= 1;
        }
        self.resources.release_all(step);
        if let Some(items) = self.items.remove(&step) {
            if let Some(state) = self.steps.get_mut(step.index()) {
                state.attempts += items.most_attempts();
            }
            self.item_counts.insert(step, items.counts());
            self.resources.leave(self.rank(step));
        }
    }

    /// Records at a step how one of its dependencies ended. True if it was the last one that the step waited for.
    fn dependency_ended(&mut self, step: StepId, outcome: Outcome, optional: bool) -> bool {
        let Some(state) = self.steps.get_mut(step.index()) else { return false };
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

    /// Returns how a step ends whose dependencies all have ended; `None` if it is to run.
    fn decide(&self, step: StepId) -> Option<Outcome> {
        if let Some(stop) = self.stop_of(step) {
            return Some(Outcome::Cancelled(stop.reason()));
        }
        let run_if = self.graph.rule(step).run_if;
        let upstream = self.steps.get(step.index())?.upstream;
        match run_if {
            RunIf::Always => None,
            RunIf::Any if upstream.some_output => None,
            RunIf::Success if !upstream.some_skipped && !upstream.some_failed => None,
            _ if upstream.some_failed => Some(Outcome::Cancelled(CancelReason::UpstreamFailed)),
            _ => Some(Outcome::Skipped(SkipReason::UpstreamSkipped)),
        }
    }
}
