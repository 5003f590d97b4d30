//! One galaxy, or several objects? A round model leaves arms and ends of an elongated galaxy in the residual, and there
//! children are found that are not there. So each object with new children is held against one ellipse of its own: the
//! ellipse wins where its chi^2 is below theirs by less than what their number allows.
//!
//! All contests of a round are judged by the scene as it stood when the round began, so that their order does not matter.

use rayon::prelude::*;

use super::ellipse::{EllipseFit, Patch, PsfTransform, fit};
use super::{Ellipse, Model, Scene};
use crate::catalog::flag;

/// A child belongs to an object within this of it, px...
const REACH_PX: f64 = 9.0;
/// ...or within so many half-light radii of a galaxy...
const REACH_RADII: f64 = 3.0;
/// ...but no further than this, px.
const FARTHEST_PX: f64 = 18.0;
/// Contestants are compared within this of the parent, px...
const WITHIN_PX: f64 = 12.0;
/// ...and so far beyond the farthest child.
const BEYOND_PX: f64 = 3.0;
/// What a child costs, in chi^2: position, five fluxes, and that it was looked for.
const PER_CHILD: f64 = 12.0;
/// An object that could have been split further is flagged.
const MOST_CHILDREN: usize = 8;
/// Most ellipses of a frame: so many, and this share of its objects.
const MOST_ELLIPSES: (usize, f64) = (60, 0.1);

