//! The part of a run that records its events, and goes through recorded ones.

use std::sync::Arc;

use super::Run;
use crate::event::{Event, Nanos, RunError};
use crate::graph::Graph;
use crate::ids::StepId;
use crate::journal::{JournalError, Reader, Writer};

/// The destination of events.
#[derive(Debug, Default)]
pub(super) enum Recording {
    /// None. No event has happened so far.
    #[default]
    Untouched,
    /// None. Events were lost, so it is too late for a journal.
    Off,
    /// A journal.
    On(Box<Writer>),
}

impl Recording {
    /// Records the event, which is created only if there is a journal.
    #[inline]
    pub(super) fn note(&mut self, event: impl FnOnce() -> Event) {
        if !matches!(self, Self::Off) {
            self.note_first_or_write(event);
        }
    }

    /// Out of line, so that a run without a journal is as fast as if there were none.
    #[cold]
    #[inline(never)]
    fn note_first_or_write(&mut self, event: impl FnOnce() -> Event) {
        match self {
            Self::On(writer) => writer.write(&event()),
            Self::Untouched => *self = Self::Off,
            Self::Off => {}
        }
    }

    pub(super) fn is_on(&self) -> bool {
        matches!(self, Self::On(_))
    }
}

impl Run {
    /// Records events from now on. Without a journal they cost nothing.
    ///
    /// # Errors
    /// There were events before: a part of a journal cannot be replayed.
    pub fn keep_journal(&mut self) -> Result<(), RunError> {
        match self.recording {
            Recording::On(_) => Ok(()),
            Recording::Off => Err(RunError::Begun),
            Recording::Untouched => {
                self.recording = Recording::On(Box::new(Writer::new(&self.graph, self.on_error)));
                Ok(())
            }
        }
    }

    /// Returns the [journal](crate::journal) since this was last called, which is empty if nothing happened, or
    /// nothing is recorded. Everything taken so far, joined in order, is the journal of the run.
    pub fn take_events(&mut self) -> Vec<u8> {
        match &mut self.recording {
            Recording::On(writer) => writer.take(),
            _ => Vec::new(),
        }
    }

    /// Returns the time of the last recorded event.
    pub fn last_event_at(&self) -> Nanos {
        match &self.recording {
            Recording::On(writer) => writer.last(),
            _ => 0,
        }
    }

    /// Rebuilds the run to which a journal belongs, up to its last event. It decides as the original does from there
    /// on, and continues the journal.
    ///
    /// # Errors
    /// The bytes are no whole journal, or it belongs to another graph.
    pub fn replay(graph: Arc<Graph>, journal: &[u8]) -> Result<Self, JournalError> {
        let mut reader = Reader::new(journal)?;
        if reader.graph() != graph.digest() {
            return Err(JournalError::OtherGraph);
        }
        let mut run = Self::new(graph, reader.on_error());
        for (number, event) in (1..).zip(reader.by_ref()) {
            run.apply(event?).map_err(|error| JournalError::Refused(number, error))?;
        }
        run.recording = Recording::On(Box::new(reader.into_writer()));
        Ok(run)
    }

    /// Replays one event: makes the recorded call again, and checks the decision.
    ///
    /// # Errors
    /// The event does not fit the state of the run. No step starts or ends then.
    pub fn apply(&mut self, event: Event) -> Result<(), RunError> {
        match event {
            Event::Limited { deadline } => self.limit(deadline),
            Event::Shared { pools, needs } => self.share(&pools, needs.into_iter().collect())?,
            Event::Expected { seconds } => self.expect(&seconds)?,
            Event::Preset { outcomes, at } => self.end_early(outcomes, at)?,
            Event::Waited { at } => self.wait_again(at)?,
            Event::Started { step, at } => self.start_again(step, at)?,
            Event::Began { step, at } => self.begin(step, at)?,
            Event::Reported { step, report, at } => self.report(step, report, at)?,
            Event::Opened { step, most, on_error, at } => self.open(step, most, on_error, at)?,
            Event::Supplied { step, count } => self.supply(step, count),
            Event::Exhausted { step } => self.exhaust(step),
            Event::Taken { step, position } => self.take_again(step, position)?,
            Event::Item { step, report, called, at } => self.report_item(step, report, called, at)?,
            Event::Stopped { stop, entirely, at } => self.stop(stop, entirely, at),
        }
        Ok(())
    }

    fn wait_again(&mut self, now: Nanos) -> Result<(), RunError> {
        let changes = self.would_change(now);
        match self.select(now) {
            None => {
                self.note_wait(changes, now);
                Ok(())
            }
            Some(step) => {
                self.put_back(step);
                Err(RunError::NothingToWaitFor(step))
            }
        }
    }

    fn start_again(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        self.known(step)?;
        if !self.can_start(step, now) {
            return Err(RunError::NotReady(step));
        }
        match self.select(now) {
            Some(selected) if selected == step => {
                self.start(step, now);
                Ok(())
            }
            other => {
                other.into_iter().for_each(|other| self.put_back(other));
                Err(RunError::NotNext(step))
            }
        }
    }
}
