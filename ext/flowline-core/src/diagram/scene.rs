//! Where everything of a picture is: a layered drawing within each frame, from the innermost to the outermost.
//!
//! A frame is one box in the drawing around it. A line that leads into a frame is cut at its border: within the frame it
//! leads from the border's port to the step, outside from the other step to the port.

use super::layers::{Layered, Link};
use super::view::View;
use super::{Diagram, Table, TooLarge, place};
use std::collections::{BTreeMap, BTreeSet};
use unicode_width::UnicodeWidthStr;

/// The width of a column in pixels: a character of a monospaced font of 13 pixels.
pub(super) const COLUMN: i64 = 8;
/// The height of a line of text in a box.
pub(super) const LINE: i64 = 17;
/// A box of text is higher than its lines by this.
const PADDING: i64 = 15;
/// The height of the space between two layers, which grows with the width of the lines in it.
const CHANNEL: i64 = 34;
/// The height of the title of a frame, and of the space below the steps in it.
pub(super) const TITLE: i64 = 26;
const FOOT: i64 = 10;
/// The space between a frame's border and what is in it, in columns.
const SIDE: i64 = 2;
/// The space around the whole.
const MARGIN: i64 = 12;

/// A box or a frame.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Rectangle {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) width: i64,
    pub(super) height: i64,
}

/// A line from one cell to another: through each of its points, downwards.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) points: Vec<(i64, i64)>,
}

/// A picture's geometry, in pixels.
#[derive(Debug, Clone, Default)]
pub(super) struct Scene {
    pub(super) width: i64,
    pub(super) height: i64,
    /// By cell.
    pub(super) boxes: Vec<Rectangle>,
    /// Groups, an outer one before the inner ones.
    pub(super) frames: Vec<(usize, Rectangle)>,
    pub(super) lines: Vec<Line>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Child {
    Cell(usize),
    Frame(usize),
}

/// The part of an edge that is within one frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Across(usize, usize),
    Enter(usize),
    Exit(usize),
}

/// The content of one frame, relative to its upper left corner.
#[derive(Default)]
struct Level {
    width: i64,
    height: i64,
    children: Vec<(Child, Rectangle)>,
    routes: Vec<(Part, Vec<(i64, i64)>)>,
    /// Where lines come in and go out, by the cell they lead to or come from.
    enter: BTreeMap<usize, i64>,
    exit: BTreeMap<usize, i64>,
}

impl Scene {
    /// Lays out a view. A draft has the right size, more or less, and is made in a fraction of the time.
    pub(super) fn new(diagram: &Diagram, view: &View, draft: bool) -> Result<Self, TooLarge> {
        let sizes: Vec<(i64, i64)> = view
            .cells
            .iter()
            .map(|cell| {
                let lines = view.lines(diagram, cell);
                let columns = lines.iter().map(|line| line.width()).max().unwrap_or(0);
                (odd(columns as i64 + 3), lines.len() as i64 * LINE + PADDING)
            })
            .collect();
        let mut levels: BTreeMap<usize, Level> = BTreeMap::new();
        let (children, links) = parts(view);
        // An inner group stands behind the outer ones.
        for (group, children) in children.iter().rev() {
            let links = links.get(group);
            let level = Level::new(diagram, *group, children, links, &sizes, &levels, draft)?;
            levels.insert(group.unwrap_or(usize::MAX), level);
        }
        Ok(Self::assemble(view, &sizes, &levels))
    }

