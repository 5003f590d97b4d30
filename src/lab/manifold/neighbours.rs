//! Nearest neighbours by comparing with every point. In 30 dimensions a k-d tree visits nearly all its leaves anyway
//! (and kiddo's fixes the dimension at compile time); 3,000 against 3,000 points take well under a second.

use super::points::{Points, squared_distance};

/// One of a point's nearest neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Neighbour {
    /// Index of the neighbour among the points.
    pub index: usize,
    /// Euclidean distance to it.
    pub distance: f64,
}

/// The `count` nearest of `points` to `to`, nearest first, the lower index first of two equally near. Point
/// `except` is passed over.
pub(super) fn nearest(points: &Points, to: &[f64], count: usize, except: Option<usize>) -> Vec<Neighbour> {
    let all = points.rows().enumerate().filter(|(index, _)| Some(*index) != except);
    let mut found: Vec<Neighbour> =
        all.map(|(index, row)| Neighbour { index, distance: squared_distance(row, to).sqrt() }).collect();
    let order = |a: &Neighbour, b: &Neighbour| a.distance.total_cmp(&b.distance).then(a.index.cmp(&b.index));
    if count < found.len() {
        found.select_nth_unstable_by(count, order);
        found.truncate(count);
    }
    found.sort_unstable_by(order);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_first_and_ties_by_index() {
        let points = Points::new(1, vec![5.0, 1.0, 3.0, -1.0, 2.0]).unwrap();
        let indices =
            |count, except| -> Vec<usize> { nearest(&points, &[1.0], count, except).iter().map(|n| n.index).collect() };
        assert_eq!(indices(3, None), [1, 4, 2]);
        assert_eq!(indices(3, Some(1)), [4, 2, 3]);
        assert_eq!(indices(9, Some(1)), [4, 2, 3, 0]);
    }
}
