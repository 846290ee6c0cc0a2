//! Runs as scripts: what the caller asks and reports, and what the run must answer.
//!
//! Time is virtual. After every line of every script the run is compared with its replay.

use crate::common::script::{CONTINUE, STOP, check, view};
use crate::common::{Named, graph, nth, nths, on_a_small_stack, replay};
use flowline_core::event::CancelReason::{Interrupted, RunFailed, RunTimedOut, UpstreamFailed};
use flowline_core::event::Outcome::{Cancelled, Failed, Succeeded};
use flowline_core::event::Report::{Ended, RetryAt, Withdrawn};
use flowline_core::event::{Event, Next, OnError, RunError, Status, Stop};
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::StepId;
use flowline_core::run::Run;

mod fan_in {
    use super::*;

    #[test]
    fn starts_a_step_once_when_its_last_dependency_ends() {
        check(
            STOP,
            "a; b; join: a b; end: join",
            "starts a b
             waits
             b ok
             waits
             a ok
             starts join
             waits
             join ok
             starts end
             end ok
             done succeeded",
        );
    }

    #[test]
    fn is_no_wave_a_branch_never_waits_for_another() {
        check(
            STOP,
            "a; b; a2: a; b2: b; join: a2 b2",
            "starts a b
             a ok
             starts a2
             a2 ok
             waits
             b ok
             starts b2
             waits
             b2 ok
             starts join
             join ok
             done succeeded",
        );
    }

    #[test]
    fn counts_a_dependency_named_twice_once() {
        check(STOP, "a; b: a a", "starts a\n waits\n a ok\n starts b\n waits\n b ok\n done succeeded");
    }

    #[test]
    fn waits_for_every_dependency_whatever_the_condition() {
        check(
            CONTINUE,
            "a; b; any: a b | any; always: a b | always; success: a b",
            "starts a b
             a fails
             waits
             outcomes a=fails
             b ok
             outcomes a=fails b=ok success=upstream_failed
             starts any always
             waits",
        );
    }
}

mod order {
    use super::*;

    #[test]
    fn among_ready_steps_is_longest_remaining_path_first_then_definition_order() {
        check(
            STOP,
            "a; b; c; c2: c; b2: b; b3: b2",
            "starts b c a
             waits
             c ok
             b ok
             starts b2 c2
             waits",
        );
    }

    #[test]
    fn holds_for_steps_that_become_ready_while_others_are() {
        check(STOP, "a; b; c; a2: a; a3: a2", "starts a\n a ok\n starts a2 b\n a2 ok\n starts c a3\n waits");
    }

    #[test]
    fn holds_for_steps_that_wake() {
        check(
            STOP,
            "a; b; long; end: long",
            "starts long
             long retries 5
             at 5
             starts long a b
             waits",
        );
    }
}

mod an_empty_run {
    use super::*;

    #[test]
    fn has_succeeded_already() {
        check(STOP, "", "status succeeded\n done succeeded\n stop interrupted\n done succeeded");
    }
}

mod retries {
    use super::*;

    #[test]
    fn start_a_step_again_at_the_time_it_asked_for_and_not_before() {
        check(
            STOP,
            "a; b: a",
            "starts a
             at 10
             a retries 50
             waits 50
             at 49
             waits 50
             running
             at 50
             starts a
             waits
             a ok
             starts b
             b ok
             done succeeded",
        );
    }

    #[test]
    fn wait_for_the_earliest_of_several() {
        check(
            STOP,
            "a; b; c",
            "starts a b c
             a retries 30
             b retries 20
             c retries 40
             waits 20
             at 35
             starts a b
             waits 40
             at 36
             a retries 40
             waits 40
             at 40
             starts a c
             waits",
        );
    }

    #[test]
    fn do_not_keep_other_steps_from_starting() {
        check(
            STOP,
            "a; b; c: b",
            "starts b a
             a retries 100
             waits 100
             at 10
             b ok
             starts c
             waits 100
             at 20
             c ok
             waits 100",
        );
    }

