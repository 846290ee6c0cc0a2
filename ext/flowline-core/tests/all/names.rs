//! Which name was meant by a misspelt one.

use flowline_core::names::nearest;

#[track_caller]
fn check(word: &str, candidates: &str, expected: Option<&str>) {
    assert_eq!(nearest(word, candidates.split(' ')), expected, "{word} among {candidates}");
}

#[test]
fn one_slip_of_any_kind_is_forgiven() {
    for word in ["fech", "fettch", "fetcj", "fecth"] {
        check(word, "load fetch transform", Some("fetch"));
    }
}

#[test]
fn short_words_are_forgiven_one_slip_and_never_every_character() {
    check("ab", "a", Some("a"));
    check("lod", "load", Some("load"));
    check("ab", "cb", Some("cb"));
    check("ab", "cd", None);
    check("a", "b", None);
    check("abc", "axy", None);
}

#[test]
fn one_more_slip_is_forgiven_for_every_three_characters() {
    check("abcde", "abcxy", None);
    check("abcdef", "abcdxy", Some("abcdxy"));
    check("abcdef", "abcxyz", None);
    check("abcdefghi", "abcdefxyz", Some("abcdefxyz"));
    check("abcdefghi", "abcdexyzw", None);
}

#[test]
fn the_nearest_wins_and_among_equals_the_first() {
    check("transfer_dat", "transfer_dots transfer_data", Some("transfer_data"));
    check("step_3", "step_1 step_2", Some("step_1"));
    check("step_3", "step_2 step_1", Some("step_2"));
}

#[test]
fn case_is_no_slip() {
    check("FETCH", "load fetch", Some("fetch"));
    check("fetch", "FETCH fetcg", Some("FETCH"));
    check("A", "a", Some("a"));
}

#[test]
fn characters_count_not_bytes() {
    check("größe", "grösse große", Some("große"));
    check("データ取得", "データ取込", Some("データ取込"));
    // Folded, the dotted capital is two characters.
    check("i\u{307}i\u{307}i\u{307}", "İİİ", Some("İİİ"));
}

#[test]
fn the_word_itself_and_strangers_are_no_suggestion() {
    check("fetch", "fetch", None);
    check("fetch", "transform load", None);
    check("", "a", None);
    assert_eq!(nearest("fetch", []), None);
}
