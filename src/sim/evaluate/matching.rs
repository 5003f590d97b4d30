//! Partners in the plane, by a grid with cells as wide as the radius.

use std::collections::HashMap;

type Cell = (i64, i64);

/// Points by the square cell that they lie in, for searches within a radius.
struct Grid<'a> {
    points: &'a [(f64, f64)],
    cells: HashMap<Cell, Vec<usize>>,
    radius: f64,
}

impl<'a> Grid<'a> {
    fn new(points: &'a [(f64, f64)], radius: f64) -> Self {
        let mut cells: HashMap<Cell, Vec<usize>> = HashMap::new();
        for (i, &p) in points.iter().enumerate() {
            cells.entry(cell(p, radius)).or_default().push(i);
        }
        Self { points, cells, radius }
    }

    /// Distance and index of each point within the radius.
    fn within(&self, p: (f64, f64)) -> impl Iterator<Item = (f64, usize)> {
        let (cx, cy) = cell(p, self.radius);
        let around = (-1..=1).flat_map(move |dy| (-1..=1).map(move |dx| (cx + dx, cy + dy)));
        let candidates = around.filter_map(|c| self.cells.get(&c)).flatten();
        candidates
            .map(move |&i| ((self.points[i].0 - p.0).hypot(self.points[i].1 - p.1), i))
            .filter(|m| m.0 <= self.radius)
    }
}

fn cell((x, y): (f64, f64), radius: f64) -> Cell {
    // A position that is no number lands somewhere, and is then within no distance. Halved so that a neighbour's
    // index cannot overflow.
    let index = |v: f64| ((v / radius).floor() as i64).clamp(i64::MIN / 2, i64::MAX / 2);
    (index(x), index(y))
}

/// For each of `a` the index of the nearest of `b` within `radius`; several may share it.
pub fn nearest(a: &[(f64, f64)], b: &[(f64, f64)], radius: f64) -> Vec<Option<usize>> {
    let grid = Grid::new(b, radius);
    let first = |p| grid.within(p).min_by(|m, n| m.0.total_cmp(&n.0).then(m.1.cmp(&n.1)));
    a.iter().map(|&p| first(p).map(|(_, i)| i)).collect()
}

/// For each of `a` its partner in `b` within `radius`, nobody having two: the closest pair first, then the closest
/// of who is left.
pub fn one_to_one(a: &[(f64, f64)], b: &[(f64, f64)], radius: f64) -> Vec<Option<usize>> {
    let grid = Grid::new(b, radius);
    let mut pairs: Vec<(f64, usize, usize)> =
        a.iter().enumerate().flat_map(|(i, &p)| grid.within(p).map(move |(d, j)| (d, i, j))).collect();
    pairs.sort_by(|m, n| m.0.total_cmp(&n.0).then((m.1, m.2).cmp(&(n.1, n.2))));
    let mut partners = vec![None; a.len()];
    let mut taken = vec![false; b.len()];
    for (_, i, j) in pairs {
        if partners[i].is_none() && !taken[j] {
            partners[i] = Some(j);
            taken[j] = true;
        }
    }
    partners
}

/// For each of `a` all of `b` within `radius`: distance and index.
pub(super) fn within(a: &[(f64, f64)], b: &[(f64, f64)], radius: f64) -> Vec<Vec<(f64, usize)>> {
    let grid = Grid::new(b, radius);
    a.iter().map(|&p| grid.within(p).collect()).collect()
}

/// For each of `a` its partner in `b` within `radius`, nobody having two: the brightest of `a` takes the nearest, then the
/// next brightest the nearest of who is left. What has no magnitude comes last.
pub fn brightest_first(a: &[(f64, f64)], mags: &[f64], b: &[(f64, f64)], radius: f64) -> Vec<Option<usize>> {
    let grid = Grid::new(b, radius);
    let mut order: Vec<usize> = (0..a.len()).collect();
    order.sort_by(|&i, &j| mags[i].total_cmp(&mags[j]));
    let mut partners = vec![None; a.len()];
    let mut taken = vec![false; b.len()];
    for i in order {
        let free = grid.within(a[i]).filter(|m| !taken[m.1]);
        partners[i] = free.min_by(|m, n| m.0.total_cmp(&n.0).then(m.1.cmp(&n.1))).map(|m| m.1);
        partners[i].into_iter().for_each(|j| taken[j] = true);
    }
    partners
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn line(xs: &[f64]) -> Vec<(f64, f64)> {
        xs.iter().map(|&x| (x, 0.0)).collect()
    }

    #[test]
    fn the_brightest_chooses_first() {
        let (a, b) = (line(&[0.0, 2.0, 9.0]), line(&[1.2, 3.5]));
        assert_eq!(brightest_first(&a, &[20.0, 21.0, f64::NAN], &b, 3.0), [Some(0), Some(1), None]);
        assert_eq!(brightest_first(&a, &[20.0, 19.0, 18.0], &b, 3.0), [None, Some(0), None]);
        assert_eq!(within(&a, &b, 3.0).iter().map(Vec::len).collect::<Vec<_>>(), [1, 2, 0]);
    }

    #[test]
    fn the_closest_pair_goes_first() {
        let (a, b) = (line(&[0.0, 2.0]), line(&[1.2]));
        assert_eq!(one_to_one(&a, &b, 3.0), [None, Some(0)]);
        assert_eq!(nearest(&a, &b, 3.0), [Some(0), Some(0)]);
        assert_eq!(nearest(&a, &b, 1.0), [None, Some(0)]);
        assert_eq!(one_to_one(&line(&[f64::NAN]), &line(&[f64::NAN, 0.0]), 3.0), [None]);
    }

    fn points() -> impl Strategy<Value = Vec<(f64, f64)>> {
        prop::collection::vec((-20.0..20.0, -20.0..20.0), 0..40)
    }

    proptest! {
        #[test]
        fn the_grid_finds_what_looking_at_all_finds(a in points(), b in points(), radius in 0.1..15.0) {
            let distance = |p: (f64, f64), q: (f64, f64)| (p.0 - q.0).hypot(p.1 - q.1);
            for (i, found) in nearest(&a, &b, radius).into_iter().enumerate() {
                let best = b.iter().map(|&q| distance(a[i], q)).fold(f64::INFINITY, f64::min);
                prop_assert_eq!(found.map(|j| distance(a[i], b[j])), Some(best).filter(|d| *d <= radius));
            }
        }

        #[test]
        fn partners_are_one_to_one_and_nobody_free_is_left(a in points(), b in points(), radius in 0.1..15.0) {
            let there = one_to_one(&a, &b, radius);
            let mut taken: Vec<_> = there.iter().flatten().collect();
            taken.sort();
            prop_assert!(taken.windows(2).all(|w| w[0] != w[1]));
            for (i, &p) in a.iter().enumerate().filter(|(i, _)| there[*i].is_none()) {
                let free = (0..b.len()).filter(|j| !taken.contains(&j));
                for j in free {
                    prop_assert!((p.0 - b[j].0).hypot(p.1 - b[j].1) > radius, "{i} and {j} are both alone");
                }
            }
            // Who looks at whom does not matter.
            let back = one_to_one(&b, &a, radius);
            for (i, partner) in there.iter().enumerate() {
                prop_assert!(partner.is_none_or(|j| back[j] == Some(i)));
            }
        }
    }
}
