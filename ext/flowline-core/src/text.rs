//! How wide text is in a terminal.

use unicode_width::UnicodeWidthChar;

/// The columns that the text takes, never fewer than a terminal may use: terminals differ about emoji
/// that are joined or have a variation selector.
///
/// ```
/// use flowline_core::text::width;
/// assert_eq!(width("fetch"), 5);
/// assert_eq!(width("日本"), 4);
/// ```
#[must_use]
pub fn width(text: &str) -> usize {
    text.chars().map(columns).sum()
}

/// The text, or as much of its start as fits into that many columns with an ellipsis after it.
///
/// ```
/// use flowline_core::text::cut;
/// assert_eq!(cut("fetch", 5), "fetch");
/// assert_eq!(cut("fetch_users", 6), "fetch…");
/// assert_eq!(cut("日本語", 4), "日…");
/// ```
#[must_use]
pub fn cut(text: &str, most: usize) -> String {
    let mut used = 0;
    let mut end = 0;
    for (at, character) in text.char_indices() {
        used += columns(character);
        if used > most {
            return if most == 0 {
                String::new()
            } else {
                format!("{}…", text.get(..end).unwrap_or_default())
            };
        }
        if used < most {
            end = at + character.len_utf8();
        }
    }
    text.to_owned()
}

fn columns(character: char) -> usize {
    match character {
        '\u{FE0F}' => 1, // It asks for the emoji, which is wide, instead of a narrow character.
        _ => character.width().unwrap_or(0),
    }
}

#[cfg(test)]
mod tests {
    use super::{cut, width};

    #[test]
    fn keeps_combining_characters_with_their_base() {
        assert_eq!(cut("e\u{301}tude", 3), "e\u{301}t…");
    }

    #[test]
    fn never_exceeds_the_columns() {
        for most in 0..12 {
            assert!(width(&cut("a日b本❤\u{FE0F}c語def", most)) <= most);
        }
    }
}
