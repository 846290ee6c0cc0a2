//! Graphs: order, levels, closures, ranks, cycles, and what is wrong with a definition.

use std::collections::BTreeSet;

use crate::common::{Random, define, graph, nth, nths, on_a_small_stack};
use flowline_core::builder::Problem;
use flowline_core::graph::{Graph, Rule, RunIf};
use flowline_core::ids::{Rank, StepId};

const MILLION: u32 = 1_000_000;

/// The cycles in it are numbers, too.
fn plain(steps: u32, edges: &[(u32, u32)]) -> Result<Graph, Vec<Vec<u32>>> {
    let edges = edges.iter().map(|&(from, to)| (nth(from), nth(to)));
    let graph = Graph::new(vec![Rule::default(); steps as usize], edges);
    graph.map_err(|cycles| cycles.iter().map(|cycle| numbers(cycle)).collect())
}

fn cycles(steps: u32, edges: &[(u32, u32)]) -> Vec<Vec<u32>> {
    plain(steps, edges).unwrap_err()
}

fn numbers(steps: &[StepId]) -> Vec<u32> {
    steps.iter().map(|step| step.number()).collect()
}

mod order {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let named = graph(text);
        assert_eq!(named.show(named.graph.order()), expected);
    }

    #[test]
    fn is_definition_order_where_dependencies_allow() {
        check("a; b; c", "a b c");
        check("a; c: a; b: a", "a c b");
        check("", "");
    }

    #[test]
    fn puts_a_step_after_dependencies_that_were_defined_later() {
        check("load: clean; clean: fetch; fetch", "fetch clean load");
    }

    #[test]
    fn takes_the_step_defined_first_among_those_that_could_come_next() {
        check("d: c; a; c; b", "a c d b");
        check("z: x; y; x; w: y", "y x z w");
    }

    #[test]
    fn counts_a_dependency_named_twice_once() {
        check("b: a a; a", "a b");
    }

    /// The same by definition, from a sorted set of the steps that could come next.
    fn by_definition(steps: u32, edges: &[(u32, u32)]) -> Vec<u32> {
        let mut open = vec![0; steps as usize];
        let mut dependents = vec![Vec::new(); steps as usize];
        for &(from, to) in edges {
            open[to as usize] += 1;
            dependents[from as usize].push(to);
        }
        let mut ready: BTreeSet<u32> = (0..steps).filter(|&step| open[step as usize] == 0).collect();
        let mut order = Vec::new();
        while let Some(step) = ready.pop_first() {
            order.push(step);
            for &dependent in &dependents[step as usize] {
                open[dependent as usize] -= 1;
                if open[dependent as usize] == 0 {
                    ready.insert(dependent);
                }
            }
        }
        order
    }

    #[test]
    fn is_so_for_thousands_of_steps_in_any_order_some_with_hundreds_of_dependencies() {
        const STEPS: u32 = 9000;
        let mut random = Random(1);
        for sparse in [true, false, true] {
            let mut numbers: Vec<u32> = (0..STEPS).collect();
            random.shuffle(&mut numbers);
            let mut edges = Vec::new();
            for step in 1..STEPS as usize {
                let dependencies = match step % 1000 {
                    999 => random.pick(&[254, 255, 256, 257, 600]), // A count may not fit in a byte.
                    _ if sparse => random.below(2),
                    _ => random.below(5),
                };
                edges.extend((0..dependencies).map(|_| (numbers[random.below(step)], numbers[step])));
            }
            random.shuffle(&mut edges);
            let graph = plain(STEPS, &edges).unwrap();
            assert!(super::numbers(graph.order()) == by_definition(STEPS, &edges));
        }
    }
}

mod levels {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let named = graph(text);
        let levels: Vec<String> = named.graph.levels().iter().map(|level| named.show(level)).collect();
        assert_eq!(levels, expected);
    }

    #[test]
    fn put_a_step_one_below_its_deepest_dependency() {
        check("a; b: a; c: a b; d: a", &["a", "b d", "c"]);
    }

    #[test]
    fn are_in_definition_order_each() {
        check("late: z a; z; a; m: z", &["z a", "late m"]);
    }

    #[test]
    fn of_nothing_are_none() {
        check("", &[]);
    }
}

