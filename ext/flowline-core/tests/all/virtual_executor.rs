//! Workers that take their next step themselves, in virtual time and random order: random graphs, pools,
//! rates, items that come bit by bit, retries, failures, presets, stops and deadlines against a naive reading of the
//! contract. Some of the runs have a twin, which is rebuilt from the journal of the run at random points, and must
//! decide as the run does from there on.
//!
//! A failure prints its seed; `FLOWLINE_SEED=<seed> cargo test --test virtual_executor` repeats that case alone.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use crate::common::script::view;
use crate::common::{Random, events, for_each_seed, item, nth, pool};
use flowline_core::event::Outcome::{Cached, Cancelled, Failed, Restored, Skipped, Succeeded, TimedOut};
use flowline_core::event::{
    CancelReason, Event, ItemCounts, ItemReport, Nanos, Next, OnError, OnItemError, Outcome, Report,
    RunError, SkipReason, Stop,
};
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::{PoolId, Position, Rank, StepId};
use flowline_core::ranking::Ranking;
use flowline_core::resources::Needs;
use flowline_core::run::Run;

/// The behaviour of a step's items when they are called.
struct Map {
    retries: Vec<u32>,
    failing: Vec<bool>,
    on_error: OnItemError,
    most: u32,
    /// How many come at a time, at most.
    portion: usize,
    /// How long it may take until the next ones come, or until it is known that there are no more.
    pause: usize,
}

impl Map {
    fn len(&self) -> u64 {
        self.retries.len() as u64
    }

    /// Whether its items fail their step.
    fn fails(&self) -> bool {
        self.on_error != OnItemError::Collect && self.failing.contains(&true)
    }

    /// Returns the result of an item.
    fn result(&self, input: u64, position: u64) -> u64 {
        mix(input, if self.failing[position as usize] { !position } else { position })
    }
}

struct Step {
    rule: Rule,
    dependencies: Vec<usize>,
    retries: u32,
    ending: Outcome,
    map: Option<Map>,
    needs: Needs,
    /// How it has ended before the run begins.
    preset: Option<Outcome>,
}

/// A graph, how its steps behave, and what they share.
struct Case {
    steps: Vec<Step>,
    graph: Arc<Graph>,
    ranks: Vec<Rank>,
    seconds: Option<Vec<Option<f64>>>,
    pools: Vec<u32>,
}

/// How much of what there is in a case, in percent.
struct Mix {
    troubles: usize,
    special: usize,
    maps: usize,
    pools: usize,
    rates: usize,
    presets: usize,
}

impl Mix {
    fn of_everything(random: &mut Random) -> Self {
        Self {
            troubles: random.pick(&[0, 10, 30]),
            special: random.pick(&[0, 20, 50]),
            maps: random.pick(&[0, 30, 60]),
            pools: random.pick(&[0, 30, 60]),
            rates: random.pick(&[0, 20]),
            presets: random.pick(&[0, 0, 20]),
        }
    }
}

fn case(random: &mut Random, mix: &Mix) -> Case {
    let count = 1 + random.below(9);
    let density = random.pick(&[0, 10, 20, 40]);
    let pools: Vec<u32> = (0..1 + random.below(3)).map(|_| 1 + random.below(4) as u32).collect();
    let mut steps = Vec::new();
    let mut edges = Vec::new();
    for id in 0..count {
        let dependencies: Vec<usize> = (0..id).filter(|_| random.percent(density)).collect();
        edges.extend(dependencies.iter().map(|&from| (nth(from as u32), nth(id as u32))));
        let run_if = match random.percent(mix.special) {
            true => random.pick(&[RunIf::Any, RunIf::Always]),
            false => RunIf::Success,
        };
        let ending = match random.percent(mix.troubles) {
            true => random.pick(&[Failed, Failed, TimedOut, Skipped(SkipReason::Condition)]),
            false => random.pick(&[Succeeded, Succeeded, Succeeded, Succeeded, Cached, Restored]),
        };
        let map = (ending == Succeeded && random.percent(mix.maps)).then(|| map(random, mix.troubles));
        let retries = if random.percent(25) { 1 + random.below(3) as u32 } else { 0 };
        let mut needs = Needs::default();
        for (pool, &size) in (0..).map(pool).zip(&pools) {
            if random.percent(mix.pools) {
                needs.pools.push((pool, 1 + random.below(size as usize) as u32));
            }
        }
        random.shuffle(&mut needs.pools);
        if random.percent(mix.rates) {
            needs.rate = Some((1 + random.below(3) as u32, 1 + random.below(15) as Nanos));
        }
        let rule = Rule { run_if, optional: random.percent(mix.special / 2), ..Rule::default() };
        let ending = if map.as_ref().is_some_and(Map::fails) { Failed } else { ending };
        let preset = random.percent(mix.presets);
        let preset = preset.then(|| random.pick(&[Restored, Restored, Skipped(SkipReason::NotSelected)]));
        steps.push(Step { rule, dependencies, retries, ending, map, needs, preset });
    }
    let graph = Arc::new(Graph::new(steps.iter().map(|step| step.rule).collect(), edges).unwrap());
    let seconds = random
        .percent(30)
        .then(|| (0..count).map(|_| random.percent(70).then(|| random.below(5) as f64)).collect::<Vec<_>>());
    let ids = StepId::first(count);
    let ranks = match &seconds {
        Some(seconds) => {
            let ranking = Ranking::by_time(&graph, seconds);
            ids.map(|step| ranking.rank(step)).collect()
        }
        None => ids.map(|step| graph.rank(step)).collect(),
    };
    Case { steps, graph, ranks, seconds, pools }
}

fn map(random: &mut Random, troubles: usize) -> Map {
    let len = random.below(7);
    let retries = (0..len).map(|_| if random.percent(25) { 1 + random.below(3) as u32 } else { 0 }).collect();
    let share = if random.percent(troubles) { random.pick(&[20, 50, 100]) } else { 0 };
    let failing = (0..len).map(|_| random.percent(share)).collect();
    let on_error = random.pick(&[
        OnItemError::FailAt(1),
        OnItemError::FailAt(2),
        OnItemError::FailAt(u32::MAX),
        OnItemError::Collect,
    ]);
    let most = if random.percent(20) { u32::MAX } else { 1 + random.below(4) as u32 };
    Map {
        retries,
        failing,
        on_error,
        most,
        portion: random.pick(&[1, 3, 7]),
        pause: random.pick(&[1, 4, 15]),
    }
}

fn mix(seed: u64, value: u64) -> u64 {
    Random(seed.rotate_left(17) ^ value).next()
}

impl Case {
    fn always(&self, step: usize) -> bool {
        self.steps[step].rule.run_if == RunIf::Always
    }

