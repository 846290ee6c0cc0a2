//! Steps that are called once for each of their items, told as scripts.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod common;

use common::graph;
use common::script::{CONTINUE, STOP, check, check_sharing};
use flowline_core::event::Outcome::Succeeded;
use flowline_core::event::Report::Ended;
use flowline_core::event::{Event, Next, RunError, Stop};
use flowline_core::items::{ItemReport, Left};
use flowline_core::resources::Needs;
use flowline_core::run::Run;

mod items {
    use super::*;

    #[test]
    fn are_started_like_steps_and_then_the_step_ends() {
        check(
            STOP,
            "m; after: m",
            "starts m
             waits
             opens m 2
             ready at_once
             starts m m
             ready nothing
             waits
             takes m fresh fresh
             item m done more
             starts m
             takes m fresh
             item m done more
             starts m
             takes m fresh
             item m none more
             waits
             running m
             item m done nothing
             waits
             status running
             m ok
             attempts m 1
             starts after
             after ok
             done succeeded",
        );
    }

    #[test]
    fn are_in_flight_no_more_than_allowed_at_once() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             starts m m m
             waits
             item m done more
             item m done more
             starts m m
             waits
             item m done more
             starts m
             waits",
        );
    }

    #[test]
    fn are_in_flight_one_at_a_time_at_least() {
        check(STOP, "m", "starts m\n opens m 0\n starts m\n waits\n item m done more\n starts m\n waits");
    }

    #[test]
    fn may_be_without_a_limit_in_flight_or_in_number() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(0));
        run.open(0, u32::MAX).unwrap();
        for _ in 0..50_000 {
            assert_eq!((run.next(0), run.take(0)), (Next::Start(0), None));
        }
        for _ in 0..49_999 {
            assert_eq!(run.report_item(0, ItemReport::Done, 0), Ok(Left::More));
        }
        run.exhaust(0);
        assert_eq!(run.report_item(0, ItemReport::Done, 0), Ok(Left::Nothing));
    }

    #[test]
    fn may_be_none() {
        check(
            STOP,
            "m",
            "starts m\n opens m 4\n starts m\n takes m fresh\n item m none nothing\n m ok\n done succeeded",
        );
    }

    #[test]
    fn are_not_started_any_more_once_all_have_been_taken() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m
             exhausts m
             waits
             ready nothing
             item m done nothing
             waits
             m ok
             done succeeded",
        );
    }

    #[test]
    fn of_which_one_was_started_in_vain_are_waited_for() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             starts m m m
             item m none more
             item m none more
             waits
             item m done nothing",
        );
    }

    #[test]
    fn take_their_turn_by_the_rank_of_their_step() {
        check(
            STOP,
            "m; n; p: m; q: p",
            "starts m
             opens m 2
             starts m m n
             opens n 2
             starts n
             item m done more
             starts m n
             item n done more
             item m done more
             starts m n
             waits",
        );
    }

    #[test]
    fn leave_room_for_other_steps() {
        check(STOP, "m; a; b", "starts m\n opens m 1\n starts m a b\n waits");
    }

    #[test]
    fn end_with_their_step_however_that_ends() {
        for ending in ["ok", "fails", "times_out", "interrupted", "cached"] {
            check_sharing(
                "db=2",
                CONTINUE,
                "m | uses=db; a | uses=db:2",
                &format!(
                    "starts m
                     opens m 2
                     starts m m
                     waits
                     m {ending}
                     starts a
                     waits
                     item m done refused"
                ),
            );
        }
    }

    #[test]
    fn are_those_of_each_step_of_its_own() {
        check(
            STOP,
            "m; n",
            "starts m n
             opens m 1
             opens n 1
             starts m n
             item m 4 retries 10 more
             starts m
             takes m fresh fresh
             item_attempts m 4 1
             item_attempts n 4 0
             exhausts n
             item n done nothing
             at 10
             item m done more
             starts m
             takes m 4
             waits",
        );
    }
}

mod retries_of_items {
    use super::*;

