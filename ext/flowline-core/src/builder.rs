//! From names to a [`Graph`], with every mistake reported at once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::Hash;

use crate::graph::{Cycle, Digest, Graph, Rule};
use crate::ids::StepId;
use crate::names::nearest;

/// A name is compared with every other to find the one that was meant. Beyond this many problems suggestions are of
/// no use, and a large broken graph would take quadratic time.
const SUGGESTIONS: usize = 20;

/// Stands for a name while a graph is built, because comparing two keys is quicker than comparing names.
pub trait Key: Copy + Eq + Hash {
    /// Returns the name. Keys are equal if their names are, and only then.
    fn name(&self) -> Cow<'_, str>;
}

impl Key for &str {
    fn name(&self) -> Cow<'_, str> {
        Cow::Borrowed(self)
    }
}

/// Collects steps in definition order.
#[derive(Debug)]
pub struct Builder<K> {
    keys: Vec<K>,
    rules: Vec<Rule>,
    /// The dependencies of all steps, one step after the other, and where those of each end.
    depends_on: Vec<K>,
    ends: Vec<usize>,
}

impl<K> Default for Builder<K> {
    fn default() -> Self {
        Self { keys: vec![], rules: vec![], depends_on: vec![], ends: vec![] }
    }
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

impl<K: Key> Builder<K> {
    /// Adds a step. Its dependencies may be added later; [`Builder::build`] reports those that are missing.
    pub fn add(&mut self, key: K, depends_on: impl IntoIterator<Item = K>, rule: Rule) {
        self.keys.push(key);
        self.rules.push(rule);
        self.depends_on.extend(depends_on);
        self.ends.push(self.depends_on.len());
    }

    /// Builds the graph. No name is asked for before all keys have been compared.
    ///
    /// # Errors
    /// Every problem: duplicates, then missing dependencies, each in definition order, then cycles.
    pub fn build(self) -> Result<Graph, Vec<Problem>> {
        let Self { keys, rules, depends_on, ends } = self;
        let mut problems = Vec::new();
        let mut ids: HashMap<K, StepId> = HashMap::with_capacity(keys.len());
        let steps = StepId::first(keys.len());
        for (second, key) in steps.clone().zip(&keys) {
            let first = *ids.entry(*key).or_insert(second);
            if first != second {
                problems.push(Problem::Duplicate { first, second });
            }
        }
        let mut edges = Vec::with_capacity(depends_on.len());
        let mut missing = Vec::new();
        let mut start = 0;
        for (step, end) in steps.zip(ends) {
            for dependency in depends_on.get(std::mem::replace(&mut start, end)..end).unwrap_or_default() {
                match ids.get(dependency) {
                    Some(&id) => edges.push((id, step)),
                    None => missing.push((step, dependency)),
                }
            }
        }
        let names: Vec<_> = keys.iter().map(Key::name).collect();
        problems.extend(missing.into_iter().enumerate().map(|(count, (step, dependency))| {
            let candidates = names.iter().take(if count < SUGGESTIONS { usize::MAX } else { 0 });
            let own = names.get(step.index());
            let others = candidates.filter(|other| Some(*other) != own).map(|other| &**other);
            let dependency = dependency.name();
            let nearest = nearest(&dependency, others).map(str::to_owned);
            Problem::Missing { step, dependency: dependency.into_owned(), nearest }
        }));
        match Graph::named(rules, edges, Some(digest(&names))) {
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
fn digest(names: &[Cow<str>]) -> Digest {
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
