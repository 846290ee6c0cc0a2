//! Diagrams of a graph: Mermaid, DOT, boxes and lines for a terminal, SVG and JSON.
//!
//! A [`Diagram`] is plain data, already made of text that can be shown: the caller has escaped
//! control characters. Each format decides itself how to quote what is special to it.
//!
//! The terminal, SVG and JSON share one layout: `layers`, then `order`, then `place`. The terminal draws every step, and
//! routes lines in the columns of `route`. A picture folds what is too large to be read (`fold`), frames nested pipelines
//! (`scene`), and is then written as text (`svg`, `json`).

mod anneal;
mod ascii;
mod dot;
mod fold;
mod json;
mod layers;
mod levels;
mod mermaid;
mod order;
mod place;
mod route;
mod scene;
mod svg;
mod table;
mod view;

pub use ascii::TooLarge;
pub use svg::Sheet;
use table::Table;

/// The content of a diagram: steps in definition order, the edges between them, and groups around them.
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
    /// The text in its box: the name within its group, `validate`.
    pub label: String,
    /// The innermost group around it, as a position in [`Diagram::groups`].
    pub group: Option<usize>,
    /// Its state in a run. Only pictures show this and the following fields.
    pub state: Option<State>,
    /// Short lines below its name, such as how long it took.
    pub note: Option<String>,
    /// More text for a reader who points at it.
    pub title: Option<String>,
    /// A URL, such as that of its source.
    pub link: Option<String>,
    /// Whether it is called for each of several items.
    pub many: bool,
}

/// The state of a step, from the most ordinary to the one that deserves the most attention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Its output was there and was taken over from an earlier run.
    Restored,
    /// Its output came from the cache.
    Cached,
    /// Its callable returned.
    Succeeded,
    /// It has not started.
    Pending,
    /// It did not have to run.
    Skipped,
    /// It was stopped, or never started because of something that failed.
    Cancelled,
    /// It waits for a retry, a pool or a rate.
    Waiting,
    /// It runs.
    Running,
    /// A time limit ended it.
    TimedOut,
    /// It failed.
    Failed,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 10] = [
        Self::Restored,
        Self::Cached,
        Self::Succeeded,
        Self::Pending,
        Self::Skipped,
        Self::Cancelled,
        Self::Waiting,
        Self::Running,
        Self::TimedOut,
        Self::Failed,
    ];

    /// Returns its name, which is also its class in a picture.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::Cached => "cached",
            Self::Succeeded => "succeeded",
            Self::Pending => "pending",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
            Self::Waiting => "waiting",
            Self::Running => "running",
            Self::TimedOut => "timed_out",
            Self::Failed => "failed",
        }
    }

    /// Whether a step in this state is shown by itself among others that are alike.
    const fn stands_out(self) -> bool {
        matches!(self, Self::Waiting | Self::Running | Self::TimedOut | Self::Failed)
    }
}

/// An edge from a dependency to the step that depends on it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Edge {
    /// The dependency, as a position in [`Diagram::nodes`].
    pub from: usize,
    /// The dependent, as a position in [`Diagram::nodes`].
    pub to: usize,
    /// The kind of output that flows along it, if the pipeline's author named one: `Array`.
    pub label: Option<String>,
}

/// A nested pipeline: a frame around some steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// The text on its frame.
    pub label: String,
    /// The group around this one, as a position in [`Diagram::groups`].
    pub parent: Option<usize>,
}

impl Diagram {
    /// Returns the text in a step's box: its label if a frame shows the rest of its name, otherwise its name.
    fn text<'a>(&self, node: &'a Node) -> &'a str {
        if self.group_of(node).is_some() { &node.label } else { &node.name }
    }

    fn group_of(&self, node: &Node) -> Option<usize> {
        node.group.filter(|&group| group < self.groups.len())
    }

    /// The group around a group. A parent stands before its children, so climbing always ends.
    fn parent_of(&self, group: usize) -> Option<usize> {
        self.groups.get(group)?.parent.filter(|&parent| parent < group)
    }

    /// The groups that hold a step, opened and closed the way a text format nests them.
    fn outline(&self) -> Vec<Outline> {
        let mut steps: Table<Vec<Outline>> = Table::new(self.groups.len());
        let mut inner = steps.clone();
        for (index, group) in self.nodes.iter().enumerate().filter_map(|(i, n)| Some((i, self.group_of(n)?)))
        {
            steps[group].push(Outline::Step(index));
        }
        let mut stack = Vec::new();
        // Inner groups first, so an empty one is known; and from last to first, as the stack wants them.
        for group in (0..self.groups.len()).rev() {
            if steps[group].is_empty() && inner[group].is_empty() {
                continue;
            }
            self.parent_of(group).map_or(&mut stack, |parent| &mut inner[parent]).push(Outline::Enter(group));
        }
        let mut outline = Vec::new();
        while let Some(entry) = stack.pop() {
            outline.push(entry);
            if let Outline::Enter(group) = entry {
                outline.append(&mut steps[group]);
                stack.push(Outline::Leave);
                stack.append(&mut inner[group]);
            }
        }
        outline
    }
}

/// One line of [`Diagram::outline`].
#[derive(Debug, Clone, Copy)]
enum Outline {
    Enter(usize),
    Step(usize),
    Leave,
}
