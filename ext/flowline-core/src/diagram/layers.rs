//! The first step of a layered drawing: which layer each step stands in, and what else takes room there.

use super::layout::{TooLarge, check_size};
use super::{Diagram, Table};
use std::collections::HashSet;

/// More than this is no drawing, and crossing reduction would take seconds.
const MAX_ITEMS: usize = 400_000;

/// Steps without any edge fill the layers up to this many columns.
const WRAP: i64 = 100;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Kind {
    /// A step.
    #[default]
    Box,
    /// Where an edge passes a layer: every edge then leads from one layer to the next.
    Dummy,
    /// Where a group's frame passes a layer.
    Left,
    Right,
}

/// Something that takes room in a layer. It reaches `left` and `right` of its own column.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) layer: usize,
    pub(super) group: usize,
    pub(super) left: i64,
    pub(super) right: i64,
}

/// A group, or, as number 0, the whole drawing: the group at `i` in the diagram is `i + 1` here.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Span {
    pub(super) parent: usize,
    /// Its first layer, and the layer after its last.
    pub(super) first: usize,
    pub(super) end: usize,
    /// The item of its left frame in the first layer; the right one and the next layers' follow.
    pub(super) frame: usize,
}

/// The graph with every edge leading from one layer to the next.
#[derive(Debug, Default)]
pub(super) struct Layered {
    /// The steps come first, with the same index as in the diagram.
    pub(super) items: Table<Item>,
    pub(super) up: Table<Vec<usize>>,
    pub(super) down: Table<Vec<usize>>,
    /// The items of each layer, from left to right.
    pub(super) layers: Table<Vec<usize>>,
    pub(super) groups: Table<Span>,
}

impl Layered {
    /// `sizes` are the widths and heights of the boxes.
    pub(super) fn new(diagram: &Diagram, sizes: &[(i64, i64)]) -> Result<Self, TooLarge> {
        let mut graph = Self::default();
        for (node, (width, _)) in diagram.nodes.iter().zip(sizes) {
            let group = diagram.group_of(node).map_or(0, |group| group + 1);
            graph.add(Item { group, left: width / 2, right: (width - 1) / 2, ..Item::default() });
        }
        graph.groups.push(Span::default());
        for group in 0..diagram.groups.len() {
            let parent = diagram.parent_of(group).map_or(0, |parent| parent + 1);
            graph.groups.push(Span { parent, first: usize::MAX, ..Span::default() });
        }
        let mut seen = HashSet::new();
        for edge in &diagram.edges {
            let exists = edge.from.max(edge.to) < diagram.nodes.len();
            if exists && edge.from != edge.to && seen.insert((edge.from, edge.to)) {
                graph.link(edge.from, edge.to);
            }
        }
        let level = graph.levels();
        for (item, level) in graph.items.iter_mut().zip(level.iter()) {
            item.layer = *level;
        }
        graph.place_loners();
        let (columns, rows) = graph.least_size(sizes);
        check_size(columns, rows)?;
        graph.split_edges().and_then(|()| graph.add_frames()).ok_or(TooLarge { columns, rows })?;
        for index in 0..graph.items.len() {
            graph.layers[graph.items[index].layer].push(index);
        }
        graph.make_room();
        Ok(graph)
    }

    fn add(&mut self, item: Item) -> usize {
        self.up.push(Vec::new());
        self.down.push(Vec::new());
        self.items.push(item)
    }

    fn link(&mut self, from: usize, to: usize) {
        self.down[from].push(to);
        self.up[to].push(from);
    }

