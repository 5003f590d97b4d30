//! Who is near: objects by cells of 16 px.

/// Side of a cell, px.
const CELL_PX: f64 = 16.0;

/// A grid of cells over the reference frame; what lies outside is in the cell nearest to it.
#[derive(Clone, Debug, Default)]
pub(super) struct Cells {
    columns: usize,
    rows: usize,
    members: Vec<Vec<usize>>,
}

impl Cells {
    pub fn new(width: usize, height: usize) -> Self {
        let count = |length: usize| (length as f64 / CELL_PX).ceil().max(1.0) as usize;
        let (columns, rows) = (count(width), count(height));
        Self { columns, rows, members: vec![Vec::new(); columns * rows] }
    }

    pub fn insert(&mut self, i: usize, at: (f64, f64)) {
        let cell = self.row(at.1) * self.columns + self.column(at.0);
        self.members[cell].push(i);
    }

    pub fn remove(&mut self, i: usize, at: (f64, f64)) {
        let cell = self.row(at.1) * self.columns + self.column(at.0);
        self.members[cell].retain(|&m| m != i);
    }

    /// All in cells that a square of half side `reach` about a position touches, in no stated order.
    pub fn near(&self, at: (f64, f64), reach: f64) -> impl Iterator<Item = usize> {
        let (left, right) = (self.column(at.0 - reach), self.column(at.0 + reach));
        let rows = self.row(at.1 - reach)..=self.row(at.1 + reach);
        rows.flat_map(move |row| &self.members[row * self.columns + left..=row * self.columns + right])
            .flatten()
            .copied()
    }

    fn column(&self, x: f64) -> usize {
        cell(x, self.columns)
    }

    fn row(&self, y: f64) -> usize {
        cell(y, self.rows)
    }
}

/// NaN is in the first.
fn cell(v: f64, count: usize) -> usize {
    ((v / CELL_PX).floor().max(0.0) as usize).min(count - 1)
}
