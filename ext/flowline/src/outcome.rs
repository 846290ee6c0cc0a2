//! Outcomes as Ruby's symbols, and back.

use flowline_core::event::{CancelReason, Outcome, SkipReason};
use magnus::{Error, Ruby, Symbol};

/// The outcome, and its reason if it has one.
pub fn name(outcome: Outcome) -> (&'static str, Option<&'static str>) {
    match outcome {
        Outcome::Succeeded => ("succeeded", None),
        Outcome::Cached => ("cached", None),
        Outcome::Restored => ("restored", None),
        Outcome::Failed => ("failed", None),
        Outcome::TimedOut => ("timed_out", None),
        Outcome::Skipped(SkipReason::Condition) => ("skipped", Some("condition")),
        Outcome::Skipped(SkipReason::UpstreamSkipped) => ("skipped", Some("upstream_skipped")),
        Outcome::Skipped(SkipReason::NotSelected) => ("skipped", Some("not_selected")),
        Outcome::Cancelled(CancelReason::UpstreamFailed) => ("cancelled", Some("upstream_failed")),
        Outcome::Cancelled(CancelReason::RunFailed) => ("cancelled", Some("run_failed")),
        Outcome::Cancelled(CancelReason::Interrupted) => ("cancelled", Some("interrupted")),
        Outcome::Cancelled(CancelReason::RunTimedOut) => ("cancelled", Some("run_timed_out")),
    }
}

/// The outcomes Ruby may report; the others are the core's own decisions.
const REPORTED: [Outcome; 8] = [
    Outcome::Succeeded,
    Outcome::Cached,
    Outcome::Restored,
    Outcome::Failed,
    Outcome::TimedOut,
    Outcome::Skipped(SkipReason::Condition),
    Outcome::Skipped(SkipReason::NotSelected),
    Outcome::Cancelled(CancelReason::Interrupted),
];

/// The outcome of that name and reason.
///
/// # Errors
/// An `ArgumentError`: Ruby may not report it.
pub fn named(ruby: &Ruby, wanted: &str, reason: Option<Symbol>) -> Result<Outcome, Error> {
    let reason = reason.map(|symbol| symbol.name().map(|name| name.into_owned())).transpose()?;
    REPORTED.into_iter().find(|&outcome| name(outcome) == (wanted, reason.as_deref())).ok_or_else(|| {
        Error::new(ruby.exception_arg_error(), format!("no step can be reported as {wanted} {reason:?}"))
    })
}
