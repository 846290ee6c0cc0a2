//! Paints a layout with the line-drawing characters of a terminal.

use super::layout::{Block, Layout, width};
use super::{Diagram, Table, TooLarge};

/// The directions in which a cell's lines leave it. A cell holds the sum: where lines meet, the sum is
/// the character that joins them.
const UP: u8 = 1;
const DOWN: u8 = 2;
const LEFT: u8 = 4;
const RIGHT: u8 = 8;

/// What the cells look like: first the sums, then the arrow, then frames, which are dashed so that no
/// edge can be mistaken for one.
const CHARS: [char; 23] = [
    ' ', '╵', '╷', '│', '╴', '┘', '┐', '┤', '╶', '└', '┌', '├', '─', '┴', '┬', '┼', '▼', '┄', '┆', '╭', '╮',
    '╰', '╯',
];
const ARROW: u8 = 16;
const FRAME: u8 = 17;

impl Diagram {
    /// The diagram as boxes and lines for a terminal, from top to bottom. The graph must have no cycle.
    ///
    /// # Errors
    ///
    /// If the drawing would have more than some million characters.
    pub fn ascii(&self) -> Result<String, TooLarge> {
        Ok(Canvas::paint(&self.layout()?).text())
    }
}

/// Text over the cells, which may be wider or narrower than its number of characters.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Label<'a> {
    row: i64,
    column: i64,
    text: &'a str,
}

struct Canvas<'a> {
    columns: i64,
    cells: Table<u8>,
    labels: Vec<Label<'a>>,
}

impl<'a> Canvas<'a> {
    fn paint(layout: &'a Layout) -> Self {
        let size = usize::try_from(layout.columns * layout.rows).unwrap_or(0);
        let mut canvas = Self { columns: layout.columns, cells: Table::new(size), labels: Vec::new() };
        for line in &layout.lines {
            canvas.line(line.from, line.to);
        }
        for block in &layout.boxes {
            canvas.outline(block);
            let room = block.right - block.left + 1;
            for (row, text) in (block.top + 1..).zip(&block.text) {
                canvas.labels.push(Label { row, column: block.left + (room - width(text)) / 2, text });
            }
        }
        for &(column, row) in &layout.arrows {
            *canvas.cell(column, row) = ARROW;
        }
        for block in &layout.frames {
            canvas.frame(block);
        }
        canvas.labels.sort();
        canvas
    }

    fn cell(&mut self, column: i64, row: i64) -> &mut u8 {
        &mut self.cells[usize::try_from(row * self.columns + column).unwrap_or(usize::MAX)]
    }

    fn line(&mut self, (left, top): (i64, i64), (right, bottom): (i64, i64)) {
        for column in left..right {
            *self.cell(column, top) |= RIGHT;
            *self.cell(column + 1, top) |= LEFT;
        }
        for row in top..bottom {
            *self.cell(left, row) |= DOWN;
            *self.cell(left, row + 1) |= UP;
        }
    }

    fn outline(&mut self, &Block { left, right, top, bottom, .. }: &Block) {
        self.line((left, top), (right, top));
        self.line((left, bottom), (right, bottom));
        self.line((left, top), (left, bottom));
        self.line((right, top), (right, bottom));
    }

    /// Frames go behind: they leave the cells of lines alone.
    fn frame(&mut self, block: &'a Block) {
        let &Block { left, right, top, bottom, .. } = block;
        let sides = (top..=bottom).flat_map(|row| [(left, row, 1), (right, row, 1)]);
        let ends = (left..=right).flat_map(|column| [(column, top, 0), (column, bottom, 0)]);
        let corners = [(left, top, 2), (right, top, 3), (left, bottom, 4), (right, bottom, 5)];
        for (column, row, shape) in corners.into_iter().chain(ends).chain(sides) {
            let cell = self.cell(column, row);
            if *cell == 0 {
                *cell = FRAME + shape;
            }
        }
        if let Some(text) = block.text.first().filter(|text| !text.is_empty()) {
            self.labels.push(Label { row: top, column: left + 3, text });
            *self.cell(left + 2, top) = 0;
            *self.cell(left + 3 + width(text), top) = 0;
        }
    }

    fn text(self) -> String {
        let mut out = String::new();
        let mut labels = self.labels.into_iter().peekable();
        let columns = usize::try_from(self.columns).unwrap_or(0).max(1);
        for (row, cells) in (0..).zip(self.cells.iter().as_slice().chunks(columns)) {
            let mut covered = 0;
            for (column, &cell) in (0..).zip(cells) {
                if let Some(label) = labels.next_if(|label| (label.row, label.column) == (row, column)) {
                    out.push_str(label.text);
                    covered = column + width(label.text);
                }
                if column >= covered {
                    out.push(CHARS.get(usize::from(cell)).copied().unwrap_or(' '));
                }
            }
            out.truncate(out.trim_end_matches(' ').len());
            out.push('\n');
        }
        out
    }
}
