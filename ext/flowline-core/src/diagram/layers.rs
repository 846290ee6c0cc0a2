//! Which layer each step stands in, and in which order: the first two steps of a layered drawing after
//! Sugiyama, Tagawa & Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).

use super::{Diagram, Table, TooLarge};
use std::collections::BTreeMap;

/// More steps, and layers that edges pass, are no drawing.
const MAX_ITEMS: usize = 5_000;

/// Steps without any edge fill the layers up to this many columns.
const WRAP: usize = 100;

/// The graph with every edge leading from one layer to the next: items after the steps are dummies, which
/// stand where an edge passes a layer.
#[derive(Default)]
pub(super) struct Layered {
    pub(super) up: Table<Vec<usize>>,
    pub(super) down: Table<Vec<usize>>,
    /// The items of each layer, from left to right.
    pub(super) layers: Table<Vec<usize>>,
    /// How wide each item is: a dummy has no width.
    pub(super) widths: Table<usize>,
}

impl Layered {
    /// `widths` are those of the boxes.
    pub(super) fn new(diagram: &Diagram, widths: Table<usize>) -> Result<Self, TooLarge> {
        let count = widths.rows.len();
        let mut graph = Self { up: Table::new(count), down: Table::new(count), widths, ..Self::default() };
        for edge in diagram.edges.iter().filter(|edge| edge.from.max(edge.to) < count) {
            graph.link(edge.from, edge.to);
        }
        let level = graph.levels();
        let mut taken: Table<usize> = Table::new(count + 1);
        let mut free = 0;
        graph.layers = Table::new(count);
        for loners in [false, true] {
            for index in 0..count {
                if (graph.up[index].len() + graph.down[index].len() == 0) == loners {
                    let width = graph.widths[index] + 2;
                    while loners && taken[free] > 0 && taken[free] + width > WRAP {
                        free += 1;
                    }
                    let layer = if loners { free } else { level[index] };
                    taken[layer] += width;
                    graph.layers[layer].push(index);
                }
            }
        }
        graph.layers.rows.retain(|layer| !layer.is_empty());
        graph.split_edges(&level)?;
        graph.make_room();
        graph.reduce_crossings();
        Ok(graph)
    }

    fn link(&mut self, from: usize, to: usize) {
        self.down[from].push(to);
        self.up[to].push(from);
    }

    /// Layers by longest path, then steps further down where that shortens their edges. A cycle has no
    /// layers (Flowline refuses one before it is drawn); its edges are left out.
    fn levels(&mut self) -> Table<usize> {
        let mut level: Table<usize> = Table::new(self.up.rows.len());
        let mut waiting: Table<usize> = self.up.rows.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..self.up.rows.len()).filter(|&index| waiting[index] == 0).collect();
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            for &to in &self.down[index] {
                level[to] = level[to].max(level[index] + 1);
                waiting[to] -= 1;
                if waiting[to] == 0 {
                    order.push(to);
                }
            }
        }
        for &index in order.iter().rev().filter(|&&index| self.down[index].len() > self.up[index].len()) {
            let lowest = self.down[index].iter().map(|&to| level[to]).min();
            level[index] = lowest.unwrap_or(0).saturating_sub(1);
        }
        for index in 0..level.rows.len() {
            self.down[index].retain(|&to| level[index] < level[to]);
            self.up[index].retain(|&from| level[from] < level[index]);
        }
        level
    }

    /// Cuts edges that pass layers. All edges of one step share the way.
    fn split_edges(&mut self, level: &Table<usize>) -> Result<(), TooLarge> {
        self.up.rows.iter_mut().for_each(Vec::clear);
        for from in 0..level.rows.len() {
            let first = self.up.rows.len();
            let at = |depth: usize| if depth == 0 { from } else { first + depth - 1 };
            for to in std::mem::take(&mut self.down[from]) {
                let depth = level[to] - level[from] - 1;
                for passed in self.up.rows.len() - first..depth {
                    self.layers[level[from] + passed + 1].push(first + passed);
                    self.up.rows.push(Vec::new());
                    self.down.rows.push(Vec::new());
                    self.widths.rows.push(0);
                    self.link(at(passed), first + passed);
                }
                self.link(at(depth), to);
            }
            if self.up.rows.len() > MAX_ITEMS {
                return Err(TooLarge);
            }
        }
        Ok(())
    }

    /// The lines from one layer to the next. Items that lead to the same ones are one net: each of the first
    /// leads to each of the others.
    pub(super) fn nets(&self, layer: usize) -> Vec<(Vec<usize>, Vec<usize>)> {
        let mut nets = BTreeMap::<_, Vec<usize>>::new();
        for &item in &self.layers[layer] {
            let mut downs = self.down[item].clone();
            downs.sort_unstable();
            nets.entry(downs).or_default().push(item);
        }
        nets.into_iter().filter(|(downs, _)| !downs.is_empty()).map(|(downs, ups)| (ups, downs)).collect()
    }

    /// Widens steps so that each net enters in a column of its own, next to columns where lines from other steps come
    /// down.
    fn make_room(&mut self) {
        let mut entries: Table<usize> = Table::new(self.up.rows.len());
        for (ups, downs) in (0..self.layers.rows.len()).flat_map(|layer| self.nets(layer)) {
            downs.iter().for_each(|&to| entries[to] += if ups.len() > 2 { 3 } else { 1 });
        }
        for (index, width) in self.widths.rows.iter_mut().enumerate().filter(|(_, width)| **width > 0) {
            // Three lines leave side by side.
            let exits = if self.down[index].len() > 2 { 7 } else { 5 };
            *width = (*width).max(2 * entries[index] + 3).max(exits);
        }
    }

    /// Begins with a depth-first order, which draws a tree without crossings and follows the definition;
    /// then sorts each layer by the barycentres of its neighbours, up and down.
    fn reduce_crossings(&mut self) {
        let mut keys: Table<f64> = Table::new(self.up.rows.len());
        let mut visited = 0.0;
        for root in 0..self.up.rows.len() {
            let mut stack = vec![root];
            while let Some(index) = stack.pop() {
                if keys[index] == 0.0 {
                    visited += 1.0;
                    keys[index] = visited;
                    stack.extend(self.down[index].iter().rev());
                }
            }
        }
        let mut position: Table<usize> = Table::new(self.up.rows.len());
        let count = self.layers.rows.len();
        for (round, step) in (0..9).flat_map(|round| (0..count).map(move |step| (round, step))) {
            let (ends, layer) =
                if round % 2 == 0 { (&self.up, step) } else { (&self.down, count - 1 - step) };
            for &index in self.layers[layer].iter().filter(|&&index| round > 0 && !ends[index].is_empty()) {
                let sum: usize = ends[index].iter().map(|&end| position[end]).sum();
                keys[index] = sum as f64 / ends[index].len() as f64;
            }
            self.layers[layer].sort_by(|&one, &other| keys[one].total_cmp(&keys[other]));
            for (at, &index) in self.layers[layer].iter().enumerate() {
                position[index] = at;
                keys[index] = at as f64;
            }
        }
    }
}