    #[test]
    fn come_back_by_position_at_their_time_and_before_fresh_ones() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m m
             takes m fresh fresh
             item m 1 retries 10 more
             item m 0 retries 10 more
             starts m m
             takes m fresh fresh
             at 9
             item m done more
             starts m
             takes m fresh
             waits 10
             at 10
             waits
             item m done more
             starts m
             takes m 0
             item m done more
             starts m
             takes m 1
             item m done more
             starts m
             takes m fresh
             waits",
        );
    }

    #[test]
    fn come_back_in_the_order_of_their_times() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             starts m m m
             takes m fresh fresh fresh
             exhausts m
             item m 0 retries 30 more
             item m 1 retries 20 more
             item m 2 retries 10 more
             waits 10
             ready nothing
             at 25
             starts m m
             takes m 2 1
             waits 30
             item m done more
             item m done more
             waits 30
             at 30
             starts m
             takes m 0
             item m done nothing
             m ok
             attempts m 2
             done succeeded",
        );
    }

    #[test]
    fn are_no_more_in_flight_than_allowed_either() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             starts m
             item m 0 retries 5 more
             starts m
             item m 1 retries 5 more
             starts m
             at 5
             waits
             takes m fresh fresh fresh
             item m done more
             starts m
             takes m 0
             waits",
        );
    }

    #[test]
    fn do_not_hold_what_their_number_is_limited_to_while_they_wait() {
        check(STOP, "m", "starts m\n opens m 1\n starts m\n item m 0 retries 50 more\n starts m\n waits 50");
    }

    #[test]
    fn go_on_after_all_have_been_taken() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             starts m
             item m 0 retries 5 more
             starts m
             takes m fresh fresh
             item m none more
             waits 5
             at 5
             starts m
             takes m 0
             item m 0 retries 9 more
             waits 9
             at 9
             starts m
             takes m 0
             item m done nothing",
        );
    }

    #[test]
    fn count_for_their_item_and_the_most_for_the_step() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m m
             item_attempts m 0 0
             item m 0 retries 0 more
             item_attempts m 0 1
             starts m
             takes m fresh fresh 0
             item m 0 retries 0 more
             item m 1 retries 0 more
             item_attempts m 0 2
             item_attempts m 1 1
             starts m m
             takes m 0 1
             exhausts m
             item m done more
             item m done nothing
             attempts m 2
             m ok
             attempts m 3
             item_attempts m 0 0",
        );
    }

    #[test]
    fn count_whatever_comes_after_them_as_those_of_other_steps_do() {
        for (ending, attempts) in [("fails", 2), ("times_out", 2), ("interrupted", 1), ("cached", 1)] {
            let lines = format!(
                "starts m\n opens m 1\n starts m\n item m 7 retries 0 more\n starts m\n m {ending}\n attempts m {attempts}"
            );
            check(CONTINUE, "m", &lines);
        }
    }

    #[test]
    fn are_waited_for_together_with_those_of_steps() {
        check(
            STOP,
            "m; a; b",
            "starts m
             opens m 2
             starts m m
             starts a b
             a retries 20
             item m 0 retries 30 more
             item m 1 retries 10 more
             starts m m
             exhausts m
             waits 10
             b retries 5
             waits 5
             at 10
             starts b
             waits 20
             at 20
             starts a
             waits 30",
        );
    }
}

mod a_failed_item {
    use super::*;

    #[test]
    fn lets_no_other_be_taken_but_those_in_flight_end() {
        check(
            STOP,
            "m; tidy: m | always",
            "starts m
             opens m 2
             starts m m
             item m fails more
             waits
             ready nothing
             item m done nothing
             waits
             m fails
             failures m
             starts tidy
             tidy ok
             done failed",
        );
    }

    #[test]
    fn alone_in_flight_ends_the_step_at_once() {
        check(STOP, "m", "starts m\n opens m 1\n starts m\n item m fails nothing\n m fails\n done failed");
    }

    #[test]
    fn gives_up_those_that_wait_for_a_retry() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             starts m m m
             item m 0 retries 10 more
             item m 1 retries 0 more
             starts m m
             waits 10
             item m fails more
             waits
             at 10
             waits
             item m done more
             item m done nothing",
        );
    }

    #[test]
    fn lets_none_in_flight_be_tried_again() {
        check(
            STOP,
            "m; a",
            "starts m a
             opens m 2
             starts m m
             item m fails more
             item m 1 retries 10 nothing
             waits
             m fails
             attempts m 2
             a ok
             done failed",
        );
    }

    #[test]
    fn stands_after_a_stop() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m m
             stop interrupted
             item m fails more
             item m 1 retries 10 nothing
             m fails
             outcomes m=fails
             failures m
             done cancelled",
        );
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m m
             item m fails more
             stop interrupted
             item m done nothing
             m fails
             outcomes m=fails
             done cancelled",
        );
    }
}

