//! The lines between two layers, as in the channels of a circuit board: each net has a horizontal track.
//! No two nets share a column, so tracks may have any order (no vertical constraints, hence no cycles).

use super::Table;
use super::layers::Layered;
use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

/// A net with coordinates: items, and the columns where its lines leave or enter them.
#[derive(Default)]
pub(super) struct Wire {
    pub(super) ups: Vec<(usize, usize)>,
    pub(super) downs: Vec<(usize, usize)>,
    /// The row of the horizontal line, from 1; 0 without one.
    pub(super) track: usize,
}

impl Wire {
    pub(super) fn span(&self) -> (usize, usize) {
        let columns = || self.ups.iter().chain(&self.downs).map(|(_, column)| *column);
        (columns().min().unwrap_or(0), columns().max().unwrap_or(0))
    }

    /// The greatest goes first, so on top. That makes few crossings: of the nets to the right the
    /// rightmost goes first, of the others the leftmost.
    fn priority(&self) -> (bool, usize) {
        let (up, down) = (mean(&self.ups), mean(&self.downs));
        if up <= down { (true, up) } else { (false, !up) }
    }
}

fn mean(ends: &[(usize, usize)]) -> usize {
    ends.iter().map(|(_, column)| 2 * column).sum::<usize>() / ends.len().max(1)
}

/// Routes the lines below a layer. A line that cannot enter a dummy straight from above moves it aside.
pub(super) fn wires(graph: &Layered, x: &mut Table<usize>, layer: usize) -> Vec<Wire> {
    let mut wires = split(graph, x, layer);
    enter(graph, x, &mut wires);
    wires.rows.sort_by_key(|wire| Reverse(wire.priority()));
    let mut skyline: Table<usize> = Table::new(0);
    for wire in &mut wires.rows {
        let (left, right) = wire.span();
        if left < right {
            let len = skyline.rows.len().max(right + 2);
            skyline.rows.resize(len, 0);
            wire.track =
                1 + (left.saturating_sub(1)..right + 2).map(|column| skyline[column]).max().unwrap_or(0);
            (left..=right).for_each(|column| skyline[column] = wire.track);
        }
    }
    wires.rows
}

/// The nets. One that comes from above and goes on below in the same column, and to both sides, would look
/// like a crossing: the lines to the left, straight on, and to the right part.
fn split(graph: &Layered, x: &Table<usize>, layer: usize) -> Table<Wire> {
    let mut wires = Vec::new();
    for (ups, downs) in graph.nets(layer) {
        let fans_out = ups.len() == 1;
        let [ups, downs] =
            [ups, downs].map(|items| items.iter().map(|&item| (item, x[item])).collect::<Vec<_>>());
        let (hub, ends) = if fans_out { (ups, downs) } else { (downs, ups) };
        let sides = [Ordering::Less, Ordering::Equal, Ordering::Greater];
        let side = |end: &(usize, usize)| end.1.cmp(&hub.first().map_or(0, |hub| hub.1));
        let parts = sides.map(|of| ends.iter().copied().filter(|end| side(end) == of).collect::<Vec<_>>());
        let parts = if hub.len() > 1 || parts.iter().any(Vec::is_empty) {
            vec![(2, ends)]
        } else {
            (0..).step_by(2).zip(parts).collect()
        };
        for (shift, part) in parts {
            let shifted = |&(item, at)| (item, if graph.widths[item] > 0 { at + shift - 2 } else { at });
            let hub = hub.iter().map(shifted).collect();
            let (ups, downs) = if fans_out { (hub, part) } else { (part, hub) };
            wires.push(Wire { ups, downs, track: 0 });
        }
    }
    wires.into_iter().collect()
}

/// Gives each net its own column above each item that it enters, in none where another net comes down.
/// Nets that come down are at least two columns apart, so where one is in the way the next column is free:
/// `Layered::make_room` and `place` guarantee this.
fn enter(graph: &Layered, x: &mut Table<usize>, wires: &mut Table<Wire>) {
    let exits: BTreeMap<usize, usize> =
        wires.rows.iter().flat_map(|wire| &wire.ups).map(|&(item, column)| (column, item)).collect();
    let mut arrivals: BTreeMap<usize, Vec<_>> = BTreeMap::new();
    for (index, wire) in wires.rows.iter().enumerate() {
        for (item, _) in &wire.downs {
            arrivals.entry(*item).or_default().push((mean(&wire.ups), index));
        }
    }
    for (item, mut nets) in arrivals {
        nets.sort_unstable();
        let first = x[item].saturating_sub(nets.len() - 1);
        for ((_, index), wanted) in nets.into_iter().zip((first..).step_by(2)) {
            let wire = &mut wires[index];
            let (left, right) = wire.span();
            let inside = left < wanted && wanted < right;
            let is_own = |from| !inside && wire.ups.iter().any(|(up, _)| up == from);
            let column = wanted + usize::from(!exits.get(&wanted).is_none_or(is_own));
            if graph.widths[item] == 0 {
                x[item] = column;
            }
            wire.downs.iter_mut().filter(|(down, _)| *down == item).for_each(|(_, at)| *at = column);
        }
    }
}
