//! Where everything of a diagram goes, in the rows and columns of a terminal, as data: the layered
//! drawing of Sugiyama, Tagawa & Toda, "Methods for Visual Understanding of Hierarchical System
//! Structures" (1981), in four steps, one per file: layers, order, columns, routes.

use super::layers::Layered;
use super::{Diagram, Table, order, place, route};
use thiserror::Error;
use unicode_width::UnicodeWidthStr;

/// The most characters a drawing may have.
pub(super) const MAX_CELLS: i64 = 8_000_000;

/// The diagram is too large to be drawn as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the drawing would be at least {columns}×{rows} characters: use DOT or Mermaid instead")]
pub struct TooLarge {
    /// Its width, as far as known.
    pub columns: i64,
    /// Its height, as far as known.
    pub rows: i64,
}

/// A diagram with coordinates: columns to the right and rows down, from 0.
#[derive(Debug, Default)]
pub(super) struct Layout {
    pub(super) columns: i64,
    pub(super) rows: i64,
    pub(super) boxes: Vec<Block>,
    /// Outer ones first.
    pub(super) frames: Vec<Block>,
    pub(super) lines: Vec<Line>,
    /// Where an edge reaches its step, right above the box: column and row.
    pub(super) arrows: Vec<(i64, i64)>,
}

/// A box or a frame, with what is written on it. The last column and row belong to it.
#[derive(Debug, Clone, Default)]
pub(super) struct Block {
    pub(super) left: i64,
    pub(super) right: i64,
    pub(super) top: i64,
    pub(super) bottom: i64,
    pub(super) text: Vec<String>,
}

/// A horizontal or vertical piece of an edge, from centre to centre of two cells. Where pieces meet with
/// an end they are connected; where both go on they only cross.
#[derive(Debug, Clone, Copy)]
pub(super) struct Line {
    pub(super) from: (i64, i64),
    pub(super) to: (i64, i64),
}

pub(super) fn check_size(columns: i64, rows: i64) -> Result<(), TooLarge> {
    if columns.saturating_mul(rows) > MAX_CELLS { Err(TooLarge { columns, rows }) } else { Ok(()) }
}

pub(super) fn width(text: &str) -> i64 {
    i64::try_from(text.width()).unwrap_or(i64::MAX)
}

impl Diagram {
    /// Lays the diagram out.
    pub(super) fn layout(&self) -> Result<Layout, TooLarge> {
        let captions = self.captions();
        let mut degrees: Table<(usize, usize)> = Table::new(self.nodes.len());
        for edge in &self.edges {
            degrees[edge.from].0 += 1;
            degrees[edge.to].1 += 1;
        }
        let sizes: Vec<(i64, i64)> = captions
            .iter()
            .zip(degrees.iter())
            .map(|(caption, (out, into))| {
                let text = caption.iter().map(|line| width(line)).max().unwrap_or(0);
                // Three lines need room to leave or arrive side by side.
                let least = if *out.max(into) > 2 { 7 } else { 5 };
                ((text + 4).max(least), caption.len() as i64 + 2)
            })
            .collect();
        let mut graph = Layered::new(self, &sizes)?;
        order::reduce_crossings(&mut graph);
        let titles = self.titles(&graph);
        let columns = place::columns(&graph, &titles);
        let mut layout = route::route(&graph, &columns, &sizes, &titles)?;
        for (block, caption) in layout.boxes.iter_mut().zip(captions) {
            block.text = caption;
        }
        for (block, group) in layout.frames.iter_mut().zip(&self.groups) {
            block.text = vec![group.label.clone()];
        }
        // A group without steps has no place.
        layout.frames.retain(|block| block.left < block.right);
        Ok(layout)
    }

    /// What is written in each box: the step, and what it hands on if the author said so.
    fn captions(&self) -> Vec<Vec<String>> {
        let mut outgoing: Table<Vec<_>> = Table::new(self.nodes.len());
        for edge in &self.edges {
            outgoing[edge.from].push(edge);
        }
        let caption = |(node, edges): (_, &Vec<&super::Edge>)| {
            let mut lines = vec![self.text(node).to_owned()];
            let label = edges.first().and_then(|edge| edge.label.as_ref());
            if edges.iter().all(|edge| edge.label.as_ref() == label) {
                lines.extend(label.map(|label| format!("→ {label}")));
            } else {
                lines.extend(edges.iter().filter_map(|edge| {
                    let to = self.nodes.get(edge.to)?;
                    edge.label.as_ref().map(|label| format!("→ {}: {label}", self.text(to)))
                }));
            }
            lines
        };
        self.nodes.iter().zip(outgoing.iter()).map(caption).collect()
    }

    /// The room the frames need for their titles.
    fn titles(&self, graph: &Layered) -> Vec<Title> {
        let spans =
            self.groups.iter().zip(graph.groups.iter().skip(1)).filter(|(_, span)| span.first < span.end);
        let title = |(group, span): (&super::Group, &super::layers::Span)| {
            let within = graph.layers[span.first].iter().skip_while(|&&index| index != span.frame);
            let mut within = within.take_while(|&&index| index != span.frame + 1);
            let entered = within.find(|&&index| !graph.up[index].is_empty()).copied();
            Title { frame: span.frame, entered, room: width(&group.label) + 4 }
        };
        spans.map(title).collect()
    }
}

/// A frame's title needs `room` columns between the frame's left side and the first line from above.
#[derive(Debug, Clone, Copy)]
pub(super) struct Title {
    /// The frame's left side, in its first layer. The right side is the next item.
    pub(super) frame: usize,
    /// The step which the first line from above enters.
    pub(super) entered: Option<usize>,
    pub(super) room: i64,
}
