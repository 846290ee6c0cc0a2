//! Flowline's native extension: translation between Ruby and `flowline-core`, and nothing else.
//!
//! No Ruby value is kept here, and no Ruby code is called, so there is nothing to mark for the garbage
//! collector and no borrow can be held across a call into Ruby.
#![allow(missing_docs)] // What `magnus::init` generates has none; nothing else here is public.

use magnus::{Error, Module, Object, RArray, Ruby, function};

mod diagram;
mod error;
mod graph;
mod run;

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let native = ruby.define_module("Flowline")?.define_module("Native")?;
    native.define_singleton_method("nearest", function!(nearest, 2))?;
    graph::init(ruby, native)?;
    run::init(ruby, native)?;
    diagram::init(native)
}

/// `nearest(word: String, candidates: Array<String>) -> String or nil`: which name was meant.
fn nearest(word: String, candidates: RArray) -> Result<Option<String>, Error> {
    let candidates: Vec<String> = candidates.to_vec()?;
    Ok(flowline_core::names::nearest(&word, candidates.iter().map(String::as_str)).map(str::to_owned))
}