    /// Layers by longest path, then each step as far down as shortens its edges. A cycle has no layers
    /// (Flowline refuses one before it is drawn); its edges are left out.
    fn levels(&mut self) -> Table<usize> {
        let mut level: Table<usize> = Table::new(self.items.len());
        let mut waiting: Table<usize> = self.up.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..self.items.len()).filter(|&index| waiting[index] == 0).collect();
        // A tree that feeds but one step hangs right above it.
        let mut hangs = Table::filled(true, self.items.len());
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            for &to in &self.down[index] {
                level[to] = level[to].max(level[index] + 1);
                hangs[to] &= hangs[index] && self.down[index].len() == 1;
                waiting[to] -= 1;
                if waiting[to] == 0 {
                    order.push(to);
                }
            }
        }
        for &index in order.iter().rev() {
            if hangs[index] || self.down[index].len() > self.up[index].len() {
                let highest = self.down[index].iter().map(|&to| level[to]).min();
                level[index] = highest.map_or(level[index], |highest| highest.saturating_sub(1));
            }
        }
        for index in 0..self.items.len() {
            self.down[index].retain(|&to| level[index] < level[to]);
            self.up[index].retain(|&from| level[from] < level[index]);
        }
        level
    }

    /// Finds the layers of each group. Steps without edges are free to go where there is room.
    fn place_loners(&mut self) {
        let mut widths: Table<i64> =
            Table::new(self.items.iter().map(|item| item.layer + 1).max().unwrap_or(0));
        let is_loner: Table<bool> =
            self.up.iter().zip(self.down.iter()).map(|(up, down)| up.len() + down.len() == 0).collect();
        for loners in [false, true] {
            let mut from: Table<usize> = self
                .groups
                .iter()
                .map(|span| if span.first == usize::MAX { 0 } else { span.first })
                .collect();
            for (item, _) in self.items.iter_mut().zip(is_loner.iter()).filter(|(_, loner)| **loner == loners)
            {
                let width = item.left + item.right + 3;
                if loners {
                    while widths[from[item.group]] > 0 && widths[from[item.group]] + width > WRAP {
                        from[item.group] += 1;
                    }
                    item.layer = from[item.group];
                    widths.grow(item.layer + 1);
                }
                widths[item.layer] += width;
                let span = &mut self.groups[item.group];
                *span =
                    Span { first: span.first.min(item.layer), end: span.end.max(item.layer + 1), ..*span };
            }
        }
        for index in (1..self.groups.len()).rev() {
            let span = self.groups[index];
            let outer = &mut self.groups[span.parent];
            *outer = Span { first: outer.first.min(span.first), end: outer.end.max(span.end), ..*outer };
        }
        self.layers.grow(widths.len());
    }

    /// The least columns and rows the drawing will have.
    fn least_size(&self, sizes: &[(i64, i64)]) -> (i64, i64) {
        let mut rows: Table<i64> = Table::new(self.layers.len());
        // By how much each layer is wider than the one before.
        let mut wider: Table<i64> = Table::new(self.layers.len() + 1);
        for (index, (item, (width, height))) in self.items.iter().zip(sizes).enumerate() {
            rows[item.layer] = rows[item.layer].max(*height);
            let last =
                self.down[index].iter().map(|&to| self.items[to].layer).max().unwrap_or(item.layer + 1);
            for (layer, change) in [(item.layer, width + 2), (item.layer + 1, -width), (last, -2)] {
                wider[layer] += change;
            }
        }
        let widths = wider.iter().scan(0, |width, change| {
            *width += change;
            Some(*width)
        });
        // The first of the gaps is not drawn.
        (widths.max().unwrap_or(0) - 2, rows.iter().sum())
    }

    /// Cuts edges that pass layers. Those of one step share the way for as long as they stay in the
    /// same group: the innermost that holds both ends.
    fn split_edges(&mut self) -> Option<()> {
        self.up.iter_mut().for_each(Vec::clear);
        for from in 0..self.items.len() {
            // Dummies come after: they are linked as they are made.
            let mut trunks: Vec<(usize, Vec<usize>)> = Vec::new();
            for to in std::mem::take(&mut self.down[from]) {
                let (start, end) = (self.items[from], self.items[to]);
                if start.layer + 1 == end.layer {
                    self.link(from, to);
                    continue;
                }
                let group = self.common_group(start.group, end.group);
                let known = trunks.iter().position(|(of, _)| *of == group);
                let mut trunk = known.map(|at| trunks.swap_remove(at).1).unwrap_or_default();
                while start.layer + trunk.len() + 1 < end.layer {
                    let layer = start.layer + trunk.len() + 1;
                    let dummy = self.add(Item { kind: Kind::Dummy, layer, group, ..Item::default() });
                    self.link(trunk.last().copied().unwrap_or(from), dummy);
                    trunk.push(dummy);
                    if dummy > MAX_ITEMS {
                        return None;
                    }
                }
                let last = trunk.get(end.layer - start.layer - 2).copied().unwrap_or(from);
                self.link(last, to);
                trunks.push((group, trunk));
            }
        }
        Some(())
    }

    /// The item above that belongs in the same column: a frame, a long edge, or steps in a row.
    pub(super) fn above(&self, index: usize) -> Option<usize> {
        let item = self.items[index];
        match (item.kind, self.up[index].as_slice()) {
            (Kind::Left | Kind::Right, _) => {
                (item.layer > self.groups[item.group].first).then(|| index.wrapping_sub(2))
            }
            (kind, &[up]) if self.items[up].kind == kind => {
                (kind == Kind::Dummy || self.down[up].len() == 1).then_some(up)
            }
            _ => None,
        }
    }

    fn common_group(&self, mut one: usize, mut other: usize) -> usize {
        // A parent has the smaller number.
        while one != other {
            if one > other {
                one = self.groups[one].parent;
            } else {
                other = self.groups[other].parent;
            }
        }
        one
    }

    fn add_frames(&mut self) -> Option<()> {
        for index in 1..self.groups.len() {
            let span = self.groups[index];
            self.groups[index].frame = self.items.len();
            for layer in span.first..span.end {
                for kind in [Kind::Left, Kind::Right] {
                    self.add(Item { kind, layer, group: index, ..Item::default() });
                }
                if self.items.len() > MAX_ITEMS {
                    return None;
                }
            }
        }
        Some(())
    }
}
