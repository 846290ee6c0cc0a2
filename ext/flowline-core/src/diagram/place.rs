//! The column of each item: where its neighbours are, by the median, in passes up and down the layers.

use super::Table;
use super::layers::Layered;

/// The centre of each item, from the left.
pub(super) fn columns(graph: &Layered) -> Table<usize> {
    let mut x: Table<i64> = Table::new(graph.up.rows.len());
    let mut best = x.clone();
    let mut least = i64::MAX;
    // Free at first, so that everything finds its place; then each item minds both sides, so that chains
    // become straight, and most the side which the pass comes from.
    for (round, other_side) in [0, 0, 0, 0, 2, 2, 2, 2, 2, 2].into_iter().enumerate() {
        let count = graph.layers.rows.len();
        for step in 0..count {
            let (layer, weights) =
                if round % 2 == 0 { (step, (3, other_side)) } else { (count - 1 - step, (other_side, 3)) };
            arrange(graph, &mut x, &graph.layers[layer], weights);
        }
        let cost = cost(graph, &x);
        if cost < least {
            least = cost;
            best.clone_from(&x);
        }
    }
    let left = |index: usize| best[index] - (graph.widths[index] / 2) as i64;
    let first = (0..best.rows.len()).map(left).min().unwrap_or(0);
    best.rows.iter().map(|column| (column - first) as usize).collect()
}

/// Places that were wanted, each with its weight; the place they share; how many items share it.
type Pool = (Vec<(i64, i64)>, i64, usize);

/// Puts each item of a layer in the median of its neighbours. Where several want the same place they share
/// it: this is isotonic regression by pooling adjacent violators (Ayer et al., 1955).
fn arrange(graph: &Layered, x: &mut Table<i64>, layer: &[usize], (above, below): (i64, i64)) {
    let mut pools: Vec<Pool> = Vec::new();
    let mut offsets = Vec::new();
    let (mut right, mut before) = (0, 0);
    for &index in layer {
        let ups = graph.up[index].iter().map(|&up| (x[up], weight(graph, up, index) * above));
        let downs = graph.down[index].iter().map(|&down| (x[down], weight(graph, index, down) * below));
        let mut ends: Vec<_> = ups.chain(downs).filter(|(_, weight)| *weight > 0).collect();
        let weight = ends.iter().map(|(_, weight)| weight).sum::<i64>().max(1);
        let width = graph.widths[index] as i64;
        // A line may stand closer to the box before it. The column after it is its own: see `entries`.
        let offset = right + width / 2 - i64::from(width == 0 && before > 0);
        right = offset + (width - 1) / 2 + 3;
        before = width;
        offsets.push(offset);
        let wanted = if ends.is_empty() { x[index] } else { median(&mut ends) } - offset;
        let mut pool = (vec![(wanted, weight)], wanted, 1);
        while let Some((mut members, place, count)) = pools.pop() {
            if place <= pool.1 {
                pools.push((members, place, count));
                break;
            }
            members.append(&mut pool.0);
            let middle = median(&mut members);
            pool = (members, middle, pool.2 + count);
        }
        pools.push(pool);
    }
    let places = pools.into_iter().flat_map(|(_, place, count)| std::iter::repeat_n(place, count));
    for ((&index, place), offset) in layer.iter().zip(places).zip(offsets) {
        x[index] = place + offset;
    }
}

/// Long edges are straight first of all, then steps in a row.
fn weight(graph: &Layered, from: usize, to: usize) -> i64 {
    match (graph.widths[from].max(graph.widths[to]), graph.down[from].len() * graph.up[to].len()) {
        (0, _) => 16,
        (_, 1) => 4,
        _ => 1,
    }
}

fn cost(graph: &Layered, x: &Table<i64>) -> i64 {
    let edges =
        graph.down.rows.iter().enumerate().flat_map(|(from, ends)| ends.iter().map(move |&to| (from, to)));
    let bends = edges.map(|(from, to)| {
        let length = (x[from] - x[to]).abs();
        (length + i64::from(length > 0) * 4) * weight(graph, from, to)
    });
    bends.sum::<i64>() + x.rows.iter().max().unwrap_or(&0) - x.rows.iter().min().unwrap_or(&0)
}

/// The weighted median of values with weights.
fn median(values: &mut [(i64, i64)]) -> i64 {
    values.sort_unstable();
    let total: i64 = values.iter().map(|(_, weight)| weight).sum();
    let mut sum = 0;
    let mut low = None;
    for &(value, weight) in &*values {
        sum += 2 * weight;
        if sum > total {
            return (low.unwrap_or(value) + value).div_euclid(2);
        }
        if sum == total {
            low = Some(value);
        }
    }
    0
}
