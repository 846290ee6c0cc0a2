//! The part of a run that knows of items: a step called for each of them is started once, opened, and then
//! started again for every item.

use std::cmp::Reverse;

use super::{Phase, Run};
use crate::event::{Nanos, Outcome, RunError, State};
use crate::graph::StepId;
use crate::items::{ItemReport, Items, Left, Position};
use crate::resources::Obstacle;

impl Run {
    /// The items of a started step can be taken, that many at a time: it is started for each of them. What its
    /// own start took is given back. If the run has been stopped meanwhile, none is, and this ends the step.
    ///
    /// # Errors
    /// The step is not running.
    pub fn open(&mut self, step: StepId, most: u32) -> Result<(), RunError> {
        if self.phase(step) != Some(Phase::Running) || self.items.contains_key(&step) {
            return Err(RunError::NotRunning(step));
        }
        self.resources.untake(step);
        self.items.insert(step, Items::new(most.max(1)));
        match self.stop_of(step) {
            Some(stop) => {
                let started = self.started(step).unwrap_or_default();
                self.close(step, Outcome::Cancelled(stop.reason()), self.stopped_at.max(started));
            }
            None => self.offer(step),
        }
        Ok(())
    }

    /// For a start of an open step: the item that is to be tried again, or none: the next that was never taken.
    pub fn take(&mut self, step: StepId) -> Option<Position> {
        self.items.get_mut(&step)?.take()
    }

    /// Every item of the step has been taken.
    pub fn exhaust(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            items.exhaust();
            self.resources.stir(step);
        }
    }

    /// How often an item of an open step was tried in vain.
    pub fn item_attempts(&self, step: StepId, position: Position) -> u32 {
        self.items.get(&step).map_or(0, |items| items.attempts(position))
    }

    /// Takes note of what became of an item.
    ///
    /// # Errors
    /// The step is not open, or none of its items is in flight.
    pub fn report_item(&mut self, step: StepId, report: ItemReport, now: Nanos) -> Result<Left, RunError> {
        let stop = self.stop_of(step);
        let items = self.items.get_mut(&step).filter(|items| !items.is_idle());
        let items = items.ok_or(RunError::NotRunning(step))?;
        items.report(report);
        let cut = stop.is_some() && items.cut();
        let empty = items.is_empty();
        self.resources.release(step);
        if let ItemReport::RetryAt(_, until) = report {
            self.waiting.push(Reverse((until, step)));
        }
        match stop {
            Some(stop) if cut => {
                self.passed_over.push(step);
                self.end(step, Outcome::Cancelled(stop.reason()), now);
                Ok(Left::Stopped)
            }
            _ if empty => Ok(Left::Nothing),
            _ => {
                self.offer(step);
                Ok(Left::More)
            }
        }
    }

    /// Where the step stands.
    pub fn state(&self, step: StepId, now: Nanos) -> Option<State> {
        let obstacle = self.resources.obstacle(step, self.rank(step), now).map(State::Resource);
        Some(match self.phase(step)? {
            Phase::Pending => State::Pending,
            Phase::Ready => obstacle.unwrap_or(State::Ready),
            Phase::Waiting(until) if until <= now => obstacle.unwrap_or(State::Ready),
            Phase::Waiting(until) => match self.resources.kept(step, now) {
                Some(again) if again >= until => State::Resource(Obstacle::Rate(again)),
                _ => State::Retry,
            },
            Phase::Running => match self.items.get(&step).filter(|items| items.is_idle()) {
                Some(items) if items.wants() => obstacle.unwrap_or(State::Ready),
                Some(items) if !items.is_empty() => State::Retry,
                _ => State::Running,
            },
            Phase::Ended(outcome) => State::Ended(outcome),
        })
    }

    pub(super) fn start_item(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            items.start();
            items.queued = false;
        }
        self.offer(step);
    }

    pub(super) fn wake_items(&mut self, step: StepId, now: Nanos) {
        if let Some(items) = self.items.get_mut(&step) {
            items.wake(now);
        }
        self.offer(step);
    }

    /// The step's turn has come, but none of its items can start.
    pub(super) fn unqueue(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            items.queued = false;
        }
    }

    /// No further item of the step is taken, which ends it unless one is in flight.
    pub(super) fn close(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
        if self.items.get_mut(&step).is_some_and(Items::cut) {
            self.passed_over.push(step);
            self.end(step, outcome, now);
        }
    }

    /// Queues the step for its next item.
    fn offer(&mut self, step: StepId) {
        let rank = self.rank(step);
        if let Some(items) = self.items.get_mut(&step) {
            if !items.queued && items.wants() {
                items.queued = true;
                self.ready.push(Reverse(rank));
            }
        }
    }
}
