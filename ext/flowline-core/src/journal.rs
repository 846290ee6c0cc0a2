//! The journal of a run: its events as bytes, from which the run can be rebuilt anywhere.
//!
//! The idea is that of a write-ahead log (event sourcing: Fowler 2005). An event is recorded for every decision and for
//! everything that decisions depend on, so that a run that is replayed decides as the original does from there on.
//! Consequences are not recorded, because they follow: that a failure cancels what depends on it, for example.
//!
//! ```text
//! journal := header frame*
//! header  := "FLOWRUN" version:u8 graph:32 bytes on_error:u8 seal
//! frame   := length:varint event* seal        (length: bytes of the events)
//! event   := tag:u8 fields                    (see codec.rs)
//! seal    := the first 8 bytes of BLAKE3(the seal before, then the header's or the frame's bytes)
//! ```
//!
//! - `graph` is the [digest](Graph::digest) of the graph: a journal is replayed with that graph only.
//! - A frame has the events that were taken together. Each seal covers all bytes before it, so a frame that is missing,
//!   repeated or out of order is found like a damaged one.
//! - Numbers are varints (LEB128). A time is the difference to the time before it, so it takes two or three bytes.
//! - The version changes with the format, and with the decisions of a run.
//!
//! Reading damaged bytes returns an error, and never panics.

mod codec;

use crate::event::{Event, Nanos, OnError, RunError};
use crate::graph::{Digest, Graph};

use self::codec::{Bytes, Input};

const MAGIC: &[u8; 7] = b"FLOWRUN";
const VERSION: u8 = 2;
const SEAL: usize = 8;

type Seal = [u8; SEAL];

/// A journal that cannot be replayed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The bytes are not a journal.
    #[error("these bytes are no journal of a run")]
    NotAJournal,
    /// Another version of Flowline wrote it.
    #[error("the journal has format version {0}, and this version of Flowline reads {VERSION}")]
    Version(u8),
    /// It belongs to a run of another graph.
    #[error("the journal is of a run of another graph: steps, edges or options differ")]
    OtherGraph,
    /// It ends in the middle of the part that starts at that byte.
    #[error("the journal ends in the middle of what starts at byte {0}")]
    Incomplete(usize),
    /// The part that starts at that byte is damaged, or something is missing before it.
    #[error("the journal is damaged at byte {0}")]
    Damaged(usize),
    /// An event, counted from 1, does not fit what came before it.
    #[error("event {0} of the journal does not fit: {1}")]
    Refused(usize, RunError),
}

/// Records events. Bytes are in memory until they are taken.
#[derive(Debug)]
pub(crate) struct Writer {
    /// The header, until it is taken.
    header: Vec<u8>,
    events: Vec<u8>,
    seal: Seal,
    last: Nanos,
}

impl Writer {
    pub(crate) fn new(graph: &Graph, on_error: OnError) -> Self {
        let mut header = Vec::with_capacity(64);
        header.extend_from_slice(MAGIC);
        header.push(VERSION);
        header.extend_from_slice(graph.digest());
        header.push(codec::on_error(on_error));
        let seal = seal(Seal::default(), &header);
        header.extend_from_slice(&seal);
        Self { header, events: Vec::new(), seal, last: 0 }
    }

    pub(crate) fn write(&mut self, event: &Event) {
        codec::put(&mut Bytes::new(&mut self.events, &mut self.last), event);
    }

    /// Returns the bytes since the last call: one frame, after the header if that was not taken yet.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        let mut taken = std::mem::take(&mut self.header);
        if !self.events.is_empty() {
            let events = std::mem::take(&mut self.events);
            self.seal = seal(self.seal, &events);
            codec::put_number(&mut taken, events.len() as u64);
            taken.extend_from_slice(&events);
            taken.extend_from_slice(&self.seal);
        }
        taken
    }

    /// Returns the time of the last event.
    pub(crate) fn last(&self) -> Nanos {
        self.last
    }
}

/// Reads a journal, one event after the other.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    /// Where the next frame starts.
    position: usize,
    frame: Input<'a>,
    seal: Seal,
    last: Nanos,
    graph: Digest,
    on_error: OnError,
    broken: bool,
}

