//! The graph as a picture shows it: cells, each a step or several steps that were folded into one.

use super::{Diagram, State, Table};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The most columns of a line of text in a box.
const MAX_TEXT: usize = 30;

/// Deeper groups are drawn without frames.
const MAX_DEPTH: usize = 12;

/// The kinds of cells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Step,
    /// This many branches between the same steps.
    Fan(usize),
    /// Steps in a row.
    Chain,
    /// A nested pipeline.
    Group(usize),
    /// Neighbours that have nothing more in common.
    Part,
}

/// A box of a picture.
#[derive(Debug, Clone)]
pub(super) struct Cell {
    /// The steps in it, in definition order.
    pub(super) members: Vec<usize>,
    pub(super) kind: Kind,
    /// The innermost frame around it.
    pub(super) group: Option<usize>,
    /// Whether a step in it is worth to be seen.
    pub(super) stands_out: bool,
}

/// Cells, with the edges between them, and the frames that can be drawn.
#[derive(Clone)]
pub(super) struct View {
    pub(super) cells: Vec<Cell>,
    pub(super) up: Table<Vec<usize>>,
    pub(super) down: Table<Vec<usize>>,
    /// The parent of each group.
    pub(super) parents: Vec<Option<usize>>,
    /// The labels of each step's edges, as lines in its box.
    hints: Rc<Table<Vec<String>>>,
}

impl View {
    /// Each step is a cell.
    pub(super) fn new(diagram: &Diagram) -> Self {
        let (groups, parents) = frames(diagram);
        let cells = diagram.nodes.iter().enumerate().map(|(index, node)| Cell {
            members: vec![index],
            kind: Kind::Step,
            group: groups[index],
            stands_out: node.state.is_some_and(State::stands_out),
        });
        let mut hints: Table<Vec<String>> = Table::new(diagram.nodes.len());
        for edge in &diagram.edges {
            if let Some(hint) = edge.label.as_ref().map(|label| format!("→ {label}")) {
                let hints = &mut hints[edge.from];
                if !hints.contains(&hint) {
                    hints.push(hint);
                }
            }
        }
        let none = || Table::new(0);
        let mut view =
            Self { cells: cells.collect(), up: none(), down: none(), parents, hints: Rc::new(hints) };
        view.connect(diagram.edges.iter().map(|edge| (edge.from, edge.to)));
        view
    }

    fn connect(&mut self, edges: impl Iterator<Item = (usize, usize)>) {
        let count = self.cells.len();
        (self.up, self.down) = (Table::new(count), Table::new(count));
        let edges: BTreeSet<_> = edges
            .filter(|&(from, to)| from != to && from.max(to) < count)
            .map(|(from, to)| (to, from))
            .collect();
        for (to, from) in edges {
            self.down[from].push(to);
            self.up[to].push(from);
        }
    }

    /// Every edge between cells, by the one it leads to.
    pub(super) fn edges(&self) -> impl Iterator<Item = (usize, usize)> {
        let ends = self.up.rows.iter().enumerate();
        ends.flat_map(|(to, ups)| ups.iter().map(move |&from| (from, to)))
    }

    /// Folds each set of cells into one. `None` if steps would then depend on each other in a circle, or if a single cell
    /// would be left.
    pub(super) fn fold(&self, sets: &[Vec<usize>], kind: impl Fn(usize) -> Kind) -> Option<Self> {
        let mut owner: Table<Option<usize>> = Table::new(self.cells.len());
        for (set, cells) in sets.iter().enumerate() {
            cells.iter().for_each(|&cell| owner[cell] = Some(set));
        }
        let mut cells: Vec<Cell> = Vec::new();
        let mut position: Table<usize> = Table::new(self.cells.len());
        let mut places: Table<Option<usize>> = Table::new(sets.len());
        for (index, cell) in self.cells.iter().enumerate() {
            position[index] = match owner[index] {
                Some(set) if places[set].is_some() => {
                    let place = places[set].unwrap_or(0);
                    if let Some(folded) = cells.get_mut(place) {
                        folded.members.extend(&cell.members);
                        folded.stands_out |= cell.stands_out;
                    }
                    place
                }
                set => {
                    let mut cell = cell.clone();
                    if let Some(set) = set {
                        places[set] = Some(cells.len());
                        cell.kind = kind(set);
                    }
                    cells.push(cell);
                    cells.len() - 1
                }
            };
        }
        cells.iter_mut().for_each(|cell| cell.members.sort_unstable());
        let (parents, hints) = (self.parents.clone(), Rc::clone(&self.hints));
        let mut view = Self { cells, up: Table::new(0), down: Table::new(0), parents, hints };
        view.connect(self.edges().map(|(from, to)| (position[from], position[to])));
        (view.cells.len() > 1 && view.levels().is_some()).then_some(view)
    }

