//! Steps that are called once for each of their items, as scripts.

use crate::common::script::{CONTINUE, STOP, check, check_sharing};
use crate::common::{graph, item, nth, nths, pool, replay};
use flowline_core::event::OnItemError::FailAt;
use flowline_core::event::Outcome::Succeeded;
use flowline_core::event::Report::Ended;
use flowline_core::event::{Event, ItemReport, Next, RunError, Stop};
use flowline_core::resources::Needs;
use flowline_core::run::Run;

/// The first step is started and opened, and all of its items are there.
fn open(run: &mut Run, most: u32, count: u64) {
    assert_eq!(run.next(0), Next::Start(nth(0)));
    run.open(nth(0), most, FailAt(1), 0).unwrap();
    run.supply(nth(0), count);
    run.exhaust(nth(0));
}

/// The step is started, and this is taken for it.
fn assert_starts(run: &mut Run, step: u32, taken: Option<u64>) {
    assert_eq!((run.next(0), run.take(nth(step))), (Next::Start(nth(step)), taken.map(item)));
}

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
             ready nothing
             waits
             supplies m 4
             ready at_once
             starts m m
             ready nothing
             waits
             takes m 0 1
             item m done
             starts m
             takes m 2
             item m done
             starts m
             takes m 3
             exhausts m
             item m done
             waits
             running m
             item m done
             ready at_once
             starts m
             takes m nothing
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
             supplies m 9
             starts m m m
             waits
             item m done
             item m done
             starts m m
             waits
             item m done
             starts m
             waits",
        );
    }

    #[test]
    fn are_in_flight_one_at_a_time_at_least() {
        check(
            STOP,
            "m",
            "starts m\n opens m 0\n supplies m 5\n starts m\n waits\n item m done\n starts m\n waits",
        );
    }

    #[test]
    fn may_be_without_a_limit_in_flight_or_in_number() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.open(nth(0), u32::MAX, FailAt(1), 0).unwrap();
        run.supply(nth(0), 50_000);
        for position in 0..50_000 {
            assert_starts(&mut run, 0, Some(position));
        }
        assert_eq!(run.next(0), Next::Wait(None));
        run.exhaust(nth(0));
        for _ in 0..50_000 {
            assert_eq!(run.next(0), Next::Wait(None));
            run.report_item(nth(0), ItemReport::Done, true, 0).unwrap();
        }
        assert_starts(&mut run, 0, None);
    }

    #[test]
    fn may_be_none() {
        check(
            STOP,
            "m",
            "starts m
             opens m 4
             exhausts m
             ready at_once
             starts m
             takes m nothing
             m ok
             attempts m 1
             done succeeded",
        );
    }

    #[test]
    fn are_not_started_any_more_once_all_have_been_taken() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 1
             exhausts m
             starts m
             takes m 0
             waits
             ready nothing
             item m done
             starts m
             takes m nothing
             waits
             m ok
             done succeeded",
        );
    }

    #[test]
    fn take_their_turn_by_the_rank_of_their_step() {
        check(
            STOP,
            "m; n; p: m; q: p",
            "starts m
             opens m 2
             supplies m 9
             starts m m n
             opens n 2
             supplies n 9
             starts n
             item m done
             starts m n
             item n done
             item m done
             starts m n
             waits",
        );
    }

    #[test]
    fn leave_room_for_other_steps() {
        check(STOP, "m; a; b", "starts m\n opens m 1\n supplies m 9\n starts m a b\n waits");
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
                     supplies m 9
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
             supplies m 2
             supplies n 1
             starts m n
             takes m 0
             takes n 0
             item m 0 retries 10
             starts m
             takes m 1
             item_attempts m 0 1
             item_attempts n 0 0
             exhausts n
             item n done
             starts n
             takes n nothing
             at 10
             waits
             item m done
             starts m
             takes m 0
             waits",
        );
    }

    #[test]
    fn take_the_time_of_their_step_from_when_it_is_open() {
        check(
            STOP,
            "m",
            "starts m
             at 3
             opens m 1
             supplies m 1
             exhausts m
             at 5
             starts m
             begins m
             at 7
             item m done
             starts m
             at 8
             m ok
             timing m 3 8",
        );
        check(
            STOP,
            "m",
            "starts m\n m retries 2\n at 2\n starts m\n at 3\n opens m 1\n exhausts m\n starts m\n m ok\n timing m 0 3",
        );
    }
}

mod a_supply {
    use super::*;

    #[test]
    fn is_waited_for_while_nothing_else_can_start() {
        check(
            STOP,
            "m; a",
            "starts m
             opens m 2
             state m running
             starts a
             ready nothing
             waits
             running m a
             state m running
             status running
             supplies m 1
             state m ready
             starts m
             waits
             item m done
             state m running
             waits
             running m a",
        );
    }

