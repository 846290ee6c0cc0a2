//! The part of a run that answers questions and changes nothing.

use super::{Phase, Run, StepState};
use crate::event::{ItemCounts, Nanos, Obstacle, Outcome, State, Status, Stop};
use crate::ids::{Position, StepId};
use crate::items::Items;

impl Run {
    /// Returns the state of the run as a whole.
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

    /// Returns how the step ended, if it has.
    pub fn outcome(&self, step: StepId) -> Option<Outcome> {
        match self.phase(step)? {
            Phase::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }

    /// Returns when the step first started and when it ended; `None` if it never started, or has not ended.
    pub fn timing(&self, step: StepId) -> Option<(Nanos, Nanos)> {
        self.outcome(step)?;
        let state = self.steps.get(step.index())?;
        Some((state.started?, state.ended))
    }

    /// Returns when the step first started, if it has.
    pub fn started(&self, step: StepId) -> Option<Nanos> {
        self.steps.get(step.index())?.started
    }

    /// Returns how many attempts of the step have ended; for a step with items, of the item with the most.
    pub fn attempts(&self, step: StepId) -> u32 {
        let of_items = self.items.get(&step).map_or(0, Items::most_attempts);
        self.steps.get(step.index()).map_or(0, |state| state.attempts + of_items)
    }

    /// Returns the steps that ended without an attempt, by outcome.
    pub fn uncalled(&self) -> Vec<(Outcome, Vec<StepId>)> {
        let mut groups: Vec<(Outcome, Vec<StepId>)> = vec![];
        for step in self.graph.steps().filter(|&step| self.attempts(step) == 0) {
            let Some(outcome) = self.outcome(step) else { continue };
            match groups.iter_mut().find(|(known, _)| *known == outcome) {
                Some((_, steps)) => steps.push(step),
                None => groups.push((outcome, vec![step])),
            }
        }
        groups
    }

    /// Returns how many attempts of an item of an open step failed and were retried.
    pub fn item_attempts(&self, step: StepId, position: Position) -> u32 {
        self.items.get(&step).map_or(0, |items| items.attempts(position))
    }

    /// Returns how the items of a step that was opened have ended so far.
    pub fn item_counts(&self, step: StepId) -> Option<ItemCounts> {
        self.items.get(&step).map(Items::counts).or_else(|| self.item_counts.get(&step).copied())
    }

    /// Returns the steps whose failure fails the run, in the order in which they failed.
    pub fn failures(&self) -> &[StepId] {
        &self.failures
    }

    /// Returns the steps in flight, in definition order.
    pub fn running(&self) -> Vec<StepId> {
        let running = |&(_, state): &(StepId, &StepState)| state.phase == Phase::Running;
        self.graph.steps().zip(&self.steps).filter(running).map(|(step, _)| step).collect()
    }

    /// Returns how many steps have ended.
    pub fn ended(&self) -> usize {
        self.steps.len() - self.unfinished
    }

    /// Returns the state of the step as it is shown.
    pub fn state(&self, step: StepId, now: Nanos) -> Option<State> {
        let obstacle = self.resources.obstacle(step, self.rank(step), now).map(State::Resource);
        Some(match self.phase(step)? {
            Phase::Pending => State::Pending,
            Phase::Ready => obstacle.unwrap_or(State::Ready),
            Phase::Waiting(until) if until <= now => obstacle.unwrap_or(State::Ready),
            Phase::Waiting(until) => match self.resources.rate_allows_at(step, now) {
                Some(again) if again >= until => State::Resource(Obstacle::Rate(again)),
                _ => State::Retry(until),
            },
            Phase::Running => match self.items.get(&step).filter(|items| items.is_idle()) {
                Some(items) if items.has_next() => obstacle.unwrap_or(State::Ready),
                Some(items) => items.next_retry().map_or(State::Running, State::Retry),
                None => State::Running,
            },
            Phase::Ended(outcome) => State::Ended(outcome),
        })
    }
}
