//! The column of each item: steps centred over their neighbours, long edges and frames straight.
//!
//! Whatever must be straight is one block with one column. Neighbours in a layer keep a distance, so the
//! columns are the solution of difference constraints between blocks, which no crossing of two blocks
//! makes cyclic (as in Brandes & Köpf, "Fast and Simple Horizontal Coordinate Assignment", 2001).
//! Sweeps pull each block to the median of its neighbours. Pushing apart from the left and from the
//! right and taking the middle, as these authors do, gives a solution near what is wanted.

use super::Table;
use super::layers::{Item, Kind, Layered};
use super::layout::Title;

/// How many items to visit at most, over all sweeps.
const WORK: usize = 4_000_000;

/// No column is that far out.
const FAR: i64 = i64::MAX / 4;

/// `tail` stands at least `gap` columns left of `head`.
#[derive(Debug, Clone, Copy)]
struct Constraint {
    tail: usize,
    head: usize,
    gap: i64,
}

/// The column of each item. Besides the items, the titles take room.
pub(super) fn columns(graph: &Layered, titles: &[Title]) -> Table<i64> {
    let mut place = Place::new(graph, titles);
    place.project();
    let rounds = (WORK / graph.items.len().max(1)).clamp(2, 16);
    let (mut best, mut least) = (place.x.clone(), place.cost());
    for round in 0..rounds {
        place.sweep(round % 2 == 0);
        place.hug(Kind::Right, false);
        place.hug(Kind::Left, true);
        place.hug(Kind::Right, true);
        place.project();
        place.settle();
        let cost = place.cost();
        if cost < least {
            (best, least) = (place.x.clone(), cost);
        }
    }
    place.x = best;
    place.settle();
    place.hug(Kind::Left, true);
    place.hug(Kind::Right, true);
    let column = |index: usize| place.x[place.block[index]];
    let leftmost =
        (0..graph.items.len()).map(|index| column(index) - graph.items[index].left).min().unwrap_or(0);
    (0..graph.items.len()).map(|index| column(index) - leftmost).collect()
}

/// The columns between two neighbours: less around lines than between boxes.
fn gap(one: Item, other: Item) -> i64 {
    let tight =
        matches!(one.kind, Kind::Dummy | Kind::Left) || matches!(other.kind, Kind::Dummy | Kind::Right);
    one.right + other.left + if tight { 2 } else { 3 }
}

struct Place<'a> {
    graph: &'a Layered,
    /// The block of each item, and the items of each block.
    block: Table<usize>,
    items: Table<Vec<usize>>,
    /// The column of each block.
    x: Table<i64>,
    /// From left to right.
    constraints: Vec<Constraint>,
    /// The constraints of each block: of those left of it, and of those right of it.
    before: Table<Vec<Constraint>>,
    after: Table<Vec<Constraint>>,
}

