//! JSON, written and never read here.

use std::fmt::Write;

/// Appends a text as a JSON string.
pub fn text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c == '"' || c == '\\' || c < ' ') {
        let (plain, tail) = rest.split_at(at);
        out.push_str(plain);
        let mut characters = tail.chars();
        match characters.next() {
            Some(c @ ('"' | '\\')) => {
                out.push('\\');
                out.push(c);
            }
            Some(c) => {
                let _ = write!(out, "\\u{:04x}", u32::from(c)); // Writing to a String cannot fail.
            }
            None => {}
        }
        rest = characters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Appends a list, with its items written by `write`.
pub fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut write: impl FnMut(&mut String, T)) {
    out.push('[');
    for (position, item) in items.into_iter().enumerate() {
        if position > 0 {
            out.push(',');
        }
        write(out, item);
    }
    out.push(']');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_escaped_as_json_demands() {
        let mut out = String::new();
        text(&mut out, "a\"b\\c\nd\u{1}e/é \u{7f}");
        assert_eq!(out, "\"a\\\"b\\\\c\\u000ad\\u0001e/é \u{7f}\"");
    }

    #[test]
    fn a_list_has_its_items_in_order() {
        let mut out = String::new();
        list(&mut out, ["a", "b"], text);
        list(&mut out, [], text);
        assert_eq!(out, "[\"a\",\"b\"][]");
    }
}
