//! Pools and rates as scripts: which step may start, which waits for what, and which is woken.

use crate::common::script::{CONTINUE, STOP, check_sharing as check};
use crate::common::{graph, nth, pool};
use flowline_core::event::Outcome::Succeeded;
use flowline_core::event::Report::Ended;
use flowline_core::event::{Next, OnError};
use flowline_core::graph::{Graph, Rule};
use flowline_core::resources::Needs;
use flowline_core::run::Run;

mod a_pool {
    use super::*;

    #[test]
    fn lets_as_many_start_as_it_has_room_for() {
        check(
            "db=2",
            STOP,
            "a | uses=db; b | uses=db; c | uses=db; d | uses=db; free",
            "starts a b free
             waits
             free ok
             waits
             b ok
             starts c
             waits
             a ok
             starts d
             waits
             c ok
             waits
             d ok
             done succeeded",
        );
    }

    #[test]
    fn gives_each_as_much_as_it_needs() {
        check(
            "db=4",
            STOP,
            "a | uses=db:2; b | uses=db:1; c | uses=db:4; d | uses=db:2",
            "starts a b
             waits
             a ok
             waits
             b ok
             starts c
             waits
             c ok
             starts d
             d ok
             done succeeded",
        );
    }

    #[test]
    fn gives_its_room_to_the_first_in_rank_not_to_the_first_that_asked() {
        check(
            "db=1",
            STOP,
            "holder | uses=db; late: gate | uses=db; end: late; gate; soon | uses=db",
            "starts gate holder
             waits
             gate ok
             waits
             state late pool:db
             state soon pool:db
             holder ok
             starts late
             waits
             late ok
             starts end soon
             waits",
        );
    }

    #[test]
    fn is_overtaken_by_nobody_who_needs_less() {
        check(
            "db=3",
            STOP,
            "small | uses=db; wide | uses=db:3; narrow | uses=db; later | uses=db",
            "starts small
             waits
             state wide pool:db
             state narrow pool:db
             ready nothing
             small ok
             ready at_once
             starts wide
             waits
             wide ok
             starts narrow later
             waits",
        );
    }

    #[test]
    fn lets_a_step_pass_that_comes_later_but_is_first_in_rank() {
        check(
            "db=2",
            STOP,
            "gate; urgent: gate | uses=db; then: urgent; last: then; held | uses=db; wide | uses=db:2",
            "starts gate held
             waits
             state wide pool:db
             gate ok
             starts urgent
             waits
             held ok
             waits
             state wide pool:db
             urgent ok
             starts then wide
             waits",
        );
    }

    #[test]
    fn with_much_room_wakes_all_who_fit() {
        check(
            "db=4",
            STOP,
            "all | uses=db:4; a | uses=db; b | uses=db:2; c | uses=db; d | uses=db",
            "starts all
             waits
             all ok
             starts a b c
             waits
             state d pool:db
             b ok
             starts d
             waits",
        );
    }

    #[test]
    fn does_not_concern_those_who_do_not_use_it() {
        check(
            "db=1 api=1",
            STOP,
            "a | uses=db; b | uses=db; c | uses=api; d",
            "starts a c d\n waits\n state b pool:db\n c ok\n waits\n a ok\n starts b\n waits",
        );
    }

    #[test]
    fn is_asked_for_only_when_the_dependencies_have_ended() {
        check(
            "db=1",
            STOP,
            "a; b: a | uses=db; c | uses=db",
            "starts a c
             state b pending
             a ok
             waits
             state b pool:db
             c ok
             starts b
             b ok
             done succeeded",
        );
    }
}

mod several_pools {
    use super::*;

    #[test]
    fn are_taken_all_at_once_or_not_at_all() {
        check(
            "db=1 api=1",
            STOP,
            "holder | uses=db; both | uses=db uses=api; other | uses=api",
            "starts holder other
             waits
             state both pool:db
             holder ok
             waits
             state both pool:api
             other ok
             starts both
             both ok
             done succeeded",
        );
    }

    #[test]
    fn needed_in_opposite_orders_do_not_deadlock() {
        check(
            "db=1 api=1",
            STOP,
            "a | uses=db; b | uses=api; ab | uses=db uses=api; ba | uses=api uses=db",
            "starts a b
             waits
             b ok
             waits
             a ok
             starts ab
             waits
             state ba pool:api
             ab ok
             starts ba
             ba ok
             done succeeded",
        );
    }

