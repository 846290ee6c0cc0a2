//! The part of a run that ends steps, and all that this decides.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;

use super::{Phase, Run};
use crate::event::{CancelReason, Nanos, OnError, Outcome, SkipReason, Stop};
use crate::graph::{RunIf, StepId};

impl Run {
    /// Ends the run early: what could start is cancelled, except steps that run always, unless it is to stop
    /// `entirely`. Running steps are still reported on, and what depends on them is cancelled then: so what cleans up
    /// comes after all that still runs before it. The first reason given stands.
    pub fn stop(&mut self, stop: Stop, entirely: bool, now: Nanos) {
        if self.unfinished == 0 || (self.stopped.is_some() && !entirely) {
            return; // Nothing is left that this could cancel.
        }
        (self.entirely, self.stopped_at) = (entirely, now);
        let outcome = Outcome::Cancelled(self.stopped.get_or_insert(stop).reason());
        let graph = Arc::clone(&self.graph);
        for &step in graph.order() {
            match self.phase(step) {
                _ if self.stop_of(step).is_none() => {}
                Some(Phase::Ready | Phase::Waiting(_)) => self.end(step, outcome, now),
                Some(Phase::Running) => self.close(step, outcome, now),
                _ => {}
            }
        }
        // What is left of those that wait for a pool must not wait for what has been cancelled.
        self.ready.extend(self.resources.unpark().into_iter().map(Reverse));
    }

    /// Ends a step and, without recursion, every step that this decides.
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
        if let Some(stop) = self.stop_of(step) {
            return Some(Outcome::Cancelled(stop.reason()));
        }
        let run_if = self.graph.rule(step).run_if;
        let upstream = self.steps.get(step as usize)?.upstream;
        match run_if {
            RunIf::Always => None,
            RunIf::Any if upstream.some_output => None,
            RunIf::Success if !upstream.some_skipped && !upstream.some_failed => None,
            _ if upstream.some_failed => Some(Outcome::Cancelled(CancelReason::UpstreamFailed)),
            _ => Some(Outcome::Skipped(SkipReason::UpstreamSkipped)),
        }
    }
}
