//! A graph as text, for history: what a reader needs to draw it and to explain it when its definition is gone.
//!
//! It is a JSON object. `version` is that of this encoding, which changes only by new keys. `steps` are in definition order;
//! each has its `name` and, where they are not empty, `after` (the positions of the steps that it depends on), `group` (a
//! position in `groups`), and its details by name. A group has `name`, `parent` (a position in `groups`) and details.

use super::Graph;
use crate::ids::StepId;
use crate::json;

const VERSION: u32 = 1;

/// A step or a nested pipeline, as its declaration describes it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// The position of the nested pipeline that it belongs to.
    pub group: Option<u32>,
    /// The line that declares it, as `file:line`.
    pub location: Option<String>,
    /// Other parts of its declaration, by name.
    pub details: Vec<(String, Detail)>,
}

/// A detail of a declaration.
#[derive(Debug, Clone, PartialEq)]
pub enum Detail {
    /// A text.
    Text(String),
    /// Several texts.
    Texts(Vec<String>),
}

impl Graph {
    /// Returns the graph as text. `steps` are its steps in definition order.
    pub fn snapshot(&self, steps: &[Member], groups: &[Member]) -> String {
        let mut out = String::with_capacity(64 + 96 * (steps.len() + groups.len()));
        out.push_str(&format!("{{\"version\":{VERSION},\"steps\":"));
        json::list(&mut out, StepId::first(steps.len()).zip(steps), |out, (id, step)| {
            let after = if id.index() < self.len() { self.dependencies(id) } else { &[] };
            write(out, step, "group", after);
        });
        out.push_str(",\"groups\":");
        json::list(&mut out, groups, |out, group| write(out, group, "parent", &[]));
        out.push('}');
        out
    }
}

fn write(out: &mut String, member: &Member, owner: &str, after: &[StepId]) {
    out.push_str("{\"name\":");
    json::text(out, &member.name);
    if !after.is_empty() {
        out.push_str(",\"after\":");
        json::list(out, after, |out, step| out.push_str(&step.number().to_string()));
    }
    if let Some(group) = member.group {
        out.push_str(&format!(",\"{owner}\":{group}"));
    }
    if let Some(location) = &member.location {
        out.push_str(",\"location\":");
        json::text(out, location);
    }
    for (name, detail) in &member.details {
        out.push(',');
        json::text(out, name);
        out.push(':');
        match detail {
            Detail::Text(text) => json::text(out, text),
            Detail::Texts(texts) => json::list(out, texts, |out, text| json::text(out, text)),
        }
    }
    out.push('}');
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::graph::Rule;

    #[test]
    fn a_snapshot_has_steps_edges_groups_and_details() {
        let edge = (StepId::new(0), StepId::new(1));
        let graph = Graph::new(vec![Rule::default(); 2], [edge]).unwrap();
        let plain = Member { name: "a".to_owned(), location: Some("p.rb:1".to_owned()), ..Member::default() };
        let detailed = Member {
            name: "clean.\"b\"".to_owned(),
            group: Some(0),
            details: vec![
                ("description".to_owned(), Detail::Text("B".to_owned())),
                ("tags".to_owned(), Detail::Texts(vec!["x".to_owned(), "y".to_owned()])),
            ],
            ..Member::default()
        };
        let inner = Member { name: "clean.in".to_owned(), group: Some(0), ..Member::default() };
        let clean = Member { name: "clean".to_owned(), ..Member::default() };
        assert_eq!(
            graph.snapshot(&[plain, detailed], &[clean, inner]),
            r#"{"version":1,"steps":[{"name":"a","location":"p.rb:1"},{"name":"clean.\"b\"","after":[0],"group":0,"description":"B","tags":["x","y"]}],"groups":[{"name":"clean"},{"name":"clean.in","parent":0}]}"#
        );
    }
}