    #[test]
    fn may_be_due_at_once() {
        check(
            STOP,
            "a",
            "at 7\n starts a\n a retries 7\n starts a\n a retries 3\n starts a\n a ok\n done succeeded",
        );
    }

    #[test]
    fn count_as_attempts_and_time_runs_from_the_first_start() {
        check(
            STOP,
            "a; b",
            "at 5
             starts a
             attempts a 0
             at 6
             a retries 8
             attempts a 1
             timing a none
             at 9
             starts a
             a retries 9
             starts a
             attempts a 2
             at 12
             a ok
             attempts a 3
             timing a 5 12
             timing b none",
        );
    }

    #[test]
    fn may_end_in_failure_or_a_timeout() {
        check(STOP, "a", "starts a\n a retries 1\n at 1\n starts a\n a fails\n attempts a 2\n done failed");
        check(
            STOP,
            "a",
            "starts a\n a retries 1\n at 1\n starts a\n a times_out\n attempts a 2\n done failed",
        );
    }

    #[test]
    fn are_no_failures_until_the_last() {
        check(
            STOP,
            "a; b; c: a",
            "starts a b\n a retries 9\n failures\n b ok\n status running\n outcomes b=ok",
        );
    }
}

mod attempts_and_timing {
    use super::*;

    #[test]
    fn count_only_calls_of_the_callable_that_came_to_an_end() {
        check(
            CONTINUE,
            "ok; cached; restored; skipped; failed; timed_out; stopped; never: skipped",
            "starts skipped ok cached restored failed timed_out stopped
             at 4
             ok ok
             cached cached
             restored restored
             skipped skips
             failed fails
             timed_out times_out
             stopped interrupted
             attempts ok 1
             attempts cached 0
             attempts restored 0
             attempts skipped 0
             attempts failed 1
             attempts timed_out 1
             attempts stopped 0
             attempts never 0
             timing never none
             timing skipped 0 4
             timing stopped 0 4",
        );
    }

    #[test]
    fn time_is_known_once_a_step_has_ended() {
        check(STOP, "a", "at 3\n starts a\n at 5\n timing a none\n a ok\n timing a 3 5");
    }

    #[test]
    fn of_a_step_stopped_while_it_waits_are_those_of_the_attempts_made() {
        check(
            STOP,
            "a",
            "at 1\n starts a\n a retries 9\n at 4\n stop interrupted\n attempts a 1\n timing a 1 4",
        );
    }

    #[test]
    fn of_unknown_steps_are_nothing() {
        let run = Run::new(graph("a").graph, STOP);
        assert_eq!((run.attempts(nth(1)), run.timing(nth(1)), run.outcome(nth(1))), (0, None, None));
    }
}

mod skips {
    use super::*;

    #[test]
    fn cascade_and_the_run_succeeds() {
        check(
            STOP,
            "a; b: a; c: b; d: a c; other",
            "starts a other
             a skips
             outcomes a=skips b=upstream_skipped c=upstream_skipped d=upstream_skipped
             other ok
             done succeeded",
        );
    }

    #[test]
    fn cascade_from_unselected_steps_too() {
        check(
            STOP,
            "a; b: a",
            "starts a\n a not_selected\n outcomes a=not_selected b=upstream_skipped\n done succeeded",
        );
    }

    #[test]
    fn of_one_dependency_suffice_but_are_known_only_when_all_ended() {
        check(
            STOP,
            "a; b; c: a b",
            "starts a b
             a skips
             outcomes a=skips
             b ok
             outcomes a=skips b=ok c=upstream_skipped
             done succeeded",
        );
    }

    #[test]
    fn do_not_follow_from_reused_or_restored_outputs() {
        check(STOP, "a; b; c: a b", "starts a b\n a cached\n b restored\n starts c\n c ok\n done succeeded");
    }

    #[test]
    fn give_way_to_a_failure_among_the_dependencies() {
        for endings in ["a skips\n b fails", "b fails\n a skips"] {
            let lines =
                format!("starts a b\n {endings}\n outcomes a=skips b=fails c=upstream_failed\n done failed");
            check(CONTINUE, "a; b; c: a b", &lines);
        }
    }
}

