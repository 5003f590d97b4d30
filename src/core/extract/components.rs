//! Connected components of pixels above a threshold, 8 neighbours to a pixel: runs along rows, joined by
//! union-find where they touch.

use rayon::prelude::*;

use crate::filter::for_row_blocks;
use crate::frame::Plane;

/// Pixels `from..to` of row `y`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Run {
    y: u32,
    from: u32,
    to: u32,
}

/// Connected pixels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Component {
    /// Its runs, in [`Components::runs`].
    first_run: usize,
    last_run: usize,
    /// Pixels.
    pub(super) area_px: usize,
}

/// All components of a plane, by their first pixel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Components {
    /// Component by component, row by row within each.
    runs: Vec<Run>,
    pub(super) list: Vec<Component>,
}

impl Components {
    /// Finds the components of pixels above `threshold`.
    pub(super) fn of(score: &Plane<f32>, threshold: f32) -> Self {
        let rows: Vec<Vec<Run>> =
            (0..score.height()).into_par_iter().with_min_len(32).map(|y| runs(score.row(y), y, threshold)).collect();
        let mut parent: Vec<u32> = (0..rows.iter().map(Vec::len).sum::<usize>() as u32).collect();
        let mut start = 0;
        for pair in rows.windows(2) {
            join(&pair[0], &pair[1], start, &mut parent);
            start += pair[0].len();
        }
        Self::gather(rows.into_iter().flatten().collect(), &mut parent)
    }

    /// Groups runs by the root of their tree, which is their component's first run.
    fn gather(all: Vec<Run>, parent: &mut [u32]) -> Self {
        let mut list: Vec<Component> = Vec::new();
        let mut component_of = vec![0usize; all.len()];
        for (i, run) in all.iter().enumerate() {
            let root = find(parent, i as u32) as usize;
            if root == i {
                component_of[i] = list.len();
                list.push(Component { first_run: 0, last_run: 0, area_px: 0 });
            }
            component_of[i] = component_of[root];
            let component = &mut list[component_of[i]];
            component.last_run += 1; // a count, for now
            component.area_px += (run.to - run.from) as usize;
        }
        let mut next = 0;
        for component in &mut list {
            component.first_run = next;
            next += component.last_run;
            component.last_run = component.first_run; // where the next run goes
        }
        let mut runs = all.clone();
        for (run, &c) in all.iter().zip(&component_of) {
            runs[list[c].last_run] = *run;
            list[c].last_run += 1;
        }
        Self { runs, list }
    }

    fn runs(&self, component: &Component) -> &[Run] {
        &self.runs[component.first_run..component.last_run]
    }

    /// Row and column of each pixel of a component, row by row.
    pub(super) fn pixels(&self, component: &Component) -> Vec<(u32, u32)> {
        self.runs(component).iter().flat_map(|r| (r.from..r.to).map(|x| (r.y, x))).collect()
    }
}

/// The runs of a row.
fn runs(row: &[f32], y: usize, threshold: f32) -> Vec<Run> {
    let mut found = Vec::new();
    let mut x = 0;
    while let Some(skipped) = row[x..].iter().position(|&s| s > threshold) {
        let from = x + skipped;
        let to = from + row[from..].iter().take_while(|&&s| s > threshold).count(); // a NaN ends a run
        found.push(Run { y: y as u32, from: from as u32, to: to as u32 });
        x = to;
    }
    found
}

/// Joins the runs of two rows that follow each other where they touch, corners included. `start` is the number of
/// the first run of `above`.
fn join(above: &[Run], below: &[Run], start: usize, parent: &mut [u32]) {
    let (mut i, mut j) = (0, 0);
    while i < above.len() && j < below.len() {
        let (a, b) = (above[i], below[j]);
        if a.from <= b.to && b.from <= a.to {
            let p = find(parent, (start + i) as u32);
            let q = find(parent, (start + above.len() + j) as u32);
            // The earlier run is the root.
            parent[p.max(q) as usize] = p.min(q);
        }
        if a.to < b.to {
            i += 1;
        } else {
            j += 1;
        }
    }
}

fn find(parent: &mut [u32], mut i: u32) -> u32 {
    while parent[i as usize] != i {
        let above = parent[parent[i as usize] as usize];
        parent[i as usize] = above;
        i = above;
    }
    i
}

/// Each pixel's place in its component's list of pixels, on a grid with a margin of one pixel. Two neighbours in
/// it are always of one component, so one grid serves all of them.
pub(super) struct Members {
    place: Plane<u32>,
}

/// No component's.
pub(super) const NOWHERE: u32 = u32::MAX;

impl Members {
    pub(super) fn new(components: &Components, width: usize, height: usize) -> Self {
        let mut by_row: Vec<Vec<(Run, u32)>> = vec![Vec::new(); height];
        for component in &components.list {
            let mut place = 0;
            for run in components.runs(component) {
                by_row[run.y as usize].push((*run, place));
                place += run.to - run.from;
            }
        }
        let mut place = Plane::filled(width + 2, height + 2, NOWHERE);
        for_row_blocks(&mut place, |first, rows| {
            for (y, row) in rows.chunks_exact_mut(width + 2).enumerate() {
                let runs = (first + y).checked_sub(1).and_then(|y| by_row.get(y));
                for (run, start) in runs.into_iter().flatten() {
                    let cells = &mut row[run.from as usize + 1..run.to as usize + 1];
                    cells.iter_mut().zip(*start..).for_each(|(cell, place)| *cell = place);
                }
            }
        });
        Self { place }
    }

    /// Places of the eight neighbours of pixel (row, column); [`NOWHERE`] for those of no component.
    pub(super) fn around(&self, (y, x): (u32, u32)) -> [u32; 8] {
        let (x, y) = (x as usize, y as usize);
        let rows = [self.place.row(y), self.place.row(y + 1), self.place.row(y + 2)];
        let [a, b, c] = rows.map(|row| &row[x..x + 3]);
        [a[0], a[1], a[2], b[0], b[2], c[0], c[1], c[2]]
    }
}