mod closures {
    use super::*;

    const DIAMOND: &str = "join: left right; left: top; right: top; top; island; end: join";

    #[track_caller]
    fn check(steps: &str, upstream: &str, downstream: &str) {
        let named = graph(DIAMOND);
        assert_eq!(named.show(&named.graph.upstream(&named.ids(steps))), upstream, "upstream of {steps}");
        assert_eq!(
            named.show(&named.graph.downstream(&named.ids(steps))),
            downstream,
            "downstream of {steps}"
        );
    }

    #[test]
    fn hold_the_steps_themselves_and_what_they_reach_in_definition_order() {
        check("join", "join left right top", "join end");
        check("top", "top", "join left right top end");
        check("left", "left top", "join left end");
    }

    #[test]
    fn of_several_steps_are_united() {
        check("left right", "left right top", "join left right end");
        check("end island", "join left right top island end", "island end");
        check("left left", "left top", "join left end");
    }

    #[test]
    fn of_nothing_or_of_unknown_steps_are_empty() {
        check("", "", "");
        let graph = plain(2, &[(0, 1)]).unwrap();
        assert!(graph.upstream(&nths([2, u32::MAX])).is_empty());
        assert_eq!(graph.downstream(&nths([1, 7])), nths([1]));
    }
}

mod ranks {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &str) {
        let named = graph(text);
        let ranks = (0..named.graph.len() as u32).map(Rank::new);
        let ranked: Vec<StepId> = ranks.clone().map_while(|rank| named.graph.of_rank(rank)).collect();
        assert_eq!(named.show(&ranked), expected);
        for (rank, &step) in ranks.zip(&ranked) {
            assert_eq!(named.graph.rank(step), rank);
        }
    }

    #[test]
    fn put_the_longest_remaining_path_first() {
        check("short; long; middle: long; end: middle", "long middle short end");
    }

    #[test]
    fn follow_definition_order_where_paths_are_equally_long() {
        check("c; a; b", "c a b");
        check("z; y; after_y: y; after_z: z", "z y after_y after_z");
    }

    #[test]
    fn of_unknown_steps_are_last_and_nobodys() {
        let graph = plain(1, &[]).unwrap();
        assert_eq!((graph.rank(nth(0)), graph.rank(nth(1))), (Rank::new(0), Rank::LAST));
        assert_eq!((graph.of_rank(Rank::new(0)), graph.of_rank(Rank::new(1))), (Some(nth(0)), None));
    }
}

mod cycle {
    use super::*;

    #[test]
    fn is_a_closed_path_in_the_direction_the_data_flows() {
        assert_eq!(cycles(3, &[(0, 1), (1, 2), (2, 0)]), [[0, 1, 2, 0]]);
        assert_eq!(cycles(3, &[(1, 0), (2, 1), (0, 2)]), [[0, 2, 1, 0]]);
    }

    #[test]
    fn may_be_a_step_that_depends_on_itself() {
        assert_eq!(cycles(2, &[(0, 1), (1, 1)]), [[1, 1]]);
    }

    #[test]
    fn is_the_shortest_through_the_step_defined_first() {
        let edges = [(0, 1), (1, 2), (2, 3), (3, 0), (1, 0), (2, 3), (3, 2)];
        assert_eq!(cycles(4, &edges), [[0, 1, 0]]);
        assert_eq!(cycles(3, &[(0, 1), (1, 0), (0, 0), (1, 2), (2, 1)]), [[0, 0]]);
    }

    #[test]
    fn leaves_out_steps_before_and_after_it() {
        assert_eq!(cycles(4, &[(3, 1), (1, 2), (2, 1), (2, 0)]), [[1, 2, 1]]);
    }

