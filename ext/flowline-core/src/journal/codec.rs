//! Events as bytes. A tag or a code is never used again for something else: a new one is appended.

use crate::event::{
    CancelReason, Event, ItemReport, Nanos, OnError, OnItemError, Outcome, Report, SkipReason, Stop,
};
use crate::ids::{PoolId, Position, StepId};
use crate::resources::Needs;

/// The codes of outcomes are their positions here.
const OUTCOMES: [Outcome; 12] = [
    Outcome::Succeeded,
    Outcome::Cached,
    Outcome::Restored,
    Outcome::Failed,
    Outcome::TimedOut,
    Outcome::Skipped(SkipReason::Condition),
    Outcome::Skipped(SkipReason::UpstreamSkipped),
    Outcome::Skipped(SkipReason::NotSelected),
    Outcome::Cancelled(CancelReason::UpstreamFailed),
    Outcome::Cancelled(CancelReason::RunFailed),
    Outcome::Cancelled(CancelReason::Interrupted),
    Outcome::Cancelled(CancelReason::RunTimedOut),
];
const STOPS: [Stop; 3] = [Stop::Failed, Stop::Interrupted, Stop::TimedOut];

/// The codes of reports that are no outcomes; others are codes of outcomes.
const RETRY: u8 = 255;
const WITHDRAWN: u8 = 254;

const LIMITED: u8 = 1;
const SHARED: u8 = 2;
const EXPECTED: u8 = 3;
const PRESET: u8 = 4;
const WAITED: u8 = 5;
const STARTED: u8 = 6;
const BEGAN: u8 = 7;
const REPORTED: u8 = 8;
const OPENED: u8 = 9;
const SUPPLIED: u8 = 10;
const EXHAUSTED: u8 = 11;
const TAKEN: u8 = 12;
const ITEM: u8 = 13;
const STOPPED: u8 = 14;

pub(super) fn on_error(on_error: OnError) -> u8 {
    match on_error {
        OnError::Stop => 0,
        OnError::Continue => 1,
    }
}

pub(super) fn to_on_error(code: u8) -> Option<OnError> {
    [OnError::Stop, OnError::Continue].get(code as usize).copied()
}

fn code<T: PartialEq>(table: &[T], value: T) -> u8 {
    table.iter().position(|known| *known == value).unwrap_or_default() as u8
}

/// Where events are written.
pub(super) struct Bytes<'a> {
    bytes: &'a mut Vec<u8>,
    last: &'a mut Nanos,
}

impl<'a> Bytes<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>, last: &'a mut Nanos) -> Self {
        Self { bytes, last }
    }

    fn byte(&mut self, byte: u8) -> &mut Self {
        self.bytes.push(byte);
        self
    }

    fn number(&mut self, number: impl Into<u64>) -> &mut Self {
        put_number(self.bytes, number.into());
        self
    }

    fn step(&mut self, tag: u8, step: StepId) -> &mut Self {
        self.byte(tag).number(step.number())
    }

    /// A time as the difference to the one before it, which may be negative (zigzag).
    fn at(&mut self, at: Nanos) -> &mut Self {
        let difference = at.wrapping_sub(*self.last) as i64;
        *self.last = at;
        self.number(((difference << 1) ^ (difference >> 63)) as u64)
    }

    fn needs(&mut self, needs: &Needs) {
        self.number(needs.pools.len() as u64);
        for &(pool, amount) in &needs.pools {
            self.number(pool.number()).number(amount);
        }
        match needs.rate {
            None => self.byte(0),
            Some((most, period)) => self.byte(1).number(most).number(period),
        };
    }
}

/// Writes one event.
pub(super) fn put(to: &mut Bytes, event: &Event) {
    match event {
        Event::Limited { deadline } => {
            to.byte(LIMITED).number(*deadline);
        }
        Event::Shared { pools, needs } => {
            to.byte(SHARED).number(pools.len() as u64);
            pools.iter().for_each(|&size| _ = to.number(size));
            to.number(needs.len() as u64);
            for (step, needs) in needs {
                to.number(step.number()).needs(needs);
            }
        }
        Event::Expected { seconds } => {
            to.byte(EXPECTED).number(seconds.len() as u64);
            for seconds in seconds {
                match seconds {
                    None => _ = to.byte(0),
                    Some(seconds) => to.byte(1).bytes.extend_from_slice(&seconds.to_bits().to_le_bytes()),
                }
            }
        }
        Event::Preset { outcomes, at } => {
            to.byte(PRESET).at(*at).number(outcomes.len() as u64);
            for &(step, outcome) in outcomes {
                to.number(step.number()).byte(code(&OUTCOMES, outcome));
            }
        }
        Event::Waited { at } => _ = to.byte(WAITED).at(*at),
        Event::Started { step, at } => _ = to.step(STARTED, *step).at(*at),
        Event::Began { step, at } => _ = to.step(BEGAN, *step).at(*at),
        Event::Reported { step, report, at } => match *report {
            Report::Ended(outcome) => _ = to.step(REPORTED, *step).at(*at).byte(code(&OUTCOMES, outcome)),
            Report::RetryAt(until) => _ = to.step(REPORTED, *step).at(*at).byte(RETRY).number(until),
            Report::Withdrawn => _ = to.step(REPORTED, *step).at(*at).byte(WITHDRAWN),
        },
        Event::Opened { step, most, on_error, at } => {
            to.step(OPENED, *step).at(*at).number(*most);
            match *on_error {
                OnItemError::FailAt(most) => _ = to.byte(0).number(most),
                OnItemError::Collect => _ = to.byte(1),
            }
        }
        Event::Supplied { step, count } => _ = to.step(SUPPLIED, *step).number(*count),
        Event::Exhausted { step } => _ = to.step(EXHAUSTED, *step),
        Event::Taken { step, position } => _ = to.step(TAKEN, *step).number(position.number()),
        Event::Item { step, report, called, at } => {
            to.step(ITEM, *step).at(*at);
            let called = u8::from(*called) << 2;
            match *report {
                ItemReport::Done => _ = to.byte(called),
                ItemReport::Failed => _ = to.byte(called | 1),
                ItemReport::RetryAt(position, until) => {
                    to.byte(called | 2).number(position.number()).number(until);
                }
                ItemReport::Withdrawn => _ = to.byte(called | 3),
                ItemReport::Restored => _ = to.byte(called | 8),
            }
        }
        Event::Stopped { stop, entirely, at } => {
            to.byte(STOPPED).at(*at).byte(u8::from(*entirely) << 2 | code(&STOPS, *stop));
        }
    }
}

