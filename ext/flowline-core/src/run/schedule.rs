//! The part of a run that decides what starts, and when: ranks, waits, and whether there is room.

use std::cmp::Reverse;

use super::{Phase, Run};
use crate::event::{Event, Nanos, Next, Obstacle, Stop};
use crate::ids::{Rank, StepId};

impl Run {
    /// Returns the action for this time. A step that is to start counts as running from now on.
    pub fn next(&mut self, now: Nanos) -> Next {
        let changes = self.would_change(now);
        if let Some(step) = self.select(now) {
            self.start(step, now);
            return Next::Start(step);
        }
        self.note_wait(changes, now);
        if self.unfinished == 0 { Next::Done } else { Next::Wait(self.next_time()) }
    }

    /// Whether [`next`](Self::next) may start something at once.
    pub fn has_ready(&self) -> bool {
        !self.ready.is_empty() || self.resources.can_wake()
    }

    pub(super) fn rank(&self, step: StepId) -> Rank {
        self.ranking.as_ref().map_or_else(|| self.graph.rank(step), |ranking| ranking.rank(step))
    }

    pub(super) fn of_rank(&self, rank: Rank) -> Option<StepId> {
        self.ranking.as_ref().map_or_else(|| self.graph.of_rank(rank), |ranking| ranking.step(rank))
    }

    /// Removes the step that is to start now from the queue. Steps before it that cannot start wait elsewhere.
    pub(super) fn select(&mut self, now: Nanos) -> Option<StepId> {
        self.begun = true;
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.stop(Stop::TimedOut, false, now);
        }
        self.wake(now);
        while let Some((rank, step)) = self.first_ready() {
            let startable = self.can_start(step, now);
            match self.resources.obstacle(step, rank, now).filter(|_| startable && !self.is_over(step)) {
                Some(Obstacle::Pool(pool)) => {
                    self.resources.park(step, rank, pool);
                    self.stir(step);
                    continue;
                }
                Some(Obstacle::Rate(until)) => self.wait(step, until),
                None if !startable => self.leave_queue(step),
                None => {
                    self.resources.leave(rank);
                    return Some(step);
                }
            }
            self.resources.leave(rank);
        }
        None
    }

    /// Returns the selected step to the queue, because it does not start after all.
    pub(super) fn put_back(&mut self, step: StepId) {
        self.ready.push(Reverse(self.rank(step)));
    }

    /// Starts the selected step.
    pub(super) fn start(&mut self, step: StepId, now: Nanos) {
        self.recording.note(|| Event::Started { step, at: now });
        self.start_item(step);
        if let Some(state) = self.steps.get_mut(step.index()) {
            state.phase = Phase::Running;
            state.started.get_or_insert(now);
        }
    }

    /// Whether the call of `next` changes anything but time if no step starts. Only a journal needs to know.
    pub(super) fn would_change(&self, now: Nanos) -> bool {
        let is_due = || self.waiting.peek().is_some_and(|&Reverse((until, _))| until <= now);
        let is_late = || self.deadline.is_some_and(|deadline| deadline <= now);
        self.recording.is_on() && (!self.begun || self.has_ready() || is_due() || is_late())
    }

    pub(super) fn note_wait(&mut self, changes: bool, now: Nanos) {
        if changes {
            self.recording.note(|| Event::Waited { at: now });
        }
    }

    pub(super) fn wait(&mut self, step: StepId, until: Nanos) {
        self.waiting.push(Reverse((until, step)));
        self.stir(step);
        match (self.items.get_mut(&step), self.steps.get_mut(step.index())) {
            (Some(items), _) => items.delay(until),
            (None, Some(state)) => state.phase = Phase::Waiting(until),
            (None, None) => {}
        }
    }

    pub(super) fn make_ready(&mut self, step: StepId) {
        if let Some(state) = self.steps.get_mut(step.index()) {
            state.phase = Phase::Ready;
            self.ready.push(Reverse(self.rank(step)));
            self.stir(step);
        }
    }

    pub(super) fn can_start(&mut self, step: StepId, now: Nanos) -> bool {
        match self.phase(step) {
            Some(Phase::Ready) => true,
            Some(Phase::Waiting(until)) => until <= now,
            Some(Phase::Running) => self.items.get_mut(&step).is_some_and(|items| {
                items.wake(now);
                items.has_next() || items.is_over()
            }),
            _ => false,
        }
    }

    /// Returns the first step in the queue, after adding parked steps that may be able to start.
    fn first_ready(&mut self) -> Option<(Rank, StepId)> {
        while let Some(rank) = self.resources.wake() {
            self.ready.push(Reverse(rank));
        }
        let Reverse(rank) = self.ready.pop()?;
        Some((rank, self.of_rank(rank)?))
    }

    /// Queues the steps whose time has come.
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

    /// Returns when to ask again, unless a report comes first.
    fn next_time(&mut self) -> Option<Nanos> {
        while let Some(&Reverse((until, step))) = self.waiting.peek() {
            let of_items = self.items.get(&step).is_some_and(|items| items.waits_until(until));
            if of_items || self.phase(step) == Some(Phase::Waiting(until)) {
                return Some(self.deadline.map_or(until, |deadline| deadline.min(until)));
            }
            self.waiting.pop();
        }
        self.deadline
    }
}