    /// The output of a step that was restored before the run began.
    fn restored(&self, step: usize) -> Option<u64> {
        (self.steps[step].preset == Some(Restored)).then(|| mix(7, step as u64))
    }

    /// The outcome and the output of a step if nothing stops the run, one step after the other.
    fn sequential(&self) -> Vec<(Outcome, Option<u64>)> {
        let mut known: Vec<(Outcome, Option<u64>)> = Vec::new();
        for step in &self.steps {
            if let Some(outcome) = step.preset {
                known.push((outcome, self.restored(known.len())));
                continue;
            }
            let (mut outputs, mut failures) = (0, 0);
            for &dependency in &step.dependencies {
                match known[dependency].0 {
                    Failed | TimedOut if self.steps[dependency].rule.optional => {}
                    Failed | TimedOut | Cancelled(_) => failures += 1,
                    Skipped(_) => {}
                    _ => outputs += 1,
                }
            }
            let runs = match step.rule.run_if {
                RunIf::Always => true,
                RunIf::Any => outputs > 0 || step.dependencies.is_empty(),
                RunIf::Success => outputs == step.dependencies.len(),
            };
            let outcome = match (runs, failures) {
                (true, _) => step.ending,
                (false, 0) => Skipped(SkipReason::UpstreamSkipped),
                (false, _) => Cancelled(CancelReason::UpstreamFailed),
            };
            let input = input(step, |dependency| known[dependency].1);
            let output = matches!(outcome, Succeeded | Cached | Restored).then(|| match &step.map {
                Some(map) => {
                    (0..map.len()).fold(input, |all, position| mix(all, map.result(input, position)))
                }
                None => mix(input, known.len() as u64),
            });
            known.push((outcome, output));
        }
        known
    }
}

/// Returns the value that a step computes from the outputs of its dependencies.
fn input(step: &Step, output: impl Fn(usize) -> Option<u64>) -> u64 {
    step.dependencies.iter().fold(1, |all, &dependency| mix(all, output(dependency).unwrap_or(0)))
}

/// The state of a step as the test observes it, without asking the run.
#[derive(Default)]
struct Live {
    /// It was started and not reported on.
    running: bool,
    waiting: Option<Nanos>,
    calls: u32,
    starts: u32,
    /// Starts that hold what they took of the pools.
    holding: u32,
    /// The generation in which the run found that it waits for a pool, if it does.
    waits_since: Option<u64>,
    /// How often each step, by its number, has taken room that this one waits for, while that was first in line.
    overtaken: Vec<u32>,
    /// When it counts as started.
    started: Option<Nanos>,
    /// When it was called, or its items.
    begun: Vec<Nanos>,
    /// How many starts may yet lead to a call.
    expected: usize,
    /// Until when, at most, the run may think that its rate delays it, because of calls expected when it was asked.
    guessed: Nanos,
    open: bool,
    /// When the next items come, unless all have.
    feeding: Option<Nanos>,
    supplied: u64,
    in_flight: u32,
    fresh: u64,
    exhausted: bool,
    /// It was started to be reported on.
    closing: bool,
    counts: ItemCounts,
    left_over: bool,
    /// Items to be tried again, until they are taken.
    retries: Vec<(Nanos, Position)>,
    /// The items in `retries` are not tried again after all, except where a start was made for them.
    given_up: bool,
    /// The purposes of starts for which no item was taken yet.
    handed: VecDeque<Handed>,
    item_starts: Vec<u32>,
    item_failed: Vec<u32>,
    results: Vec<Option<u64>>,
    output: Option<u64>,
    /// How often its end was reported.
    reports: u32,
    reported: Option<Outcome>,
}

impl Live {
    /// When the items are to be tried again that nothing was started for.
    fn retries(&self) -> Vec<Nanos> {
        let mut times: Vec<Nanos> = self.retries.iter().map(|&(until, _)| until).collect();
        times.sort_unstable();
        let started = self.handed.iter().filter(|handed| **handed == Handed::Again).count();
        times.split_off(if self.given_up { times.len() } else { started })
    }

    fn has_retry(&self, now: Nanos) -> bool {
        self.retries().first().is_some_and(|&until| until <= now)
    }

    /// Whether an item could start, but for how many are in flight.
    fn has_next(&self, now: Nanos) -> bool {
        self.has_retry(now) || self.fresh < self.supplied
    }

    /// Whether items are left that nothing was started for, or may be to come.
    fn has_left(&self) -> bool {
        !self.exhausted || self.fresh < self.supplied || !self.retries().is_empty()
    }

    /// Whether nothing is left of the open step but to report on it.
    fn is_over(&self) -> bool {
        self.open && !self.closing && self.in_flight == 0 && !self.has_left()
    }

    /// Whether a stop has ended the open step.
    fn is_cut(&self) -> bool {
        self.open && self.left_over && self.in_flight == 0
    }

    /// No item is taken any more but those that were started.
    fn close(&mut self) {
        self.exhausted = true;
        self.supplied = self.fresh;
        self.given_up = true;
    }
}

/// The purpose of a start of an open step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Handed {
    /// An item to be tried again.
    Again,
    Fresh(u64),
    /// The report on the step.
    Close,
}

#[derive(Debug, Clone, Copy)]
enum Job {
    /// The step itself, or what comes before its items.
    Step,
    Item(Position),
    /// All items have ended.
    Close,
}

#[derive(Debug, Clone, Copy)]
enum Worker {
    Idle,
    /// Until that time, or the next change.
    Asleep(Option<Nanos>),
    /// It was given a start of an open step, and has not taken its item.
    Handed(usize),
    /// It makes ready for a call, which begins at that time.
    Preparing(usize, Job, Nanos),
    /// Until that time; whether it has called something.
    Busy(usize, Job, bool, Nanos),
    Gone,
}

#[derive(Debug, Clone, Copy)]
enum Actor {
    Worker(usize),
    /// The actor that supplies the items of that step.
    Feeder(usize),
}

/// A run, its journal so far, and perhaps a twin that was rebuilt from the journal.
struct Watched {
    run: Run,
    journal: Vec<u8>,
    twin: Option<Run>,
    /// The steps that `drain_ended` has returned so far.
    drained: Vec<StepId>,
    steps: usize,
}

impl Deref for Watched {
    type Target = Run;

    fn deref(&self) -> &Run {
        &self.run
    }
}

impl Watched {
    /// Makes the call, on the twin too, which must answer the same.
    fn call<T: PartialEq + std::fmt::Debug>(&mut self, call: impl Fn(&mut Run) -> T) -> T {
        let answer = call(&mut self.run);
        if let Some(twin) = &mut self.twin {
            assert_eq!(call(twin), answer, "the answer of the twin");
        }
        answer
    }

