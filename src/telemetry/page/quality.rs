//! How good the frames were over time: medians and ranges of at most [`BINS`] stretches, however many frames there are.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::history::Field;
use twinpeak_core::frame::BANDS;
use twinpeak_core::outcome::BandQuality;

/// Points of a line.
const BINS: usize = 120;
/// Unix time 0 as a modified Julian date, and TAI - UTC then ignored: half a minute is nothing in a chart of a night.
const UNIX_MJD: f64 = 40587.0;
const DAY_S: f64 = 86400.0;

type Get = fn(&BandQuality) -> f64;
const FIGURES: [(&str, Get); 3] =
    [("fwhm_arcsec", |q| q.fwhm_arcsec), ("sky_nmgy", |q| q.sky_nmgy), ("depth_5sigma_mag", |q| q.depth_5sigma_mag)];

/// Which time is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Against {
    /// When a frame was processed.
    Processed,
    /// When it was exposed; frames that do not say are left out.
    Observed,
}

/// For each figure and band, points `[time, lowest, median, highest]`; times are Unix times. The hours are counted
/// back from the last frame.
pub fn charts(fields: &[Arc<Field>], hours: Option<f64>, by: Against) -> Value {
    let time = |field: &Field| match by {
        Against::Processed => Some(field.ended_unix_s),
        Against::Observed => field.midpoint_mjd_tai.map(|mjd| (mjd - UNIX_MJD) * DAY_S),
    };
    let timed = fields.iter().filter_map(|f| Some((time(f)?, &*f.results()?.quality)));
    let mut all: Vec<_> = timed.filter(|(at, _)| at.is_finite()).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let to = all.last().map_or(0.0, |(at, _)| *at);
    if let Some(hours) = hours.filter(|h| h.is_finite()) {
        all.retain(|(at, _)| *at >= to - hours * 3600.0);
    }
    let from = all.first().map_or(0.0, |(at, _)| *at);
    let width_s = ((to - from) / BINS as f64).max(1e-3);
    let bins: Vec<_> =
        all.chunk_by(|a, b| ((a.0 - from) / width_s) as usize == ((b.0 - from) / width_s) as usize).collect();
    let line = |band: usize, get: Get| -> Vec<[f64; 4]> {
        let point = |bin: &&[_]| {
            let bin: &[(f64, &[BandQuality; BANDS])] = bin;
            let mut values: Vec<f64> = bin.iter().map(|(_, q)| get(&q[band])).filter(|v| v.is_finite()).collect();
            values.sort_by(f64::total_cmp);
            let median = *values.get(values.len() / 2)?;
            let at = bin.iter().map(|(at, _)| at - from).sum::<f64>() / bin.len() as f64 + from;
            Some([at.round(), rounded(values[0]), rounded(median), rounded(values[values.len() - 1])])
        };
        bins.iter().filter_map(point).collect()
    };
    // A survey may have fewer bands than there are planes.
    let named = |q: &[BandQuality; BANDS]| (0..BANDS).filter(|&b| !q[b].band.is_empty()).collect();
    let planes: Vec<usize> = all.last().map_or_else(Vec::new, |(_, q)| named(q));
    let bands: Vec<_> = all.last().map_or_else(Vec::new, |(_, q)| planes.iter().map(|&b| q[b].band.clone()).collect());
    let lines = |get: Get| planes.iter().map(|&band| line(band, get)).collect::<Vec<_>>();
    let figures: serde_json::Map<_, _> =
        FIGURES.iter().map(|(name, get)| ((*name).to_owned(), json!(lines(*get)))).collect();
    json!({"from_unix_s": from, "to_unix_s": to, "fields": all.len(), "bands": bands, "figures": figures})
}

/// To a ten-thousandth: more cannot be drawn.
fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{End, Results};
    use twinpeak_core::testing::processed;

    /// Its FWHM in r is its place.
    fn field(place: usize, ended_unix_s: f64, midpoint_mjd_tai: Option<f64>) -> Arc<Field> {
        let twinpeak_core::outcome::Outcome::Processed(products) = processed().outcome else {
            panic!("it is processed")
        };
        let mut results = Results::from(&*products);
        results.quality[2].fwhm_arcsec = place as f64;
        results.quality[4].depth_5sigma_mag = f64::NAN;
        Arc::new(Field {
            image: place.to_string(),
            ended_unix_s,
            midpoint_mjd_tai,
            timings_s: Default::default(),
            model_version: String::new(),
            end: End::Processed(results),
        })
    }

    #[test]
    fn many_fields_become_few_points_that_lose_no_extreme() {
        let fields: Vec<_> = (0..10_000).map(|k| field(k, 1000.0 + k as f64, None)).collect();
        let drawn = charts(&fields, None, Against::Processed);
        let line = drawn["figures"]["fwhm_arcsec"][2].as_array().unwrap();
        assert!(line.len() <= BINS + 1 && drawn.to_string().len() < 100_000, "{}", drawn.to_string().len());
        let all = |k: usize| line.iter().map(|p| p[k].as_f64().unwrap()).collect::<Vec<_>>();
        assert_eq!((all(1)[0], *all(3).last().unwrap()), (0.0, 9999.0));
        assert!(all(0).is_sorted() && all(2).is_sorted());
        assert_eq!(drawn["figures"]["depth_5sigma_mag"][4], json!([]), "what was not measured is not drawn");
        let hour = charts(&fields, Some(1.0), Against::Processed);
        assert_eq!(hour["fields"], 3601);
    }

    #[test]
    fn the_time_is_the_one_asked_for() {
        let fields = [field(1, 5e8, Some(UNIX_MJD + 2.0)), field(2, 4e8, Some(UNIX_MJD + 1.0)), field(3, 3e8, None)];
        let places = |by| {
            let drawn = charts(&fields, None, by);
            let line = drawn["figures"]["fwhm_arcsec"][2].as_array().unwrap().clone();
            (line.iter().map(|p| p[2].as_f64().unwrap()).collect::<Vec<_>>(), line[0][0].as_f64().unwrap())
        };
        assert_eq!(places(Against::Processed), (vec![3.0, 2.0, 1.0], 3e8));
        assert_eq!(places(Against::Observed), (vec![2.0, 1.0], DAY_S));
        assert_eq!(charts(&[], Some(f64::NAN), Against::Processed)["bands"], json!([]));
    }
}
