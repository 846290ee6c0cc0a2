//! `Flowline::Native.preview`: what people see of an output in history. No method of the value is called, and the work is
//! bounded, whatever the value is.
use std::fmt::Write;

use magnus::r_hash::ForEach;
use magnus::rb_sys::AsRawValue;
use magnus::value::ReprValue;
use magnus::{
    Error, Float, Integer, Object, RArray, RHash, RModule, RString, Ruby, Symbol, TryConvert, Value, function,
};

use crate::raw;

/// How many characters a preview has, and how many of a String it shows.
const MOST: usize = 160;
const STRING: usize = 60;
/// How many items of a container are shown, and how deep containers are nested.
const ITEMS: usize = 8;
const DEPTH: usize = 3;

pub fn init(native: RModule) -> Result<(), Error> {
    native.define_singleton_method("preview", function!(preview, 1))
}

/// `preview(value) -> [String, Integer or nil, String]`: its class; how many elements it has, or how many bytes a String
/// has; and the value as a short text.
fn preview(ruby: &Ruby, value: Value) -> Result<RArray, Error> {
    let mut text = String::new();
    write(ruby, value, DEPTH, &mut text)?;
    let row = ruby.ary_new_capa(3);
    row.push(raw::class_name(value))?;
    row.push(size(value))?;
    row.push(text)?;
    Ok(row)
}

fn size(value: Value) -> Option<usize> {
    let of_container = RArray::from_value(value)
        .map(RArray::len)
        .or_else(|| RHash::from_value(value).map(|hash| hash.len()));
    of_container.or_else(|| RString::from_value(value).map(RString::len))
}

fn write(ruby: &Ruby, value: Value, depth: usize, out: &mut String) -> Result<(), Error> {
    if value.is_nil() {
        out.push_str("nil");
    } else if let Some(integer) = Integer::from_value(value) {
        match integer.to_i64() {
            Ok(number) => out.push_str(&number.to_string()),
            Err(_) => out.push_str("Integer"),
        }
    } else if let Some(symbol) = Symbol::from_value(value) {
        out.push(':');
        name(symbol, out)?;
    } else if let Some(string) = RString::from_value(value) {
        out.push_str(&raw::with_bytes(string, quote));
    } else if let Some(float) = Float::from_value(value) {
        let _ = write!(out, "{:?}", float.to_f64()); // Writing to a String cannot fail.
    } else if let Some(array) = RArray::from_value(value) {
        return list(ruby, array, depth, out);
    } else if let Some(hash) = RHash::from_value(value) {
        return pairs(ruby, hash, depth, out);
    } else if !value.to_bool() {
        out.push_str("false");
    } else if value.as_raw() == ruby.qtrue().as_raw() {
        out.push_str("true");
    } else {
        let _ = write!(out, "#<{}>", raw::class_name(value));
    }
    Ok(())
}

/// Whether another item is shown.
fn has_room(shown: usize, depth: usize, out: &str) -> bool {
    shown < ITEMS && depth > 0 && out.len() < MOST
}

fn list(ruby: &Ruby, array: RArray, depth: usize, out: &mut String) -> Result<(), Error> {
    out.push('[');
    let mut shown = 0;
    while shown < array.len() && has_room(shown, depth, out) {
        if shown > 0 {
            out.push_str(", ");
        }
        write(ruby, array.entry(shown as isize)?, depth - 1, out)?;
        shown += 1;
    }
    close(shown, array.len(), ']', out);
    Ok(())
}

fn pairs(ruby: &Ruby, hash: RHash, depth: usize, out: &mut String) -> Result<(), Error> {
    out.push('{');
    let mut shown = 0;
    hash.foreach(|key: Value, value: Value| {
        if !has_room(shown, depth, out) {
            return Ok(ForEach::Stop);
        }
        if shown > 0 {
            out.push_str(", ");
        }
        match Symbol::from_value(key) {
            Some(symbol) => name(symbol, out)?,
            None => write(ruby, key, depth - 1, out)?,
        }
        out.push_str(if Symbol::from_value(key).is_some() { ": " } else { " => " });
        write(ruby, value, depth - 1, out)?;
        shown += 1;
        Ok(ForEach::Continue)
    })?;
    close(shown, hash.len(), '}', out);
    Ok(())
}

fn close(shown: usize, size: usize, end: char, out: &mut String) {
    if shown < size {
        out.push_str(if shown > 0 { ", …" } else { "…" });
    }
    out.push(end);
}

/// Writes the beginning of a symbol's name, which may be in any encoding.
fn name(symbol: Symbol, out: &mut String) -> Result<(), Error> {
    let name = RString::try_convert(symbol.funcall("name", ())?)?;
    raw::with_bytes(name, |bytes| out.extend(String::from_utf8_lossy(bytes).chars().take(STRING)));
    Ok(())
}

/// Quotes the beginning of a text; other bytes are only counted.
fn quote(bytes: &[u8]) -> String {
    let (head, cut) = match bytes.get(..STRING * 4) {
        Some(head) => (head, true),
        None => (bytes, false),
    };
    let text = match std::str::from_utf8(head) {
        Ok(text) => text,
        // The last character may be cut.
        Err(error) if cut && error.error_len().is_none() => {
            std::str::from_utf8(head.get(..error.valid_up_to()).unwrap_or_default()).unwrap_or_default()
        }
        Err(_) => return format!("({} bytes)", bytes.len()),
    };
    let mut quoted = String::from("\"");
    let mut characters = text.chars();
    for character in characters.by_ref().take(STRING) {
        if character.is_control() || character == '"' || character == '\\' {
            quoted.extend(character.escape_default());
        } else {
            quoted.push(character);
        }
    }
    if cut || characters.next().is_some() {
        quoted.push('…');
    }
    quoted.push('"');
    quoted
}
