//! The order within each layer, with few crossings: the layer-by-layer sweep of Sugiyama, Tagawa & Toda
//! (1981), which sorts each layer by the barycentres of its neighbours. Members of a group stay together,
//! and two groups keep their sides in all layers they share, so that frames can be drawn (after
//! Forster, "Applying Crossing Reduction Strategies to Layered Compound Graphs", 2002).

use super::Table;
use super::layers::{Kind, Layered};

/// How many items to visit at most, over all sweeps.
const WORK: usize = 2_000_000;

/// What stays together in a layer: an item, or a group with everything in it.
#[derive(Debug, Clone, Default)]
struct Entry {
    /// Where it wants to be; nothing if it has no neighbour.
    key: Option<f64>,
    /// The group's place among groups.
    rank: Option<f64>,
    items: Vec<usize>,
}

pub(super) fn reduce_crossings(graph: &mut Layered) {
    let mut sweep = Sweep::new(graph);
    sweep.start();
    let rounds = (WORK / sweep.graph.items.len().max(1)).clamp(2, 24);
    let mut best = sweep.graph.layers.clone();
    let mut fewest = sweep.crossings();
    for round in 0..rounds {
        if fewest == 0 {
            break;
        }
        sweep.run(round % 2 == 0);
        let crossings = sweep.crossings();
        if crossings < fewest {
            fewest = crossings;
            best.clone_from(&sweep.graph.layers);
        }
    }
    graph.layers = best;
}

struct Sweep<'a> {
    graph: &'a mut Layered,
    /// Each item's position in its layer.
    position: Table<usize>,
    /// The groups in each layer, inner ones first.
    active: Table<Vec<usize>>,
    /// What is in each group, while a layer is arranged; with its position before.
    contents: Table<Vec<(usize, Entry)>>,
}

impl<'a> Sweep<'a> {
    fn new(graph: &'a mut Layered) -> Self {
        let mut active: Table<Vec<usize>> = Table::new(graph.layers.len());
        for (index, span) in graph.groups.iter().enumerate().skip(1).rev() {
            (span.first..span.end).for_each(|layer| active[layer].push(index));
        }
        let contents = Table::new(graph.groups.len());
        Self { position: Table::new(graph.items.len()), graph, active, contents }
    }

    /// Begins with a depth-first order: it draws a tree without crossings, and follows the definition.
    fn start(&mut self) {
        let mut keys: Table<Option<f64>> = Table::new(self.graph.items.len());
        let mut visited = 0;
        for root in 0..self.graph.items.len() {
            let mut stack = vec![root];
            while let Some(index) = stack.pop() {
                if keys[index].is_none() && self.graph.items[index].kind != Kind::Left {
                    visited += 1;
                    keys[index] = Some(f64::from(visited));
                    stack.extend(self.graph.down[index].iter().rev());
                }
            }
        }
        let ranks = self.ranks(|index| keys[index]);
        for layer in 0..self.graph.layers.len() {
            self.arrange(layer, &keys, &ranks);
        }
    }

    fn run(&mut self, downwards: bool) {
        let ranks = self.ranks(|index| Some(self.position[index] as f64));
        let mut keys = Table::new(self.graph.items.len());
        let count = self.graph.layers.len();
        for step in 0..count {
            let layer = if downwards { step } else { count - 1 - step };
            for &index in &self.graph.layers[layer] {
                let ends = if downwards { &self.graph.up[index] } else { &self.graph.down[index] };
                keys[index] = mean(ends.iter().map(|&end| self.position[end] as f64));
                // A frame without members here goes on from the layer before.
                if self.graph.items[index].kind == Kind::Left {
                    let before = if downwards { index.wrapping_sub(2) } else { index + 2 };
                    let item = self.graph.items[before];
                    let same = item.kind == Kind::Left && item.group == self.graph.items[index].group;
                    keys[index] = same.then(|| self.position[before] as f64);
                }
            }
            self.arrange(layer, &keys, &ranks);
        }
    }

