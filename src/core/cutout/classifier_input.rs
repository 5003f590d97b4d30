//! What an object's class is derived from: its stamp, and what was measured of it.

use super::{Cutout, MODELS, Profiles};
use crate::frame::BANDS;
use crate::model::{COLOUR_LEN, OBJECT_LEN, STAMP_LEN};

/// The input of every opinion on one object's class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassifierInput {
    /// Its PSF residual in units of noise (see [`Cutout::stamp`]).
    pub stamp: Box<[f32; STAMP_LEN]>,
    /// Magnitude, S/N, profile fits and colours.
    pub measured: Measurements,
}

/// Numbers that bear on an object's class.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Measurements {
    /// Magnitude of the PSF flux in the reference band.
    pub mag: f32,
    /// Signal to noise over the shape bands that the frame has.
    pub sn: f32,
    /// chi^2 of the point source and of each galaxy ([`super::ProfileFit::chi2`]); NaN without a fit.
    pub chi2: [f32; MODELS],
    /// Colours of neighbouring bands, asinh mag ([`super::ProfileFit::colours`]); NaN where a band has none.
    pub colours: [f32; BANDS - 1],
}

impl Cutout {
    /// What the nets and the profiles are shown of the object at reference position `at`, of this reference-band PSF
    /// magnitude.
    pub fn classifier_input(&self, profiles: &Profiles, at: (f64, f64), mag: f32) -> ClassifierInput {
        let fit = self.fit_profiles(profiles, at);
        let measured = Measurements {
            mag,
            sn: self.sn() as f32,
            chi2: fit.as_ref().map_or([f32::NAN; MODELS], |f| f.chi2),
            colours: fit.as_ref().map_or([f32::NAN; BANDS - 1], |fit| fit.colours(&self.planes)),
        };
        ClassifierInput { stamp: self.stamp(), measured }
    }
}

impl Measurements {
    /// What the nets of colour see: colours and magnitude; `None` where one is missing.
    pub fn colour_inputs(&self) -> Option<[f32; COLOUR_LEN]> {
        let [a, b, c, d] = self.colours;
        let inputs = [a, b, c, d, self.mag];
        inputs.iter().all(|v| v.is_finite()).then_some(inputs)
    }
}

impl ClassifierInput {
    /// Writes what the nets see of the object, [`OBJECT_LEN`] values: the stamp, then colours and magnitude, or zeros
    /// where a colour is missing.
    ///
    /// # Panics
    /// For another length.
    pub fn write(&self, out: &mut [f32]) {
        assert_eq!(out.len(), OBJECT_LEN);
        let (stamp, colours) = out.split_at_mut(STAMP_LEN);
        stamp.copy_from_slice(&self.stamp[..]);
        colours.copy_from_slice(&self.measured.colour_inputs().unwrap_or_default());
    }
}
