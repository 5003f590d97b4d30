//! One image's objects: found and measured by the daemon's stages, cut, packed, written, read.

use std::path::{Path, PathBuf};

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::cutouts::{Cutouts, pack};
use super::features::{Features, ObjectFeatures, halves};
use super::manifest::Entry;
use super::{Damage, DataSetError, checksum};
use twinpeak_core::cutout::{Cutout, FrameView, cutout64};
use twinpeak_core::detections::Detections;
use twinpeak_core::frame::{BANDS, ImageId, PerBand};
use twinpeak_core::measure::Measured;
use twinpeak_learn::sample::teaches;

/// What a data set keeps of the objects of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Shard {
    /// The image that the objects were found on.
    pub image: ImageId,
    /// What is known of each object.
    pub features: Features,
    /// Their pixels, in the same order.
    pub cutouts: Cutouts,
}

/// A shard as its two files.
pub struct EncodedShard {
    /// Bytes of `SHARD.features`.
    pub features: Vec<u8>,
    /// Bytes of `SHARD.cutouts`.
    pub cutouts: Vec<u8>,
    /// What the manifest says of them.
    pub entry: Entry,
}

/// The name of a part's shard: that of its `number`th field, from 0.
pub fn shard_name(number: usize) -> String {
    format!("{number:05}")
}

/// Where a shard's features lie, and its cutouts. It is whole once its features are there: they are written last.
pub fn shard_files(folder: &Path, shard: &str) -> (PathBuf, PathBuf) {
    (folder.join(format!("{shard}.features")), folder.join(format!("{shard}.cutouts")))
}

impl Shard {
    /// Takes every object that would be classified, within the survey's `magnitudes.teaching`, in the order of their numbers. All that is
    /// random (noise under masked pixels, control stamps) follows from the image's name and the object's number.
    pub fn take(found: &Detections, image: &ImageId) -> Self {
        let view = found.view();
        let scale = view.survey.profile().pixel_scale_arcsec;
        let fwhm_px = found.quality.map(|q| (q.fwhm_arcsec / scale) as f32);
        let seed = seed_of(image);
        let taken: Vec<(ObjectFeatures, Vec<u8>)> =
            found.measure().par_iter().filter_map(|m| one(&view, m, fwhm_px, seed)).collect();
        let mut features = Features { images: vec![image.to_string()], ..Features::default() };
        let mut packed = Vec::with_capacity(taken.len());
        for (object, cutout) in taken {
            features.push(object);
            packed.push(cutout);
        }
        Self { image: image.clone(), features, cutouts: Cutouts::new(packed) }
    }

    /// How many objects it holds.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.features.is_empty()
    }

    /// Keeps the first `objects` and drops the others.
    pub fn truncate(&mut self, objects: usize) {
        self.features.truncate(objects);
        self.cutouts.truncate(objects);
    }

    /// Its files' bytes; the same objects give the same.
    pub fn encode(&self, shard: String) -> EncodedShard {
        let features = checksum::append(self.features.encode(self.image.as_str()));
        let cutouts = checksum::append(self.cutouts.encode());
        let entry = Entry {
            shard,
            image: self.image.to_string(),
            objects: self.len(),
            features_sha256: checksum::of(&features),
            cutouts_sha256: checksum::of(&cutouts),
        };
        EncodedShard { features, cutouts, entry }
    }
}

impl Entry {
    /// Looks at a shard of an earlier run; `None` where it was not yet whole.
    ///
    /// # Errors
    /// [`DataSetError`] where a file is damaged.
    pub fn inspect(folder: &Path, shard: String) -> Result<Option<Self>, DataSetError> {
        let (path, cutouts) = shard_files(folder, &shard);
        if !path.exists() || !cutouts.exists() {
            return Ok(None);
        }
        let (content, features_sha256) = checksum::read(&path, None)?;
        let mut features = Features::default();
        features.append(&content).map_err(|damage| DataSetError::Damaged { path, damage })?;
        let (_, cutouts_sha256) = checksum::read(&cutouts, None)?;
        let image = features.images.pop().unwrap_or_default();
        Ok(Some(Self { shard, image, objects: features.len(), features_sha256, cutouts_sha256 }))
    }

    /// Appends the shard's features.
    ///
    /// # Errors
    /// [`DataSetError`] naming the file.
    pub fn read_features(&self, folder: &Path, to: &mut Features) -> Result<(), DataSetError> {
        let (path, _) = shard_files(folder, &self.shard);
        let (content, _) = checksum::read(&path, Some(&self.features_sha256))?;
        to.append(&content).map_err(|damage| DataSetError::Damaged { path, damage })
    }

    /// The shard's cutouts, still packed.
    ///
    /// # Errors
    /// [`DataSetError`] naming the file.
    pub fn read_cutouts(&self, folder: &Path) -> Result<Cutouts, DataSetError> {
        let (_, path) = shard_files(folder, &self.shard);
        let (content, _) = checksum::read(&path, Some(&self.cutouts_sha256))?;
        let cutouts = Cutouts::decode(&content).and_then(|c| {
            let whole = c.len() == self.objects;
            if whole { Ok(c) } else { Err(Damage::Column { name: "ends" }) }
        });
        cutouts.map_err(|damage| DataSetError::Damaged { path, damage })
    }
}

/// Measures and cuts one object; `None` where there is no basis for its class.
fn one(
    view: &FrameView,
    measured: &Measured,
    psf_fwhm_px: PerBand<f32>,
    seed: u64,
) -> Option<(ObjectFeatures, Vec<u8>)> {
    let row = &measured.row;
    let input = measured.input.as_ref().filter(|e| teaches(view.survey, e, row))?;
    let known = &input.measured;
    let seed = seed ^ u64::from(row.number).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let cutout = Cutout::take(view, row.number, measured.centre);
    let sky_sigma = view.prepared.sky.map(|s| s.sigma_nmgy);
    let mut pixels = cutout64(view, row.number, measured.centre, seed);
    for pixel in pixels.chunks_exact_mut(BANDS) {
        pixel.iter_mut().zip(sky_sigma).for_each(|(v, sigma)| *v /= sigma);
    }
    let object = ObjectFeatures {
        number: row.number,
        x: measured.centre.0,
        y: measured.centre.1,
        reference_mag: known.mag,
        concentration: row.concentration,
        half_light_radius_px: row.half_light_radius,
        psf_flux: row.psf_flux,
        psf_flux_err: row.psf_flux_err,
        sky_sigma,
        psf_fwhm_px,
        flags: row.flags,
        sn: known.sn,
        stamp: halves(&input.stamp),
        null_stamp: halves(&cutout.control_stamp(seed)),
        chi2: known.chi2,
        colours: known.colours,
    };
    Some((object, pack(&pixels)))
}

/// The seed of an image's noise: of its name alone.
fn seed_of(image: &ImageId) -> u64 {
    Sha256::digest(image.as_str()).iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte))
}
