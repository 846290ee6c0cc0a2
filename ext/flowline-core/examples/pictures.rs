//! Draws graphs in the shapes of real workflows and random ones, and measures how long that takes.
//!
//! Prints a line of JSON for each: its shape, the median of the milliseconds of this process's time on a processor for the
//! picture with folds and for the one with every step, the size of the folded picture, and the geometry of the whole one.
//! `benchmarks/pictures.rb` compares the crossings of lines with those of Graphviz.

use std::hint::black_box;

use flowline_core::diagram::{Diagram, Edge, Node};
use nix::sys::resource::{UsageWho, getrusage};

const ROUNDS: usize = 5;

fn main() {
    for (shape, count, edges) in shapes() {
        let diagram = diagram(count, &edges);
        let Ok(whole) = diagram.json(false) else { continue };
        let times =
            [median(|| drop(black_box(diagram.svg()))), median(|| drop(black_box(diagram.whole_svg())))];
        let [folded, unfolded] = times;
        let svg = diagram.svg();
        let size = svg.split('"').nth(5).unwrap_or_default();
        let boxes = svg.matches("class=\"step").count();
        println!(
            "{{\"shape\":\"{shape}\",\"folded_ms\":{folded:.3},\"whole_ms\":{unfolded:.3},\"size\":\"{size}\",\
             \"boxes\":{boxes},\"picture\":{}}}",
            whole.replace('\n', "")
        );
    }
}

type Edges = Vec<(usize, usize)>;

fn shapes() -> Vec<(String, usize, Edges)> {
    let mut shapes = vec![
        ("chain".to_owned(), 100, (1..100).map(|to| (to - 1, to)).collect()),
        (
            "diamonds".to_owned(),
            121,
            (0..40)
                .flat_map(|at| {
                    [(0, 1), (0, 2), (1, 3), (2, 3)].map(|(from, to)| (3 * at + from, 3 * at + to))
                })
                .collect(),
        ),
        (
            "fan-out and fan-in".to_owned(),
            202,
            (1..=200).flat_map(|middle| [(0, middle), (middle, 201)]).collect(),
        ),
    ];
    for width in [6, 20, 60] {
        shapes.push(montage(width));
    }
    shapes.push(fork_joins(6, 8, 3));
    shapes.push(pipelines(12, 8));
    shapes.push(tree(255));
    for seed in 1..=5 {
        shapes.push(random(300, 40, 2, seed));
    }
    shapes.push(random(300, 12, 3, 6));
    shapes.push(random(300, 300, 2, 7));
    shapes.push(random(499, 40, 2, 8));
    shapes.push(random(60, 20, 3, 9));
    shapes.push(random(30, 15, 2, 10));
    shapes
}

/// The mosaics of sky images by which schedulers of workflows are compared: images are projected, differences of
/// neighbours fitted, a model computed, each image corrected by it, and all of them added.
fn montage(width: usize) -> (String, usize, Edges) {
    let pairs: Edges = (0..width)
        .flat_map(|one| (1..=3).map(move |by| (one, one + by)))
        .filter(|pair| pair.1 < width)
        .collect();
    let concat = width + pairs.len();
    let model = concat + 1;
    let background = model + 1;
    let table = background + width;
    let mut edges = vec![(concat, model), (table, table + 1), (table + 1, table + 2), (table + 2, table + 3)];
    for (index, &(one, other)) in pairs.iter().enumerate() {
        edges.extend([(one, width + index), (other, width + index), (width + index, concat)]);
    }
    for image in 0..width {
        edges.extend([(model, background + image), (image, background + image), (background + image, table)]);
    }
    (format!("montage of {width}"), table + 4, edges)
}

fn fork_joins(times: usize, branches: usize, length: usize) -> (String, usize, Edges) {
    let mut edges = Vec::new();
    let mut fork = 0;
    for _ in 0..times {
        let join = fork + branches * length + 1;
        for branch in 0..branches {
            let first = fork + 1 + branch * length;
            edges.push((fork, first));
            edges.extend((first + 1..first + length).map(|to| (to - 1, to)));
            edges.push((first + length - 1, join));
        }
        fork = join;
    }
    (format!("{times} fork-joins of {branches}"), fork + 1, edges)
}

/// Pipelines side by side that read one configuration, with a report of all that also reads what some of them had first.
fn pipelines(count: usize, length: usize) -> (String, usize, Edges) {
    let last = count * length + 1;
    let mut edges = Vec::new();
    for pipeline in 0..count {
        let first = 1 + pipeline * length;
        edges.extend([(0, first), (0, first + length / 2), (first + length - 1, last)]);
        edges.extend((first + 1..first + length).map(|to| (to - 1, to)));
        edges.extend((pipeline % 3 == 0).then_some((first, last)));
    }
    (format!("{count} pipelines of {length}"), last + 1, edges)
}

fn tree(count: usize) -> (String, usize, Edges) {
    ("binary tree".to_owned(), count, (1..count).map(|to| ((to - 1) / 2, to)).collect())
}

/// Each step depends on up to `most` of the `reach` before it.
fn random(count: usize, reach: usize, most: usize, seed: u64) -> (String, usize, Edges) {
    let mut state = seed;
    // splitmix64 (Steele, Lea & Flood, 2014).
    let mut below = |end: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % end as u64) as usize
    };
    let mut edges = Vec::new();
    for to in 1..count {
        for _ in 0..=below(most) {
            edges.push((to - 1 - below(reach.min(to)), to));
        }
    }
    edges.sort_unstable_by_key(|&(from, to)| (to, from));
    edges.dedup();
    (format!("random of {count}, reach {reach}, seed {seed}"), count, edges)
}

fn diagram(count: usize, edges: &[(usize, usize)]) -> Diagram {
    let node = |index: usize| {
        let name = format!("step_{index}");
        Node { label: name.clone(), name, ..Node::default() }
    };
    let mut edges: Vec<Edge> = edges.iter().map(|&(from, to)| Edge { from, to, label: None }).collect();
    edges.sort_by_key(|edge| edge.to);
    Diagram { nodes: (0..count).map(node).collect(), edges, groups: Vec::new() }
}

fn median(work: impl Fn()) -> f64 {
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = clock();
            work();
            clock() - start
        })
        .collect();
    times.sort_unstable_by(f64::total_cmp);
    times.get(ROUNDS / 2).copied().unwrap_or_default()
}

/// Milliseconds on a processor so far, of this process and of the system for it: other programs do not count.
fn clock() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF);
    usage.map_or(0.0, |usage| {
        [usage.user_time(), usage.system_time()]
            .iter()
            .map(|time| time.tv_sec() as f64 * 1e3 + time.tv_usec() as f64 / 1e3)
            .sum()
    })
}
