//! What a frame, an object and a catalogue are, and all that is computed of them: pure functions over plain structs.
//!
//! # What it may know
//!
//! None of our other crates, and no vendor's words: no file format, no net, no broker, no clock, no thread count. What
//! a net answers comes in through the two traits of [`model`]. Randomness is seeded and drawn per item, and rayon only
//! shares out work, so the number of threads decides nothing.
//!
//! # The modules
//!
//! In the order in which a frame meets them:
//!
//! | module | what |
//! | --- | --- |
//! | [`files`], [`frame`], [`wcs`], [`survey`] | a field's files; the field in five bands, its coordinates; a survey as data |
//! | [`recipe`] | the parameters that a model bundle pins for all that follows |
//! | [`preprocess`] | background, noise, bad pixels, bands on one grid |
//! | [`tile`], [`model`], [`scores`], [`threshold`] | tiles out and scores back; the port to the nets; the classical segmenter |
//! | [`sky_tiles`], [`false_rate`] | the frame's own noise as tiles; the threshold that leaves as many false objects as are wanted |
//! | [`detections`] | from scores to measured objects: runs the next three rows |
//! | [`filter`], [`extract`] | the detection image; components, deblending, footprints |
//! | [`aperture`], [`psf`] | centroids and curves of growth; the PSF of each band, from the frame's own stars |
//! | [`scene`] | all objects' models together: what is hidden, and what is whose light |
//! | [`cutout`], [`measure`] | stamps and profile fits; positions, fluxes, shapes |
//! | [`star_images`] | whether stars are single and round, or the frame is trailed or doubled |
//! | [`posterior`] | nets, profiles and colours as one calibrated probability |
//! | [`catalog`], [`outcome`] | the published columns; products, or the reason why there are none |
//! | [`drift`], [`mod@reference`] | whether frames are still what the model was made for; whether the sky is where they say |
//! | [`units`], [`median`], [`hex`], [`causes`] | shares and seconds that hold only sense; what all need once |
//! | [`atomic_write`] | a file that appears whole or not at all, for all who write one |
//!
//! # A star, found and placed on the sky
//!
//! ```
//! use twinpeak_core::{extract, filter, frame::Plane, scores::Scores, wcs::Wcs};
//!
//! // FWHM 3 px, on a sky without noise, in units of what the noise would be.
//! let mut image = Plane::filled(64, 64, 0.0f32);
//! for (x, y) in (0..64).flat_map(|y| (0..64).map(move |x| (x, y))) {
//!     let r2 = (x as f32 - 40.0).powi(2) + (y as f32 - 20.0).powi(2);
//!     image.set(x, y, 30.0 * (-r2 / 3.25).exp());
//! }
//! let scores = Scores::same(filter::matched_filter(&image, 3.0));
//! let settings = extract::Settings {
//!     detect_threshold: 5.0,
//!     extent_threshold: 5.0,
//!     min_area_px: 5,
//!     parting: extract::Parting::BRIGHTNESS,
//!     max_children: extract::Settings::MAX_CHILDREN,
//!     max_component_px: extract::Settings::MAX_COMPONENT_PX,
//! };
//! let found = extract::extract(&scores, &image, &Plane::filled(64, 64, 0), &settings);
//! let [star] = &found.objects[..] else { panic!("one object was drawn") };
//! assert!((star.x - 40.0).abs() < 0.1 && (star.y - 20.0).abs() < 0.1);
//!
//! let cd = [[-1.1e-4, 0.0], [0.0, 1.1e-4]]; // degrees a pixel
//! let wcs = Wcs::tangent((64, 64), (150.0, 2.0), (32.0, 32.0), cd)?;
//! let (ra_deg, dec_deg) = wcs.pixel_to_sky(star.x, star.y).ok_or("off the sky")?;
//! let (x, y) = wcs.sky_to_pixel(ra_deg, dec_deg).ok_or("off the sky")?;
//! assert!((x - star.x).abs() < 1e-6 && (y - star.y).abs() < 1e-6);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aperture;
mod astrometry;
pub mod atomic_write;
pub mod catalog;
pub mod causes;
mod cramer;
pub mod cutout;
pub mod detections;
pub mod drift;
pub mod extract;
pub mod false_rate;
pub mod files;
pub mod filter;
pub mod frame;
pub mod hex;
mod image_id;
pub mod measure;
pub mod median;
pub mod model;
pub mod outcome;
pub mod posterior;
pub mod preprocess;
pub mod psf;
pub mod recipe;
pub mod reference;
pub mod scene;
pub mod scores;
pub mod sky_mask;
pub mod sky_tiles;
pub mod star_images;
pub mod survey;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod threshold;
pub mod tile;
pub mod time;
pub mod units;
pub mod wcs;
