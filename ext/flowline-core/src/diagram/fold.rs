//! Folds what is alike, or in a row, until a picture can be read: few enough boxes, and neither too wide nor too high.
//!
//! In this order: branches between the same steps, steps in a row, nested pipelines, and at last any neighbours. Steps
//! that deserve attention, such as those that failed, are not folded with others.

use super::view::{Kind, View};
use super::{Diagram, Table, scene::Scene};
use std::collections::BTreeMap;

/// The most boxes of a picture.
const MAX_CELLS: usize = 200;
/// A picture is at most this many times as wide as high, or as high as wide.
const RATIO: i64 = 3;
/// A picture whose longer side has at most this many pixels gets margins instead of folds.
const SMALL: i64 = 1440;
/// This many branches are folded, or steps in a row.
const MIN_FAN: usize = 3;
const MIN_CHAIN: usize = 4;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Misfit {
    Many,
    Wide,
    High,
}

/// The view of a diagram that fits, and where everything is in it.
pub(super) fn fold(diagram: &Diagram) -> (View, Scene) {
    let mut view = View::new(diagram);
    // How much of the room a draft may use: the drawing itself may need more.
    let mut room = 100;
    loop {
        while let Some(misfit) = misfit(&view, Scene::new(diagram, &view, true).ok().as_ref(), room) {
            match reduce(&view, misfit) {
                Some(smaller) => view = smaller,
                None => break,
            }
        }
        let scene = Scene::new(diagram, &view, false).ok();
        let again = misfit(&view, scene.as_ref(), 100);
        match (scene, again) {
            (Some(scene), None) => return (view, framed(scene)),
            (scene, Some(misfit)) => match reduce(&view, misfit) {
                Some(smaller) => (view, room) = (smaller, (room * 4 / 5).max(20)),
                None => return (view, framed(scene.unwrap_or_default())),
            },
            (None, None) => return (view, Scene::default()),
        }
    }
}

/// The diagram as it is, without folds.
pub(super) fn whole(diagram: &Diagram) -> Result<(View, Scene), super::TooLarge> {
    let view = View::new(diagram);
    let scene = Scene::new(diagram, &view, false)?;
    Ok((view, scene))
}

fn misfit(view: &View, scene: Option<&Scene>, room: i64) -> Option<Misfit> {
    let Some(scene) = scene.filter(|_| view.cells.len() <= MAX_CELLS) else { return Some(Misfit::Many) };
    let too_long = |long: i64, short: i64| long * 100 > (RATIO * short).max(SMALL) * room;
    if too_long(scene.width, scene.height) {
        Some(Misfit::Wide)
    } else if too_long(scene.height, scene.width) {
        Some(Misfit::High)
    } else {
        None
    }
}

/// Margins for what is still too long.
fn framed(mut scene: Scene) -> Scene {
    let width = scene.width.max((scene.height + RATIO - 1) / RATIO);
    let height = scene.height.max((scene.width + RATIO - 1) / RATIO);
    scene.centre(width, height);
    scene
}

/// A view with fewer cells. `None` if only one would be left.
fn reduce(view: &View, misfit: Misfit) -> Option<View> {
    let mut fans = if misfit == Misfit::High { Vec::new() } else { fans(view) };
    let mut rows = if misfit == Misfit::Wide { Vec::new() } else { chains(view) };
    // The largest are enough where a few are; all of them where there is far too much.
    for sets in [&mut fans, &mut rows] {
        sets.sort_by_key(|(set, _)| std::cmp::Reverse(set.len()));
        let excess = view.cells.len().saturating_sub(MAX_CELLS);
        let mut saved = 0;
        sets.retain(|(set, _)| {
            let wanted = saved <= excess;
            saved += set.len() - 1;
            wanted
        });
    }
    [fans, rows]
        .into_iter()
        .find_map(|sets| folded(view, sets))
        .or_else(|| groups(view))
        .or_else(|| parts(view, misfit))
}

/// Folds the sets, or as many of them as can be.
fn folded(view: &View, sets: Vec<(Vec<usize>, Kind)>) -> Option<View> {
    if sets.is_empty() {
        return None;
    }
    let kinds: Vec<Kind> = sets.iter().map(|(_, kind)| *kind).collect();
    let cells: Vec<Vec<usize>> = sets.into_iter().map(|(set, _)| set).collect();
    view.fold(&cells, |set| kinds.get(set).copied().unwrap_or(Kind::Part))
}

/// Paths of cells of one group that nothing leads into or out of between their ends.
fn paths(view: &View) -> Vec<Vec<usize>> {
    let group = |cell: usize| view.cells.get(cell).and_then(|cell| cell.group);
    let alone = |ends: &[usize]| if let [end] = ends { Some(*end) } else { None };
    let next = |cell: usize| {
        alone(&view.down[cell]).filter(|&next| view.up[next].len() == 1 && group(next) == group(cell))
    };
    let starts = (0..view.cells.len()).filter(|&cell| alone(&view.up[cell]).and_then(next).is_none());
    starts
        .map(|start| {
            let mut path = vec![start];
            let mut last = start;
            while let Some(cell) = next(last) {
                path.push(cell);
                last = cell;
            }
            path
        })
        .collect()
}