impl<'a> Place<'a> {
    fn new(graph: &'a Layered, titles: &[Title]) -> Self {
        let (block, items) = blocks(graph);
        let count = items.len();
        let mut constraints = Vec::new();
        for &Title { frame, entered, room } in titles {
            constraints.push(Constraint { tail: block[frame], head: block[frame + 1], gap: room + 1 });
            if let Some(item) = entered {
                // Several lines may arrive, side by side around the middle.
                let lines = i64::try_from(graph.up[item].len()).unwrap_or(FAR);
                let gap = room + (lines - 1).min(graph.items[item].left - 1);
                constraints.push(Constraint { tail: block[frame], head: block[item], gap });
            }
        }
        for layer in graph.layers.iter() {
            for (&tail, &head) in layer.iter().zip(layer.iter().skip(1)) {
                let gap = gap(graph.items[tail], graph.items[head]);
                constraints.push(Constraint { tail: block[tail], head: block[head], gap });
            }
        }
        let (mut before, mut after) =
            (Table::<Vec<Constraint>>::new(count), Table::<Vec<Constraint>>::new(count));
        for constraint in constraints {
            before[constraint.head].push(constraint);
            after[constraint.tail].push(constraint);
        }
        let mut waiting: Table<usize> = before.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..count).filter(|&index| waiting[index] == 0).collect();
        let mut constraints = Vec::new();
        let mut next = 0;
        while let Some(&index) = order.get(next) {
            next += 1;
            for &constraint in &after[index] {
                constraints.push(constraint);
                waiting[constraint.head] -= 1;
                if waiting[constraint.head] == 0 {
                    order.push(constraint.head);
                }
            }
        }
        Self { graph, block, items, x: Table::new(count), constraints, before, after }
    }

    /// Makes room: the middle between pushing to the right and to the left, each just as far as needed.
    fn project(&mut self) {
        let (mut right, mut left) = (self.x.clone(), self.x.clone());
        for &Constraint { tail, head, gap } in &self.constraints {
            right[head] = right[head].max(right[tail] + gap);
        }
        for &Constraint { tail, head, gap } in self.constraints.iter().rev() {
            left[tail] = left[tail].min(left[head] - gap);
        }
        self.x = right.iter().zip(left.iter()).map(|(right, left)| (right + left).div_euclid(2)).collect();
    }

    /// Moves the items of each layer to the median of their neighbours in the layer before.
    fn sweep(&mut self, downwards: bool) {
        let count = self.graph.layers.len();
        for step in 0..count {
            let layer = &self.graph.layers[if downwards { step } else { count - 1 - step }];
            let mut right = Vec::with_capacity(layer.len());
            for (at, &index) in layer.iter().enumerate() {
                let ends = if downwards { &self.graph.up[index] } else { &self.graph.down[index] };
                let room = at.checked_sub(1).and_then(|at| Some((layer.get(at)?, right.get(at)?)));
                let first = room.map_or(-FAR, |(&left, &(_, x))| x + self.gap(left, index));
                let wanted = match self.graph.items[index].kind {
                    Kind::Left | Kind::Right => None,
                    _ => Some(self.median(index, ends).unwrap_or(self.x[self.block[index]])),
                };
                right.push((wanted, first.max(wanted.unwrap_or(-FAR))));
            }
            let mut last = FAR;
            let mut neighbour = None;
            for (&index, (wanted, right)) in layer.iter().zip(right).rev() {
                let most = neighbour.map_or(FAR, |neighbour| last - self.gap(index, neighbour));
                last = most.min(wanted.unwrap_or(FAR));
                neighbour = Some(index);
                if wanted.is_some() {
                    self.x[self.block[index]] = (right + last).div_euclid(2);
                }
            }
        }
    }

    /// Moves single blocks to where their edges are shorter and have fewer small bends, if there is room.
    fn settle(&mut self) {
        for block in (0..self.x.len()).chain((0..self.x.len()).rev()) {
            let Some(&item) = self.items[block].first() else { continue };
            let ends: Vec<usize> = self.ends(block).collect();
            let Some(median) = self.median(item, &ends) else { continue };
            let least =
                self.before[block].iter().map(|edge| self.x[edge.tail] + edge.gap).max().unwrap_or(-FAR);
            let most = self.after[block].iter().map(|edge| self.x[edge.head] - edge.gap).min().unwrap_or(FAR);
            let near = ends.iter().map(|&end| self.x[self.block[end]]).min_by_key(|x| x.abs_diff(median));
            let cost = |x: i64| total(ends.iter().map(|&end| self.bend(item, x, end)));
            let choices = [Some(median), near].into_iter().flatten().map(|x| x.min(most).max(least));
            let best = choices.chain([self.x[block]]).min_by_key(|&x| (cost(x), x.abs_diff(median)));
            self.x[block] = best.unwrap_or(median);
        }
    }

    /// Draws one side of the frames close around what is in them. It minds the other side only if that is
    /// where it should be.
    fn hug(&mut self, side: Kind, mind_other: bool) {
        let kind =
            |block: usize| self.items[block].first().map_or(Kind::Box, |&index| self.graph.items[index].kind);
        let is_frame = |block: usize| matches!(kind(block), Kind::Left | Kind::Right);
        for block in (0..self.x.len()).filter(|&block| kind(block) == side) {
            self.x[block] = if side == Kind::Left { FAR } else { -FAR };
        }
        let minds = |one: usize, other: usize| {
            kind(one) == side && (mind_other || kind(other) == side || !is_frame(other))
        };
        if side == Kind::Left {
            for edge in self.constraints.iter().rev().filter(|edge| minds(edge.tail, edge.head)) {
                self.x[edge.tail] = self.x[edge.tail].min(self.x[edge.head] - edge.gap);
            }
        } else {
            for edge in self.constraints.iter().filter(|edge| minds(edge.head, edge.tail)) {
                self.x[edge.head] = self.x[edge.head].max(self.x[edge.tail] + edge.gap);
            }
        }
    }

    fn cost(&self) -> (i64, i64) {
        let edges = self
            .graph
            .down
            .iter()
            .enumerate()
            .flat_map(|(from, ends)| ends.iter().map(move |&to| (from, to)));
        let (cost, skew) = total(edges.map(|(from, to)| self.bend(from, self.x[self.block[from]], to)));
        (cost + self.x.iter().max().unwrap_or(&0) - self.x.iter().min().unwrap_or(&0), skew)
    }

    /// What an edge costs whose item is at `x`: its length sideways, and more for a small bend. Then the
    /// square, since two equal bends look better than one large one.
    fn bend(&self, item: usize, x: i64, end: usize) -> (i64, i64) {
        let length = (x - self.x[self.block[end]]).abs();
        ((length + if (1..3).contains(&length) { 6 } else { 0 }) * self.weight(item, end), length * length)
    }

    /// From step to step should be straight rather than the way around other steps.
    fn weight(&self, one: usize, other: usize) -> i64 {
        if self.graph.items[one].kind == Kind::Box && self.graph.items[other].kind == Kind::Box {
            2
        } else {
            1
        }
    }

    fn gap(&self, one: usize, other: usize) -> i64 {
        gap(self.graph.items[one], self.graph.items[other])
    }

    /// The items that edges connect to a block.
    fn ends(&self, block: usize) -> impl Iterator<Item = usize> {
        let items = self.items[block].iter();
        let ends =
            items.flat_map(|&index| self.graph.up[index].iter().chain(&self.graph.down[index])).copied();
        ends.filter(move |&end| self.block[end] != block)
    }

    fn median(&self, item: usize, ends: &[usize]) -> Option<i64> {
        let column = |&end: &usize| (0..self.weight(item, end)).map(move |_| self.x[self.block[end]]);
        let mut columns: Vec<i64> = ends.iter().flat_map(column).collect();
        columns.sort_unstable();
        let low = columns.get(columns.len().checked_sub(1)? / 2)?;
        Some((low + columns.get(columns.len() / 2)?).div_euclid(2))
    }
}

