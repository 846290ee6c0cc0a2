//! Edges that may be drawn as one: those of a single item, or of all the items that lead to the very same
//! ones. (Drawing complete bipartite parts as one line is known as edge concentration: Newbery, "Edge
//! Concentration", 1989.)

use super::Table;
use super::layers::{Kind, Layered};
use std::collections::HashMap;

/// All the items of `sources` lead to all the items of `targets`, in the next layer.
#[derive(Debug, Clone, Default)]
pub(super) struct Bundle {
    pub(super) sources: Vec<usize>,
    pub(super) targets: Vec<usize>,
    /// The column in which it reaches each of the targets.
    pub(super) ports: Vec<i64>,
    /// One of the targets is reached by another bundle too.
    pub(super) shares: bool,
}

impl Bundle {
    pub(super) fn is_single(&self) -> bool {
        self.sources.len() == 1 && self.targets.len() == 1
    }
}

impl Layered {
    /// The edges into a layer.
    pub(super) fn bundles(&self, layer: usize) -> Table<Bundle> {
        let mut bundles: Table<Bundle> = Table::new(0);
        let mut known: HashMap<Vec<usize>, usize> = HashMap::new();
        let sources = layer.checked_sub(1).map(|layer| self.layers[layer].as_slice()).unwrap_or_default();
        for &source in sources.iter().filter(|&&source| !self.down[source].is_empty()) {
            let mut targets = self.down[source].clone();
            targets.sort_unstable();
            let at = *known.entry(targets).or_insert_with_key(|targets| {
                bundles.push(Bundle { targets: targets.clone(), ..Bundle::default() })
            });
            bundles[at].sources.push(source);
        }
        bundles
    }

    /// Makes the boxes wide enough for the lines that arrive side by side.
    pub(super) fn make_room(&mut self) {
        let mut lines: Table<i64> = Table::new(self.items.len());
        for layer in 0..self.layers.len() {
            self.bundles(layer)
                .iter()
                .flat_map(|bundle| &bundle.targets)
                .for_each(|&target| lines[target] += 1);
        }
        for (item, lines) in
            self.items.iter_mut().zip(lines.iter()).filter(|(item, _)| item.kind == Kind::Box)
        {
            (item.left, item.right) = (item.left.max(*lines), item.right.max(*lines));
        }
    }
}
