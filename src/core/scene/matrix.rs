//! Small symmetric matrices.

/// A symmetric matrix, row by row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Symmetric {
    n: usize,
    values: Vec<f64>,
}

impl Symmetric {
    pub fn diagonal(n: usize, value: impl Fn(usize) -> f64) -> Self {
        Self::from(n, |i, j| if i == j { value(i) } else { 0.0 })
    }

    /// From its lower half.
    pub fn from(n: usize, value: impl Fn(usize, usize) -> f64) -> Self {
        let mut values = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let v = value(i, j);
                values[i * n + j] = v;
                values[j * n + i] = v;
            }
        }
        Self { n, values }
    }

    pub fn at(&self, i: usize, j: usize) -> f64 {
        self.values[i * self.n + j]
    }

    pub fn add(&mut self, other: &Self) {
        self.values.iter_mut().zip(&other.values).for_each(|(a, b)| *a += b);
    }

    /// a' M b.
    pub fn between(&self, a: &[f64], b: &[f64]) -> f64 {
        let row = |i: usize| self.values[i * self.n..][..self.n].iter().zip(b).map(|(m, b)| m * b).sum::<f64>();
        a.iter().enumerate().map(|(i, a)| a * row(i)).sum()
    }

    /// a' M a.
    pub fn quadratic(&self, a: &[f64]) -> f64 {
        self.between(a, a)
    }

    /// By Cholesky's factors; `None` where it is not positive definite.
    pub fn inverse(&self) -> Option<Self> {
        let n = self.n;
        let mut lower = vec![0.0; n * n];
        for i in 0..n {
            for j in 0..=i {
                let sum: f64 = (0..j).map(|k| lower[i * n + k] * lower[j * n + k]).sum();
                let left = self.values[i * n + j] - sum;
                if i != j {
                    lower[i * n + j] = left / lower[j * n + j];
                } else if left > 0.0 && left.is_finite() {
                    lower[i * n + i] = left.sqrt();
                } else {
                    return None;
                }
            }
        }
        // Columns of the factor's inverse.
        let mut inverse = vec![0.0; n * n];
        for column in 0..n {
            for i in column..n {
                let unit = if i == column { 1.0 } else { 0.0 };
                let sum: f64 = (column..i).map(|k| lower[i * n + k] * inverse[k * n + column]).sum();
                inverse[i * n + column] = (unit - sum) / lower[i * n + i];
            }
        }
        Some(Self::from(n, |i, j| (i..n).map(|k| inverse[k * n + i] * inverse[k * n + j]).sum()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inverse_undoes_its_matrix() {
        let m = Symmetric::from(4, |i, j| if i == j { 3.0 + i as f64 } else { 1.0 / (1.0 + (i + j) as f64) });
        let inverse = m.inverse().unwrap();
        for i in 0..4 {
            for j in 0..4 {
                let product: f64 = (0..4).map(|k| m.at(i, k) * inverse.at(k, j)).sum();
                assert!((product - f64::from(u8::from(i == j))).abs() < 1e-12);
            }
        }
        assert_eq!(Symmetric::diagonal(2, |i| i as f64).inverse(), None);
    }
}
