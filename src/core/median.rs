//! The middle of a sample, in the three ways that an even number of values allows.

use std::cmp::Ordering;

/// The mean of the two middle values, as SExtractor takes it; `None` of nothing. Sorts the values.
///
/// ```
/// assert_eq!(twinpeak_core::median::median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
/// ```
pub fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    (n > 0).then(|| 0.5 * (values[(n - 1) / 2] + values[n / 2]))
}

/// The median, and the standard deviation of a normal distribution with this median absolute deviation; NaN of nothing.
/// Reorders the values and changes them.
///
/// ```
/// let (median, scatter) = twinpeak_core::median::median_and_scatter(&mut [1.0, 2.0, 3.0, 4.0, 900.0]);
/// assert_eq!((median, scatter), (3.0, 1.4826));
/// ```
pub fn median_and_scatter(values: &mut [f64]) -> (f64, f64) {
    let Some(middle) = median(values) else { return (f64::NAN, f64::NAN) };
    values.iter_mut().for_each(|v| *v = (*v - middle).abs());
    (middle, 1.4826 * median(values).unwrap_or(f64::NAN))
}

/// The upper of the two middle values, in linear time; `None` of nothing. Reorders the values.
pub fn upper_median<T: Copy>(values: &mut [T], compare: impl FnMut(&T, &T) -> Ordering) -> Option<T> {
    nth(values, values.len() / 2, compare)
}

/// The lower of the two middle values, in linear time; `None` of nothing. Reorders the values.
pub fn lower_median<T: Copy>(values: &mut [T], compare: impl FnMut(&T, &T) -> Ordering) -> Option<T> {
    nth(values, values.len().saturating_sub(1) / 2, compare)
}

fn nth<T: Copy>(values: &mut [T], n: usize, compare: impl FnMut(&T, &T) -> Ordering) -> Option<T> {
    (!values.is_empty()).then(|| *values.select_nth_unstable_by(n, compare).1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_number_of_values_has_three_middles_an_odd_one_has_one() {
        let all = |values: &[f64]| {
            let mut own = values.to_vec();
            let (lower, upper) = (lower_median(&mut own, f64::total_cmp), upper_median(&mut own, f64::total_cmp));
            (lower, median(&mut own), upper)
        };
        assert_eq!(all(&[5.0, 1.0, 2.0, 9.0]), (Some(2.0), Some(3.5), Some(5.0)));
        assert_eq!(all(&[5.0, 1.0, 9.0]), (Some(5.0), Some(5.0), Some(5.0)));
        assert_eq!(all(&[]), (None, None, None));
    }
}