    #[test]
    fn may_come_in_parts_whose_positions_continue() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 1
             starts m
             takes m 0
             waits
             supplies m 3
             starts m
             takes m 1
             waits
             item m done
             item m done
             starts m m
             takes m 2 3
             item m done
             waits
             supplies m 1
             supplies m 1
             starts m
             takes m 4
             waits
             item m done
             starts m
             takes m 5
             waits",
        );
    }

    #[test]
    fn of_nothing_starts_nothing() {
        check(STOP, "m", "starts m\n opens m 2\n supplies m 0\n ready nothing\n waits\n state m running");
    }

    #[test]
    fn may_be_of_more_than_can_be_counted() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.open(nth(0), 2, FailAt(1), 0).unwrap();
        run.supply(nth(0), u64::MAX);
        run.supply(nth(0), 1);
        assert_starts(&mut run, 0, Some(0));
        assert_starts(&mut run, 0, Some(1));
    }

    #[test]
    fn before_a_step_is_open_or_after_it_ended_is_none() {
        check(
            STOP,
            "m",
            "supplies m 2
             starts m
             supplies m 2
             exhausts m
             waits
             opens m 2
             waits
             exhausts m
             starts m
             m ok
             supplies m 2
             exhausts m
             done succeeded",
        );
    }

    #[test]
    fn after_the_last_is_none() {
        check(
            STOP,
            "m",
            "starts m
             opens m 5
             supplies m 1
             exhausts m
             supplies m 2
             starts m
             waits
             item m done
             supplies m 1
             starts m
             takes m 0 nothing
             supplies m 1
             waits
             m ok",
        );
    }

    #[test]
    fn after_a_failure_is_none() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 5
             starts m m
             item m fails
             supplies m 3
             waits
             item m done
             starts m
             takes m 0 1 nothing
             supplies m 3
             waits
             m fails
             done failed",
        );
    }

    #[test]
    fn after_a_stop_is_none_and_changes_nothing() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             supplies m 1
             starts m
             stop interrupted
             supplies m 3
             waits
             exhausts m
             waits
             item m done
             passed_over m
             supplies m 1
             outcomes m=interrupted
             done cancelled",
        );
    }

    #[test]
    fn whose_end_was_told_before_a_stop_cuts_nothing_off() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             supplies m 1
             exhausts m
             starts m
             stop interrupted
             supplies m 3
             item m done
             starts m
             takes m 0 nothing
             m ok
             outcomes m=ok
             done cancelled",
        );
    }
}

mod the_closing_start {
    use super::*;

    #[test]
    fn comes_when_the_last_item_ends() {
        for last in ["done", "done uncalled", "fails", "fails uncalled"] {
            let lines = format!(
                "starts m
                 opens m 2
                 supplies m 2
                 exhausts m
                 starts m m
                 item m done
                 waits
                 item m {last}
                 ready at_once
                 starts m
                 takes m 0 1 nothing
                 waits"
            );
            check(STOP, "m", &lines);
        }
    }

