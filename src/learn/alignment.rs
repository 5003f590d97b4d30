//! How many stars there are is the profiles' to say. The nets' calibration knows what a point source would look like in an
//! object's place, but not how many objects are none: near the limit, where the two look alike, it called twice as many
//! objects stars as there were. The profiles' shares are bound by laws (see `profile_likelihood`) that carry from bright
//! objects, which are plain, to faint ones. So at each magnitude the nets' log-odds are shifted until their probabilities
//! have the profiles' mean:
//!
//! ```text
//! sum_i sigmoid(nets_i + shift(m)) = sum_i sigmoid(profiles_i)    over the objects near m
//! ```
//!
//! What the nets say of one object against another stays as it was. On simulated fields (six exposures, isolated objects,
//! shifts found on six others, which show partly the same skies) the calibration error fell from .07 to .04 at r 21-21.5, .12 to .02 at 21.5-22 and .18 to
//! .06 at 22-22.5, and rose nowhere by more than .002 at brighter ones but 20-20.5 (.005 to .016).

use crate::posterior::logistic;
use twinpeak_core::posterior::Calibration;

/// Objects this near to a node are its own, mag.
const WITHIN_MAG: f64 = 0.25;
/// A node with fewer asks further, until it has them...
const OBJECTS_MIN: usize = 60;
/// ...but no further than this, mag: beyond, it stays as it is.
const FARTHEST_MAG: f64 = 1.0;
/// Log-odds are shifted by no more than this.
const LARGEST_SHIFT: f64 = 8.0;
/// Halvings of the interval of shifts.
const STEPS: usize = 30;

/// What both say of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Opinions {
    /// PSF magnitude in the reference band.
    pub mag: f64,
    /// The nets' log-odds.
    pub nets: f64,
    /// The profiles' log-odds.
    pub profiles: f64,
}

/// The nets' calibration with each row of its table shifted.
pub(super) fn aligned(mut nets: Calibration, objects: &[Opinions]) -> Calibration {
    let width = nets.score_nodes.len();
    let shifts = nets.mag_nodes.iter().map(|&node| shift(objects, f64::from(node)) as f32);
    for (row, shift) in nets.log_odds.chunks_exact_mut(width.max(1)).zip(shifts.collect::<Vec<_>>()) {
        row.iter_mut().for_each(|odds| *odds += shift);
    }
    nets
}

fn shift(objects: &[Opinions], node: f64) -> f64 {
    let mut near: Vec<&Opinions> = objects.iter().filter(|o| (o.mag - node).abs() <= FARTHEST_MAG).collect();
    near.sort_by(|a, b| (a.mag - node).abs().total_cmp(&(b.mag - node).abs()));
    let own = near.iter().take_while(|o| (o.mag - node).abs() <= WITHIN_MAG).count();
    if near.len() < OBJECTS_MIN {
        return 0.0;
    }
    near.truncate(own.max(OBJECTS_MIN));
    let stars: f64 = near.iter().map(|o| logistic(o.profiles)).sum();
    let (mut low, mut high) = (-LARGEST_SHIFT, LARGEST_SHIFT);
    for _ in 0..STEPS {
        let middle = 0.5 * (low + high);
        let too_many = near.iter().map(|o| logistic(o.nets + middle)).sum::<f64>() > stars;
        if too_many { high = middle } else { low = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows at 18, 20 and 23, linear in the score.
    fn table() -> Calibration {
        Calibration {
            mag_nodes: vec![18.0, 20.0, 23.0],
            score_nodes: vec![-1.0, 1.0],
            log_odds: vec![-4.0, 4.0, -4.0, 4.0, -4.0, 4.0],
        }
    }

    /// Nets that say what the profiles say, and 1.5 more at 20; at 23 there is nobody.
    fn objects() -> Vec<Opinions> {
        let mag = |i: usize| if i.is_multiple_of(2) { 18.0 } else { 20.0 };
        let odds = |i: usize| (i * 7 % 41) as f64 / 5.0 - 4.0;
        (0..400)
            .map(|i| Opinions {
                mag: mag(i),
                nets: odds(i) + if i.is_multiple_of(2) { 0.0 } else { 1.5 },
                profiles: odds(i),
            })
            .collect()
    }

    #[test]
    fn a_shift_is_found_where_it_is_and_nowhere_else() {
        let found = aligned(table(), &objects());
        for (row, shift) in [(0, 0.0), (1, -1.5), (2, 0.0)] {
            for column in 0..2 {
                let moved = found.log_odds[2 * row + column] - table().log_odds[2 * row + column];
                assert!((moved - shift).abs() < 1e-4, "{row}: {moved}");
            }
        }
        assert_eq!(aligned(table(), &objects()[..50]), table(), "too few say nothing");
    }

    #[test]
    fn the_mean_is_the_profiles_whatever_the_nets_say() {
        let mut objects = objects();
        objects.iter_mut().enumerate().for_each(|(i, o)| o.nets = (i * 13 % 37) as f64 - 20.0);
        let at = shift(&objects, 20.0);
        let mean = |of: &dyn Fn(&Opinions) -> f64| {
            let near = objects.iter().filter(|o| o.mag == 20.0);
            near.map(|o| logistic(of(o))).sum::<f64>() / 200.0
        };
        assert!((mean(&|o| o.nets + at) - mean(&|o| o.profiles)).abs() < 1e-6);
    }
}