/// A number of any size, seven bits a byte, the lowest first.
pub(super) fn put_number(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

/// Bytes that are left to read.
#[derive(Debug, Default)]
pub(super) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A number, if there is one that fits.
    pub(super) fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7F);
            number |= bits << shift;
            if number >> shift != bits {
                return None; // More than 64 bits.
            }
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    fn byte(&mut self) -> Option<u8> {
        let (&byte, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(byte)
    }

    fn small(&mut self) -> Option<u32> {
        self.number()?.try_into().ok()
    }

    fn step(&mut self) -> Option<StepId> {
        self.small().map(StepId::new)
    }

    fn position(&mut self) -> Option<Position> {
        self.number().map(Position::new)
    }

    fn at(&mut self, last: &mut Nanos) -> Option<Nanos> {
        let zigzag = self.number()?;
        let difference = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
        *last = last.wrapping_add(difference as u64);
        Some(*last)
    }

    fn seconds(&mut self) -> Option<Option<f64>> {
        match self.byte()? {
            0 => Some(None),
            1 => {
                let (bytes, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Some(Some(f64::from_bits(u64::from_le_bytes(*bytes))))
            }
            _ => None,
        }
    }

    fn outcome(&mut self) -> Option<Outcome> {
        OUTCOMES.get(self.byte()? as usize).copied()
    }

    fn needs(&mut self) -> Option<Needs> {
        let pools = self.list(|input| Some((PoolId::new(input.small()?), input.small()?)))?;
        let rate = match self.byte()? {
            0 => None,
            1 => Some((self.small()?, self.number()?)),
            _ => return None,
        };
        Some(Needs { pools, rate })
    }

    /// As many as the number before them says. Each takes a byte at least, so that a damaged number asks for no
    /// more memory than the bytes that are there.
    fn list<T>(&mut self, mut entry: impl FnMut(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = usize::try_from(self.number()?).ok().filter(|&count| count <= self.len())?;
        (0..count).map(|_| entry(self)).collect()
    }
}

/// Reads one event, if there is one.
pub(super) fn get(from: &mut Input, last: &mut Nanos) -> Option<Event> {
    Some(match from.byte()? {
        LIMITED => Event::Limited { deadline: from.number()? },
        SHARED => Event::Shared {
            pools: from.list(Input::small)?,
            needs: from.list(|input| Some((input.step()?, input.needs()?)))?,
        },
        EXPECTED => Event::Expected { seconds: from.list(Input::seconds)? },
        PRESET => {
            let at = from.at(last)?;
            Event::Preset { outcomes: from.list(|input| Some((input.step()?, input.outcome()?)))?, at }
        }
        WAITED => Event::Waited { at: from.at(last)? },
        STARTED => Event::Started { step: from.step()?, at: from.at(last)? },
        BEGAN => Event::Began { step: from.step()?, at: from.at(last)? },
        REPORTED => {
            let (step, at) = (from.step()?, from.at(last)?);
            let report = match from.byte()? {
                RETRY => Report::RetryAt(from.number()?),
                WITHDRAWN => Report::Withdrawn,
                code => Report::Ended(*OUTCOMES.get(code as usize)?),
            };
            Event::Reported { step, report, at }
        }
        OPENED => {
            let (step, at) = (from.step()?, from.at(last)?);
            let most = from.small()?;
            let on_error = match from.byte()? {
                0 => OnItemError::FailAt(from.small()?),
                1 => OnItemError::Collect,
                _ => return None,
            };
            Event::Opened { step, most, on_error, at }
        }
        SUPPLIED => Event::Supplied { step: from.step()?, count: from.number()? },
        EXHAUSTED => Event::Exhausted { step: from.step()? },
        TAKEN => Event::Taken { step: from.step()?, position: from.position()? },
        ITEM => {
            let (step, at, code) = (from.step()?, from.at(last)?, from.byte()?);
            let report = match code & !4 {
                0 => ItemReport::Done,
                1 => ItemReport::Failed,
                2 => ItemReport::RetryAt(from.position()?, from.number()?),
                3 => ItemReport::Withdrawn,
                8 => ItemReport::Restored,
                _ => return None,
            };
            Event::Item { step, report, called: code & 4 != 0, at }
        }
        STOPPED => {
            let (at, code) = (from.at(last)?, from.byte()?);
            let stop = *STOPS.get((code & !4) as usize)?;
            Event::Stopped { stop, entirely: code & 4 != 0, at }
        }
        _ => return None,
    })
}
