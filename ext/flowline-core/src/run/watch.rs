//! The part of a run that shows how it goes on: which steps wait, and how their items do. Nothing that is decided depends
//! on it, so it is no event.

use super::{Phase, Run};
use crate::event::{ItemCounts, Nanos, State};
use crate::ids::StepId;

impl Run {
    /// From now on the run collects the steps that begin to wait.
    pub fn watch(&mut self) {
        let waits = |&step: &StepId| matches!(self.phase(step), Some(Phase::Ready | Phase::Waiting(_)));
        self.stirred = Some(self.graph.steps().filter(waits).collect());
    }

    /// Returns the steps that have begun to wait since the last call, and still wait for something other than their
    /// dependencies.
    pub fn waits(&mut self, now: Nanos) -> Vec<(StepId, State)> {
        let mut steps = self.stirred.as_mut().map(std::mem::take).unwrap_or_default();
        steps.sort_unstable();
        steps.dedup();
        let waiting = |step| Some((step, self.state(step, now)?)).filter(|(_, state)| state.is_wait());
        steps.into_iter().filter_map(waiting).collect()
    }

    /// Returns how the items of an open step have ended so far, if that has changed since it was last returned. It is
    /// returned every 200 ms at most.
    pub fn progress(&mut self, step: StepId, now: Nanos) -> Option<ItemCounts> {
        self.items.get_mut(&step)?.progress(now)
    }

    /// Returns the states of steps that have started or could start and have not ended, and how many such steps there are:
    /// first those that run or wait for something else than a worker, then `ready` of those that wait for one, each in
    /// definition order and `most` in all.
    pub fn open_steps(&self, most: usize, ready: usize, now: Nanos) -> (Vec<(StepId, State)>, usize) {
        let is_open = |phase: Phase| !matches!(phase, Phase::Pending | Phase::Ended(_));
        let phases = self.graph.steps().zip(self.steps.iter().map(|state| state.phase));
        let open: Vec<StepId> = phases.filter(|&(_, phase)| is_open(phase)).map(|(step, _)| step).collect();
        let count = open.len();
        let (mut running, mut waiting, mut queued) = (vec![], vec![], vec![]);
        for step in open {
            match self.state(step, now) {
                Some(State::Ready) if queued.len() < ready => queued.push((step, State::Ready)),
                None | Some(State::Ready) => {}
                Some(State::Running) => running.push((step, State::Running)),
                Some(state) => waiting.push((step, state)),
            }
        }
        running.extend(waiting.into_iter().chain(queued));
        running.truncate(most);
        (running, count)
    }

    pub(super) fn stir(&mut self, step: StepId) {
        if let Some(steps) = self.stirred.as_mut().filter(|steps| steps.last() != Some(&step)) {
            steps.push(step);
        }
    }
}
