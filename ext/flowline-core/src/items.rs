//! The items of a step that is called once for each: one node of the graph, whose state does not grow
//! with their number. An item is known by its position; only those that were tried in vain are kept.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use serde::{Deserialize, Serialize};

use crate::event::Nanos;

/// The position of an item among those of its step.
pub type Position = u64;

/// What became of an item that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemReport {
    /// It ended, well or not.
    Done,
    /// There was none: all have been taken.
    None,
    /// It failed, and its step with it: none is taken any more.
    Failed,
    /// An attempt was made; the item at that position asks to be taken again at that time.
    RetryAt(Position, Nanos),
}

/// What is left of a step whose item was reported on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Items to come, or in flight.
    More,
    /// Nothing: the step itself is to be reported on.
    Nothing,
    /// Nothing that may still start: the run has been stopped, and this has ended the step.
    Stopped,
}

#[derive(Debug)]
pub(crate) struct Items {
    /// How many may be in flight.
    most: u32,
    in_flight: u32,
    /// No item is left that was never taken.
    exhausted: bool,
    /// One failed for good: no other is tried again.
    failed: bool,
    retries: BinaryHeap<Reverse<(Nanos, Position)>>,
    due: VecDeque<Position>,
    /// Starts that nobody has taken an item for.
    handed: VecDeque<Option<Position>>,
    attempts: HashMap<Position, u32>,
    /// Whether items were left when the run was stopped.
    cut: bool,
    /// Whether it is in the queue of steps that could start, or waits to be.
    pub(crate) queued: bool,
    /// Until when its rate keeps it.
    pub(crate) kept: Option<Nanos>,
}

impl Items {
    pub(crate) fn new(most: u32) -> Self {
        Self {
            most,
            in_flight: 0,
            exhausted: false,
            failed: false,
            retries: BinaryHeap::new(),
            due: VecDeque::new(),
            handed: VecDeque::new(),
            attempts: HashMap::new(),
            cut: false,
            queued: false,
            kept: None,
        }
    }

    /// Whether another item may start.
    pub(crate) fn wants(&self) -> bool {
        self.in_flight < self.most && (!self.exhausted || !self.due.is_empty())
    }

    /// Whether every item has ended.
    pub(crate) fn is_empty(&self) -> bool {
        self.in_flight == 0 && self.exhausted && self.due.is_empty() && self.retries.is_empty()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    pub(crate) fn start(&mut self) {
        self.in_flight += 1;
        self.handed.push_back(self.due.pop_front());
    }

    /// The item that a start was for: one to be tried again, or the next that was never taken.
    pub(crate) fn take(&mut self) -> Option<Position> {
        self.handed.pop_front().flatten()
    }

    pub(crate) fn exhaust(&mut self) {
        self.exhausted = true;
    }

    pub(crate) fn report(&mut self, report: ItemReport) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match report {
            ItemReport::Done => {}
            ItemReport::None => self.exhaust(),
            ItemReport::Failed => {
                self.failed = true;
                self.cut = false;
                self.close();
            }
            ItemReport::RetryAt(position, until) => {
                *self.attempts.entry(position).or_default() += 1;
                if !self.failed {
                    self.retries.push(Reverse((until, position)));
                }
            }
        }
    }

    /// The run has been stopped. True if that ends the step: nothing is in flight, but items are left.
    pub(crate) fn cut(&mut self) -> bool {
        self.cut |= !(self.exhausted && self.retries.is_empty() && self.due.is_empty());
        self.close();
        self.cut && self.is_idle()
    }

    fn close(&mut self) {
        self.exhaust();
        self.retries.clear();
        self.due.clear();
    }

    pub(crate) fn wake(&mut self, now: Nanos) {
        if self.kept.is_some_and(|until| until <= now) {
            self.kept = None;
            self.queued = false;
        }
        while let Some(&Reverse((until, position))) = self.retries.peek() {
            if until > now {
                break;
            }
            self.retries.pop();
            self.due.push_back(position);
        }
    }

    /// Whether something still waits until that time, the earliest of all: a retry, or the rate.
    pub(crate) fn awaits(&mut self, until: Nanos) -> bool {
        if self.kept == Some(until) && !self.wants() {
            self.kept = None;
            self.queued = false;
        }
        self.kept == Some(until) || self.retries.peek().is_some_and(|&Reverse((first, _))| first == until)
    }

    /// How often the item was tried in vain.
    pub(crate) fn attempts(&self, position: Position) -> u32 {
        self.attempts.get(&position).copied().unwrap_or_default()
    }

    pub(crate) fn most_attempts(&self) -> u32 {
        self.attempts.values().max().copied().unwrap_or_default()
    }
}