mod run_if {
    use super::*;

    /// How steps `x` fare that depend on `a` and `b`, which end so.
    #[track_caller]
    fn endings(a: &str, b: &str, success: &str, any: &str, always: &str) {
        for ended in [format!("a {a}\n b {b}"), format!("b {b}\n a {a}")] {
            for (rule, expected) in [("", success), ("any", any), ("always", always)] {
                let then = match expected {
                    "runs" => "starts x".into(),
                    _ => format!("outcomes a={a} b={b} x={expected}"),
                };
                check(CONTINUE, &format!("a; b; x: a b | {rule}"), &format!("starts a b\n {ended}\n {then}"));
            }
        }
    }

    #[test]
    fn decides_by_how_the_dependencies_ended() {
        endings("ok", "ok", "runs", "runs", "runs");
        endings("cached", "restored", "runs", "runs", "runs");
        endings("ok", "skips", "upstream_skipped", "runs", "runs");
        endings("ok", "not_selected", "upstream_skipped", "runs", "runs");
        endings("skips", "skips", "upstream_skipped", "upstream_skipped", "runs");
        endings("ok", "fails", "upstream_failed", "runs", "runs");
        endings("cached", "times_out", "upstream_failed", "runs", "runs");
        endings("restored", "interrupted", "upstream_failed", "runs", "runs");
        endings("skips", "fails", "upstream_failed", "upstream_failed", "runs");
        endings("fails", "times_out", "upstream_failed", "upstream_failed", "runs");
        endings("interrupted", "interrupted", "upstream_failed", "upstream_failed", "runs");
    }

    #[test]
    fn sees_what_the_run_itself_decided_like_what_was_reported() {
        check(
            CONTINUE,
            "bad; no: bad; maybe; off: maybe; good; any: off good no | any; none: off | any; all: no none | always",
            "starts maybe bad good
             maybe skips
             bad fails
             starts all
             good ok
             starts any
             outcomes bad=fails no=upstream_failed maybe=skips off=upstream_skipped good=ok none=upstream_skipped",
        );
    }

    #[test]
    fn without_dependencies_means_nothing() {
        check(STOP, "any | any; always | always", "starts any always\n any ok\n always ok\n done succeeded");
    }
}

mod optional_steps {
    use super::*;

    #[test]
    fn may_fail_without_failing_the_run_and_look_skipped_to_dependents() {
        for ending in ["fails", "times_out"] {
            let lines = format!(
                "starts a b
                 a {ending}
                 failures
                 b ok
                 outcomes a={ending} b=ok c=upstream_skipped
                 starts any
                 any ok
                 done succeeded"
            );
            check(STOP, "a | optional; b; c: a; any: a b | any", &lines);
        }
    }

    #[test]
    fn do_not_excuse_a_failure_among_the_dependencies() {
        check(
            CONTINUE,
            "a | optional; b; c: a b",
            "starts a b\n a fails\n b fails\n failures b\n outcomes a=fails b=fails c=upstream_failed\n done failed",
        );
    }

    #[test]
    fn do_not_excuse_the_failure_that_kept_them_from_running() {
        check(
            CONTINUE,
            "a; b: a | optional; c: b",
            "starts a\n a fails\n outcomes a=fails b=upstream_failed c=upstream_failed\n done failed",
        );
    }

    #[test]
    fn give_their_output_like_others() {
        check(STOP, "a | optional; b: a", "starts a\n a ok\n starts b\n b ok\n done succeeded");
    }
}

mod on_error_stop {
    use super::*;

    #[test]
    fn starts_nothing_new_and_what_runs_finishes_and_keeps_its_output() {
        check(
            STOP,
            "bad; slow; after_bad: bad; later: after_bad; after_slow: slow; ready",
            "starts bad slow
             bad fails
             waits
             status running
             running slow
             slow ok
             outcomes bad=fails slow=ok after_bad=run_failed later=run_failed after_slow=run_failed ready=run_failed
             failures bad
             done failed",
        );
    }

