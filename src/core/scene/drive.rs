//! The order of steps, and their bounds.

use super::{Model, Profiles, Scene, SceneObject, SweepKind};
use crate::aperture::Shape;
use crate::catalog::flag;
use crate::extract::Footprints;
use crate::preprocess::Prepared;
use crate::psf::Psf;
use crate::survey::Survey;

/// Objects alone and brighter than this S/N say what share of a frame is stars.
const SHARE_SN: f64 = 20.0;
/// Nothing else is so near to them, px.
const ALONE_PX: f64 = 10.0;
/// Fewer of them say nothing of a frame.
const FEWEST_ALONE: usize = 100;
/// Above this share of stars among them, new objects are point sources until the end, and old ones too.
const STARS_RULE: f64 = 0.8;

/// Models a frame whose detections are `footprints`, at the places of `shapes`.
pub fn model<'a>(
    prepared: &'a Prepared,
    survey: &'a Survey,
    psf: &Psf,
    footprints: &mut Footprints,
    shapes: &mut Vec<Shape>,
) -> Scene<'a> {
    let mut scene = Scene::new(prepared, survey, psf.clone());
    for (footprint, shape) in footprints.objects.iter().zip(&*shapes) {
        scene.insert(SceneObject::new((shape.x, shape.y), Some(footprint.number)));
    }
    let all: Vec<usize> = (0..scene.objects.len()).collect();
    scene.start_fluxes(&all);
    scene.mark_saturated();
    scene.gather_fragments(footprints, shapes);
    scene.solve(&all, Profiles::Chosen);
    scene.subtract_halos();
    scene.subtract_sky_again();
    let stars_rule = scene.star_share().is_some_and(|share| share > STARS_RULE);
    let profiles = if stars_rule { Profiles::Kept } else { Profiles::Chosen };
    let blocked = scene.large_galaxies(footprints);
    scene.find_hidden(&blocked, profiles);
    let order: Vec<usize> = (0..scene.objects.len()).collect();
    scene.sweep(&order, SweepKind::POSITION);
    scene.sweep(&order, SweepKind::FLUX);
    if scene.work.is_spent() {
        scene.objects.iter_mut().for_each(|object| object.flags |= flag::SCENE_BOUND);
    }
    scene
}

impl Scene<'_> {
    /// The share of point sources among bright objects that stand alone; `None` where they are too few to say.
    pub fn star_share(&self) -> Option<f64> {
        let reference = self.survey.reference();
        let least = SHARE_SN * self.noise[reference].sigma * 450f64.sqrt().min(6.0);
        let alone: Vec<&SceneObject> = (0..self.objects.len())
            .filter(|&i| {
                let object = &self.objects[i];
                object.alive && object.flux_nmgy[reference] > least && self.neighbours(i, ALONE_PX).is_empty()
            })
            .map(|i| &self.objects[i])
            .collect();
        let stars = alone.iter().filter(|object| matches!(object.model, Model::Point | Model::Galaxy(0 | 1))).count();
        (alone.len() >= FEWEST_ALONE).then(|| stars as f64 / alone.len() as f64)
    }
}
