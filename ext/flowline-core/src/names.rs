//! Suggestions for misspelt names.

/// The candidate a misspelt `word` most likely stands for, if one is near enough: at most one mistake
/// (a missing, extra, wrong or swapped character) for every three characters, and always one.
///
/// Measured by [Damerau-Levenshtein distance](strsim::damerau_levenshtein); the first of several
/// equally near candidates wins.
///
/// ```
/// use flowline_core::names::nearest;
/// assert_eq!(nearest("trasform", ["load", "transform"]), Some("transform"));
/// assert_eq!(nearest("fetch", ["load", "transform"]), None);
/// ```
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = word.to_lowercase();
    let length = folded.chars().count();
    let mistakes = (length / 3).max(1);
    candidates
        .into_iter()
        .filter(|name| *name != word)
        .map(|name| (name.to_lowercase(), name))
        .filter(|(candidate, _)| candidate.chars().count().abs_diff(length) <= mistakes)
        .map(|(candidate, name)| (strsim::damerau_levenshtein(&folded, &candidate), name))
        // A word of which every character is wrong is another word: `a` does not stand for `b`.
        .filter(|(distance, _)| *distance <= mistakes && *distance < length)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}