    #[test]
    fn is_the_same_for_a_timeout() {
        check(
            STOP,
            "a; b; c: a",
            "starts a\n a times_out\n outcomes a=times_out b=run_failed c=run_failed\n done failed",
        );
    }

    #[test]
    fn still_runs_steps_that_run_always_once_their_dependencies_ended() {
        check(
            STOP,
            "bad; slow; work: bad; tidy: work slow | always; tell: tidy | always; not: tidy; free | always",
            "starts bad slow
             bad fails
             starts free
             waits
             outcomes bad=fails work=run_failed
             slow ok
             starts tidy
             waits
             tidy ok
             outcomes bad=fails slow=ok work=run_failed tidy=ok not=run_failed
             starts tell
             free ok
             tell ok
             done failed",
        );
    }

    #[test]
    fn still_runs_steps_that_outlast_it_if_their_dependencies_have_outputs() {
        check(
            STOP,
            "bad; close: bad | always; mail: close | lasting; lost: bad | lasting; free | lasting; not: close",
            "starts bad free
             bad fails
             outcomes bad=fails lost=upstream_failed
             starts close
             close ok
             outcomes bad=fails close=ok lost=upstream_failed not=run_failed
             starts mail
             free ok
             mail ok
             done failed",
        );
    }

    #[test]
    fn fails_a_step_that_waits_for_its_retry() {
        check(
            STOP,
            "a; b",
            "starts a b
             a retries 50
             at 10
             b fails
             passed_over a
             outcomes a=fails b=fails
             at 50
             done failed",
        );
    }

    #[test]
    fn allows_no_retry_afterwards_except_to_steps_that_run_always() {
        check(
            STOP,
            "bad; a; tidy | always",
            "starts bad a tidy
             bad fails
             at 5
             a retries 10
             outcomes bad=fails a=fails
             attempts a 1
             timing a 0 5
             tidy retries 10
             waits 10
             at 10
             starts tidy
             tidy ok
             done failed",
        );
    }

    #[test]
    fn lists_failures_in_the_order_in_which_they_happened() {
        check(
            STOP,
            "a; b; c; tidy: a | always",
            "starts a b c
             c fails
             a times_out
             b fails
             starts tidy
             failures c a b
             tidy fails
             failures c a b tidy
             done failed",
        );
    }

    #[test]
    fn continues_after_an_optional_failure() {
        check(STOP, "a | optional; b", "starts a\n a fails\n starts b\n b ok\n done succeeded");
    }

    #[test]
    fn cares_little_when_the_last_step_fails() {
        check(STOP, "a; b: a", "starts a\n a ok\n starts b\n b fails\n outcomes a=ok b=fails\n done failed");
    }
}

mod on_error_continue {
    use super::*;

    #[test]
    fn cancels_what_depends_on_the_failure_and_runs_the_rest() {
        check(
            CONTINUE,
            "bad; after: bad; later: after; good; more: good; both: later more; tidy: both | always",
            "starts bad good
             bad fails
             passed_over after later
             good ok
             starts more
             waits
             more ok
             passed_over both
             starts tidy
             tidy ok
             outcomes bad=fails after=upstream_failed later=upstream_failed good=ok more=ok both=upstream_failed tidy=ok
             failures bad
             done failed",
        );
    }

    #[test]
    fn still_retries_after_a_failure() {
        check(
            CONTINUE,
            "a; b",
            "starts a b\n a fails\n b retries 5\n waits 5\n at 5\n starts b\n b ok\n done failed",
        );
    }

    #[test]
    fn lists_failures_in_the_order_in_which_they_happened() {
        check(
            CONTINUE,
            "a; b; c | optional",
            "starts a b c\n b fails\n c fails\n a fails\n failures b a\n done failed",
        );
    }
}

mod stop {
    use super::*;

