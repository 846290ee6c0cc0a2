//! Which layer each step stands in, and in which order: the first two steps of a layered drawing after
//! Sugiyama, Tagawa & Toda, "Methods for Visual Understanding of Hierarchical System Structures" (1981).

use super::{Diagram, Table, TooLarge};
use std::collections::{BTreeMap, HashSet};

/// More steps, and layers that edges pass, are no drawing.
const MAX_ITEMS: usize = 20_000;

/// Steps without any edge fill the layers up to this many columns.
const WRAP: usize = 100;

/// Lines that belong together, as items: each of the first leads to each of the others.
pub(super) type Net = (Vec<usize>, Vec<usize>);

/// The graph with every edge leading from one layer to the next: items after the steps are dummies, which
/// stand where an edge passes a layer.
#[derive(Debug, Default)]
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
        let mut seen = HashSet::new();
        for edge in &diagram.edges {
            if edge.from.max(edge.to) < count && seen.insert((edge.from, edge.to)) {
                graph.link(edge.from, edge.to);
            }
        }
        let level = graph.levels();
        let mut taken: Table<usize> = Table::new(count + 1);
        let mut free = 0;
        graph.layers = Table::new(level.rows.iter().max().map_or(0, |level| level + 1));
        for loners in [false, true] {
            for index in 0..count {
                if (graph.up[index].len() + graph.down[index].len() == 0) == loners {
                    let width = graph.widths[index] + 2;
                    while loners && taken[free] > 0 && taken[free] + width > WRAP {
                        free += 1;
                    }
                    let layer = if loners { free } else { level[index] };
                    taken[layer] += width;
                    if layer == graph.layers.rows.len() {
                        graph.layers.rows.push(Vec::new());
                    }
                    graph.layers[layer].push(index);
                }
            }
        }
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
            level[index] = lowest.map_or(0, |lowest| lowest.saturating_sub(1));
        }
        for index in 0..level.rows.len() {
            self.down[index].retain(|&to| level[index] < level[to]);
            self.up[index].retain(|&from| level[from] < level[index]);
        }
        level
    }

    /// Cuts edges that pass layers. Those of one step share the way.
    fn split_edges(&mut self, level: &Table<usize>) -> Result<(), TooLarge> {
        self.up.rows.iter_mut().for_each(Vec::clear);
        for from in 0..level.rows.len() {
            let mut trunk = vec![from];
            for to in std::mem::take(&mut self.down[from]) {
                while level[from] + trunk.len() < level[to] {
                    let dummy = self.up.rows.len();
                    if dummy > MAX_ITEMS {
                        return Err(TooLarge);
                    }
                    self.layers[level[from] + trunk.len()].push(dummy);
                    self.up.rows.push(Vec::new());
                    self.down.rows.push(Vec::new());
                    self.widths.rows.push(0);
                    self.link(trunk.last().copied().unwrap_or(from), dummy);
                    trunk.push(dummy);
                }
                self.link(trunk.get(level[to] - level[from] - 1).copied().unwrap_or(from), to);
            }
        }
        if self.up.rows.len() > MAX_ITEMS { Err(TooLarge) } else { Ok(()) }
    }

    /// The lines from one layer to the next. Items that lead to the same ones are one net.
    pub(super) fn nets(&self, layer: usize) -> Vec<Net> {
        let mut nets = BTreeMap::<_, Vec<usize>>::new();
        for &item in &self.layers[layer] {
            let mut downs = self.down[item].clone();
            downs.sort_unstable();
            nets.entry(downs).or_default().push(item);
        }
        nets.into_iter().filter(|(downs, _)| !downs.is_empty()).map(|(downs, ups)| (ups, downs)).collect()
    }

    /// Each net enters a step in a column of its own, beside columns that lines from elsewhere come down.
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
    /// then sorts each layer by the barycentres of its neighbours, up and down, and keeps the best.
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
        let mut layers = self.layers.clone();
        let mut position: Table<usize> = Table::new(self.up.rows.len());
        let mut fewest = usize::MAX;
        let edges = |layer: &Vec<usize>| layer.iter().map(|&index| self.down[index].len()).sum::<usize>();
        let work: usize = layers.rows.iter().map(|layer| edges(layer).pow(2)).sum();
        for round in 0..=(100_000_000 / work.max(1)).min(24) {
            let count = layers.rows.len();
            for step in 0..count {
                let layer = if round % 2 == 0 { step } else { count - 1 - step };
                for &index in layers[layer].iter().filter(|_| round > 0) {
                    let ends = if round % 2 == 0 { &self.up[index] } else { &self.down[index] };
                    let sum: usize = ends.iter().map(|&end| position[end]).sum();
                    keys[index] =
                        if ends.is_empty() { position[index] as f64 } else { sum as f64 / ends.len() as f64 };
                }
                layers[layer].sort_by(|&one, &other| keys[one].total_cmp(&keys[other]));
                layers[layer].iter().enumerate().for_each(|(at, &index)| position[index] = at);
            }
            let crossings = layers.rows.iter().map(|layer| self.crossings(layer, &position)).sum();
            if crossings < fewest {
                fewest = crossings;
                self.layers.clone_from(&layers);
            }
        }
    }

    fn crossings(&self, layer: &[usize], position: &Table<usize>) -> usize {
        let mut passed: Vec<usize> = Vec::new();
        let mut crossings = 0;
        for &index in layer {
            let ends = || self.down[index].iter().map(|&to| position[to]);
            crossings += ends().map(|end| passed.iter().filter(|&&other| other > end).count()).sum::<usize>();
            passed.extend(ends());
        }
        crossings
    }
}