    #[test]
    fn of_which_one_is_full_leave_the_other_to_those_behind() {
        check(
            "db=1 api=2",
            STOP,
            "a | uses=db; b | uses=api:2; both | uses=api uses=db; c | uses=api",
            "starts a b
             waits
             state both pool:api
             b ok
             starts c
             waits
             state both pool:db
             a ok
             starts both
             waits",
        );
    }

    #[test]
    fn are_left_to_those_behind_by_one_that_was_woken_while_others_came_first() {
        // `both` is woken in the same breath in which `gated` starts; it finds the other pool full in the next.
        check(
            "db=1 api=1",
            STOP,
            "gate; gated: gate; x: gated; y: x; a | uses=db; b | uses=api; both | uses=api uses=db; c | uses=api",
            "starts gate a b
             waits
             state both pool:api
             gate ok
             b ok
             starts gated c
             waits
             a ok
             waits
             state both pool:api
             c ok
             starts both",
        );
    }

    #[test]
    fn are_all_given_back() {
        check(
            "db=2 api=3",
            STOP,
            "a | uses=db:2 uses=api:3; b | uses=api:3; c | uses=db:2",
            "starts a\n waits\n a ok\n starts b c\n b ok\n c ok\n done succeeded",
        );
    }
}

mod room_is_given_back {
    use super::*;

    #[test]
    fn however_a_step_ends() {
        for ending in ["ok", "cached", "restored", "fails", "times_out", "skips", "interrupted"] {
            check(
                "db=3",
                CONTINUE,
                "a | uses=db:3; b | uses=db:3; c | uses=db:3",
                &format!("starts a\n waits\n a {ending}\n starts b\n waits\n b ok\n starts c\n c ok"),
            );
        }
    }

    #[test]
    fn while_a_step_waits_for_its_next_attempt() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db",
            "starts a
             waits
             a retries 10
             starts b
             waits 10
             state a retry
             at 10
             waits
             state a pool:db
             state b running
             at 12
             b ok
             starts a
             a ok
             done succeeded",
        );
    }

    #[test]
    fn once_after_a_retry() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db; c | uses=db",
            "starts a\n a retries 0\n starts a\n waits\n a ok\n starts b\n waits\n b ok\n starts c\n waits",
        );
    }

    #[test]
    fn by_what_was_running_when_the_run_was_stopped_to_steps_that_run_always() {
        for (reason, on_error) in [("interrupted", STOP), ("timed_out", CONTINUE), ("failed", STOP)] {
            check(
                "db=1",
                on_error,
                "a | uses=db; b | uses=db; tidy | always uses=db; more | always uses=db",
                &format!(
                    "starts a
                     waits
                     stop {reason}
                     passed_over b
                     waits
                     state tidy pool:db
                     ready nothing
                     a ok
                     ready at_once
                     starts tidy
                     waits
                     tidy ok
                     starts more
                     waits
                     more ok"
                ),
            );
        }
    }

    #[test]
    fn when_a_failure_stops_the_run() {
        check(
            "db=2",
            STOP,
            "a | uses=db; b | uses=db; wide | uses=db:2; tidy | always uses=db",
            "starts a b
             waits
             a fails
             passed_over wide
             starts tidy
             waits
             b ok
             tidy ok
             done failed",
        );
    }

    #[test]
    fn by_those_that_were_parked_before_a_step_that_runs_always() {
        // Nothing is released, but the step before it at the pool has been cancelled.
        check(
            "db=2",
            STOP,
            "a | uses=db; wide | uses=db:2; tidy | always uses=db",
            "starts a\n waits\n state tidy pool:db\n stop interrupted\n starts tidy\n waits",
        );
    }

    #[test]
    fn to_nobody_when_the_run_is_stopped_entirely() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db; tidy | always uses=db",
            "starts a
             waits
             stop interrupted entirely
             passed_over b tidy
             waits
             a retries 9
             outcomes a=fails b=interrupted tidy=interrupted
             done cancelled",
        );
    }
}

mod a_rate {
    use super::*;

    #[test]
    fn lets_a_step_be_called_so_often_within_so_long() {
        check(
            "",
            STOP,
            "a | rate=2/10",
            "starts a
             begins a
             at 4
             a retries 4
             starts a
             begins a
             at 5
             a retries 5
             waits 10
             state a rate:10
             at 9
             waits 10
             at 10
             starts a
             begins a
             a retries 10
             waits 14
             at 14
             starts a
             begins a
             a retries 14
             waits 20
             at 20
             starts a
             begins a
             a ok
             attempts a 5
             done succeeded",
        );
    }

