//! Random graphs and runs against naive readings of the contract.
//!
//! A failure prints its seed; `FLOWLINE_SEED=<seed> cargo test --test oracle` repeats that case alone.

use std::sync::Arc;

use crate::common::{Random, events, for_each_seed, nth, replay};
use flowline_core::event::{
    CancelReason, Event, Nanos, Next, OnError, Outcome, Report, SkipReason, Status, Stop,
};
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::{Rank, StepId};
use flowline_core::run::Run;

const CASES: u64 = 30_000;

type Edges = Vec<(usize, usize)>;

/// Mostly small, sometimes larger; from no edges to nearly all, in any direction if it need not be acyclic.
fn edges(random: &mut Random, steps: usize, acyclic: bool) -> Edges {
    let mut numbers: Vec<usize> = (0..steps).collect();
    if random.percent(70) {
        random.shuffle(&mut numbers);
    }
    let density = random.pick(&[3, 10, 20, 40, 80]);
    let backwards = if acyclic { 0 } else { random.pick(&[0, 0, 2, 5, 20]) };
    let mut edges = Edges::new();
    for from in 0..steps {
        for to in 0..steps {
            let chance = if from < to { density } else { backwards };
            for _ in 0..usize::from(random.percent(chance)) * random.pick(&[1, 1, 1, 2]) {
                edges.push((numbers[from], numbers[to]));
            }
        }
    }
    random.shuffle(&mut edges);
    edges
}

fn size(random: &mut Random) -> usize {
    if random.percent(5) { random.below(40) } else { random.below(10) }
}

fn build(rules: Vec<Rule>, edges: &Edges) -> Result<Graph, Vec<Vec<StepId>>> {
    Graph::new(rules, edges.iter().map(|&(from, to)| (nth(from as u32), nth(to as u32))))
}

/// The length of the shortest path of at least one edge between any two steps (Floyd 1962).
fn distances(steps: usize, edges: &Edges) -> Vec<Vec<Option<usize>>> {
    let mut distance = vec![vec![None; steps]; steps];
    for &(from, to) in edges {
        distance[from][to] = Some(1);
    }
    for via in 0..steps {
        for from in 0..steps {
            for to in 0..steps {
                if let (Some(a), Some(b)) = (distance[from][via], distance[via][to]) {
                    distance[from][to] =
                        Some(distance[from][to].map_or(a + b, |known: usize| known.min(a + b)));
                }
            }
        }
    }
    distance
}

/// For each step the most edges on a path that ends there: relaxed until it must be right.
fn longest_paths(steps: usize, edges: &Edges) -> Vec<usize> {
    let mut longest = vec![0; steps];
    for _ in 0..steps {
        for &(from, to) in edges {
            longest[to] = longest[to].max(longest[from] + 1);
        }
    }
    longest
}

/// By longest remaining path, then by number.
fn ranked(steps: usize, edges: &Edges) -> Vec<StepId> {
    let reversed = edges.iter().map(|&(from, to)| (to, from)).collect();
    let remaining = longest_paths(steps, &reversed);
    let mut ranked: Vec<StepId> = StepId::first(steps).collect();
    ranked.sort_by_key(|&step| (steps - remaining[step.index()], step));
    ranked
}

#[test]
fn graphs_agree_with_naive_ones() {
    for_each_seed(CASES, |random| {
        let steps = size(random);
        let mut edges = edges(random, steps, false);
        let distance = distances(steps, &edges);
        let graph = build(vec![Rule::default(); steps], &edges);
        if (0..steps).any(|step| distance[step][step].is_some()) {
            let cycles = graph.unwrap_err();
            check_cycles(&cycles, steps, &edges, &distance);
            random.shuffle(&mut edges);
            let again = build(vec![Rule::default(); steps], &edges).unwrap_err();
            assert_eq!(cycles, again, "whatever order the edges come in");
        } else {
            check_acyclic(&graph.unwrap(), steps, &edges, &distance, random);
        }
    });
}

fn check_cycles(cycles: &[Vec<StepId>], steps: usize, edges: &Edges, distance: &[Vec<Option<usize>>]) {
    // A set of steps that depend on each other is known by its first: no earlier one is on a cycle with it.
    let together = |a: usize, b: usize| distance[a][b].is_some() && distance[b][a].is_some();
    let firsts: Vec<usize> =
        (0..steps).filter(|&s| together(s, s) && !(0..s).any(|earlier| together(earlier, s))).collect();
    assert_eq!(cycles.iter().map(|cycle| cycle[0].index()).collect::<Vec<_>>(), firsts);
    for cycle in cycles {
        let first = cycle[0].index();
        assert_eq!(Some(cycle.len() - 1), distance[first][first], "the shortest: {cycle:?}");
        assert_eq!(cycle.first(), cycle.last(), "closed");
        for pair in cycle.windows(2) {
            assert!(edges.contains(&(pair[0].index(), pair[1].index())), "along edges: {cycle:?}");
        }
    }
}