    /// Rebuilds the twin from the journal.
    fn rebuild(&mut self, case: &Case, now: Nanos) {
        self.journal.extend(self.run.take_events());
        let mut twin = Run::replay(case.graph.clone(), &self.journal).expect("it is a whole journal");
        assert_eq!(twin.drain_ended(), self.drained, "the steps that ended unreported, in replay");
        self.twin = Some(twin);
        self.compare(now);
    }

    /// All that can be seen of the twin is as it is of the run.
    fn compare(&self, now: Nanos) {
        if let Some(twin) = &self.twin {
            assert_eq!(view(twin, self.steps, now), view(&self.run, self.steps, now), "the twin");
        }
    }

    fn next(&mut self, now: Nanos) -> Next {
        self.call(|run| run.next(now))
    }

    fn begin(&mut self, step: StepId, now: Nanos) -> Result<(), RunError> {
        self.call(|run| run.begin(step, now))
    }

    fn take(&mut self, step: StepId) -> Option<Position> {
        self.call(|run| run.take(step))
    }

    fn open(&mut self, step: StepId, most: u32, on: OnItemError, now: Nanos) -> Result<(), RunError> {
        self.call(|run| run.open(step, most, on, now))
    }

    fn supply(&mut self, step: StepId, count: u64) {
        self.call(|run| run.supply(step, count));
    }

    fn exhaust(&mut self, step: StepId) {
        self.call(|run| run.exhaust(step));
    }

    fn report_item(
        &mut self,
        step: StepId,
        report: ItemReport,
        called: bool,
        now: Nanos,
    ) -> Result<(), RunError> {
        self.call(|run| run.report_item(step, report, called, now))
    }

    fn report(&mut self, step: StepId, report: Report, now: Nanos) -> Result<(), RunError> {
        self.call(|run| run.report(step, report, now))
    }

    fn stop(&mut self, stop: Stop, entirely: bool, now: Nanos) {
        self.call(|run| run.stop(stop, entirely, now));
    }

    fn drain_ended(&mut self) -> Vec<StepId> {
        let drained = self.call(Run::drain_ended);
        self.drained.extend_from_slice(&drained);
        drained
    }
}

struct Execution<'a> {
    case: &'a Case,
    run: Watched,
    now: Nanos,
    deadline: Option<Nanos>,
    workers: Vec<Worker>,
    live: Vec<Live>,
    stopped: Option<(Stop, bool)>,
    failures: Vec<StepId>,
    events: Vec<Event>,
    /// When `next` last had nothing to start and nothing has changed since but the time.
    waited: Option<Nanos>,
    /// Begins with every start of a started step that overtakes a step of the last generation.
    generation: u64,
    /// The order of waiting steps is not known any more: it may depend on how often the run looked at some of them.
    is_vague: bool,
}

impl<'a> Execution<'a> {
    fn new(case: &'a Case, on_error: OnError, workers: usize, deadline: Option<Nanos>) -> Self {
        let mut run = Run::new(case.graph.clone(), on_error);
        run.keep_journal().unwrap();
        let needs = case.graph.steps().zip(&case.steps).map(|(id, step)| (id, step.needs.clone()));
        run.share(&case.pools, needs.filter(|(_, needs)| *needs != Needs::default()).collect()).unwrap();
        if let Some(seconds) = &case.seconds {
            run.expect(seconds).unwrap();
        }
        if let Some(deadline) = deadline {
            run.limit(deadline);
        }
        run.preset(|step| case.steps[step.index()].preset, 0).unwrap();
        let steps = case.steps.len();
        let run = Watched { run, journal: vec![], twin: None, drained: vec![], steps };
        let live = |(id, step): (usize, &Step)| {
            let items = step.map.as_ref().map_or(0, |map| map.retries.len());
            Live {
                overtaken: vec![0; steps],
                item_starts: vec![0; items],
                item_failed: vec![0; items],
                results: vec![None; items],
                output: case.restored(id),
                ..Live::default()
            }
        };
        Self {
            case,
            run,
            now: 0,
            deadline,
            workers: vec![Worker::Idle; workers],
            live: case.steps.iter().enumerate().map(live).collect(),
            stopped: None,
            failures: vec![],
            events: vec![],
            waited: None,
            generation: 0,
            is_vague: false,
        }
    }

    /// Runs it to its end; `stops` is the chance of a stop in each breath, in per mille; `twins` is the chance that
    /// the twin is rebuilt, in percent.
    fn finish(mut self, random: &mut Random, stops: usize, twins: usize) -> Self {
        let mut breaths = 0;
        let mut chance = Random(random.next());
        self.note_passed_over();
        while !self.workers.iter().all(|worker| matches!(worker, Worker::Gone)) {
            breaths += 1;
            assert!(breaths < 50_000, "it never ends");
            if random.below(1000) < stops {
                self.stop(
                    random.pick(&[Stop::Interrupted, Stop::TimedOut, Stop::Failed]),
                    random.percent(30),
                );
            }
            let workers = (0..self.workers.len()).filter(|&worker| self.can_act(worker)).map(Actor::Worker);
            let is_due = |&step: &usize| self.live[step].feeding.is_some_and(|at| at <= self.now);
            let feeders = (0..self.live.len()).filter(is_due).map(Actor::Feeder);
            let able: Vec<Actor> = workers.chain(feeders).collect();
            match able.is_empty() {
                true => self.pass_time(),
                false => match random.pick(&able) {
                    Actor::Worker(worker) => self.act(worker, random),
                    Actor::Feeder(step) => self.feed(step, random),
                },
            }
            self.note_passed_over();
            if chance.percent(twins) {
                self.run.rebuild(self.case, self.now);
            }
            self.run.compare(self.now);
        }
        self
    }

    fn can_act(&self, worker: usize) -> bool {
        match self.workers[worker] {
            Worker::Idle | Worker::Handed(_) => true,
            Worker::Asleep(until) => until.is_some_and(|until| until <= self.now),
            Worker::Preparing(_, _, until) | Worker::Busy(_, _, _, until) => until <= self.now,
            Worker::Gone => false,
        }
    }

    /// No worker can do anything now.
    fn pass_time(&mut self) {
        if self.workers.iter().any(|worker| matches!(worker, Worker::Asleep(_))) {
            let idle = self.idle();
            assert_eq!(idle, None, "a worker is idle, and this step could start");
        }
        let next = self.workers.iter().filter_map(|worker| match worker {
            Worker::Asleep(until) => *until,
            Worker::Preparing(_, _, until) | Worker::Busy(_, _, _, until) => Some(*until),
            _ => None,
        });
        let feeders = self.live.iter().filter_map(|live| live.feeding);
        self.now = next.chain(feeders).min().expect("everybody waits for nothing: a deadlock");
    }