    #[test]
    fn slides_it_does_not_count_from_round_times() {
        check(
            "",
            STOP,
            "a | rate=2/10",
            "at 9
             starts a
             begins a
             a retries 9
             starts a
             begins a
             at 11
             a retries 11
             waits 19
             at 19
             starts a
             begins a
             a retries 19
             starts a
             begins a
             a retries 20
             waits 20
             at 20
             waits 29",
        );
    }

    #[test]
    fn is_of_one_step() {
        check(
            "",
            STOP,
            "a | rate=1/10; b | rate=1/10; c",
            "starts a b c
             begins a b
             a retries 0
             c retries 0
             starts c
             waits 10
             b retries 3
             at 3
             waits 10
             at 10
             starts a b
             begins a b
             waits",
        );
    }

    #[test]
    fn and_a_retry_that_is_later_are_waited_for_together() {
        check(
            "",
            STOP,
            "a | rate=1/10",
            "starts a\n begins a\n a retries 25\n waits 25\n state a retry\n at 12\n state a retry\n at 25\n starts a\n begins a\n a ok",
        );
        check(
            "",
            STOP,
            "a | rate=1/10",
            "starts a\n begins a\n a retries 5\n state a rate:10\n waits 5\n at 5\n waits 10\n state a rate:10\n at 10\n starts a\n begins a",
        );
    }

    #[test]
    fn keeps_no_room_in_a_pool() {
        check(
            "db=1",
            STOP,
            "a | uses=db rate=1/10; b | uses=db",
            "starts a
             begins a
             waits
             a retries 0
             starts b
             waits 10
             state a rate:10
             at 2
             b ok
             waits 10
             state a rate:10
             at 10
             starts a
             begins a
             a ok
             done succeeded",
        );
    }

    #[test]
    fn is_waited_for_before_a_pool_which_is_left_to_others_meanwhile() {
        check(
            "db=1",
            STOP,
            "a | uses=db rate=1/100; holder | uses=db; c | uses=db",
            "starts a
             begins a
             a retries 50
             starts holder
             waits 50
             at 50
             waits 100
             state a rate:100
             at 60
             holder ok
             starts c
             waits 100
             c ok
             at 100
             starts a
             begins a",
        );
    }

    #[test]
    fn keeps_nobody_from_the_pool_that_the_step_will_need() {
        // There is room for `b`, but not for `a`, which could not start anyway.
        check(
            "db=3",
            STOP,
            "a | uses=db:2 rate=1/100; c | uses=db:2; b | uses=db",
            "starts a
             begins a
             waits
             a retries 0
             starts c b
             waits 100
             state a rate:100
             at 100
             waits
             state a pool:db
             b ok
             waits
             c ok
             starts a
             begins a
             waits",
        );
    }

    #[test]
    fn does_not_keep_a_step_that_runs_always_from_starting_after_a_stop() {
        check(
            "",
            STOP,
            "tidy | always rate=1/10; a | rate=1/10",
            "starts tidy a
             begins tidy a
             a retries 0
             tidy retries 0
             waits 10
             at 3
             stop interrupted
             passed_over a
             waits 10
             at 10
             starts tidy
             begins tidy
             tidy ok
             outcomes tidy=ok a=fails
             done cancelled",
        );
    }

    #[test]
    fn that_waits_ends_with_a_stop() {
        check(
            "",
            STOP,
            "a | rate=1/10; b",
            "starts a b\n begins a\n a retries 0\n waits 10\n stop interrupted\n waits\n b ok\n done cancelled",
        );
    }

    #[test]
    fn of_a_long_run_depends_on_the_last_calls_only() {
        let mut run = Run::new(graph("a").graph, STOP);
        run.share(&[], [(nth(0), Needs { pools: vec![], rate: Some((3, 10)) })].into()).unwrap();
        let mut calls = vec![];
        let mut now = 0;
        while calls.len() < 300_000 {
            match run.next(now) {
                Next::Start(_) => {
                    now += calls.len() as u64 % 2;
                    run.begin(nth(0), now).unwrap();
                    calls.push(now);
                    run.report(nth(0), flowline_core::event::Report::RetryAt(now + now % 3), now).unwrap();
                }
                Next::Wait(Some(until)) => {
                    assert!(until > now);
                    now = until;
                }
                other => panic!("{other:?}"),
            }
        }
        assert!(calls.windows(4).all(|w| w[3] - w[0] >= 10), "never more than three in ten");
        assert!(calls.windows(4).all(|w| w[3] - w[0] <= 14), "and no fewer than can be");
    }
}