impl<'a> Reader<'a> {
    /// Reads the header.
    ///
    /// # Errors
    /// The bytes are no journal, have another version, or the header is damaged or incomplete.
    pub fn new(bytes: &'a [u8]) -> Result<Self, JournalError> {
        const LENGTH: usize = MAGIC.len() + 1 + size_of::<Digest>() + 1;
        let magic = bytes.get(..MAGIC.len().min(bytes.len())).unwrap_or_default();
        if !MAGIC.starts_with(magic) || magic.is_empty() {
            return Err(JournalError::NotAJournal);
        }
        match bytes.get(MAGIC.len()) {
            Some(&VERSION) => {}
            Some(&other) => return Err(JournalError::Version(other)),
            None => return Err(JournalError::Incomplete(0)),
        }
        let (header, sealed) = part(bytes, 0, LENGTH).ok_or(JournalError::Incomplete(0))?;
        let (graph, on_error) = match header.split_at_checked(MAGIC.len() + 1) {
            Some((_, [graph @ .., on_error])) => {
                (Digest::try_from(graph).ok(), codec::to_on_error(*on_error))
            }
            _ => (None, None),
        };
        let (true, Some(graph), Some(on_error)) = (sealed == seal(Seal::default(), header), graph, on_error)
        else {
            return Err(JournalError::Damaged(0));
        };
        Ok(Self {
            bytes,
            position: LENGTH + SEAL,
            frame: Input::default(),
            seal: sealed,
            last: 0,
            graph,
            on_error,
            broken: false,
        })
    }

    /// Returns the digest of the graph that it belongs to.
    pub fn graph(&self) -> &Digest {
        &self.graph
    }

    /// Returns how a failure affects the rest of the run.
    pub fn on_error(&self) -> OnError {
        self.on_error
    }

    /// Returns a writer that continues the journal after its last event.
    pub(crate) fn into_writer(self) -> Writer {
        Writer { header: Vec::new(), events: Vec::new(), seal: self.seal, last: self.last }
    }

    fn read(&mut self) -> Result<Option<Event>, JournalError> {
        if self.frame.is_empty() {
            let start = self.position;
            let mut input = Input::new(self.bytes.get(start..).unwrap_or_default());
            if input.is_empty() {
                return Ok(None);
            }
            let length = match input.number() {
                Some(length) => usize::try_from(length).map_err(|_| JournalError::Damaged(start))?,
                None => return Err(JournalError::Incomplete(start)),
            };
            let first = self.bytes.len() - input.len();
            let (events, sealed) = part(self.bytes, first, length).ok_or(JournalError::Incomplete(start))?;
            if length == 0 || sealed != seal(self.seal, events) {
                return Err(JournalError::Damaged(start));
            }
            (self.frame, self.seal) = (Input::new(events), sealed);
            self.position = first + length + SEAL;
        }
        let at = self.position - SEAL - self.frame.len();
        codec::get(&mut self.frame, &mut self.last).map(Some).ok_or(JournalError::Damaged(at))
    }
}

impl Iterator for Reader<'_> {
    type Item = Result<Event, JournalError>;

    /// Returns the next event. No event follows an error.
    fn next(&mut self) -> Option<Self::Item> {
        if self.broken {
            return None;
        }
        let event = self.read().transpose();
        self.broken = matches!(event, Some(Err(_)));
        event
    }
}

/// Returns a number of bytes from a position, and the seal behind them.
fn part(bytes: &[u8], start: usize, length: usize) -> Option<(&[u8], Seal)> {
    let end = start.checked_add(length)?;
    let sealed = bytes.get(end..end.checked_add(SEAL)?)?;
    Some((bytes.get(start..end)?, sealed.try_into().ok()?))
}

fn seal(before: Seal, bytes: &[u8]) -> Seal {
    let digest = blake3::Hasher::new().update(&before).update(bytes).finalize();
    let mut seal = Seal::default();
    seal.iter_mut().zip(digest.as_bytes()).for_each(|(to, from)| *to = *from);
    seal
}
