//! The items of a step that is called once for each: one node of the graph, whose state does not grow
//! with their number. An item is known by its position; only those that were tried in vain are kept.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::event::{ItemReport, Nanos, Position};

#[derive(Debug)]
pub(crate) struct Items {
    /// How many may be in flight.
    most: u32,
    in_flight: u32,
    /// How many are there that were never taken.
    supplied: u64,
    /// The position of the first of those.
    fresh: Position,
    /// No more are to come.
    exhausted: bool,
    /// One failed for good: no other is tried again.
    failed: bool,
    retries: BinaryHeap<Reverse<(Nanos, Position)>>,
    due: VecDeque<Position>,
    /// Those that were started and not taken yet.
    handed: VecDeque<Position>,
    attempts: HashMap<Position, u32>,
    /// Whether items were left when the run was stopped.
    cut: bool,
    /// The step was started to be reported on, all items having ended.
    closing: bool,
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
            supplied: 0,
            fresh: 0,
            exhausted: false,
            failed: false,
            retries: BinaryHeap::new(),
            due: VecDeque::new(),
            handed: VecDeque::new(),
            attempts: HashMap::new(),
            cut: false,
            closing: false,
            queued: false,
            kept: None,
        }
    }

    /// Whether another item may start.
    pub(crate) fn has_next(&self) -> bool {
        self.in_flight < self.most && (self.supplied > 0 || !self.due.is_empty())
    }

    /// Whether every item has ended and nobody was told.
    pub(crate) fn is_over(&self) -> bool {
        !self.closing && self.in_flight == 0 && !self.has_left()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    pub(crate) fn has_retries(&self) -> bool {
        !self.retries.is_empty()
    }

    /// Whether items are left that nothing was started for, or may be to come.
    fn has_left(&self) -> bool {
        !self.exhausted || self.supplied > 0 || !self.retries.is_empty() || !self.due.is_empty()
    }

    /// An item starts: one to be tried again, or the next that was never taken.
    pub(crate) fn start(&mut self) {
        self.in_flight += 1;
        let position = self.due.pop_front().unwrap_or_else(|| {
            self.supplied -= 1;
            self.fresh += 1;
            self.fresh - 1
        });
        self.handed.push_back(position);
    }

    /// Nothing is left but to report on the step.
    pub(crate) fn start_closing(&mut self) {
        self.closing = true;
    }

    /// The item that a start was for.
    pub(crate) fn take(&mut self) -> Option<Position> {
        self.handed.pop_front()
    }

    pub(crate) fn supply(&mut self, count: u64) {
        if !self.exhausted {
            self.supplied = self.supplied.saturating_add(count);
        }
    }

    pub(crate) fn exhaust(&mut self) {
        self.exhausted = true;
    }

    pub(crate) fn report(&mut self, report: ItemReport) {
        self.in_flight = self.in_flight.saturating_sub(1);
        match report {
            ItemReport::Done => {}
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
        self.cut |= self.has_left();
        self.close();
        self.cut && self.is_idle()
    }

    fn close(&mut self) {
        self.exhaust();
        self.supplied = 0;
        self.retries.clear();
        self.due.clear();
    }

    pub(crate) fn wake(&mut self, now: Nanos) {
        if self.kept.is_some_and(|until| until <= now) {
            self.unkeep();
        }
        while let Some(&Reverse((until, position))) = self.retries.peek() {
            if until > now {
                break;
            }
            self.retries.pop();
            self.due.push_back(position);
        }
    }

    /// Its rate may let it start again.
    pub(crate) fn unkeep(&mut self) {
        if self.kept.take().is_some() {
            self.queued = false;
        }
    }

    /// Whether something still waits until that time, the earliest of all: a retry, or the rate.
    pub(crate) fn awaits(&mut self, until: Nanos) -> bool {
        if self.kept == Some(until) && !self.has_next() {
            self.unkeep();
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
