//! The order of steps, and their bounds.
//!
//! ```text
//! fit what was detected -> halos, sky -> 3 rounds of { look at what is left -> add -> fit what is touched
//!                                        -> one ellipse, or parent and children? -> drop what is nothing } -> fit all
//! ```
//!
//! Where stars rule (a dense frame) all are point sources until the rounds are done, for there a galaxy's wings are mostly
//! stars that were not found yet; profiles come last.

use super::{Model, Profiles, Scene, SceneObject, SweepKind};
use crate::aperture::Shape;
use crate::catalog::flag;
use crate::extract::Footprints;
use crate::preprocess::Prepared;
use crate::psf::Psf;
use crate::survey::Survey;

/// Objects of this many sigma of sky noise say what share of a frame is stars: S/N 20 in 36 px.
const SHARE_SIGMA: f64 = 120.0;
/// They stand alone: within this of them, px...
const ALONE_PX: f64 = 8.0;
/// ...all others have less than this share of their light.
const ALONE_SHARE: f64 = 0.15;
/// Fewer of them say nothing of a frame.
const FEWEST_ALONE: usize = 50;
/// Above this share of point sources among them stars rule.
const STARS_RULE: f64 = 0.8;
/// A frame in which so few stand alone is dense where it has an object in so many px^2.
const DENSE_PX2: f64 = 400.0;

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
    scene.settle_positions(&all);
    let profiles = if scene.stars_rule() { Profiles::Kept } else { Profiles::Chosen };
    scene.settle(&all, profiles);
    scene.subtract_halos();
    scene.subtract_sky_again();
    let blocked = scene.large_galaxies(footprints);
    scene.find_hidden(&blocked, profiles);
    if profiles == Profiles::Kept {
        let all: Vec<usize> = (0..scene.objects.len()).collect();
        scene.settle(&all, Profiles::Chosen);
    }
    scene.finish();
    scene
}

impl Scene<'_> {
    /// A last fit of all. Rows that have not settled by then are flagged, and all rows where the frame's share of work was
    /// spent.
    fn finish(&mut self) {
        let all: Vec<usize> = (0..self.objects.len()).collect();
        if self.work.is_spent() {
            self.objects.iter_mut().for_each(|object| object.flags |= flag::SCENE_BOUND);
        }
        let changed = self.sweep(&all, SweepKind::FLUX);
        let touched = self.touching(&changed);
        self.sweep(&touched, SweepKind::POSITION);
        for i in self.sweep(&touched, SweepKind::FLUX) {
            self.objects[i].flags |= flag::SCENE_BOUND;
        }
    }

    /// Whether stars rule the frame, learned on objects that stand alone: they are fitted with profiles for it, and made
    /// point sources again where it is so.
    fn stars_rule(&mut self) -> bool {
        let reference = self.survey.reference();
        let least = SHARE_SIGMA * self.noise[reference].sigma;
        let alone: Vec<usize> = (0..self.objects.len())
            .filter(|&i| {
                let light = self.objects[i].flux_nmgy[reference];
                let others = || self.neighbours(i, ALONE_PX).into_iter().map(|j| self.objects[j].flux_nmgy[reference]);
                light > least && others().map(|l| l.max(0.0)).sum::<f64>() < ALONE_SHARE * light
            })
            .collect();
        if alone.len() < FEWEST_ALONE {
            let area_px2 = (self.prepared.frame.width() * self.prepared.frame.height()) as f64;
            return self.objects.len() as f64 * DENSE_PX2 > area_px2;
        }
        self.sweep(&alone, SweepKind::PROFILE);
        // A galaxy of a third of a pixel is a star whose PSF is not quite known.
        let is_star = |&&i: &&usize| matches!(self.objects[i].model, Model::Point | Model::Galaxy(0 | 1));
        let stars = alone.iter().filter(is_star).count();
        let rule = stars as f64 > STARS_RULE * alone.len() as f64;
        if rule {
            alone.iter().for_each(|&i| self.change(i, |object| object.model = Model::Point));
        }
        rule
    }
}