    /// Moves everything to its place in the whole, and joins the parts of each line.
    fn assemble(view: &View, sizes: &[(i64, i64)], levels: &BTreeMap<usize, Level>) -> Self {
        let mut scene = Self { boxes: vec![Rectangle::default(); sizes.len()], ..Self::default() };
        let Some(top) = levels.get(&usize::MAX) else { return scene };
        (scene.width, scene.height) = (top.width + 2 * MARGIN, top.height + 2 * MARGIN);
        let mut across: BTreeMap<(usize, usize), Vec<(i64, i64)>> = BTreeMap::new();
        // By cell, and by the frame that the line crosses.
        let mut enter: BTreeMap<(usize, usize), Vec<(i64, i64)>> = BTreeMap::new();
        let mut exit = enter.clone();
        let mut stack = vec![(usize::MAX, top, MARGIN, MARGIN)];
        while let Some((frame, level, x, y)) = stack.pop() {
            for &(child, rectangle) in &level.children {
                let at = Rectangle { x: rectangle.x + x, y: rectangle.y + y, ..rectangle };
                match child {
                    Child::Cell(cell) => scene.boxes.get_mut(cell).into_iter().for_each(|slot| *slot = at),
                    Child::Frame(group) => {
                        scene.frames.push((group, at));
                        stack.extend(levels.get(&group).map(|inner| (group, inner, at.x, at.y)));
                    }
                }
            }
            for (part, points) in &level.routes {
                let points: Vec<_> = points.iter().map(|point| (point.0 + x, point.1 + y)).collect();
                match *part {
                    Part::Across(from, to) => _ = across.insert((from, to), points),
                    Part::Enter(to) => _ = enter.insert((to, frame), points),
                    Part::Exit(from) => _ = exit.insert((from, frame), points),
                }
            }
        }
        for (from, to) in view.edges() {
            let Some(middle) = across.get(&(from, to)) else { continue };
            let (outside, inside) = (view.frames_of(from), view.frames_of(to));
            let shared = outside.iter().zip(&inside).take_while(|(one, other)| one == other).count();
            let exits = outside.iter().skip(shared).rev().filter_map(|&frame| exit.get(&(from, frame)));
            let enters = inside.iter().skip(shared).filter_map(|&frame| enter.get(&(to, frame)));
            let mut points: Vec<(i64, i64)> =
                exits.chain([middle]).chain(enters).flatten().copied().collect();
            points.dedup();
            scene.lines.push(Line { from, to, points });
        }
        scene
    }

    /// Moves everything to the middle of a larger area.
    pub(super) fn centre(&mut self, width: i64, height: i64) {
        let (x, y) = ((width - self.width) / 2, (height - self.height) / 2);
        for rectangle in self.boxes.iter_mut().chain(self.frames.iter_mut().map(|(_, frame)| frame)) {
            rectangle.x += x;
            rectangle.y += y;
        }
        for point in self.lines.iter_mut().flat_map(|line| &mut line.points) {
            *point = (point.0 + x, point.1 + y);
        }
        (self.width, self.height) = (width, height);
    }
}

/// The content of each group, and the parts of edges there. The outermost group is `None`.
#[expect(clippy::type_complexity, reason = "two maps of one key")]
fn parts(view: &View) -> (BTreeMap<Option<usize>, Vec<Child>>, BTreeMap<Option<usize>, BTreeSet<Part>>) {
    let mut children: BTreeMap<Option<usize>, Vec<Child>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    children.insert(None, Vec::new());
    for index in 0..view.cells.len() {
        let frames = view.frames_of(index);
        for (at, &group) in
            frames.iter().enumerate().filter(|&(_, group)| seen.insert(*group)).collect::<Vec<_>>()
        {
            let outer = at.checked_sub(1).and_then(|at| frames.get(at)).copied();
            children.entry(outer).or_default().push(Child::Frame(group));
        }
        children.entry(frames.last().copied()).or_default().push(Child::Cell(index));
    }
    let mut links: BTreeMap<Option<usize>, BTreeSet<Part>> = BTreeMap::new();
    for (from, to) in view.edges() {
        let (outside, inside) = (view.frames_of(from), view.frames_of(to));
        let shared = outside.iter().zip(&inside).take_while(|(one, other)| one == other).count();
        let common = shared.checked_sub(1).and_then(|last| outside.get(last)).copied();
        links.entry(common).or_default().insert(Part::Across(from, to));
        for &group in outside.iter().skip(shared) {
            links.entry(Some(group)).or_default().insert(Part::Exit(from));
        }
        for &group in inside.iter().skip(shared) {
            links.entry(Some(group)).or_default().insert(Part::Enter(to));
        }
    }
    (children, links)
}

impl Level {
    fn new(
        diagram: &Diagram,
        group: Option<usize>,
        children: &[Child],
        parts: Option<&BTreeSet<Part>>,
        sizes: &[(i64, i64)],
        levels: &BTreeMap<usize, Self>,
        draft: bool,
    ) -> Result<Self, TooLarge> {
        let plan = Plan::new(group, children, parts, levels);
        let size = |child: &Child| match *child {
            Child::Cell(cell) => sizes.get(cell).copied().unwrap_or_default(),
            Child::Frame(group) => {
                levels.get(&group).map_or((0, 0), |level| (level.width / COLUMN, level.height))
            }
        };
        let sizes: Vec<(i64, i64)> = children.iter().map(size).collect();
        let ports = if group.is_some() { 2 } else { 0 };
        let widths: Table<usize> =
            sizes.iter().map(|size| size.0 as usize).chain((0..ports).map(|_| 0)).collect();
        // Boxes without lines fill an area that is twice as wide as it is high.
        let total: i64 = sizes.iter().map(|size| (size.0 + 2) * COLUMN * (size.1 + CHANNEL)).sum();
        let wrap = (((2 * total) as f64).sqrt() as i64 / COLUMN).max(40);
        let graph = Layered::new(widths, &plan.links, wrap as usize)?;
        let (graph, x) = if draft {
            let x = packed(&graph);
            (graph, x)
        } else {
            let graph = graph.sort();
            let x = place::columns(&graph);
            (graph, x)
        };
        let mut level = Self::default();
        level.arrange(&graph, &x, children, &sizes);
        level.draw(&graph, &x, &plan, levels);
        if let Some(label) = group.and_then(|group| diagram.groups.get(group)) {
            let title = super::view::fit(&label.label, 30).width() as i64;
            level.width = level.width.max(COLUMN * odd(title + 3));
        }
        level.width = COLUMN * odd((level.width + COLUMN - 1) / COLUMN);
        Ok(level)
    }

