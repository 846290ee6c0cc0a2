//! Diagrams for Mermaid, which GitHub and GitLab render. Syntax: <https://mermaid.js.org/syntax/flowchart.html>.

use super::{Diagram, Outline, Table};
use std::collections::HashSet;
use std::fmt::Write;

/// Words that Mermaid's lexer reserves where an id may stand, in lower case.
const RESERVED: &str = "_blank _parent _self _top accdescr acctitle br bt call class classdef click default \
    direction end flowchart graph href interpolate linkstyle lr rl style subgraph tb td";

impl Diagram {
    /// The diagram as a Mermaid flowchart.
    #[must_use]
    pub fn mermaid(&self) -> String {
        let names: HashSet<&str> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        let ids: Table<String> = self
            .nodes
            .iter()
            .enumerate()
            .map(
                |(index, node)| {
                    if is_plain(&node.name) { node.name.clone() } else { free_id("s", index, &names) }
                },
            )
            .collect();
        // An id and, where it does not say it all, the text to show: needed once, where it comes first.
        let declare = |index: usize| {
            let (id, text) = (ids[index].clone(), self.nodes.get(index).map_or("", |node| self.text(node)));
            if id == text { id } else { format!("{id}[{}]", quote(text)) }
        };
        let mut declared = Table::new(self.nodes.len());
        let mut out = String::from("graph TD\n");
        let mut depth = 1;
        let mut line = |depth: usize, text: &str| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
        };
        for entry in self.outline() {
            match entry {
                Outline::Enter(group) => {
                    let label = self.groups.get(group).map_or("", |group| &group.label);
                    line(depth, &format!("subgraph {} [{}]", free_id("g", group, &names), quote(label)));
                    depth += 1;
                }
                Outline::Step(index) => {
                    declared[index] = true;
                    line(depth, &declare(index));
                }
                Outline::Leave => {
                    depth -= 1;
                    line(depth, "end");
                }
            }
        }
        let mut mention = |index: usize| {
            if std::mem::replace(&mut declared[index], true) { ids[index].clone() } else { declare(index) }
        };
        for edge in self.edges.iter().filter(|edge| edge.from.max(edge.to) < self.nodes.len()) {
            let label = edge.label.as_ref().map(|label| format!("|{}|", quote(label))).unwrap_or_default();
            line(depth, &format!("{} -->{label} {}", mention(edge.from), mention(edge.to)));
        }
        for index in 0..self.nodes.len() {
            if !declared[index] {
                line(depth, &declare(index));
            }
        }
        out
    }
}

fn is_plain(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !RESERVED.split(' ').any(|word| name.eq_ignore_ascii_case(word))
}

/// An id that is no step's name. Two generated ids differ in the letter or the number.
fn free_id(letter: &str, index: usize, names: &HashSet<&str>) -> String {
    let mut id = format!("{letter}{index}");
    while names.contains(id.as_str()) {
        id.push('_');
    }
    id
}

/// A quoted label. Besides `"`, Mermaid gives a meaning to HTML, Markdown, icons (`fa:`), directives
/// (`%%{`), formulas (`$$`) and `\n`, so whatever is not a letter, digit or space is an entity, except
/// punctuation within a word. It rejects empty quotes, and takes a line with `direction LR` for a statement
/// even inside quotes.
fn quote(text: &str) -> String {
    let mut out = String::from("\"");
    let mut chars = text.chars().peekable();
    while let Some(char) = chars.next() {
        let in_word = chars.peek().is_some_and(|next| next.is_ascii_alphanumeric());
        match char {
            '"' => out.push_str("#quot;"),
            ' ' if !out.ends_with("direction") => out.push(char),
            '_' | '-' | '.' | '/' if in_word => out.push(char),
            _ if char.is_alphanumeric() => out.push(char),
            _ => {
                let _ = write!(out, "#{};", u32::from(char));
            }
        }
    }
    if text.is_empty() {
        out.push(' ');
    }
    out + "\""
}
