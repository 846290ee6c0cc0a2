//! The items of a step that is called once for each: one node of the graph, whose state does not grow
//! with their number. An item is known by its position; only positions of items that were retried are stored.
//!
//! ```text
//!              supply                 start             take            report
//!  (source) ──────────> supplied ──────────────> handed ─────> in flight ─────> ended
//!                                   ▲                                │
//!                                   │ start                          │ RetryAt
//!                                  due <── wake, at its time ── retries
//! ```
//!
//! The step stands in the queue of the run once, however many of its items could start. Where it stands is a
//! [`Turn`], which changes here and nowhere else:
//!
//! ```text
//!  Out ── offer: an item can start ──> Queued ── its rate allows no start ──> Delayed(until)
//!   ▲                                    │                                          │
//!   └── an item started, or none could ──┘                                          │
//!   └── the time comes, or a start led to no call ──────────────────────────────────┘
//!
//!  any ── offer: all items have ended ──> Last ── started for the report ──> (closing)
//! ```
//!
//! It must never happen that:
//! - an item is handed out twice at the same time, or after its step was closed;
//! - more than `most` items are in flight;
//! - another item starts once as many failed as fail the step;
//! - the step is Out while an item can start: nothing would start it.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};

use crate::event::{ItemCounts, ItemReport, Nanos, OnItemError};
use crate::ids::Position;

/// The least time between two looks at the counts of a step.
const SHOWN_EVERY: Nanos = 200_000_000;

/// Where the step stands in the queue of steps that could start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// It is not queued.
    Out,
    /// It is queued, or parked at a pool.
    Queued,
    /// Its rate allows no start until that time.
    Delayed(Nanos),
    /// It is queued for its report, which waits for no pool and no rate.
    Last,
}

#[derive(Debug)]
pub(crate) struct Items {
    /// How many may be in flight.
    most: u32,
    on_error: OnItemError,
    counts: ItemCounts,
    in_flight: u32,
    /// The number of items that were supplied and never started.
    supplied: u64,
    /// The position of the first of these items.
    fresh: Position,
    /// Whether the source has ended.
    exhausted: bool,
    retries: BinaryHeap<Reverse<(Nanos, Position)>>,
    due: VecDeque<Position>,
    /// Started, and not taken yet.
    handed: VecDeque<Position>,
    attempts: HashMap<Position, u32>,
    /// Whether items were left when the run was stopped.
    cut: bool,
    /// The step was started to be reported on, because all items have ended.
    closing: bool,
    turn: Turn,
    /// The counts that were shown last, and when.
    shown: (ItemCounts, Nanos),
}

impl Items {
    pub(crate) fn new(most: u32, on_error: OnItemError) -> Self {
        Self {
            most,
            on_error,
            counts: ItemCounts::default(),
            in_flight: 0,
            supplied: 0,
            fresh: Position::default(),
            exhausted: false,
            retries: BinaryHeap::new(),
            due: VecDeque::new(),
            handed: VecDeque::new(),
            attempts: HashMap::new(),
            cut: false,
            closing: false,
            turn: Turn::Out,
            shown: (ItemCounts::default(), 0),
        }
    }

    /// Whether another item may start.
    pub(crate) fn has_next(&self) -> bool {
        self.in_flight < self.most && (self.supplied > 0 || !self.due.is_empty())
    }

    /// Whether every item has ended, and the step was not started for its report yet.
    pub(crate) fn is_over(&self) -> bool {
        !self.closing && self.in_flight == 0 && !self.has_left()
    }

    pub(crate) fn is_idle(&self) -> bool {
        self.in_flight == 0
    }

    /// Returns when the next retry is due, if one is to come.
    pub(crate) fn next_retry(&self) -> Option<Nanos> {
        self.retries.peek().map(|&Reverse((until, _))| until)
    }

    /// Whether items are left for which no start was made, or more may be supplied.
    fn has_left(&self) -> bool {
        !self.exhausted || self.supplied > 0 || !self.retries.is_empty() || !self.due.is_empty()
    }

    /// Whether the run is to queue the step now: for its next item, or for its report.
    pub(crate) fn offer(&mut self) -> bool {
        let turn = match self.turn {
            Turn::Last => return false,
            _ if self.is_over() => Turn::Last,
            Turn::Out if self.has_next() => Turn::Queued,
            _ => return false,
        };
        self.turn = turn;
        true
    }