    #[test]
    fn withdraws_a_started_step_that_was_not_called_with_the_reason_of_the_stop() {
        let named = graph("a; b; c: a");
        let stops =
            [(Stop::Failed, RunFailed), (Stop::Interrupted, Interrupted), (Stop::TimedOut, RunTimedOut)];
        for (stop, reason) in stops {
            let mut run = Run::new(named.graph.clone(), CONTINUE);
            assert_eq!(run.next(1), Next::Start(named.id("a")));
            assert_eq!(run.report(named.id("a"), Withdrawn, 2), Err(RunError::NotReady(named.id("a"))));
            run.stop(stop, false, 3);
            run.report(named.id("a"), Withdrawn, 4).unwrap();
            for name in ["a", "b", "c"] {
                assert_eq!(run.outcome(named.id(name)), Some(Cancelled(reason)), "{name} after {stop:?}");
            }
            assert_eq!(run.attempts(named.id("a")), 0);
        }
    }

    #[test]
    fn fails_a_step_that_was_to_be_retried() {
        for (stop, reason) in [(Stop::Interrupted, Interrupted), (Stop::TimedOut, RunTimedOut)] {
            let named = graph("waits; due; in_flight; fails_later; fresh; after: waits in_flight");
            let mut run = Run::new(named.graph.clone(), CONTINUE);
            let failing = ["waits", "due", "in_flight"].map(|name| named.id(name));
            while let Next::Start(step) = run.next(1) {
                if failing.contains(&step) {
                    let until = if step == named.id("waits") { 100 } else { 1 };
                    if run.attempts(step) == 0 {
                        run.report(step, RetryAt(until), 1).unwrap();
                    }
                }
                if step == named.id("in_flight") && run.attempts(step) == 1 && run.running().contains(&step) {
                    break;
                }
            }
            run.stop(stop, false, 2);
            run.report(named.id("in_flight"), Withdrawn, 3).unwrap();
            for step in run.running() {
                let report = if step == named.id("fails_later") { RetryAt(9) } else { Withdrawn };
                run.report(step, report, 4).unwrap();
            }
            for step in [failing[0], failing[2]] {
                assert_eq!((run.outcome(step), run.attempts(step)), (Some(Failed), 1));
                assert!(run.failures().contains(&step));
            }
            assert_eq!(run.outcome(named.id("after")), Some(Cancelled(reason)));
        }
    }

    #[test]
    fn cancels_what_has_not_started_and_lets_the_rest_finish() {
        for (reason, outcome, status) in [
            ("interrupted", "interrupted", "cancelled"),
            ("timed_out", "run_timed_out", "timed_out"),
            ("failed", "run_failed", "failed"),
        ] {
            let lines = format!(
                "starts a
                 at 3
                 stop {reason}
                 status running
                 waits
                 passed_over b
                 a ok
                 passed_over a2 a3
                 starts tidy
                 tidy ok
                 outcomes a=ok b={outcome} a2={outcome} a3={outcome} tidy=ok
                 done {status}"
            );
            check(CONTINUE, "a; b; a2: a; a3: a2; tidy: a a3 | always", &lines);
        }
    }

    #[test]
    fn lets_nothing_clean_up_before_all_has_ended_that_comes_before_it() {
        check(
            STOP,
            "connect; fetch: connect; load: fetch; bad; close: connect load | always; other: bad | always",
            "starts connect bad
             connect ok
             starts fetch
             bad fails
             starts other
             waits
             outcomes connect=ok bad=fails
             other ok
             waits
             fetch ok
             outcomes connect=ok fetch=ok load=run_failed bad=fails other=ok
             starts close
             close ok
             done failed",
        );
    }

    #[test]
    fn runs_steps_that_run_always_at_once_if_nothing_else_is_left() {
        check(
            STOP,
            "a; tidy: a | always; tell: tidy | always",
            "stop timed_out\n starts tidy\n tidy fails\n starts tell\n tell ok\n failures tidy\n done timed_out",
        );
    }

    #[test]
    fn entirely_cancels_steps_that_run_always_too() {
        check(
            STOP,
            "a; tidy: a | always; free | always; done: tidy",
            "starts a
             stop interrupted entirely
             waits
             a ok
             outcomes a=ok tidy=interrupted free=interrupted done=interrupted
             done cancelled",
        );
    }

