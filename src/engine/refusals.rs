//! The refusals of a frame: that it cannot be prepared, that what it shows is no field of the sky, that it cannot be
//! stored.

use super::ports::PortError;
use twinpeak_core::catalog::{MAX_NUMBER, Row};
use twinpeak_core::frame::{PerBand, mask};
use twinpeak_core::measure::Measured;
use twinpeak_core::outcome::{Finished, Outcome, Reason, Rejection, Stage};
use twinpeak_core::preprocess::{Prepared, PreprocessError};
use twinpeak_core::star_images::StarImages;
use twinpeak_core::survey::Survey;
/// The refusal of a frame, of these `files`, that cannot be prepared.
pub fn refused(error: &PreprocessError, survey: &Survey, files: &PerBand<String>) -> Rejection {
    let (reason, advice) = match error {
        PreprocessError::TooSmall { .. } => (Reason::TooSmall, "give frames of at least 64x64 px"),
        PreprocessError::NoSignal { .. } => (Reason::NoSignal, "check the exposure and the file's pixels"),
        PreprocessError::AboveSaturation { .. } => {
            (Reason::BadUnits, "check unit, calibration card and bias of this band")
        }
        PreprocessError::Noise { .. } => {
            (Reason::BadUnits, "check BUNIT, the calibration card, and the survey's zero_point_mag and gain_e_per_dn")
        }
        PreprocessError::Variance { .. } => {
            (Reason::BadUnits, "check weight.kind and weight.includes_sources in the survey file")
        }
        PreprocessError::SamePixels { .. } => (Reason::BadImage, "deliver each band's own exposure"),
        PreprocessError::Negative { .. } => (Reason::BadImage, "deliver the image with light as positive numbers"),
        PreprocessError::OutOfFocus { .. } => (Reason::BadImage, "look at the frame: the telescope's focus"),
        PreprocessError::Undersampled { .. } => (Reason::BadImage, "give frames whose stars are at least 1.6 px wide"),
        PreprocessError::Misregistered { .. } => {
            (Reason::BandMismatch, "check that all files show the same field and have the right coordinates")
        }
        PreprocessError::OtherGrid { .. } => (
            Reason::BandMismatch,
            "resample the band onto the reference band's grid, or let the survey's `resample` do it",
        ),
        PreprocessError::OtherStars { shift_px: Some(_), .. } => {
            (Reason::BandMismatch, "correct the band's world coordinates: its CRPIX is off by so much")
        }
        PreprocessError::OtherStars { .. } => (
            Reason::BandMismatch,
            "see whether its pixels are another field's, mirrored or turned, or its coordinates wrong",
        ),
        PreprocessError::NoLight { .. } => (Reason::NoSignal, "check shutter and exposure, or leave the band out"),
        PreprocessError::OffTheSky { .. } => (Reason::BadWcs, "solve the frame's astrometry"),
        PreprocessError::OtherScale { .. } => {
            (Reason::BadWcs, "describe a survey with such pixels, or correct the frame's world coordinates")
        }
    };
    let at_fault = error.band().and_then(|band| (0..files.len()).find(|&b| survey.band(b) == band));
    let file = at_fault.map(|b| files[b].clone()).filter(|file| !file.is_empty());
    Rejection { reason, stage: Stage::Prepare, file, message: error.to_string(), advice: advice.into() }
}

/// A source's id has room for so many numbers; more objects are no field of the sky.
pub(super) fn too_many(found: usize) -> Rejection {
    Rejection {
        reason: Reason::TooLarge,
        stage: Stage::Extract,
        file: None,
        message: format!("{found} objects were found, and ids go up to {MAX_NUMBER}"),
        advice: "check the frame, or cut it into smaller ones".into(),
    }
}

/// The refusal of a frame whose objects are not those of a sky: trailed, doubled, or none where there are always some.
pub(super) fn no_sky(prepared: &Prepared, survey: &Survey, measured: &[Measured]) -> Option<Rejection> {
    let rows: Vec<Row> = measured.iter().map(|m| m.row.clone()).collect();
    let refusal = |reason, message: String, advice: &str| {
        Some(Rejection { reason, stage: Stage::Extract, file: None, message, advice: advice.to_owned() })
    };
    if let Some(problem) = StarImages::problem(&rows, survey.reference()) {
        return refusal(
            Reason::BadImage,
            problem.to_string(),
            "look at the frame: tracking, focus, or a telescope that was moved",
        );
    }
    let fewest = survey.profile().typical.fewest_objects_deg2?;
    let seen = prepared.bits.pixels().iter().filter(|m| **m & mask::NO_DATA == 0).count() as f64;
    let area_deg2 = seen * (prepared.pixel_scale_arcsec / 3600.0).powi(2);
    let expected = fewest * area_deg2;
    const ENOUGH: f64 = 20.0; // of which chance makes a fifth once in 10^6 frames
    // Noise makes objects too, as many as the false rate allows, but none that is sure.
    const SURE_SN: f32 = 6.0;
    let reference = survey.reference();
    let is_sure = |row: &&Row| row.psf_flux[reference] > SURE_SN * row.psf_flux_err[reference];
    let sure = rows.iter().filter(is_sure).count();
    (expected >= ENOUGH && (sure as f64) < 0.2 * expected).then(|| {
        refusal(
            Reason::NoSignal,
            format!(
                "{sure} sure objects in {area_deg2:.4} square degrees, where the emptiest sky shows {expected:.0}",
            ),
            "look at the frame: a closed cover, clouds, or typical.fewest_objects_deg2 that is not this survey's",
        )
    })?
}

/// The refusal of an image whose products cannot be encoded.
pub(super) fn not_encodable(finished: Finished, error: PortError) -> Finished {
    let rejection = match error {
        PortError::Refused(rejection) => *rejection,
        error => Rejection {
            reason: Reason::Internal,
            stage: Stage::Publish,
            file: None,
            message: error.to_string(),
            advice: "report it with this image; other images are not affected".into(),
        },
    };
    Finished { outcome: Outcome::Rejected(rejection), ..finished }
}
