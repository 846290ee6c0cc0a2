//! Runs as scripts. Time is virtual. After every line of every script the run is compared with a replay of its
//! journal.

use std::collections::HashMap;

use flowline_core::event::CancelReason::{Interrupted, RunFailed, RunTimedOut, UpstreamFailed};
use flowline_core::event::Outcome::{
    self, Cached, Cancelled, Failed, Restored, Skipped, Succeeded, TimedOut,
};
use flowline_core::event::Report::{Ended, RetryAt};
use flowline_core::event::SkipReason::{Condition, NotSelected, UpstreamSkipped};
use flowline_core::event::{
    Event, ItemCounts, ItemReport, Nanos, Next, Obstacle, OnError, OnItemError, RunError, State, Status, Stop,
};
use flowline_core::ids::StepId;
use flowline_core::resources::Needs;
use flowline_core::run::Run;

use super::{Named, graph, item, pool};

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
        ["restored"] => ItemReport::Restored,
        ["withdrawn"] => ItemReport::Withdrawn,
        ["fails"] => ItemReport::Failed,
        [position, "retries", until] => {
            ItemReport::RetryAt(item(position.parse().unwrap()), until.parse().unwrap())
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
    items: Vec<Option<ItemCounts>>,
    states: Vec<Option<State>>,
    has_ready: bool,
    failures: Vec<StepId>,
    running: Vec<StepId>,
    ended: usize,
}

pub fn view(run: &Run, steps: usize, now: Nanos) -> View {
    let steps = StepId::first(steps);
    View {
        status: run.status(),
        outcomes: steps.clone().map(|step| run.outcome(step)).collect(),
        started: steps.clone().map(|step| run.started(step)).collect(),
        timing: steps.clone().map(|step| run.timing(step)).collect(),
        attempts: steps.clone().map(|step| run.attempts(step)).collect(),
        items: steps.clone().map(|step| run.item_counts(step)).collect(),
        states: steps.map(|step| run.state(step, now)).collect(),
        has_ready: run.has_ready(),
        failures: run.failures().to_vec(),
        running: run.running(),
        ended: run.ended(),
    }
}

/// A run that goes through a script and records what happens.
struct Script<'a> {
    named: Named<'a>,
    pools: Vec<(&'a str, u32)>,
    run: Run,
    now: Nanos,
    journal: Vec<u8>,
    drained: Vec<StepId>,
}

/// Goes through the script; its vocabulary is in [`Script::line`].
#[track_caller]
pub fn check(on_error: OnError, steps: &str, lines: &str) {
    check_sharing("", on_error, steps, lines);
}