    #[test]
    fn entirely_may_come_after_a_milder_stop_and_the_first_reason_stands() {
        check(
            STOP,
            "a; bad; tidy: a | always",
            "starts a bad
             bad fails
             stop timed_out
             stop interrupted entirely
             a ok
             outcomes a=ok bad=fails tidy=run_failed
             done failed",
        );
        check(
            STOP,
            "a; b",
            "starts a\n stop interrupted\n stop timed_out\n a fails\n failures a\n done cancelled",
        );
    }

    #[test]
    fn entirely_allows_no_retry_to_anybody() {
        check(
            STOP,
            "tidy | always; wash | always",
            "starts tidy wash
             wash retries 9
             stop interrupted entirely
             tidy retries 9
             outcomes tidy=fails wash=fails
             attempts tidy 1
             done cancelled",
        );
    }

    #[test]
    fn remembers_that_it_was_entirely_when_a_milder_one_follows() {
        check(
            STOP,
            "tidy | always",
            "starts tidy\n stop interrupted entirely\n stop interrupted\n tidy retries 9\n outcomes tidy=fails",
        );
    }

    #[test]
    fn cancels_waiting_steps_and_leaves_waiting_steps_that_run_always() {
        check(
            STOP,
            "a; tidy | always",
            "starts a tidy
             a retries 5
             tidy retries 8
             stop interrupted
             passed_over a
             waits 8
             at 8
             starts tidy
             tidy ok
             done cancelled",
        );
    }

    #[test]
    fn does_nothing_once_every_step_has_ended() {
        check(STOP, "a", "starts a\n a ok\n stop interrupted entirely\n done succeeded");
    }

    #[test]
    fn before_anything_started_cancels_everything() {
        check(
            STOP,
            "a; b: a",
            "stop interrupted\n outcomes a=interrupted b=interrupted\n timing a none\n done cancelled",
        );
    }

    #[test]
    fn of_a_single_step_is_no_failure_but_the_run_is_cancelled() {
        check(
            STOP,
            "a; b: a",
            "starts a\n a interrupted\n failures\n outcomes a=interrupted b=upstream_failed\n done cancelled",
        );
    }
}

mod passed_over {
    use super::*;

    #[test]
    fn holds_steps_that_ended_while_not_in_flight_once_each_dependencies_first() {
        check(
            CONTINUE,
            "c: b; b: a; a; d: c; other",
            "starts a other
             a skips
             passed_over b c d
             passed_over
             other ok
             passed_over",
        );
    }

    #[test]
    fn holds_none_that_was_reported_on() {
        check(STOP, "a; b", "starts a b\n b fails\n a retries 5\n passed_over\n outcomes a=fails b=fails");
    }
}

mod wrong_calls {
    use super::*;

    /// A run in which `running` runs, `waiting` waits until 100, `ended` has ended, the rest not begun.
    fn started() -> (Named<'static>, Run) {
        let named = graph("running; waiting; ended; ready; pending: running");
        let mut run = Run::new(named.graph.clone(), CONTINUE);
        for name in ["running", "waiting", "ended"] {
            assert_eq!(run.next(10), Next::Start(named.id(name)));
        }
        run.report(named.id("waiting"), RetryAt(100), 10).unwrap();
        run.report(named.id("ended"), Ended(Succeeded), 10).unwrap();
        (named, run)
    }

    /// Each call is refused so, and the run neither looks nor decides differently afterwards.
    #[track_caller]
    fn check(refused: impl Fn(StepId) -> (Event, RunError), names: &[&str]) {
        for &name in names {
            let (named, mut run) = started();
            let before = view(&run, 5, 10);
            let (event, error) = refused(named.find(name).unwrap_or(nth(u32::MAX)));
            assert_eq!(run.apply(event), Err(error), "{name}");
            assert_eq!(view(&run, 5, 10), before, "{name}");
            assert_eq!(run.next(99), Next::Start(named.id("ready")), "{name}");
            assert_eq!(run.next(99), Next::Wait(Some(100)), "{name}");
            assert_eq!(run.next(100), Next::Start(named.id("waiting")), "{name}");
            assert_eq!(run.next(100), Next::Wait(None), "{name}");
        }
    }

