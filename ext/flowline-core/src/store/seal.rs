//! The seal of a row: a digest of its columns, including the digest of its value. Without it, a flipped bit could make
//! a run resume with the params of another.

use super::rows::{Digest, Key};

/// The size of a seal in bytes.
pub const SEAL: usize = 16;
/// The encoding of a part that is not there.
const NOTHING: &[u8] = b"n";

/// A part of the sealed data. The encoding is unambiguous: no two lists of parts have the same bytes.
pub trait Part {
    fn put(&self, bytes: &mut Vec<u8>);
}

impl Part for i64 {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(b'i');
        bytes.extend_from_slice(&self.to_le_bytes());
    }
}

impl Part for f64 {
    fn put(&self, bytes: &mut Vec<u8>) {
        let number = self + 0.0; // SQLite stores a negative zero as a positive one.
        bytes.push(b'd');
        bytes.extend_from_slice(&number.to_bits().to_le_bytes());
    }
}

impl Part for [u8] {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(b'b');
        bytes.extend_from_slice(&(self.len() as u64).to_le_bytes());
        bytes.extend_from_slice(self);
    }
}

impl Part for Vec<u8> {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.as_slice().put(bytes);
    }
}

impl Part for Digest {
    fn put(&self, bytes: &mut Vec<u8>) {
        self.as_slice().put(bytes);
    }
}

impl Part for String {
    fn put(&self, bytes: &mut Vec<u8>) {
        bytes.push(b's');
        self.as_bytes().put(bytes);
    }
}

impl<T: Part> Part for Option<T> {
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Some(part) => part.put(bytes),
            None => bytes.extend_from_slice(NOTHING),
        }
    }
}

impl Part for Key {
    fn put(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Text(text) => text.put(bytes),
            Self::Bytes(key) => key.put(bytes),
        }
    }
}

/// Returns the seal of a list of parts.
pub fn seal(parts: &[&dyn Part]) -> [u8; SEAL] {
    seal_extended(parts, &[])
}

/// Returns the seal of a list of parts, and of parts that later formats have added. Empty parts at the end are left out,
/// so a row that an earlier format has sealed has the same seal.
pub fn seal_extended(parts: &[&dyn Part], added: &[&dyn Part]) -> [u8; SEAL] {
    let mut bytes = Vec::with_capacity(512);
    parts.iter().for_each(|part| part.put(&mut bytes));
    let mut end = bytes.len();
    for part in added {
        let begin = bytes.len();
        part.put(&mut bytes);
        if bytes.get(begin..) != Some(NOTHING) {
            end = bytes.len();
        }
    }
    bytes.truncate(end);
    let mut seal = [0; SEAL];
    seal.iter_mut().zip(blake3::hash(&bytes).as_bytes()).for_each(|(to, from)| *to = *from);
    seal
}
