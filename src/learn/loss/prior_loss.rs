//! The losses under one name each, for configurations and the study.

use std::fmt;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, TchError, Tensor};

use super::aw::aw;
use super::aw_paper::aw_paper;
use super::dkl::{NODES, dkl};
use super::dkl_paper::dkl_paper;
use super::lse::lse;
use super::pw::pw;
use super::pw_paper::pw_paper;
use super::sc::sc;
use super::sc_paper::sc_paper;
use super::vae_kl::vae_kl;
use super::w1::{prior_quantiles, w1};
use super::{DoublePeak, LossError};

/// What pulls latents towards the prior: a loss of [`super`], by its name in configurations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PriorLoss {
    /// Towards one peak, N(0, 1): the ordinary VAE.
    VaeKl,
    /// The scaling bound, which pulls towards 0, between the peaks.
    Sc,
    /// The tight bound on the divergence, by log-sum-exp over the peaks.
    Lse,
    /// The exact KL divergence from the prior, by quadrature.
    Dkl,
    /// Distance from the nearest peak.
    Aw,
    /// Wasserstein-1 distance between the batch as a whole and the prior.
    W1,
    /// L2 of the batch's mixture.
    Pw,
    /// The scaling bound as printed.
    ScPaper,
    /// The divergence as printed last, with tanh.
    DklPaper,
    /// Distance from the nearest peak as printed in appendix B.2.
    AwPaper,
    /// L2 distance of each latent from the prior as printed in appendix B.3.
    PwPaper,
}

/// A batch of posteriors, each tensor (n), of one kind and device.
#[derive(Debug)]
pub struct Latents {
    /// Means of the posteriors.
    pub mu: Tensor,
    /// Their standard deviations, above 0.
    pub sigma: Tensor,
    /// A sample of each: mu + sigma times a standard normal's.
    pub z: Tensor,
}

/// What [`Latents`] are pulled towards.
#[derive(Debug)]
pub struct Prior {
    /// The prior Q.
    pub peaks: DoublePeak,
    /// Nodes of the quadrature in [`dkl`].
    pub nodes: i64,
    /// Q's quantiles, as many as a batch has latents.
    pub quantiles: Tensor,
}

impl Prior {
    /// For batches of `n` latents of this kind, on this device; with the nodes of training.
    ///
    /// # Errors
    /// libtorch's.
    pub fn new(peaks: DoublePeak, n: i64, kind: Kind, device: Device) -> Result<Self, TchError> {
        let quantiles = prior_quantiles(n, peaks)?.f_to_device(device)?.f_to_kind(kind)?;
        Ok(Self { peaks, nodes: NODES, quantiles })
    }
}

impl PriorLoss {
    /// All, in the order of the paper, the printed ones last; for tests.
    #[cfg(any(test, feature = "testing"))]
    pub const ALL: [Self; 11] = [
        Self::VaeKl,
        Self::Sc,
        Self::Lse,
        Self::Dkl,
        Self::Aw,
        Self::W1,
        Self::Pw,
        Self::ScPaper,
        Self::DklPaper,
        Self::AwPaper,
        Self::PwPaper,
    ];

    /// As in configurations and tables.
    pub fn name(self) -> &'static str {
        match self {
            Self::VaeKl => "vae-kl",
            Self::Sc => "sc",
            Self::Lse => "lse",
            Self::Dkl => "dkl",
            Self::Aw => "aw",
            Self::W1 => "w1",
            Self::Pw => "pw",
            Self::ScPaper => "sc-paper",
            Self::DklPaper => "dkl-paper",
            Self::AwPaper => "aw-paper",
            Self::PwPaper => "pw-paper",
        }
    }

    /// Whether the encoder is to end in m tanh on mu (appendix B.2). It is the encoder's layer: the losses take mu as it
    /// comes. `aw-paper` has no minimum without it; `aw` would do without and keeps it so that the two differ by
    /// their formulas alone.
    pub fn wants_tanh(self) -> bool {
        matches!(self, Self::Aw | Self::AwPaper)
    }

    /// The loss of a batch, a scalar: the mean over the latents, or the batch's own ([`Self::W1`], [`Self::Pw`]).
    ///
    /// Of the latents' parts it reads mu and sigma, [`Self::W1`] z alone; of the prior what its formula has.
    ///
    /// # Errors
    /// [`LossError`]
    pub fn of(self, batch: &Latents, prior: &Prior) -> Result<Tensor, LossError> {
        let Latents { mu, sigma, z } = batch;
        let sizes = [mu, sigma, z, &prior.quantiles].map(Tensor::size);
        if sizes[0].len() != 1 || sizes.iter().any(|size| *size != sizes[0]) {
            return Err(LossError::Sizes { sizes });
        }
        let peaks = prior.peaks;
        let each = match self {
            Self::VaeKl => vae_kl(mu, sigma)?,
            Self::Sc => sc(mu, sigma, peaks)?,
            Self::Lse => lse(mu, sigma, peaks)?,
            Self::Dkl => dkl(mu, sigma, peaks, prior.nodes)?,
            Self::Aw => aw(mu, sigma, peaks)?,
            Self::W1 => return Ok(w1(z, &prior.quantiles)?),
            Self::Pw => return Ok(pw(mu, sigma, peaks)?),
            Self::ScPaper => sc_paper(mu, sigma, peaks)?,
            Self::DklPaper => dkl_paper(mu, sigma, peaks)?,
            Self::AwPaper => aw_paper(mu, sigma, peaks)?,
            Self::PwPaper => pw_paper(mu, sigma, peaks)?,
        };
        Ok(each.f_mean(mu.kind())?)
    }
}

impl fmt::Display for PriorLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