    #[test]
    fn to_report_on_a_step_that_is_not_running() {
        let names = ["waiting", "ended", "ready", "pending"];
        check(|step| (reported(step, Ended(Succeeded)), RunError::NotRunning(step)), &names);
        check(|step| (reported(step, Ended(Failed)), RunError::NotRunning(step)), &names);
        check(|step| (reported(step, RetryAt(0)), RunError::NotRunning(step)), &names);
    }

    #[test]
    fn to_start_a_step_that_is_not_ready() {
        let names = ["running", "ended", "pending"];
        check(|step| (Event::Started { step, at: 500 }, RunError::NotReady(step)), &names);
        check(|step| (Event::Started { step, at: 99 }, RunError::NotReady(step)), &["waiting"]);
    }

    #[test]
    fn to_name_an_unknown_step() {
        check(|step| (Event::Started { step, at: 500 }, RunError::UnknownStep(step)), &["unknown"]);
        check(|step| (reported(step, Ended(Failed)), RunError::UnknownStep(step)), &["unknown"]);
    }

    #[test]
    fn to_report_directly_are_refused_like_replayed_ones() {
        let (named, mut run) = started();
        let ready = named.id("ready");
        assert_eq!(run.report(ready, Ended(Succeeded), 10), Err(RunError::NotRunning(ready)));
        assert_eq!(run.report(nth(5), Ended(Succeeded), 10), Err(RunError::UnknownStep(nth(5))));
    }

    fn reported(step: StepId, report: flowline_core::event::Report) -> Event {
        Event::Reported { step, report, at: 500 }
    }
}

mod a_replay {
    use super::*;

    #[test]
    fn starts_a_waiting_step_at_its_time() {
        let named = graph("a");
        let until = |at| {
            [
                Event::Started { step: nth(0), at: 0 },
                Event::Reported { step: nth(0), report: RetryAt(10), at: 1 },
                Event::Started { step: nth(0), at },
            ]
        };
        assert_eq!(replay(named.graph.clone(), STOP, until(10)).unwrap().running(), [nth(0)]);
        assert_eq!(replay(named.graph, STOP, until(9)).unwrap_err(), RunError::NotReady(nth(0)));
    }

    #[test]
    fn refuses_the_first_event_that_does_not_fit() {
        let named = graph("a; b: a");
        let ok = |step| Event::Reported { step, report: Ended(Succeeded), at: 2 };
        let started = |step| Event::Started { step, at: 1 };
        let stopped = Event::Stopped { stop: Stop::Interrupted, entirely: false, at: 2 };
        for (events, error) in [
            (vec![ok(nth(0))], RunError::NotRunning(nth(0))),
            (vec![started(nth(1))], RunError::NotReady(nth(1))),
            (vec![started(nth(0)), started(nth(0))], RunError::NotReady(nth(0))),
            (vec![started(nth(0)), ok(nth(0)), ok(nth(0)), started(nth(2))], RunError::NotRunning(nth(0))),
            (vec![started(nth(0)), ok(nth(0)), started(nth(0))], RunError::NotReady(nth(0))),
            (vec![started(nth(2))], RunError::UnknownStep(nth(2))),
            (vec![stopped, started(nth(0))], RunError::NotReady(nth(0))),
        ] {
            assert_eq!(replay(named.graph.clone(), STOP, events).unwrap_err(), error);
        }
    }

    #[test]
    fn ends_with_a_run_that_can_continue() {
        let named = graph("a; b: a");
        let events = [
            Event::Started { step: nth(0), at: 1 },
            Event::Reported { step: nth(0), report: RetryAt(5), at: 2 },
            Event::Started { step: nth(0), at: 6 },
        ];
        let mut run = replay(named.graph, STOP, events).unwrap();
        assert_eq!(run.next(7), Next::Wait(None));
        run.report(nth(0), RetryAt(9), 7).unwrap();
        assert_eq!(run.next(8), Next::Wait(Some(9)));
        assert_eq!(run.next(9), Next::Start(nth(0)));
        run.report(nth(0), Ended(Succeeded), 9).unwrap();
        assert_eq!((run.next(9), run.next(9)), (Next::Start(nth(1)), Next::Wait(None)));
    }
}