/// Branches: paths between the same cells.
fn fans(view: &View) -> Vec<(Vec<usize>, Kind)> {
    let mut alike: BTreeMap<_, Vec<Vec<usize>>> = BTreeMap::new();
    for path in paths(view) {
        let (Some(&first), Some(&last)) = (path.first(), path.last()) else { continue };
        let stands_out = path.iter().any(|&cell| view.cells.get(cell).is_some_and(|cell| cell.stands_out));
        let group = view.cells.get(first).and_then(|cell| cell.group);
        let (mut ups, mut downs) = (view.up[first].clone(), view.down[last].clone());
        ups.sort_unstable();
        downs.sort_unstable();
        alike.entry((ups, downs, group, path.len(), stands_out)).or_default().push(path);
    }
    let fans = alike.into_values().filter(|paths| paths.len() >= MIN_FAN);
    fans.map(|paths| (paths.concat(), Kind::Fan(paths.len())))
        .filter(|(fan, _)| fan.len() < view.cells.len())
        .collect()
}

/// Rows: what stands between the ends of long paths, unless it stands out.
fn chains(view: &View) -> Vec<(Vec<usize>, Kind)> {
    let stands_out = |cell: &usize| view.cells.get(*cell).is_some_and(|cell| cell.stands_out);
    let mut chains = Vec::new();
    for path in paths(view).into_iter().filter(|path| path.len() >= MIN_CHAIN) {
        let inner = path.get(1..path.len() - 1).unwrap_or(&[]);
        let rows = inner.split(stands_out).filter(|row| row.len() > 1);
        chains.extend(rows.map(|row| (row.to_vec(), Kind::Chain)));
    }
    chains
}

/// Folds the largest of the innermost frames.
fn groups(view: &View) -> Option<View> {
    let mut inner: Table<bool> = (0..view.parents.len()).map(|_| true).collect();
    let mut members: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for index in 0..view.cells.len() {
        let frames = view.frames_of(index);
        frames.iter().rev().skip(1).for_each(|&outer| inner[outer] = false);
        frames.last().into_iter().for_each(|&group| members.entry(group).or_default().push(index));
    }
    let mut candidates: Vec<_> = members.into_iter().filter(|(group, _)| inner[*group]).collect();
    candidates.sort_by_key(|(_, cells)| std::cmp::Reverse(cells.len()));
    // All that are as large are folded at once: they are often instances of one pipeline.
    let largest = candidates.first().map_or(0, |(_, cells)| cells.len());
    candidates.retain(|(_, cells)| cells.len() == largest);
    let sets: Vec<Vec<usize>> = candidates.iter().map(|(_, cells)| cells.clone()).collect();
    let group = |set: usize| candidates.get(set).map_or(0, |(group, _)| *group);
    if sets.is_empty() {
        return None;
    }
    let mut folded = view.fold(&sets, |set| Kind::Group(group(set)))?;
    for cell in &mut folded.cells {
        if let Kind::Group(group) = cell.kind {
            if cell.group == Some(group) {
                cell.group = view.parents.get(group).copied().flatten();
            }
        }
    }
    Some(folded)
}

/// Folds neighbours: in the layers that have most, or what is connected in each two layers.
fn parts(view: &View, misfit: Misfit) -> Option<View> {
    let level = view.levels()?;
    let mut layers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    (0..view.cells.len()).for_each(|cell| layers.entry(level[cell]).or_default().push(cell));
    let most = layers.values().map(Vec::len).max().unwrap_or(0);
    let in_layers = match misfit {
        Misfit::Wide => true,
        Misfit::High => false,
        Misfit::Many => most >= layers.len(),
    };
    let mut sets = if in_layers && most > 1 {
        neighbours(view, layers.into_values().filter(|layer| layer.len() * 4 > most * 3 && layer.len() > 1))
    } else {
        connected(view, &level)
    };
    if misfit == Misfit::Many {
        sets.truncate(view.cells.len().saturating_sub(MAX_CELLS).max(1));
    }
    view.fold(&sets, |_| Kind::Part).or_else(|| {
        // Nothing is connected, or a fold would make a circle: any two layers, then.
        let pairs = (0..view.cells.len() / 2).map(|pair| vec![2 * pair, 2 * pair + 1]).collect::<Vec<_>>();
        view.fold(&pairs, |_| Kind::Part)
    })
}

/// Pairs of cells that stand side by side if each stands near the cells above it.
fn neighbours(view: &View, layers: impl Iterator<Item = Vec<usize>>) -> Vec<Vec<usize>> {
    let mut sets = Vec::new();
    for mut layer in layers {
        let key = |cell: &usize| {
            let ends = if view.up[*cell].is_empty() { &view.down[*cell] } else { &view.up[*cell] };
            let alone = view.cells.get(*cell).is_some_and(|cell| cell.stands_out);
            (alone, 2 * ends.iter().sum::<usize>() / ends.len().max(1), *cell)
        };
        layer.sort_by_key(key);
        sets.extend(layer.chunks(2).filter(|pair| pair.len() > 1).map(<[usize]>::to_vec));
    }
    sets
}

/// The connected parts within each two layers.
fn connected(view: &View, level: &Table<usize>) -> Vec<Vec<usize>> {
    let mut owner: Table<usize> = (0..view.cells.len()).collect();
    let find = |owner: &mut Table<usize>, mut cell: usize| {
        while owner[cell] != cell {
            owner[cell] = owner[owner[cell]];
            cell = owner[cell];
        }
        cell
    };
    for (from, to) in view.edges().filter(|&(from, to)| level[from] / 2 == level[to] / 2) {
        let (one, other) = (find(&mut owner, from), find(&mut owner, to));
        owner[one.max(other)] = one.min(other);
    }
    let mut sets: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for cell in 0..view.cells.len() {
        sets.entry(find(&mut owner, cell)).or_default().push(cell);
    }
    sets.into_values().filter(|set| set.len() > 1).collect()
}
