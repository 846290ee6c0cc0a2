//! The part of a run that says what starts, and when: ranks, waits, and whether there is room.

use std::cmp::Reverse;

use super::{Phase, Run};
use crate::event::{Nanos, Next, Obstacle, RunError, Stop};
use crate::graph::StepId;

impl Run {
    /// What to do at this time. A step that is to start counts as running from now on.
    pub fn next(&mut self, now: Nanos) -> Next {
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.stop(Stop::TimedOut, false, now);
        }
        self.wake(now);
        while let Some(step) = self.first_ready() {
            let rank = self.rank(step);
            let needs = self.can_start(step, now) && !self.is_over(step);
            match self.resources.obstacle(step, rank, now).filter(|_| needs) {
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

    pub(super) fn rank(&self, step: StepId) -> u32 {
        self.ranking.as_ref().map_or_else(|| self.graph.rank(step), |ranking| ranking.rank(step))
    }

    pub(super) fn of_rank(&self, rank: u32) -> Option<StepId> {
        self.ranking.as_ref().map_or_else(|| self.graph.of_rank(rank), |ranking| ranking.step(rank))
    }

    fn first_ready(&mut self) -> Option<StepId> {
        while let Some(rank) = self.resources.wake() {
            self.ready.push(Reverse(rank));
        }
        let Reverse(rank) = self.ready.pop()?;
        self.of_rank(rank)
    }

    pub(super) fn wait(&mut self, step: StepId, until: Nanos) {
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

    pub(super) fn make_ready(&mut self, step: StepId) {
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
                items.has_next() || items.is_over()
            }),
            _ => false,
        }
    }

    pub(super) fn start(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        if step as usize >= self.steps.len() {
            return Err(RunError::UnknownStep(step));
        }
        if !self.can_start(step, now) {
            return Err(RunError::NotReady(step));
        }
        self.start_item(step);
        if let Some(state) = self.steps.get_mut(step as usize) {
            state.phase = Phase::Running;
            state.started.get_or_insert(now);
        }
        Ok(())
    }
}
