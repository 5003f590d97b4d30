//! Three linear equations: small enough for Cramer's rule.

/// Of a 3x3 matrix.
pub(crate) fn determinant(m: &[[f64; 3]; 3]) -> f64 {
    m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0])
        + m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0])
}

/// The x of a x = b; `None` where it is not finite.
pub(crate) fn cramer(a: &[[f64; 3]; 3], b: &[f64; 3]) -> Option<[f64; 3]> {
    let whole = determinant(a);
    let replaced = |column: usize| {
        let mut m = *a;
        (0..3).for_each(|row| m[row][column] = b[row]);
        determinant(&m) / whole
    };
    let solved = std::array::from_fn(replaced);
    solved.iter().all(|v: &f64| v.is_finite()).then_some(solved)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_solves_and_a_singular_system_has_none() {
        let a = [[4.0, 1.0, -2.0], [1.0, 3.0, 0.5], [-2.0, 0.5, 5.0]];
        let b = [1.0, -2.0, 3.0];
        let x = cramer(&a, &b).unwrap();
        for (row, b) in a.iter().zip(b) {
            let product: f64 = row.iter().zip(x).map(|(a, x)| a * x).sum();
            assert!((product - b).abs() < 1e-12);
        }
        assert_eq!(cramer(&[[1.0, 2.0, 3.0], [2.0, 4.0, 6.0], [0.0, 1.0, 0.0]], &b), None);
    }
}