mod a_call {
    use super::*;

    #[test]
    fn counts_from_when_it_begins_not_from_its_start() {
        check(
            "",
            STOP,
            "a | rate=1/10",
            "starts a
             at 4
             begins a
             at 6
             a retries 6
             waits 14
             state a rate:14
             at 14
             starts a",
        );
        check(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             supplies m 5
             starts m m
             waits 10
             at 4
             begins m
             waits 10
             at 5
             begins m
             waits 10
             at 10
             waits 14
             at 14
             starts m
             waits 15
             at 15
             starts m
             waits 25",
        );
    }

    #[test]
    fn that_is_expected_keeps_other_items_from_starting() {
        check(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             supplies m 5
             starts m
             begins m
             at 3
             starts m
             waits 10
             at 10
             starts m
             waits 20
             at 17
             begins m
             waits 20
             at 20
             waits 27
             at 27
             starts m
             begins m
             waits 37",
        );
    }

    #[test]
    fn that_is_expected_for_long_is_asked_for_again_and_again() {
        check(
            "",
            STOP,
            "m | rate=1/10",
            "starts m
             opens m 2
             supplies m 2
             at 1
             starts m
             waits 11
             at 11
             waits 21
             at 25
             waits 35
             begins m
             waits 35
             item m done
             waits 35
             state m rate:35
             at 35
             starts m",
        );
    }

    #[test]
    fn that_is_expected_does_not_hold_what_waits_longer() {
        // Two of three are expected; the third began, and is what it waits for.
        check(
            "",
            STOP,
            "m | rate=3/10",
            "starts m
             opens m 9
             supplies m 9
             starts m
             begins m
             at 2
             starts m m
             waits 10
             at 9
             begins m m
             waits 10
             at 10
             starts m
             waits 19",
        );
    }

    #[test]
    fn that_a_step_does_not_make_is_none() {
        check(
            "",
            STOP,
            "a | rate=1/10",
            "starts a
             a retries 0
             starts a
             a retries 1
             waits 1
             state a retry
             at 1
             state a ready
             starts a
             begins a
             a retries 2
             state a rate:11
             at 2
             waits 11",
        );
    }

    #[test]
    fn that_was_made_still_counts_when_another_is_not() {
        check(
            "",
            STOP,
            "a | rate=2/10",
            "starts a
             begins a
             a retries 1
             at 1
             starts a
             a retries 1
             starts a
             begins a
             a retries 1
             waits 10
             at 10
             starts a
             a retries 10
             starts a
             begins a
             a retries 10
             waits 11",
        );
    }

    #[test]
    fn that_an_item_does_not_make_lets_the_next_start_at_once() {
        for end in ["done uncalled", "0 retries 50 uncalled"] {
            check(
                "",
                STOP,
                "m | rate=1/10",
                &format!(
                    "starts m
                     opens m 2
                     supplies m 9
                     starts m
                     waits 10
                     ready nothing
                     at 3
                     item m {end}
                     ready at_once
                     state m ready
                     starts m
                     takes m 0 1
                     waits 13
                     begins m
                     item m done
                     state m rate:13
                     waits 13
                     at 13
                     starts m"
                ),
            );
        }
    }

    #[test]
    fn that_an_item_does_not_make_leaves_those_that_were_made() {
        check(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             supplies m 9
             starts m m
             at 2
             begins m
             waits 12
             item m done
             waits 12
             at 5
             item m done uncalled
             starts m
             waits 12
             item m done uncalled
             ready at_once
             starts m
             begins m
             waits 12
             at 12
             starts m
             waits 15",
        );
    }

    #[test]
    fn that_an_item_does_not_make_gives_back_one_place() {
        check(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             supplies m 9
             starts m m
             waits 10
             at 1
             item m done uncalled
             starts m
             waits 11
             at 2
             item m done uncalled
             item m done uncalled
             starts m m
             waits 12",
        );
    }

    #[test]
    fn that_an_item_does_not_make_frees_a_pool_too() {
        check(
            "db=1",
            STOP,
            "m | uses=db rate=1/10; a | uses=db",
            "starts m
             opens m 2
             supplies m 3
             starts m
             waits 10
             state a pool:db
             item m done uncalled
             starts m
             waits 10
             begins m
             item m done
             starts a
             waits 10
             at 10
             waits
             state m pool:db
             a ok
             starts m",
        );
    }

