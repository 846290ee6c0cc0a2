//! The only file with `unsafe`. It contains the operations that safe Rust cannot express: working while other Ruby
//! threads run, being called at a fork, and reading a String's bytes and the header that every object begins with.

use std::ffi::c_void;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use flowline_core::store::fork;
use magnus::rb_sys::AsRawValue;
use magnus::value::ReprValue;
use magnus::{Error, RString, Ruby, Value};
use rb_sys::{RBasic, SPECIAL_CONST_P, VALUE, rb_ivar_count, rb_nogvl, rb_obj_class};

/// `RB_NOGVL_INTR_FAIL`: the call does not begin if an interrupt is pending. `RB_NOGVL_UBF_ASYNC_SAFE`: `cancel` may be
/// called in a signal handler; otherwise Ruby would start a thread for it each time. (ruby/thread.h)
const FLAGS: i32 = 1 | 2;

struct Job<F, T> {
    work: F,
    answer: Option<std::thread::Result<Option<T>>>,
}

/// Calls `work` without Ruby's global lock, so it must not touch anything of Ruby's. When a signal, a `Timeout` or
/// `Thread#kill` interrupts this thread, `cancelled` becomes true; `work` then returns `None` for "not done". It is
/// called again unless Ruby raises an exception, which is the error.
pub fn without_gvl<T, F: FnMut() -> Option<T>>(
    ruby: &Ruby,
    cancelled: &AtomicBool,
    work: F,
) -> Result<T, Error> {
    let mut job = Job { work, answer: None };
    loop {
        cancelled.store(false, Ordering::Relaxed);
        // SAFETY: `carry_out` gets the job, which outlives the call and which no other code touches meanwhile;
        // `cancel` gets an atomic. No panic leaves them. Ruby may call neither, if an interrupt is pending.
        unsafe {
            rb_nogvl(
                Some(carry_out::<T, F>),
                std::ptr::from_mut(&mut job).cast(),
                Some(cancel),
                std::ptr::from_ref(cancelled).cast_mut().cast(),
                FLAGS,
            );
        }
        match job.answer.take() {
            Some(Ok(Some(answer))) => return Ok(answer),
            Some(Err(_)) => {
                return Err(Error::new(ruby.exception_fatal(), "Flowline panicked; please report it"));
            }
            Some(Ok(None)) | None => ruby.thread_check_ints()?,
        }
    }
}

unsafe extern "C" fn carry_out<T, F: FnMut() -> Option<T>>(job: *mut c_void) -> *mut c_void {
    // SAFETY: see `without_gvl`.
    let job = unsafe { &mut *job.cast::<Job<F, T>>() };
    job.answer = Some(catch_unwind(AssertUnwindSafe(&mut job.work)));
    std::ptr::null_mut()
}

unsafe extern "C" fn cancel(cancelled: *mut c_void) {
    // SAFETY: see `without_gvl`.
    unsafe { &*cancelled.cast::<AtomicBool>() }.store(true, Ordering::Relaxed);
}

/// Makes every later fork of this process wait until stores are at rest, and closes them in the child.
pub fn watch_forks() {
    static REGISTERED: Once = Once::new();
    // SAFETY: the handlers are functions of this library, which Ruby never unloads, and no panic leaves them. It
    // fails only if no memory is left; stores still open then, but are not safe in a child.
    REGISTERED.call_once(|| unsafe {
        nix::libc::pthread_atfork(Some(before_fork), Some(after_fork_in_parent), Some(after_fork_in_child));
    });
}

unsafe extern "C" fn before_fork() {
    let _ = catch_unwind(fork::prepare);
}

unsafe extern "C" fn after_fork_in_parent() {
    let _ = catch_unwind(fork::parent);
}

unsafe extern "C" fn after_fork_in_child() {
    let _ = catch_unwind(fork::child);
}

/// Returns the bytes of a frozen String, which nothing changes as long as they are read.
pub fn frozen_bytes(string: &RString) -> &[u8] {
    string.freeze();
    // SAFETY: frozen, so its buffer neither changes nor moves; and alive, since the caller has it on the stack.
    unsafe { string.as_slice() }
}

/// Reads a String's bytes. The reader must not call Ruby.
pub fn with_bytes<T>(string: RString, look: impl FnOnce(&[u8]) -> T) -> T {
    // SAFETY: as long as Ruby is not called, nothing changes, moves or frees it.
    look(unsafe { string.as_slice() })
}

/// Returns an object's class, which is a singleton class if it has methods of its own. Not for immediate values.
pub fn class_of(value: Value) -> VALUE {
    // SAFETY: every object that is no immediate value begins with this header.
    unsafe { (*(value.as_raw() as *const RBasic)).klass }
}

/// Whether it has a singleton class, which may have methods of its own.
pub fn has_singleton_class(value: Value) -> bool {
    // SAFETY: only headers are read.
    !SPECIAL_CONST_P(value.as_raw()) && class_of(value) != unsafe { rb_obj_class(value.as_raw()) }
}

/// Whether it has instance variables.
pub fn has_variables(value: Value) -> bool {
    // SAFETY: the object is alive, and no method is called.
    unsafe { rb_ivar_count(value.as_raw()) != 0 }
}

/// Returns the name of an object's class, whatever methods the object has.
pub fn class_name(value: Value) -> String {
    // SAFETY: the name is copied before anything else happens.
    unsafe { value.classname() }.into_owned()
}
