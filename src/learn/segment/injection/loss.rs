//! What the net is asked: plain cross-entropy in both maps. At natural odds, nearly all pixels being sky, its boundary lies
//! where false objects are rare, and no weight has to be found that brings it there.

use tch::{Kind, Reduction, TchError, Tensor};

use super::Batch;
use twinpeak_core::model::TILE;

/// How much the extent counts, a mean over pixels, beside the centres, a sum over pixels for each that is one.
const EXTENT_WEIGHT: f64 = 12.0;

/// Of maps (n, 2, 64, 64), over what is known of the batch.
///
/// # Errors
/// libtorch's.
pub(super) fn cross_entropy(maps: &Tensor, batch: &Batch) -> Result<Tensor, TchError> {
    let side = TILE as i64;
    let plane = |values: &[f32]| Tensor::f_from_slice(values)?.f_view([-1, side, side]);
    let missed = |map: i64, target: &Tensor, known: &Tensor| {
        let each = maps.f_select(1, map)?.f_binary_cross_entropy_with_logits(
            target,
            None::<&Tensor>,
            None::<&Tensor>,
            Reduction::None,
        )?;
        each.f_mul(known)?.f_sum(Kind::Float)
    };
    let (centre, known) = (plane(&batch.centre)?, plane(&batch.centre_known)?);
    let centres = centre.f_mul(&known)?.f_sum(Kind::Float)?.f_clamp_min(1.0)?;
    let of_centres = missed(0, &centre, &known)?.f_div(&centres)?;
    let (extent, known) = (plane(&batch.extent)?, plane(&batch.extent_known)?);
    let pixels = known.f_sum(Kind::Float)?.f_clamp_min(1.0)?;
    let of_extents = missed(1, &extent, &known)?.f_div(&pixels)?;
    of_centres.f_add(&of_extents.f_mul_scalar(EXTENT_WEIGHT)?)
}