    #[test]
    fn does_not_come_while_one_is_to_be_tried_again() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 2
             exhausts m
             starts m m
             takes m 0 1
             item m done
             item m 1 retries 5
             waits 5
             at 5
             starts m
             takes m 1
             waits
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn comes_when_it_is_known_that_no_more_items_are_to_come() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 2
             starts m m
             takes m 0 1
             item m done
             item m done
             ready nothing
             waits
             state m running
             exhausts m
             ready at_once
             state m running
             starts m
             takes m nothing
             state m running
             waits
             m ok
             done succeeded",
        );
    }

    #[test]
    fn comes_once() {
        check(
            STOP,
            "m",
            "starts m
             item m done refused
             opens m 2
             item m done refused
             supplies m 2
             starts m m
             exhausts m
             exhausts m
             item m done
             exhausts m
             item m done
             item m done refused
             exhausts m
             starts m
             takes m 0 1 nothing
             exhausts m
             item m done refused
             item m fails refused
             item m 0 retries 5 refused
             waits
             ready nothing
             m ok
             exhausts m
             item m done refused
             done succeeded",
        );
    }

    #[test]
    fn is_given_to_one_of_many() {
        for last in 0..5 {
            let mut run = Run::new(graph("m").graph, STOP);
            open(&mut run, 5, 5);
            (0..5).for_each(|position| assert_starts(&mut run, 0, Some(position)));
            for turn in 0..5 {
                assert_eq!(run.next(0), Next::Wait(None));
                run.report_item(
                    nth(0),
                    if turn == last { ItemReport::Failed } else { ItemReport::Done },
                    true,
                    0,
                )
                .unwrap();
            }
            assert_starts(&mut run, 0, None);
            assert_eq!((run.next(0), run.take(nth(0))), (Next::Wait(None), None));
        }
    }

    #[test]
    fn has_the_rank_of_its_step() {
        check(
            STOP,
            "a; m; b; c: a; d: c; z: d; e: m; f",
            "starts a m b
             opens m 1
             exhausts m
             a ok
             starts c m
             takes m nothing
             starts f
             waits",
        );
    }

    #[test]
    fn takes_no_pool_and_waits_for_none() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; a | uses=db; b | uses=db",
            "starts m
             opens m 1
             supplies m 1
             exhausts m
             starts m
             waits
             item m done
             starts m
             takes m 0 nothing
             starts a
             waits
             m ok
             waits
             state b pool:db
             a ok
             starts b
             b ok
             done succeeded",
        );
        check_sharing(
            "db=1",
            STOP,
            "a | uses=db; m | uses=db; b | uses=db",
            "starts a
             waits
             a retries 9
             starts m
             opens m 1
             starts b
             waits 9
             exhausts m
             state b running
             starts m
             takes m nothing
             waits 9
             m ok",
        );
    }

    #[test]
    fn comes_though_others_wait_for_the_pool() {
        check_sharing(
            "db=2",
            STOP,
            "wide: gate | uses=db:2; last: wide; gate; a | uses=db; m | uses=db",
            "starts gate a m
             opens m 1
             supplies m 1
             starts m
             gate ok
             waits
             state wide pool:db
             exhausts m
             item m done
             starts m
             takes m 0 nothing
             waits
             state wide pool:db
             m ok
             waits
             a ok
             starts wide",
        );
    }

    #[test]
    fn comes_though_its_step_itself_waits_for_the_pool() {
        check_sharing(
            "db=3",
            STOP,
            "m | uses=db; a | uses=db; b | uses=db; c | uses=db",
            "starts m
             opens m 3
             supplies m 1
             starts m a b
             waits
             supplies m 2
             waits
             state c pool:db
             item m fails
             starts m
             takes m 0 nothing
             starts c
             waits
             m fails
             outcomes m=fails",
        );
        // The last item waits there to be tried again while the run is stopped.
        check_sharing(
            "db=1",
            STOP,
            "m | always uses=db; a | uses=db",
            "starts m
             opens m 1
             supplies m 1
             exhausts m
             starts m
             item m 0 retries 2
             starts a
             at 2
             waits
             state m pool:db
             stop interrupted
             waits
             a ok
             starts m
             takes m 0 0
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn waits_for_no_rate() {
        check_sharing(
            "",
            STOP,
            "m | rate=1/10; n | rate=1/10",
            "starts m n
             opens m 2
             supplies m 2
             starts m
             begins m
             waits 10
             state m running
             item m fails
             starts m
             takes m 0 nothing
             opens n 2
             supplies n 1
             starts n
             begins n
             item n done
             waits
             at 3
             exhausts n
             starts n
             takes n 0 nothing
             waits
             m fails
             n ok
             done failed",
        );
    }

    #[test]
    fn comes_after_a_stop_that_cut_nothing_off() {
        for stop in ["interrupted", "interrupted entirely"] {
            check(
                STOP,
                "m",
                &format!(
                    "starts m
                     opens m 2
                     supplies m 1
                     exhausts m
                     starts m
                     item m done
                     stop {stop}
                     passed_over
                     running m
                     ready at_once
                     starts m
                     takes m 0 nothing
                     waits
                     m ok
                     outcomes m=ok
                     done cancelled"
                ),
            );
        }
    }

    #[test]
    fn stands_when_the_run_is_stopped_before_the_report() {
        for stop in ["interrupted", "interrupted entirely"] {
            for (ending, attempts) in [("ok", 1), ("fails", 1), ("cached", 0)] {
                check(
                    CONTINUE,
                    "m",
                    &format!(
                        "starts m
                         opens m 1
                         exhausts m
                         starts m
                         takes m nothing
                         stop {stop}
                         passed_over
                         running m
                         waits
                         m {ending}
                         passed_over
                         outcomes m={ending}
                         attempts m {attempts}
                         done cancelled"
                    ),
                );
            }
        }
    }

    #[test]
    fn does_not_come_when_the_step_was_reported_on_before() {
        check(
            CONTINUE,
            "m; a: m",
            "starts m\n opens m 1\n supplies m 1\n starts m\n exhausts m\n item m done\n m times_out\n done failed",
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
             supplies m 9
             starts m m
             takes m 0 1
             item m 1 retries 10
             item m 0 retries 10
             starts m m
             takes m 2 3
             at 9
             item m done
             starts m
             takes m 4
             waits 10
             at 10
             waits
             item m done
             starts m
             takes m 0
             item m done
             starts m
             takes m 1
             item m done
             starts m
             takes m 5
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
             supplies m 3
             exhausts m
             starts m m m
             takes m 0 1 2
             item m 0 retries 30
             item m 1 retries 20
             item m 2 retries 10
             waits 10
             ready nothing
             at 25
             starts m m
             takes m 2 1
             waits 30
             item m done
             item m done
             waits 30
             at 30
             starts m
             takes m 0
             item m done
             starts m
             takes m nothing
             m ok
             attempts m 2
             done succeeded",
        );
    }

    #[test]
    fn come_back_while_nothing_else_is_there() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 1
             starts m
             item m 0 retries 5
             state m retry
             waits 5
             at 5
             starts m
             takes m 0 0
             item m 0 retries 9
             waits 9
             at 6
             supplies m 1
             starts m
             takes m 1
             at 9
             starts m
             takes m 0
             waits",
        );
    }

    #[test]
    fn are_no_more_in_flight_than_allowed_either() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             supplies m 9
             starts m
             item m 0 retries 5
             starts m
             item m 1 retries 5
             starts m
             at 5
             waits
             takes m 0 1 2
             item m done
             starts m
             takes m 0
             waits",
        );
    }

    #[test]
    fn do_not_hold_what_their_number_is_limited_to_while_they_wait() {
        check(
            STOP,
            "m",
            "starts m\n opens m 1\n supplies m 9\n starts m\n item m 0 retries 50\n starts m\n waits 50",
        );
    }

    #[test]
    fn continue_after_all_have_been_taken() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             supplies m 1
             starts m
             takes m 0
             item m 0 retries 5
             waits 5
             exhausts m
             waits 5
             ready nothing
             at 5
             starts m
             takes m 0
             item m 0 retries 9
             waits 9
             at 9
             starts m
             takes m 0
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn count_for_their_item_and_the_most_for_the_step() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 2
             exhausts m
             starts m m
             item_attempts m 0 0
             item m 0 retries 0
             item_attempts m 0 1
             starts m
             takes m 0 1 0
             item m 0 retries 0
             item m 1 retries 0
             item_attempts m 0 2
             item_attempts m 1 1
             starts m m
             takes m 0 1
             item m done
             item m done
             attempts m 2
             starts m
             m ok
             attempts m 3
             item_attempts m 0 0",
        );
    }

    #[test]
    fn count_whatever_comes_after_them_as_those_of_other_steps_do() {
        for (ending, attempts) in [("fails", 2), ("times_out", 2), ("interrupted", 1), ("cached", 1)] {
            let lines = format!(
                "starts m
                 opens m 1
                 supplies m 9
                 starts m
                 item m 7 retries 0
                 starts m
                 m {ending}
                 attempts m {attempts}"
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
             supplies m 4
             exhausts m
             starts m m
             starts a b
             a retries 20
             item m 0 retries 30
             item m 1 retries 10
             starts m m
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

mod failed_items {
    use super::*;

    #[test]
    fn that_fail_the_step_in_the_end_let_all_others_start() {
        check(
            STOP,
            "m; after: m; tidy: m | always",
            "starts m
             opens m 1 fails_at 4294967295
             supplies m 3
             starts m
             item m fails
             starts m
             item m done
             starts m
             exhausts m
             counts m 1 0 1 0
             item m fails
             starts m
             takes m 0 1 2 nothing
             m fails
             counts m 1 0 2 0
             failures m
             starts tidy
             tidy ok
             done failed",
        );
    }

    #[test]
    fn end_the_step_once_there_are_so_many() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2 fails_at 2
             supplies m 9
             starts m m
             item m fails
             starts m
             item m fails
             waits
             ready nothing
             item m done
             starts m
             takes m 0 1 2 nothing
             m fails
             counts m 1 0 2 0
             done failed",
        );
    }

    #[test]
    fn below_that_number_let_others_be_retried_and_at_it_none() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3 fails_at 2
             supplies m 4
             starts m m m
             takes m 0 1 2
             item m 0 retries 0
             item m fails
             starts m
             takes m 0
             item m 2 retries 0
             starts m
             takes m 2
             item m 0 retries 0
             item m fails
             ready at_once
             starts m
             takes m nothing
             counts m 0 0 2 3
             m fails
             done failed",
        );
    }

    #[test]
    fn that_are_collected_never_end_the_step_early_nor_fail_it() {
        check(
            STOP,
            "m; after: m",
            "starts m
             opens m 1 collects
             supplies m 2
             exhausts m
             starts m
             item m fails
             starts m
             item m fails
             starts m
             takes m 0 1 nothing
             m ok
             counts m 0 0 2 0
             starts after
             after ok
             done succeeded",
        );
    }

    #[test]
    fn fail_the_step_when_a_stop_cuts_off_the_others() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2 fails_at 9
             supplies m 9
             starts m m
             item m fails
             stop interrupted
             item m done
             starts m
             takes m 0 1 nothing
             m fails
             counts m 1 0 1 0
             done cancelled",
        );
    }

    #[test]
    fn fail_the_step_when_a_stop_comes_while_none_is_in_flight() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2 fails_at 9
             supplies m 2
             starts m m
             takes m 0 1
             item m fails
             item m 1 retries 100
             stop interrupted
             starts m
             takes m nothing
             m fails
             done cancelled",
        );
    }

    #[test]
    fn that_fail_after_a_stop_fail_the_step() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2 fails_at 9
             supplies m 9
             starts m m
             stop interrupted
             item m withdrawn uncalled
             item m fails
             starts m
             takes m 0 1 nothing
             m fails
             done cancelled",
        );
    }

    #[test]
    fn that_are_collected_leave_a_step_that_a_stop_cuts_off_cancelled() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1 collects
             supplies m 9
             starts m
             stop interrupted
             item m fails
             outcomes m=interrupted
             counts m 0 0 1 0
             done cancelled",
        );
    }

    #[test]
    fn are_counted_besides_those_that_were_done_restored_and_retried() {
        check(
            STOP,
            "m",
            "starts m
             opens m 9 collects
             supplies m 4
             exhausts m
             starts m m m m
             takes m 0 1 2 3
             item m restored uncalled
             item m 1 retries 0
             item m done
             item m fails
             counts m 1 1 1 1
             starts m
             takes m 1
             item m 1 retries 0
             starts m
             takes m 1
             item m done
             counts m 2 1 1 2
             starts m
             takes m nothing
             attempts m 2
             m ok
             attempts m 3
             counts m 2 1 1 2
             done succeeded",
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
             supplies m 9
             starts m m
             item m fails
             waits
             ready nothing
             item m done
             starts m
             takes m 0 1 nothing
             waits
             m fails
             failures m
             starts tidy
             tidy ok
             done failed",
        );
    }

    #[test]
    fn that_was_started_before_is_still_taken() {
        check(
            STOP,
            "m",
            "starts m\n opens m 2\n supplies m 9\n starts m m\n takes m 0\n item m fails\n takes m 1\n item m done\n starts m\n takes m nothing",
        );
    }

    #[test]
    fn alone_in_flight_is_the_last() {
        check(
            STOP,
            "m",
            "starts m\n opens m 1\n supplies m 9\n starts m\n item m fails\n starts m\n takes m 0 nothing\n m fails\n done failed",
        );
    }

    #[test]
    fn gives_up_those_that_wait_for_a_retry() {
        check(
            STOP,
            "m",
            "starts m
             opens m 3
             supplies m 9
             starts m m m
             takes m 0 1 2
             item m 0 retries 10
             item m 1 retries 0
             starts m m
             takes m 1 3
             waits 10
             item m fails
             waits
             at 10
             waits
             item m done
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn gives_up_those_whose_time_has_come_too() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 3
             exhausts m
             starts m m
             item m 0 retries 1
             starts m
             takes m 0 1 2
             at 1
             waits
             item m fails
             waits
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn lets_none_in_flight_be_tried_again() {
        check(
            STOP,
            "m; a",
            "starts m a
             opens m 2
             supplies m 9
             starts m m
             item m fails
             item m 1 retries 10
             starts m
             takes m 0 1 nothing
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
             supplies m 9
             starts m m
             stop interrupted
             item m fails
             item m 1 retries 10
             starts m
             takes m 0 1 nothing
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
             supplies m 9
             starts m m
             item m fails
             stop interrupted
             item m done
             starts m
             takes m 0 1 nothing
             m fails
             outcomes m=fails
             done cancelled",
        );
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
                     supplies m 9
                     starts m m
                     stop {stop}
                     waits
                     ready nothing
                     at 4
                     item m done
                     waits
                     running m
                     at 6
                     item m done
                     passed_over m after
                     timing m 0 6
                     attempts m 0
                     outcomes m=interrupted after=interrupted
                     done cancelled"
                ),
            );
        }
    }

    #[test]
    fn while_the_last_that_are_there_are_in_flight_cuts_off_those_that_may_be_to_come() {
        check(
            STOP,
            "m",
            "starts m
             opens m 2
             supplies m 1
             starts m
             stop interrupted
             passed_over
             exhausts m
             item m done
             passed_over m
             outcomes m=interrupted
             done cancelled",
        );
    }

    #[test]
    fn cuts_off_those_that_are_there_and_not_started() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             supplies m 2
             exhausts m
             starts m
             stop interrupted
             item m done uncalled
             passed_over m
             outcomes m=interrupted
             done cancelled",
        );
    }

    #[test]
    fn cuts_off_an_item_whose_time_to_be_tried_again_has_come() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             supplies m 2
             exhausts m
             starts m
             item m 0 retries 2
             starts m
             takes m 0 1
             at 2
             waits
             stop interrupted
             waits
             item m done
             passed_over m
             outcomes m=interrupted",
        );
    }

    #[test]
    fn counts_an_item_that_asks_for_a_retry_as_one_that_is_left() {
        check(
            STOP,
            "m",
            "starts m
             opens m 1
             supplies m 1
             exhausts m
             starts m
             stop timed_out
             item m 0 retries 5
             passed_over m
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
             supplies m 1
             exhausts m
             starts m
             item m 0 retries 50
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
    fn ends_a_step_that_waits_for_more_items_at_once() {
        check(
            CONTINUE,
            "m; after: m",
            "starts m
             opens m 1
             stop interrupted
             passed_over m after
             supplies m 1
             exhausts m
             outcomes m=interrupted after=interrupted
             done cancelled",
        );
        check(
            CONTINUE,
            "m",
            "starts m
             opens m 1
             supplies m 1
             starts m
             item m done
             waits
             at 3
             stop interrupted
             passed_over m
             timing m 0 3
             outcomes m=interrupted
             done cancelled",
        );
    }

    #[test]
    fn ends_a_step_whose_items_are_idle() {
        check(
            CONTINUE,
            "m",
            "starts m\n opens m 1\n supplies m 1\n exhausts m\n stop interrupted\n passed_over m\n outcomes m=interrupted\n done cancelled",
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
             supplies m 1
             supplies n 2
             exhausts m
             starts m n
             begins n
             item m 0 retries 1
             item n done
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
             supplies m 2
             exhausts m
             starts m m
             stop interrupted
             passed_over
             item m done
             item m done
             status running
             starts m
             takes m 0 1 nothing
             m ok
             outcomes m=ok
             done cancelled",
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
             running m
             at 5
             opens m 2
             passed_over m after
             timing m 5 5
             outcomes m=interrupted after=interrupted
             supplies m 2
             starts tidy
             tidy ok
             done cancelled",
        );
    }

    #[test]
    fn before_the_items_of_another_attempt_are_open_ends_the_step_then() {
        check(
            STOP,
            "m",
            "starts m\n m retries 1\n at 1\n starts m\n at 3\n stop interrupted\n at 5\n opens m 2\n timing m 0 3",
        );
    }

    #[test]
    fn lets_steps_that_run_always_continue_with_their_items() {
        check(
            STOP,
            "tidy | always; m",
            "starts tidy m
             opens tidy 2
             supplies tidy 2
             starts tidy
             stop interrupted
             starts tidy
             takes tidy 0 1
             item tidy 0 retries 5
             waits 5
             supplies tidy 1
             starts tidy
             item tidy done
             item m done refused
             waits 5
             at 5
             starts tidy
             takes tidy 2 0
             item tidy done
             exhausts tidy
             item tidy done
             starts tidy
             takes tidy nothing
             tidy ok
             m ok
             outcomes tidy=ok m=ok
             done cancelled",
        );
        check(
            STOP,
            "tidy | always",
            "starts tidy
             stop timed_out
             opens tidy 1
             supplies tidy 1
             starts tidy
             exhausts tidy
             item tidy done
             starts tidy
             takes tidy 0 nothing
             tidy ok
             done timed_out",
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
             supplies tidy 2
             exhausts tidy
             starts tidy
             stop interrupted
             passed_over
             starts tidy
             stop interrupted entirely
             passed_over idle
             waits
             item tidy done
             item tidy 1 retries 9
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
             supplies m 2
             starts m
             bad fails
             waits
             item m done
             starts tidy
             outcomes bad=fails m=run_failed
             tidy ok
             done failed",
        );
    }

    #[test]
    fn when_the_time_is_up_is_one_too() {
        let mut run = Run::new(graph("m; n; p").graph, STOP);
        run.limit(10);
        for step in nths(0..3) {
            assert_eq!(run.next(0), Next::Start(step));
        }
        for step in nths(0..3) {
            run.open(step, 1, FailAt(1), 0).unwrap();
        }
        run.supply(nth(0), 2);
        run.supply(nth(1), 1);
        assert_starts(&mut run, 0, Some(0));
        assert_starts(&mut run, 1, Some(0));
        run.exhaust(nth(1));
        run.report_item(nth(1), ItemReport::RetryAt(item(0), 50), true, 1).unwrap();
        assert_eq!(run.next(1), Next::Wait(Some(10)));
        assert_eq!(run.next(10), Next::Wait(None));
        assert_eq!(run.drain_ended(), nths([1, 2]));
        run.report_item(nth(0), ItemReport::Done, true, 11).unwrap();
        assert_eq!(run.drain_ended(), nths([0]));
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
             supplies m 3
             starts m
             waits
             state m running
             item m done
             starts m
             waits
             a ok
             starts m
             waits
             item m done
             exhausts m
             item m done
             starts m
             takes m 0 1 2 nothing
             m ok
             done succeeded",
        );
    }

    #[test]
    fn pools_are_left_to_others_while_no_item_is_there() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; a | uses=db; b | uses=db",
            "starts m
             waits
             opens m 1
             starts a
             waits
             supplies m 1
             waits
             state m pool:db
             a ok
             starts m
             item m done
             starts b
             waits",
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
             supplies m 1
             exhausts m
             starts m
             waits
             item m 0 retries 9
             starts a
             waits 9
             state m retry
             at 9
             waits
             state m pool:db
             a ok
             state m ready
             starts m
             takes m 0 0
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn pools_pass_to_the_steps_behind_when_a_step_wants_no_more_items() {
        // `m` waits for two; there is one, which nobody else frees.
        check_sharing(
            "db=5",
            STOP,
            "m | uses=db:2; b | uses=db:2; a | uses=db",
            "starts m
             opens m 3
             supplies m 3
             starts m m
             waits
             state b pool:db
             state a pool:db
             item m fails
             ready at_once
             starts b a
             waits",
        );
    }

    #[test]
    fn pools_pass_to_the_next_when_a_step_that_waits_for_one_is_reported_on() {
        check_sharing(
            "db=3",
            CONTINUE,
            "m | uses=db:2; b | uses=db:2; a | uses=db",
            "starts m
             opens m 1
             supplies m 9
             starts m
             item m done
             starts m
             item m done
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
             supplies m 9
             a ok
             starts m
             m fails",
        );
        check_sharing(
            "db=3",
            CONTINUE,
            "m | uses=db:2; b | uses=db:2; a | uses=db",
            "starts m
             opens m 1
             starts b a
             supplies m 1
             waits
             a retries 1
             waits 1
             state m pool:db
             at 1
             waits
             state a pool:db
             m times_out
             ready at_once
             starts a
             waits",
        );
    }

    #[test]
    fn pools_wake_those_behind_a_step_whose_items_ran_out_before_its_turn() {
        // `m` is woken in the call that starts `first`; in the next it wants nothing any more.
        check_sharing(
            "db=2",
            STOP,
            "gate; first: gate; z: first; m | uses=db; a | uses=db; b | uses=db; c | uses=db",
            "starts gate m
             opens m 2
             supplies m 3
             starts m m
             waits
             state a pool:db
             gate ok
             item m 0 retries 5
             starts first
             item m fails
             starts m
             starts a b
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
             supplies m 9
             starts m m
             waits
             gate ok
             waits
             state wide pool:db
             item m done
             waits
             item m done
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
             supplies m 2
             starts m a
             waits
             item m done
             starts m
             waits
             a ok
             starts b
             waits
             exhausts m
             item m done
             starts m
             takes m 0 1 nothing",
        );
    }

    #[test]
    fn pools_are_not_held_by_a_stream_of_higher_rank_while_a_step_waits() {
        check_sharing(
            "db=1",
            STOP,
            "m | uses=db; after: m; step | uses=db",
            "starts m
             opens m 9
             supplies m 9
             starts m
             waits
             item m done
             starts m
             waits
             item m done
             starts step
             step ok
             starts m
             waits",
        );
    }

    #[test]
    fn pools_are_shared_by_streams_in_turns() {
        check_sharing(
            "db=1",
            STOP,
            "a | uses=db; b | uses=db",
            "starts a
             opens a 9
             starts b
             opens b 9
             supplies a 9
             supplies b 9
             starts a
             waits
             item a done
             starts a
             waits
             item a done
             starts b
             waits
             item b done
             starts a
             waits
             item a done
             starts b
             waits",
        );
    }

    #[test]
    fn pools_of_which_a_step_needs_two_are_not_held_by_two_streams_in_turns() {
        let names = "a | uses=x; b | uses=y; step | uses=x uses=y";
        check_sharing(
            "x=1 y=1",
            STOP,
            names,
            "starts a b
             opens a 9
             opens b 9
             supplies a 9
             supplies b 9
             starts a b
             waits
             item a done
             starts a
             item b done
             starts b
             item a done
             waits
             item b done
             starts step
             waits
             step ok
             starts a b
             waits",
        );
    }

    #[test]
    fn rates_count_the_calls_of_items_and_not_the_step_itself() {
        check_sharing(
            "",
            STOP,
            "m | rate=2/10",
            "starts m
             opens m 5
             supplies m 9
             starts m
             begins m
             at 1
             starts m
             begins m
             waits 10
             state m running
             item m done
             item m done
             state m rate:10
             waits 10
             at 10
             starts m
             begins m
             waits 11
             item m 2 retries 10
             waits 11
             at 11
             starts m
             begins m
             takes m 0 1 2 2
             waits 20",
        );
    }

    #[test]
    fn rates_are_not_waited_for_while_nothing_is_there_to_start() {
        check_sharing(
            "",
            STOP,
            "m | rate=1/10",
            "starts m
             opens m 2
             supplies m 1
             starts m
             begins m
             waits
             supplies m 1
             waits 10
             at 3
             item m done
             waits 10
             at 10
             starts m
             begins m
             waits
             at 12
             item m 1 retries 15
             waits 15
             state m retry
             at 15
             waits 20
             state m rate:20
             at 20
             starts m
             takes m 0 1 1
             exhausts m
             item m done
             starts m
             takes m nothing",
        );
    }

    #[test]
    fn rates_are_not_waited_for_when_as_many_are_in_flight_as_may_be() {
        check_sharing(
            "",
            STOP,
            "m | rate=1/10",
            "starts m
             opens m 1
             supplies m 2
             starts m
             begins m
             waits
             at 4
             item m done
             waits 10
             at 10
             starts m
             takes m 0 1",
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
             supplies m 9
             starts m
             begins m
             item m 0 retries 4
             waits 4
             at 4
             waits 10
             at 10
             starts m
             begins m
             takes m 0 0
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
             supplies m 3
             starts m
             begins m
             waits 10
             item m done
             starts a b
             waits 10
             at 10
             waits
             state m pool:db
             a ok
             waits
             b ok
             starts m
             begins m
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
             state m running
             supplies m 2
             state m ready
             starts m
             state m running
             item m 0 retries 9
             state m ready
             starts m
             exhausts m
             item m done
             state m retry
             at 9
             starts m
             state m running
             item m done
             state m running
             starts m
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
        for step in nths([0, 1]) {
            assert_eq!(run.open(step, 1, FailAt(1), 0), Err(RunError::NotRunning(step)));
        }
        assert_eq!(run.open(nth(2), 1, FailAt(1), 0), Err(RunError::UnknownStep(nth(2))));
        for step in nths([0, 1, 2]) {
            assert_eq!(run.report_item(step, ItemReport::Done, true, 0), Err(RunError::NotRunning(step)));
            assert_eq!((run.take(step), run.item_attempts(step, item(0))), (None, 0));
            run.supply(step, 1);
            run.exhaust(step);
        }
        assert_eq!(run.next(0), Next::Start(nth(0)));
        assert_eq!(run.report_item(nth(0), ItemReport::Done, true, 0), Err(RunError::NotRunning(nth(0))));
        run.open(nth(0), 2, FailAt(1), 0).unwrap();
        assert_eq!(
            run.open(nth(0), 2, FailAt(1), 0),
            Err(RunError::NotRunning(nth(0))),
            "it is open already"
        );
        let start = Event::Started { step: nth(0), at: 0 };
        assert_eq!(run.apply(start.clone()), Err(RunError::NotReady(nth(0))), "nothing is there");
        run.supply(nth(0), 2);
        assert_eq!((run.next(0), run.next(0)), (Next::Start(nth(0)), Next::Start(nth(0))));
        run.supply(nth(0), 1);
        assert_eq!(run.apply(start.clone()), Err(RunError::NotReady(nth(0))), "two are in flight");
        run.report_item(nth(0), ItemReport::Done, true, 0).unwrap();
        assert_eq!(run.next(0), Next::Start(nth(0)));
        run.exhaust(nth(0));
        run.report_item(nth(0), ItemReport::Done, true, 0).unwrap();
        assert_eq!(
            run.apply(start.clone()),
            Err(RunError::NotReady(nth(0))),
            "none is left, but one is in flight"
        );
        run.report_item(nth(0), ItemReport::Done, true, 0).unwrap();
        assert_eq!(run.report_item(nth(0), ItemReport::Done, true, 0), Err(RunError::NotRunning(nth(0))));
        assert_eq!(run.apply(start.clone()), Ok(()));
        assert_eq!(run.apply(start.clone()), Err(RunError::NotReady(nth(0))), "it is to be reported on");
        run.report(nth(0), Ended(Succeeded), 0).unwrap();
        assert_eq!(run.apply(start.clone()), Err(RunError::NotReady(nth(0))), "it has ended");
        assert_eq!(run.begin(nth(0), 0), Err(RunError::NotRunning(nth(0))));
        assert_eq!((run.next(0), run.next(0)), (Next::Start(nth(1)), Next::Wait(None)));
    }
}

mod a_replay {
    use super::*;

    #[test]
    fn of_what_does_not_fit_is_refused() {
        let began = &Event::Began { step: nth(0), at: 1 };
        let started = &Event::Started { step: nth(0), at: 1 };
        let opened = &Event::Opened { step: nth(0), most: 1, on_error: FailAt(1), at: 1 };
        let supplied = &Event::Supplied { step: nth(0), count: 2 };
        let exhausted = &Event::Exhausted { step: nth(0) };
        let taken = |position| Event::Taken { step: nth(0), position: item(position) };
        let done = &Event::Item { step: nth(0), report: ItemReport::Done, called: true, at: 1 };
        for (events, error) in [
            (vec![began], RunError::NotRunning(nth(0))),
            (vec![opened], RunError::NotRunning(nth(0))),
            (vec![started, done], RunError::NotRunning(nth(0))),
            (vec![started, opened, opened], RunError::NotRunning(nth(0))),
            (vec![started, opened, started], RunError::NotReady(nth(0))),
            (vec![started, opened, supplied, done], RunError::NotRunning(nth(0))),
            (vec![started, opened, supplied, started, started], RunError::NotReady(nth(0))),
            (vec![started, supplied, opened, started], RunError::NotReady(nth(0))),
            (vec![started, opened, exhausted, supplied, started, started], RunError::NotReady(nth(0))),
            (vec![started, opened, &taken(0)], RunError::NotNextItem(nth(0), item(0))),
            (vec![started, opened, supplied, started, &taken(1)], RunError::NotNextItem(nth(0), item(1))),
        ] {
            let events = events.into_iter().cloned();
            assert_eq!(replay(graph("m").graph, STOP, events).unwrap_err(), error);
        }
    }
}

mod a_million_items {
    use super::*;

    const MILLION: u64 = 1_000_000;

    /// Goes through a million items, which come by the thousand, eight in flight; every tenth is tried twice.
    /// Returns how many of them were started.
    fn finish(run: &mut Run) -> u64 {
        let (mut now, mut starts, mut supplied) = (0, 0, 0);
        let mut in_flight = std::collections::VecDeque::new();
        let mut tried = std::collections::HashSet::new();
        assert_eq!(run.next(now), Next::Start(nth(0)));
        run.open(nth(0), 8, FailAt(1), now).unwrap();
        loop {
            match run.next(now) {
                Next::Start(_) => match run.take(nth(0)) {
                    Some(position) => {
                        starts += 1;
                        run.begin(nth(0), now).unwrap();
                        in_flight.push_back(position);
                        assert!(in_flight.len() <= 8 && position < item(supplied));
                        continue;
                    }
                    None => {
                        assert!(in_flight.is_empty());
                        run.report(nth(0), Ended(Succeeded), now).unwrap();
                        assert_eq!((run.next(now), run.attempts(nth(0))), (Next::Done, 2));
                        return starts;
                    }
                },
                Next::Wait(None) if in_flight.is_empty() => {
                    match supplied {
                        MILLION => run.exhaust(nth(0)),
                        more => {
                            assert!(more < MILLION, "it waits for nothing");
                            run.supply(nth(0), 1000);
                        }
                    }
                    supplied += 1000;
                    continue;
                }
                Next::Wait(Some(until)) if in_flight.is_empty() => {
                    now = until;
                    assert!(now < 10 * MILLION, "it waits too long");
                    continue;
                }
                Next::Wait(_) => {}
                other => panic!("{other:?}"),
            }
            let position = in_flight.pop_front().unwrap();
            now += 1;
            let report = match position.number() % 10 == 0 && tried.insert(position) {
                true => ItemReport::RetryAt(position, now + 20),
                false => ItemReport::Done,
            };
            run.report_item(nth(0), report, true, now).unwrap();
        }
    }

    #[test]
    fn are_each_started_once_and_once_more_for_each_retry() {
        let mut run = Run::new(graph("m").graph, STOP);
        assert_eq!(finish(&mut run), MILLION + MILLION / 10);
    }

    #[test]
    fn share_pools_and_rates() {
        let mut run = Run::new(graph("m").graph, STOP);
        run.share(&[3], [(nth(0), Needs { pools: vec![(pool(0), 1)], rate: Some((1000, 100)) })].into())
            .unwrap();
        assert_eq!(finish(&mut run), MILLION + MILLION / 10);
    }

    /// The state of a run shows in its `Debug` form, which would grow with anything that is stored for each item.
    #[test]
    fn leave_nothing_behind() {
        let mut run = Run::new(graph("m").graph, STOP);
        run.share(&[4], [(nth(0), Needs { pools: vec![(pool(0), 1)], rate: Some((50, 10)) })].into())
            .unwrap();
        let mut size = 0;
        open(&mut run, 8, MILLION);
        for position in 0..MILLION {
            if position == 1_000 {
                size = format!("{run:?}").len();
            }
            let now = 10 * position;
            let called = position % 3 > 0;
            assert_eq!((run.next(now), run.take(nth(0))), (Next::Start(nth(0)), Some(item(position))));
            if called {
                run.begin(nth(0), now).unwrap();
            }
            run.report_item(nth(0), ItemReport::Done, called, now).unwrap();
        }
        let digits = 64 * 8;
        assert!(format!("{run:?}").len() < size + digits, "{size}");
        assert_eq!((run.next(10 * MILLION), run.take(nth(0))), (Next::Start(nth(0)), None));
    }

    #[test]
    fn are_given_up_by_one_stop() {
        let mut run = Run::new(graph("m").graph, STOP);
        open(&mut run, u32::MAX, MILLION);
        for position in 0..MILLION {
            assert_eq!(run.next(0), Next::Start(nth(0)));
            run.report_item(nth(0), ItemReport::RetryAt(item(position), 10 + position), true, 0).unwrap();
        }
        run.stop(Stop::Interrupted, false, 5);
        assert_eq!((run.drain_ended(), run.next(5)), (nths([0]), Next::Done));
        assert_eq!(run.ended(), 1);
    }
}