mod a_million_steps {
    use super::*;

    const MILLION: u32 = 1_000_000;

    fn run(steps: u32, edges: impl IntoIterator<Item = (u32, u32)>) -> Run {
        let edges = edges.into_iter().map(|(from, to)| (nth(from), nth(to)));
        Run::new(Graph::new(vec![Rule::default(); steps as usize], edges).unwrap().into(), CONTINUE)
    }

    #[test]
    fn of_a_chain_start_one_after_the_other() {
        on_a_small_stack(|| {
            let mut run = run(MILLION, (1..MILLION).map(|step| (step - 1, step)));
            for step in nths(0..MILLION) {
                assert_eq!(run.next(0), Next::Start(step));
                run.report(step, Ended(Succeeded), 0).unwrap();
            }
            assert_eq!((run.next(0), run.status()), (Next::Done, Status::Succeeded));
        });
    }

    #[test]
    fn of_a_chain_are_cancelled_by_one_failure_or_stop() {
        on_a_small_stack(|| {
            let backwards = || (1..MILLION).map(|step| (step, step - 1));
            let mut failed = run(MILLION, backwards());
            assert_eq!(failed.next(0), Next::Start(nth(MILLION - 1)));
            failed.report(nth(MILLION - 1), Ended(Failed), 0).unwrap();
            assert_eq!(
                (failed.next(0), failed.outcome(nth(0))),
                (Next::Done, Some(Cancelled(UpstreamFailed)))
            );
            assert_eq!(failed.drain_ended(), nths((0..MILLION - 1).rev()));

            let mut stopped = run(MILLION, backwards());
            stopped.stop(Stop::Interrupted, false, 0);
            assert_eq!(
                (stopped.next(0), stopped.outcome(nth(0))),
                (Next::Done, Some(Cancelled(Interrupted)))
            );
        });
    }

    #[test]
    fn may_fan_out_and_in_again() {
        on_a_small_stack(|| {
            let join = MILLION + 1;
            let mut run = run(join + 1, (1..join).flat_map(|step| [(0, step), (step, join)]));
            assert_eq!((run.next(0), run.next(0)), (Next::Start(nth(0)), Next::Wait(None)));
            run.report(nth(0), Ended(Succeeded), 0).unwrap();
            assert!((1..join).all(|step| run.next(0) == Next::Start(nth(step))));
            for step in (1..join).rev() {
                assert_eq!(run.outcome(nth(join)), None);
                run.report(nth(step), Ended(Succeeded), 0).unwrap();
            }
            assert_eq!((run.next(0), run.next(0)), (Next::Start(nth(join)), Next::Wait(None)));
        });
    }

    #[test]
    fn may_all_fail_without_each_failure_going_through_the_whole_run() {
        let always = Rule { run_if: RunIf::Always, ..Rule::default() };
        let graph = Graph::new(vec![always; MILLION as usize], []).unwrap();
        let mut run = Run::new(graph.into(), STOP);
        for step in nths(0..MILLION) {
            assert_eq!(run.next(0), Next::Start(step));
            run.report(step, Ended(Failed), 0).unwrap();
        }
        assert_eq!((run.next(0), run.failures().len()), (Next::Done, MILLION as usize));
    }
}

#[test]
fn a_step_takes_time_from_when_its_callable_is_called() {
    let graph = std::sync::Arc::new(Graph::new(vec![Rule::default()], []).unwrap());
    let mut run = Run::new(graph, OnError::Stop);
    assert_eq!(run.begin(nth(0), 1), Err(RunError::NotRunning(nth(0))));
    assert_eq!(run.next(5), Next::Start(nth(0)));
    run.begin(nth(0), 20).unwrap();
    run.report(nth(0), Ended(Succeeded), 50).unwrap();
    assert_eq!(run.timing(nth(0)), Some((20, 50)));
    assert_eq!(run.begin(nth(7), 60), Err(RunError::UnknownStep(nth(7))));
}