    #[test]
    fn of_a_step_that_turns_out_to_have_items_is_not_expected() {
        check(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             at 1
             m retries 1
             starts m
             begins m
             m retries 1
             starts m
             opens m 3
             supplies m 3
             starts m
             begins m
             waits 11
             at 11
             starts m",
        );
    }

    #[test]
    fn of_one_step_is_none_of_another() {
        check(
            "",
            STOP,
            "m | rate=1/10; n | rate=1/10; free",
            "starts m n free
             opens m 5
             opens n 5
             supplies m 5
             supplies n 5
             starts m n
             begins n free
             at 1
             waits 10
             item m done uncalled
             starts m
             waits 10
             item n done
             state n rate:10",
        );
    }
}

mod a_state {
    use super::*;

    #[test]
    fn says_what_a_step_waits_for() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db; c; d: c; e | rate=1/10",
            "state a ready
             state b ready
             state d pending
             starts c a
             state b pool:db
             state c running
             starts e
             begins e
             e retries 0
             state e rate:10
             waits 10
             c retries 30
             state c retry
             at 30
             state c ready
             state e ready
             a ok
             state a ok
             state b ready
             starts c b
             state b running
             c fails
             state c fails
             state d run_failed",
        );
    }

    #[test]
    fn of_a_step_that_waits_for_a_retry_is_not_what_it_will_need_then() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db",
            "starts a\n a retries 10\n starts b\n state a retry\n at 10\n state a pool:db\n b ok\n state a ready",
        );
    }

    #[test]
    fn of_a_step_behind_another_is_the_pool_though_there_is_room_for_it() {
        check(
            "db=3",
            STOP,
            "a | uses=db:2; wide | uses=db:3; small | uses=db",
            "starts a\n waits\n state small pool:db\n a retries 5\n state small pool:db\n starts wide\n waits 5",
        );
    }

    #[test]
    fn of_an_unknown_step_is_none() {
        assert_eq!(Run::new(graph("a").graph, STOP).state(nth(1), 0), None);
    }
}

mod has_ready {
    use super::*;

    #[test]
    fn says_whether_something_might_start_at_once() {
        check(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db; c: a | rate=1/10",
            "ready at_once
             starts a
             ready at_once
             waits
             ready nothing
             a retries 50
             ready at_once
             starts b
             ready nothing
             waits 50
             b ok
             ready nothing
             at 50
             starts a
             ready nothing
             a ok
             ready at_once
             starts c
             at 52
             begins c
             ready nothing
             c retries 52
             waits 62
             ready nothing",
        );
    }

    #[test]
    fn is_not_kept_by_room_that_is_too_little() {
        check(
            "db=3",
            STOP,
            "a | uses=db:1; b | uses=db:1; wide | uses=db:3",
            "starts a b\n waits\n ready nothing\n a ok\n ready at_once\n waits\n ready nothing\n b ok\n starts wide",
        );
    }
}

#[test]
fn nothing_is_shared_unless_it_is_said() {
    let mut run = Run::new(graph("a; b").graph, STOP);
    run.share(&[1], [(nth(0), Needs { pools: vec![(pool(0), 1)], rate: None })].into()).unwrap();
    assert_eq!(
        (run.next(0), run.next(0), run.next(0)),
        (Next::Start(nth(0)), Next::Start(nth(1)), Next::Wait(None))
    );
}

/// Each release goes to one, whatever the number of those that wait.
#[test]
fn a_pool_that_a_hundred_thousand_wait_for_is_no_burden() {
    const STEPS: u32 = 100_000;
    let graph = Graph::new(vec![Rule::default(); STEPS as usize], []).unwrap();
    let mut run = Run::new(graph.into(), OnError::Stop);
    let needs = Needs { pools: vec![(pool(0), 1)], rate: None };
    run.share(&[4], (0..STEPS).map(|step| (nth(step), needs.clone())).collect()).unwrap();
    let mut last = None;
    for step in 0..STEPS {
        if step >= 4 {
            assert_eq!(run.next(0), Next::Wait(None));
            run.report(nth(step - 4), Ended(Succeeded), 0).unwrap();
        }
        assert_eq!(run.next(0), Next::Start(nth(step)));
        last = Some(step);
    }
    assert_eq!(last, Some(STEPS - 1));
}
