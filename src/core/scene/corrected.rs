//! Where the data are not the frame's own pixels, by squares: most of a frame is untouched, and finding that out pixel by
//! pixel would cost each object more than its fit.

/// Side of a square, px.
const SQUARE_PX: f64 = 32.0;

/// Squares of the frame, of all bands together, in which something was taken from the data.
#[derive(Clone, Debug)]
pub(super) struct Corrected {
    columns: usize,
    marked: Vec<bool>,
    anywhere: bool,
}

impl Corrected {
    pub fn new(width: usize, height: usize) -> Self {
        let count = |length: usize| (length as f64 / SQUARE_PX).ceil().max(1.0) as usize;
        Self { columns: count(width), marked: vec![false; count(width) * count(height)], anywhere: false }
    }

    pub fn mark(&mut self, at: (f64, f64), reach: f64) {
        self.anywhere = true;
        for i in self.squares((at.0 - reach, at.1 - reach), (at.0 + reach, at.1 + reach)).collect::<Vec<_>>() {
            self.marked[i] = true;
        }
    }

    pub fn mark_all(&mut self) {
        self.anywhere = true;
        self.marked.fill(true);
    }

    pub fn is_nowhere(&self) -> bool {
        !self.anywhere
    }

    /// Whether there is anything in a rectangle of pixels of some band from position `first` on.
    pub fn touches(&self, first: (f64, f64), size: (usize, usize)) -> bool {
        let last = (first.0 + size.0 as f64, first.1 + size.1 as f64);
        self.anywhere && self.squares(first, last).any(|i| self.marked[i])
    }

    fn squares(&self, from: (f64, f64), to: (f64, f64)) -> impl Iterator<Item = usize> + use<> {
        let (columns, rows) = (self.columns, self.marked.len() / self.columns);
        let square = |v: f64, count: usize| ((v / SQUARE_PX).floor().max(0.0) as usize).min(count - 1);
        let (left, right) = (square(from.0 - 1.0, columns), square(to.0 + 1.0, columns));
        let rows = square(from.1 - 1.0, rows)..=square(to.1 + 1.0, rows);
        rows.flat_map(move |row| (left..=right).map(move |column| row * columns + column))
    }
}
