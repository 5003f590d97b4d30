//! What a row says of the model that fits its object best, and of the objects about it.

use crate::frame::PerBand;

/// An object's best model. Numbers that a model does not have are NaN, and null where they are published.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceModel {
    /// [`super::source_id`] of the row of which this one is a part, or in whose light it was hidden.
    pub parent_id: Option<i64>,
    /// Rows whose parent it is.
    pub children: i32,
    /// Total flux of the model, nMgy.
    pub flux: PerBand<f32>,
    /// Standard error of `flux`, nMgy, with the share that neighbours may have in it.
    pub flux_err: PerBand<f32>,
    /// Its profile.
    pub model_type: ModelType,
    /// Half-light radius before the PSF, px: the geometric mean of the axes. NaN of a point source.
    pub radius: f32,
    /// Standard error of `radius`, px.
    pub radius_err: f32,
    /// Minor over major axis before the PSF: 1 where the model is round. NaN of a point source.
    pub axis_ratio: f32,
    /// Standard error of `axis_ratio`; NaN where the model is round by choice.
    pub axis_ratio_err: f32,
    /// Angle of the major axis from +x to +y, deg, -90..90; NaN where the model is round.
    pub theta: f32,
    /// Standard error of `theta`, deg.
    pub theta_err: f32,
    /// What `kron_flux` is multiplied by to be total: all of the model's light over what the Kron aperture holds of it.
    pub kron_corr: PerBand<f32>,
    /// Share of others' light in the footprint before it was taken away, 0..1.
    pub blendedness: f32,
}

/// Profile of a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelType {
    /// A point source.
    PointSource,
    /// An exponential disk.
    Exponential,
    /// A de Vaucouleurs profile.
    DeVaucouleurs,
}

impl ModelType {
    /// All profiles.
    pub const ALL: [Self; 3] = [Self::PointSource, Self::Exponential, Self::DeVaucouleurs];

    /// Its name in the column `modelType`.
    pub fn name(self) -> &'static str {
        match self {
            Self::PointSource => "psf",
            Self::Exponential => "exp",
            Self::DeVaucouleurs => "dev",
        }
    }
}
