//! Shared by the tests: graphs written as text, and a random source that can be repeated.

pub mod process;
pub mod script;
pub mod store;

use std::sync::Arc;

use flowline_core::builder::Builder;
use flowline_core::event::{Event, OnError, RunError};
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::{PoolId, Position, StepId};
use flowline_core::journal::Reader;
use flowline_core::run::Run;

/// The run that went through those events.
pub fn replay(
    graph: Arc<Graph>,
    on_error: OnError,
    events: impl IntoIterator<Item = Event>,
) -> Result<Run, RunError> {
    let mut run = Run::new(graph, on_error);
    events.into_iter().try_for_each(|event| run.apply(event))?;
    Ok(run)
}

/// The events of a journal.
pub fn events(journal: &[u8]) -> Vec<Event> {
    Reader::new(journal).unwrap().map(Result::unwrap).collect()
}

/// The step of that number.
pub const fn nth(number: u32) -> StepId {
    StepId::new(number)
}

/// The steps of those numbers.
pub fn nths(numbers: impl IntoIterator<Item = u32>) -> Vec<StepId> {
    numbers.into_iter().map(nth).collect()
}

/// The item at that position.
pub const fn item(position: u64) -> Position {
    Position::new(position)
}

/// The pool of that number.
pub const fn pool(number: u32) -> PoolId {
    PoolId::new(number)
}

/// A graph whose steps have names: `"a; b: a; c: a b | any optional"`.
pub struct Named<'a> {
    pub names: Vec<&'a str>,
    pub graph: Arc<Graph>,
}

/// The steps of such a text, not yet built.
pub fn define(text: &str) -> (Vec<&str>, Builder<&str>) {
    let mut builder = Builder::default();
    let mut names = Vec::new();
    for step in text.split(';').map(str::trim).filter(|step| !step.is_empty()) {
        let (step, flags) = step.split_once('|').unwrap_or((step, ""));
        let (name, depends_on) = step.split_once(':').unwrap_or((step, ""));
        let mut rule = Rule::default();
        for flag in flags.split_whitespace() {
            match flag {
                "any" => rule.run_if = RunIf::Any,
                "always" => rule.run_if = RunIf::Always,
                "optional" => rule.optional = true,
                "lasting" => rule.lasting = true,
                _ if flag.contains('=') => {} // The resources that it shares: see the scripts.
                _ => panic!("no such flag: {flag}"),
            }
        }
        builder.add(name.trim(), depends_on.split_whitespace(), rule);
        names.push(name.trim());
    }
    (names, builder)
}

/// The graph of such a text, which must be valid.
pub fn graph(text: &str) -> Named<'_> {
    let (names, builder) = define(text);
    Named { names, graph: Arc::new(builder.build().unwrap()) }
}

impl Named<'_> {
    pub fn id(&self, name: &str) -> StepId {
        self.find(name).unwrap_or_else(|| panic!("no step {name}"))
    }

    pub fn ids(&self, names: &str) -> Vec<StepId> {
        names.split_whitespace().map(|name| self.id(name)).collect()
    }

    pub fn find(&self, name: &str) -> Option<StepId> {
        self.names.iter().position(|known| *known == name).map(|step| nth(step as u32))
    }

    /// The names of those steps, as in `"a b c"`.
    pub fn show(&self, steps: &[StepId]) -> String {
        steps.iter().map(|&step| self.names[step.index()]).collect::<Vec<_>>().join(" ")
    }
}

/// Runs it with a stack in which nothing that recurses once a step gets far.
pub fn on_a_small_stack(test: impl FnOnce() + Send + 'static) {
    std::thread::Builder::new().stack_size(256 * 1024).spawn(test).unwrap().join().unwrap();
}

/// splitmix64 (Steele, Lea & Flood 2014).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound - 1`.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub fn percent(&mut self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

/// Runs a property on many seeds, or on the one asked for.
pub fn for_each_seed(cases: u64, mut property: impl FnMut(&mut Random)) {
    struct PrintSeed(u64);
    impl Drop for PrintSeed {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("to repeat this case alone: FLOWLINE_SEED={}", self.0);
            }
        }
    }
    let wanted = std::env::var("FLOWLINE_SEED").ok().map(|seed| seed.parse().expect("a seed is a number"));
    for seed in wanted.map_or(0..cases, |seed: u64| seed..seed + 1) {
        let _print = PrintSeed(seed);
        property(&mut Random(seed));
    }
}
