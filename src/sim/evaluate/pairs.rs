//! Close pairs: of two objects that touch, are both found?

use serde::Serialize;

use super::kinds::{Judgement, Kind};
use super::matching::within;
use super::statistics::Share;

/// Both of a pair are at least this bright.
pub const FAINTEST_MAG: f64 = 21.5;
/// One of a pair is at most so much fainter than the other.
pub const FAINTER_MAG: f64 = 2.0;
/// Separations that are told, px, each with what is within half a pixel.
const SEPARATIONS_PX: [u32; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

/// Pairs of about one separation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairsAt {
    /// Separation, px, to within half a pixel.
    pub separation_px: u32,
    /// Pairs of which each has a row of its own within `measured_px`.
    pub all: Share,
    /// The same of pairs of stars.
    pub stars: Share,
}

/// Pairs of all fields, away from edges and saturated cores: both r < 21.5, at most 2 mag apart.
pub(super) fn pairs(fields: &[Judgement]) -> Vec<PairsAt> {
    let mut found: Vec<Vec<(bool, bool)>> = vec![Vec::new(); SEPARATIONS_PX.len()];
    for field in fields {
        let usable = |kind: Kind| !matches!(kind, Kind::Edge | Kind::Saturated);
        let bright: Vec<_> = field.objects.iter().filter(|o| o.mag < FAINTEST_MAG && usable(o.kind)).collect();
        let places: Vec<_> = bright.iter().map(|o| (o.known.object.x, o.known.object.y)).collect();
        let farthest = f64::from(SEPARATIONS_PX[SEPARATIONS_PX.len() - 1]) + 0.5;
        for (a, near) in within(&places, &places, farthest).into_iter().enumerate() {
            for (distance, b) in near.into_iter().filter(|n| n.1 > a) {
                if (bright[a].mag - bright[b].mag).abs() > FAINTER_MAG {
                    continue;
                }
                let [a, b] = [bright[a], bright[b]];
                let both = a.row.is_some() && b.row.is_some();
                let stars = a.known.object.star && b.known.object.star;
                let at = SEPARATIONS_PX.iter().position(|s| (distance - f64::from(*s)).abs() < 0.5);
                at.into_iter().for_each(|k| found[k].push((stars, both)));
            }
        }
    }
    let told = |(separation_px, found): (u32, Vec<(bool, bool)>)| PairsAt {
        separation_px,
        all: Share::of(found.iter().map(|f| f.1)),
        stars: Share::of(found.iter().filter(|f| f.0).map(|f| f.1)),
    };
    SEPARATIONS_PX.into_iter().zip(found).map(told).collect()
}
