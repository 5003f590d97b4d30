//! The neighbourhood graph and the shortest ways through it.
//!
//! A neighbourhood graph may fall apart, above all by a few outliers that are each other's neighbours. Refusing it
//! would throw a whole run away for them, and leaving them without a scalar would leave objects without a class. So
//! the parts are joined by the shortest edges that join them, as scikit-learn does, and their number is kept for
//! the report.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rayon::prelude::*;

use super::neighbours::nearest;
use super::points::{Points, squared_distance};

/// An undirected graph with lengths, in one piece.
pub(super) struct Graph {
    edges: Vec<Vec<(usize, f64)>>,
    /// Pieces it was in before they were joined.
    pub components: usize,
}

impl Graph {
    /// Each point joined with its `neighbours` nearest and with all whose neighbour it is.
    pub(super) fn of(points: &Points, neighbours: usize) -> Self {
        let found: Vec<_> =
            (0..points.len()).into_par_iter().map(|i| nearest(points, points.row(i), neighbours, Some(i))).collect();
        let mut graph = Self { edges: vec![Vec::new(); points.len()], components: 1 };
        for (i, neighbours) in found.iter().enumerate() {
            neighbours.iter().for_each(|n| graph.join(i, n.index, n.distance));
        }
        graph.connect(points);
        graph
    }

    fn join(&mut self, a: usize, b: usize, length: f64) {
        self.edges[a].push((b, length));
        self.edges[b].push((a, length));
    }

    /// Prim's algorithm over the pieces: what is joined takes in the piece with the shortest edge to it, again and
    /// again.
    fn connect(&mut self, points: &Points) {
        let n = points.len();
        let mut inside = vec![false; n];
        // Of each point outside: squared distance to the nearest inside, and which that is.
        let mut gap = vec![(f64::INFINITY, 0); n];
        let mut taken_in = self.reachable(0);
        loop {
            taken_in.iter().for_each(|&i| inside[i] = true);
            gap.par_iter_mut().enumerate().filter(|(i, _)| !inside[*i]).for_each(|(i, gap)| {
                for &j in &taken_in {
                    let distance = squared_distance(points.row(i), points.row(j));
                    if distance < gap.0 {
                        *gap = (distance, j);
                    }
                }
            });
            let outside = (0..n).filter(|&i| !inside[i]);
            let Some(next) = outside.min_by(|&a, &b| gap[a].0.total_cmp(&gap[b].0)) else { return };
            taken_in = self.reachable(next);
            self.join(next, gap[next].1, gap[next].0.sqrt());
            self.components += 1;
        }
    }

    /// The piece that `from` is in.
    fn reachable(&self, from: usize) -> Vec<usize> {
        let mut seen = vec![false; self.edges.len()];
        seen[from] = true;
        let mut piece = vec![from];
        let mut next = 0;
        while next < piece.len() {
            for &(to, _) in &self.edges[piece[next]] {
                if !seen[to] {
                    seen[to] = true;
                    piece.push(to);
                }
            }
            next += 1;
        }
        piece
    }

    /// Length of the shortest way from `from` to each point (Dijkstra 1959).
    pub(super) fn distances(&self, from: usize) -> Vec<f64> {
        let mut shortest = vec![f64::INFINITY; self.edges.len()];
        shortest[from] = 0.0;
        // The bits of positive numbers are in the order of the numbers.
        let mut open = BinaryHeap::from([Reverse((0f64.to_bits(), from))]);
        while let Some(Reverse((bits, at))) = open.pop() {
            let so_far = f64::from_bits(bits);
            if so_far > shortest[at] {
                continue;
            }
            for &(to, length) in &self.edges[at] {
                let total = so_far + length;
                if total < shortest[to] {
                    shortest[to] = total;
                    open.push(Reverse((total.to_bits(), to)));
                }
            }
        }
        shortest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_go_along_the_edges() {
        let corner = Points::new(2, vec![0.0, 0.0, 0.0, 1.0, 0.0, 2.0, 1.0, 2.0, 2.0, 2.0]).unwrap();
        let graph = Graph::of(&corner, 1);
        assert_eq!(graph.components, 1);
        assert_eq!(graph.distances(0), [0.0, 1.0, 2.0, 3.0, 4.0]);
    }

    #[test]
    fn pieces_are_joined_by_the_shortest_edges() {
        let pairs = Points::new(1, vec![0.0, 1.0, 10.0, 11.0, 30.0, 31.0]).unwrap();
        let graph = Graph::of(&pairs, 1);
        assert_eq!(graph.components, 3);
        assert_eq!(graph.distances(5), [31.0, 30.0, 21.0, 20.0, 1.0, 0.0]);
        let edges: usize = graph.edges.iter().map(Vec::len).sum();
        assert_eq!(edges, 2 * (3 * 2 + 2), "each pair twice, and two bridges");
    }
}
