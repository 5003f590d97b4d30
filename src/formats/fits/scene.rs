//! A frame's models and what they leave as a FITS file: MODEL_R, RESIDUAL_R and so on, tile-compressed images in nMgy with
//! each band's own coordinates, behind an empty primary HDU that says what made them.

use super::FitsError;
use super::card::Cards;
use super::provenance::{add_provenance, add_quality};
use super::write_tiles::reals;
use twinpeak_core::outcome::Products;
use twinpeak_core::scene::SceneImages;

/// Pixels are rounded to this share of the sky's noise: that adds 0.0002 of its variance, and no less is there to see.
const STEP_SIGMA: f64 = 1.0 / 16.0;

/// The images of an image's scene: band by band its model, then its residual. Same products, same bytes.
///
/// # Errors
/// [`FitsError`] where a name or version cannot stand in a header.
pub fn scene_images(products: &Products, images: &SceneImages) -> Result<Vec<u8>, FitsError> {
    let mut cards = Cards::primary();
    add_provenance(&mut cards, &products.catalog.provenance);
    add_quality(&mut cards, &products.quality);
    let mut bytes = cards.finish()?;
    for (b, quality) in products.quality.iter().enumerate().filter(|(b, _)| images.present[*b]) {
        let step = STEP_SIGMA * f64::from(images.sigma_nmgy[b]);
        let planes = [
            ("MODEL", &images.model[b], "objects, halos and rest of the sky; residual added it is the frame"),
            ("RESIDUAL", &images.residual[b], "what no model explains; NaN without data"),
        ];
        for (name, plane, comment) in planes {
            let mut own = Cards::default();
            own.add("EXTNAME", format!("{name}_{}", quality.band.to_uppercase()).as_str(), comment);
            own.add("BAND", quality.band.as_str(), "").add(
                "MAGZERO",
                twinpeak_core::survey::NMGY_MAG,
                "[mag] of 1 nmgy",
            );
            own.add("QUANTUM", step, "[nmgy] pixels are rounded to multiples of it").add_wcs(&images.wcs[b]);
            bytes.extend(reals(plane, step, own)?);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::hdu::Hdu;
    use crate::fits::shape::{Linear, PixelKind, Shape};
    use crate::fits::table::Table;
    use crate::fits::tiles;
    use twinpeak_core::frame::Plane;
    use twinpeak_core::testing::{products, requested};

    #[test]
    fn our_own_reader_finds_each_pixel_within_half_a_step() {
        let mut images = *requested().scene.unwrap();
        let mut seed = 7u32;
        let mut random = || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (seed >> 8) as f32 / 16_777_216.0 - 0.5
        };
        let pixels = (0..70 * 64).map(|i| if i == 99 { f32::NAN } else { random() * 10f32.powi(i % 7 - 2) }).collect();
        images.residual[2] = Plane::from_pixels(70, 64, pixels);
        let made = products(0);
        let bytes = scene_images(&made, &images).unwrap();
        assert_eq!(bytes, scene_images(&made, &images).unwrap());
        let hdus = Hdu::split(&bytes).unwrap();
        assert_eq!(hdus.len(), 1 + 2 * 4, "four bands were taken");
        let hdu = &hdus[6];
        let shape = Shape { width: 70, height: 64, kind: PixelKind::Float };
        let table = Table::of(hdu).unwrap().unwrap();
        let read = tiles::decode(&hdu.header, &table, shape, Linear::IDENTITY).unwrap();
        for (found, wanted) in read.iter().zip(images.residual[2].pixels()) {
            let same = (found - wanted).abs() <= (0.02f32 / 16.0) * 0.501 + wanted.abs() * 1e-6;
            assert!(same || found.is_nan() && wanted.is_nan(), "{found} {wanted}");
        }
    }

    #[test]
    fn values_beyond_what_can_be_counted_are_the_largest() {
        let plane = Plane::from_pixels(2, 1, vec![f32::INFINITY, -1e30]);
        let bytes = reals(&plane, 0.5, Cards::default()).unwrap();
        assert!(!bytes.is_empty());
    }
}
