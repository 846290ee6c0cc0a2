//! Boxes and lines for a terminal.

use super::layers::{Layered, Link};
use super::{Diagram, Table, fold, place, route};
use std::collections::BTreeMap;
use thiserror::Error;
use unicode_width::UnicodeWidthStr;

/// The most characters a drawing may have.
const MAX_CELLS: usize = 4_000_000;

/// Steps without any edge fill the layers up to this many columns.
const WRAP: usize = 100;

/// The directions in which a cell's lines leave it. A cell holds the sum: where lines meet, the sum is
/// the character that joins them.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;
const ARROW: u8 = 16;

/// The character of each sum of directions.
const CHARS: &str = " ╵╷│╴┘┐┤╶└┌├─┴┬┼▼";

/// The diagram is too large to be drawn as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the diagram is too large to be drawn as text: use SVG, HTML or DOT instead")]
pub struct TooLarge;

impl Diagram {
    /// The diagram as boxes and lines for a terminal, from top to bottom. Edges of a cycle are left out. If that would have
    /// some million characters, or some thousand steps and edges, it is folded as a picture is.
    ///
    /// # Errors
    ///
    /// If it is too large even so.
    pub fn ascii(&self) -> Result<String, TooLarge> {
        let edges = self.edges.iter().map(|edge| (edge.from, edge.to));
        boxes(&self.captions(), edges).or_else(|TooLarge| self.folded_ascii())
    }

    fn folded_ascii(&self) -> Result<String, TooLarge> {
        let (mut view, _) = fold::fold(self);
        // There are no frames, which would say the rest of a step's name.
        view.cells.iter_mut().for_each(|cell| cell.group = None);
        let captions = view.cells.iter().map(|cell| view.lines(self, cell)).collect();
        boxes(&captions, view.edges())
    }

    /// Returns the lines in each box: the step's name, and the labels of its outgoing edges if it has any.
    fn captions(&self) -> Table<Vec<String>> {
        let mut captions: Table<_> = self.nodes.iter().map(|node| vec![node.name.clone()]).collect();
        for edge in &self.edges {
            let line = edge.label.iter().map(|label| format!("→ {label}"));
            let caption = &mut captions[edge.from];
            caption.extend(line.filter(|line| !caption.contains(line)).collect::<Vec<_>>());
        }
        captions
    }
}

/// Draws a box for each caption, and the lines between them.
fn boxes(
    captions: &Table<Vec<String>>,
    edges: impl Iterator<Item = (usize, usize)>,
) -> Result<String, TooLarge> {
    let widths =
        captions.rows.iter().map(|caption| 4 + caption.iter().map(|line| line.width()).max().unwrap_or(0));
    let links: Vec<_> = edges.map(|(from, to)| Link { from, to, way: from }).collect();
    let mut graph = Layered::new(widths.collect(), &links, WRAP)?.sort();
    graph.make_room();
    let mut x = place::columns(&graph);
    let columns =
        x.rows.iter().zip(&graph.widths.rows).map(|(x, width)| x + width / 2 + 2).max().unwrap_or(0);
    let mut canvas = Canvas { columns, ..Canvas::default() };
    let mut top = 0;
    for (layer, items) in graph.layers.rows.iter().enumerate() {
        let wires = route::wires(&graph, &mut x, layer);
        let height = items.iter().map(|&item| captions[item].len() + 2).max().unwrap_or(0);
        let end = top + height + wires.iter().map(|wire| wire.track).max().unwrap_or(0);
        if columns * end > MAX_CELLS {
            return Err(TooLarge);
        }
        // Lines of dummies reach into the next layer.
        canvas.cells.rows.resize(columns * (end + 3), 0);
        let bottom = |item| top + captions[item].len() + 1;
        for &item in items.iter().filter(|&&item| graph.widths[item] > 0) {
            let left = x[item] - graph.widths[item] / 2;
            let (right, bottom) = (left + graph.widths[item] - 1, bottom(item));
            for (row, text) in (top + 1..).zip(&captions[item]) {
                canvas.labels.insert((row, left + (graph.widths[item] - text.width()) / 2), text);
            }
            for row in [top, bottom] {
                canvas.line((left, row), (right, row));
            }
            for column in [left, right] {
                canvas.line((column, top), (column, bottom));
            }
        }
        for wire in wires {
            let ((left, right), track) = (wire.span(), top + height - 1 + wire.track);
            canvas.line((left, track), (right, track));
            for (item, column) in wire.ups {
                canvas.line((column, bottom(item)), (column, track));
            }
            for (item, column) in wire.downs {
                if graph.widths[item] > 0 {
                    canvas.line((column, track), (column, end));
                    *canvas.cell(column, end) = ARROW;
                } else {
                    canvas.line((column, track), (column, end + 2));
                }
            }
        }
        top = end + 1;
    }
    // Nothing leads on from the last layer.
    canvas.cells.rows.truncate(columns * top.saturating_sub(1));
    Ok(canvas.text())
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
                    out.extend(CHARS.chars().nth(cell.into()));
                }
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        out
    }
}
