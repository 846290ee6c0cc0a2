//! Pictures as SVG: boxes, lines and frames with classes, without colours. The stylesheet is the caller's.

use super::scene::{LINE, Rectangle, Scene, TITLE};
use super::view::{Cell, Kind, View, fit, visible};
use super::{Diagram, Edge, Group, Node, State, Table, TooLarge, fold};
use std::fmt::Write;

/// The most characters of a title.
const MAX_TITLE: usize = 300;

/// A picture of a diagram, or of what is folded in another one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sheet {
    /// Its content in words; empty for the first.
    pub title: String,
    /// The sheet on which this is one box.
    pub parent: usize,
    /// The picture.
    pub svg: String,
    /// The steps that it shows or has folded, as positions in [`Diagram::nodes`].
    pub members: Vec<usize>,
}

impl Diagram {
    /// The diagram as SVG, at most 3 times as wide as high or as high as wide, and with 200 boxes at most: what is beyond
    /// that is folded.
    #[must_use]
    pub fn svg(&self) -> String {
        let (view, scene) = fold::fold(self);
        self.draw(&view, &scene, |_| None)
    }

    /// The diagram as SVG with every step.
    ///
    /// # Errors
    ///
    /// If it has some thousand steps and edges.
    pub fn whole_svg(&self) -> Result<String, TooLarge> {
        let (view, scene) = fold::whole(self)?;
        Ok(self.draw(&view, &scene, |_| None))
    }

    /// The diagram as SVG, and a sheet for each fold, to which its box links as `#sheet-1`. Beyond `budget` steps, on all
    /// sheets but the first, folds have none.
    #[must_use]
    pub fn sheets(&self, budget: usize) -> Vec<Sheet> {
        let all = Sheet { members: (0..self.nodes.len()).collect(), ..Sheet::default() };
        let mut sheets = vec![all];
        let mut spent = 0;
        let mut next = 0;
        while let Some(sheet) = sheets.get(next) {
            let part = if next == 0 { self.clone() } else { self.part(&sheet.members) };
            let members = sheet.members.clone();
            let (view, scene) = fold::fold(&part);
            let mut links: Table<Option<usize>> = Table::new(view.cells.len());
            for (index, cell) in view.cells.iter().enumerate().filter(|(_, cell)| cell.kind != Kind::Step) {
                if spent + cell.members.len() <= budget {
                    spent += cell.members.len();
                    links[index] = Some(sheets.len());
                    let of = |&member: &usize| members.get(member).copied();
                    sheets.push(Sheet {
                        title: view.lines(&part, cell).join(", "),
                        parent: next,
                        members: cell.members.iter().filter_map(of).collect(),
                        ..Sheet::default()
                    });
                }
            }
            let svg = part.draw(&view, &scene, |cell| links[cell].map(|sheet| format!("#sheet-{sheet}")));
            if let Some(sheet) = sheets.get_mut(next) {
                sheet.svg = svg;
            }
            next += 1;
        }
        sheets
    }

    /// Some of the steps, with the edges between them and the groups that are within.
    fn part(&self, members: &[usize]) -> Self {
        let mut position: Table<Option<usize>> = Table::new(self.nodes.len());
        members.iter().enumerate().for_each(|(at, &member)| position[member] = Some(at));
        let nodes: Vec<Node> = members.iter().filter_map(|&member| self.nodes.get(member)).cloned().collect();
        let edges = self.edges.iter().filter_map(|edge| {
            Some(Edge { from: position[edge.from]?, to: position[edge.to]?, label: edge.label.clone() })
        });
        let edges = edges.collect();
        // A group of which there are steps outside is no group here, nor is one that has all of them.
        let mut inside: Table<usize> = Table::new(self.groups.len());
        let mut all = inside.clone();
        for (index, node) in self.nodes.iter().enumerate() {
            let mut next = self.group_of(node);
            while let Some(group) = next {
                all[group] += 1;
                inside[group] += usize::from(position[index].is_some());
                next = self.parent_of(group);
            }
        }
        let whole = |group: usize| inside[group] == all[group] && inside[group] < nodes.len();
        let climb = |mut group: Option<usize>| {
            while let Some(this) = group.filter(|&group| !whole(group)) {
                group = self.parent_of(this);
            }
            group
        };
        let groups = (0..self.groups.len()).map(|group| Group {
            label: self.groups.get(group).map_or(String::new(), |group| group.label.clone()),
            parent: climb(self.parent_of(group)),
        });
        let groups = groups.collect();
        let grouped = nodes.iter().map(|node| Node { group: climb(self.group_of(node)), ..node.clone() });
        Self { nodes: grouped.collect(), edges, groups }
    }

