//! `Flowline::Native.digest`: a digest of any Ruby value, by BLAKE3.
//!
//! A tree of digests (Merkle 1987): the digest of a container covers the digests of its content, so an object that
//! several containers share is walked once. A small value is written as it is, because its bytes depend on nothing
//! but its content. Containers whose digest is not complete are on an explicit stack, so nesting may have any depth.
//! Objects are only held in Ruby's own arrays and hashes, which are updated when the garbage collector moves objects.
use magnus::encoding::{EncodingCapable, RbEncoding};
use magnus::r_hash::ForEach;
use magnus::rb_sys::AsRawValue;
use magnus::value::{LazyId, ReprValue};
use magnus::{
    Error, ExceptionClass, Float, Integer, IntoValue, Module, Object, RArray, RClass, RHash, RModule,
    RObject, RString, Ruby, Symbol, TryConvert, Value, function,
};

use crate::raw;

pub fn init(native: RModule) -> Result<(), Error> {
    native.define_singleton_method("digest", function!(digest, 1))
}

static DEFAULT: LazyId = LazyId::new("default");
static DEFAULT_PROC: LazyId = LazyId::new("default_proc");
static BY_IDENTITY: LazyId = LazyId::new("compare_by_identity?");
static NAME: LazyId = LazyId::new("name");

/// Containers nested no deeper than this, in no more bytes than this, are written as they are.
const INLINE: (usize, usize) = (4, 1024);
/// The digest of a String longer than this is reused when the same object is found again.
const LONG: usize = 4096;
/// How often a container that refers to one around it may be walked again within different containers.
const AGAIN: u32 = 100_000;

/// An open container: where its bytes begin, which item is next, and how far up the stack its content refers.
struct Open {
    start: usize,
    next: usize,
    lowest: usize,
    /// Whether it is walked again.
    again: bool,
}

struct Walk<'a> {
    ruby: &'a Ruby,
    bytes: Vec<u8>,
    open: Vec<Open>,
    /// For each open container an Array of itself and its items.
    items: RArray,
    /// By identity: of an open container its depth, of a finished one its digest.
    /// `false` if it has to be walked again. The digest of a container that refers to itself is longer by a byte: it is
    /// not valid while a container within it is walked again. Small values need none.
    known: Option<RHash>,
    again: u32,
    /// How many of the open containers are walked again.
    within: u32,
}

/// `digest(value) -> String`: 128 bits as 32 hexadecimal digits. The same for the same class and content, in every
/// process. Raises `Flowline::Identity::Digest::Impossible`.
fn digest(ruby: &Ruby, value: Value) -> Result<String, Error> {
    let (items, open) = (ruby.ary_new(), Vec::new());
    let mut walk = Walk { ruby, bytes: Vec::new(), open, items, known: None, again: 0, within: 0 };
    walk.enter(value)?;
    while let Some(open) = walk.open.last_mut() {
        let items: RArray = walk.items.entry(-1)?;
        open.next += 1;
        if open.next < items.len() {
            let item = items.entry(open.next as isize)?;
            walk.enter(item)?;
        } else {
            walk.leave(items)?;
        }
    }
    let digest = blake3::hash(&walk.bytes);
    Ok(digest.to_hex().get(..32).unwrap_or_default().to_owned())
}