    #[test]
    fn is_reported_for_every_set_of_steps_that_depend_on_each_other_in_definition_order() {
        let edges = [(5, 4), (4, 5), (3, 1), (1, 3), (2, 2), (3, 4), (0, 1)];
        assert_eq!(cycles(6, &edges), [vec![1, 3, 1], vec![2, 2], vec![4, 5, 4]]);
    }

    #[test]
    fn is_the_same_whatever_order_the_edges_come_in() {
        // Four cycles of the same length through 0, two sets of steps that depend on each other.
        let mut edges = [(0, 4), (0, 3), (4, 1), (4, 2), (3, 1), (3, 2), (1, 0), (2, 0), (5, 6), (6, 5)];
        let mut random = Random(1);
        for _ in 0..100 {
            random.shuffle(&mut edges);
            assert_eq!(cycles(7, &edges), [vec![0, 3, 1, 0], vec![5, 6, 5]]);
        }
    }
}

mod construction {
    use super::*;

    #[test]
    fn keeps_rules_and_both_directions_of_edges() {
        let named = graph("a; b: a | any; c: a b | always optional");
        let rules = [
            Rule::default(),
            Rule { run_if: RunIf::Any, ..Rule::default() },
            Rule { run_if: RunIf::Always, optional: true, ..Rule::default() },
        ];
        for (step, rule) in named.graph.steps().zip(rules) {
            assert_eq!(named.graph.rule(step), rule);
        }
        assert_eq!(named.show(named.graph.dependents(nth(0))), "b c");
        assert_eq!(named.show(named.graph.dependencies(nth(2))), "a b");
        assert_eq!(named.show(named.graph.dependents(nth(2))), "");
    }

    #[test]
    fn lists_dependents_in_definition_order_and_dependencies_as_given() {
        let edges = [(2, 4), (4, 0), (1, 4), (2, 0), (2, 1), (1, 0), (1, 4)];
        let graph = plain(5, &edges).unwrap();
        assert_eq!(graph.dependencies(nth(4)), nths([2, 1, 1]));
        assert_eq!(graph.dependencies(nth(0)), nths([4, 2, 1]));
        assert_eq!(graph.dependents(nth(2)), nths([0, 1, 4]));
        assert_eq!(graph.dependents(nth(1)), nths([0, 4, 4]));
    }

    #[test]
    fn leaves_out_edges_to_unknown_steps() {
        let graph = plain(2, &[(0, 1), (1, 2), (9, 0), (u32::MAX, 1)]).unwrap();
        assert_eq!(graph.order(), nths([0, 1]));
        assert_eq!(graph.downstream(&nths([0])), nths([0, 1]));
        assert_eq!(graph.upstream(&nths([0])), nths([0]));
        assert_eq!((graph.dependents(nth(7)), graph.dependencies(nth(u32::MAX))), (&[][..], &[][..]));
    }

    #[test]
    fn of_no_steps_is_empty() {
        let graph = plain(0, &[]).unwrap();
        assert!(graph.is_empty() && graph.order().is_empty() && graph.of_rank(Rank::new(0)).is_none());
        assert!(!plain(1, &[]).unwrap().is_empty());
    }
}

mod problems {
    use super::*;

    fn problems(text: &str) -> Vec<Problem> {
        define(text).1.build().unwrap_err()
    }

    fn missing(step: u32, dependency: &str, nearest: Option<&str>) -> Problem {
        Problem::Missing { step: nth(step), dependency: dependency.into(), nearest: nearest.map(Into::into) }
    }

    #[test]
    fn are_all_reported_at_once() {
        let text = "fetch; clean: fetchh; a: b; b: a nothing; fetch; loop: loop; fetch: clena";
        assert_eq!(
            problems(text),
            [
                Problem::Duplicate { first: nth(0), second: nth(4) },
                Problem::Duplicate { first: nth(0), second: nth(6) },
                missing(1, "fetchh", Some("fetch")),
                missing(3, "nothing", None),
                missing(6, "clena", Some("clean")),
                Problem::Cycle(nths([2, 3, 2])),
                Problem::Cycle(nths([5, 5])),
            ]
        );
    }

