//! `Flowline::Native::Lock`: see the core's `store::Lock`.
use std::cell::Cell;

use flowline_core::store::{Lock as Id, Store as Core};
use magnus::{Class, Error, Module, RModule, Ruby, TypedData, method};

use crate::error;

/// At most one lock of a store. It is released when the object is collected, so a thread that is killed between two of
/// its calls leaves nothing locked for good.
#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Lock", free_immediately)]
pub struct Lock {
    store: Core,
    held: Cell<Option<Id>>,
    /// The process that holds the lock. A forked child has a copy of this object, but not the lock.
    pid: Cell<u32>,
}

impl magnus::DataTypeFunctions for Lock {}

impl Drop for Lock {
    fn drop(&mut self) {
        self.release();
    }
}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let lock = native.define_class("Lock", ruby.class_object())?;
    lock.undef_default_alloc_func();
    let _ = Lock::class(ruby); // Looked up now: later, an interruption might come in between.
    lock.define_method("acquire", method!(Lock::acquire, 1))?;
    lock.define_method("release", method!(Lock::release, 0))?;
    lock.define_method("held?", method!(Lock::is_held, 0))
}

impl Lock {
    /// Returns an object for a lock of that store, which holds none yet.
    pub fn of(store: Core) -> Self {
        Self { store, held: Cell::new(None), pid: Cell::new(0) }
    }

    /// Holds this lock from now on.
    pub fn set(&self, lock: Id) {
        if self.held.get() != Some(lock) {
            self.release();
        }
        self.pid.set(std::process::id());
        self.held.set(Some(lock));
    }

    /// Holds no lock from now on, because the store has released it.
    pub fn clear(&self) {
        self.held.set(None);
    }

    /// `acquire(digest: String) -> true or false`: takes the lock of a cache key, given by hexadecimal digits, if it
    /// is free.
    fn acquire(ruby: &Ruby, rb_self: &Self, digest: String) -> Result<bool, Error> {
        let digits = digest.get(..15).unwrap_or(&digest);
        let number = u64::from_str_radix(digits, 16)
            .map_err(|_| Error::new(ruby.exception_arg_error(), "a digest has hexadecimal digits"))?;
        let lock = Id::Key(number);
        let failed = |error| error::store(ruby, rb_self.store.root(), &error);
        let acquired = rb_self.store.acquire(lock).map_err(failed)?;
        if acquired {
            rb_self.set(lock);
        }
        Ok(acquired)
    }

    /// `release()`: releases the lock, if it holds one.
    fn release(&self) {
        if let Some(lock) = self.held.take() {
            if self.pid.get() == std::process::id() {
                self.store.release(lock);
            }
        }
    }

    /// `held?() -> true or false`
    fn is_held(&self) -> bool {
        self.held.get().is_some() && self.pid.get() == std::process::id()
    }
}
