//! The column of each item: where its neighbours are, by the median, in passes up and down the layers.

use super::Table;
use super::layers::Layered;

/// The centre of each item, from the left.
pub(super) fn columns(graph: &Layered) -> Table<usize> {
    let mut x: Table<i64> = Table::new(graph.up.rows.len());
    // In the first pass only the items above count. Later passes weigh both sides, so that chains become straight; the
    // side from which the pass comes counts most.
    for round in 0..5 {
        let count = graph.layers.rows.len();
        for step in 0..count {
            if round % 2 == 0 {
                arrange(graph, &mut x, step, (3, round.min(1)));
            } else {
                arrange(graph, &mut x, count - 1 - step, (1, 3));
            }
        }
    }
    let left = |(x, width): (&i64, &usize)| x - (width / 2) as i64;
    let first = x.rows.iter().zip(&graph.widths.rows).map(left).min().unwrap_or(0);
    x.rows.iter().map(|column| (column - first) as usize).collect()
}

/// Puts each item of a layer in the median of its neighbours. Items that want the same column share
/// it: this is isotonic regression by pooling adjacent violators (Ayer et al., 1955).
fn arrange(graph: &Layered, x: &mut Table<i64>, layer: usize, (above, below): (i64, i64)) {
    // The wanted columns, each with its weight, and the column that they share.
    let mut pools: Vec<(Vec<_>, i64)> = Vec::new();
    let mut offsets = Vec::new();
    let (mut right, mut before) = (0, 0);
    for &index in &graph.layers[layer] {
        let ups = graph.up[index].iter().map(|&up| (x[up], weight(graph, up, index) * above));
        let downs = graph.down[index].iter().map(|&down| (x[down], weight(graph, index, down) * below));
        let mut ends: Vec<_> = ups.chain(downs).collect();
        let weight = ends.iter().map(|(_, weight)| weight).sum::<i64>().max(1);
        let width = graph.widths[index] as i64;
        // A line may stand closer to the box before it. The column after it is its own: see `route::enter`.
        let offset = right + width / 2 - i64::from(width == 0 && before > 0);
        right = offset + (width - 1) / 2 + 3;
        before = width;
        offsets.push(offset);
        let wanted = if ends.is_empty() { x[index] } else { median(&mut ends) } - offset;
        let mut pool = (vec![(wanted, weight)], wanted);
        while let Some((mut members, place)) = pools.pop() {
            if place <= pool.1 {
                pools.push((members, place));
                break;
            }
            members.append(&mut pool.0);
            let middle = median(&mut members);
            pool = (members, middle);
        }
        pools.push(pool);
    }
    let places = pools.iter().flat_map(|(members, place)| members.iter().map(move |_| place));
    for ((&index, place), offset) in graph.layers[layer].iter().zip(places).zip(offsets) {
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

/// The weighted median of values with weights.
fn median(values: &mut [(i64, i64)]) -> i64 {
    values.sort_unstable();
    let mut twice: i64 = values.iter().map(|(_, weight)| weight).sum();
    let mut low = None;
    for &(value, weight) in &*values {
        twice -= 2 * weight;
        if twice < 0 {
            return (low.unwrap_or(value) + value).div_euclid(2);
        }
        if twice == 0 {
            low = Some(value);
        }
    }
    0
}
