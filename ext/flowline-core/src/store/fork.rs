//! Makes stores safe to use in a process that forks, and in its children.
//!
//! A forked child has a copy of its parent's memory, but only the thread that forked. Without this file, three things
//! would go wrong in the child:
//!
//! - SQLite records its locks by process and file, so it would believe that the child holds the parent's locks.
//! - A mutex that another thread of the parent held would stay locked for ever.
//! - A copied descriptor of a lock file would hold the parent's locks after the parent has ended.
//!
//! Therefore all code that touches SQLite or a lock passes the [gate](enter) first. Any number of threads may be
//! behind it at the same time, and none of them waits there for another process.
//!
//! - [`prepare`], before a fork, closes the gate and waits until no thread is behind it. Then no transaction is open,
//!   and no mutex of a store is locked. Threads that arrive meanwhile wait at the gate; so does a second fork.
//! - [`parent`], after the fork, opens the gate again.
//! - [`child`], after the fork, closes the copies of the parent's lock files and databases, and opens the gate. This
//!   does not affect the parent: its locks belong to a file description that it still has open, SQLite's locks belong
//!   to its process, and a database is closed without a checkpoint of its log. The child opens the files again when
//!   it needs them.
//!
//! It must never happen that:
//! - a process forks while a thread is behind the gate;
//! - a thread waits at a closed gate although it is behind it already: `prepare` would wait for it, and it for
//!   `prepare`. So each thread counts its passes, and the forking thread counts the fork as one;
//! - a child waits for a thread that only its parent has. So the gate is an atomic number, which a child can reset,
//!   rather than a lock of the standard library.
//!
//! Because the list of all handles is here, this file also limits how many databases are open at the same time.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::StoreError;
use super::handle::Handle;

/// The number of passes in use, and a bit for whether the gate is closed.
static GATE: AtomicUsize = AtomicUsize::new(0);
const CLOSED: usize = 1 << (usize::BITS - 1);
const PAUSE: Duration = Duration::from_micros(50);

/// Every handle of this process.
static HANDLES: Mutex<Vec<Weak<Handle>>> = Mutex::new(Vec::new());
/// Counts uses, so that the least recently used handle can be found.
static USES: AtomicU64 = AtomicU64::new(0);
/// The number of databases that stay open at the same time. Each needs three descriptors.
const OPEN: usize = 8;

thread_local! {
    /// The number of passes of this thread, plus one while it forks.
    static PASSES: Cell<usize> = const { Cell::new(0) };
}

/// The right of a thread to be behind the gate, until it is dropped.
pub struct Pass(());

/// Passes the gate, and waits if it is closed. A thread that is behind it already does not wait.
pub fn enter() -> Pass {
    if PASSES.replace(PASSES.get() + 1) > 0 {
        GATE.fetch_add(1, Ordering::Acquire);
        return Pass(());
    }
    loop {
        let inside = GATE.load(Ordering::Relaxed);
        if inside & CLOSED != 0 {
            thread::sleep(PAUSE);
        } else if GATE.compare_exchange_weak(inside, inside + 1, Ordering::Acquire, Ordering::Relaxed).is_ok()
        {
            return Pass(());
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        GATE.fetch_sub(1, Ordering::Release);
        PASSES.set(PASSES.get() - 1);
    }
}

/// Closes the gate. The thread that forks calls it right before the fork.
pub fn prepare() {
    while GATE.fetch_or(CLOSED, Ordering::Acquire) & CLOSED != 0 {
        thread::sleep(PAUSE); // Another thread is forking.
    }
    while GATE.load(Ordering::Acquire) != CLOSED {
        thread::sleep(PAUSE);
    }
    PASSES.set(PASSES.get() + 1);
}

/// Opens the gate in the parent. The thread that forked calls it right after the fork.
pub fn parent() {
    PASSES.set(PASSES.get().saturating_sub(1));
    GATE.store(0, Ordering::Release);
}

/// Closes inherited files and opens the gate in the child. The child calls it right after the fork.
pub fn child() {
    handles().for_each(|handle| handle.forget());
    PASSES.set(PASSES.get().saturating_sub(1));
    GATE.store(0, Ordering::Release);
}

/// Adds a handle to the list. The caller has passed the gate.
pub(super) fn register(handle: &Arc<Handle>) {
    let mut known = all();
    known.retain(|handle| handle.strong_count() > 0);
    known.push(Arc::downgrade(handle));
}

/// Closes idle databases, so that at most `OPEN` are open including the one that is about to be opened.
pub(super) fn make_room(opening: &Handle) {
    close_idle(opening, OPEN - 1);
}

/// Closes idle databases except `but` of them, the least recently used first.
pub(super) fn close_idle(opening: &Handle, but: usize) {
    let mut open: Vec<_> =
        handles().filter(|handle| handle.is_open() && !std::ptr::eq(Arc::as_ptr(handle), opening)).collect();
    open.sort_by_key(|handle| handle.last_used());
    let spare = open.len().saturating_sub(but);
    open.iter().filter(|handle| handle.close_if_idle()).take(spare).for_each(drop);
}

/// Closes the same database in the other handles of this process. The caller holds the store for writing, so no other
/// thread has a transaction there. But another thread may be about to start one; then the store counts as busy.
pub(super) fn close_others(handle: &Handle) -> Result<(), StoreError> {
    let mut others =
        handles().filter(|other| !std::ptr::eq(Arc::as_ptr(other), handle) && other.root == handle.root);
    if others.all(|other| other.try_disconnect()) { Ok(()) } else { Err(StoreError::TAKEN) }
}

/// Returns the number of a use.
pub(super) fn next_use() -> u64 {
    USES.fetch_add(1, Ordering::Relaxed)
}

fn handles() -> impl Iterator<Item = Arc<Handle>> {
    let known: Vec<_> = all().iter().filter_map(Weak::upgrade).collect();
    known.into_iter()
}

fn all() -> MutexGuard<'static, Vec<Weak<Handle>>> {
    HANDLES.lock().unwrap_or_else(PoisonError::into_inner)
}
