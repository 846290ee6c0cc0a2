//! When failed attempts are made again.

use crate::common::Random;
use flowline_core::retry::Schedule;
use flowline_core::retry::Strategy::{self, Exponential, Immediate, Linear};

fn schedule(strategy: Strategy, delay: f64, most: f64, jitter: f64) -> Schedule {
    Schedule { strategy, delay, most, jitter }
}

#[test]
fn schedules() {
    let infinity = f64::INFINITY;
    for (schedule, chance, expected) in [
        (schedule(Immediate, 3.0, 60.0, 0.5), 0.9, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (schedule(Linear, 3.0, 60.0, 0.5), 0.9, [3.0, 3.0, 3.0, 3.0, 3.0]),
        (schedule(Linear, 90.0, 60.0, 0.5), 0.0, [90.0, 90.0, 90.0, 90.0, 90.0]),
        (schedule(Linear, 0.0, 60.0, 0.5), 0.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (schedule(Exponential, 1.0, 60.0, 0.0), 0.9, [1.0, 2.0, 4.0, 8.0, 16.0]),
        (schedule(Exponential, 0.5, 3.0, 0.0), 0.9, [0.5, 1.0, 2.0, 3.0, 3.0]),
        (schedule(Exponential, 90.0, 60.0, 0.0), 0.9, [60.0, 60.0, 60.0, 60.0, 60.0]),
        (schedule(Exponential, 1.0, 4.0, 0.5), 0.0, [0.5, 1.0, 2.0, 2.0, 2.0]),
        (schedule(Exponential, 1.0, 4.0, 0.5), 0.5, [1.0, 2.0, 4.0, 4.0, 4.0]),
        (schedule(Exponential, 1.0, 4.0, 0.5), 1.0, [1.5, 3.0, 6.0, 6.0, 6.0]),
        (schedule(Exponential, 1.0, 4.0, 0.5), 0.75, [1.25, 2.5, 5.0, 5.0, 5.0]),
        (schedule(Exponential, 0.0, 60.0, 0.15), 1.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
        (schedule(Exponential, 1.0, infinity, 0.0), 1.0, [1.0, 2.0, 4.0, 8.0, 16.0]),
        (schedule(Exponential, 1.0, 0.0, 0.15), 1.0, [0.0, 0.0, 0.0, 0.0, 0.0]),
    ] {
        let waits = [1, 2, 3, 4, 5].map(|attempts| schedule.wait(attempts, chance));
        assert_eq!(waits, expected, "{schedule:?} with {chance}");
    }
}

#[test]
fn waits_are_immediate_unless_asked_for() {
    assert_eq!(Strategy::default(), Immediate);
}

#[test]
fn before_any_attempt_it_is_as_before_the_second() {
    for strategy in [Immediate, Linear, Exponential] {
        let schedule = schedule(strategy, 3.0, 60.0, 0.5);
        assert_eq!(schedule.wait(0, 0.25), schedule.wait(1, 0.25));
    }
}

#[test]
fn exponential_waits_double_up_to_the_most_within_the_jitter() {
    let mut random = Random(1);
    for _ in 0..20_000 {
        let mut number = |most: f64| random.below(1_000_001) as f64 / 1_000_000.0 * most;
        let (delay, most, jitter) = (number(100.0), number(10_000.0), number(1.0));
        let with = schedule(Exponential, delay, most, jitter);
        let without = schedule(Exponential, delay, most, 0.0);
        let mut doubled = delay;
        let mut last = 0.0;
        for attempts in 1..=30 {
            let chance = number(1.0);
            let (plain, wait) = (without.wait(attempts, chance), with.wait(attempts, chance));
            assert_eq!(plain, doubled.min(most), "{with:?} after {attempts}");
            assert!(plain >= last, "never shorter than before: {with:?} after {attempts}");
            let (low, high) = (with.wait(attempts, 0.0), with.wait(attempts, 1.0));
            assert!(low <= wait && wait <= high, "{with:?} after {attempts} with {chance}");
            let near = |a: f64, b: f64| (a - b).abs() <= 1e-9 * b.abs().max(1.0);
            assert!(near(low, plain * (1.0 - jitter)), "as much shorter: {low}, {with:?}");
            assert!(near(high, plain * (1.0 + jitter)), "as much longer: {high}, {with:?}");
            assert!(
                0.0 <= wait && wait <= most * (1.0 + jitter) * (1.0 + 1e-12),
                "{with:?} after {attempts}"
            );
            last = plain;
            doubled *= 2.0;
        }
    }
}

#[test]
fn any_number_of_attempts_has_a_wait() {
    for attempts in
        [0, 1, 31, 32, 33, 63, 64, 65, 1000, 1001, 1024, 1100, i32::MAX as u32, u32::MAX - 1, u32::MAX]
    {
        for delay in [0.0, f64::MIN_POSITIVE, 1e-9, 1.0, 1e6] {
            for most in [0.0, 60.0, 1e300, f64::INFINITY] {
                for chance in [0.0, 0.5, 1.0] {
                    let schedule = schedule(Exponential, delay, most, 1.0);
                    let wait = schedule.wait(attempts, chance);
                    assert!(wait >= 0.0 && wait <= 2.0 * most, "{wait}: {schedule:?} after {attempts}");
                    if delay >= 1e-9 && most <= 60.0 && chance == 0.5 && attempts > 40 {
                        assert_eq!(wait, most, "{schedule:?} after {attempts}");
                    }
                }
            }
        }
    }
}
