//! From names to a [`Graph`], with every mistake reported at once.

use std::collections::HashMap;

use crate::graph::{Cycle, Digest, Graph, Rule};
use crate::ids::StepId;
use crate::names::nearest;

/// A name is compared with every other to find the one that was meant. Beyond this many problems suggestions are of
/// no use, and a large broken graph would take quadratic time.
const SUGGESTIONS: usize = 20;

/// Collects steps in definition order.
#[derive(Debug, Default)]
pub struct Builder {
    names: Vec<String>,
    rules: Vec<Rule>,
    depends_on: Vec<Vec<String>>,
}

/// A mistake in the steps that were added.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// Two steps have the same name.
    #[error("steps {first} and {second} have the same name")]
    Duplicate {
        /// The step defined first.
        first: StepId,
        /// The one that has its name, too.
        second: StepId,
    },
    /// A step depends on a name that no step has.
    #[error("step {step} depends on {dependency:?}, which does not exist")]
    Missing {
        /// The step that depends.
        step: StepId,
        /// The name it gave.
        dependency: String,
        /// The name that was probably meant.
        nearest: Option<String>,
    },
    /// Steps depend on each other in a circle.
    #[error("steps {} form a cycle", show(.0))]
    Cycle(Cycle),
}

fn show(cycle: &Cycle) -> String {
    cycle.iter().map(StepId::to_string).collect::<Vec<_>>().join(" → ")
}

impl Builder {
    /// Adds a step. Its dependencies may be added later; [`Builder::build`] reports those that are missing.
    pub fn add(&mut self, name: String, depends_on: Vec<String>, rule: Rule) {
        self.names.push(name);
        self.depends_on.push(depends_on);
        self.rules.push(rule);
    }

    /// Builds the graph.
    ///
    /// # Errors
    /// Every problem: duplicates, then missing dependencies, each in definition order, then cycles.
    pub fn build(self) -> Result<Graph, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut ids: HashMap<&str, StepId> = HashMap::with_capacity(self.names.len());
        let steps = StepId::first(self.names.len());
        for (second, name) in steps.clone().zip(&self.names) {
            let first = *ids.entry(name).or_insert(second);
            if first != second {
                problems.push(Problem::Duplicate { first, second });
            }
        }
        let mut edges = Vec::with_capacity(self.depends_on.iter().map(Vec::len).sum());
        let mut suggestions = SUGGESTIONS;
        for ((step, name), depends_on) in steps.zip(&self.names).zip(&self.depends_on) {
            for dependency in depends_on {
                if let Some(&id) = ids.get(dependency.as_str()) {
                    edges.push((id, step));
                    continue;
                }
                let names = self.names.iter().take(if suggestions > 0 { usize::MAX } else { 0 });
                suggestions = suggestions.saturating_sub(1);
                let others = names.filter(|other| *other != name).map(String::as_str);
                let nearest = nearest(dependency, others).map(str::to_owned);
                problems.push(Problem::Missing { step, dependency: dependency.clone(), nearest });
            }
        }
        match Graph::named(self.rules, edges, Some(digest(&self.names))) {
            Ok(graph) if problems.is_empty() => Ok(graph),
            Ok(_) => Err(problems),
            Err(cycles) => {
                problems.extend(cycles.into_iter().map(Problem::Cycle));
                Err(problems)
            }
        }
    }
}

/// The digest of the names in their order.
fn digest(names: &[String]) -> Digest {
    const PORTION: usize = 64 * 1024; // Digesting each name by itself takes several times as long.
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::with_capacity(PORTION);
    for name in names {
        bytes.extend_from_slice(&(name.len() as u64).to_le_bytes());
        bytes.extend_from_slice(name.as_bytes());
        if bytes.len() >= PORTION {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes).finalize().into()
}
