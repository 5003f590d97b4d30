//! Scenes for tests, of real and simulated frames.

use super::{Scene, SceneObject};
use crate::detections::{Detections, detection_weights};
use crate::extract;
use crate::filter::{matched_filter, weighted_sum};
use crate::preprocess::{Prepared, prepare, real};

/// Thresholds of the matched filter.
pub(super) const SETTINGS: extract::Settings = extract::Settings {
    detect_threshold: 3.6,
    extent_threshold: 3.6,
    min_area_px: 5,
    deblend_sigma: 3.0,
    deblend_ratio: 0.05,
    max_children: extract::Settings::MAX_CHILDREN,
    max_component_px: extract::Settings::MAX_COMPONENT_PX,
};

/// The objects of a real field of SDSS, found by a matched filter, without flux yet; nothing, loudly, where there is no
/// data.
pub(super) fn real(name: &str, then: impl FnOnce(Scene)) {
    let Some(frame) = real::frame(name) else { return };
    let survey = real::sdss();
    let prepared: Prepared = prepare(frame, &survey, &Default::default()).unwrap();
    let image = weighted_sum(&prepared.registered, &detection_weights(&prepared, &survey));
    let score = matched_filter(&image, 2.5);
    let detections = Detections::find(&prepared, &survey, &score, &SETTINGS, &[1.4; 5]);
    let mut scene = Scene::new(&prepared, &survey, detections.view().psf.clone());
    for (shape, footprint) in detections.shapes().iter().zip(&detections.footprints.objects) {
        scene.insert(SceneObject::new((shape.x, shape.y), Some(footprint.number)));
    }
    then(scene);
}