    /// Numbers the groups by the mean of their members, for one order in all layers.
    fn ranks(&self, key: impl Fn(usize) -> Option<f64>) -> Table<Option<f64>> {
        let groups = &self.graph.groups;
        let mut sums: Table<(f64, f64)> = Table::new(groups.len());
        for (index, item) in self.graph.items.iter().enumerate() {
            if let (Kind::Box, Some(key)) = (item.kind, key(index)) {
                sums[item.group] = (sums[item.group].0 + key, sums[item.group].1 + 1.0);
            }
        }
        for index in (1..groups.len()).rev() {
            let ((sum, count), (more, others)) = (sums[groups[index].parent], sums[index]);
            sums[groups[index].parent] = (sum + more, count + others);
        }
        let mut order: Vec<usize> = (1..groups.len()).collect();
        order.sort_by(|&a, &b| (sums[a].0 / sums[a].1).total_cmp(&(sums[b].0 / sums[b].1)));
        let mut ranks = Table::new(groups.len());
        for (rank, index) in order.into_iter().enumerate() {
            ranks[index] = Some(rank as f64);
        }
        ranks
    }

    /// Sorts a layer, each group within itself and then as a whole.
    fn arrange(&mut self, layer: usize, keys: &Table<Option<f64>>, ranks: &Table<Option<f64>>) {
        for (at, &index) in self.graph.layers[layer].iter().enumerate() {
            let item = self.graph.items[index];
            if matches!(item.kind, Kind::Box | Kind::Dummy) {
                self.contents[item.group]
                    .push((at, Entry { key: keys[index], rank: None, items: vec![index] }));
            }
        }
        for &group in self.active[layer].iter().chain(&[0]) {
            let mut entries = std::mem::take(&mut self.contents[group]);
            entries.sort_by_key(|(at, _)| *at);
            let at = entries.first().map_or(usize::MAX, |(at, _)| *at);
            let mut entries: Vec<Entry> = entries.into_iter().map(|(_, entry)| entry).collect();
            refill(&mut entries, |entry| entry.key);
            refill(&mut entries, |entry| entry.rank);
            let key = mean(entries.iter().filter_map(|entry| entry.key));
            let mut items: Vec<usize> = entries.into_iter().flat_map(|entry| entry.items).collect();
            if group == 0 {
                items.iter().enumerate().for_each(|(at, &index)| self.position[index] = at);
                self.graph.layers[layer] = items;
            } else {
                let span = self.graph.groups[group];
                let frame = span.frame + 2 * (layer - span.first);
                let key = key.or(keys[frame]);
                items.insert(0, frame);
                items.push(frame + 1);
                self.contents[span.parent].push((at, Entry { key, rank: ranks[group], items }));
            }
        }
    }

    /// Counts crossings between neighbouring layers, with a Fenwick tree (Barth, Jünger & Mutzel, "Simple
    /// and Efficient Bilayer Cross Counting", 2002).
    fn crossings(&self) -> usize {
        let mut total = 0;
        for layer in self.graph.layers.iter() {
            let mut ends: Vec<usize> = Vec::new();
            for &index in layer {
                let start = ends.len();
                ends.extend(self.graph.down[index].iter().map(|&to| self.position[to]));
                ends.get_mut(start..).unwrap_or_default().sort_unstable();
            }
            let mut tree: Table<usize> = Table::new(ends.iter().max().map_or(0, |end| end + 2));
            for (before, end) in ends.iter().enumerate() {
                // Those before it that do not end further right do not cross it.
                let (mut node, mut uncrossed) = (end + 1, 0);
                while node > 0 {
                    uncrossed += tree[node];
                    node &= node - 1;
                }
                total += before - uncrossed;
                let mut node = end + 1;
                while node < tree.len() {
                    tree[node] += 1;
                    node += node & node.wrapping_neg();
                }
            }
        }
        total
    }
}

fn mean(keys: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = keys.fold((0.0, 0.0), |(sum, count), key| (sum + key, count + 1.0));
    (count > 0.0).then(|| sum / count)
}

/// Sorts those entries that have a key, over the places they hold; the others stay where they are.
fn refill(entries: &mut [Entry], key: impl Fn(&Entry) -> Option<f64>) {
    let mut keyed: Vec<(f64, Entry)> =
        entries.iter_mut().filter_map(|entry| key(entry).map(|key| (key, std::mem::take(entry)))).collect();
    keyed.sort_by(|(one, _), (other, _)| one.total_cmp(other));
    // Only a taken entry is empty.
    let holes = entries.iter_mut().filter(|entry| entry.items.is_empty());
    for (hole, (_, entry)) in holes.zip(keyed) {
        *hole = entry;
    }
}
