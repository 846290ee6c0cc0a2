//! What keeps stores right when the process forks.
//!
//! A forked child has a copy of this process's memory, but only the forking thread. SQLite keeps its locks by
//! process and file, so a child would take its parent's for its own; a mutex that another thread held stays
//! locked in the child; and a copied descriptor of a lock file keeps the parent's locks after its death. So:
//!
//! - Whatever touches SQLite or a lock passes the [gate](enter). Nothing waits for other processes behind it.
//! - [`prepare`], called before a fork, closes the gate and waits until everybody is out, so that no transaction is
//!   under way and no mutex held. [`parent`] opens the gate again.
//! - [`child`] drops the copies of the parent's lock files, and closes the copies of its databases, so that SQLite
//!   knows of no lock that this process does not have. Neither changes anything of the parent's: a lock of an open
//!   file description stays as long as the parent has its descriptor; SQLite's locks are the parent's alone; and a
//!   database is closed here without moving its log.
//!
//! A child opens the files again when it needs them. The gate is one atomic number rather than a lock of the standard library,
//! because a child must be able to reset it whatever threads its parent had.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;

use super::StoreError;
use super::handle::Handle;

/// How many are behind the gate; and whether it is closed.
static GATE: AtomicUsize = AtomicUsize::new(0);
const CLOSED: usize = 1 << (usize::BITS - 1);
const PAUSE: Duration = Duration::from_micros(50);

/// Every handle of this process.
static HANDLES: Mutex<Vec<Weak<Handle>>> = Mutex::new(Vec::new());
/// Counts uses, so that the handle that was used longest ago can be found.
static USES: AtomicU64 = AtomicU64::new(0);
/// So many databases stay open at a time; each takes three descriptors.
const OPEN: usize = 8;

thread_local! {
    /// How many passes this thread has; one more while it forks.
    static PASSES: Cell<usize> = const { Cell::new(0) };
}

/// The right to be behind the gate.
pub struct Pass(());

/// Passes the gate. A thread that is behind it already does not wait.
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

/// To be called right before a fork, by the thread that forks.
pub fn prepare() {
    while GATE.fetch_or(CLOSED, Ordering::Acquire) & CLOSED != 0 {
        thread::sleep(PAUSE); // Another thread is forking.
    }
    while GATE.load(Ordering::Acquire) != CLOSED {
        thread::sleep(PAUSE);
    }
    PASSES.set(PASSES.get() + 1);
}

/// To be called right after a fork in the parent, by the thread that forked.
pub fn parent() {
    PASSES.set(PASSES.get().saturating_sub(1));
    GATE.store(0, Ordering::Release);
}

/// To be called right after a fork in the child.
pub fn child() {
    handles().for_each(|handle| handle.forget());
    PASSES.set(PASSES.get().saturating_sub(1));
    GATE.store(0, Ordering::Release);
}

/// Makes a handle known, behind the gate.
pub(super) fn register(handle: &Arc<Handle>) {
    let mut known = all();
    known.retain(|handle| handle.strong_count() > 0);
    known.push(Arc::downgrade(handle));
}

/// Closes databases that are idle, until no more than `OPEN` are open with one that is about to be opened.
pub(super) fn make_room(opening: &Handle) {
    close_idle(opening, OPEN - 1);
}

/// Closes databases that are idle but for so many, those used longest ago first.
pub(super) fn close_idle(opening: &Handle, but: usize) {
    let mut open: Vec<_> =
        handles().filter(|handle| handle.is_open() && !std::ptr::eq(Arc::as_ptr(handle), opening)).collect();
    open.sort_by_key(|handle| handle.last_used());
    let spare = open.len().saturating_sub(but);
    open.iter().filter(|handle| handle.close_if_idle()).take(spare).for_each(drop);
}

/// Closes the same database where other handles of this process have it open. The store is held for writing, so no
/// thread is in the midst of a transaction; but one may be about to wait for its turn.
pub(super) fn close_others(handle: &Handle) -> Result<(), StoreError> {
    let mut others =
        handles().filter(|other| !std::ptr::eq(Arc::as_ptr(other), handle) && other.root == handle.root);
    if others.all(|other| other.try_disconnect()) { Ok(()) } else { Err(StoreError::TAKEN) }
}

/// The number of a use.
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
