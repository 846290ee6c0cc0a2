//! Runs, told as scripts. Time is virtual. After every line of every script the run is compared with its
//! replay.

use std::collections::HashMap;

use flowline_core::event::CancelReason::{Interrupted, RunFailed, RunTimedOut, UpstreamFailed};
use flowline_core::event::Outcome::{
    self, Cached, Cancelled, Failed, Restored, Skipped, Succeeded, TimedOut,
};
use flowline_core::event::Report::{Ended, RetryAt};
use flowline_core::event::SkipReason::{Condition, NotSelected, UpstreamSkipped};
use flowline_core::event::{
    Event, ItemReport, Nanos, Next, Obstacle, OnError, PoolId, RunError, State, Status, Stop,
};
use flowline_core::graph::StepId;
use flowline_core::resources::Needs;
use flowline_core::run::Run;

use super::{Named, graph};

pub const STOP: OnError = OnError::Stop;
pub const CONTINUE: OnError = OnError::Continue;

const OUTCOMES: [(&str, Outcome); 12] = [
    ("ok", Succeeded),
    ("cached", Cached),
    ("restored", Restored),
    ("fails", Failed),
    ("times_out", TimedOut),
    ("skips", Skipped(Condition)),
    ("not_selected", Skipped(NotSelected)),
    ("upstream_skipped", Skipped(UpstreamSkipped)),
    ("upstream_failed", Cancelled(UpstreamFailed)),
    ("run_failed", Cancelled(RunFailed)),
    ("interrupted", Cancelled(Interrupted)),
    ("run_timed_out", Cancelled(RunTimedOut)),
];

fn outcome(word: &str) -> Outcome {
    OUTCOMES.iter().find(|(known, _)| *known == word).unwrap_or_else(|| panic!("no outcome {word}")).1
}

fn word(outcome: Outcome) -> &'static str {
    OUTCOMES.iter().find(|(_, known)| *known == outcome).unwrap().0
}

fn item_report(words: &[&str]) -> ItemReport {
    match words {
        ["done"] => ItemReport::Done,
        ["fails"] => ItemReport::Failed,
        [position, "retries", until] => {
            ItemReport::RetryAt(position.parse().unwrap(), until.parse().unwrap())
        }
        _ => panic!("no such report: {words:?}"),
    }
}

/// Everything a caller can see of a run without changing it.
#[derive(Debug, PartialEq)]
pub struct View {
    status: Status,
    outcomes: Vec<Option<Outcome>>,
    started: Vec<Option<Nanos>>,
    timing: Vec<Option<(Nanos, Nanos)>>,
    attempts: Vec<u32>,
    failures: Vec<StepId>,
    running: Vec<StepId>,
    ended: usize,
}

pub fn view(run: &Run, steps: usize) -> View {
    let steps = 0..steps as StepId;
    View {
        status: run.status(),
        outcomes: steps.clone().map(|step| run.outcome(step)).collect(),
        started: steps.clone().map(|step| run.started(step)).collect(),
        timing: steps.clone().map(|step| run.timing(step)).collect(),
        attempts: steps.map(|step| run.attempts(step)).collect(),
        failures: run.failures().to_vec(),
        running: run.running(),
        ended: run.ended(),
    }
}

/// A run that goes through a script and records what happens.
struct Script<'a> {
    named: Named<'a>,
    pools: Vec<(&'a str, u32)>,
    needs: HashMap<StepId, Needs>,
    seconds: Vec<Option<f64>>,
    on_error: OnError,
    run: Run,
    now: Nanos,
    events: Vec<Event>,
    passed_over: Vec<StepId>,
}

/// Goes through the script; its vocabulary is in [`Script::line`].
#[track_caller]
pub fn check(on_error: OnError, steps: &str, lines: &str) {
    check_sharing("", on_error, steps, lines);
}

