//! The questions, answers and events of a [`Run`](crate::run::Run), as data.

use crate::ids::{PoolId, Position, StepId};
use crate::resources::Needs;

/// Nanoseconds on the caller's monotonic clock, counted from a moment of its choice.
pub type Nanos = u64;

/// Why a step did not run although nothing failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SkipReason {
    /// Its own condition was not met.
    Condition,
    /// A dependency it needs was skipped, or failed and is optional.
    UpstreamSkipped,
    /// The caller selected other steps.
    NotSelected,
}

/// Why a step never started, or was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CancelReason {
    /// A dependency it needs failed.
    UpstreamFailed,
    /// A step failed, and the run stops at the first failure.
    RunFailed,
    /// The run was interrupted.
    Interrupted,
    /// The run's time limit was reached.
    RunTimedOut,
}

/// How a step ended. Every step of a run ends in exactly one outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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

/// How a started step ended, or when it is to be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Report {
    /// It ended.
    Ended(Outcome),
    /// An attempt failed; the step is to be started again at that time. If the run was stopped since, the step has failed.
    RetryAt(Nanos),
    /// It was not called, because the run was stopped.
    Withdrawn,
}

/// How an item that was taken ended, or when it is to be retried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemReport {
    /// Its result is there.
    Done,
    /// Its result is there, from an earlier run.
    Restored,
    /// It failed for good. The effect on its step depends on [`OnItemError`].
    Failed,
    /// An attempt failed; the item at that position is to be started again at that time.
    RetryAt(Position, Nanos),
    /// It was not called, because the run was stopped.
    Withdrawn,
}

/// How failed items affect the step that is started for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnItemError {
    /// They fail the step. Nothing new of it starts once so many have failed.
    FailAt(u32),
    /// They don't fail the step.
    Collect,
}

/// How many items of a step have ended, and how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ItemCounts {
    /// Items with a result of this run.
    pub done: u64,
    /// Items with a result of an earlier run.
    pub restored: u64,
    /// Items that failed for good.
    pub failed: u64,
    /// Further attempts, of all items together.
    pub retries: u64,
}

/// Why a run is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// A step failed, or something around the steps did.
    Failed,
    /// It was interrupted.
    Interrupted,
    /// Its time limit was reached.
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

/// How a failure affects the rest of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// Nothing new starts, except steps that run always.
    #[default]
    Stop,
    /// Every step that does not depend on the failure still runs.
    Continue,
}

/// The state of a run as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Some step has not ended.
    Running,
    /// No step that matters failed, and none was cancelled.
    Succeeded,
    /// A step failed that is not optional.
    Failed,
    /// The run's time limit was reached.
    TimedOut,
    /// It was stopped.
    Cancelled,
}

/// Why a step cannot start now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Obstacle {
    /// Too little room is left in that pool.
    Pool(PoolId),
    /// Its rate allows no start before that time.
    Rate(Nanos),
}

/// The state of a step as it is shown: what it waits for, or how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It waits for a dependency.
    Pending,
    /// It waits for a worker.
    Ready,
    /// It is in flight.
    Running,
    /// It waits for its next attempt, until then.
    Retry(Nanos),
    /// It waits for a pool, or for its rate.
    Resource(Obstacle),
    /// It has ended.
    Ended(Outcome),
}

impl State {
    /// Whether the step could run, and waits for something.
    pub fn is_wait(self) -> bool {
        matches!(self, Self::Ready | Self::Retry(_) | Self::Resource(_))
    }
}

/// The caller's next action.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Start this step, then report on it.
    Start(StepId),
    /// Ask again at that time, or after the next report, whichever is sooner.
    Wait(Option<Nanos>),
    /// Every step has ended.
    Done,
}

/// A decision of a run, or something that its decisions depend on. The events of a run are its
/// [journal](crate::journal).
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// The run got a time limit.
    Limited {
        /// When it is reached.
        deadline: Nanos,
    },
    /// The run got pools, and its steps what they need of them.
    Shared {
        /// The sizes of the pools.
        pools: Vec<u32>,
        /// The needs of the steps that have some, in definition order.
        needs: Vec<(StepId, Needs)>,
    },
    /// The run got the times that its steps are expected to take.
    Expected {
        /// For each step, seconds if they are known.
        seconds: Vec<Option<f64>>,
    },
    /// Steps were ended before the run began.
    Preset {
        /// How, in the order in which they were.
        outcomes: Vec<(StepId, Outcome)>,
        /// When.
        at: Nanos,
    },
    /// The run was asked what to start, and could start nothing.
    Waited {
        /// When.
        at: Nanos,
    },
    /// The run was asked what to start, and started a step.
    Started {
        /// Which one.
        step: StepId,
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
    /// A started step was reported on.
    Reported {
        /// Which one.
        step: StepId,
        /// How it ended, or when it is to be retried.
        report: Report,
        /// When.
        at: Nanos,
    },
    /// A started step is from now on started for each of its items.
    Opened {
        /// Which one.
        step: StepId,
        /// How many items may be in flight.
        most: u32,
        /// How failed items affect it.
        on_error: OnItemError,
        /// When.
        at: Nanos,
    },
    /// A step got further items.
    Supplied {
        /// Which one.
        step: StepId,
        /// How many.
        count: u64,
    },
    /// A step gets no more items.
    Exhausted {
        /// Which one.
        step: StepId,
    },
    /// An item was taken for a start of its step.
    Taken {
        /// Which step.
        step: StepId,
        /// Which item.
        position: Position,
    },
    /// An item was reported on.
    Item {
        /// Of which step.
        step: StepId,
        /// How it ended, or when it is to be retried.
        report: ItemReport,
        /// Whether the callable was called for it.
        called: bool,
        /// When.
        at: Nanos,
    },
    /// The run was stopped, by its caller, a failure or its time limit.
    Stopped {
        /// Why.
        stop: Stop,
        /// Whether steps that run always are stopped, too.
        entirely: bool,
        /// When.
        at: Nanos,
    },
}

/// A call, or a recorded event, that does not fit the state of the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunError {
    /// The graph has no such step.
    #[error("the run has no step {0}")]
    UnknownStep(StepId),
    /// The run has no such pool.
    #[error("the run has no pool {0}")]
    UnknownPool(PoolId),
    /// A report on a step that is not running.
    #[error("step {0} is not running")]
    NotRunning(StepId),
    /// A start of a step that is not ready.
    #[error("step {0} is not ready")]
    NotReady(StepId),
    /// A recorded start of a step when another one comes first.
    #[error("step {0} is not the next one to start")]
    NotNext(StepId),
    /// A recorded wait when a step can start.
    #[error("step {0} can start, so that there is nothing to wait for")]
    NothingToWaitFor(StepId),
    /// A recorded item when another one comes first.
    #[error("item {1} of step {0} is not the next one to take")]
    NotNextItem(StepId, Position),
    /// A call that is allowed before a run begins only.
    #[error("the run has begun already")]
    Begun,
}
