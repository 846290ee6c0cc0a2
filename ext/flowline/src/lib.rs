//! Flowline's native extension: translation between Ruby and `flowline-core`, and nothing else.
//!
//! No Ruby value is stored here, and no Ruby code is called, so there is nothing to mark for the garbage
//! collector and no borrow can be held across a call into Ruby.
#![allow(missing_docs)] // The code that `magnus::init` generates has none; nothing else here is public.

use flowline_core::retry::Schedule;
use magnus::value::ReprValue;
use magnus::{Error, Module, Object, RArray, Ruby, Symbol, TryConvert, function};

mod diagram;
mod digest;
mod error;
mod graph;
mod parent_watch;
mod preview;
mod raw;
mod rows;
mod run;
mod store;
mod symbols;

#[magnus::init]
fn init(ruby: &Ruby) -> Result<(), Error> {
    let native = ruby.define_module("Flowline")?.define_module("Native")?;
    native.define_singleton_method("nearest", function!(nearest, 2))?;
    native.define_singleton_method("quote", function!(quote, 1))?;
    native.define_singleton_method("triples", function!(triples, 2))?;
    native.define_singleton_method("retry_wait", function!(retry_wait, 6))?;
    native.define_singleton_method("text_width", function!(text_width, 1))?;
    native.define_singleton_method("cut_text", function!(cut_text, 2))?;
    digest::init(native)?;
    graph::init(ruby, native)?;
    parent_watch::init(native)?;
    preview::init(native)?;
    run::init(ruby, native)?;
    store::init(ruby, native)?;
    diagram::init(native)
}

/// `nearest(word: String, candidates: Array<String>) -> String or nil`: the name that was probably meant.
fn nearest(word: String, candidates: RArray) -> Result<Option<String>, Error> {
    let candidates: Vec<String> = candidates.to_vec()?;
    Ok(flowline_core::names::nearest(&word, candidates.iter().map(String::as_str)).map(str::to_owned))
}

/// `triples(list: Array<[Symbol, Symbol, String]>, most: Integer) -> String`: the list as JSON, with at most so many
/// characters of each String, which is ASCII.
fn triples(list: RArray, most: usize) -> Result<String, Error> {
    let mut triples = Vec::with_capacity(list.len());
    for triple in list {
        let (kind, name, value) = <(Symbol, Symbol, String)>::try_convert(triple)?;
        let end = most.min(value.len());
        let names: [String; 2] = [kind.funcall("name", ())?, name.funcall("name", ())?]; // Even if it has a NUL.
        triples.push((names, value, end));
    }
    let mut out = String::new();
    flowline_core::json::list(&mut out, &triples, |out, ([kind, name], value, end)| {
        flowline_core::json::list(out, [kind.as_str(), name, &value[..*end]], flowline_core::json::text);
    });
    Ok(out)
}

/// `quote(text: String) -> String`: the text as a JSON string.
fn quote(text: String) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    flowline_core::json::text(&mut quoted, &text);
    quoted
}

/// `retry_wait(strategy: Symbol, delay: Float, most: Float, jitter: Float, attempts: Integer, chance: Float) ->
/// Float`: seconds to wait after so many attempts.
fn retry_wait(
    ruby: &Ruby,
    strategy: Symbol,
    delay: f64,
    most: f64,
    jitter: f64,
    attempts: u32,
    chance: f64,
) -> Result<f64, Error> {
    let strategy = symbols::meaning(ruby, "retry strategy", symbols::STRATEGIES, strategy)?;
    Ok(Schedule { strategy, delay, most, jitter }.wait(attempts, chance))
}

/// `text_width(text: String) -> Integer`: the columns that it takes in a terminal.
fn text_width(text: String) -> usize {
    flowline_core::text::width(&text)
}

/// `cut_text(text: String, columns: Integer) -> String`: the text, shortened with an ellipsis to fit into the columns.
fn cut_text(text: String, columns: usize) -> String {
    flowline_core::text::cut(&text, columns)
}
