//! Which objects from the residual stay: those that the data want once everything about them has been fitted again.

use rayon::prelude::*;

use super::Scene;

/// S/N over the shape bands of one that stays.
const LEAST_SN: f64 = 4.5;
/// S/N in the second best of them: a cosmic ray is in one band...
const LEAST_SECOND_SN: f64 = 1.0;
/// ...whatever its S/N there.
const SECOND_SHARE: f64 = 0.1;
/// What is this large, px...
const LARGE_PX: f64 = 4.0;
/// ...below this S/N is sky.
const LARGE_SN: f64 = 15.0;

impl Scene<'_> {
    /// Takes those of the objects from index `first` on that are not significant out of the scene; how many.
    pub(super) fn prune(&mut self, first: usize) -> usize {
        let scene = &*self;
        let unwanted: Vec<usize> = (first..scene.objects.len())
            .into_par_iter()
            .filter(|&i| scene.objects[i].alive && !scene.is_wanted(i))
            .collect();
        unwanted.iter().for_each(|&i| self.kill(i));
        unwanted.len()
    }

    fn is_wanted(&self, i: usize) -> bool {
        let object = &self.objects[i];
        let seen = self.significance(i).into_iter().filter(|sn| sn.is_finite());
        let mut sn: Vec<f64> = seen.map(|sn| sn.max(0.0)).collect();
        sn.sort_by(|a, b| b.total_cmp(a));
        let total = sn.iter().map(|sn| sn * sn).sum::<f64>().sqrt();
        // Where one band alone is seen nothing can be asked of a second.
        let second = sn.get(1).is_none_or(|&second| second > LEAST_SECOND_SN.max(SECOND_SHARE * total));
        let small = object.model.half_light_radius_px() < LARGE_PX;
        total > LEAST_SN && second && (small || total > LARGE_SN)
    }
}
