//! Core errors as Ruby exceptions.
use std::path::Path;

use flowline_core::store::StoreError;
use magnus::{Class, Error, ExceptionClass, Module, Ruby};

/// Raises the core's error as a `Flowline::Error`, with the core's own words.
pub fn raise(ruby: &Ruby, error: &dyn std::error::Error) -> Error {
    let class = ruby
        .define_module("Flowline")
        .and_then(|flowline| flowline.const_get::<_, ExceptionClass>("Error"))
        .unwrap_or_else(|_| ruby.exception_runtime_error());
    Error::new(class, error.to_string())
}

/// Raises a store's error as a `Flowline::StoreError`, with its kind.
pub fn store(ruby: &Ruby, root: &Path, error: &StoreError) -> Error {
    let class = ruby
        .define_module("Flowline")
        .and_then(|flowline| flowline.const_get::<_, ExceptionClass>("StoreError"));
    let path = root.to_string_lossy().into_owned();
    let made = class.and_then(|class| {
        let kind = ruby.to_symbol(error.kind());
        class.new_instance((path, error.to_string(), kind))
    });
    made.map_or_else(|failure| failure, Error::from)
}
