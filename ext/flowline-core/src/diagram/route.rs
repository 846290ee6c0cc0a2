//! The way of each edge, with right angles, through the channels between the layers.
//!
//! What is drawn as one connected line is a bundle, where everything above leads to everything below. So
//! lines that join never suggest an edge that is not there. Lines of different bundles only cross.

use super::Table;
use super::bundle::Bundle;
use super::channel::{Net, assign_tracks};
use super::layers::{Item, Kind, Layered};
use super::layout::{Block, Layout, Line, MAX_CELLS, Title, TooLarge, check_size};
use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};

pub(super) fn route(
    graph: &Layered,
    x: &Table<i64>,
    sizes: &[(i64, i64)],
    titles: &[Title],
) -> Result<Layout, TooLarge> {
    let mut router = Router::new(graph, x, titles);
    router.layout.columns =
        (0..graph.items.len()).map(|i| x[i] + graph.items[i].right + 1).max().unwrap_or(0);
    router.layout.boxes = vec![Block::default(); sizes.len()];
    router.layout.frames = vec![Block::default(); graph.groups.len() - 1];
    let mut top = 0;
    for layer in 0..graph.layers.len() {
        top = router.channel(layer, top)?;
        top = router.boxes(layer, top, sizes);
    }
    top += router.frames_below(graph.layers.len(), top);
    router.layout.rows = top;
    check_size(router.layout.columns, top)?;
    Ok(router.layout)
}

struct Router<'a> {
    graph: &'a Layered,
    x: &'a Table<i64>,
    /// The row where the lines from an item begin.
    exit: Table<i64>,
    /// The first column of a step that a frame's title leaves free.
    inset: HashMap<usize, i64>,
    /// How many frames begin above a group's steps, and end below, its own included.
    above: Table<i64>,
    below: Table<i64>,
    layout: Layout,
}

impl<'a> Router<'a> {
    fn new(graph: &'a Layered, x: &'a Table<i64>, titles: &[Title]) -> Self {
        let mut inset: HashMap<usize, i64> = HashMap::new();
        for title in titles {
            let column = inset.entry(title.entered.unwrap_or(usize::MAX)).or_default();
            *column = (*column).max(x[title.frame] + title.room);
        }
        let count = graph.groups.len();
        let (mut above, mut below): (Table<i64>, Table<i64>) = (Table::new(count), Table::new(count));
        for (index, span) in
            graph.groups.iter().enumerate().skip(1).rev().filter(|(_, span)| span.first < span.end)
        {
            let outer = graph.groups[span.parent];
            (above[index], below[index]) = (above[index] + 1, below[index] + 1);
            if outer.first == span.first {
                above[span.parent] = above[span.parent].max(above[index]);
            }
            if outer.end == span.end {
                below[span.parent] = below[span.parent].max(below[index]);
            }
        }
        Self { graph, x, exit: Table::new(graph.items.len()), inset, above, below, layout: Layout::default() }
    }

