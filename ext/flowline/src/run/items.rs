//! Steps that are called once for each of their items.

use flowline_core::event::{ItemReport, OnItemError};
use flowline_core::ids::{Position, StepId};
use magnus::{Error, Module, RClass, Ruby, Symbol, method};

use super::{Run, nanos};
use crate::error;
use crate::symbols::{self, ItemWord};

pub(super) fn init(class: RClass) -> Result<(), Error> {
    class.define_method("open", method!(open, 3))?;
    class.define_method("supply", method!(supply, 2))?;
    class.define_method("exhaust", method!(exhaust, 1))?;
    class.define_method("take", method!(take, 1))?;
    class.define_method("item", method!(item, 5))?;
    class.define_method("item_attempts", method!(item_attempts, 2))?;
    class.define_method("item_counts", method!(item_counts, 1))
}

/// `open(step, most, fails_at: Integer or nil)`: the step is from now on started for each of its items, that many at a time.
/// Failed items fail it, and nothing new of it starts once so many have failed; nil: they don't fail it.
fn open(ruby: &Ruby, run: &Run, step: u32, most: u32, fails_at: Option<u32>) -> Result<(), Error> {
    let now = run.now();
    let on_error = fails_at.map_or(OnItemError::Collect, OnItemError::FailAt);
    run.core(ruby)?.open(StepId::new(step), most, on_error, now).map_err(|e| error::raise(ruby, &e))
}

/// `supply(step, count)`: the step gets so many further items.
fn supply(ruby: &Ruby, run: &Run, step: u32, count: u64) -> Result<(), Error> {
    run.core(ruby)?.supply(StepId::new(step), count);
    Ok(())
}

/// `exhaust(step)`: the step gets no more items.
fn exhaust(ruby: &Ruby, run: &Run, step: u32) -> Result<(), Error> {
    run.core(ruby)?.exhaust(StepId::new(step));
    Ok(())
}

/// `take(step) -> Integer or nil`: the position of the item it was started for; nil: all have ended.
fn take(ruby: &Ruby, run: &Run, step: u32) -> Result<Option<u64>, Error> {
    Ok(run.core(ruby)?.take(StepId::new(step)).map(Position::number))
}

/// `item(step, position, :done, :restored, :failed, :retry or :withdrawn, called, seconds or nil)`: how an item ended, or after how many
/// seconds it is to be retried; and whether the callable was called for it. Of a step that has ended since, it is
/// ignored.
fn item(
    ruby: &Ruby,
    run: &Run,
    step: u32,
    position: u64,
    word: Symbol,
    called: bool,
    wait: Option<f64>,
) -> Result<(), Error> {
    let now = run.now();
    let report = match symbols::meaning(ruby, "item report", symbols::ITEM_REPORTS, word)? {
        ItemWord::Done => ItemReport::Done,
        ItemWord::Restored => ItemReport::Restored,
        ItemWord::Failed => ItemReport::Failed,
        ItemWord::Withdrawn => ItemReport::Withdrawn,
        ItemWord::Retry => {
            let until = now.saturating_add(nanos(wait.unwrap_or_default()));
            ItemReport::RetryAt(Position::new(position), until)
        }
    };
    let _ = run.core(ruby)?.report_item(StepId::new(step), report, called, now);
    Ok(())
}

/// `item_attempts(step, position) -> Integer`: how many attempts of that item failed and were retried.
fn item_attempts(ruby: &Ruby, run: &Run, step: u32, position: u64) -> Result<u32, Error> {
    Ok(run.core(ruby)?.item_attempts(StepId::new(step), Position::new(position)))
}

/// `item_counts(step) -> [done, restored, failed, retries] or nil`: how the items of a step ended so far; nil: it was not
/// opened.
fn item_counts(ruby: &Ruby, run: &Run, step: u32) -> Result<Option<Vec<u64>>, Error> {
    let counts = run.core(ruby)?.item_counts(StepId::new(step));
    Ok(counts.map(|counts| vec![counts.done, counts.restored, counts.failed, counts.retries]))
}
