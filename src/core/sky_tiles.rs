//! Tiles of a frame's own noise, without its objects: its sign flipped, and white noise where objects were
//! ([`crate::extract::calibrate`]). A segmenter scores some beside the frame's own tiles, and its threshold follows.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::extract::calibrate::NoiseScore;
use crate::frame::{BANDS, PerBand, Plane};
use crate::model::{TILE, TILE_LEN};

/// Where such tiles lie. Their inner parts, [`Self::RIM_PX`] within, do not overlap.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SkyTiles {
    places: Vec<(usize, usize)>,
    sky_px: usize,
}

impl SkyTiles {
    /// Most tiles: what is found on them is counted to a sixth, for a tenth of a core's second.
    pub const MOST: usize = 256;
    /// An object is counted in the tile within whose rim of this width its peak lies.
    pub const RIM_PX: usize = 8;
    /// Share of a tile's inner part that is sky, at least.
    const SKY_SHARE: f64 = 0.6;

    /// At most so many, evenly over what a frame shows of the sky.
    pub fn of(occupied: &Plane<bool>, most: usize) -> Self {
        let inner = TILE - 2 * Self::RIM_PX;
        let starts = |length: usize| (0..).step_by(inner).take_while(move |start| start + TILE <= length);
        let sky = |(x, y): (usize, usize)| {
            let rows = y + Self::RIM_PX..y + TILE - Self::RIM_PX;
            let free = |row: usize| {
                occupied.row(row)[x + Self::RIM_PX..x + TILE - Self::RIM_PX].iter().filter(|o| !**o).count()
            };
            rows.map(free).sum::<usize>()
        };
        let places = starts(occupied.height()).flat_map(|y| starts(occupied.width()).map(move |x| (x, y)));
        let all: Vec<((usize, usize), usize)> = places.map(|place| (place, sky(place))).collect();
        let usable: Vec<_> =
            all.into_iter().filter(|(_, sky)| *sky as f64 > Self::SKY_SHARE * (inner * inner) as f64).collect();
        let count = usable.len().min(most);
        let chosen = (0..count).map(|i| usable[i * usable.len() / count]);
        chosen.fold(Self::default(), |mut tiles, (place, sky)| {
            tiles.places.push(place);
            tiles.sky_px += sky;
            tiles
        })
    }

    /// Number of tiles.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Pixels of sky in their inner parts.
    pub fn sky_px(&self) -> usize {
        self.sky_px
    }

    /// The scores of centres of these tiles, in their order, as noise in which objects of so many pixels are counted.
    pub fn noise<'a>(&self, centres: &'a [Plane<f32>], min_area_px: usize) -> NoiseScore<'a> {
        NoiseScore { planes: centres, rim_px: Self::RIM_PX, sky_px: self.sky_px, min_area_px }
    }

    /// Copies tile `index` of planes in units of their noise into `out` ([`TILE_LEN`] values, NHWC).
    pub fn cut(&self, registered: &PerBand<Plane<f32>>, occupied: &Plane<bool>, index: usize, out: &mut [f32]) {
        let (x0, y0) = self.places[index];
        let mut rng = ChaCha8Rng::seed_from_u64(index as u64);
        for (i, pixel) in out[..TILE_LEN].chunks_exact_mut(BANDS).enumerate() {
            let (x, y) = (x0 + i % TILE, y0 + i / TILE);
            for (p, plane) in pixel.iter_mut().zip(registered) {
                *p = flipped(plane.at(x, y), occupied.at(x, y), &mut rng);
            }
        }
    }
}

/// A pixel of a frame without objects: 0, no measurement, stays so.
pub(crate) fn flipped(value: f32, occupied: bool, rng: &mut ChaCha8Rng) -> f32 {
    match occupied {
        true if value != 0.0 => StandardNormal.sample(rng),
        _ => -value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_lie_on_the_sky_and_show_it_flipped() {
        let mut occupied = Plane::filled(400, 300, false);
        (0..300).for_each(|y| occupied.row_mut(y)[..200].fill(true));
        let planes: PerBand<Plane<f32>> = std::array::from_fn(|b| {
            Plane::from_pixels(400, 300, (0..120_000).map(|i| (i * BANDS + b + 1) as f32).collect())
        });
        let tiles = SkyTiles::of(&occupied, 9);
        assert_eq!(tiles.len(), 9);
        assert!(tiles.places.iter().all(|&(x, _)| x + 16 > 200), "{tiles:?}");
        let mut out = vec![0.0; TILE_LEN];
        tiles.cut(&planes, &occupied, 4, &mut out);
        let (x, y) = tiles.places[4];
        let last = (TILE - 1) * TILE + TILE - 1;
        assert_eq!(out[last * BANDS + 3], -planes[3].at(x + TILE - 1, y + TILE - 1));
        assert!(SkyTiles::of(&Plane::filled(400, 300, true), 9).is_empty());
    }
}