    /// The layer of each cell by its longest path. `None` if there is a cycle.
    pub(super) fn levels(&self) -> Option<Table<usize>> {
        let mut level: Table<usize> = Table::new(self.cells.len());
        let mut waiting: Table<usize> = self.up.rows.iter().map(Vec::len).collect();
        let mut order: Vec<usize> = (0..self.cells.len()).filter(|&cell| waiting[cell] == 0).collect();
        let mut next = 0;
        while let Some(&cell) = order.get(next) {
            next += 1;
            for &to in &self.down[cell] {
                level[to] = level[to].max(level[cell] + 1);
                waiting[to] -= 1;
                if waiting[to] == 0 {
                    order.push(to);
                }
            }
        }
        (order.len() == self.cells.len()).then_some(level)
    }

    /// The frames around a cell, from the outermost.
    pub(super) fn frames_of(&self, cell: usize) -> Vec<usize> {
        let mut frames = Vec::new();
        let mut next = self.cells.get(cell).and_then(|cell| cell.group);
        while let Some(group) = next {
            frames.push(group);
            next = self.parents.get(group).copied().flatten();
        }
        frames.reverse();
        frames
    }

    /// The lines in the box of a cell.
    pub(super) fn lines(&self, diagram: &Diagram, cell: &Cell) -> Vec<String> {
        let name = |index: Option<&usize>| {
            index.and_then(|&index| diagram.nodes.get(index)).map_or("", |node| node.name.as_str())
        };
        let count = cell.members.len();
        let steps = format!("{count} steps");
        let range =
            || format!("{} … {}", fit(name(cell.members.first()), 13), fit(name(cell.members.last()), 13));
        let lines = match cell.kind {
            Kind::Step => {
                let Some(node) = cell.members.first().and_then(|&index| diagram.nodes.get(index)) else {
                    return Vec::new();
                };
                let text = if cell.group.is_some() { &node.label } else { &node.name };
                let mut lines = vec![text.clone()];
                cell.members.iter().for_each(|&member| lines.extend(self.hints[member].iter().cloned()));
                lines.extend(node.note.clone());
                lines
            }
            Kind::Fan(branches) => {
                let names: Vec<&str> = cell.members.iter().map(|index| name(Some(index))).collect();
                let what = common_start(&names).map_or("branches".to_owned(), |start| format!("{start}*"));
                let what = format!("{} ×{branches}", fit(&what, MAX_TEXT - 8));
                if branches == count { vec![what] } else { vec![what, steps] }
            }
            Kind::Group(group) => {
                vec![diagram.groups.get(group).map_or(String::new(), |group| group.label.clone()), steps]
            }
            Kind::Chain | Kind::Part => vec![steps, range()],
        };
        lines.iter().map(|line| fit(line, MAX_TEXT)).collect()
    }
}

/// The frame around each step, and the parent of each frame. A group is no frame if steps outside of it are between steps
/// in it, or if it is nested too deeply.
fn frames(diagram: &Diagram) -> (Table<Option<usize>>, Vec<Option<usize>>) {
    let count = diagram.groups.len();
    let mut depth: Table<usize> = Table::new(count);
    for group in 0..count {
        depth[group] = diagram.parent_of(group).map_or(0, |parent| depth[parent] + 1);
    }
    let mut framed: Table<bool> = (0..count).map(|group| depth[group] < MAX_DEPTH).collect();
    loop {
        let mut outer: Table<Option<usize>> = Table::new(count);
        for group in 0..count {
            outer[group] = diagram
                .parent_of(group)
                .and_then(|parent| if framed[parent] { Some(parent) } else { outer[parent] });
        }
        let inner = |group: usize| if framed[group] { Some(group) } else { outer[group] };
        let groups: Table<Option<usize>> =
            diagram.nodes.iter().map(|node| diagram.group_of(node).and_then(inner)).collect();
        let broken = broken(diagram, &groups, &outer);
        if broken.is_empty() {
            return (groups, outer.rows);
        }
        broken.into_iter().for_each(|group| framed[group] = false);
    }
}