fn check_acyclic(
    graph: &Graph,
    steps: usize,
    edges: &Edges,
    distance: &[Vec<Option<usize>>],
    random: &mut Random,
) {
    let mut order: Vec<usize> = Vec::new();
    while order.len() < steps {
        let open = |step: usize| edges.iter().any(|&(from, to)| to == step && !order.contains(&from));
        order.push((0..steps).find(|&step| !order.contains(&step) && !open(step)).unwrap());
    }
    assert_eq!(graph.order(), order.iter().map(|&step| nth(step as u32)).collect::<Vec<_>>());

    let depths = longest_paths(steps, edges);
    let levels = depths.iter().max().map_or(0, |&deepest| deepest + 1);
    let at = |level| (0..steps).filter(|&step| depths[step] == level).map(|step| nth(step as u32)).collect();
    assert_eq!(graph.levels(), (0..levels).map(at).collect::<Vec<Vec<StepId>>>());

    let ranked = ranked(steps, edges);
    let ids = StepId::first(steps);
    assert_eq!(
        (0..steps as u32).map(|rank| graph.of_rank(Rank::new(rank)).unwrap()).collect::<Vec<_>>(),
        ranked
    );
    assert!(ids.clone().all(|step| ranked[graph.rank(step).index()] == step));

    let wanted: Vec<StepId> = ids.clone().filter(|_| random.percent(20)).collect();
    let reach = |from: StepId, to: StepId| from == to || distance[from.index()][to.index()].is_some();
    let upstream: Vec<StepId> = ids.clone().filter(|&s| wanted.iter().any(|&w| reach(s, w))).collect();
    let downstream: Vec<StepId> = ids.clone().filter(|&s| wanted.iter().any(|&w| reach(w, s))).collect();
    assert_eq!((graph.upstream(&wanted), graph.downstream(&wanted)), (upstream, downstream));
}

/// The behaviour of a step's callable when it is called.
#[derive(Debug, Clone, Copy)]
struct Behaviour {
    retries: u32,
    ending: Outcome,
}

/// A graph to run and how its steps behave.
struct Case {
    rules: Vec<Rule>,
    dependencies: Vec<Vec<usize>>,
    behaviours: Vec<Behaviour>,
    ranked: Vec<StepId>,
    graph: Arc<Graph>,
}

fn case(random: &mut Random) -> Case {
    use Outcome::{Cached, Failed, Restored, Skipped, Succeeded, TimedOut};
    let steps = size(random);
    let edges = edges(random, steps, true);
    let special = random.pick(&[10, 30, 60]);
    let troubles = random.pick(&[5, 20, 50]);
    let rules: Vec<Rule> = (0..steps)
        .map(|_| Rule {
            run_if: match random.percent(special) {
                true => random.pick(&[RunIf::Any, RunIf::Always]),
                false => RunIf::Success,
            },
            optional: random.percent(special / 2),
            lasting: random.percent(special / 4),
        })
        .collect();
    let endings =
        [Failed, Failed, TimedOut, Skipped(SkipReason::Condition), Skipped(SkipReason::NotSelected)];
    let behaviours = (0..steps)
        .map(|_| Behaviour {
            retries: if random.percent(25) { 1 + random.below(3) as u32 } else { 0 },
            ending: match random.percent(troubles) {
                true => random.pick(&endings),
                false => random.pick(&[Succeeded, Succeeded, Succeeded, Cached, Restored]),
            },
        })
        .collect();
    let of = |step| edges.iter().filter(|&&(_, to)| to == step).map(|&(from, _)| from).collect();
    Case {
        dependencies: (0..steps).map(of).collect(),
        ranked: ranked(steps, &edges),
        graph: Arc::new(build(rules.clone(), &edges).unwrap()),
        rules,
        behaviours,
    }
}

impl Case {
    fn outlasts_stop(&self, step: usize) -> bool {
        self.rules[step].outlasts_stop()
    }

