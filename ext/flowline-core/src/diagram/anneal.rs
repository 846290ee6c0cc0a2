//! Fewer crossings than sorting finds, by simulated annealing (Kirkpatrick, Gelatt & Vecchi, "Optimization by Simulated
//! Annealing", 1983), which Davidson & Harel brought to drawings ("Drawing Graphs Nicely Using Simulated Annealing", 1996).
//!
//! A move is that of sifting (Matuszewski, Schönfeld & Molitor, "Using Sifting for k-Layer Straightline Crossing
//! Minimization", 1999): one item tries the places of its layer, and goes where the fewest lines cross. While the graph is
//! warm, a random bonus for each place lets it go elsewhere: an exponential one, so about as in a heat bath, where the
//! chance of a place falls exponentially with its crossings. The generator starts with the same seed for each graph.

use super::Table;
use super::layers::Layered;
use std::ops::Range;

/// The temperature at the start, in crossings. It falls evenly, to zero for the last part of the work.
const WARM: f32 = 2.5;
const COLD_FROM: f32 = 0.9;

/// How many places are tried: so many for each item of a small graph; of a larger one a number, and some for each item.
const MOST_PER_ITEM: usize = 1_500;
const LEAST_WORK: usize = 130_000;
const PER_ITEM: usize = 150;

/// A search along the layer ends at a place with so many more crossings, in addition to the temperature.
const HURDLE: f32 = 1.0;

/// Moves items within their layers, which have `crossings`, until that saves no more.
pub(super) fn anneal(graph: &Layered, layers: &mut Table<Vec<usize>>, crossings: usize) {
    let mut annealing = Annealing::new(graph, layers);
    annealing.run(crossings as i64);
    for (layer, range) in layers.rows.iter_mut().zip(&annealing.ranges.rows) {
        *layer = annealing.items.get(range.clone()).unwrap_or(&[]).to_vec();
    }
}

struct Annealing {
    /// The items of all layers, one layer after the other, and where each item is in it.
    items: Vec<usize>,
    slot: Table<usize>,
    /// The part of each layer in it, and the layer of each item.
    ranges: Table<Range<usize>>,
    layer: Table<usize>,
    /// The items above each item, then those below; and where they begin, and where those below do.
    ends: Vec<usize>,
    parts: Table<(usize, usize, usize)>,
    /// By slot next to the layer: how many crossings each line to it adds if the item that moves comes to its left.
    price: Vec<i32>,
    state: u64,
    work: usize,
}

impl Annealing {
    fn new(graph: &Layered, layers: &Table<Vec<usize>>) -> Self {
        let count = graph.up.rows.len();
        let mut new = Self {
            items: layers.rows.concat(),
            slot: Table::new(count),
            ranges: Table::new(0),
            layer: Table::new(count),
            ends: Vec::new(),
            parts: Table::new(0),
            price: Vec::new(),
            state: 1,
            work: 0,
        };
        let mut first = 0;
        for (layer, items) in layers.rows.iter().enumerate() {
            new.ranges.rows.push(first..first + items.len());
            first += items.len();
            items.iter().for_each(|&item| new.layer[item] = layer);
        }
        new.price = vec![0; new.items.len()];
        new.number(0..new.items.len());
        for (ups, downs) in graph.up.rows.iter().zip(&graph.down.rows) {
            let start = new.ends.len();
            new.ends.extend(ups);
            let middle = new.ends.len();
            new.ends.extend(downs);
            new.parts.rows.push((start, middle, new.ends.len()));
        }
        new
    }

    fn run(&mut self, mut crossings: i64) {
        let movable = |&item: &usize| self.ranges[self.layer[item]].len() > 1;
        let mut turns: Vec<usize> = self.items.iter().copied().filter(movable).collect();
        for at in (1..turns.len()).rev() {
            let other = self.random() as usize % (at + 1);
            turns.swap(at, other);
        }
        let budget = MOST_PER_ITEM.saturating_mul(turns.len()).min(LEAST_WORK + PER_ITEM * turns.len());
        let mut fewest = crossings;
        let mut best = self.items.clone();
        while fewest > 0 && self.work < budget {
            let warmth = 1.0 - self.work as f32 / budget as f32 / COLD_FROM;
            let temperature = WARM * warmth.max(0.0);
            let before = crossings;
            for &item in &turns {
                crossings += i64::from(self.sift(item, temperature));
            }
            if crossings < fewest {
                fewest = crossings;
                best.clone_from(&self.items);
            } else if warmth <= 0.0 && crossings == before {
                break;
            }
        }
        self.items = best;
    }

    /// Moves an item to the best place of its layer, and returns how many crossings that adds.
    fn sift(&mut self, item: usize, temperature: f32) -> i32 {
        self.set_prices(item);
        let range = self.ranges[self.layer[item]].clone();
        let from = self.slot[item];
        let limit = HURDLE + temperature;
        let (mut to, mut added) = (from, 0);
        let mut least = -temperature * self.bonus();
        for leftwards in [true, false] {
            let mut sum = 0;
            let mut at = from;
            while (if leftwards { at > range.start } else { at + 1 < range.end }) && sum as f32 <= limit {
                at = if leftwards { at - 1 } else { at + 1 };
                let passed = self.passed(at);
                sum += if leftwards { passed } else { -passed };
                let value = sum as f32 - temperature * self.bonus();
                if value < least {
                    (least, to, added) = (value, at, sum);
                }
            }
        }
        let moved = from.min(to)..from.max(to) + 1;
        if let Some(items) = self.items.get_mut(moved.clone()).filter(|_| from != to) {
            if to < from {
                items.rotate_right(1)
            } else {
                items.rotate_left(1)
            }
            self.number(moved);
        }
        added
    }

    /// Returns how many crossings it adds if the item that moves comes to the left of another.
    fn passed(&mut self, at: usize) -> i32 {
        let (start, _, end) = self.parts[self.items.get(at).copied().unwrap_or(0)];
        let ends = self.ends.get(start..end).unwrap_or(&[]);
        self.work += 1;
        ends.iter().map(|&end| self.price.get(self.slot[end]).copied().unwrap_or(0)).sum()
    }

    fn set_prices(&mut self, item: usize) {
        let (start, middle, end) = self.parts[item];
        let layer = self.layer[item];
        for (side, ends) in [(layer.wrapping_sub(1), start..middle), (layer + 1, middle..end)] {
            let range = self.ranges[side].clone();
            let Some(prices) = self.price.get_mut(range.clone()) else { continue };
            prices.fill(0);
            self.work += 2 + prices.len() / 16;
            for &end in self.ends.get(ends).unwrap_or(&[]) {
                let at = self.slot[end].saturating_sub(range.start).min(prices.len());
                let (left, right) = prices.split_at_mut(at);
                left.iter_mut().for_each(|price| *price += 1);
                right.iter_mut().skip(1).for_each(|price| *price -= 1);
            }
        }
    }

    fn number(&mut self, slots: Range<usize>) {
        for slot in slots {
            self.items.get(slot).into_iter().for_each(|&item| self.slot[item] = slot);
        }
    }

    /// A linear congruential generator with the constants of Knuth's MMIX.
    fn random(&mut self) -> u32 {
        self.state =
            self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 32) as u32
    }

    /// A random number that is distributed about exponentially, made of exact operations only: the same everywhere.
    fn bonus(&mut self) -> f32 {
        let bits = self.random() | 1;
        let zeros = bits.leading_zeros();
        let fraction = (bits << zeros << 1) as f32 / 4_294_967_296.0;
        (zeros as f32 + 1.0 - fraction) * std::f32::consts::LN_2
    }
}
