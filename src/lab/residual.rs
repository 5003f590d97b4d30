//! Latents of PSF residuals by one auto-encoder of the shipped kind: what the ensemble's VAEs see before their batch norm.

use tch::Tensor;

use crate::whole::Encoded;
use twinpeak_core::model::STAMP_LEN;
use twinpeak_learn::classify::{self, autoencoder, values};
use twinpeak_learn::{Curve, LearnError, Run};

/// Latents of training and test stamps, by an auto-encoder trained on the former; and its loss.
///
/// # Errors
/// [`LearnError`]
pub fn latents(
    [training, test]: [&[[f32; STAMP_LEN]]; 2],
    settings: &classify::Settings,
    run: &Run,
) -> Result<([Encoded; 2], Curve), LearnError> {
    let torch = |source| LearnError::Torch { net: "classifier-ae0".to_owned(), source };
    classify::enough(training.len())?;
    twinpeak_nets::device::start();
    let training = autoencoder::stamps(training).map_err(torch)?;
    let (encoder, curve) = autoencoder::train(0, &training, settings, run)?;
    let encode = |stamps: &Tensor| -> Result<Encoded, tch::TchError> {
        let values = values(&autoencoder::latents(&encoder, stamps)?)?;
        Ok(Encoded { width: settings.shape.latents, values })
    };
    let test = autoencoder::stamps(test).map_err(torch)?;
    Ok(([encode(&training).map_err(torch)?, encode(&test).map_err(torch)?], curve))
}
