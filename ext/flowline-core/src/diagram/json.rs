//! Pictures as JSON: the graph, and where a drawing of it has everything.

use super::scene::{Rectangle, Scene};
use super::view::{Kind, View};
use super::{Diagram, TooLarge, fold};
use std::fmt::{self, Display, Write};

impl Diagram {
    /// The graph with the geometry of its picture, in pixels. With `folded` it is that of [`Diagram::svg`], otherwise every
    /// step has its own box.
    ///
    /// # Errors
    ///
    /// If it is not folded and has some thousand steps and edges.
    pub fn json(&self, folded: bool) -> Result<String, TooLarge> {
        let (view, scene) = if folded { fold::fold(self) } else { fold::whole(self)? };
        let mut out = String::new();
        // Writing to a string cannot fail.
        let _ = self.write(&mut out, &view, &scene);
        Ok(out)
    }

    fn write(&self, out: &mut String, view: &View, scene: &Scene) -> fmt::Result {
        write!(out, "{{\"width\":{},\"height\":{},\n\"steps\":", scene.width, scene.height)?;
        list(out, self.nodes.iter().enumerate(), |out, (index, node)| {
            let name = |index: usize| self.nodes.get(index).map_or("", |node| node.name.as_str());
            write!(out, "{{\"name\":{},\"label\":{}", Text(&node.name), Text(&node.label))?;
            if let Some(group) = self.group_of(node) {
                write!(out, ",\"group\":{group}")?;
            }
            if let Some(state) = node.state {
                write!(out, ",\"state\":\"{}\"", state.name())?;
            }
            for (key, value) in [("note", &node.note), ("title", &node.title), ("link", &node.link)] {
                if let Some(value) = value {
                    write!(out, ",\"{key}\":{}", Text(value))?;
                }
            }
            if node.many {
                write!(out, ",\"many\":true")?;
            }
            let ups = self.edges.iter().filter(|edge| edge.to == index);
            write!(out, ",\"depends_on\":")?;
            list(out, ups, |out, edge| write!(out, "{}", Text(name(edge.from))))?;
            write!(out, "}}")
        })?;
        write!(out, ",\n\"groups\":")?;
        list(out, self.groups.iter().enumerate(), |out, (index, group)| {
            write!(out, "{{\"label\":{}", Text(&group.label))?;
            if let Some(parent) = self.parent_of(index) {
                write!(out, ",\"parent\":{parent}")?;
            }
            if let Some((_, at)) = scene.frames.iter().find(|(framed, _)| *framed == index) {
                place(out, at)?;
            }
            write!(out, "}}")
        })?;
        write!(out, ",\n\"boxes\":")?;
        list(out, view.cells.iter().zip(&scene.boxes), |out, (cell, at)| {
            let kind = match cell.kind {
                Kind::Step => "step",
                Kind::Fan(_) => "fan",
                Kind::Chain => "chain",
                Kind::Group(_) => "group",
                Kind::Part => "part",
            };
            write!(out, "{{\"kind\":\"{kind}\",\"steps\":")?;
            list(out, cell.members.iter(), |out, member| write!(out, "{member}"))?;
            write!(out, ",\"lines\":")?;
            list(out, view.lines(self, cell).iter(), |out, line| write!(out, "{}", Text(line)))?;
            place(out, at)?;
            write!(out, "}}")
        })?;
        write!(out, ",\n\"lines\":")?;
        list(out, scene.lines.iter(), |out, line| {
            write!(out, "{{\"from\":{},\"to\":{},\"points\":", line.from, line.to)?;
            list(out, line.points.iter(), |out, (x, y)| write!(out, "[{x},{y}]"))?;
            write!(out, "}}")
        })?;
        writeln!(out, "}}")
    }
}

fn place(out: &mut String, at: &Rectangle) -> fmt::Result {
    let Rectangle { x, y, width, height } = at;
    write!(out, ",\"x\":{x},\"y\":{y},\"width\":{width},\"height\":{height}")
}

fn list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    each: impl Fn(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(out, item)?;
    }
    out.push(']');
    Ok(())
}

/// A string in quotes. It may also stand within a script element.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        for char in self.0.chars() {
            match char {
                '"' | '\\' => write!(out, "\\{char}")?,
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => write!(out, "\\u{:04x}", u32::from(char))?,
                _ if char.is_control() => write!(out, "\\u{:04x}", u32::from(char))?,
                _ => out.write_char(char)?,
            }
        }
        out.write_char('"')
    }
}
