//! The symbols that cross the boundary, and what they mean to the core. A symbol that is not in its table is an
//! `ArgumentError` that lists the table, never a default.

use flowline_core::event::{CancelReason, Outcome, SkipReason, Status, Stop};
use flowline_core::names::nearest;
use flowline_core::retry::Strategy;
use flowline_core::store::Others;
use magnus::{Error, Ruby, Symbol};

use crate::error::{self, Kind};

/// Names and their meanings.
pub type Table<T> = [(&'static str, T)];

/// How an item is reported on.
#[derive(Clone, Copy, PartialEq)]
pub enum ItemWord {
    Done,
    Restored,
    Failed,
    Retry,
    Withdrawn,
}

pub const STRATEGIES: &Table<Strategy> = &[
    ("immediate", Strategy::Immediate),
    ("linear", Strategy::Linear),
    ("exponential", Strategy::Exponential),
];

pub const STOPS: &Table<Stop> =
    &[("failed", Stop::Failed), ("cancelled", Stop::Interrupted), ("timed_out", Stop::TimedOut)];

pub const ITEM_REPORTS: &Table<ItemWord> = &[
    ("done", ItemWord::Done),
    ("restored", ItemWord::Restored),
    ("failed", ItemWord::Failed),
    ("retry", ItemWord::Retry),
    ("withdrawn", ItemWord::Withdrawn),
];

pub const OTHERS: &Table<Others> = &[("alike", Others::Alike), ("all", Others::All)];

pub const STATUSES: &Table<Status> = &[
    ("running", Status::Running),
    ("succeeded", Status::Succeeded),
    ("failed", Status::Failed),
    ("timed_out", Status::TimedOut),
    ("cancelled", Status::Cancelled),
];

/// An outcome and its reason.
type OutcomeName = (&'static str, Option<&'static str>);

/// The outcomes that Ruby reports.
const REPORTED: [(OutcomeName, Outcome); 8] = [
    (("succeeded", None), Outcome::Succeeded),
    (("cached", None), Outcome::Cached),
    (("restored", None), Outcome::Restored),
    (("failed", None), Outcome::Failed),
    (("timed_out", None), Outcome::TimedOut),
    (("skipped", Some("condition")), Outcome::Skipped(SkipReason::Condition)),
    (("skipped", Some("not_selected")), Outcome::Skipped(SkipReason::NotSelected)),
    (("cancelled", Some("interrupted")), Outcome::Cancelled(CancelReason::Interrupted)),
];

/// The outcomes that the core alone decides.
const DECIDED: [(OutcomeName, Outcome); 4] = [
    (("skipped", Some("upstream_skipped")), Outcome::Skipped(SkipReason::UpstreamSkipped)),
    (("cancelled", Some("upstream_failed")), Outcome::Cancelled(CancelReason::UpstreamFailed)),
    (("cancelled", Some("run_failed")), Outcome::Cancelled(CancelReason::RunFailed)),
    (("cancelled", Some("run_timed_out")), Outcome::Cancelled(CancelReason::RunTimedOut)),
];

/// Returns the meaning of a symbol. `kind` is the word for it in the error: "retry strategy".
///
/// # Errors
/// An `ArgumentError`: it is not in the table.
pub fn meaning<T: Copy>(ruby: &Ruby, kind: &str, table: &Table<T>, symbol: Symbol) -> Result<T, Error> {
    let wanted = symbol.name()?;
    if let Some(&(_, meaning)) = table.iter().find(|(name, _)| *name == wanted) {
        return Ok(meaning);
    }
    let names: Vec<String> = table.iter().map(|(name, _)| format!(":{name}")).collect();
    let hint = nearest(&wanted, table.iter().map(|(name, _)| *name));
    let hint = hint.map_or_else(String::new, |name| format!("did you mean :{name}? "));
    let message = format!("unknown {kind} :{wanted}; {hint}known: {}", names.join(", "));
    Err(error::new(ruby, Kind::Argument, message))
}

/// Returns the symbol of that name. Unlike `Ruby::to_symbol`, this creates no String.
pub fn symbol(ruby: &Ruby, name: &str) -> Symbol {
    ruby.intern(name).into()
}

/// The name of a meaning.
pub fn name<T: PartialEq>(table: &Table<T>, meaning: T) -> &'static str {
    table.iter().find(|(_, known)| *known == meaning).map_or("", |(name, _)| name)
}

/// The name of an outcome, and its reason if it has one.
pub fn outcome_name(outcome: Outcome) -> OutcomeName {
    let known = REPORTED.iter().chain(&DECIDED).find(|(_, known)| *known == outcome);
    known.map_or(("", None), |(name, _)| *name)
}

/// The outcome of that name and reason, which Ruby reports.
///
/// # Errors
/// An `ArgumentError`: there is none, or it is the core's own decision.
pub fn reported_outcome(ruby: &Ruby, symbol: Symbol, reason: Option<Symbol>) -> Result<Outcome, Error> {
    let wanted = symbol.name()?;
    let reason = reason.map(|symbol| symbol.name().map(|name| name.into_owned())).transpose()?;
    let wanted = (wanted.as_ref(), reason.as_deref());
    if let Some(&(_, outcome)) = REPORTED.iter().find(|(name, _)| *name == wanted) {
        return Ok(outcome);
    }
    let show = |(name, reason): (&str, Option<&str>)| match reason {
        Some(reason) => format!(":{name} with :{reason}"),
        None => format!(":{name}"),
    };
    let names: Vec<String> = REPORTED.iter().map(|&(name, _)| show(name)).collect();
    let message = format!("a step cannot be reported as {}; known: {}", show(wanted), names.join(", "));
    Err(error::new(ruby, Kind::Argument, message))
}
