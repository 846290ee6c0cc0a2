//! Which layer each step stands in: the first step of a layered drawing after Sugiyama, Tagawa & Toda,
//! "Methods for Visual Understanding of Hierarchical System Structures" (1981). `order` is the second, `place` the third.

use super::{Table, TooLarge, levels, order};
use std::collections::{BTreeMap, HashMap};

/// More steps, and layers that edges pass, are no drawing.
const MAX_ITEMS: usize = 5_000;

/// An edge between two items. Edges of one way share their line past the layers between them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(super) struct Link {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) way: usize,
}

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
    /// The items that each link passes, from its first to its last. Empty for a link of a cycle.
    pub(super) routes: Vec<Vec<usize>>,
}

impl Layered {
    /// `widths` are those of the boxes. Boxes without any link fill the layers up to `wrap` columns.
    pub(super) fn new(widths: Table<usize>, links: &[Link], wrap: usize) -> Result<Self, TooLarge> {
        let count = widths.rows.len();
        let mut graph = Self { up: Table::new(count), down: Table::new(count), widths, ..Self::default() };
        for link in links.iter().filter(|link| link.from.max(link.to) < count) {
            graph.link(link.from, link.to);
        }
        let level = graph.levels();
        let mut taken: Table<usize> = Table::new(count + 1);
        let mut free = 0;
        graph.layers = Table::new(count);
        for loners in [false, true] {
            for index in 0..count {
                if (graph.up[index].len() + graph.down[index].len() == 0) == loners {
                    let width = graph.widths[index] + 2;
                    while loners && taken[free] > 0 && taken[free] + width > wrap {
                        free += 1;
                    }
                    let layer = if loners { free } else { level[index] };
                    taken[layer] += width;
                    graph.layers[layer].push(index);
                }
            }
        }
        graph.layers.rows.retain(|layer| !layer.is_empty());
        graph.split_edges(&level, links)?;
        Ok(graph)
    }

    /// Sorts each layer so that few lines cross.
    pub(super) fn sort(mut self) -> Self {
        order::sort(&mut self);
        self
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
        levels::shorten(&mut level, &self.down);
        level
    }

    /// Cuts edges that pass layers.
    fn split_edges(&mut self, level: &Table<usize>, links: &[Link]) -> Result<(), TooLarge> {
        self.up.rows.iter_mut().for_each(Vec::clear);
        self.down.rows.iter_mut().for_each(Vec::clear);
        self.routes = vec![Vec::new(); links.len()];
        let mut sorted: Vec<_> =
            links.iter().zip(0..).filter(|(link, _)| level[link.from] < level[link.to]).collect();
        sorted.sort_by_key(|(link, _)| link.from);
        let mut ways: HashMap<usize, Vec<usize>> = HashMap::new();
        for (link, index) in sorted {
            let passed = level[link.to] - level[link.from];
            let way = ways.entry(link.way).or_insert_with(|| vec![link.from]);
            while way.len() < passed {
                let (last, dummy) = (way.last().copied().unwrap_or(link.from), self.up.rows.len());
                self.layers[level[link.from] + way.len()].push(dummy);
                self.up.rows.push(Vec::new());
                self.down.rows.push(Vec::new());
                self.widths.rows.push(0);
                self.link(last, dummy);
                way.push(dummy);
            }
            if self.up.rows.len() > MAX_ITEMS {
                return Err(TooLarge);
            }
            let route: Vec<usize> = way.iter().copied().take(passed).chain([link.to]).collect();
            self.link(way.get(passed - 1).copied().unwrap_or(link.from), link.to);
            if let Some(slot) = self.routes.get_mut(index) {
                *slot = route;
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
    pub(super) fn make_room(&mut self) {
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
}
