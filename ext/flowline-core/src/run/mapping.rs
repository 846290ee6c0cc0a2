//! The part of a run that opens steps, starts their items and gets reports on them.

use std::cmp::Reverse;

use super::Run;
use crate::event::{Event, ItemReport, Nanos, OnItemError, Outcome, RunError};
use crate::ids::{Position, StepId};
use crate::items::Items;

impl Run {
    /// Opens a step: from now on it is started for each of its items, once they are [supplied](Self::supply), that many
    /// at a time. Its own start releases the resources that it took. If the run was stopped since, this ends the step.
    ///
    /// # Errors
    /// The step is not running, or is open.
    pub fn open(
        &mut self,
        step: StepId,
        most: u32,
        on_error: OnItemError,
        now: Nanos,
    ) -> Result<(), RunError> {
        if self.items.contains_key(&step) {
            return Err(RunError::NotRunning(step));
        }
        self.count_time_from(step, now)?;
        self.recording.note(|| Event::Opened { step, most, on_error, at: now });
        self.resources.expect_no_call(step);
        self.resources.release(step);
        self.items.insert(step, Items::new(most.max(1), on_error));
        if let Some(stop) = self.stop_of(step) {
            let started = self.started(step).unwrap_or_default();
            self.close(step, Outcome::Cancelled(stop.reason()), self.stopped_at.max(started));
        }
        Ok(())
    }

    /// Adds that many items to an open step. It does nothing for other steps.
    pub fn supply(&mut self, step: StepId, count: u64) {
        if let Some(items) = self.items.get_mut(&step) {
            self.recording.note(|| Event::Supplied { step, count });
            items.supply(count);
            self.offer(step);
        }
    }

    /// Records that an open step gets no more items. When all have ended, the step starts a last time, to be reported
    /// on. It does nothing for other steps.
    pub fn exhaust(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            self.recording.note(|| Event::Exhausted { step });
            items.exhaust();
            self.offer(step);
        }
    }

    /// Returns the position of the item for which an open step was started; `None` if the step itself is to be reported
    /// on.
    pub fn take(&mut self, step: StepId) -> Option<Position> {
        let position = self.items.get_mut(&step)?.take()?;
        self.recording.note(|| Event::Taken { step, position });
        Some(position)
    }

    /// Records how an item ended or when it is to be retried, and whether it was [called](Self::begin) for that.
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
        self.recording.note(|| Event::Item { step, report, called, at: now });
        items.report(report);
        if !called {
            self.resources.expect_no_call(step);
            items.expect_no_call();
        }
        let cut = stop.filter(|_| items.cut());
        let has_next = items.has_next();
        self.resources.release(step);
        if !has_next {
            self.resources.leave(self.rank(step)); // Failed items have closed it.
        }
        if let ItemReport::RetryAt(_, until) = report {
            self.waiting.push(Reverse((until, step)));
        }
        self.stir(step); // The items that are left may all wait.
        match cut {
            Some(stop) => {
                self.ended_unreported.push(step);
                self.end(step, Outcome::Cancelled(stop.reason()), now);
            }
            None => self.offer(step),
        }
        Ok(())
    }

    /// Takes a recorded item.
    pub(super) fn take_again(&mut self, step: StepId, position: Position) -> Result<(), RunError> {
        let next = self.items.get(&step).and_then(Items::next_to_take);
        if next != Some(position) {
            return Err(RunError::NotNextItem(step, position));
        }
        self.take(step);
        Ok(())
    }

    /// Starts a step. An open step starts for an item, which takes the step's resources, or to be reported on.
    pub(super) fn start_item(&mut self, step: StepId) {
        let again = match self.items.get_mut(&step) {
            Some(items) if items.is_over() => return items.start_closing(),
            Some(items) => {
                items.start();
                true
            }
            None => self.attempts(step) > 0,
        };
        self.resources.acquire(step, again);
        self.offer(step);
    }

    pub(super) fn wake_items(&mut self, step: StepId, now: Nanos) {
        if let Some(items) = self.items.get_mut(&step) {
            items.wake(now);
        }
        self.offer(step);
    }

    /// Removes the turn of a step, because none of its items can start.
    pub(super) fn leave_queue(&mut self, step: StepId) {
        if let Some(items) = self.items.get_mut(&step) {
            items.leave_queue();
        }
    }

    /// Whether all items of the step have ended, and it was not started for its report yet.
    pub(super) fn is_over(&self, step: StepId) -> bool {
        self.items.get(&step).is_some_and(Items::is_over)
    }

    /// Starts no other item of the step, which ends the step unless one is in flight, or failed items have failed it.
    pub(super) fn close(&mut self, step: StepId, outcome: Outcome, now: Nanos) {
        if self.items.get_mut(&step).is_some_and(Items::cut) {
            self.ended_unreported.push(step);
            self.end(step, outcome, now);
        } else {
            self.offer(step);
        }
    }

    /// Queues an open step for its next item, or for its report.
    fn offer(&mut self, step: StepId) {
        if self.items.get_mut(&step).is_some_and(Items::offer) {
            self.ready.push(Reverse(self.rank(step)));
        }
    }
}