/// The same with pools, as in `"db=2 api=1"`, and steps that use them, as in `"a | uses=db:2 rate=3/10"`,
/// and are expected to take their time, as in `"a | seconds=3"`.
#[track_caller]
pub fn check_sharing(pools: &str, on_error: OnError, steps: &str, lines: &str) {
    let named = graph(steps);
    let pools = pools.split_whitespace().map(|pool| pool.split_once('=').unwrap());
    let pools: Vec<_> = pools.map(|(name, size)| (name, size.parse().unwrap())).collect();
    let mut needs = HashMap::new();
    let mut seconds = vec![None; named.names.len()];
    for (id, step) in (0..).zip(steps.split(';').filter(|step| !step.trim().is_empty())) {
        let mut own = Needs::default();
        for flag in step.split_once('|').map_or("", |(_, flags)| flags).split_whitespace() {
            match flag.split_once('=') {
                Some(("uses", pool)) => {
                    let (pool, amount) = pool.split_once(':').unwrap_or((pool, "1"));
                    let known = pools.iter().position(|(name, _)| *name == pool).unwrap();
                    own.pools.push((known as PoolId, amount.parse().unwrap()));
                }
                Some(("rate", rate)) => {
                    let (count, period) = rate.split_once('/').unwrap();
                    own.rate = Some((count.parse().unwrap(), period.parse().unwrap()));
                }
                Some(("seconds", time)) => seconds[id as usize] = Some(time.parse().unwrap()),
                _ => {}
            }
        }
        if own != Needs::default() {
            needs.insert(id, own);
        }
    }
    let run = Run::new(named.graph.clone(), on_error);
    let mut script =
        Script { named, pools, needs, seconds, on_error, run, now: 0, events: vec![], passed_over: vec![] };
    script.run = script.fresh();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        script.line(line, &line.split(' ').collect::<Vec<_>>());
        script.compare_with_replay(line);
    }
    let mut passed_over = std::mem::take(&mut script.passed_over);
    passed_over.extend(script.run.take_passed_over());
    assert_eq!(script.replayed().take_passed_over(), passed_over, "steps passed over, in replay");
}

