//! Where the pixels of one grid lie on another: known at nodes, straight between them.

/// Distance of neighbouring nodes, px. Distortions of wide-field cameras bend by less than .001 px over it.
const STEP_PX: usize = 32;

/// A position in a band and the area there of a pixel of the new grid, in the band's pixels.
#[derive(Clone, Copy, Debug)]
pub(super) struct At {
    pub(super) x: f64,
    pub(super) y: f64,
    /// The area as the interpolated map itself has it, so that no flux is lost between nodes.
    pub(super) area: f64,
}

/// The map of a whole grid.
#[derive(Clone, Debug)]
pub(crate) struct Nodes {
    size: (usize, usize),
    columns: usize,
    /// Positions at multiples of [`STEP_PX`], row by row; NaN where there is none.
    nodes: Vec<(f64, f64)>,
}

impl Nodes {
    /// The nodes of a grid of `size`, each where `map` takes it.
    pub(crate) fn new(size: (usize, usize), map: impl Fn(f64, f64) -> Option<(f64, f64)>) -> Self {
        let count = |length: usize| (length - 1) / STEP_PX + 2;
        let (columns, rows) = (count(size.0), count(size.1));
        let place = |i: usize| ((i % columns * STEP_PX) as f64, (i / columns * STEP_PX) as f64);
        let node = |i: usize| {
            let (x, y) = place(i);
            map(x, y).unwrap_or((f64::NAN, f64::NAN))
        };
        Self { size, columns, nodes: (0..columns * rows).map(node).collect() }
    }

    /// Width and height of the grid, px.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.size
    }

    /// Means over the grid: extent of a pixel along the x and y axis of the other grid, and its area there, in the
    /// other's pixels.
    pub(super) fn extent_and_area(&self) -> (f64, f64, f64) {
        let (mut sums, mut n) = ((0.0, 0.0, 0.0), 0.0);
        for y in (0..self.size.1).step_by(STEP_PX) {
            for column in 0..self.columns - 1 {
                let cell = Cell::new(self, column, y);
                let extent = (cell.by_x.0.hypot(cell.by_y[0].0), cell.by_x.1.hypot(cell.by_y[0].1));
                let area = cell.area(0);
                if area.is_finite() {
                    sums = (sums.0 + extent.0, sums.1 + extent.1, sums.2 + area);
                    n += 1.0;
                }
            }
        }
        (sums.0 / n, sums.1 / n, sums.2 / n)
    }

    /// Calls `each` with every pixel of row `y` and its place.
    pub(super) fn along_row(&self, y: usize, mut each: impl FnMut(usize, At)) {
        for column in 0..self.columns - 1 {
            let cell = Cell::new(self, column, y);
            let areas = [cell.area(0), cell.area(1)];
            let first = column * STEP_PX;
            for x in first..(first + STEP_PX).min(self.size.0) {
                let step = (x - first) as f64;
                let area = areas[0] + step / STEP_PX as f64 * (areas[1] - areas[0]);
                each(x, At { x: cell.left.0 + step * cell.by_x.0, y: cell.left.1 + step * cell.by_x.1, area });
            }
        }
    }
}

/// One row of pixels between two columns of nodes.
struct Cell {
    /// Place of its first pixel.
    left: (f64, f64),
    /// Step from a pixel to the next of the row.
    by_x: (f64, f64),
    /// Step from a pixel to that of the next row, at the left and the right end.
    by_y: [(f64, f64); 2],
}

impl Cell {
    fn new(nodes: &Nodes, column: usize, y: usize) -> Self {
        let (row, t) = (y / STEP_PX, (y % STEP_PX) as f64 / STEP_PX as f64);
        let at = |row: usize, column: usize| nodes.nodes[row * nodes.columns + column];
        let step = |a: (f64, f64), b: (f64, f64)| ((b.0 - a.0) / STEP_PX as f64, (b.1 - a.1) / STEP_PX as f64);
        let end = |column: usize| {
            let (above, below) = (at(row, column), at(row + 1, column));
            let place = (above.0 + t * (below.0 - above.0), above.1 + t * (below.1 - above.1));
            (place, step(above, below))
        };
        let ((left, left_by_y), (right, right_by_y)) = (end(column), end(column + 1));
        Self { left, by_x: step(left, right), by_y: [left_by_y, right_by_y] }
    }

    /// Area of a pixel at one end.
    fn area(&self, end: usize) -> f64 {
        (self.by_x.0 * self.by_y[end].1 - self.by_x.1 * self.by_y[end].0).abs()
    }
}
