//! The order of each layer, so that few lines cross: the second step of a layered drawing.
//!
//! A depth-first order and a few sweeps that sort each layer by the barycentres of its neighbours. If lines still cross,
//! sweeps from other orders as well, by medians, with exchanges of neighbours in between (Gansner, Koutsofios, North & Vo,
//! "A Technique for Drawing Directed Graphs", 1993). Half of the sweeps also exchange what makes no difference, which is
//! what leads out of local optima. If lines still cross, `anneal` goes on from the best order seen. The work is counted, not
//! timed, so that a graph always gets the same drawing.

use super::Table;
use super::anneal::anneal;
use super::layers::Layered;

/// The most visits of an end of a line, beyond which the order is good enough to begin with.
const MAX_WORK: usize = 80_000;

/// How many orders to start with.
const STARTS: usize = 4;

/// Sweeps from each order to start with, and how many of them without a better order end them.
const SWEEPS: usize = 24;
const PATIENCE: usize = 10;

/// Sorts the layers of a graph.
pub(super) fn sort(graph: &mut Layered) {
    let layers = std::mem::take(&mut graph.layers);
    let position = Table::new(graph.up.rows.len());
    let mut order = Order { graph, position, layers, work: 0, places: Vec::new(), spans: Vec::new() };
    let count = order.layers.rows.len();
    let mut keys = order.depth_first();
    for (round, step) in (0..9).flat_map(|round| (0..count).map(move |step| (round, step))) {
        let (upwards, layer) = if round % 2 == 0 { (false, step) } else { (true, count - 1 - step) };
        order.sort_layer(layer, upwards, round > 0, &mut keys);
    }
    let (mut layers, crossings) = order.improve();
    if crossings > 0 {
        anneal(graph, &mut layers, crossings);
    }
    graph.layers = layers;
}

struct Order<'a> {
    graph: &'a Layered,
    layers: Table<Vec<usize>>,
    /// The place of each item in its layer.
    position: Table<usize>,
    work: usize,
    /// Where the lines of a layer's items end, sorted, and the part of each item: above, then below.
    places: Vec<usize>,
    spans: Vec<(usize, usize, usize)>,
}