    /// The run changed: workers that sleep ask again.
    fn changed(&mut self, event: Event) {
        self.events.push(event);
        self.waited = None;
        for worker in &mut self.workers {
            if matches!(worker, Worker::Asleep(_)) {
                *worker = Worker::Idle;
            }
        }
        if self.stopped.is_none() && self.run.is_stopped() {
            self.note_stop(Stop::Failed, false);
        }
    }

    fn act(&mut self, worker: usize, random: &mut Random) {
        let state = self.workers[worker];
        self.workers[worker] = Worker::Idle;
        match state {
            Worker::Idle | Worker::Asleep(_) => self.ask(worker, random),
            Worker::Handed(step) => self.take(worker, step, random),
            Worker::Preparing(step, Job::Item(position), _)
                if self.is_stopped(step) && random.percent(50) =>
            {
                self.report_item(step, position, ItemReport::Withdrawn, false);
            }
            Worker::Preparing(step, job, _) => self.begin(worker, step, job, random),
            Worker::Busy(step, Job::Step, ..) if self.is_to_retry(step) => self.retry(step, random),
            Worker::Busy(step, Job::Step, ..) if self.case.steps[step].map.is_some() => {
                self.open(step, random);
            }
            Worker::Busy(step, Job::Step | Job::Close, ..) => self.report(step),
            Worker::Busy(step, Job::Item(position), called, _) => {
                let map = self.case.steps[step].map.as_ref().unwrap();
                let report = if self.is_item_to_retry(step, position) {
                    ItemReport::RetryAt(position, self.now + random.below(8) as Nanos)
                } else if map.failing[position.index()] {
                    ItemReport::Failed
                } else {
                    random.pick(&[ItemReport::Done, ItemReport::Done, ItemReport::Restored])
                };
                self.report_item(step, position, report, called);
            }
            Worker::Gone => panic!("it is gone"),
        }
    }

    fn is_to_retry(&self, step: usize) -> bool {
        self.live[step].calls < self.case.steps[step].retries
    }

    fn is_item_to_retry(&self, step: usize, position: Position) -> bool {
        let map = self.case.steps[step].map.as_ref().unwrap();
        self.live[step].item_failed[position.index()] < map.retries[position.index()]
    }

    fn ask(&mut self, worker: usize, random: &mut Random) {
        if self.deadline.is_some_and(|deadline| deadline <= self.now) {
            self.deadline = None;
            if self.run.ended() < self.live.len() && self.stopped.is_none() {
                self.events.push(Event::Stopped { stop: Stop::TimedOut, entirely: false, at: self.now });
                self.note_stop(Stop::TimedOut, false);
            }
        }
        self.note_guesses();
        self.note_ends_of_waits();
        let has_ready = self.run.has_ready();
        let next = self.run.next(self.now);
        assert_eq!(self.run.is_stopped(), self.stopped.is_some(), "nothing else stops it");
        self.note_passed_over();
        let cut = |step: &usize| self.is_stopped(*step) && !self.ended(*step) && self.live[*step].is_cut();
        assert_eq!((0..self.live.len()).find(cut), None, "a stop has ended this step");
        match next {
            Next::Start(step) => {
                assert!(has_ready || self.waited != Some(self.now), "there was nothing ready: {step}");
                self.check_start(step.index());
                self.note_waits(Some(step.index()));
                self.note_overtaking(step.index());
                self.start(worker, step.index(), random);
            }
            Next::Wait(until) => {
                let idle = self.idle();
                assert_eq!(idle, None, "this step could start");
                self.note_waits(None);
                self.check_wait(until);
                assert!(!self.run.has_ready(), "or a worker would ask for nothing");
                assert!(until.is_none_or(|until| until > self.now));
                self.workers[worker] = Worker::Asleep(until);
                self.waited = Some(self.now);
            }
            Next::Done => {
                assert_eq!(self.run.ended(), self.live.len());
                self.workers[worker] = Worker::Gone;
            }
        }
    }

    fn ended(&self, step: usize) -> bool {
        self.run.outcome(nth(step as u32)).is_some()
    }

    /// Whether the run has been stopped for that step, too.
    fn is_stopped(&self, step: usize) -> bool {
        self.stopped.is_some_and(|(_, entirely)| entirely || !self.case.always(step))
    }

    /// The steps that could start, start another item, or be reported on, but for what they share; the first in rank first.
    fn due(&self) -> Vec<usize> {
        let due = |&step: &usize| {
            let live = &self.live[step];
            if self.ended(step) {
                return false;
            }
            if live.open {
                return live.is_over() || (live.in_flight < self.most(step) && live.has_next(self.now));
            }
            !live.running
                && live.waiting.is_none_or(|until| until <= self.now)
                && self.case.steps[step].dependencies.iter().all(|&dependency| self.ended(dependency))
        };
        let mut due: Vec<usize> = (0..self.live.len()).filter(due).collect();
        due.sort_by_key(|&step| self.case.ranks[step]);
        due
    }

    fn most(&self, step: usize) -> u32 {
        self.case.steps[step].map.as_ref().map_or(0, |map| map.most)
    }

    fn free(&self, pool: PoolId) -> u32 {
        let used = |(step, live): (&Step, &Live)| {
            let amounts = step.needs.pools.iter().filter(|(needed, _)| *needed == pool);
            amounts.map(|(_, amount)| amount * live.holding).sum::<u32>()
        };
        let used = self.case.steps.iter().zip(&self.live).map(used).sum::<u32>();
        self.case.pools[pool.index()].checked_sub(used).expect("more is used than there is")
    }

    /// Until when, at most, its rate delays the step: what is expected begins now at the earliest.
    fn delayed(&self, step: usize) -> Option<Nanos> {
        let (count, period) = self.case.steps[step].needs.rate?;
        let live = &self.live[step];
        if live.is_over() {
            return None;
        }
        let ends = live.begun.iter().map(|at| at + period);
        let room =
            |now: Nanos| ends.clone().filter(|&end| end > now).count() + live.expected < count as usize;
        if room(self.now) {
            return None;
        }
        Some(ends.clone().find(|&end| room(end)).unwrap_or(self.now + period))
    }

    /// Whether its rate delays the step, whatever becomes of the calls that have begun.
    fn is_delayed_by_expected(&self, step: usize) -> bool {
        let rate = self.case.steps[step].needs.rate;
        rate.is_some_and(|(count, _)| self.live[step].expected >= count as usize)
    }

    /// The run is asked: it can only guess until when those steps are delayed.
    fn note_guesses(&mut self) {
        for step in 0..self.live.len() {
            if self.is_delayed_by_expected(step) {
                let (_, period) = self.case.steps[step].needs.rate.unwrap();
                self.live[step].guessed = self.now + period;
            }
        }
    }

    /// The pools in which too little is left for the step.
    fn short(&self, step: usize) -> Vec<PoolId> {
        let needed = self.pools(step).iter();
        needed.filter(|&&(pool, amount)| self.free(pool) < amount).map(|&(pool, _)| pool).collect()
    }