/// The groups in a cycle of what stands within one frame: of the steps and groups that stay when those without
/// dependencies among the others are taken away again and again, from either side.
fn broken(diagram: &Diagram, groups: &Table<Option<usize>>, outer: &Table<Option<usize>>) -> Vec<usize> {
    let count = diagram.nodes.len();
    if groups.rows.iter().all(Option::is_none) {
        return Vec::new();
    }
    let path = |node: usize| {
        let mut path = vec![node];
        let mut next = groups[node];
        while let Some(group) = next {
            path.push(count + group);
            next = outer[group];
        }
        path.reverse();
        path
    };
    let total = count + outer.rows.len();
    let mut ends: [Table<Vec<usize>>; 2] = [Table::new(total), Table::new(total)];
    let mut seen = BTreeSet::new();
    for edge in diagram.edges.iter().filter(|edge| edge.from != edge.to && edge.from.max(edge.to) < count) {
        let (from, to) = (path(edge.from), path(edge.to));
        let differs = from.iter().zip(&to).find(|(from, to)| from != to);
        if let Some((&from, &to)) = differs.filter(|&(&from, &to)| seen.insert((from, to))) {
            let [up, down] = &mut ends;
            down[from].push(to);
            up[to].push(from);
        }
    }
    let mut alive: Table<bool> = (0..total).map(|_| true).collect();
    for (one, other) in [(0, 1), (1, 0)] {
        let [towards, away] = [ends.get(one), ends.get(other)];
        let (Some(towards), Some(away)) = (towards, away) else { break };
        let mut waiting: Table<usize> =
            towards.rows.iter().map(|ends| ends.iter().filter(|&&end| alive[end]).count()).collect();
        let mut free: Vec<usize> = (0..total).filter(|&index| alive[index] && waiting[index] == 0).collect();
        while let Some(index) = free.pop() {
            alive[index] = false;
            for &end in &away[index] {
                waiting[end] = waiting[end].saturating_sub(1);
                if alive[end] && waiting[end] == 0 {
                    free.push(end);
                }
            }
        }
    }
    (count..total).filter(|&index| alive[index]).map(|index| index - count).collect()
}

/// The text, cut at some columns. Characters that reorder the text around them are replaced.
pub(super) fn fit(text: &str, columns: usize) -> String {
    let text: String = text.chars().take(4 * columns + 1).map(visible).collect();
    if text.width() <= columns {
        return text;
    }
    let mut width = 1;
    let mut cut: String = text
        .chars()
        .take_while(|char| {
            width += char.width().unwrap_or(0);
            width <= columns
        })
        .collect();
    cut.push('…');
    cut
}

/// Control characters, line breaks, and marks that change the direction of text are a replacement character. Joiners
/// and non-joiners of letters are a part of names in many languages.
pub(super) fn visible(char: char) -> char {
    let hidden = matches!(char, '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{61c}');
    if hidden || char.is_control() || matches!(char, '\u{fffe}' | '\u{ffff}') { '\u{fffd}' } else { char }
}

/// The start that most of the names have, without their numbers.
fn common_start(names: &[&str]) -> Option<String> {
    let stem = |name: &&'_ str| name.trim_end_matches(|char: char| char.is_ascii_digit()).len();
    let mut times: BTreeMap<&str, (usize, Reverse<usize>)> = BTreeMap::new();
    for (index, name) in names.iter().enumerate() {
        let start = times.entry(name.get(..stem(name)).unwrap_or("")).or_insert((0, Reverse(index)));
        start.0 += 1;
    }
    // Branches of several steps have several starts: of those that are as frequent, the first.
    if let Some((start, _)) = times
        .iter()
        .max_by_key(|(_, rank)| **rank)
        .filter(|(start, (times, _))| !start.is_empty() && *times > 2)
    {
        return Some((*start).to_owned());
    }
    let first = names.first()?;
    let common = names.iter().fold(first.len(), |length, name| {
        let differs = first.char_indices().zip(name.chars()).find(|((_, one), other)| one != other);
        length.min(differs.map_or(name.len(), |((at, _), _)| at))
    });
    first.get(..common).filter(|start| !start.is_empty()).map(str::to_owned)
}
