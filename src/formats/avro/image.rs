//! The end-of-image record. No order holds across topics: by its counts a consumer knows when it has all rows and
//! masks of an image.

use apache_avro::types::Value;

use twinpeak_core::outcome::{BandQuality, Finished, Products};
use twinpeak_core::reference::Agreement;

pub(super) fn record(finished: &Finished, products: &Products, masks: usize) -> Value {
    let p = &products.catalog.provenance;
    let counts = products.catalog.counts();
    let text = |value: &str| Value::from(value);
    let known = products.reference.as_ref();
    let count = |of: fn(&Agreement) -> usize| Value::from(known.map(|k| of(k) as i64));
    let offset = |of: fn(&Agreement) -> f64| known.map_or(Value::from(None::<f64>), |k| measured(of(k)));
    let of_survey = products.quality.iter().filter(|q| !q.band.is_empty());
    let timings = finished.timings_s.iter().map(|(stage, &s)| (stage.name().to_owned(), Value::Double(s)));
    Value::Record(vec![
        ("imageId".into(), text(p.image_id.as_str())),
        ("survey".into(), text(&p.survey)),
        ("midpointMjdTai".into(), p.midpoint_mjd_tai.into()),
        ("rows".into(), number(counts.rows)),
        ("stars".into(), number(counts.stars)),
        ("galaxies".into(), number(counts.galaxies)),
        ("unclassified".into(), number(counts.unclassified)),
        ("masks".into(), number(masks)),
        ("tiles".into(), number(products.tiles)),
        ("quality".into(), Value::Array(of_survey.map(band).collect())),
        ("streaks".into(), Value::from(Some(products.quality.iter().map(|q| q.streaks).sum::<usize>() as i64))),
        ("referenceStars".into(), count(|k| k.stars)),
        ("referenceMatched".into(), count(|k| k.matched)),
        ("referenceOffsetRaArcsec".into(), offset(|k| k.offset_ra_arcsec)),
        ("referenceOffsetDecArcsec".into(), offset(|k| k.offset_dec_arcsec)),
        ("referenceScatterArcsec".into(), offset(|k| k.scatter_arcsec)),
        ("timings".into(), Value::Map(timings.collect())),
        ("device".into(), text(&products.device)),
        ("modelVersion".into(), text(&p.model_version)),
        ("modelHash".into(), text(&p.model_hash)),
        ("inputHash".into(), text(&p.input_hash)),
        ("softwareVersion".into(), text(&p.software_version)),
    ])
}

fn band(quality: &BandQuality) -> Value {
    Value::Record(vec![
        ("band".into(), quality.band.as_str().into()),
        ("fwhmArcsec".into(), measured(quality.fwhm_arcsec)),
        ("ellipticity".into(), measured(quality.ellipticity)),
        ("skyNmgy".into(), measured(quality.sky_nmgy)),
        ("skySigmaNmgy".into(), measured(quality.sky_sigma_nmgy)),
        ("depth5SigmaMag".into(), measured(quality.depth_5sigma_mag)),
        ("psfStars".into(), number(quality.psf_stars)),
        ("psfFallback".into(), quality.psf_fallback.into()),
        ("registrationResidualPx".into(), measured(quality.registration_residual_px)),
        ("zeroPointOffsetMag".into(), measured(quality.zero_point_offset_mag)),
        ("apCorr".into(), measured(quality.ap_corr)),
        ("haloShare".into(), measured(quality.halo_share)),
    ])
}

fn number(value: usize) -> Value {
    Value::Long(value as i64)
}

/// Null for what could not be measured.
fn measured(value: f64) -> Value {
    value.is_finite().then_some(value).into()
}