mod nothing_left {
    use super::*;

    #[test]
    fn is_said_exactly_once_and_only_of_what_is_in_flight() {
        check(
            STOP,
            "m",
            "starts m
             item m done refused
             opens m 2
             item m done refused
             starts m m
             exhausts m
             item m done more
             item m done nothing
             item m done refused
             item m none refused
             item m 0 retries 5 refused
             waits
             m ok
             item m done refused
             done succeeded",
        );
    }

    #[test]
    fn is_said_by_whatever_comes_last() {
        for (last, left) in
            [("done", "nothing"), ("none", "nothing"), ("fails", "nothing"), ("1 retries 5", "more")]
        {
            let lines =
                format!("starts m\n opens m 2\n starts m m\n item m none more\n item m {last} {left}");
            check(STOP, "m", &lines);
        }
    }

    #[test]
    fn is_heard_by_one_of_many() {
        for last in 0..5 {
            let mut run = Run::new(graph("m").graph, STOP);
            assert_eq!(run.next(0), Next::Start(0));
            run.open(0, 5).unwrap();
            (0..5).for_each(|_| assert_eq!(run.next(0), Next::Start(0)));
            let reports = (0..5).map(|turn| if turn >= last { ItemReport::None } else { ItemReport::Done });
            let left: Vec<_> = reports.map(|report| run.report_item(0, report, 0).unwrap()).collect();
            assert_eq!(left, [Left::More, Left::More, Left::More, Left::More, Left::Nothing]);
        }
    }
}

mod a_stop {
    use super::*;

    #[test]
    fn lets_items_in_flight_end_and_the_last_ends_the_step() {
        for stop in ["interrupted", "interrupted entirely"] {
            check(
                STOP,
                "m; after: m",
                &format!(
                    "starts m
                     opens m 2
                     starts m m
                     stop {stop}
                     passed_over after
                     waits
                     ready nothing
                     at 4
                     item m done more
                     waits
                     running m
                     at 6
                     item m done stopped
                     passed_over m
                     timing m 0 6
                     attempts m 0
                     outcomes m=interrupted after=interrupted
                     done cancelled"
                ),
            );
        }
    }