    fn draw(&self, view: &View, scene: &Scene, sheet: impl Fn(usize) -> Option<String>) -> String {
        let mut out = Svg::default();
        let Scene { width, height, .. } = scene;
        out.add(format_args!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"picture\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"group\" aria-label=\"{} steps\">",
            self.nodes.len()
        ));
        for (group, at) in &scene.frames {
            let label = self.groups.get(*group).map_or("", |group| &group.label);
            out.add(format_args!("<g class=\"frame\">"));
            out.rectangle(at, 8, "");
            out.text(at.x + 10, at.y + TITLE - 9, "", &fit(label, 30));
            out.add(format_args!("</g>"));
        }
        out.add(format_args!("<g class=\"lines\">"));
        let mut ends: Table<Option<(i64, i64)>> = Table::new(view.cells.len());
        for line in &scene.lines {
            out.line(&line.points);
            ends[line.to] = line.points.last().copied();
        }
        for (x, y) in ends.rows.iter().flatten() {
            out.add(format_args!("<path class=\"tip\" d=\"M{} {}l4 6 4-6z\"/>", x - 4, y - 6));
        }
        out.add(format_args!("</g>"));
        for (index, (cell, at)) in view.cells.iter().zip(&scene.boxes).enumerate() {
            self.draw_cell(&mut out, view, cell, at, sheet(index));
        }
        out.add(format_args!("</svg>\n"));
        out.text
    }

    fn draw_cell(&self, out: &mut Svg, view: &View, cell: &Cell, at: &Rectangle, sheet: Option<String>) {
        let members = || cell.members.iter().filter_map(|&member| self.nodes.get(member));
        let state = members().filter_map(|node| node.state).max();
        let folded = cell.kind != Kind::Step;
        let many = folded || members().any(|node| node.many);
        let link = if folded { sheet } else { members().find_map(|node| node.link.clone()) };
        let tag = if link.is_some() { "a" } else { "g" };
        out.add(format_args!("<{tag} class=\"{}", if folded { "step fold" } else { "step" }));
        if let Some(state) = state {
            out.add(format_args!(" {}", state.name()));
        }
        out.add(format_args!("\""));
        if let Some(link) = &link {
            out.add(format_args!(" href=\""));
            out.escaped(link.chars());
            out.add(format_args!("\""));
        }
        out.add(format_args!("><title>"));
        out.escaped(self.title(cell).chars().take(MAX_TITLE));
        out.add(format_args!("</title>"));
        if many {
            out.rectangle(&Rectangle { x: at.x + 4, y: at.y + 4, ..*at }, 6, " class=\"back\"");
        }
        out.rectangle(at, 6, "");
        let lines = view.lines(self, cell);
        let top = at.y + (at.height - lines.len() as i64 * LINE) / 2;
        for ((line, baseline), class) in lines
            .iter()
            .zip((top + 13..).step_by(LINE as usize))
            .zip([""].into_iter().chain(std::iter::repeat(" class=\"note\"")))
        {
            out.text(at.x + at.width / 2, baseline, class, line);
        }
        out.add(format_args!("</{tag}>"));
    }

    /// The text for a reader who points at a box.
    fn title(&self, cell: &Cell) -> String {
        let members = || cell.members.iter().filter_map(|&member| self.nodes.get(member));
        if cell.kind == Kind::Step {
            let mut title = members().map(|node| node.name.as_str()).collect::<String>();
            for part in members().filter_map(|node| node.title.as_ref()) {
                title.push('\n');
                title.push_str(part);
            }
            return title;
        }
        let mut title = format!("{} steps", cell.members.len());
        for state in State::ALL.into_iter().rev() {
            let count = members().filter(|node| node.state == Some(state)).count();
            if count > 0 {
                // Writing to a string cannot fail.
                let _ = write!(title, "\n{count} {}", state.name().replace('_', " "));
            }
        }
        title
    }
}

#[derive(Default)]
struct Svg {
    text: String,
}

impl Svg {
    fn add(&mut self, text: std::fmt::Arguments<'_>) {
        // Writing to a string cannot fail.
        let _ = self.text.write_fmt(text);
    }

    /// Text for an element or a quoted attribute.
    fn escaped(&mut self, text: impl Iterator<Item = char>) {
        for char in text {
            match char {
                '&' => self.text.push_str("&amp;"),
                '<' => self.text.push_str("&lt;"),
                '>' => self.text.push_str("&gt;"),
                '"' => self.text.push_str("&quot;"),
                '\'' => self.text.push_str("&#39;"),
                '\n' => self.text.push('\n'),
                _ => self.text.push(visible(char)),
            }
        }
    }

    fn rectangle(&mut self, at: &Rectangle, radius: i64, class: &str) {
        let Rectangle { x, y, width, height } = at;
        self.add(format_args!(
            "<rect{class} x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"/>"
        ));
    }

    fn text(&mut self, x: i64, y: i64, class: &str, text: &str) {
        self.add(format_args!("<text{class} x=\"{x}\" y=\"{y}\">"));
        self.escaped(text.chars());
        self.add(format_args!("</text>"));
    }

    /// Curves where the column changes, and straight lines where it does not.
    fn line(&mut self, points: &[(i64, i64)]) {
        let mut points = points.iter().copied().peekable();
        let Some((mut x, mut y)) = points.next() else { return };
        self.add(format_args!("<path d=\"M{x} {y}"));
        while let Some((next_x, next_y)) = points.next() {
            if next_x == x {
                if points.peek().is_none_or(|after| after.0 != x) {
                    self.add(format_args!("V{next_y}"));
                }
            } else {
                let middle = (y + next_y) / 2;
                self.add(format_args!("C{x} {middle} {next_x} {middle} {next_x} {next_y}"));
            }
            (x, y) = (next_x, next_y);
        }
        self.add(format_args!("\"/>"));
    }
}