impl Scene<'_> {
    /// The living object that shines most at a reference position, the parent of what is found there; `None` where
    /// nothing is near.
    pub(super) fn parent_at(&self, at: (f64, f64)) -> Option<usize> {
        let psf = self.psf_sigma_px(self.survey.reference());
        let light = |&i: &usize| {
            let object = &self.objects[i];
            let stretch = if matches!(object.model, Model::Ellipse(_)) { 1.5 } else { 1.0 };
            let sigma = psf.hypot(stretch * object.model.half_light_radius_px());
            let distance = (object.x - at.0).hypot(object.y - at.1);
            let flux: f64 = self.shape_bands.iter().map(|&b| object.flux_nmgy[b]).sum();
            flux * (-distance / sigma).exp() / (sigma * sigma)
        };
        let reaches = |i: &usize| {
            let object = &self.objects[*i];
            let reach = (REACH_RADII * object.model.half_light_radius_px()).clamp(REACH_PX, FARTHEST_PX);
            (object.x - at.0).hypot(object.y - at.1) < reach
        };
        let near = self.near(at, FARTHEST_PX).into_iter().filter(reaches);
        near.map(|i| (i, light(&i))).filter(|l| l.1 > 0.0).max_by(|a, b| a.1.total_cmp(&b.1)).map(|l| l.0)
    }

    /// Living children of each parent, by parent, of the objects from index `first` on.
    fn families(&self, first: usize) -> Vec<(usize, Vec<usize>)> {
        let mut families = std::collections::BTreeMap::<usize, Vec<usize>>::new();
        for (child, object) in self.objects.iter().enumerate().skip(first).filter(|(_, object)| object.alive) {
            if let Some(parent) = object.parent.filter(|&parent| self.objects[parent].alive) {
                families.entry(parent).or_default().push(child);
            }
        }
        families.into_iter().collect()
    }

    /// Whether an object may have another child among those from index `first` on; one that may not is flagged.
    pub(super) fn has_room(&mut self, parent: usize, first: usize) -> bool {
        let is_child = |object: &&super::SceneObject| object.alive && object.parent == Some(parent);
        let room = self.objects.iter().skip(first).filter(is_child).count() < MOST_CHILDREN;
        self.objects[parent].flags |= if room { 0 } else { flag::SCENE_BOUND };
        room
    }

    /// Holds every parent of the `new` objects, with all its children from index `first` on, against one ellipse. Where it wins, the parent becomes it and
    /// the children go. Indices of the winners.
    pub(super) fn contest(&mut self, first: usize, new: &[usize]) -> Vec<usize> {
        let families: Vec<(usize, Vec<usize>)> = self
            .families(first)
            .into_iter()
            // A star with a saturated core is no galaxy, and children of it passed a harder test.
            .filter(|(parent, _)| self.objects[*parent].flags & flag::CORE_SATURATED == 0)
            .filter(|(_, children)| children.iter().any(|child| new.binary_search(child).is_ok()))
            .collect();
        let transform = PsfTransform::for_fits(&self.psf);
        let scene = &*self;
        let judged: Vec<Option<EllipseFit>> =
            families.par_iter().map(|(parent, children)| scene.rival(&transform, *parent, children)).collect();
        let images = PsfTransform::for_images(&self.psf);
        let mut winners = Vec::new();
        let most = MOST_ELLIPSES.0 + (MOST_ELLIPSES.1 * self.objects.len() as f64) as usize;
        let ellipses = self.objects.iter().filter(|o| o.alive && matches!(o.model, Model::Ellipse(_))).count();
        let mut room = most.saturating_sub(ellipses);
        for ((parent, children), rival) in families.into_iter().zip(judged) {
            let Some(rival) = rival else { continue };
            let is_new = !matches!(self.objects[parent].model, Model::Ellipse(_));
            if is_new && room == 0 {
                self.objects[parent].flags |= flag::SCENE_BOUND;
                continue;
            }
            room -= usize::from(is_new);
            self.crown(parent, &children, &rival, &images);
            winners.push(parent);
        }
        winners
    }

    /// Contestants are compared within this of the parent, px.
    fn within_px(&self, parent: usize, children: &[usize]) -> f64 {
        let centre = self.objects[parent].at();
        let away = |&i: &usize| (self.objects[i].x - centre.0).hypot(self.objects[i].y - centre.1);
        children.iter().map(away).fold(WITHIN_PX, |within, away| within.max(away + BEYOND_PX))
    }

    /// The ellipse that beats a family, if one does.
    fn rival(&self, psf: &PsfTransform, parent: usize, children: &[usize]) -> Option<EllipseFit> {
        let mut family = vec![parent];
        family.extend(children);
        let within_px = self.within_px(parent, children);
        let mut now = 0.0;
        let mut patches = Vec::new();
        for &b in &self.shape_bands {
            let left = self.region(parent, &[], b, within_px);
            now += left.pixels.iter().zip(&left.weight).map(|(p, w)| f64::from(p * p * w)).sum::<f64>();
            let region = self.region(parent, &family, b, within_px);
            let radius = region.window.width / 2;
            let offset = (region.centre.0 - radius as f64, region.centre.1 - radius as f64);
            patches.push(Patch { band: b, radius, offset, pixels: region.pixels, weights: region.weight });
        }
        let wanted = now + PER_CHILD * children.len() as f64;
        let radius = self.objects[parent].model.half_light_radius_px().max(1.0);
        fit(psf, self.objects[parent].at(), &patches, radius, wanted).filter(|rival| rival.chi2 < wanted)
    }

    /// Makes an ellipse of a parent, with the light of the whole family.
    fn crown(&mut self, parent: usize, children: &[usize], rival: &EllipseFit, images: &PsfTransform) {
        let within_px = self.within_px(parent, children);
        let at = self.objects[parent].at();
        let at = (at.0 + rival.moved.0, at.1 + rival.moved.1);
        let [ln_radius, e1, e2, ..] = rival.errors;
        let ellipse = Ellipse::new(&rival.shape, [ln_radius, e1, e2], images, at);
        let mut family = vec![parent];
        family.extend(children);
        let model = Model::Ellipse(Box::new(ellipse));
        let flux = std::array::from_fn(|b| {
            let region = self.region(parent, &family, b, within_px);
            let mut light = vec![0.0; region.pixels.len()];
            self.stamp(&model, b, at, region.window, &mut light);
            let (mut along, mut length) = (0.0, 0.0);
            for ((&p, &w), &l) in region.pixels.iter().zip(&region.weight).zip(&light) {
                along += f64::from(w * p * l);
                length += f64::from(w * l * l);
            }
            if length > 0.0 { along / length } else { 0.0 }
        });
        self.work.undone += children.len();
        children.iter().for_each(|&child| self.kill(child));
        self.change(parent, |object| {
            (object.x, object.y) = at;
            object.start = at;
            object.flux_nmgy = flux;
            object.model = model;
        });
    }
}
