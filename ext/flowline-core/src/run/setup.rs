//! The part of a run that is set up before it begins: its time limit, shared resources, expected times, and steps that
//! have ended already.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::Arc;

use super::{Phase, Run};
use crate::event::{Event, Nanos, Outcome, RunError};
use crate::ids::{Rank, StepId};
use crate::ranking::Ranking;
use crate::resources::{Needs, Resources};

impl Run {
    /// Sets the time limit, which [stops](Run::stop) the run when it is reached. It may be set at any time.
    pub fn limit(&mut self, deadline: Nanos) {
        self.recording.note(|| Event::Limited { deadline });
        self.deadline = Some(deadline);
    }

    /// Sets the resources that steps share: pools of those sizes, and the needs of each step.
    ///
    /// # Errors
    /// The run has begun, or there is no such step or pool.
    pub fn share(&mut self, pools: &[u32], needs: HashMap<StepId, Needs>) -> Result<(), RunError> {
        self.not_begun()?;
        for (&step, needs) in &needs {
            self.known(step)?;
            if let Some(&(pool, _)) = needs.pools.iter().find(|(pool, _)| pool.index() >= pools.len()) {
                return Err(RunError::UnknownPool(pool));
            }
        }
        self.recording.note(|| {
            let mut needs: Vec<_> = needs.iter().map(|(&step, needs)| (step, needs.clone())).collect();
            needs.sort_unstable_by_key(|&(step, _)| step);
            Event::Shared { pools: pools.to_vec(), needs }
        });
        self.resources = Resources::new(pools, needs);
        Ok(())
    }

    /// Sets the seconds that steps are expected to take: of the steps that can start, the one with the longest path in
    /// time comes first.
    ///
    /// # Errors
    /// The run has begun.
    pub fn expect(&mut self, seconds: &[Option<f64>]) -> Result<(), RunError> {
        self.not_begun()?;
        self.recording.note(|| Event::Expected { seconds: seconds.to_vec() });
        let ranking = Ranking::by_time(&self.graph, seconds);
        let steps = std::mem::take(&mut self.ready).into_iter();
        let ranks = steps.filter_map(|Reverse(rank)| Some(Reverse(ranking.rank(self.of_rank(rank)?))));
        self.ready = ranks.collect::<Vec<Reverse<Rank>>>().into();
        self.ranking = Some(ranking);
        Ok(())
    }

    /// Ends steps that are restored, or were not selected. The set may contain any steps: the outcome of one does not
    /// affect another step of the set, even if they depend on each other.
    ///
    /// # Errors
    /// The run has begun.
    pub fn preset(
        &mut self,
        outcome: impl Fn(StepId) -> Option<Outcome>,
        now: Nanos,
    ) -> Result<(), RunError> {
        let graph = Arc::clone(&self.graph);
        // Dependents first: a step that has ended is not decided again.
        let dependents_first = graph.order().iter().rev();
        let outcomes = dependents_first.filter_map(|&step| Some((step, outcome(step)?))).collect();
        self.end_early(outcomes, now)
    }

    /// Ends those steps in that order.
    pub(super) fn end_early(
        &mut self,
        mut outcomes: Vec<(StepId, Outcome)>,
        now: Nanos,
    ) -> Result<(), RunError> {
        self.not_begun()?;
        outcomes.iter().try_for_each(|&(step, _)| self.known(step))?;
        outcomes.retain(|&(step, _)| !matches!(self.phase(step), Some(Phase::Ended(_))));
        if outcomes.is_empty() {
            return Ok(());
        }
        self.recording.note(|| Event::Preset { outcomes: outcomes.clone(), at: now });
        for (step, outcome) in outcomes {
            // A failure in the set may have stopped the run, and have ended other steps of the set.
            if !matches!(self.phase(step), Some(Phase::Ended(_))) {
                self.end(step, outcome, now);
            }
        }
        Ok(())
    }

    pub(super) fn known(&self, step: StepId) -> Result<(), RunError> {
        if step.index() < self.steps.len() { Ok(()) } else { Err(RunError::UnknownStep(step)) }
    }

    fn not_begun(&self) -> Result<(), RunError> {
        if self.begun { Err(RunError::Begun) } else { Ok(()) }
    }
}