    /// How the step ends if nothing stops the run: the contract, read aloud.
    fn outcome(&self, step: usize, known: &mut Vec<Option<Outcome>>) -> Outcome {
        use Outcome::{Cancelled, Failed, Skipped, TimedOut};
        if let Some(outcome) = known[step] {
            return outcome;
        }
        let mut outputs = 0;
        let mut failures = 0;
        for &dependency in &self.dependencies[step] {
            match self.outcome(dependency, known) {
                Failed | TimedOut if self.rules[dependency].optional => {}
                Failed | TimedOut | Cancelled(_) => failures += 1,
                Skipped(_) => {}
                _ => outputs += 1,
            }
        }
        let runs = match self.rules[step].run_if {
            RunIf::Always => true,
            RunIf::Any => outputs > 0 || self.dependencies[step].is_empty(),
            RunIf::Success => outputs == self.dependencies[step].len(),
        };
        let outcome = match (runs, failures) {
            (true, _) => self.behaviours[step].ending,
            (false, 0) => Skipped(SkipReason::UpstreamSkipped),
            (false, _) => Cancelled(CancelReason::UpstreamFailed),
        };
        known[step] = Some(outcome);
        outcome
    }
}

/// One execution of a case, and what there is to know of it without asking the run.
struct Execution<'a> {
    case: &'a Case,
    on_error: OnError,
    run: Run,
    now: Nanos,
    events: Vec<Event>,
    journal: Vec<u8>,
    in_flight: Vec<usize>,
    waiting: Vec<Option<Nanos>>,
    starts: Vec<u32>,
    /// How many attempts have ended.
    calls: Vec<u32>,
    /// First start and end.
    times: Vec<(Option<Nanos>, Nanos)>,
    /// The reason and whether it was entirely.
    stopped: Option<(Stop, bool)>,
    /// The outcomes a stop decided, instead of what the contract says of undisturbed steps.
    stopped_steps: Vec<Option<Outcome>>,
    ended_by_report: Vec<bool>,
    failures: Vec<StepId>,
    passed_over: Vec<StepId>,
}

impl<'a> Execution<'a> {
    fn new(case: &'a Case, on_error: OnError) -> Self {
        let steps = case.rules.len();
        let mut run = Run::new(case.graph.clone(), on_error);
        run.keep_journal().unwrap();
        Self {
            case,
            on_error,
            run,
            now: 0,
            events: vec![],
            journal: vec![],
            in_flight: vec![],
            waiting: vec![None; steps],
            starts: vec![0; steps],
            calls: vec![0; steps],
            times: vec![(None, 0); steps],
            stopped: None,
            stopped_steps: vec![None; steps],
            ended_by_report: vec![false; steps],
            failures: vec![],
            passed_over: vec![],
        }
    }

    /// Runs it to its end; `stops` is the chance of a stop before each report, in percent.
    fn finish(mut self, random: &mut Random, most_in_flight: usize, stops: usize) -> Self {
        loop {
            if self.start(most_in_flight) {
                self.journal.extend(self.run.take_events());
                return self;
            }
            if random.percent(stops) {
                let stop = random.pick(&[Stop::Interrupted, Stop::TimedOut, Stop::Failed]);
                let entirely = random.percent(30);
                self.note_stop(None, stop, entirely);
                self.run.stop(stop, entirely, self.now);
                self.events.push(Event::Stopped { stop, entirely, at: self.now });
            } else if self.in_flight.is_empty()
                || (self.in_flight.len() < most_in_flight && random.percent(20))
            {
                match self.waiting.iter().flatten().min() {
                    Some(&until) => self.now = until,
                    None => assert!(!self.in_flight.is_empty(), "the run waits for nothing"),
                }
            } else {
                let step = self.in_flight.swap_remove(random.below(self.in_flight.len()));
                self.now += random.below(5) as Nanos;
                self.report(step, random);
            }
            self.passed_over.extend(self.run.drain_ended());
            self.journal.extend(self.run.take_events());
        }
    }

    /// Starts what the run wants to start; true if all is done.
    fn start(&mut self, most_in_flight: usize) -> bool {
        while self.in_flight.len() < most_in_flight {
            let due = self.case.ranked.iter().map(|step| step.index()).find(|&step| self.is_due(step));
            match self.run.next(self.now) {
                Next::Start(step) => {
                    let step = step.index();
                    assert_eq!(Some(step), due, "the first in rank of those that can start");
                    self.starts[step] += 1;
                    self.times[step].0.get_or_insert(self.now);
                    self.waiting[step] = None;
                    self.in_flight.push(step);
                    self.events.push(Event::Started { step: nth(step as u32), at: self.now });
                }
                Next::Wait(until) => {
                    assert_eq!((due, until), (None, self.waiting.iter().flatten().min().copied()));
                    return false;
                }
                Next::Done => {
                    assert_eq!((due, self.run.ended()), (None, self.case.rules.len()));
                    return true;
                }
            }
        }
        false
    }