impl Script<'_> {
    #[track_caller]
    fn line(&mut self, line: &str, words: &[&str]) {
        let steps = self.named.names.len();
        match words {
            ["at", time] => self.now = time.parse().unwrap(),
            ["starts", names @ ..] => names.iter().for_each(|name| {
                let step = self.named.id(name);
                assert_eq!(self.ask(), Next::Start(step), "{line}: {name}");
                self.events.push(Event::Started { step, at: self.now });
            }),
            ["waits"] => assert_eq!(self.ask(), Next::Wait(None), "{line}"),
            ["waits", until] => assert_eq!(self.ask(), Next::Wait(Some(until.parse().unwrap())), "{line}"),
            ["done", status] => {
                assert_eq!((self.ask(), self.status()), (Next::Done, *status), "{line}");
                assert_eq!((self.run.running(), self.run.ended()), (vec![], steps), "{line}");
            }
            ["status", status] => assert_eq!(self.status(), *status, "{line}"),
            // Of all steps that have ended.
            ["outcomes", expected @ ..] => {
                let ended = |step: usize| Some((step, self.run.outcome(step as StepId)?));
                let show =
                    |(step, outcome): (usize, _)| format!("{}={}", self.named.names[step], word(outcome));
                let actual: Vec<_> = (0..steps).filter_map(ended).map(show).collect();
                assert_eq!((actual.join(" "), self.run.ended()), (expected.join(" "), expected.len()));
            }
            ["running", names @ ..] => assert_eq!(self.named.show(&self.run.running()), names.join(" ")),
            ["failures", names @ ..] => assert_eq!(self.named.show(self.run.failures()), names.join(" ")),
            ["passed_over", names @ ..] => {
                let passed_over = self.run.take_passed_over();
                assert_eq!(self.named.show(&passed_over), names.join(" "), "{line}");
                self.passed_over.extend(passed_over);
            }
            ["attempts", name, count] => {
                assert_eq!(self.run.attempts(self.named.id(name)).to_string(), *count, "{line}");
            }
            ["timing", name, "none"] => assert_eq!(self.run.timing(self.named.id(name)), None, "{line}"),
            ["timing", name, started, ended] => {
                let expected = (started.parse().unwrap(), ended.parse().unwrap());
                assert_eq!(self.run.timing(self.named.id(name)), Some(expected), "{line}");
            }
            ["stop", reason, entirely @ ..] => {
                let stop = match *reason {
                    "failed" => Stop::Failed,
                    "interrupted" => Stop::Interrupted,
                    "timed_out" => Stop::TimedOut,
                    _ => panic!("no such reason: {line}"),
                };
                assert!(matches!(entirely, [] | ["entirely"]), "{line}");
                self.apply(Event::Stopped { stop, entirely: !entirely.is_empty(), at: self.now });
            }
            ["ready", "at_once"] => assert!(self.run.has_ready(), "{line}"),
            ["ready", "nothing"] => assert!(!self.run.has_ready(), "{line}"),
            ["state", name, expected] => assert_eq!(self.state(name), *expected, "{line}"),
            ["begins", names @ ..] => names.iter().for_each(|name| {
                self.apply(Event::Began { step: self.named.id(name), at: self.now });
            }),
            ["opens", name, most] => {
                let step = self.named.id(name);
                self.apply(Event::Opened { step, most: most.parse().unwrap(), at: self.now });
            }
            ["supplies", name, count] => {
                self.apply(Event::Supplied { step: self.named.id(name), count: count.parse().unwrap() });
            }
            ["exhausts", name] => self.apply(Event::Exhausted { step: self.named.id(name) }),
            // The positions of the items; `nothing`: the step itself is to be reported on.
            ["takes", name, positions @ ..] => positions.iter().for_each(|position| {
                let step = self.named.id(name);
                let taken = self.run.take(step).map_or("nothing".into(), |position| position.to_string());
                assert_eq!(taken, *position, "{line}");
                self.events.push(Event::Taken { step });
            }),
            ["item", name, report @ .., "refused"] => {
                let (step, report) = (self.named.id(name), item_report(report));
                let refused = self.run.report_item(step, report, true, self.now);
                assert_eq!(refused, Err(RunError::NotRunning(step)), "{line}");
            }
            ["item", name, report @ .., "uncalled"] => self.report_item(name, report, false),
            ["item", name, report @ ..] => self.report_item(name, report, true),
            ["item_attempts", name, position, count] => {
                let attempts = self.run.item_attempts(self.named.id(name), position.parse().unwrap());
                assert_eq!(attempts.to_string(), *count, "{line}");
            }
            [name, "retries", until] => self.report(name, RetryAt(until.parse().unwrap())),
            [name, ending] => self.report(name, Ended(outcome(ending))),
            _ => panic!("what does this mean: {line}"),
        }
    }

    fn report(&mut self, name: &str, report: flowline_core::event::Report) {
        self.apply(Event::Reported { step: self.named.id(name), report, at: self.now });
    }

    fn report_item(&mut self, name: &str, report: &[&str], called: bool) {
        let (step, report) = (self.named.id(name), item_report(report));
        self.apply(Event::Item { step, report, called, at: self.now });
    }

    fn apply(&mut self, event: Event) {
        match event {
            Event::Started { .. } => {}
            Event::Reported { step, report, at } => self.run.report(step, report, at).unwrap(),
            Event::Stopped { stop, entirely, at } => self.run.stop(stop, entirely, at),
            other => self.run.apply(other).unwrap(),
        }
        self.events.push(event);
    }

    /// What to do now, which must be what a replay would do.
    fn ask(&mut self) -> Next {
        let replayed = self.replayed().next(self.now);
        let next = self.run.next(self.now);
        match (replayed, next) {
            // It need not be for the same of two obstacles that both wait.
            (Next::Wait(_), Next::Wait(_)) if !self.needs.is_empty() => {}
            _ => assert_eq!(replayed, next, "what to do next, in replay"),
        }
        next
    }

    fn status(&self) -> &'static str {
        match self.run.status() {
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::TimedOut => "timed_out",
            Status::Cancelled => "cancelled",
        }
    }

    /// The run made again from what was recorded of it, through text.
    fn replayed(&self) -> Run {
        let recorded = serde_json::to_string(&self.events).unwrap();
        let events: Vec<Event> = serde_json::from_str(&recorded).unwrap();
        if self.needs.is_empty() && self.seconds.iter().all(Option::is_none) {
            return Run::replay(self.named.graph.clone(), self.on_error, events).unwrap();
        }
        let mut run = self.fresh();
        events.into_iter().for_each(|event| run.apply(event).unwrap());
        run
    }

    fn fresh(&self) -> Run {
        let mut run = Run::new(self.named.graph.clone(), self.on_error);
        run.share(&self.pools.iter().map(|(_, size)| *size).collect::<Vec<_>>(), self.needs.clone());
        run.expect(&self.seconds);
        run
    }

    fn state(&self, name: &str) -> String {
        match self.run.state(self.named.id(name), self.now).unwrap() {
            State::Pending => "pending".into(),
            State::Ready => "ready".into(),
            State::Running => "running".into(),
            State::Retry => "retry".into(),
            State::Resource(Obstacle::Pool(pool)) => format!("pool:{}", self.pools[pool as usize].0),
            State::Resource(Obstacle::Rate(until)) => format!("rate:{until}"),
            State::Ended(outcome) => word(outcome).into(),
        }
    }

    fn compare_with_replay(&self, line: &str) {
        let steps = self.named.names.len();
        assert_eq!(view(&self.replayed(), steps), view(&self.run, steps), "replay, after: {line}");
    }
}
