//! Boxes and lines for a terminal.

use super::{Diagram, Edge, Table, layers::Layered, place, route};
use std::collections::BTreeMap;
use thiserror::Error;
use unicode_width::UnicodeWidthStr;

/// The most characters a drawing may have.
const MAX_CELLS: usize = 4_000_000;

/// The directions in which a cell's lines leave it. A cell holds the sum: where lines meet, the sum is
/// the character that joins them.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;
const ARROW: u8 = 16;

/// What the sums look like.
const CHARS: [char; 17] =
    [' ', '╵', '╷', '│', '╴', '┘', '┐', '┤', '╶', '└', '┌', '├', '─', '┴', '┬', '┼', '▼'];

/// The diagram is too large to be drawn as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the diagram is too large to be drawn as text: use DOT or Mermaid instead")]
pub struct TooLarge;

impl Diagram {
    /// The diagram as boxes and lines for a terminal, from top to bottom. Edges of a cycle are left out.
    ///
    /// # Errors
    ///
    /// If the drawing would have some million characters, or tens of thousands of steps.
    pub fn ascii(&self) -> Result<String, TooLarge> {
        let captions = self.captions();
        let widest = |caption: &Vec<String>| caption.iter().map(|line| line.width() + 4).max().unwrap_or(0);
        let graph = Layered::new(self, captions.iter().map(widest).collect())?;
        let mut x = place::columns(&graph);
        let columns =
            (0..x.rows.len()).map(|index| x[index] + graph.widths[index] / 2 + 2).max().unwrap_or(0);
        let mut canvas = Canvas { columns, ..Canvas::default() };
        let mut top = 0;
        for layer in 0..graph.layers.rows.len() {
            let captions =
                || graph.layers[layer].iter().filter_map(|&item| Some((item, captions.get(item)?)));
            let height = captions().map(|(_, caption)| caption.len() + 2).max().unwrap_or(0);
            let wires = route::wires(&graph, &mut x, layer);
            let tracks = wires.iter().map(|wire| wire.track).max().unwrap_or(0);
            let end = top + height + tracks;
            if columns * (end + 1) > MAX_CELLS {
                return Err(TooLarge);
            }
            canvas.cells.rows.resize(columns * (end + 1), 0);
            let mut bottoms = BTreeMap::new();
            for (item, caption) in captions() {
                let (width, bottom) = (graph.widths[item], top + caption.len() + 1);
                let left = x[item] - width / 2;
                let right = left + width - 1;
                for (row, text) in (top + 1..).zip(caption) {
                    canvas.labels.insert((row, left + (width - text.width()) / 2), text);
                }
                canvas.line((left, top), (right, top));
                canvas.line((left, bottom), (right, bottom));
                canvas.line((left, top), (left, bottom));
                canvas.line((right, top), (right, bottom));
                bottoms.insert(item, bottom);
            }
            for wire in wires {
                let ((left, right), track) = (wire.span(), top + height - 1 + wire.track);
                canvas.line((left, track), (right, track));
                for (item, column) in wire.ups {
                    // A dummy's line begins where the one above it has ended.
                    canvas.line(
                        (column, bottoms.get(&item).copied().unwrap_or(top.saturating_sub(1))),
                        (column, track),
                    );
                }
                for (item, column) in wire.downs {
                    canvas.line((column, track), (column, end));
                    if graph.widths[item] > 0 {
                        *canvas.cell(column, end) = ARROW;
                    }
                }
            }
            top = end + 1;
        }
        Ok(canvas.text())
    }

    /// What is written in each box: the step, and what it hands on if the author said so.
    fn captions(&self) -> Vec<Vec<String>> {
        let mut outgoing: Table<Vec<&Edge>> = Table::new(self.nodes.len());
        for edge in &self.edges {
            outgoing[edge.from].push(edge);
        }
        let mut captions = Vec::new();
        for (node, edges) in self.nodes.iter().zip(outgoing.rows.iter()) {
            let mut lines = vec![node.name.clone()];
            let label = edges.first().and_then(|edge| edge.label.as_ref());
            if edges.iter().all(|edge| edge.label.as_ref() == label) {
                lines.extend(label.map(|label| format!("→ {label}")));
            } else {
                lines.extend(edges.iter().filter_map(|edge| {
                    Some(format!("→ {}: {}", self.nodes.get(edge.to)?.name, edge.label.as_ref()?))
                }));
            }
            captions.push(lines);
        }
        captions
    }
}

#[derive(Default)]
struct Canvas<'a> {
    columns: usize,
    cells: Table<u8>,
    /// Text over the cells by row and column, which may be wider or narrower than its number of characters.
    labels: BTreeMap<(usize, usize), &'a str>,
}

impl Canvas<'_> {
    fn cell(&mut self, column: usize, row: usize) -> &mut u8 {
        &mut self.cells[row * self.columns + column]
    }

    fn line(&mut self, (left, top): (usize, usize), (right, bottom): (usize, usize)) {
        for column in left..right {
            *self.cell(column, top) |= RIGHT;
            *self.cell(column + 1, top) |= LEFT;
        }
        for row in top..bottom {
            *self.cell(left, row) |= DOWN;
            *self.cell(left, row + 1) |= UP;
        }
    }

    fn text(self) -> String {
        let mut out = String::new();
        for (row, cells) in self.cells.rows.chunks(self.columns.max(1)).enumerate() {
            let mut covered = 0;
            for (column, &cell) in cells.iter().enumerate() {
                if let Some(label) = self.labels.get(&(row, column)) {
                    out.push_str(label);
                    covered = column + label.width();
                }
                if column >= covered {
                    out.push(CHARS.get(usize::from(cell)).copied().unwrap_or(' '));
                }
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        // Nothing leads on from the last layer.
        out.pop();
        out
    }
}
