//! Scenes for tests, of real and simulated frames.

use super::{Scene, SceneObject};
use crate::aperture::Shape;
use crate::detections::detection_weights;
use crate::extract::{self, Footprints};
use crate::filter::{detection_image, matched_filter, weighted_sum};
use crate::measure;
use crate::preprocess::{Prepared, prepare, real};
use crate::psf::{self, Splines};
use crate::scores::Scores;

/// Thresholds of the matched filter.
pub(super) const SETTINGS: extract::Settings = extract::Settings {
    detect_threshold: 3.6,
    extent_threshold: 3.6,
    min_area_px: 5,
    parting: extract::Parting::BRIGHTNESS,
    max_children: extract::Settings::MAX_CHILDREN,
    max_component_px: extract::Settings::MAX_COMPONENT_PX,
};

/// The objects of a real field of SDSS, found by a matched filter, without flux yet; nothing, loudly, where there is no
/// data.
pub(super) fn real(name: &str, then: impl FnOnce(Scene, &mut Footprints, &mut Vec<Shape>)) {
    let Some(frame) = real::frame(name) else { return };
    let survey = real::sdss();
    let prepared: Prepared = prepare(frame, &survey, &Default::default()).unwrap();
    let image = weighted_sum(&prepared.registered, &detection_weights(&prepared, &survey));
    let score = matched_filter(&image, 2.5);
    let detection = detection_image(&prepared.registered, &detection_weights(&prepared, &survey));
    let mut footprints = extract::extract(&Scores::same(score), &detection, &prepared.bits, &SETTINGS);
    let mut shapes = measure::footprint_shapes(&prepared, &survey, &footprints);
    let (psf, _) = psf::measure(&prepared, &survey, &Splines::new(&prepared.frame), &shapes, &[1.4; 5]);
    let mut scene = Scene::new(&prepared, &survey, psf);
    for (shape, footprint) in shapes.iter().zip(&footprints.objects) {
        scene.insert(SceneObject::new((shape.x, shape.y), Some(footprint.number)));
    }
    then(scene, &mut footprints, &mut shapes);
}
