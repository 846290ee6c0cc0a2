//! `Flowline::Native::Graph`: steps are integers in definition order.
use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use flowline_core::builder::{Builder, Key, Problem};
use flowline_core::graph::snapshot::{Detail, Member};
use flowline_core::graph::{Graph as Core, Rule, RunIf};
use flowline_core::ids::{PoolId, StepId};
use flowline_core::schedule::{Schedule, Uses};
use flowline_core::store::Graph as Text;
use magnus::rb_sys::AsRawValue;
use magnus::{
    Class, Error, IntoValue, Module, Object, RArray, RModule, Ruby, Symbol, TryConvert, TypedData, Value,
    function, method, typed_data::Obj,
};

use crate::error::{self, Kind};

#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Graph", free_immediately)]
pub struct Graph(pub Arc<Core>);

impl magnus::DataTypeFunctions for Graph {}

/// A graph as text, for the store.
#[derive(TypedData)]
#[magnus(class = "Flowline::Native::Snapshot", free_immediately)]
pub struct Snapshot(pub Arc<Text>);

impl magnus::DataTypeFunctions for Snapshot {}

pub fn init(ruby: &Ruby, native: RModule) -> Result<(), Error> {
    let class = native.define_class("Snapshot", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Snapshot::class(ruby);
    class.define_method("text", method!(Snapshot::text, 0))?;
    let class = native.define_class("Graph", ruby.class_object())?;
    class.undef_default_alloc_func();
    let _ = Graph::class(ruby); // Looked up now: later, an interruption might come in between.
    class.define_singleton_method("build", function!(Graph::build, 3))?;
    class.define_method("order", method!(Graph::order, 0))?;
    class.define_method("levels", method!(Graph::levels, 0))?;
    class.define_method("upstream", method!(Graph::upstream, 1))?;
    class.define_method("downstream", method!(Graph::downstream, 1))?;
    class.define_method("schedule", method!(Graph::schedule, 5))?;
    class.define_method("snapshot", method!(Graph::snapshot, 2))
}

impl Snapshot {
    fn text(&self) -> &str {
        self.0.text()
    }
}

impl Graph {
    /// `build(names: Array<Symbol>, depends_on: Array<Array<Symbol>>, rules: Array<Integer>)
    /// -> [Graph or nil, Array of problems]`
    ///
    /// A rule is 0, 1 or 2 for `run_if: :success`, `:any`, `:always`, plus 4 if the step is optional, plus 8 if it still runs
    /// after the run was stopped.
    /// A problem is `[:duplicate, first, second]`, `[:missing, step, dependency, nearest or nil]` or
    /// `[:cycle, steps]`.
    fn build(ruby: &Ruby, names: RArray, depends_on: RArray, rules: RArray) -> Result<RArray, Error> {
        let built = collect(ruby, names, depends_on, rules)?.build();
        let answer = ruby.ary_new_capa(2);
        match built {
            Ok(graph) => {
                answer.push(ruby.obj_wrap(Self(Arc::new(graph))))?;
                answer.push(ruby.ary_new())?;
            }
            Err(problems) => {
                answer.push(ruby.qnil())?;
                let list = ruby.ary_new_capa(problems.len());
                for problem in problems {
                    list.push(describe(ruby, problem)?)?;
                }
                answer.push(list)?;
            }
        }
        Ok(answer)
    }

    fn order(&self) -> Vec<u32> {
        numbers(self.0.order())
    }

    fn levels(ruby: &Ruby, rb_self: Obj<Self>) -> Result<RArray, Error> {
        let levels = ruby.ary_new();
        for level in rb_self.0.levels() {
            levels.push(ruby.ary_from_vec(numbers(&level)))?;
        }
        Ok(levels)
    }

    fn upstream(&self, steps: RArray) -> Result<Vec<u32>, Error> {
        Ok(numbers(&self.0.upstream(&ids(steps)?)))
    }

    fn downstream(&self, steps: RArray) -> Result<Vec<u32>, Error> {
        Ok(numbers(&self.0.downstream(&ids(steps)?)))
    }

    /// `schedule(seconds: Array<Float>, needs: Array<Array>, pools: Array<Integer>, wide: Array<[Integer, Integer]>, workers: Integer)
    /// -> [Float, Float, Integer]`: the seconds that a run takes with that many workers and with any number of them, and the least number of workers with
    /// which it is as fast as with any. A need is a step and an Array of pools and amounts; further elements are ignored.
    /// A wide step keeps several workers busy: it has its number, and how many.
    fn schedule(
        &self,
        seconds: Vec<f64>,
        needs: RArray,
        pools: Vec<u32>,
        wide: Vec<(u32, u32)>,
        workers: usize,
    ) -> Result<(f64, f64, usize), Error> {
        let wide: Vec<_> = wide.into_iter().map(|(step, workers)| (StepId::new(step), workers)).collect();
        let needs = needs.into_iter().map(uses).collect::<Result<Vec<_>, _>>()?;
        let schedule = Schedule::new(&self.0, &seconds, &needs, &pools, &wide);
        Ok((schedule.length(workers), schedule.shortest(), schedule.useful_workers()))
    }

    /// `snapshot(steps: Array<Array>, groups: Array<Array>) -> Snapshot`: see [`members`].
    fn snapshot(&self, steps: RArray, groups: RArray) -> Result<Snapshot, Error> {
        Ok(Snapshot(Arc::new(Text::new(self.0.snapshot(&members(steps)?, &members(groups)?)))))
    }
}

/// The name of a step. Ruby has one Symbol for all uses of a name, so its address stands for it. No Ruby object is made while
/// a graph is built, so that no Symbol is moved or freed.
#[derive(Clone, Copy)]
struct Name(Symbol);

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_raw() == other.0.as_raw()
    }
}

