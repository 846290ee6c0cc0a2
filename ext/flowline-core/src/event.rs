//! What can happen to a step and to a run: the words in which a [`Run`](crate::run::Run) is asked and told.

use serde::{Deserialize, Serialize};

use crate::graph::StepId;

/// Nanoseconds on the caller's monotonic clock, counted from a moment of its choice.
pub type Nanos = u64;

/// Why a step did not run although nothing went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum SkipReason {
    /// Its own condition said no.
    Condition,
    /// A dependency it needs was skipped, or failed and is optional.
    UpstreamSkipped,
    /// The caller selected other steps.
    NotSelected,
}

/// Why a step never started, or was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum CancelReason {
    /// A dependency it needs failed.
    UpstreamFailed,
    /// Some step failed and the run stops at the first failure.
    RunFailed,
    /// Somebody stopped the run.
    Interrupted,
    /// The run's time was up.
    RunTimedOut,
}

/// How a step ended. Every step of a run ends in exactly one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The callable returned.
    Succeeded,
    /// Its output was reused from the cache.
    Cached,
    /// Its output was taken from a checkpoint.
    Restored,
    /// It did not have to run.
    Skipped(SkipReason),
    /// Every allowed attempt raised.
    Failed,
    /// A time limit ended it.
    TimedOut,
    /// It never started, or was stopped.
    Cancelled(CancelReason),
}

impl Outcome {
    pub(crate) fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// What became of a started step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// It ended.
    Ended(Outcome),
    /// An attempt was made; it asks to be started again at that time.
    RetryAt(Nanos),
}

/// The position of an item among those of its step.
pub type Position = u64;

/// What became of an item that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemReport {
    /// It ended, well or not.
    Done,
    /// It failed, and its step with it: none is taken any more.
    Failed,
    /// An attempt was made; the item at that position asks to be taken again at that time.
    RetryAt(Position, Nanos),
}

/// Why a run ends before its steps do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stop {
    /// A step failed, or something around the steps did.
    Failed,
    /// Somebody asked for it.
    Interrupted,
    /// The run's time is up.
    TimedOut,
}

impl Stop {
    pub(crate) fn reason(self) -> CancelReason {
        match self {
            Self::Failed => CancelReason::RunFailed,
            Self::Interrupted => CancelReason::Interrupted,
            Self::TimedOut => CancelReason::RunTimedOut,
        }
    }
}

/// What a failure does to the rest of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnError {
    /// Nothing new starts, except steps that run always.
    #[default]
    Stop,
    /// Every step that does not depend on the failure still runs.
    Continue,
}

/// The state of a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Some step has not ended.
    Running,
    /// No step that matters failed, and none was cancelled.
    Succeeded,
    /// A step failed that is not optional.
    Failed,
    /// The run's time was up.
    TimedOut,
    /// It was stopped.
    Cancelled,
}

/// The position of a pool among those of the run.
pub type PoolId = u32;

/// Why a step cannot start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Too little is left in that pool.
    Pool(PoolId),
    /// It started often enough until that time.
    Rate(Nanos),
}

/// Where a step stands: what it waits for, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// A dependency has not ended.
    Pending,
    /// A worker.
    Ready,
    /// Nothing: it is called.
    Running,
    /// Its next attempt.
    Retry,
    /// A pool, or its rate.
    Resource(Obstacle),
    /// Nothing: it has ended.
    Ended(Outcome),
}

/// What to do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start this step, then report on it.
    Start(StepId),
    /// Ask again at that time, or after the next report, whichever is sooner.
    Wait(Option<Nanos>),
    /// Every step has ended.
    Done,
}

/// A change of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A step was started.
    Started {
        /// Which one.
        step: StepId,
        /// When.
        at: Nanos,
    },
    /// A started step was reported on.
    Reported {
        /// Which one.
        step: StepId,
        /// What became of it.
        report: Report,
        /// When.
        at: Nanos,
    },
    /// The callable of a started step was called.
    Began {
        /// Which one.
        step: StepId,
        /// When.
        at: Nanos,
    },
    /// A started step is one that is started for each of its items.
    Opened {
        /// Which one.
        step: StepId,
        /// How many may be in flight.
        most: u32,
        /// When.
        at: Nanos,
    },
    /// Items of a step are there.
    Supplied {
        /// Of which step.
        step: StepId,
        /// How many.
        count: u64,
    },
    /// An item of a step was taken for a start of it.
    Taken {
        /// Which step.
        step: StepId,
    },
    /// No more items of a step are to come.
    Exhausted {
        /// Which one.
        step: StepId,
    },
    /// An item was reported on.
    Item {
        /// Of which step.
        step: StepId,
        /// What became of it.
        report: ItemReport,
        /// Whether the callable was called for it.
        called: bool,
        /// When.
        at: Nanos,
    },
    /// The run was stopped.
    Stopped {
        /// Why.
        stop: Stop,
        /// Whether steps that run always are stopped, too.
        entirely: bool,
        /// When.
        at: Nanos,
    },
}

/// A call that does not fit the state of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The graph has no such step.
    #[error("the run has no step {0}")]
    UnknownStep(StepId),
    /// A report on a step that is not running.
    #[error("step {0} is not running")]
    NotRunning(StepId),
    /// A start of a step that is not ready.
    #[error("step {0} is not ready")]
    NotReady(StepId),
}
