//! One channel: the rows between two layers, where edges turn. Each net has a horizontal track there.
//!
//! This is the channel routing of circuit boards: tracks by the constrained left-edge method, a cycle of
//! vertical constraints broken by a dogleg (Hashimoto & Stevens, "Wire Routing by Optimizing Channel
//! Assignment", 1971; Deutsch, "A Dogleg Channel Router", 1976).

use super::Table;
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, HashSet};

/// Lines that belong together: each of them may be followed to each of the others.
#[derive(Debug, Clone, Default)]
pub(super) struct Net {
    /// The columns where it comes from above.
    pub(super) ups: Vec<i64>,
    /// The columns where it leaves below.
    pub(super) downs: Vec<i64>,
    /// The column where it goes on as another net, further down.
    pub(super) dogleg: Option<i64>,
    /// The row of its horizontal line, from 1; 0 without one.
    pub(super) track: i64,
}

impl Net {
    pub(super) fn ends(&self) -> (i64, i64) {
        let columns = || self.ups.iter().chain(&self.downs).chain(&self.dogleg).copied();
        (columns().min().unwrap_or(0), columns().max().unwrap_or(0))
    }

    fn is_straight(&self) -> bool {
        self.ends().0 == self.ends().1
    }

    /// Where a line comes from above and leaves below in the middle of the track: it would look like a
    /// crossing.
    pub(super) fn ambiguity(&self) -> Option<i64> {
        let (left, right) = self.ends();
        let downs: HashSet<&i64> = self.downs.iter().collect();
        self.ups.iter().copied().find(|up| left < *up && *up < right && downs.contains(up))
    }

    /// The greatest goes first, so on top. That makes few crossings: of the nets to the right the
    /// rightmost goes first, of the others the leftmost.
    fn priority(&self) -> (bool, i64) {
        let mean =
            |columns: &[i64]| columns.iter().sum::<i64>() / i64::try_from(columns.len().max(1)).unwrap_or(1);
        let (up, down) = (mean(&self.ups), mean(&self.downs));
        if up <= down { (true, up) } else { (false, -up) }
    }
}

/// Gives each net its track; a net with a dogleg is followed by one for the rest. Tells the number of
/// tracks; nothing if they are more than `most`. Doglegs keep off the columns in `taken`.
pub(super) fn assign_tracks(nets: &mut Table<Net>, mut taken: HashSet<i64>, most: i64) -> Option<i64> {
    taken.extend(nets.iter().flat_map(|net| net.ups.iter().chain(&net.downs)));
    let mut then: Table<Vec<usize>> = Table::new(nets.len());
    for index in 0..nets.len() {
        if nets[index].ambiguity().is_some() {
            let rest = cut(nets, index, &mut taken);
            then[index].push(rest);
        }
    }
    // In one column, the line from above must end before the line to below begins.
    let above: HashMap<i64, usize> = columns(nets, |net| &net.ups).collect();
    for (column, lower) in columns(nets, |net| &net.downs) {
        if let Some(&upper) = above.get(&column).filter(|upper| **upper != lower) {
            then[upper].push(lower);
        }
    }
    let mut waits: Table<usize> = Table::new(nets.len());
    then.iter().flatten().for_each(|&lower| waits[lower] += 1);
    let is_ready = |index: &usize| !nets[*index].is_straight() && waits[*index] == 0;
    let mut ready: BinaryHeap<_> =
        (0..nets.len()).filter(is_ready).map(|i| (nets[i].priority(), Reverse(i))).collect();
    let mut rests: HashMap<usize, usize> = HashMap::new();
    let mut skyline: Table<i64> = Table::new(0);
    let mut tracks = 0;
    let mut oldest = 0;
    loop {
        while let Some((_, Reverse(index))) = ready.pop() {
            let (left, right) = nets[index].ends();
            let (left, right) = (usize::try_from(left).unwrap_or(0), usize::try_from(right).unwrap_or(0));
            skyline.grow(right + 2);
            let track =
                1 + (left.saturating_sub(1)..=right + 1).map(|column| skyline[column]).max().unwrap_or(0);
            (left..=right).for_each(|column| skyline[column] = track);
            nets[index].track = track;
            tracks = tracks.max(track);
            if tracks > most {
                return None;
            }
            for lower in &then[index] {
                let lower = *rests.get(lower).unwrap_or(lower);
                waits[lower] -= 1;
                if waits[lower] == 0 {
                    ready.push((nets[lower].priority(), Reverse(lower)));
                }
            }
        }
        // Those that still wait wait for each other. The upper half of one needs to wait for nobody.
        let Some(stuck) = (oldest..nets.len())
            .find(|&i| nets[i].track == 0 && nets[i].dogleg.is_none() && !nets[i].is_straight())
        else {
            return Some(tracks);
        };
        oldest = stuck;
        let rest = cut(nets, stuck, &mut taken);
        rests.insert(stuck, rest);
        waits.grow(nets.len());
        waits[rest] = std::mem::take(&mut waits[stuck]) + 1;
        then.grow(nets.len());
        then[stuck].push(rest);
        ready.push((nets[stuck].priority(), Reverse(stuck)));
    }
}

/// Cuts a net in two, at a column of its own. The upper part stays; tells the lower one.
fn cut(nets: &mut Table<Net>, index: usize, taken: &mut HashSet<i64>) -> usize {
    let (left, right) = nets[index].ends();
    let middle = (left + right) / 2;
    let near = (0..).flat_map(|offset| [middle - offset, middle + offset]);
    let column = near.filter(|column| *column >= 0).find(|column| taken.insert(*column));
    let downs = std::mem::take(&mut nets[index].downs);
    nets[index].dogleg = column;
    nets.push(Net { downs, dogleg: column, ..Net::default() })
}

fn columns<'a>(
    nets: &'a Table<Net>,
    of: impl Fn(&'a Net) -> &'a [i64],
) -> impl Iterator<Item = (i64, usize)> {
    nets.iter().enumerate().flat_map(move |(index, net)| of(net).iter().map(move |column| (*column, index)))
}
