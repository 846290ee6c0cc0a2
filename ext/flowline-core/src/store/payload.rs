//! Values of rows: what a row knows of one, and where it is.

use super::StoreError;
use super::blobs::{Blobs, Prepared, Source};
use super::rows::Digest;

/// What a row knows of a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub digest: Digest,
    pub size: i64,
}

/// A record, and where its output is.
pub struct Found<T> {
    pub row: T,
    pub payload: Payload,
    pub source: Source,
}

impl<T> Found<T> {
    /// Whether its value is not in the database.
    pub fn is_in_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Opens the file of its value.
    pub fn open(self, blobs: &Blobs) -> Result<Self, StoreError> {
        let source = Source::File(blobs.open(&self.payload.digest)?);
        Ok(Self { source, ..self })
    }

    /// The row, and its value if that is the one that was stored.
    pub fn read(self) -> Result<(T, Option<Vec<u8>>), StoreError> {
        let Self { row, payload, source } = self;
        Ok((row, source.read(&payload)?))
    }
}

impl Payload {
    /// What a row says of a value that is being stored.
    pub fn of(prepared: &Prepared) -> Self {
        Self { digest: prepared.digest, size: prepared.size }
    }
}