    /// Draws the lines and frames above a layer, from row `top`. Tells the layer's first row.
    fn channel(&mut self, layer: usize, top: i64) -> Result<i64, TooLarge> {
        let bundles = self.bundles(layer);
        let (mut from, mut to) = (HashMap::new(), HashMap::new());
        let mut nets: Table<Net> =
            bundles.iter().flat_map(|bundle| self.nets(bundle, &mut from, &mut to)).collect();
        let beside =
            layer.checked_sub(1).into_iter().chain([layer]).flat_map(|layer| &self.graph.layers[layer]);
        let frames = beside.filter(|&&item| matches!(self.graph.items[item].kind, Kind::Left | Kind::Right));
        let frames: HashSet<i64> = frames.map(|&item| self.x[item]).collect();
        let columns = self.layout.columns;
        let most = MAX_CELLS / columns.max(1);
        let tracks = assign_tracks(&mut nets, frames, most).ok_or(TooLarge { columns, rows: top + most })?;
        let first = top + self.frames_below(layer, top);
        let arrows = i64::from(to.values().any(|&item| self.graph.items[item].kind == Kind::Box));
        let next = first + tracks + self.frames_above(layer, first + tracks) + arrows;
        let mut doglegs: HashMap<i64, i64> = HashMap::new();
        for net in nets.iter() {
            let row = first - 1 + net.track;
            let (left, right) = net.ends();
            if left < right {
                self.line((left, row), (right, row));
            }
            for &column in &net.ups {
                let exit = self.exit[*from.get(&column).unwrap_or(&usize::MAX)];
                self.line((column, exit), (column, if left < right { row } else { next - 1 }));
            }
            for &column in &net.downs {
                let is_box = to.get(&column).is_some_and(|&item| self.graph.items[item].kind == Kind::Box);
                let end = if is_box { next - 1 } else { next };
                self.line((column, if left < right { row } else { end.min(next - 1) }), (column, end));
                if is_box {
                    self.layout.arrows.push((column, next - 1));
                }
            }
            if let Some(column) = net.dogleg {
                // The upper part comes first.
                let upper = *doglegs.entry(column).or_insert(row);
                self.line((column, upper), (column, row));
            }
            self.layout.columns = self.layout.columns.max(right + 1);
        }
        check_size(self.layout.columns, next)?;
        Ok(next)
    }

    fn line(&mut self, from: (i64, i64), to: (i64, i64)) {
        if from != to {
            self.layout.lines.push(Line { from, to });
        }
    }

    /// Ends the frames of groups whose last layer was the one before.
    fn frames_below(&mut self, layer: usize, top: i64) -> i64 {
        let mut rows = 0;
        for &item in layer.checked_sub(1).map(|layer| self.graph.layers[layer].as_slice()).unwrap_or_default()
        {
            let Item { kind, group, .. } = self.graph.items[item];
            if kind == Kind::Left && self.graph.groups[group].end == layer {
                rows = rows.max(self.below[group]);
                if let Some(frame) = self.layout.frames.get_mut(group - 1) {
                    frame.bottom = top - 1 + self.below[group];
                }
            }
        }
        rows
    }

    /// Begins the frames of groups whose first layer is next.
    fn frames_above(&mut self, layer: usize, top: i64) -> i64 {
        let begins = |item: &&usize| {
            let Item { kind, group, .. } = self.graph.items[**item];
            kind == Kind::Left && self.graph.groups[group].first == layer
        };
        let items: Vec<usize> = self.graph.layers[layer].iter().filter(begins).copied().collect();
        let rows = items.iter().map(|&item| self.above[self.graph.items[item].group]).max().unwrap_or(0);
        for item in items {
            let group = self.graph.items[item].group;
            if let Some(frame) = self.layout.frames.get_mut(group - 1) {
                (frame.left, frame.right) = (self.x[item], self.x[item + 1]);
                frame.top = top + rows - self.above[group];
            }
        }
        rows
    }

    /// Places the boxes of a layer at row `top`. Tells the row after the layer.
    fn boxes(&mut self, layer: usize, top: i64, sizes: &[(i64, i64)]) -> i64 {
        let mut end = top;
        for &index in &self.graph.layers[layer] {
            self.exit[index] = top;
            if let (Some(block), Some((_, height))) = (self.layout.boxes.get_mut(index), sizes.get(index)) {
                let item = self.graph.items[index];
                (block.left, block.right) = (self.x[index] - item.left, self.x[index] + item.right);
                (block.top, block.bottom) = (top, top + height - 1);
                self.exit[index] = block.bottom;
                end = end.max(top + height);
            }
        }
        end
    }