    /// The pools in which too little may be left for the step and any step of an earlier generation.
    fn lacks(&self, step: usize) -> Vec<PoolId> {
        let (generation, _) = self.place(step);
        let is_earlier =
            |live: &Live| live.waits_since.is_some_and(|since| since < generation || self.is_vague);
        let reserved = |pool| {
            let earlier =
                (0..self.live.len()).filter(|&other| other != step && is_earlier(&self.live[other]));
            earlier.map(|other| self.amount(other, pool)).max().unwrap_or(0)
        };
        let lacks = |&&(pool, amount): &&(PoolId, u32)| self.free(pool) < amount + reserved(pool);
        self.pools(step).iter().filter(lacks).map(|&(pool, _)| pool).collect()
    }

    /// The amounts that the next start of the step takes.
    fn pools(&self, step: usize) -> &[(PoolId, u32)] {
        if self.live[step].is_over() { &[] } else { &self.case.steps[step].needs.pools }
    }

    fn amount(&self, step: usize, pool: PoolId) -> u32 {
        self.pools(step).iter().filter(|(needed, _)| *needed == pool).map(|(_, amount)| amount).sum()
    }

    fn uses(&self, step: usize, pool: PoolId) -> bool {
        self.pools(step).iter().any(|&(needed, _)| needed == pool)
    }

    fn share(&self, step: usize, other: usize) -> bool {
        step != other && self.pools(step).iter().any(|&(pool, _)| self.uses(other, pool))
    }

    /// The place in the order of steps that wait for pools: by generation, then by rank.
    fn place(&self, step: usize) -> (u64, Rank) {
        (self.live[step].waits_since.unwrap_or(self.generation), self.case.ranks[step])
    }

    /// Returns the steps that are, or may be, before this one, are due and wait for pools only, each with these pools.
    fn before(&self, step: usize, due: &[usize]) -> Vec<(usize, Vec<PoolId>)> {
        let is_before = |other| self.place(other) < self.place(step) || self.is_vague;
        let first = due.iter().copied().filter(|&other| other != step && is_before(other));
        first.filter(|&other| self.delayed(other).is_none()).map(|other| (other, self.lacks(other))).collect()
    }

    /// Whether nothing keeps the step from starting, and nothing that is due before it waits for the same pool.
    fn may_start(&self, step: usize, due: &[usize]) -> bool {
        let blocked = |(_, lacks): &(usize, Vec<PoolId>)| lacks.iter().any(|&pool| self.uses(step, pool));
        self.delayed(step).is_none()
            && self.lacks(step).is_empty()
            && !self.before(step, due).iter().any(blocked)
    }

    /// Steps that wait for no pool any more lose their place.
    fn note_ends_of_waits(&mut self) {
        let due = self.due();
        for step in 0..self.live.len() {
            if !due.contains(&step) || self.live[step].is_over() {
                self.live[step].waits_since = None;
            }
        }
    }

    /// The run has looked at all due steps, or at those that come in rank before the one that starts: they wait. If
    /// that waited itself, for a step that had its turn at one pool and is parked at another now, it may also have
    /// looked at later ones.
    fn note_waits(&mut self, started: Option<usize>) {
        if let Some(started) = started.filter(|&step| self.live[step].waits_since.is_some()) {
            let others = (0..self.live.len()).filter(|&other| self.live[other].waits_since.is_some());
            let mut others = others.filter(|&other| self.pools(other).len() > 1);
            let has_moved = others.any(|other| self.share(started, other));
            let is_later = |other: &usize| {
                self.place(*other).1 > self.place(started).1 && !self.pools(*other).is_empty()
            };
            let mut later = self.due().into_iter().filter(is_later);
            self.is_vague |= has_moved && later.any(|other| self.live[other].waits_since.is_none());
        }
        for step in self.due().into_iter().take_while(|&step| Some(step) != started) {
            if self.delayed(step).is_none() && !self.live[step].is_over() {
                let generation = self.generation;
                let live = &mut self.live[step];
                if live.waits_since.is_none() {
                    live.waits_since = Some(generation);
                    live.overtaken.fill(0);
                }
            }
        }
    }

    /// Checks that a step that starts has not often taken room for which the first in line waits: once if that began to
    /// wait for it later, and once for its first item.
    fn note_overtaking(&mut self, step: usize) {
        self.live[step].waits_since = None;
        let again = self.live[step].open || self.live[step].calls > 0;
        let waiting = |other: usize| self.live[other].waits_since.is_some();
        let waiting: Vec<usize> = (0..self.live.len()).filter(|&other| waiting(other)).collect();
        let precedes = |first: usize, other: usize| self.is_vague || self.place(first) < self.place(other);
        let is_first = |other: usize| {
            let mut shared = waiting.iter().filter(|&&first| self.share(first, other));
            self.pools(other).len() == 1 || !shared.any(|&first| precedes(first, other))
        };
        let takes = |other: usize| {
            let mut pools = self.pools(step).iter();
            pools.any(|&(pool, amount)| self.free(pool) - amount < self.amount(other, pool))
        };
        let overtaken: Vec<usize> =
            waiting.iter().copied().filter(|&other| is_first(other) && takes(other)).collect();
        let is_last = |other: &usize| self.live[*other].waits_since == Some(self.generation);
        let ends =
            again && waiting.iter().filter(|other| is_last(other)).any(|&other| self.share(step, other));
        self.generation += u64::from(ends);
        for other in overtaken {
            let times = &mut self.live[other].overtaken[step];
            *times += 1;
            assert!(*times <= 2, "{step} overtakes {other} again and again");
        }
    }

    /// A step that could start.
    fn idle(&self) -> Option<usize> {
        let due = self.due();
        due.iter().copied().find(|&step| self.may_start(step, &due))
    }

    /// The next time at which something could start that cannot now, or the time is up.
    fn next_time(&self) -> Option<Nanos> {
        let due = self.due();
        let of = |step: usize| {
            let live = &self.live[step];
            let delayed = self.delayed(step).filter(|_| due.contains(&step));
            let times = live.retries().into_iter().chain(live.waiting).filter(|&until| until > self.now);
            times.chain(delayed).min()
        };
        let going_on = (0..self.live.len()).filter(|&step| !self.ended(step));
        going_on.filter_map(of).chain(self.deadline).min()
    }

    /// It is that next time exactly, unless a step was delayed by calls that were expected only: it may be
    /// asked for sooner.
    fn check_wait(&self, until: Option<Nanos>) {
        let next = self.next_time();
        let guessed = |&step: &usize| self.delayed(step).is_some() && self.live[step].guessed > self.now;
        if until.is_some() && self.due().iter().any(guessed) {
            assert!(until <= next, "no later than something could change: {until:?} {next:?}");
        } else {
            assert_eq!(until, next, "the next time at which something could change");
        }
    }

