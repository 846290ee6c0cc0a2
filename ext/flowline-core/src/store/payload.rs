//! Values of rows: their digests, their sizes, and the locations of their bytes.

use super::StoreError;
use super::blobs::{Blobs, Prepared, Source};
use super::rows::Digest;

/// The columns that describe a value.
#[derive(Debug, Clone, PartialEq)]
pub struct Payload {
    pub digest: Digest,
    pub size: i64,
}

/// A row, and the location of its value.
pub struct Found<T> {
    pub row: T,
    pub payload: Payload,
    pub source: Source,
}

impl<T> Found<T> {
    /// Whether its value is in a file.
    pub fn is_in_file(&self) -> bool {
        matches!(self.source, Source::File(_))
    }

    /// Opens the file of its value.
    pub fn open(self, blobs: &Blobs) -> Result<Self, StoreError> {
        let source = Source::File(blobs.open(&self.payload.digest)?);
        Ok(Self { source, ..self })
    }

    /// Returns the row and its value, or no value if that is gone or damaged.
    pub fn read(self) -> Result<(T, Option<Vec<u8>>), StoreError> {
        let Self { row, payload, source } = self;
        Ok((row, source.read(&payload)?))
    }
}

impl Payload {
    /// Returns the description of a value that is being stored.
    pub fn of(prepared: &Prepared) -> Self {
        Self { digest: prepared.digest, size: prepared.size }
    }
}
