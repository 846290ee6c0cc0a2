//! How long a caller waits for other processes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::StoreError;

/// The longest pause between two tries. Pauses grow up to it, so a cancelled caller returns soon.
const LONGEST: Duration = Duration::from_millis(4);

/// How long a caller waits, and the flag that cancels the wait.
#[derive(Debug, Clone, Copy)]
pub struct Wait<'a> {
    cancelled: &'a AtomicBool,
    started: Instant,
    patience: Duration,
}

impl<'a> Wait<'a> {
    /// Waits at most `patience` from now, and until `cancelled` is true.
    pub fn new(patience: Duration, cancelled: &'a AtomicBool) -> Self {
        Self { cancelled, started: Instant::now(), patience }
    }

    /// Calls `attempt` until it does not return [`Busy`](StoreError::Busy). No lock is held between two tries.
    pub(crate) fn until_free<T>(
        &self,
        mut attempt: impl FnMut() -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut pause = Duration::from_micros(20);
        loop {
            match attempt() {
                Err(StoreError::Busy(_)) => {}
                answer => return answer,
            }
            if self.cancelled.load(Ordering::Relaxed) {
                return Err(StoreError::Cancelled);
            }
            let waited = self.started.elapsed();
            if waited >= self.patience {
                return Err(StoreError::Busy(waited.as_secs_f64()));
            }
            thread::sleep(pause.min(self.patience.saturating_sub(waited)));
            pause = (pause * 2).min(LONGEST);
        }
    }
}
