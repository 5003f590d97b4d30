//! Which objects are alone in their cutout. The paper blames the instability of its manifold step on cutouts that show
//! several objects (section 6.1).

use crate::dataset::Features;
use twinpeak_core::model::TILE;

/// Whether the 64x64 cutout of each object, which has it on index 32 of both axes, holds the centre of no other object
/// of the data set on the same image. Fainter things than the data set takes may be there.
pub fn isolated(objects: &Features) -> Vec<bool> {
    let mut isolated = vec![true; objects.len()];
    let all: Vec<usize> = (0..objects.len()).collect();
    for image in all.chunk_by(|&i, &j| objects.image[i] == objects.image[j]) {
        for &i in image {
            let shown = |&j: &usize| {
                let (x, y) = (objects.x[j] - objects.x[i], objects.y[j] - objects.y[i]);
                j != i && within(x) && within(y)
            };
            isolated[i] = !image.iter().any(shown);
        }
    }
    isolated
}

/// Whether an offset from the object lies on the cutout, px.
fn within(offset_px: f64) -> bool {
    let half = TILE as f64 / 2.0;
    (-half - 0.5..half - 0.5).contains(&offset_px)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_neighbour_counts_on_the_cutout_and_on_the_same_image() {
        let mut objects = Features { images: vec!["a".into(), "b".into()], ..Features::default() };
        objects.image = vec![0, 0, 0, 1];
        objects.number = vec![1, 2, 3, 1];
        // The second shows the first at its edge, index 0; the first would show the second on index 64, and does not.
        objects.x = vec![100.0, 132.0, 300.0, 100.0];
        objects.y = vec![50.0, 50.0, 50.0, 50.0];
        assert_eq!(isolated(&objects), [true, false, true, true]);
        objects.image = vec![0; 4];
        assert_eq!(isolated(&objects), [false, false, true, false]);
        assert!(isolated(&Features::default()).is_empty());
    }
}
