//! When a failed attempt is made again.

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Strategy {
    /// Not at all.
    #[default]
    Immediate,
    /// The same time each time.
    Linear,
    /// Twice as long each time (exponential backoff: Metcalfe and Boggs 1976).
    Exponential,
}

/// A schedule of attempts. Times are seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Schedule {
    /// How long to wait.
    pub strategy: Strategy,
    /// The wait before the second attempt.
    pub delay: f64,
    /// The longest wait, before jitter.
    pub most: f64,
    /// The share by which an exponential wait is longer or shorter, so that steps that failed together are not
    /// retried together.
    pub jitter: f64,
}

impl Schedule {
    /// How long to wait after that many attempts; `chance` is drawn from 0 to 1.
    ///
    /// ```
    /// use flowline_core::retry::{Schedule, Strategy};
    /// let schedule = Schedule { strategy: Strategy::Exponential, delay: 1.0, most: 60.0, jitter: 0.0 };
    /// assert_eq!([1, 2, 3, 9].map(|attempts| schedule.wait(attempts, 0.5)), [1.0, 2.0, 4.0, 60.0]);
    /// ```
    pub fn wait(&self, attempts: u32, chance: f64) -> f64 {
        match self.strategy {
            Strategy::Immediate => 0.0,
            Strategy::Linear => self.delay,
            Strategy::Exponential => {
                let doubled = self.delay * 2_f64.powi(attempts.saturating_sub(1).min(1000) as i32);
                doubled.min(self.most) * (1.0 + self.jitter * (2.0 * chance - 1.0))
            }
        }
    }
}