    /// Gives each child its rectangle, and each item of a layer its top and bottom.
    fn arrange(&mut self, graph: &Layered, x: &Table<usize>, children: &[Child], sizes: &[(i64, i64)]) {
        self.children = children.iter().map(|&child| (child, Rectangle::default())).collect();
        let (bands, side) = (bands(graph, x, sizes), side(graph, sizes));
        for (layer, items) in graph.layers.rows.iter().enumerate() {
            let (top, bottom) = bands.get(layer).copied().unwrap_or_default();
            for &item in items {
                let (Some(&(width, height)), Some(slot)) = (sizes.get(item), self.children.get_mut(item))
                else {
                    continue;
                };
                let left = (x[item] as i64 - width / 2 + side) * COLUMN;
                slot.1 = Rectangle {
                    x: left,
                    y: top + (bottom - top - height) / 2,
                    width: width * COLUMN,
                    height,
                };
            }
        }
        let right = self.children.iter().map(|(_, at)| at.x + at.width);
        let lines = x.rows.iter().skip(sizes.len()).map(|&x| (x as i64 + 1 + side) * COLUMN);
        self.width = right.chain(lines).max().unwrap_or(0) + side * COLUMN;
        self.height = bands.last().map_or(0, |band| band.1);
    }

    /// Leads each line along the items that it passes.
    fn draw(&mut self, graph: &Layered, x: &Table<usize>, plan: &Plan, levels: &BTreeMap<usize, Self>) {
        let sizes: Vec<(i64, i64)> =
            self.children.iter().map(|(_, at)| (at.width / COLUMN, at.height)).collect();
        let bands = bands(graph, x, &sizes);
        let mut layer_of: Table<usize> = Table::new(x.rows.len());
        for (layer, items) in graph.layers.rows.iter().enumerate() {
            items.iter().for_each(|&item| layer_of[item] = layer);
        }
        let side = side(graph, &sizes);
        let port = |item: usize, cell: usize, enters: bool| {
            let Some((child, at)) = self.children.get(item) else {
                return (x[item] as i64 + side) * COLUMN + COLUMN / 2;
            };
            let inner = match child {
                Child::Frame(group) => levels.get(group),
                Child::Cell(_) => None,
            };
            let offset =
                inner.and_then(|level| if enters { level.enter.get(&cell) } else { level.exit.get(&cell) });
            at.x + offset.copied().unwrap_or(at.width / 2)
        };
        let mut routes = Vec::new();
        let (mut enter, mut exit) = (BTreeMap::new(), BTreeMap::new());
        for (part, route) in plan.parts.iter().zip(&graph.routes).filter(|(_, route)| route.len() > 1) {
            let (from, to) = match *part {
                Part::Across(from, to) => (from, to),
                Part::Enter(to) => (usize::MAX, to),
                Part::Exit(from) => (from, usize::MAX),
            };
            let last = route.len() - 1;
            let mut points = Vec::new();
            for (at, &item) in route.iter().enumerate() {
                let (top, bottom) = bands.get(layer_of[item]).copied().unwrap_or_default();
                let rectangle = self.children.get(item).map(|child| child.1);
                let column = if at == last { port(item, to, true) } else { port(item, from, false) };
                if at > 0 {
                    points.push((column, top));
                }
                points.push(match rectangle {
                    Some(child) if at == last => (column, child.y),
                    Some(child) => (column, child.y + child.height),
                    None => (column, if at == last { bottom } else { top }),
                });
                if at < last {
                    points.push((column, bottom));
                }
            }
            // A port is where the line next to it is.
            match *part {
                Part::Across(..) => {}
                Part::Enter(to) => {
                    let column = points.get(2).map_or(0, |point| point.0);
                    points.splice(..2, [(column, 0)]);
                    enter.insert(to, column);
                }
                Part::Exit(from) => {
                    let column = points.iter().rev().nth(2).map_or(0, |point| point.0);
                    points.truncate(points.len() - 2);
                    points.push((column, self.height));
                    exit.insert(from, column);
                }
            }
            points.dedup();
            routes.push((*part, points));
        }
        (self.routes, self.enter, self.exit) = (routes, enter, exit);
    }
}