    /// Whether the step can start now: its dependencies have ended, and nothing has ended it.
    fn is_due(&self, step: usize) -> bool {
        let ended = |step: usize| self.run.outcome(nth(step as u32)).is_some();
        !ended(step)
            && !self.in_flight.contains(&step)
            && self.waiting[step].is_none_or(|until| until <= self.now)
            && self.case.dependencies[step].iter().all(|&dependency| ended(dependency))
    }

    fn report(&mut self, step: usize, random: &mut Random) {
        let Behaviour { retries, ending } = self.case.behaviours[step];
        let report = if self.calls[step] < retries {
            let until = self.now + random.below(8) as Nanos;
            self.calls[step] += 1;
            match self.stopped {
                Some((_, entirely)) if entirely || !self.case.outlasts_stop(step) => {
                    self.stopped_steps[step] = Some(Outcome::Failed);
                    self.note_end(step);
                    if !self.case.rules[step].optional {
                        self.failures.push(nth(step as u32));
                    }
                }
                _ => self.waiting[step] = Some(until),
            }
            Report::RetryAt(until)
        } else {
            let failed = matches!(ending, Outcome::Failed | Outcome::TimedOut);
            self.calls[step] += u32::from(failed || ending == Outcome::Succeeded);
            self.note_end(step);
            if failed && !self.case.rules[step].optional {
                self.failures.push(nth(step as u32));
                if self.on_error == OnError::Stop {
                    self.note_stop(Some(step), Stop::Failed, false);
                }
            }
            Report::Ended(ending)
        };
        self.run.report(nth(step as u32), report, self.now).unwrap();
        self.events.push(Event::Reported { step: nth(step as u32), report, at: self.now });
    }

    fn note_end(&mut self, step: usize) {
        self.times[step].1 = self.now;
        self.ended_by_report[step] = true;
    }

    /// A stop decides every step that has not ended, is not in flight, and is not `ending` just now.
    fn note_stop(&mut self, ending: Option<usize>, stop: Stop, entirely: bool) {
        if self.run.ended() + usize::from(ending.is_some()) == self.case.rules.len() {
            return; // It comes too late.
        }
        let (stop, entirely) = self.stopped.map_or((stop, entirely), |(first, was)| (first, was || entirely));
        self.stopped = Some((stop, entirely));
        for step in 0..self.case.rules.len() {
            let idle = self.run.outcome(nth(step as u32)).is_none() && !self.in_flight.contains(&step);
            if idle && Some(step) != ending && (entirely || !self.case.outlasts_stop(step)) {
                let tried = self.calls[step] > 0; // It was to be retried.
                let outcome = if tried { Outcome::Failed } else { Outcome::Cancelled(reason(stop)) };
                if tried && !self.case.rules[step].optional {
                    self.failures.push(nth(step as u32));
                }
                self.stopped_steps[step] = Some(outcome);
                self.waiting[step] = None;
                self.times[step].1 = self.now;
            }
        }
    }

    fn check(&self) {
        let steps = self.case.rules.len();
        let mut known = self.stopped_steps.clone();
        let mut not_reported = Vec::new();
        for step in 0..steps {
            let id = nth(step as u32);
            let expected = self.stopped_steps[step].unwrap_or_else(|| self.case.outcome(step, &mut known));
            assert_eq!(self.run.outcome(id), Some(expected), "outcome of {step}");
            assert_eq!(self.run.attempts(id), self.calls[step], "attempts of {step}");
            let (started, ended) = self.times[step];
            assert_eq!(self.run.timing(id), started.map(|at| (at, ended)), "timing of {step}");
            match expected {
                Outcome::Cancelled(_) | Outcome::Skipped(SkipReason::UpstreamSkipped) => {
                    assert_eq!(self.starts[step], self.calls[step], "starts of {step}");
                }
                _ if self.stopped_steps[step].is_some() => {
                    assert_eq!(self.starts[step], self.calls[step], "starts of {step}");
                }
                _ => {
                    assert_eq!(self.starts[step], self.case.behaviours[step].retries + 1, "starts of {step}")
                }
            }
            let runs = self.case.rules[step].run_if == RunIf::Always;
            let always_runs = runs && !self.stopped.is_some_and(|(_, entirely)| entirely);
            assert!(!always_runs || self.starts[step] > 0, "{step} runs always");
            if !self.ended_by_report[step] {
                not_reported.push(id);
            }
        }
        let mut passed_over = self.passed_over.clone();
        passed_over.sort_unstable();
        assert_eq!(passed_over, not_reported, "passed over");
        assert_eq!(sorted(self.run.failures()), sorted(&self.failures));
        assert_eq!(self.run.status(), self.status());
        assert_eq!((self.run.running(), self.run.ended()), (vec![], steps));
    }