    /// Ends the step's turn, because none of its items can start.
    pub(crate) fn leave_queue(&mut self) {
        self.turn = Turn::Out;
    }

    /// Delays the step's turn, because its rate allows no start until that time.
    pub(crate) fn delay(&mut self, until: Nanos) {
        self.turn = Turn::Delayed(until);
    }

    /// Ends a delay, because a start led to no call and the rate may allow another one.
    pub(crate) fn expect_no_call(&mut self) {
        if matches!(self.turn, Turn::Delayed(_)) {
            self.turn = Turn::Out;
        }
    }

    /// Makes retries due whose time has come, and ends a delay that is over.
    pub(crate) fn wake(&mut self, now: Nanos) {
        if matches!(self.turn, Turn::Delayed(until) if until <= now) {
            self.turn = Turn::Out;
        }
        while let Some(&Reverse((until, position))) = self.retries.peek() {
            if until > now {
                break;
            }
            self.retries.pop();
            self.due.push_back(position);
        }
    }

    /// Whether the step's next wait ends at that time: a delay by its rate, or the wait for a retry.
    pub(crate) fn waits_until(&self, time: Nanos) -> bool {
        let delayed = self.turn == Turn::Delayed(time) && self.has_next();
        delayed || self.retries.peek().is_some_and(|&Reverse((first, _))| first == time)
    }

    /// Starts an item: one that is due, or the next that was never started.
    pub(crate) fn start(&mut self) {
        self.turn = Turn::Out;
        self.in_flight += 1;
        let position = match self.due.pop_front() {
            Some(position) => position,
            None => {
                self.supplied -= 1;
                let fresh = self.fresh;
                self.fresh = fresh.next();
                fresh
            }
        };
        self.handed.push_back(position);
    }

    /// Starts the step for its report.
    pub(crate) fn start_closing(&mut self) {
        self.closing = true;
    }

    /// Returns the item that the next [`take`](Self::take) returns.
    pub(crate) fn next_to_take(&self) -> Option<Position> {
        self.handed.front().copied()
    }

    /// Returns the item for which a start was made.
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
            ItemReport::Done => self.counts.done += 1,
            ItemReport::Restored => self.counts.restored += 1,
            ItemReport::Failed => {
                self.counts.failed += 1;
                self.cut &= !self.has_failed();
                if self.has_failed_enough() {
                    self.close();
                }
            }
            ItemReport::RetryAt(position, until) => {
                self.counts.retries += 1;
                *self.attempts.entry(position).or_default() += 1;
                if !self.has_failed_enough() {
                    self.retries.push(Reverse((until, position)));
                }
            }
            ItemReport::Withdrawn => self.cut |= !self.has_failed(),
        }
    }

    /// Handles the stop of the run. Returns whether it ends the step: no item is in flight, but items are left. A step
    /// that failed items have failed already is reported on instead.
    pub(crate) fn cut(&mut self) -> bool {
        self.cut |= self.has_left() && !self.has_failed();
        self.close();
        self.cut && self.is_idle()
    }

    /// Whether failed items fail the step.
    fn has_failed(&self) -> bool {
        matches!(self.on_error, OnItemError::FailAt(_)) && self.counts.failed > 0
    }

    /// Whether so many items failed that no other one starts or is retried.
    fn has_failed_enough(&self) -> bool {
        matches!(self.on_error, OnItemError::FailAt(most) if self.counts.failed >= u64::from(most.max(1)))
    }

    /// Starts no more items.
    fn close(&mut self) {
        self.exhaust();
        self.supplied = 0;
        self.retries.clear();
        self.due.clear();
    }

    /// How many attempts of the item failed and were retried.
    pub(crate) fn attempts(&self, position: Position) -> u32 {
        self.attempts.get(&position).copied().unwrap_or_default()
    }

    pub(crate) fn most_attempts(&self) -> u32 {
        self.attempts.values().max().copied().unwrap_or_default()
    }

    /// How many items ended, and how.
    pub(crate) fn counts(&self) -> ItemCounts {
        self.counts
    }

    /// Returns the counts if they have changed since they were shown, which is every 200 ms at most.
    pub(crate) fn progress(&mut self, now: Nanos) -> Option<ItemCounts> {
        let (counts, at) = self.shown;
        let due = at == 0 || at.saturating_add(SHOWN_EVERY) <= now;
        if !due || counts == self.counts {
            return None;
        }
        self.shown = (self.counts, now.max(1));
        Some(self.counts)
    }
}