impl Walk<'_> {
    /// Writes a value, or opens it if it is a container.
    fn enter(&mut self, value: Value) -> Result<(), Error> {
        let (start, most) = (self.bytes.len(), self.bytes.len() + INLINE.1);
        if self.scalar(value)? || self.inline(value, INLINE.0, most)? {
            return Ok(());
        }
        self.bytes.truncate(start);
        self.container(value)
    }

    fn scalar(&mut self, value: Value) -> Result<bool, Error> {
        if value.is_nil() {
            self.bytes.push(b'n');
        } else if let Some(integer) = Integer::from_value(value) {
            match integer.to_i64() {
                Ok(small) => {
                    self.bytes.push(b'i');
                    self.bytes.extend_from_slice(&small.to_le_bytes());
                }
                Err(_) => self.put(b'I', integer.to_string().as_bytes()),
            }
        } else if let Some(symbol) = Symbol::from_value(value) {
            self.text(b'y', RString::try_convert(symbol.funcall(*NAME, ())?)?)?;
        } else if let Some(text) = RString::from_value(value).filter(|_| of(value, self.ruby.class_string()))
        {
            self.text(b's', text)?;
        } else if let Some(float) = Float::from_value(value) {
            let float = float.to_f64();
            self.put(b'd', &if float.is_nan() { f64::NAN } else { float }.to_bits().to_le_bytes());
        } else if same(value, self.ruby.qtrue()) || !value.to_bool() {
            self.bytes.push(if value.to_bool() { b't' } else { b'f' });
        } else {
            return Ok(false);
        }
        Ok(true)
    }

    /// Writes a small container of Ruby's own classes. If it is not one, it may leave bytes that have to be removed.
    fn inline(&mut self, value: Value, depth: usize, most: usize) -> Result<bool, Error> {
        if depth == 0 {
            return Ok(false);
        }
        if of(value, self.ruby.class_array()) {
            let array = RArray::try_convert(value)?;
            self.put(b'a', &(array.len() as u64).to_le_bytes());
            let mut next = 0;
            while next < array.len() {
                if !self.small(array.entry(next as isize)?, depth, most)? {
                    return Ok(false);
                }
                next += 1;
            }
            return Ok(true);
        }
        let Some(hash) = self.plain(value)? else { return Ok(false) };
        let default: Value = hash.funcall(*DEFAULT, ())?;
        self.put(b'h', &(hash.len() as u64).to_le_bytes());
        let mut small = self.small(default, depth, most)?;
        hash.foreach(|key: Value, value: Value| {
            small = small && self.small(key, depth, most)? && self.small(value, depth, most)?;
            Ok(if small { ForEach::Continue } else { ForEach::Stop })
        })?;
        Ok(small)
    }

    fn small(&mut self, value: Value, depth: usize, most: usize) -> Result<bool, Error> {
        Ok((self.scalar(value)? || self.inline(value, depth - 1, most)?) && self.bytes.len() <= most)
    }

    /// A Hash with nothing unusual about it.
    fn plain(&self, value: Value) -> Result<Option<RHash>, Error> {
        if !of(value, self.ruby.class_hash()) {
            return Ok(None);
        }
        let hash = RHash::try_convert(value)?;
        let unusual: Value = hash.funcall(*DEFAULT_PROC, ())?;
        Ok((unusual.is_nil() && !hash.funcall::<_, _, bool>(*BY_IDENTITY, ())?).then_some(hash))
    }

    fn container(&mut self, value: Value) -> Result<(), Error> {
        let depth = self.open.len();
        let known = self.known(value);
        if let Some(known) = known {
            if let Some(digest) = RString::from_value(known) {
                if self.within == 0 || digest.len() == 32 {
                    self.bytes.push(b'm');
                    self.bytes.extend(raw::frozen_bytes(&digest).iter().take(32));
                    return Ok(());
                }
            } else if known.to_bool() {
                let above = usize::try_convert(known)?;
                self.put(b'c', &((depth - above) as u64).to_le_bytes());
                if let Some(open) = self.open.last_mut() {
                    open.lowest = open.lowest.min(above);
                }
                return Ok(());
            }
            self.again += 1;
            if self.again > AGAIN {
                let class: ExceptionClass = self.module()?.const_get("Impossible")?;
                return Err(Error::new(class, "structure too much of which refers to what it is in"));
            }
            self.within += 1;
        }
        let items = self.ruby.ary_new();
        items.push(value)?;
        let tag = self.list(value, items)?;
        self.know(value, depth)?;
        let again = known.is_some();
        self.open.push(Open { start: self.bytes.len(), next: 0, lowest: usize::MAX, again });
        self.items.push(items)?;
        self.put(tag, &(items.len() as u64).to_le_bytes());
        Ok(())
    }

    /// Returns what is known of an object.
    fn known(&self, object: Value) -> Option<Value> {
        self.known.and_then(|known| known.get(object))
    }

    fn know(&mut self, object: Value, fact: impl IntoValue) -> Result<(), Error> {
        let known = match self.known {
            Some(known) => known,
            None => {
                let known = self.ruby.hash_new();
                known.funcall::<_, _, Value>("compare_by_identity", ())?;
                *self.known.insert(known)
            }
        };
        known.aset(object, fact)
    }

    /// `Flowline::Identity::Digest`
    fn module(&self) -> Result<RModule, Error> {
        let identity: RModule = self.ruby.define_module("Flowline")?.const_get("Identity")?;
        identity.const_get("Digest")
    }

    /// Lists the items of a container. Objects of other classes are taken apart in Ruby.
    fn list(&self, value: Value, items: RArray) -> Result<u8, Error> {
        if of(value, self.ruby.class_array()) {
            items.concat(RArray::try_convert(value)?)?;
            return Ok(b'a');
        }
        if let Some(hash) = self.plain(value)? {
            items.push(hash.funcall::<_, _, Value>(*DEFAULT, ())?)?;
            hash.foreach(|key: Value, value: Value| {
                items.push(key)?;
                items.push(value)?;
                Ok(ForEach::Continue)
            })?;
            return Ok(b'h');
        }
        let (plain, singleton) = (RObject::from_value(value).is_some(), raw::has_singleton_class(value));
        let parts: RArray = self.module()?.funcall("parts", (value, plain, singleton))?;
        items.concat(parts)?;
        Ok(b'o')
    }

    /// Closes the innermost container: its digest replaces its bytes.
    fn leave(&mut self, items: RArray) -> Result<(), Error> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        self.within -= u32::from(open.again);
        let _: Value = self.items.pop()?;
        let digest = blake3::hash(self.bytes.get(open.start..).unwrap_or_default());
        self.bytes.truncate(open.start);
        self.bytes.push(b'm');
        self.bytes.extend_from_slice(digest.as_bytes());
        let owner: Value = items.entry(0)?;
        if open.lowest < self.open.len() {
            // It refers to a container above it: elsewhere the same reference may mean another container.
            self.know(owner, false)?;
            if let Some(above) = self.open.last_mut() {
                above.lowest = above.lowest.min(open.lowest);
            }
        } else {
            let known = self.ruby.str_from_slice(digest.as_bytes());
            if open.lowest == self.open.len() {
                known.cat(b"c");
            }
            self.know(owner, known)?;
        }
        Ok(())
    }

    fn text(&mut self, tag: u8, text: RString) -> Result<(), Error> {
        let encoding = text.enc_get();
        if encoding == self.ruby.utf8_encindex() {
            self.put(tag, b"");
        } else {
            self.put(tag, RbEncoding::from(encoding).name().as_bytes());
        }
        if text.len() <= 64 {
            raw::with_bytes(text, |bytes| self.put(b'b', bytes));
            return Ok(());
        }
        let known =
            if text.len() > LONG { self.known(text.as_value()).and_then(RString::from_value) } else { None };
        let sum = match known {
            Some(sum) => sum,
            None => {
                let sum = raw::with_bytes(text, blake3::hash);
                let sum = self.ruby.str_from_slice(sum.as_bytes());
                if text.len() > LONG {
                    self.know(text.as_value(), sum)?;
                }
                sum
            }
        };
        self.put(b'D', raw::frozen_bytes(&sum));
        Ok(())
    }

    /// Writes a tag, a length, and the bytes.
    fn put(&mut self, tag: u8, bytes: &[u8]) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&(bytes.len() as u64).to_le_bytes());
        self.bytes.extend_from_slice(bytes);
    }
}

/// Whether an object is an instance of exactly that class, without methods and variables of its own.
fn of(value: Value, class: RClass) -> bool {
    raw::class_of(value) == class.as_raw() && !raw::has_variables(value)
}

/// Whether both are the same object. Calls no method of theirs.
fn same(one: impl AsRawValue, other: impl AsRawValue) -> bool {
    one.as_raw() == other.as_raw()
}