/// The same with pools, as in `"db=2 api=1"`, and steps that use them, as in `"a | uses=db:2 rate=3/10"`,
/// and have expected times, as in `"a | seconds=3"`.
#[track_caller]
pub fn check_sharing(pools: &str, on_error: OnError, steps: &str, lines: &str) {
    let named = graph(steps);
    let pools = pools.split_whitespace().map(|pool| pool.split_once('=').unwrap());
    let pools: Vec<_> = pools.map(|(name, size)| (name, size.parse().unwrap())).collect();
    let mut needs = HashMap::new();
    let mut seconds = vec![None; named.names.len()];
    for (id, step) in StepId::first(usize::MAX).zip(steps.split(';').filter(|step| !step.trim().is_empty())) {
        let mut own = Needs::default();
        for flag in step.split_once('|').map_or("", |(_, flags)| flags).split_whitespace() {
            match flag.split_once('=') {
                Some(("uses", use_of)) => {
                    let (wanted, amount) = use_of.split_once(':').unwrap_or((use_of, "1"));
                    let known = pools.iter().position(|(name, _)| *name == wanted).unwrap();
                    own.pools.push((pool(known as u32), amount.parse().unwrap()));
                }
                Some(("rate", rate)) => {
                    let (count, period) = rate.split_once('/').unwrap();
                    own.rate = Some((count.parse().unwrap(), period.parse().unwrap()));
                }
                Some(("seconds", time)) => seconds[id.index()] = Some(time.parse().unwrap()),
                _ => {}
            }
        }
        if own != Needs::default() {
            needs.insert(id, own);
        }
    }
    let mut run = Run::new(named.graph.clone(), on_error);
    run.keep_journal().unwrap();
    if !needs.is_empty() {
        run.share(&pools.iter().map(|(_, size)| *size).collect::<Vec<_>>(), needs).unwrap();
    }
    if seconds.iter().any(Option::is_some) {
        run.expect(&seconds).unwrap();
    }
    let mut script = Script { named, pools, run, now: 0, journal: vec![], drained: vec![] };
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        script.line(line, &line.split(' ').collect::<Vec<_>>());
        script.compare_with_replay(line);
    }
    let mut drained = std::mem::take(&mut script.drained);
    drained.extend(script.run.drain_ended());
    assert_eq!(script.replayed().drain_ended(), drained, "steps that ended unreported, in replay");
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
                let ended = |step: StepId| Some((step, self.run.outcome(step)?));
                let show = |(step, outcome): (StepId, _)| {
                    format!("{}={}", self.named.names[step.index()], word(outcome))
                };
                let actual: Vec<_> = StepId::first(steps).filter_map(ended).map(show).collect();
                assert_eq!((actual.join(" "), self.run.ended()), (expected.join(" "), expected.len()));
            }
            ["running", names @ ..] => assert_eq!(self.named.show(&self.run.running()), names.join(" ")),
            ["failures", names @ ..] => assert_eq!(self.named.show(self.run.failures()), names.join(" ")),
            ["passed_over", names @ ..] => {
                let drained = self.run.drain_ended();
                assert_eq!(self.named.show(&drained), names.join(" "), "{line}");
                self.drained.extend(drained);
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
            // How many items at a time, and how many failures fail the step: one, unless it says so.
            ["opens", name, most, on_error @ ..] => {
                let step = self.named.id(name);
                let on_error = match on_error {
                    [] => OnItemError::FailAt(1),
                    ["fails_at", most] => OnItemError::FailAt(most.parse().unwrap()),
                    ["collects"] => OnItemError::Collect,
                    other => panic!("no such policy: {other:?}"),
                };
                self.apply(Event::Opened { step, most: most.parse().unwrap(), on_error, at: self.now });
            }
            // How many items were done, restored, failed and retried.
            ["counts", name, counts @ ..] => {
                let ItemCounts { done, restored, failed, retries } =
                    self.run.item_counts(self.named.id(name)).unwrap();
                assert_eq!(
                    [done, restored, failed, retries].map(|count| count.to_string()),
                    *counts,
                    "{line}"
                );
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
            }),
            ["item", name, report @ .., "refused"] => {
                let (step, report) = (self.named.id(name), item_report(report));
                let refused = self.run.report_item(step, report, true, self.now);
                assert_eq!(refused, Err(RunError::NotRunning(step)), "{line}");
            }
            ["item", name, report @ .., "uncalled"] => self.report_item(name, report, false),
            ["item", name, report @ ..] => self.report_item(name, report, true),
            ["item_attempts", name, position, count] => {
                let attempts = self.run.item_attempts(self.named.id(name), item(position.parse().unwrap()));
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
            Event::Reported { step, report, at } => self.run.report(step, report, at).unwrap(),
            Event::Stopped { stop, entirely, at } => self.run.stop(stop, entirely, at),
            other => self.run.apply(other).unwrap(),
        }
    }

    /// Returns the run's next action, which must be the same as in a replay.
    fn ask(&mut self) -> Next {
        let replayed = self.replayed().next(self.now);
        let next = self.run.next(self.now);
        assert_eq!(replayed, next, "what to do next, in replay");
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

    /// The run rebuilt from its journal.
    fn replayed(&mut self) -> Run {
        self.journal.extend(self.run.take_events());
        Run::replay(self.named.graph.clone(), &self.journal).unwrap()
    }

    fn state(&self, name: &str) -> String {
        match self.run.state(self.named.id(name), self.now).unwrap() {
            State::Pending => "pending".into(),
            State::Ready => "ready".into(),
            State::Running => "running".into(),
            State::Retry(_) => "retry".into(),
            State::Resource(Obstacle::Pool(pool)) => format!("pool:{}", self.pools[pool.index()].0),
            State::Resource(Obstacle::Rate(until)) => format!("rate:{until}"),
            State::Ended(outcome) => word(outcome).into(),
        }
    }

    fn compare_with_replay(&mut self, line: &str) {
        let (steps, now) = (self.named.names.len(), self.now);
        assert_eq!(view(&self.replayed(), steps, now), view(&self.run, steps, now), "replay, after: {line}");
    }
}
