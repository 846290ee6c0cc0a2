//! The part of a run that knows of items: a step called for each of them is started once, opened, and then
//! started again for every item.

use std::cmp::Reverse;

use super::{Phase, Run};
use crate::event::{ItemReport, Nanos, Obstacle, Outcome, Position, RunError, State};
use crate::graph::StepId;
use crate::items::Items;

impl Run {
    /// The step is started again for each of its items, once they are [supplied](Self::supply), that many at a time.
    /// What its own start took is given back. If the run has been stopped meanwhile, this ends the step.
    ///
    /// # Errors
    /// The step is not running.
    pub fn open(&mut self, step: StepId, most: u32, now: Nanos) -> Result<(), RunError> {
        if self.items.contains_key(&step) {
            return Err(RunError::NotRunning(step));
        }
        self.set_off(step, now)?;
        self.resources.spare(step);
        self.resources.release(step);
        self.items.insert(step, Items::new(most.max(1)));
        if let Some(stop) = self.stop_of(step) {
            let started = self.started(step).unwrap_or_default();
            self.close(step, Outcome::Cancelled(stop.reason()), self.stopped_at.max(started));
        }
        Ok(())
    }

    /// So many further items of an open step are there.
    pub fn supply(&mut self, step: StepId, count: u64) {
        if let Some(items) = self.items.get_mut(&step) {
            items.supply(count);
        }
        self.offer(step);
    }

    /// No more items of an open step are to come. When all have ended, the step is started once more, to be
    /// reported on.
    pub fn exhaust(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            items.exhaust();
        }
        self.offer(step);
    }

    /// For a start of an open step: the position of the item that was started. None: the step itself is to be
    /// reported on.
    pub fn take(&mut self, step: StepId) -> Option<Position> {
        self.items.get_mut(&step)?.take()
    }

    /// How often an item of an open step was tried in vain.
    pub fn item_attempts(&self, step: StepId, position: Position) -> u32 {
        self.items.get(&step).map_or(0, |items| items.attempts(position))
    }

    /// Takes note of what became of an item, and whether it was [called](Self::begin) for that.
    ///
    /// # Errors
    /// The step is not open, or none of its items is in flight.
    pub fn report_item(
        &mut self,
        step: StepId,
        report: ItemReport,
        called: bool,
        now: Nanos,
    ) -> Result<(), RunError> {
        let stop = self.stop_of(step);
        let items = self.items.get_mut(&step).filter(|items| !items.is_idle());
        let items = items.ok_or(RunError::NotRunning(step))?;
        items.report(report);
        if !called {
            self.resources.spare(step);
            items.unkeep();
        }
        let cut = stop.filter(|_| items.cut());
        self.resources.release(step);
        if let ItemReport::RetryAt(_, until) = report {
            self.waiting.push(Reverse((until, step)));
        }
        match cut {
            Some(stop) => {
                self.passed_over.push(step);
                self.end(step, Outcome::Cancelled(stop.reason()), now);
            }
            None => self.offer(step),
        }
        Ok(())
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
                Some(items) if items.has_next() => obstacle.unwrap_or(State::Ready),
                Some(items) if items.has_retries() => State::Retry,
                _ => State::Running,
            },
            Phase::Ended(outcome) => State::Ended(outcome),
        })
    }

    /// An open step starts: for an item, which takes what there is to share, or to be reported on.
    pub(super) fn start_item(&mut self, step: StepId) {
        match self.items.get_mut(&step) {
            Some(items) if items.is_over() => return items.start_closing(),
            Some(items) => {
                items.start();
                items.queued = false;
            }
            None => {}
        }
        self.resources.take(step);
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

    /// Whether a step of which all items have ended is still to be reported on.
    pub(super) fn is_over(&self, step: StepId) -> bool {
        self.items.get(&step).is_some_and(Items::is_over)
    }

    /// No further item of the step is taken, which ends it unless one is in flight.
    pub(super) fn close(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
        if self.items.get_mut(&step).is_some_and(Items::cut) {
            self.passed_over.push(step);
            self.end(step, outcome, now);
        }
    }

    /// Queues the step for its next item, or its end, which waits for nothing.
    fn offer(&mut self, step: StepId) {
        let rank = self.rank(step);
        if let Some(items) = self.items.get_mut(&step) {
            if items.is_over() || (!items.queued && items.has_next()) {
                items.queued = true;
                self.ready.push(Reverse(rank));
            }
        }
    }
}