    /// The edges into a layer, with their ports.
    fn bundles(&self, layer: usize) -> Table<Bundle> {
        let mut bundles = self.graph.bundles(layer);
        let mut arrivals: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, bundle) in bundles.iter_mut().enumerate() {
            bundle.targets.sort_unstable_by_key(|&target| self.x[target]);
            bundle.targets.iter().for_each(|target| arrivals.entry(*target).or_default().push(at));
        }
        // From left to right, like the targets of each bundle.
        for target in &self.graph.layers[layer] {
            let Some(arriving) = arrivals.get_mut(target) else { continue };
            let middle = |bundle: &Bundle| {
                bundle.sources.iter().map(|&s| self.x[s]).sum::<i64>() / count(&bundle.sources)
            };
            arriving.sort_by_key(|&at| middle(&bundles[at]));
            let first = self.first_port(*target, arriving.iter().map(|&at| &bundles[at]).collect());
            for (&at, port) in arriving.iter().zip((first..).step_by(2)) {
                bundles[at].ports.push(port);
                bundles[at].shares |= arriving.len() > 1;
            }
        }
        bundles
    }

    /// The column of the first line into an item; the others follow in every second column. The lines are
    /// centred, but an edge that can be straight is.
    fn first_port(&self, target: usize, arriving: Vec<&Bundle>) -> i64 {
        let (Item { kind, left, right, .. }, x) = (self.graph.items[target], self.x[target]);
        if kind == Kind::Dummy {
            return x;
        }
        let least = (x - left + 1).max(self.inset.get(&target).copied().unwrap_or(0));
        let most = x + right - 1;
        let straight = (0..).step_by(2).zip(&arriving).filter_map(|(offset, bundle)| {
            let column = self.x[*bundle.sources.first()?];
            (bundle.is_single() && least <= column && column <= most).then_some((column, offset))
        });
        let nearest = straight.min_by_key(|(column, _)| column.abs_diff(x));
        let width = 2 * (count(&arriving) - 1);
        nearest.map_or(x - width / 2, |(column, offset)| column - offset).min(most - width).max(least)
    }

    /// The nets of a bundle: one, or three if a line straight down would look like a crossing and there is
    /// room for the lines to the left and right beside it. Notes which item is where.
    fn nets(
        &self,
        bundle: &Bundle,
        from: &mut HashMap<i64, usize>,
        to: &mut HashMap<i64, usize>,
    ) -> Vec<Net> {
        let mut ups: Vec<(i64, usize)> = bundle.sources.iter().map(|&item| (self.x[item], item)).collect();
        let mut downs: Vec<(i64, usize)> =
            bundle.ports.iter().copied().zip(bundle.targets.iter().copied()).collect();
        let columns = |ends: &[(i64, usize)]| ends.iter().map(|(column, _)| *column).collect();
        let net = Net { ups: columns(&ups), downs: columns(&downs), ..Net::default() };
        let has_room = |item: usize| self.graph.items[item].left > 2 && self.graph.items[item].right > 2;
        let mut nets = vec![net];
        if let Some(middle) = nets.iter().find_map(Net::ambiguity) {
            let side = |column: i64| middle + 2 * (column - middle).signum();
            match (ups.as_slice(), downs.as_slice()) {
                (&[(_, item)], _) if has_room(item) => {
                    ups = [-1, 0, 1].map(|offset| (side(middle + offset), item)).to_vec();
                    nets = split(&downs, middle, |column, downs| Net {
                        ups: vec![side(column)],
                        downs,
                        ..Net::default()
                    });
                }
                (_, &[(_, item)]) if has_room(item) && !bundle.shares => {
                    downs = [-1, 0, 1].map(|offset| (side(middle + offset), item)).to_vec();
                    nets = split(&ups, middle, |column, ups| Net {
                        ups,
                        downs: vec![side(column)],
                        ..Net::default()
                    });
                }
                _ => {}
            }
        }
        from.extend(ups);
        to.extend(downs);
        nets
    }
}

/// The columns left of the middle, in it, and right of it.
fn split(ends: &[(i64, usize)], middle: i64, net: impl Fn(i64, Vec<i64>) -> Net) -> Vec<Net> {
    let part = |order: Ordering| {
        let columns: Vec<i64> =
            ends.iter().map(|(column, _)| *column).filter(|column| column.cmp(&middle) == order).collect();
        columns.first().copied().map(|column| net(column, columns))
    };
    [Ordering::Less, Ordering::Equal, Ordering::Greater].into_iter().filter_map(part).collect()
}

fn count<T>(of: &[T]) -> i64 {
    i64::try_from(of.len().max(1)).unwrap_or(i64::MAX)
}