    #[test]
    fn counts_an_item_that_asks_for_a_retry_as_one_that_is_left() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             starts m
             exhausts m
             stop timed_out
             item m 0 retries 5 stopped
             outcomes m=run_timed_out
             done timed_out",
        );
    }

    #[test]
    fn ends_a_step_that_waits_for_retries_only() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             starts m
             exhausts m
             item m 0 retries 50 more
             waits 50
             at 7
             stop interrupted
             passed_over m
             timing m 0 7
             item m done refused
             outcomes m=interrupted
             done cancelled",
        );
    }

    #[test]
    fn ends_a_step_whose_items_are_idle() {
        check(
            CONTINUE,
            "m; after: m",
            "starts m\n opens m 1\n stop interrupted\n passed_over m after\n outcomes m=interrupted after=interrupted\n done cancelled",
        );
    }

    #[test]
    fn ends_a_step_whose_items_wait_for_a_pool_or_their_rate() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; n | rate=1/10; a | uses=db",
            "starts m n
             opens m 1
             opens n 1
             starts m n
             exhausts m
             item m 0 retries 1 more
             item n done more
             starts a
             at 1
             waits 10
             state m pool:db
             state n rate:10
             stop interrupted
             passed_over m n
             waits
             a ok
             done cancelled",
        );
    }

    #[test]
    fn after_all_items_have_been_taken_lets_the_step_end_well() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             starts m m
             exhausts m
             stop interrupted
             passed_over
             item m done more
             item m done nothing
             status running
             m ok
             outcomes m=ok
             done cancelled",
        );
    }

    #[test]
    fn between_the_last_item_and_the_report_on_the_step_changes_nothing() {
        check(
            STOP,
            "m",
            "starts m\n opens m 1\n starts m\n item m none nothing\n stop interrupted entirely\n passed_over\n m ok\n outcomes m=ok\n done cancelled",
        );
    }

    #[test]
    fn before_the_items_are_open_ends_the_step_when_they_would_be() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; after: m; tidy | always uses=db",
            "starts m
             at 3
             stop interrupted
             passed_over after
             running m
             at 5
             opens m 2
             passed_over m
             timing m 0 3
             outcomes m=interrupted after=interrupted
             starts tidy
             tidy ok
             done cancelled",
        );
    }

    #[test]
    fn before_a_step_was_begun_does_not_end_it_before_it_began() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(0));
        run.stop(Stop::Interrupted, false, 3);
        run.begin(0, 5).unwrap();
        run.open(0, 1).unwrap();
        assert_eq!((run.timing(0), run.take_passed_over()), (Some((5, 5)), vec![0]));
        assert_eq!(run.next(5), Next::Done);
    }

    #[test]
    fn lets_steps_that_run_always_go_on_with_their_items() {
        check(
            STOP,
            "tidy | always; m",
            "starts tidy m
             opens tidy 2
             starts tidy
             stop interrupted
             starts tidy
             takes tidy fresh fresh
             item tidy 0 retries 5 more
             starts tidy
             item tidy done more
             item m done refused
             starts tidy
             waits 5
             item tidy done more
             at 5
             starts tidy
             takes tidy fresh fresh 0
             item tidy none more
             item tidy done nothing
             tidy ok
             m ok
             outcomes tidy=ok m=ok
             done cancelled",
        );
        check(
            STOP,
            "tidy | always",
            "starts tidy\n stop timed_out\n opens tidy 1\n starts tidy\n item tidy none nothing\n tidy ok\n done timed_out",
        );
    }

    #[test]
    fn entirely_ends_the_items_of_steps_that_run_always_too() {
        check(
            STOP,
            "tidy | always; idle | always",
            "starts tidy idle
             opens tidy 2
             opens idle 1
             starts tidy
             stop interrupted
             passed_over
             starts tidy
             stop interrupted entirely
             passed_over idle
             waits
             item tidy done more
             item tidy 1 retries 9 stopped
             outcomes tidy=interrupted idle=interrupted
             done cancelled",
        );
        check(
            STOP,
            "tidy | always",
            "starts tidy\n stop timed_out entirely\n opens tidy 1\n passed_over tidy\n outcomes tidy=run_timed_out\n done timed_out",
        );
    }

    #[test]
    fn by_a_failure_elsewhere_is_one_too() {
        check(
            STOP,
            "bad; m; tidy: m | always",
            "starts m bad
             opens m 1
             starts m
             bad fails
             waits
             item m done stopped
             starts tidy
             outcomes bad=fails m=run_failed
             tidy ok
             done failed",
        );
    }

    #[test]
    fn when_the_time_is_up_is_one_too() {
        let mut run = Run::new(graph("m; n").graph, STOP);
        run.limit(10);
        assert_eq!((run.next(0), run.next(0)), (Next::Start(0), Next::Start(1)));
        run.open(0, 1).unwrap();
        run.open(1, 1).unwrap();
        assert_eq!((run.next(0), run.next(0)), (Next::Start(0), Next::Start(1)));
        run.exhaust(1);
        run.report_item(1, ItemReport::RetryAt(0, 50), 1).unwrap();
        assert_eq!(run.next(1), Next::Wait(Some(10)));
        assert_eq!(run.next(10), Next::Wait(None));
        assert_eq!(run.take_passed_over(), [1]);
        assert_eq!(run.report_item(0, ItemReport::Done, 11), Ok(Left::Stopped));
        assert_eq!(run.take_passed_over(), [0]);
        assert_eq!(run.next(11), Next::Done);
    }
}

mod shared {
    use super::*;

    #[test]
    fn pools_are_taken_by_each_item_and_not_by_the_step_itself() {
        check_sharing(
            "db=2",
            STOP,
            "m | uses=db; a | uses=db",
            "starts m a
             waits
             opens m 5
             starts m
             waits
             state m running
             item m done more
             starts m
             waits
             a ok
             starts m
             waits
             item m done more
             starts m
             exhausts m
             item m done more
             item m done nothing
             m ok
             done succeeded",
        );
    }