    fn check_start(&self, step: usize) {
        let due = self.due();
        assert!(due.contains(&step), "{step} can start");
        assert!(!self.is_stopped(step) || self.live[step].is_over(), "{step} has been stopped");
        assert_eq!(self.delayed(step), None, "{step} is not delayed by its rate");
        assert_eq!(self.short(step), [], "there is room for {step}");
        assert!(self.all_before_have_ended(step), "{step} starts while something runs that comes before it");
        for &other in due.iter().take_while(|&&other| other != step) {
            let is_older = |older| self.place(older).0 < self.place(other).0 || self.is_vague;
            let older = |&older: &usize| is_older(older) && self.share(older, other);
            let is_next_at_pools = !due.iter().any(older);
            assert!(!(is_next_at_pools && self.may_start(other, &due)), "{other} comes before {step}");
        }
        if self.is_vague {
            return;
        }
        for (other, _) in self.before(step, &due) {
            // A step that waits for one pool only waits there, even if it waited for something else before.
            let short = self.short(other);
            let overtaken = matches!(short[..], [pool] if self.uses(step, pool) && !self.may_be_behind(other, pool, &due));
            assert!(!overtaken, "{step} overtakes {other}");
        }
        for &(pool, amount) in self.pools(step) {
            let waiting = (0..self.live.len()).filter(|&other| self.live[other].waits_since.is_some());
            let first =
                waiting.filter(|&other| self.uses(other, pool)).min_by_key(|&other| self.place(other));
            if let Some(first) = first.filter(|&first| self.place(first).0 < self.place(step).0) {
                let left = self.free(pool) - amount;
                assert!(
                    left >= self.amount(first, pool),
                    "{step} leaves no room for {first}, which is older"
                );
            }
        }
    }

    /// Whether its dependencies have ended, and theirs, however far away.
    fn all_before_have_ended(&self, step: usize) -> bool {
        let mut dependencies = self.case.steps[step].dependencies.iter();
        let is_preset = |step: usize| self.case.steps[step].preset.is_some();
        dependencies
            .all(|&before| is_preset(before) || (self.ended(before) && self.all_before_have_ended(before)))
    }

    /// Whether another that comes before the step may wait for a pool that the step needs, too, other than that one.
    fn may_be_behind(&self, step: usize, other_than: PoolId, due: &[usize]) -> bool {
        let needs = &self.case.steps[step].needs.pools;
        let shared = |other| needs.iter().any(|&(pool, _)| pool != other_than && self.uses(other, pool));
        let is_waiting = |other: usize| self.live[other].waits_since.is_some();
        let is_before = |(other, lacks): &(usize, Vec<PoolId>)| !lacks.is_empty() || is_waiting(*other);
        self.before(step, due).iter().any(|before| is_before(before) && shared(before.0))
    }

    fn start(&mut self, worker: usize, step: usize, random: &mut Random) {
        self.events.push(Event::Started { step: nth(step as u32), at: self.now });
        let now = self.now;
        let rated = self.case.steps[step].needs.rate.is_some();
        let live = &mut self.live[step];
        if live.is_over() {
            live.closing = true;
            live.handed.push_back(Handed::Close);
            self.workers[worker] = Worker::Handed(step);
            return;
        }
        live.holding += 1;
        live.expected += usize::from(rated);
        live.guessed = 0;
        if live.open {
            live.in_flight += 1;
            let handed = if live.has_retry(now) { Handed::Again } else { Handed::Fresh(live.fresh) };
            live.fresh += u64::from(handed != Handed::Again);
            live.handed.push_back(handed);
            self.workers[worker] = Worker::Handed(step);
        } else {
            live.running = true;
            live.waiting = None;
            live.starts += 1;
            live.started.get_or_insert(now);
            let called = match self.case.steps[step].ending {
                _ if self.is_to_retry(step) => random.percent(80),
                _ if self.case.steps[step].map.is_some() => false,
                Succeeded => true,
                Failed | TimedOut => random.percent(80),
                _ => false,
            };
            self.set_to_work(worker, step, Job::Step, called, random);
        }
        for (number, _) in (0..).zip(&self.case.pools) {
            self.free(pool(number));
        }
    }

    /// The worker does something for which it calls something, or not.
    fn set_to_work(&mut self, worker: usize, step: usize, job: Job, called: bool, random: &mut Random) {
        let until = self.now + random.below(5) as Nanos;
        self.workers[worker] = match called {
            true => Worker::Preparing(step, job, until),
            false => Worker::Busy(step, job, false, until),
        };
    }

    fn begin(&mut self, worker: usize, step: usize, job: Job, random: &mut Random) {
        self.run.begin(nth(step as u32), self.now).unwrap();
        self.events.push(Event::Began { step: nth(step as u32), at: self.now });
        let live = &mut self.live[step];
        live.begun.push(self.now);
        live.expected = live.expected.saturating_sub(1);
        if matches!(job, Job::Step) && live.calls == 0 {
            live.started = Some(self.now);
        }
        self.workers[worker] = Worker::Busy(step, job, true, self.now + random.below(6) as Nanos);
    }

    fn take(&mut self, worker: usize, step: usize, random: &mut Random) {
        let taken = self.run.take(nth(step as u32));
        self.events.extend(taken.map(|position| Event::Taken { step: nth(step as u32), position }));
        let live = &mut self.live[step];
        let position = match live.handed.pop_front().expect("something was started") {
            Handed::Again => {
                let position = taken.expect("what is to be tried again comes first");
                let known = live.retries.iter().position(|&(_, other)| other == position);
                let (until, _) = live.retries.swap_remove(known.expect("it was to be tried again"));
                assert!(until <= self.now, "not before its time");
                position
            }
            Handed::Fresh(position) => {
                assert_eq!(taken, Some(item(position)), "the next of {step} that was never taken");
                item(position)
            }
            Handed::Close => {
                assert_eq!(taken, None, "{step} is to be reported on");
                return self.set_to_work(worker, step, Job::Close, false, random);
            }
        };
        live.item_starts[position.index()] += 1;
        assert_eq!(self.run.item_attempts(nth(step as u32), position), live.item_failed[position.index()]);
        assert_eq!(live.item_starts[position.index()], live.item_failed[position.index()] + 1);
        let called = self.is_item_to_retry(step, position) || random.percent(75);
        self.set_to_work(worker, step, Job::Item(position), called, random);
    }