    #[test]
    fn of_a_step_never_suggest_that_it_depends_on_itself() {
        assert_eq!(problems("loads: load"), [missing(0, "load", None)]);
        assert_eq!(problems("loads: load; lead"), [missing(0, "load", Some("lead"))]);
    }

    #[test]
    fn suggest_for_the_first_twenty_missing_names_only() {
        let text: String = (0..25).map(|n| format!("user{n:02}: file{n:02}x; file{n:02};")).collect();
        let suggested = |problem: &Problem| matches!(problem, Problem::Missing { nearest: Some(_), .. });
        let problems = problems(&text);
        assert_eq!(
            problems.iter().map(suggested).collect::<Vec<_>>(),
            (0..25).map(|n| n < 20).collect::<Vec<_>>()
        );
        assert_eq!(problems[3], missing(6, "file03x", Some("file03")));
    }

    #[test]
    fn say_what_is_wrong() {
        let said: Vec<String> = problems("a: b; a; c: c").iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "steps 0 and 1 have the same name",
                "step 0 depends on \"b\", which does not exist",
                "steps 2 → 2 form a cycle"
            ]
        );
    }
}

mod a_million_steps {
    use super::*;

    /// Everything that walks a graph, against what it must find.
    fn check(graph: &Graph, first: u32, last: u32, levels: usize) {
        let (first, last, steps) = (nth(first), nth(last), graph.len());
        assert_eq!((graph.order()[0], graph.order()[steps - 1]), (first, last));
        assert_eq!(graph.levels().len(), levels);
        assert_eq!((graph.rank(first), graph.of_rank(Rank::new(0))), (Rank::new(0), Some(first)));
        assert_eq!((graph.upstream(&[last]).len(), graph.upstream(&[first])), (steps, vec![first]));
        assert_eq!((graph.downstream(&[first]).len(), graph.downstream(&[last])), (steps, vec![last]));
    }

    #[test]
    fn may_be_a_chain() {
        on_a_small_stack(|| {
            let edges: Vec<_> = (1..MILLION).map(|step| (step - 1, step)).collect();
            let graph = plain(MILLION, &edges).unwrap();
            check(&graph, 0, MILLION - 1, MILLION as usize);
            assert_eq!(graph.downstream(&nths([MILLION / 2])), nths(MILLION / 2..MILLION));
        });
    }

    #[test]
    fn may_be_a_chain_defined_backwards() {
        on_a_small_stack(|| {
            let edges: Vec<_> = (1..MILLION).map(|step| (step, step - 1)).collect();
            check(&plain(MILLION, &edges).unwrap(), MILLION - 1, 0, MILLION as usize);
        });
    }

    #[test]
    fn may_fan_out_and_in_again() {
        on_a_small_stack(|| {
            let join = MILLION + 1;
            let edges: Vec<_> = (1..join).flat_map(|step| [(0, step), (step, join)]).collect();
            let graph = plain(MILLION + 2, &edges).unwrap();
            check(&graph, 0, join, 3);
            assert_eq!(graph.upstream(&nths([5, 9])), nths([0, 5, 9]));
        });
    }

    #[test]
    fn may_be_one_cycle_which_is_reported() {
        on_a_small_stack(|| {
            let edges: Vec<_> = (0..MILLION).map(|step| (step, (step + 1) % MILLION)).collect();
            let closed: Vec<_> = (0..MILLION).chain([0]).collect();
            assert!(cycles(MILLION, &edges) == [closed]);
        });
    }

    #[test]
    fn may_hold_many_cycles_in_a_row_each_found_without_walking_those_behind_it() {
        let pairs = (0..MILLION).step_by(2).flat_map(|a| [(a, a + 1), (a + 1, a), (a + 1, a + 2)]);
        let edges: Vec<_> = pairs.filter(|&(_, to)| to < MILLION).collect();
        let found = cycles(MILLION, &edges);
        assert!(found.into_iter().eq((0..MILLION).step_by(2).map(|a| [a, a + 1, a])));
    }
}
