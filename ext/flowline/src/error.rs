//! Errors as Ruby exceptions. This is the one place that decides which class each kind of error has.

use std::cell::BorrowMutError;
use std::path::Path;

use flowline_core::diagram::TooLarge;
use flowline_core::event::RunError;
use flowline_core::journal::JournalError;
use flowline_core::store::StoreError;
use magnus::{Class, Error, ExceptionClass, Module, Ruby};

/// The kind of an error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An argument that means nothing to the core.
    Argument,
    /// A call that does not fit the state of the run.
    State,
    /// A journal that cannot be replayed.
    Journal,
    /// A diagram that cannot be drawn.
    Diagram,
    /// The store refused, or failed.
    Store,
    /// The operating system refused, or failed.
    System,
}

impl Kind {
    fn class(self, ruby: &Ruby) -> Result<ExceptionClass, Error> {
        let name = match self {
            Self::Argument => return Ok(ruby.exception_arg_error()),
            Self::State | Self::Journal | Self::Diagram | Self::System => "Error",
            Self::Store => "StoreError",
        };
        ruby.define_module("Flowline")?.const_get(name)
    }
}

/// An error that knows its kind.
pub trait HasKind: std::error::Error {
    fn kind(&self) -> Kind;
}

macro_rules! kinds {
    ($($error:ty => $kind:ident),* $(,)?) => {
        $(impl HasKind for $error {
            fn kind(&self) -> Kind {
                Kind::$kind
            }
        })*
    };
}

kinds! {
    RunError => State,
    BorrowMutError => State,
    JournalError => Journal,
    TooLarge => Diagram,
    std::io::Error => System,
}

/// An exception of that kind.
pub fn new(ruby: &Ruby, kind: Kind, message: String) -> Error {
    kind.class(ruby).map_or_else(|failure| failure, |class| Error::new(class, message))
}

/// The core's error as an exception, with the core's message.
pub fn raise(ruby: &Ruby, error: &impl HasKind) -> Error {
    new(ruby, error.kind(), error.to_string())
}

/// A store's error as an exception, which has the store's path and the store's own kind of error, too.
pub fn store(ruby: &Ruby, root: &Path, error: &StoreError) -> Error {
    let path = root.to_string_lossy().into_owned();
    let made = Kind::Store.class(ruby).and_then(|class| {
        let kind = ruby.to_symbol(error.kind());
        class.new_instance((path, error.to_string(), kind))
    });
    made.map_or_else(|failure| failure, Error::from)
}
