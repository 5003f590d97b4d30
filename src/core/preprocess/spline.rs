//! A natural cubic spline through values at 0, 1, 2, ...

/// The spline: values and second derivatives at its nodes.
#[derive(Clone, Debug)]
pub(super) struct Natural {
    value: Vec<f64>,
    curvature: Vec<f64>,
}

impl Natural {
    /// Through these values, at least one. Of one value it is a constant, of two a line.
    pub(super) fn new(values: impl Iterator<Item = f64>) -> Self {
        let value: Vec<f64> = values.collect();
        let n = value.len();
        let mut curvature = vec![0.0; n];
        if n > 2 {
            // c[i-1] + 4 c[i] + c[i+1] = 6 (v[i-1] - 2 v[i] + v[i+1]), c = 0 at both ends.
            let mut ratio = vec![0.0; n];
            for i in 1..n - 1 {
                let pivot = 4.0 - ratio[i - 1];
                ratio[i] = 1.0 / pivot;
                let bend = 6.0 * (value[i - 1] - 2.0 * value[i] + value[i + 1]);
                curvature[i] = (bend - curvature[i - 1]) / pivot;
            }
            for i in (1..n - 1).rev() {
                curvature[i] -= ratio[i] * curvature[i + 1];
            }
        }
        Self { value, curvature }
    }

    /// The cubic's coefficients between nodes `i` and `i + 1`, in powers of the distance from node `i`.
    fn piece(&self, i: usize) -> [f64; 4] {
        let Some(next) = self.value.get(i + 1) else {
            return [self.value.get(i).copied().unwrap_or_default(), 0.0, 0.0, 0.0];
        };
        let (v, c, d) = (self.value[i], self.curvature[i], self.curvature[i + 1]);
        [v, next - v - (2.0 * c + d) / 6.0, c / 2.0, (d - c) / 6.0]
    }

    fn last_piece(&self) -> usize {
        self.value.len().saturating_sub(2)
    }

    /// Its value at `t`; beyond the ends the outermost cubic goes on.
    pub(super) fn at(&self, t: f64) -> f64 {
        let i = (t.max(0.0) as usize).min(self.last_piece());
        let [a, b, c, d] = self.piece(i);
        let t = t - i as f64;
        a + t * (b + t * (c + t * d))
    }

    /// Takes it away from a row of pixels, the nodes being the centres of meshes of `mesh_px`.
    pub(super) fn subtract(&self, row: &mut [f32], mesh_px: usize) {
        let width = row.len();
        for i in 0..=self.last_piece() {
            // Pixels whose centre lies between the nodes; the first and last piece go on to the edges.
            let from = if i == 0 { 0 } else { (i * mesh_px + mesh_px / 2).min(width) };
            let to = if i == self.last_piece() { width } else { ((i + 1) * mesh_px + mesh_px / 2).min(width) };
            let [a, b, c, d] = self.piece(i).map(|k| k as f32);
            let step = 1.0 / mesh_px as f32;
            let first = ((from as f64 + 0.5) / mesh_px as f64 - 0.5 - i as f64) as f32;
            for (k, pixel) in row[from..to].iter_mut().enumerate() {
                let t = first + k as i32 as f32 * step;
                *pixel -= a + t * (b + t * (c + t * d));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_passes_through_its_nodes_and_bends_smoothly() {
        let spline = Natural::new([1.0, 3.0, 2.0, 5.0, 4.0].into_iter());
        for (i, v) in [1.0, 3.0, 2.0, 5.0, 4.0].into_iter().enumerate() {
            assert!((spline.at(i as f64) - v).abs() < 1e-12);
        }
        // The second derivative is continuous, and 0 at both ends.
        let bend = |t: f64| (spline.at(t - 1e-3) - 2.0 * spline.at(t) + spline.at(t + 1e-3)) / 1e-6;
        for t in [1.0, 2.0, 3.0] {
            assert!((bend(t - 2e-3) - bend(t + 2e-3)).abs() < 0.15, "{t}");
        }
        assert!(bend(0.002).abs() < 0.1 && bend(3.998).abs() < 0.1);
    }

    #[test]
    fn a_row_gets_the_same_values_as_single_points() {
        let spline = Natural::new([1.0, 3.0, -2.0, 5.0].into_iter());
        let mut row = vec![0.0f32; 470];
        spline.subtract(&mut row, 128);
        for (x, v) in row.iter().enumerate() {
            let want = spline.at((x as f64 + 0.5) / 128.0 - 0.5);
            assert!((f64::from(-v) - want).abs() < 1e-4, "{x}: {v} for {want}");
        }
    }
}
