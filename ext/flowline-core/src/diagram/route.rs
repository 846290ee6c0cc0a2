//! The lines between two layers, as in the channels of a circuit board: each net has a horizontal track.
//! No two nets share a column, so tracks may have any order (no vertical constraints, hence no cycles).

use super::Table;
use super::layers::Layered;
use std::collections::{BTreeMap, BTreeSet};

/// A net with coordinates: items, and the columns where its lines leave or enter them.
#[derive(Debug, Default)]
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
    fn priority(&self) -> (bool, i64) {
        let (up, down) = (mean(&self.ups), mean(&self.downs));
        if up <= down { (true, up) } else { (false, -up) }
    }
}

fn mean(ends: &[(usize, usize)]) -> i64 {
    (ends.iter().map(|(_, column)| 2 * column).sum::<usize>() / ends.len().max(1)) as i64
}

/// Routes the lines below a layer. A line that cannot enter a dummy straight from above moves it aside.
pub(super) fn wires(graph: &Layered, x: &mut Table<usize>, layer: usize) -> Vec<Wire> {
    let mut wires = split(graph, x, layer);
    enter(graph, x, &mut wires);
    let mut order: Vec<&mut Wire> = wires.iter_mut().filter(|wire| wire.span().0 < wire.span().1).collect();
    order.sort_by_key(|wire| std::cmp::Reverse(wire.priority()));
    let mut skyline: Table<usize> = Table::new(0);
    for wire in order {
        let (left, right) = wire.span();
        let len = skyline.rows.len().max(right + 2);
        skyline.rows.resize(len, 0);
        wire.track = 1 + (left.saturating_sub(1)..right + 2).map(|column| skyline[column]).max().unwrap_or(0);
        (left..=right).for_each(|column| skyline[column] = wire.track);
    }
    wires
}

/// The nets. One that comes from above and goes on below in the same column, and to both sides, would look
/// like a crossing: the lines to the left, straight on, and to the right part.
fn split(graph: &Layered, x: &Table<usize>, layer: usize) -> Vec<Wire> {
    let mut wires = Vec::new();
    let at = |items: &[usize]| items.iter().map(|&item| (item, x[item])).collect::<Vec<_>>();
    for (ups, downs) in graph.nets(layer) {
        let (ups, downs) = (at(&ups), at(&downs));
        let (hub, ends) = if ups.len() == 1 { (&ups, &downs) } else { (&downs, &ups) };
        let centre = hub.first().map_or(0, |hub| hub.1);
        let parts = [|a, b| a < b, |a, b| a == b, |a: usize, b: usize| a > b]
            .map(|side| ends.iter().copied().filter(|end| side(end.1, centre)).collect::<Vec<_>>());
        if hub.len() > 1 || parts.iter().any(Vec::is_empty) {
            wires.push(Wire { ups, downs, track: 0 });
            continue;
        }
        for (part, column) in parts.into_iter().zip((centre.saturating_sub(2)..).step_by(2)) {
            let exit =
                |&(item, at): &(usize, usize)| (item, if graph.widths[item] > 0 { column } else { at });
            let (ups, downs) =
                if ups.len() == 1 { (ups.iter().map(exit).collect(), part) } else { (part, downs.clone()) };
            wires.push(Wire { ups, downs, track: 0 });
        }
    }
    wires
}

/// Gives each net its own column above each item that it enters, in none where another net comes down.
/// There always is one: those that come down are at least two columns apart, and `Layered::make_room`
/// has left twice the room needed above a step, and `place` a second column for a dummy.
fn enter(graph: &Layered, x: &mut Table<usize>, wires: &mut [Wire]) {
    let exits: BTreeMap<usize, usize> =
        wires.iter().flat_map(|wire| &wire.ups).map(|&(item, column)| (column, item)).collect();
    let mut arrivals: BTreeMap<usize, Vec<(i64, usize)>> = BTreeMap::new();
    for (index, wire) in wires.iter().enumerate() {
        for (item, _) in &wire.downs {
            arrivals.entry(*item).or_default().push((mean(&wire.ups), index));
        }
    }
    for (item, mut nets) in arrivals {
        nets.sort_unstable();
        let (width, centre) = (graph.widths[item], x[item]);
        let room =
            if width > 0 { centre - width / 2 + 1..centre + (width - 1) / 2 } else { centre..centre + 2 };
        let mut entered = BTreeSet::new();
        let first = centre.saturating_sub(nets.len() - 1);
        for ((_, index), wanted) in nets.into_iter().zip((first..).step_by(2)) {
            let Some(wire) = wires.get_mut(index) else { continue };
            let (left, right) = wire.span();
            let is_free = |column: &usize| {
                let own = exits.get(column).is_none_or(|from| wire.ups.iter().any(|(up, _)| up == from));
                let inside = left < *column && *column < right && exits.contains_key(column);
                own && !inside && !entered.contains(column)
            };
            let column = room.clone().filter(is_free).min_by_key(|column| column.abs_diff(wanted));
            let column = column.unwrap_or(centre);
            entered.insert(column);
            if width == 0 {
                x[item] = column;
            }
            wire.downs.iter_mut().filter(|(down, _)| *down == item).for_each(|(_, at)| *at = column);
        }
    }
}