fn total(costs: impl Iterator<Item = (i64, i64)>) -> (i64, i64) {
    costs.fold((0, 0), |(sum, skew), (cost, more)| (sum + cost, skew + more))
}

/// The blocks: what belongs in one column, from layer to layer, unless it crosses a block further left or a
/// frame; and single items.
fn blocks(graph: &Layered) -> (Table<usize>, Table<Vec<usize>>) {
    let (mut block, mut items) = (Table::new(graph.items.len()), Table::<Vec<usize>>::new(0));
    let mut position = Table::new(graph.items.len());
    for layer in graph.layers.iter() {
        let above = |&index: &usize| graph.above(index).map(|up| (position[up], up));
        let is_frame = |index: &&usize| matches!(graph.items[**index].kind, Kind::Left | Kind::Right);
        let mut frames = layer.iter().filter(is_frame).filter_map(above).peekable();
        let mut next = 0;
        for index in layer {
            let until = frames.peek().map_or(usize::MAX, |(at, _)| at + 1);
            let up = above(index).filter(|(at, _)| (next..until).contains(at));
            frames.next_if(|frame| Some(*frame) == up);
            block[*index] = up.map_or_else(|| items.push(Vec::new()), |(_, up)| block[up]);
            items[block[*index]].push(*index);
            next = up.map_or(next, |(at, _)| at + 1);
        }
        layer.iter().enumerate().for_each(|(at, &index)| position[index] = at);
    }
    (block, items)
}
