//! Layers in which the edges are as short as can be in sum, by the network simplex method of Gansner, Koutsofios, North &
//! Vo, "A Technique for Drawing Directed Graphs" (1993).
//!
//! A spanning tree of edges between adjacent layers holds the steps together. An edge of the tree that more edges would
//! rather have longer than shorter is replaced by the shortest one that keeps the rest together, until there is none.

use super::Table;

/// Larger graphs keep the layers they have.
const MAX_SIZE: usize = 4_000;

struct Edge {
    from: usize,
    to: usize,
    in_tree: bool,
}

struct Simplex<'a> {
    level: &'a mut Table<usize>,
    edges: Vec<Edge>,
    /// The edges at each step.
    near: Table<Vec<usize>>,
}

/// Moves steps between layers. No edge leads upwards before or after.
pub(super) fn shorten(level: &mut Table<usize>, down: &Table<Vec<usize>>) {
    let edges =
        down.rows.iter().enumerate().flat_map(|(from, downs)| downs.iter().map(move |&to| (from, to)));
    let edges: Vec<Edge> = edges.map(|(from, to)| Edge { from, to, in_tree: false }).collect();
    if edges.is_empty() || edges.len() > MAX_SIZE {
        return;
    }
    let mut near: Table<Vec<usize>> = Table::new(level.rows.len());
    for (index, edge) in edges.iter().enumerate() {
        near[edge.from].push(index);
        near[edge.to].push(index);
    }
    let mut simplex = Simplex { level, edges, near };
    simplex.hold_together();
    for _ in 0..simplex.edges.len() {
        if !simplex.pivot() {
            break;
        }
    }
    simplex.start_at_zero();
}

impl Simplex<'_> {
    fn slack(&self, edge: &Edge) -> usize {
        self.level[edge.to] - self.level[edge.from] - 1
    }

    /// Makes a spanning tree of each connected part: grows it along edges without slack, and moves all of it where there is
    /// none.
    fn hold_together(&mut self) {
        let mut part: Table<usize> = Table::new(self.level.rows.len());
        for root in 0..self.level.rows.len() {
            if part[root] > 0 || self.near[root].is_empty() {
                continue;
            }
            let mut tree = vec![root];
            part[root] = root + 1;
            let mut next = 0;
            loop {
                while let Some(&step) = tree.get(next) {
                    next += 1;
                    for at in 0..self.near[step].len() {
                        let index = self.near[step].get(at).copied().unwrap_or(0);
                        let Some(edge) = self.edges.get(index) else { continue };
                        let other = if edge.from == step { edge.to } else { edge.from };
                        if part[other] == 0 && self.slack(edge) == 0 {
                            part[other] = root + 1;
                            tree.push(other);
                            self.edges.get_mut(index).into_iter().for_each(|edge| edge.in_tree = true);
                        }
                    }
                }
                let leaving =
                    tree.iter().flat_map(|&step| &self.near[step]).filter_map(|&index| self.edges.get(index));
                let leaving = leaving.filter(|edge| (part[edge.from] == 0) != (part[edge.to] == 0));
                let Some(edge) = leaving.min_by_key(|edge| self.slack(edge)) else { break };
                let (slack, downwards) = (self.slack(edge), part[edge.from] > 0);
                self.shift(tree.iter().copied(), slack, downwards);
                next = 0;
            }
        }
    }

    fn shift(&mut self, steps: impl Iterator<Item = usize>, by: usize, downwards: bool) {
        // There is no layer above the first, so the rest moves instead.
        let mut moved: Table<bool> = Table::new(self.level.rows.len());
        steps.for_each(|step| moved[step] = true);
        for step in 0..self.level.rows.len() {
            if moved[step] == downwards {
                self.level[step] += by;
            }
        }
    }

    /// Replaces an edge of the tree. False if none should be.
    fn pivot(&mut self) -> bool {
        let count = self.level.rows.len();
        // The tree in the order of a search: each step's parent stands before it.
        let mut parent: Table<Option<usize>> = Table::new(count);
        let mut order = Vec::new();
        let mut seen: Table<bool> = Table::new(count);
        for root in 0..count {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let mut next = order.len();
            order.push(root);
            while let Some(&step) = order.get(next) {
                next += 1;
                for (&index, edge) in
                    self.near[step].iter().filter_map(|index| Some((index, self.edges.get(*index)?)))
                {
                    let other = if edge.from == step { edge.to } else { edge.from };
                    if edge.in_tree && !std::mem::replace(&mut seen[other], true) {
                        parent[other] = Some(index);
                        order.push(other);
                    }
                }
            }
        }
        // How many more edges leave the steps below an edge of the tree than lead to them.
        let mut balance: Table<i64> = Table::new(count);
        for edge in &self.edges {
            balance[edge.from] += 1;
            balance[edge.to] -= 1;
        }
        let mut worst = (0, None);
        for &step in order.iter().rev() {
            let Some(index) = parent[step] else { continue };
            let Some(edge) = self.edges.get(index) else { continue };
            let (value, above) =
                if edge.from == step { (balance[step], edge.to) } else { (-balance[step], edge.from) };
            if value < worst.0 {
                worst = (value, Some((index, step)));
            }
            balance[above] += balance[step];
        }
        let Some((leaves, below)) = worst.1 else { return false };
        let mut inside: Table<bool> = Table::new(count);
        inside[below] = true;
        for &step in &order {
            if let Some(edge) = parent[step].and_then(|index| self.edges.get(index)) {
                let above = if edge.from == step { edge.to } else { edge.from };
                inside[step] |= inside[above];
            }
        }
        let upwards = self.edges.get(leaves).is_some_and(|edge| inside[edge.from]);
        let enters = self
            .edges
            .iter()
            .enumerate()
            .filter(|(_, edge)| inside[edge.from] != upwards && inside[edge.to] == upwards);
        let Some((enters, slack)) =
            enters.map(|(index, edge)| (index, self.slack(edge))).min_by_key(|enters| enters.1)
        else {
            return false;
        };
        for (index, in_tree) in [(leaves, false), (enters, true)] {
            self.edges.get_mut(index).into_iter().for_each(|edge| edge.in_tree = in_tree);
        }
        // The tail of the edge that leaves moves up.
        let steps: Vec<usize> = (0..count).filter(|&step| inside[step]).collect();
        self.shift(steps.into_iter(), slack, !upwards);
        true
    }

    /// Moves each connected part to the first layer.
    fn start_at_zero(&mut self) {
        let count = self.level.rows.len();
        let mut seen: Table<bool> = Table::new(count);
        for root in 0..count {
            if std::mem::replace(&mut seen[root], true) {
                continue;
            }
            let mut part = vec![root];
            let mut next = 0;
            while let Some(&step) = part.get(next) {
                next += 1;
                for edge in self.near[step].iter().filter_map(|&index| self.edges.get(index)) {
                    let other = if edge.from == step { edge.to } else { edge.from };
                    if !std::mem::replace(&mut seen[other], true) {
                        part.push(other);
                    }
                }
            }
            let first = part.iter().map(|&step| self.level[step]).min().unwrap_or(0);
            part.iter().for_each(|&step| self.level[step] -= first);
        }
    }
}