impl Order<'_> {
    /// Draws a tree without crossings and follows the definition.
    fn depth_first(&self) -> Table<f64> {
        let mut keys: Table<f64> = Table::new(self.graph.up.rows.len());
        let mut visited = 0.0;
        for root in 0..self.graph.up.rows.len() {
            let mut stack = vec![root];
            while let Some(index) = stack.pop() {
                if keys[index] == 0.0 {
                    visited += 1.0;
                    keys[index] = visited;
                    stack.extend(self.graph.down[index].iter().rev());
                }
            }
        }
        keys
    }

    /// Sorts a layer by its keys, which are first set to the barycentres of the items above, or below.
    fn sort_layer(&mut self, layer: usize, upwards: bool, by_ends: bool, keys: &mut Table<f64>) {
        let ends = if upwards { &self.graph.down } else { &self.graph.up };
        for &index in self.layers[layer].iter().filter(|&&index| by_ends && !ends[index].is_empty()) {
            let sum: usize = ends[index].iter().map(|&end| self.position[end]).sum();
            self.work += ends[index].len();
            keys[index] = sum as f64 / ends[index].len() as f64;
        }
        self.layers[layer].sort_by(|&one, &other| keys[one].total_cmp(&keys[other]));
        self.number(layer);
        for &index in &self.layers[layer] {
            keys[index] = self.position[index] as f64;
        }
    }

    fn number(&mut self, layer: usize) {
        for (at, &index) in self.layers[layer].iter().enumerate() {
            self.position[index] = at;
        }
    }

    /// Sweeps from several orders until nothing is gained.
    fn improve(mut self) -> (Table<Vec<usize>>, usize) {
        let mut best = self.layers.clone();
        let mut fewest = self.crossings();
        for start in 0..STARTS {
            if fewest == 0 || self.work > MAX_WORK {
                break;
            }
            match start {
                0 | 1 => self.breadth_first(start == 1),
                _ => self.start_from(best.clone()),
            }
            let mut patience = PATIENCE;
            self.exchange(false);
            for round in 0..SWEEPS {
                let crossings = self.crossings();
                patience -= 1;
                if crossings < fewest {
                    (fewest, best, patience) = (crossings, self.layers.clone(), PATIENCE);
                }
                if fewest == 0 || patience == 0 || self.work > MAX_WORK {
                    break;
                }
                self.sweep((round + start) % 2 == 1, round % 4 < 2, start == 3);
                self.exchange(round % 4 >= 2);
            }
        }
        (best, fewest)
    }

    fn start_from(&mut self, layers: Table<Vec<usize>>) {
        self.layers = layers;
        (0..self.layers.rows.len()).for_each(|layer| self.number(layer));
    }

    /// The order in which a breadth-first search from above, or from below, comes to the items.
    fn breadth_first(&mut self, upwards: bool) {
        let (back, on) =
            if upwards { (&self.graph.down, &self.graph.up) } else { (&self.graph.up, &self.graph.down) };
        let mut layer_of: Table<usize> = Table::new(back.rows.len());
        for (layer, items) in self.layers.rows.iter().enumerate() {
            items.iter().for_each(|&item| layer_of[item] = layer);
        }
        let mut seen: Table<bool> = Table::new(back.rows.len());
        let mut layers: Table<Vec<usize>> = Table::new(self.layers.rows.len());
        let mut queue: Vec<usize> = Vec::new();
        for root in (0..back.rows.len()).filter(|&item| back[item].is_empty()) {
            queue.push(root);
            seen[root] = true;
            let mut next = queue.len() - 1;
            while let Some(&item) = queue.get(next) {
                next += 1;
                layers[layer_of[item]].push(item);
                for &end in &on[item] {
                    if !std::mem::replace(&mut seen[end], true) {
                        queue.push(end);
                    }
                }
            }
        }
        self.start_from(layers);
    }

    /// Sorts each layer by the medians, or the barycentres, of the items above, or below. Items without any stay.
    fn sweep(&mut self, upwards: bool, reverses: bool, by_mean: bool) {
        let count = self.layers.rows.len();
        let graph = self.graph;
        let ends = if upwards { &graph.down } else { &graph.up };
        for step in 1..count {
            let layer = if upwards { count - 1 - step } else { step };
            let mut keyed: Vec<(f64, usize)> = Vec::new();
            let mut slots = Vec::new();
            for (at, &item) in
                self.layers[layer].iter().enumerate().filter(|(_, item)| !ends[**item].is_empty())
            {
                self.places.clear();
                self.places.extend(ends[item].iter().map(|&end| self.position[end]));
                self.work += self.places.len();
                let mean = self.places.iter().sum::<usize>() as f64 / self.places.len() as f64;
                keyed.push((if by_mean { mean } else { median(&mut self.places) }, item));
                slots.push(at);
            }
            if reverses {
                keyed.reverse();
            }
            keyed.sort_by(|one, other| one.0.total_cmp(&other.0));
            for (slot, (_, item)) in slots.into_iter().zip(keyed) {
                if let Some(place) = self.layers[layer].get_mut(slot) {
                    *place = item;
                }
            }
            self.number(layer);
        }
    }

    /// Exchanges neighbours in all layers while that saves crossings; with `indifferent` also where it changes nothing.
    fn exchange(&mut self, indifferent: bool) {
        let mut changed: Table<bool> = (0..self.layers.rows.len()).map(|_| true).collect();
        loop {
            let mut saved = 0;
            for layer in 0..self.layers.rows.len() {
                if std::mem::take(&mut changed[layer]) {
                    let (gain, moved) = self.exchange_in(layer, indifferent);
                    saved += gain;
                    if moved {
                        (layer.saturating_sub(1)..=layer + 1).for_each(|near| changed[near] = true);
                    }
                }
            }
            if saved == 0 || self.work > MAX_WORK {
                break;
            }
        }
    }

    fn exchange_in(&mut self, layer: usize, indifferent: bool) -> (usize, bool) {
        let mut items = std::mem::take(&mut self.layers[layer]);
        let (mut places, mut spans) = (std::mem::take(&mut self.places), std::mem::take(&mut self.spans));
        places.clear();
        spans.clear();
        for &item in &items {
            let start = places.len();
            places.extend(self.graph.up[item].iter().map(|&end| self.position[end]));
            let middle = places.len();
            places.extend(self.graph.down[item].iter().map(|&end| self.position[end]));
            for range in [start..middle, middle..places.len()] {
                places.get_mut(range).into_iter().for_each(<[usize]>::sort_unstable);
            }
            spans.push((start, middle, places.len()));
        }
        let ends = |(start, middle, end): (usize, usize, usize)| {
            [places.get(start..middle).unwrap_or(&[]), places.get(middle..end).unwrap_or(&[])]
        };
        let (mut saved, mut moved) = (0, false);
        let mut at = 1;
        while let Some(&[left, right]) = spans.get(at - 1..=at).and_then(|pair| pair.first_chunk()) {
            self.work += 1;
            let (left_ends, right_ends) = (ends(left), ends(right));
            let pairs = || left_ends.iter().zip(&right_ends);
            let now: usize = pairs().map(|(one, other)| inversions(one, other)).sum();
            if now > 0 {
                self.work += left.2 - left.0 + right.2 - right.0;
                let then: usize = pairs().map(|(one, other)| inversions(other, one)).sum();
                if then < now || (indifferent && then == now) {
                    spans.swap(at - 1, at);
                    items.swap(at - 1, at);
                    saved += now - then;
                    moved = true;
                    if then < now && at > 1 && self.work < MAX_WORK {
                        // It may go on to the left.
                        at -= 1;
                        continue;
                    }
                }
            }
            at += 1;
        }
        (self.places, self.spans) = (places, spans);
        self.layers[layer] = items;
        self.number(layer);
        (saved, moved)
    }

    /// Counts how many lines cross: pairs of lines between two layers that end in the other order than they began in
    /// (Barth, Jünger & Mutzel, "Simple and Efficient Bilayer Cross Counting", 2002).
    fn crossings(&mut self) -> usize {
        let mut crossings = 0;
        let mut ends = Vec::new();
        for (layer, items) in self.layers.rows.iter().enumerate() {
            let below = self.layers[layer + 1].len();
            let mut tree: Table<usize> = Table::new(below + 1);
            let mut seen = 0;
            for &item in items {
                ends.clear();
                ends.extend(self.graph.down[item].iter().map(|&end| self.position[end]));
                self.work += ends.len();
                // Lines from one item do not cross each other, so they are counted before any of them is added.
                for &end in &ends {
                    let mut at = end + 1;
                    let mut before = 0;
                    while at > 0 {
                        before += tree[at];
                        at &= at - 1;
                    }
                    crossings += seen - before;
                }
                for &end in &ends {
                    let mut at = end + 1;
                    while at <= below {
                        tree[at] += 1;
                        at += at & at.wrapping_neg();
                    }
                    seen += 1;
                }
            }
        }
        crossings
    }
}

/// Counts the pairs of which the first stands after the second. Both lists are sorted.
fn inversions(left: &[usize], right: &[usize]) -> usize {
    match (left, right) {
        ([one], [other]) => return usize::from(one > other),
        ([.., last], [first, ..]) if last > first => {}
        _ => return 0,
    }
    let (mut count, mut smaller) = (0, 0);
    for &end in left {
        while right.get(smaller).is_some_and(|&other| other < end) {
            smaller += 1;
        }
        count += smaller;
    }
    count
}

/// The median of some places. Of an even number it is between the middle two, nearer to the side that is more dense.
fn median(places: &mut [usize]) -> f64 {
    places.sort_unstable();
    let at = |index: usize| places.get(index).copied().unwrap_or(0) as f64;
    let (count, middle) = (places.len(), places.len() / 2);
    if count % 2 == 1 {
        return at(middle);
    }
    let (left, right) = (at(middle - 1), at(middle));
    let (before, after) = (left - at(0), at(count - 1) - right);
    if before + after == 0.0 {
        (left + right) / 2.0
    } else {
        (left * after + right * before) / (before + after)
    }
}