    #[test]
    fn pools_are_given_back_while_items_wait_for_a_retry() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; a | uses=db",
            "starts m
             opens m 1
             starts m
             exhausts m
             waits
             item m 0 retries 9 more
             starts a
             waits 9
             state m retry
             at 9
             waits
             state m pool:db
             a ok
             state m ready
             starts m
             takes m fresh 0
             item m done nothing",
        );
    }

    #[test]
    fn pools_go_on_to_those_behind_when_a_step_wants_no_more_items() {
        // `m` waits for two; there is one, which nobody else frees.
        check_sharing(
            "db=3",
            STOP,
            "m | uses=db:2; a | uses=db",
            "starts m
             opens m 2
             starts m
             waits
             state a pool:db
             exhausts m
             ready at_once
             starts a
             waits",
        );
    }

    #[test]
    fn pools_go_on_when_a_step_that_waits_for_one_is_reported_on() {
        check_sharing(
            "db=3",
            CONTINUE,
            "m | uses=db:2; b | uses=db:2; a | uses=db",
            "starts m
             opens m 1
             starts m
             item m done more
             starts m
             item m done more
             starts m
             waits
             m times_out
             starts b a
             waits",
        );
        check_sharing(
            "db=3",
            CONTINUE,
            "b | uses=db:2; m | uses=db:2; a | uses=db",
            "starts b
             waits
             b retries 0
             starts b
             waits
             b ok
             starts m a
             opens m 1
             a ok
             starts m
             m fails",
        );
    }

    #[test]
    fn pools_wake_those_behind_a_step_whose_items_ran_out_before_its_turn() {
        // `m` is woken in the call that starts `first`; in the next it wants nothing any more.
        check_sharing(
            "db=1",
            STOP,
            "gate; first: gate; z: first; m | uses=db; a | uses=db",
            "starts gate m
             opens m 1
             starts m
             waits
             item m 0 retries 1 more
             at 1
             starts m
             waits
             gate ok
             item m done more
             starts first
             exhausts m
             starts a
             waits",
        );
    }

    #[test]
    fn pools_go_to_what_comes_first_in_rank_however_many_items_there_are() {
        check_sharing(
            "db=2",
            STOP,
            "gate; wide: gate | uses=db:2; m | uses=db",
            "starts gate m
             opens m 9
             starts m m
             waits
             gate ok
             waits
             state wide pool:db
             item m done more
             waits
             item m done more
             starts wide
             waits
             state m pool:db
             wide ok
             starts m m
             waits",
        );
    }

    #[test]
    fn pools_go_to_items_in_their_turn_when_their_step_comes_first() {
        check_sharing(
            "db=2",
            STOP,
            "m | uses=db; a | uses=db; b | uses=db",
            "starts m
             opens m 1
             starts m a
             waits
             item m done more
             starts m
             waits
             a ok
             starts b
             waits
             exhausts m
             item m done nothing",
        );
    }

    #[test]
    fn rates_count_each_item_and_not_the_step_itself() {
        check_sharing(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             starts m
             at 1
             starts m
             waits 10
             state m running
             item m done more
             item m done more
             state m rate:10
             waits 10
             at 10
             starts m
             waits 11
             item m 2 retries 10 more
             waits 11
             at 11
             starts m
             takes m fresh fresh fresh 2
             waits 20",
        );
    }

    #[test]
    fn rates_are_not_waited_for_when_nothing_is_left_to_start() {
        check_sharing(
            "",
            STOP,
            "m | rate=1/10",
            "starts m
             opens m 2
             starts m
             waits 10
             exhausts m
             waits
             at 3
             item m 0 retries 5 more
             waits 5
             state m retry
             at 5
             waits 10
             state m rate:10
             at 10
             starts m
             takes m fresh 0
             item m done nothing",
        );
    }

    #[test]
    fn rates_keep_retries_until_their_time_too() {
        check_sharing(
            "",
            STOP,
            "m | rate=1/10",
            "starts m
             opens m 2
             starts m
             item m 0 retries 4 more
             waits 4
             at 4
             waits 10
             at 10
             starts m
             takes m fresh 0
             waits 20",
        );
    }

    #[test]
    fn pools_and_rates_together_hold_nothing_while_they_wait() {
        check_sharing(
            "db=2",
            STOP,
            "m | uses=db:2 rate=1/10; a | uses=db; b | uses=db",
            "starts m
             opens m 3
             starts m
             waits 10
             item m done more
             starts a b
             waits 10
             at 10
             waits
             state m pool:db
             a ok
             waits
             b ok
             starts m
             waits 20",
        );
    }
}