    fn status(&self) -> Status {
        match self.stopped {
            Some((Stop::Failed, _)) => Status::Failed,
            Some((Stop::Interrupted, _)) => Status::Cancelled,
            Some((Stop::TimedOut, _)) => Status::TimedOut,
            None if self.failures.is_empty() => Status::Succeeded,
            None => Status::Failed,
        }
    }
}

fn reason(stop: Stop) -> CancelReason {
    match stop {
        Stop::Failed => CancelReason::RunFailed,
        Stop::Interrupted => CancelReason::Interrupted,
        Stop::TimedOut => CancelReason::RunTimedOut,
    }
}

fn check_replay(execution: &Execution, random: &mut Random) {
    let recorded = events(&execution.journal);
    // Stops by a failure are recorded, too, and waits.
    let is_call = |event: &&Event| !matches!(event, Event::Stopped { .. } | Event::Waited { .. });
    assert!(
        recorded.iter().filter(is_call).eq(execution.events.iter().filter(is_call)),
        "each call is there"
    );
    let cut = random.below(recorded.len() + 1);
    let before = recorded[..cut].iter().cloned();
    let mut replayed = replay(execution.case.graph.clone(), execution.on_error, before).unwrap();
    for event in &recorded[cut..] {
        // The replayed run must start the same steps in the same order.
        match event {
            Event::Started { step, at } => assert_eq!(replayed.next(*at), Next::Start(*step)),
            Event::Waited { at } => assert!(matches!(replayed.next(*at), Next::Wait(_) | Next::Done)),
            _ => replayed.apply(event.clone()).unwrap(),
        }
    }
    assert_eq!(replayed.next(execution.now), Next::Done);
    for step in execution.case.graph.steps() {
        let seen = |run: &Run| (run.outcome(step), run.timing(step), run.attempts(step));
        assert_eq!(seen(&replayed), seen(&execution.run), "{step}, in replay");
    }
    assert_eq!(replayed.failures(), execution.run.failures());
    assert_eq!(replayed.status(), execution.run.status());
    assert_eq!(replayed.drain_ended(), execution.passed_over);
}

/// Runs the case with a random number of steps in flight, which end in random order.
fn execute<'a>(case: &'a Case, on_error: OnError, random: &mut Random, stops: usize) -> Execution<'a> {
    let most_in_flight = 1 + random.below(8);
    let execution = Execution::new(case, on_error).finish(random, most_in_flight, stops);
    execution.check();
    execution
}

#[test]
fn outcomes_follow_from_the_dependencies_outcomes_whatever_else_runs_and_ends_first() {
    for_each_seed(CASES, |random| {
        let case = case(random);
        for _ in 0..3 {
            let execution = execute(&case, OnError::Continue, random, 0);
            assert!(execution.stopped.is_none(), "so that every outcome is the contract's");
        }
        check_replay(&execute(&case, OnError::Continue, random, 0), random);
    });
}

#[test]
fn after_the_first_failure_only_running_steps_and_those_that_run_always_run() {
    for_each_seed(CASES, |random| {
        let case = case(random);
        let execution = execute(&case, OnError::Stop, random, 0);
        let failed = execution.events.iter().position(|event| match *event {
            Event::Reported { step, report: Report::Ended(outcome), .. } => {
                matches!(outcome, Outcome::Failed | Outcome::TimedOut) && !case.rules[step.index()].optional
            }
            _ => false,
        });
        for event in &execution.events[failed.unwrap_or(execution.events.len())..] {
            let Event::Started { step, .. } = *event else { continue };
            assert!(case.outlasts_stop(step.index()), "{step} started after the run failed");
        }
        check_replay(&execution, random);
    });
}

#[test]
fn stops_at_any_time_decide_what_is_idle() {
    for_each_seed(CASES, |random| {
        let case = case(random);
        let on_error = random.pick(&[OnError::Stop, OnError::Continue]);
        let stops = random.pick(&[3, 10, 30]);
        check_replay(&execute(&case, on_error, random, stops), random);
    });
}

/// The steps that a stop ends fail in topological order, which the oracle does not know.
fn sorted(steps: &[StepId]) -> Vec<StepId> {
    let mut steps = steps.to_vec();
    steps.sort_unstable();
    steps
}