impl Eq for Name {}

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.as_raw().hash(state);
    }
}

impl Key for Name {
    fn name(&self) -> Cow<'_, str> {
        self.0.name().unwrap_or_default() // It is valid UTF-8.
    }
}

fn collect(ruby: &Ruby, names: RArray, depends_on: RArray, rules: RArray) -> Result<Builder<Name>, Error> {
    let mut builder = Builder::default();
    let mut on = Vec::new();
    for step in 0..names.len() as isize {
        let dependencies: RArray = depends_on.entry(step)?;
        for position in 0..dependencies.len() as isize {
            on.push(Name(dependencies.entry(position)?));
        }
        builder.add(Name(names.entry(step)?), on.drain(..), rule(ruby, rules.entry(step)?)?);
    }
    Ok(builder)
}

fn uses(row: Value) -> Result<(StepId, Uses), Error> {
    let row = RArray::try_convert(row)?;
    let taken: RArray = row.entry(1)?;
    let taken = taken.into_iter().map(|pair| {
        let (pool, amount) = TryConvert::try_convert(pair)?;
        Ok((PoolId::new(pool), amount))
    });
    Ok((StepId::new(row.entry(0)?), taken.collect::<Result<_, Error>>()?))
}

/// `[[name, group or nil, location, name of a fact, its text or texts, …], …]`
fn members(rows: RArray) -> Result<Vec<Member>, Error> {
    rows.into_iter()
        .map(|row| {
            let row = RArray::try_convert(row)?;
            let facts = (3..row.len() as isize).step_by(2);
            Ok(Member {
                name: row.entry(0)?,
                group: row.entry(1)?,
                location: row.entry(2)?,
                details: facts
                    .map(|at| Ok((row.entry(at)?, detail(row.entry(at + 1)?)?)))
                    .collect::<Result<_, Error>>()?,
            })
        })
        .collect()
}

fn detail(value: Value) -> Result<Detail, Error> {
    Ok(match RArray::from_value(value) {
        Some(texts) => Detail::Texts(texts.to_vec()?),
        None => Detail::Text(String::try_convert(value)?),
    })
}

fn ids(steps: RArray) -> Result<Vec<StepId>, Error> {
    Ok(steps.to_vec::<u32>()?.into_iter().map(StepId::new).collect())
}

fn numbers(steps: &[StepId]) -> Vec<u32> {
    steps.iter().map(|step| step.number()).collect()
}

fn rule(ruby: &Ruby, code: u8) -> Result<Rule, Error> {
    let run_if = match code & !12 {
        0 => RunIf::Success,
        1 => RunIf::Any,
        2 => RunIf::Always,
        _ => {
            let message = format!(
                "unknown rule {code}; known: 0, 1 or 2, plus 4 if the step is optional, plus 8 if it outlasts a stop"
            );
            return Err(error::new(ruby, Kind::Argument, message));
        }
    };
    Ok(Rule { run_if, optional: code & 4 != 0, lasting: code & 8 != 0 })
}

fn describe(ruby: &Ruby, problem: Problem) -> Result<RArray, Error> {
    let array = ruby.ary_new();
    match problem {
        Problem::Duplicate { first, second } => {
            array.push(ruby.to_symbol("duplicate"))?;
            array.push(first.number())?;
            array.push(second.number())?;
        }
        Problem::Missing { step, dependency, nearest } => {
            array.push(ruby.to_symbol("missing"))?;
            array.push(step.number())?;
            array.push(dependency)?;
            array.push(nearest.into_value_with(ruby))?;
        }
        Problem::Cycle(steps) => {
            array.push(ruby.to_symbol("cycle"))?;
            array.push(ruby.ary_from_vec(numbers(&steps)))?;
        }
    }
    Ok(array)
}