/// The links of a level, each with the part of an edge that it stands for. Links behind these have no line: they hold the
/// ports above and below all steps.
struct Plan {
    parts: Vec<Part>,
    links: Vec<Link>,
}

impl Plan {
    fn new(
        group: Option<usize>,
        children: &[Child],
        parts: Option<&BTreeSet<Part>>,
        levels: &BTreeMap<usize, Level>,
    ) -> Self {
        let (top, bottom) = (children.len(), children.len() + 1);
        let mut owner: BTreeMap<usize, usize> = BTreeMap::new();
        for (index, child) in children.iter().enumerate() {
            let mut stack = vec![*child];
            while let Some(child) = stack.pop() {
                match child {
                    Child::Cell(cell) => _ = owner.insert(cell, index),
                    Child::Frame(group) => {
                        stack.extend(
                            levels
                                .get(&group)
                                .into_iter()
                                .flat_map(|level| &level.children)
                                .map(|child| child.0),
                        );
                    }
                }
            }
        }
        let item = |cell: usize| owner.get(&cell).copied().unwrap_or(usize::MAX);
        let parts: Vec<Part> = parts.into_iter().flatten().copied().collect();
        // Each line has a way of its own.
        let mut links: Vec<Link> = parts
            .iter()
            .zip(0..)
            .map(|(part, way)| match *part {
                Part::Across(from, to) => Link { from: item(from), to: item(to), way },
                Part::Enter(to) => Link { from: top, to: item(to), way },
                Part::Exit(from) => Link { from: item(from), to: bottom, way },
            })
            .collect();
        if group.is_some() {
            let mut ends: [Table<bool>; 2] = [Table::new(children.len()), Table::new(children.len())];
            for (_, link) in parts.iter().zip(&links).filter(|(part, _)| matches!(part, Part::Across(..))) {
                let [above, below] = &mut ends;
                above[link.to] = true;
                below[link.from] = true;
            }
            let [above, below] = &ends;
            for index in 0..children.len() {
                let way = usize::MAX - 2 * index;
                if !above[index] {
                    links.push(Link { from: top, to: index, way });
                }
                if !below[index] {
                    links.push(Link { from: index, to: bottom, way: way - 1 });
                }
            }
        }
        Self { parts, links }
    }
}

/// The top and bottom of each layer.
fn bands(graph: &Layered, x: &Table<usize>, sizes: &[(i64, i64)]) -> Vec<(i64, i64)> {
    let is_port = |items: &Vec<usize>, at: usize| items.first().is_some_and(|&item| item == sizes.len() + at);
    let framed = graph.layers.rows.first().is_some_and(|first| is_port(first, 0));
    let last = graph.layers.rows.len().saturating_sub(1);
    let mut top = 0;
    let mut bands = Vec::new();
    for (layer, items) in graph.layers.rows.iter().enumerate() {
        let port = framed && (layer == 0 || layer == last);
        let height = match (port, layer) {
            (true, 0) => TITLE,
            (true, _) => FOOT,
            _ => items.iter().filter_map(|&item| sizes.get(item)).map(|size| size.1).max().unwrap_or(0),
        };
        bands.push((top, top + height));
        let next_is_port = framed && (layer == 0 || layer + 1 == last);
        let downs = items
            .iter()
            .flat_map(|&item| graph.down[item].iter().map(move |&down| x[item].abs_diff(x[down])));
        let reach = downs.max().unwrap_or(0) as i64 * COLUMN;
        top += height + if next_is_port { 0 } else { CHANNEL + (reach / 12).min(60) };
    }
    bands
}

/// The space at the sides, in columns. A frame has ports: two items that are no children.
fn side(graph: &Layered, sizes: &[(i64, i64)]) -> i64 {
    let framed =
        graph.layers.rows.first().is_some_and(|first| first.first().is_some_and(|&item| item >= sizes.len()));
    if framed { SIDE } else { 0 }
}

/// Columns for a draft: each item next to the one before.
fn packed(graph: &Layered) -> Table<usize> {
    let mut x: Table<usize> = Table::new(graph.up.rows.len());
    for items in &graph.layers.rows {
        let mut left = 0;
        for &item in items {
            let width = graph.widths[item];
            x[item] = left + width / 2;
            left += if width > 0 { width + 2 } else { 2 };
        }
    }
    x
}

/// The next odd number: an odd number of columns has one in the middle.
const fn odd(columns: i64) -> i64 {
    columns | 1
}