    fn open(&mut self, step: usize, random: &mut Random) {
        let id = nth(step as u32);
        let most = self.most(step);
        let map = self.case.steps[step].map.as_ref().unwrap();
        self.run.open(id, most, map.on_error, self.now).unwrap();
        let live = &mut self.live[step];
        live.holding -= 1;
        live.expected = live.expected.saturating_sub(1);
        live.open = true;
        live.feeding = Some(self.now + random.below(map.pause) as Nanos);
        if live.calls == 0 {
            live.started = Some(self.now);
        }
        assert_eq!(self.ended(step), self.is_stopped(step), "{step} ends if the run has been stopped");
        self.changed(Event::Opened { step: id, most, on_error: map.on_error, at: self.now });
    }

    /// Further items of the step are there, or it is known that no more are to come.
    fn feed(&mut self, step: usize, random: &mut Random) {
        let id = nth(step as u32);
        let map = self.case.steps[step].map.as_ref().unwrap();
        let over = self.ended(step) || self.live[step].exhausted;
        let live = &mut self.live[step];
        let left = map.len() - live.supplied;
        if left > 0 {
            let count = left.min(random.below(map.portion + 1) as u64);
            self.run.supply(id, count);
            live.supplied += if over { 0 } else { count };
            live.feeding = Some(self.now + random.below(map.pause) as Nanos).filter(|_| !over);
            self.changed(Event::Supplied { step: id, count });
        }
        let live = &mut self.live[step];
        if over || (live.supplied == map.len() && random.percent(50)) {
            live.feeding = None;
            live.exhausted = true;
            self.run.exhaust(id);
            self.changed(Event::Exhausted { step: id });
        }
    }

    fn report_item(&mut self, step: usize, position: Position, report: ItemReport, called: bool) {
        let id = nth(step as u32);
        let stopped = self.is_stopped(step);
        let input = input(&self.case.steps[step], |dependency| self.live[dependency].output);
        let live = &mut self.live[step];
        live.in_flight -= 1;
        live.holding -= 1;
        if !called {
            live.expected = live.expected.saturating_sub(1);
            live.guessed = 0;
        }
        let map = self.case.steps[step].map.as_ref().unwrap();
        let most = match map.on_error {
            OnItemError::FailAt(most) => u64::from(most),
            OnItemError::Collect => u64::MAX,
        };
        match report {
            ItemReport::Failed => live.counts.failed += 1,
            ItemReport::RetryAt(..) => live.counts.retries += 1,
            ItemReport::Done => live.counts.done += 1,
            ItemReport::Restored => live.counts.restored += 1,
            ItemReport::Withdrawn => {}
        }
        let failed = live.counts.failed > 0 && map.on_error != OnItemError::Collect;
        match report {
            ItemReport::RetryAt(position, until) => {
                live.item_failed[position.index()] += 1;
                match (live.counts.failed >= most, stopped) {
                    (true, _) => {}
                    (false, true) => live.left_over |= !failed,
                    (false, false) => live.retries.push((until, position)),
                }
            }
            ItemReport::Withdrawn => live.left_over |= !failed,
            ItemReport::Failed | ItemReport::Done | ItemReport::Restored => {
                let before = live.results[position.index()].replace(map.result(input, position.number()));
                assert_eq!(before, None, "item {position} of {step} ends once");
            }
        }
        if failed {
            live.left_over = false;
        }
        if live.counts.failed >= most {
            live.close();
        }
        let is_cut = live.is_cut();
        self.run.report_item(id, report, called, self.now).unwrap();
        assert_eq!(self.ended(step), is_cut, "whether {step} ends after {report:?}");
        self.changed(Event::Item { step: id, report, called, at: self.now });
    }

    fn retry(&mut self, step: usize, random: &mut Random) {
        let until = self.now + random.below(8) as Nanos;
        let stopped = self.is_stopped(step);
        let report = Report::RetryAt(until);
        self.run.report(nth(step as u32), report, self.now).unwrap();
        let live = &mut self.live[step];
        live.calls += 1;
        live.holding -= 1;
        live.expected = 0;
        live.running = false;
        live.waiting = Some(until);
        live.reports += u32::from(stopped);
        assert_eq!(self.ended(step), stopped, "{step} is tried again unless the run has been stopped");
        self.changed(Event::Reported { step: nth(step as u32), report, at: self.now });
    }

    fn report(&mut self, step: usize) {
        let Step { ending, map, rule, .. } = &self.case.steps[step];
        let input = input(&self.case.steps[step], |dependency| self.live[dependency].output);
        let live = &mut self.live[step];
        assert_eq!(live.closing, map.is_some(), "{step} is reported on when its items have ended");
        live.holding -= u32::from(!live.open);
        live.expected = 0;
        live.running = false;
        live.open = false;
        live.reports += 1;
        live.reported = Some(*ending);
        live.output = matches!(ending, Succeeded | Cached | Restored).then(|| match map {
            Some(_) => live.results.iter().fold(input, |all, result| mix(all, result.unwrap())),
            None => mix(input, step as u64),
        });
        if matches!(ending, Failed | TimedOut) && !rule.optional {
            self.failures.push(nth(step as u32));
        }
        let report = Report::Ended(*ending);
        self.run.report(nth(step as u32), report, self.now).unwrap();
        self.changed(Event::Reported { step: nth(step as u32), report, at: self.now });
    }

    fn stop(&mut self, stop: Stop, entirely: bool) {
        let over = self.run.ended() == self.live.len();
        self.run.stop(stop, entirely, self.now);
        if !over {
            self.note_stop(stop, entirely);
        }
        self.changed(Event::Stopped { stop, entirely, at: self.now });
    }

    fn note_stop(&mut self, stop: Stop, entirely: bool) {
        if self.stopped.is_none() || entirely {
            self.live.iter_mut().for_each(|live| live.waits_since = None); // The run looks at all of them again.
        }
        let (stop, entirely) = self.stopped.map_or((stop, entirely), |(first, was)| (first, was || entirely));
        self.stopped = Some((stop, entirely));
        for step in 0..self.live.len() {
            if self.is_stopped(step) && self.live[step].open {
                let live = &mut self.live[step];
                let on_error = self.case.steps[step].map.as_ref().map(|map| map.on_error);
                let failed = live.counts.failed > 0 && on_error != Some(OnItemError::Collect);
                live.left_over |= live.has_left() && !failed;
                live.close();
            }
        }
    }

    fn note_passed_over(&mut self) {
        for step in self.run.drain_ended() {
            let live = &mut self.live[step.index()];
            assert!(live.in_flight == 0 && (!live.running || live.open), "{step} is in flight");
            live.reports += 1;
        }
    }