mod a_state {
    use super::*;

    #[test]
    fn of_a_step_with_items_is_that_of_the_first_of_them() {
        check(
            STOP,
            "m",
            "state m ready
             starts m
             state m running
             opens m 1
             state m ready
             starts m
             state m running
             item m 0 retries 9 more
             state m ready
             starts m
             exhausts m
             item m done more
             state m retry
             at 9
             starts m
             state m running
             item m done nothing
             state m running
             m ok
             state m ok",
        );
    }
}

mod wrong_calls {
    use super::*;

    #[test]
    fn are_refused_or_do_nothing() {
        let mut run = Run::new(graph("a; b: a").graph, STOP);
        for step in [0, 1, 2] {
            assert_eq!(run.open(step, 1), Err(RunError::NotRunning(step)));
            assert_eq!(run.report_item(step, ItemReport::Done, 0), Err(RunError::NotRunning(step)));
            assert_eq!((run.take(step), run.item_attempts(step, 0)), (None, 0));
            run.exhaust(step);
        }
        assert_eq!(run.next(0), Next::Start(0));
        assert_eq!(run.report_item(0, ItemReport::Done, 0), Err(RunError::NotRunning(0)));
        run.open(0, 2).unwrap();
        assert_eq!(run.open(0, 2), Err(RunError::NotRunning(0)), "it is open already");
        assert_eq!((run.next(0), run.next(0)), (Next::Start(0), Next::Start(0)));
        assert_eq!(
            run.apply(Event::Started { step: 0, at: 0 }),
            Err(RunError::NotReady(0)),
            "two are in flight"
        );
        run.exhaust(0);
        run.report_item(0, ItemReport::Done, 0).unwrap();
        assert_eq!(run.apply(Event::Started { step: 0, at: 0 }), Err(RunError::NotReady(0)), "none is left");
        assert_eq!(run.report_item(0, ItemReport::Done, 0), Ok(Left::Nothing));
        run.report(0, Ended(Succeeded), 0).unwrap();
        assert_eq!((run.next(0), run.next(0)), (Next::Start(1), Next::Wait(None)));
    }
}

mod replay {
    use super::*;

    #[test]
    fn reads_events_of_items_as_they_are_written_today() {
        let recorded = r#"[{"Started":{"step":0,"at":1}},
            {"Opened":{"step":0,"most":2}},
            {"Started":{"step":0,"at":2}},
            {"Taken":{"step":0}},
            {"Started":{"step":0,"at":2}},
            {"Taken":{"step":0}},
            {"Item":{"step":0,"report":{"RetryAt":[0,5]},"at":3}},
            {"Item":{"step":0,"report":"Done","at":3}},
            {"Exhausted":{"step":0}}]"#;
        let events: Vec<Event> = serde_json::from_str(recorded).unwrap();
        let mut run = Run::replay(graph("m").graph, STOP, events).unwrap();
        assert_eq!((run.next(3), run.item_attempts(0, 0)), (Next::Wait(Some(5)), 1));
        assert_eq!((run.next(5), run.take(0)), (Next::Start(0), Some(0)));
        for report in [r#""None""#, r#""Failed""#] {
            let report: ItemReport = serde_json::from_str(report).unwrap();
            let event = Event::Item { step: 0, report, at: 6 };
            let error = Err(RunError::NotRunning(0));
            assert_eq!(run.apply(event), if report == ItemReport::None { Ok(()) } else { error });
        }
    }

    #[test]
    fn of_what_does_not_fit_is_refused() {
        let started = Event::Started { step: 0, at: 1 };
        let opened = Event::Opened { step: 0, most: 1 };
        let done = Event::Item { step: 0, report: ItemReport::Done, at: 1 };
        for (events, error) in [
            (vec![opened], RunError::NotRunning(0)),
            (vec![started, done], RunError::NotRunning(0)),
            (vec![started, opened, opened], RunError::NotRunning(0)),
            (vec![started, opened, done], RunError::NotRunning(0)),
            (vec![started, opened, started, started], RunError::NotReady(0)),
            (vec![started, opened, Event::Exhausted { step: 0 }, started], RunError::NotReady(0)),
        ] {
            assert_eq!(Run::replay(graph("m").graph, STOP, events).unwrap_err(), error);
        }
    }
}

