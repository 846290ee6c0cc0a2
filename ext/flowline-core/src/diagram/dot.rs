//! Diagrams for Graphviz. Grammar: <https://graphviz.org/doc/info/lang.html>.

use super::{Diagram, Outline};
use std::fmt::Write;

impl Diagram {
    /// The diagram in the DOT language of Graphviz.
    #[must_use]
    pub fn dot(&self) -> String {
        let mut out = String::from("digraph {\n  node [shape=box];\n");
        let mut depth = 1;
        let mut line = |depth: usize, text: String| {
            // Writing to a string cannot fail.
            let _ = writeln!(out, "{:1$}{text}", "", depth * 2);
        };
        let id = |index: usize| self.nodes.get(index).map(|node| quote(&node.name));
        for node in self.nodes.iter().filter(|node| self.group_of(node).is_none()) {
            line(depth, format!("{};", quote(&node.name)));
        }
        for entry in self.outline() {
            match entry {
                Outline::Enter(group) => {
                    let label = self.groups.get(group).map(|group| quote(&group.label)).unwrap_or_default();
                    line(depth, format!("subgraph cluster_{group} {{"));
                    depth += 1;
                    line(depth, format!("label={label};"));
                }
                Outline::Step(index) => {
                    let Some(node) = self.nodes.get(index) else { continue };
                    line(depth, format!("{} [label={}];", quote(&node.name), quote(self.text(node))));
                }
                Outline::Leave => {
                    depth -= 1;
                    line(depth, "}".to_owned());
                }
            }
        }
        for edge in &self.edges {
            let (Some(from), Some(to)) = (id(edge.from), id(edge.to)) else { continue };
            let label = edge.label.as_ref().map(|label| format!(" [label={}]", quote(label)));
            line(depth, format!("{from} -> {to}{};", label.unwrap_or_default()));
        }
        out + "}\n"
    }
}

/// A quoted string. A backslash begins an escape in a label (`\n`, `\N`) and would swallow the closing
/// quote; `&` begins an HTML entity even outside HTML labels; Graphviz replaces a name that begins with `%`
/// by one of its own. Escaped names stay distinct, so names and labels can share the rule.
fn quote(text: &str) -> String {
    let escaped = text.replace('\\', "\\\\").replace('"', "\\\"").replace('&', "&amp;");
    match escaped.strip_prefix('%') {
        Some(rest) => format!("\"&#37;{rest}\""),
        None => format!("\"{escaped}\""),
    }
}
