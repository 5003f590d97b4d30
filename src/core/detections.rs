//! From scores to measured objects: the one way that the daemon and the trainer both take.

use rayon::prelude::*;

use crate::astrometry;
use crate::cutout::{ClassifierInput, FrameView, Measurements, Profiles, other_nights};
use crate::extract::{self, Footprints};
use crate::filter::detection_image;
use crate::frame::{PerBand, Plane};
use crate::measure::{self, Measured};
use crate::preprocess::{self, Prepared};
use crate::psf::{self, Psf, PsfQuality, Splines};
use crate::scene::{self, Scene};
use crate::scores::Scores;
use crate::survey::Survey;

/// Of so many objects of a frame other nights are asked: an ordinary field has fewer, and a crowded one costs no more.
const MOST_ASKED: usize = 4000;

/// A frame's objects, and what measuring them needs.
pub struct Detections<'a> {
    prepared: &'a Prepared,
    survey: &'a Survey,
    /// Segmentation and footprint of each object.
    pub footprints: Footprints,
    /// Width of each band's PSF, and how many stars made it.
    pub quality: PerBand<PsfQuality>,
    detection: Plane<f32>,
    shapes: Vec<crate::aperture::Shape>,
    splines: Splines,
    psf: Psf,
    profiles: Profiles,
    scene: Scene<'a>,
    astrometric_error_deg: f64,
}

/// Weights of a frame's detection sum: an ordinary object's flux over this frame's own noise.
pub fn detection_weights(prepared: &Prepared, survey: &Survey) -> PerBand<f32> {
    preprocess::detection_weights(&prepared.sky, survey)
}

impl<'a> Detections<'a> {
    /// Finds the objects behind `scores`, measures the frame's PSF on their stars (`fallback_fwhm_arcsec` serves where there
    /// are too few), and models the whole scene, with what was hidden.
    pub fn find(
        prepared: &'a Prepared,
        survey: &'a Survey,
        scores: &Scores,
        settings: &extract::Settings,
        fallback_fwhm_arcsec: &PerBand<f64>,
    ) -> Self {
        let detection = detection_image(&prepared.registered, &detection_weights(prepared, survey));
        let mut footprints = extract::extract(scores, &detection, &prepared.bits, settings);
        let mut shapes = measure::footprint_shapes(prepared, survey, &footprints);
        let splines = Splines::new(&prepared.frame);
        let (psf, quality) = psf::measure(prepared, survey, &splines, &shapes, fallback_fwhm_arcsec);
        let profiles = Profiles::new(&psf);
        let astrometric_error_deg = astrometry::error_deg(prepared, survey, &quality);
        let mut scene = scene::model(prepared, survey, &psf, &mut footprints, &mut shapes);
        scene.name_knots(&footprints, &detection);
        scene.name_rows(&mut footprints, &detection);
        scene.measure_shapes(&mut shapes);
        Self {
            prepared,
            survey,
            footprints,
            quality,
            detection,
            shapes,
            splines,
            psf,
            profiles,
            scene,
            astrometric_error_deg,
        }
    }

    /// Position and size of each object in the reference band, in the order of their numbers.
    pub fn shapes(&self) -> &[crate::aperture::Shape] {
        &self.shapes
    }

    /// The frame as cutouts and measurements need it.
    pub fn view(&self) -> FrameView<'_> {
        FrameView {
            prepared: self.prepared,
            survey: self.survey,
            splines: &self.splines,
            psf: &self.psf,
            profiles: &self.profiles,
            segmentation: &self.footprints.segmentation,
            scene: Some(&self.scene),
            astrometric_error_deg: self.astrometric_error_deg,
        }
    }

    /// The PSF of each band.
    pub fn psf(&self) -> &Psf {
        &self.psf
    }

    /// The models of all of them.
    pub fn scene(&self) -> &Scene<'a> {
        &self.scene
    }

    /// What each of the `measured` objects would be derived from on other nights, in their order: nothing of one without a
    /// basis or of which `may_move` does not hold, and `None` of those that are passed over since there are more than
    /// `MOST_ASKED`.
    pub fn other_nights(
        &self,
        measured: &[Measured],
        may_move: impl Fn(&Measurements) -> bool,
    ) -> Vec<Option<Vec<ClassifierInput>>> {
        let moves: Vec<bool> =
            measured.iter().map(|m| m.input.as_ref().is_some_and(|input| may_move(&input.measured))).collect();
        let every = moves.iter().filter(|m| **m).count().div_ceil(MOST_ASKED).max(1);
        let mut seen = 0..;
        let asked: Vec<Option<bool>> =
            moves.iter().map(|&m| if m { (seen.next()? % every == 0).then_some(true) } else { Some(false) }).collect();
        let view = self.view();
        let of = |(m, asked): (&Measured, Option<bool>)| {
            let nights = |asked| if asked { other_nights(&view, m.row.number, m.centre) } else { Vec::new() };
            asked.map(nights)
        };
        measured.par_iter().zip(asked).map(of).collect()
    }

    /// Measures all of them, in the order of their numbers.
    pub fn measure(&self) -> Vec<Measured> {
        measure::measure(&self.view(), &self.footprints, &self.detection, &self.shapes)
    }
}