    /// Checks what every execution guarantees, even one that was stopped.
    fn check(&self) {
        let mut failures = self.failures.clone();
        for (step, live) in self.live.iter().enumerate() {
            let outcome = self.run.outcome(nth(step as u32)).expect("every step ends");
            assert_eq!(live.reports, 1, "the end of {step} is reported once");
            match live.reported {
                Some(reported) => assert_eq!(outcome, reported, "outcome of {step}"),
                None if self.case.steps[step].preset.is_some() => {
                    assert_eq!(Some(outcome), self.case.steps[step].preset, "outcome of {step}");
                }
                None if outcome == Failed => {
                    assert!(live.calls > 0, "{step} was not called, but failed");
                    if !self.case.steps[step].rule.optional {
                        failures.push(nth(step as u32)); // The stop ended its wait for a retry.
                    }
                }
                None => assert!(
                    matches!(outcome, Cancelled(_) | Skipped(SkipReason::UpstreamSkipped)),
                    "{step} was not reported on, but {outcome:?}"
                ),
            }
            if let (Cancelled(reason), Some((stop, _))) = (outcome, self.stopped) {
                let expected = match stop {
                    Stop::Failed => CancelReason::RunFailed,
                    Stop::Interrupted => CancelReason::Interrupted,
                    Stop::TimedOut => CancelReason::RunTimedOut,
                };
                assert!(reason == expected || reason == CancelReason::UpstreamFailed, "{step}: {reason:?}");
            }
            assert!(live.starts <= 1 + self.case.steps[step].retries, "starts of {step}");
            assert_eq!((live.in_flight, live.holding), (0, 0));
            let counts = self.run.item_counts(nth(step as u32)).unwrap_or_default();
            assert_eq!(counts, live.counts, "the items of {step}");
            let preset = self.case.steps[step].preset.is_some();
            let always = self.case.always(step) && !preset && !self.is_stopped(step);
            assert!(!always || live.reported.is_some(), "{step} runs always");
            if let Some((count, period)) = self.case.steps[step].needs.rate {
                let early = |begun: &[Nanos]| begun[count as usize] - begun[0] < period;
                assert!(!live.begun.windows(count as usize + 1).any(early), "{step}: {:?}", live.begun);
            }
            let tried = matches!(live.reported, Some(Succeeded | Failed | TimedOut));
            let in_items = live.item_failed.iter().max().copied().unwrap_or(0);
            let attempts = live.calls + in_items + u32::from(tried);
            assert_eq!(self.run.attempts(nth(step as u32)), attempts, "attempts of {step}");
            assert_eq!(self.run.started(nth(step as u32)), live.started, "when {step} started");
        }
        let mut known = self.run.failures().to_vec();
        known.sort_unstable();
        failures.sort_unstable();
        assert_eq!(known, failures);
    }

    /// Checks an execution that nothing stopped: its result is as if one step had run after the other.
    fn check_sequential(&self) {
        assert!(self.stopped.is_none());
        for (step, (outcome, output)) in self.case.sequential().into_iter().enumerate() {
            assert_eq!(self.run.outcome(nth(step as u32)), Some(outcome), "outcome of {step}");
            let live = &self.live[step];
            let Step { map, retries, .. } = &self.case.steps[step];
            assert_eq!(live.output, output, "output of {step}");
            if live.reported.is_some() {
                assert_eq!(live.starts, 1 + retries, "starts of {step}");
            }
            if let (Some(map), Some(Succeeded)) = (map, live.reported) {
                let expected: Vec<u32> = map.retries.iter().map(|retries| 1 + retries).collect();
                assert_eq!(live.item_starts, expected, "starts of the items of {step}");
            }
        }
    }

    /// Every call is an event of the journal; and no event is missing that the run made itself.
    fn check_journal(&mut self) {
        self.run.rebuild(self.case, self.now);
        let is_call = |event: &&Event| {
            use Event::{Began, Item, Opened, Reported, Started, Taken};
            matches!(
                event,
                Started { .. } | Began { .. } | Reported { .. } | Opened { .. } | Taken { .. } | Item { .. }
            )
        };
        let recorded = events(&self.run.journal);
        assert!(recorded.iter().filter(is_call).eq(self.events.iter().filter(is_call)));
    }
}

/// Returns how many twins there were.
fn execute(random: &mut Random, mix: &Mix, on_error: OnError, stops: usize) -> usize {
    let case = case(random, mix);
    let undisturbed = on_error == OnError::Continue && stops == 0;
    let mut twins = 0;
    for _ in 0..SCHEDULES {
        let workers = 1 + random.below(6);
        let deadline = (!undisturbed && random.percent(15)).then(|| random.below(40) as Nanos);
        let twin = random.percent(TWINS);
        let rebuilt = if twin { random.pick(&[3, 10, 40]) } else { 0 };
        let mut execution = Execution::new(&case, on_error, workers, deadline).finish(random, stops, rebuilt);
        execution.check();
        if undisturbed {
            execution.check_sequential();
        }
        if twin {
            execution.check_journal();
            twins += 1;
        }
    }
    twins
}

/// How many of the executions have a twin, in percent.
const TWINS: usize = 6;

/// How many executions at least must have had one.
#[track_caller]
fn enough(twins: usize, of: usize) {
    let alone = std::env::var("FLOWLINE_SEED").is_ok();
    assert!(alone || twins > of * SCHEDULES * TWINS / 150, "{twins} schedules had a twin");
    println!("{twins} schedules had a twin that was replayed");
}

/// How many executions there are of each case.
const SCHEDULES: usize = 4;

#[test]
fn outcomes_and_outputs_are_those_of_one_step_after_the_other_whatever_the_schedule() {
    let mut twins = 0;
    for_each_seed(16_000, |random| {
        let mix = Mix::of_everything(random);
        twins += execute(random, &mix, OnError::Continue, 0);
    });
    enough(twins, 16_000);
}

#[test]
fn failures_stops_and_deadlines_end_it_whatever_the_schedule() {
    let mut twins = 0;
    for_each_seed(12_000, |random| {
        let mix = Mix::of_everything(random);
        let on_error = random.pick(&[OnError::Stop, OnError::Continue]);
        let stops = random.pick(&[0, 5, 20, 50]);
        twins += execute(random, &mix, on_error, stops);
    });
    enough(twins, 12_000);
}

/// The checks of every execution are that none is idle that could start, that none overtakes another, and that
/// no time is missed: here where everything is scarce.
#[test]
fn no_worker_is_idle_while_something_could_start_however_scarce_what_they_share() {
    let mut twins = 0;
    for_each_seed(12_000, |random| {
        let mix = Mix {
            troubles: random.pick(&[0, 10]),
            special: random.pick(&[0, 20]),
            maps: 50,
            pools: random.pick(&[60, 80, 100]),
            rates: random.pick(&[0, 40]),
            presets: 0,
        };
        let on_error = random.pick(&[OnError::Stop, OnError::Continue]);
        let stops = random.pick(&[0, 0, 10]);
        twins += execute(random, &mix, on_error, stops);
    });
    enough(twins, 12_000);
}
