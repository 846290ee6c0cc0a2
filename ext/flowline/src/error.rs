//! Core errors as Ruby exceptions.
use magnus::{Error, ExceptionClass, Module, Ruby};

/// Raises the core's error as a `Flowline::Error`, with the core's own words.
pub fn raise(ruby: &Ruby, error: &dyn std::error::Error) -> Error {
    let class = ruby
        .define_module("Flowline")
        .and_then(|flowline| flowline.const_get::<_, ExceptionClass>("Error"))
        .unwrap_or_else(|_| ruby.exception_runtime_error());
    Error::new(class, error.to_string())
}
