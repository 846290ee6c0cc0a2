//! Diagrams of a graph: Mermaid, DOT, and boxes and lines for a terminal.
//!
//! A [`Diagram`] is plain data, already made of text that can be shown: the caller has escaped
//! control characters. Each format decides itself how to quote what is special to it.

/// What a diagram shows: steps in definition order, the edges between them, and groups around them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Diagram {
    /// The steps, in definition order. Everything else refers to them by position.
    pub nodes: Vec<Node>,
    /// From a dependency to its dependent, in definition order of the dependent.
    pub edges: Vec<Edge>,
    /// Nested pipelines. A parent stands before its children.
    pub groups: Vec<Group>,
}

/// A step.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// The step's whole name, unique in the diagram: `clean.validate`.
    pub name: String,
    /// What is written on it: the name within its group, `validate`.
    pub label: String,
    /// The innermost group around it, as a position in [`Diagram::groups`].
    pub group: Option<usize>,
}

/// An edge from a dependency to the step that depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    /// The dependency, as a position in [`Diagram::nodes`].
    pub from: usize,
    /// The dependent, as a position in [`Diagram::nodes`].
    pub to: usize,
    /// What flows along it, if the pipeline's author said so: `Array`.
    pub label: Option<String>,
}

/// A nested pipeline: a frame around some steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// What is written on its frame.
    pub label: String,
    /// The group around this one, as a position in [`Diagram::groups`].
    pub parent: Option<usize>,
}
#[allow(missing_docs)]
impl Diagram {
    pub fn mermaid(&self) -> String {
        String::new()
    }
    pub fn dot(&self) -> String {
        String::new()
    }
    pub fn ascii(&self) -> Result<String, std::fmt::Error> {
        Ok(String::new())
    }
}