mod a_million_items {
    use super::*;

    const MILLION: u64 = 1_000_000;

    /// Goes through a million items, eight in flight; every tenth is tried twice. Returns how many starts.
    fn finish(run: &mut Run) -> u64 {
        let (mut now, mut fresh, mut starts) = (0, 0, 0);
        let mut in_flight = std::collections::VecDeque::new();
        let mut tried = std::collections::HashSet::new();
        loop {
            match run.next(now) {
                Next::Start(0) => {
                    starts += 1;
                    let position = run.take(0).unwrap_or_else(|| {
                        fresh += 1;
                        fresh - 1
                    });
                    in_flight.push_back(position);
                    assert!(in_flight.len() <= 8);
                    continue;
                }
                Next::Wait(Some(until)) if in_flight.is_empty() => {
                    now = until;
                    continue;
                }
                Next::Wait(_) => {}
                other => panic!("{other:?}"),
            }
            let position = in_flight.pop_front().unwrap();
            now += 1;
            let report = match position {
                MILLION.. => ItemReport::None,
                _ if position % 10 == 0 && tried.insert(position) => ItemReport::RetryAt(position, now + 20),
                _ => ItemReport::Done,
            };
            if run.report_item(0, report, now).unwrap() == Left::Nothing {
                assert!(in_flight.is_empty());
                run.report(0, Ended(Succeeded), now).unwrap();
                assert_eq!((run.next(now), run.attempts(0)), (Next::Done, 2));
                return starts;
            }
        }
    }

    #[test]
    fn are_each_started_once_and_once_more_for_each_retry() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(0));
        run.open(0, 8).unwrap();
        let starts = finish(&mut run);
        let in_vain = starts - MILLION - MILLION / 10;
        assert!((1..=8).contains(&in_vain), "{in_vain}");
    }

    #[test]
    fn share_pools_and_rates() {
        let mut run = Run::new(graph("m").graph, STOP);
        run.share(&[3], [(0, Needs { pools: vec![(0, 1)], rate: Some((1000, 100)) })].into());
        assert_eq!(run.next(0), Next::Start(0));
        run.open(0, 8).unwrap();
        assert!(finish(&mut run) > MILLION);
    }

    /// What is kept of a run shows in its `Debug` form, which would grow with anything that is kept of items.
    #[test]
    fn leave_nothing_behind() {
        let mut run = Run::new(graph("m").graph, STOP);
        run.share(&[4], [(0, Needs { pools: vec![(0, 1)], rate: Some((50, 10)) })].into());
        let mut size = 0;
        assert_eq!(run.next(0), Next::Start(0));
        run.open(0, 8).unwrap();
        for item in 0..MILLION {
            if item == 1_000 {
                size = format!("{run:?}").len();
            }
            let now = 10 * item;
            assert_eq!((run.next(now), run.take(0)), (Next::Start(0), None));
            assert_eq!(run.report_item(0, ItemReport::Done, now), Ok(Left::More));
        }
        let digits = 64 * 8;
        assert!(format!("{run:?}").len() < size + digits, "{size}");
    }

    #[test]
    fn are_given_up_by_one_stop() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(0));
        run.open(0, u32::MAX).unwrap();
        for position in 0..MILLION {
            assert_eq!(run.next(0), Next::Start(0));
            run.report_item(0, ItemReport::RetryAt(position, 10 + position), 0).unwrap();
        }
        run.stop(Stop::Interrupted, false, 5);
        assert_eq!((run.take_passed_over(), run.next(5)), (vec![0], Next::Done));
        assert_eq!(run.ended(), 1);
    }
}
