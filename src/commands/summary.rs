//! `twinpeak summary`: what came of a night, a line a field; with the truth about it, how good it is.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

use super::evaluate::{catalog, kinds_table, night};
use crate::cli::SummaryArgs;
use twinpeak_config::assemble::{fits_limits, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::drift::{Expected, FrameFacts};
use twinpeak_core::survey::Survey;
use twinpeak_nets::bundle::Bundle;
use twinpeak_sim::evaluate::{Evaluation, Method, Object, Rules, TrueObject, evaluate, truth_files};
use twinpeak_store::{DoneRecord, Night};
use twinpeak_telemetry::drift;

/// Between fields that are scored together, px: nothing of one can be taken for another's.
const APART_PX: f64 = 1e6;

/// Runs it.
///
/// # Errors
/// Where the folder, a record, a catalogue or a truth cannot be read.
pub fn run(args: &SummaryArgs) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let survey = survey(&config)?;
    let night = Night::read(&args.out)?;
    let scores = match &args.truth {
        Some(folder) => Some(Scores::of(&night, &args.out, folder, &survey)?),
        None => None,
    };
    let mut text = render(&night, scores.as_ref(), &survey);
    if let Some(folder) = &args.truth {
        let fields = night::fields(&args.out, folder, &survey, &fits_limits(&config))?;
        let report = night::report(&fields, None, &survey);
        text += &kinds_table::night(&report);
        args.report.as_ref().map_or(Ok(()), |file| night::write(&report, file))?;
    }
    super::print(&text)?;
    if let Some((scores, folder)) = scores.as_ref().zip(args.record.as_ref()) {
        let profile = survey.profile();
        let bundle = Bundle::load(folder, &profile.name, &profile.bands.planes).context(Fault::Model)?;
        bundle.with_figures(scores.figures())?.save(folder).context(Fault::Output)?;
    }
    if let Some(folder) = &args.expect {
        let expected = Expected::learn(&facts(&night, &args.out, &survey)?).context("--expect")?;
        let profile = survey.profile();
        let bundle = Bundle::load(folder, &profile.name, &profile.bands.planes).context(Fault::Model)?;
        bundle.with_expected(expected)?.save(folder).context(Fault::Output)?;
    }
    Ok(Exit::Done)
}

/// What each field of a night was like, as the daemon sees it when it ends.
fn facts(night: &Night, out: &Path, survey: &Survey) -> anyhow::Result<Vec<FrameFacts>> {
    let band = survey.band(survey.reference());
    let of_field = |done: &DoneRecord| {
        let objects = catalog::read(&out.join(format!("{}.catalog.parquet", done.image_id)), band)?;
        let classed = objects.iter().filter_map(|o| Some((o.mag as f32, o.star_prob? as f32)));
        Ok(drift::facts(&done.quality, classed, survey.magnitudes().drift))
    };
    night.done.iter().map(of_field).collect()
}

/// Scores of each field of a night, where its truth is there, and of all of them as one.
struct Scores {
    fields: Vec<Option<Evaluation>>,
    all: Evaluation,
}

impl Scores {
    fn of(night: &Night, out: &Path, truth_folder: &Path, survey: &Survey) -> anyhow::Result<Self> {
        let rules = Rules::for_scale(survey.profile().pixel_scale_arcsec);
        let band = survey.band(survey.reference());
        let mut fields = Vec::new();
        let (mut objects, mut trues) = (Vec::<Object>::new(), Vec::<TrueObject>::new());
        for (k, done) in night.done.iter().enumerate() {
            let path = truth_folder.join(format!("truth-{}.csv", done.image_id));
            if !path.exists() {
                fields.push(None);
                continue;
            }
            let found = catalog::read(&out.join(format!("{}.catalog.parquet", done.image_id)), band)?;
            let there = truth_files::read(&path, band)?;
            fields.push(Some(evaluate(&found, &there, &rules)));
            let aside = k as f64 * APART_PX;
            objects.extend(found.into_iter().map(|o| Object { x: o.x + aside, ..o }));
            trues.extend(there.into_iter().map(|t| TrueObject { x: t.x + aside, ..t }));
        }
        let any = fields.iter().any(Option::is_some) || fields.is_empty();
        any.then_some(()).with_context(|| format!("{}: no truth-IMAGE.csv of these fields", truth_folder.display()))?;
        Ok(Self { fields, all: evaluate(&objects, &trues, &rules) })
    }

    /// What a bundle's manifest says of itself, measured on truth that its training never saw.
    fn figures(&self) -> BTreeMap<String, f64> {
        let mut figures = BTreeMap::from([("measured_objects".to_owned(), self.all.labelled as f64)]);
        figures.extend(self.all.auc(Method::StarProb).map(|auc| ("measured_auc_14_22".to_owned(), auc)));
        if let Some(calibration) = &self.all.calibration {
            let [low, high] = calibration.interval;
            for (end, value) in [("", calibration.error), ("_low", low), ("_high", high)] {
                figures.insert(format!("measured_calibration_error_14_22{end}"), value);
            }
        }
        figures
    }
}

fn render(night: &Night, scores: Option<&Scores>, survey: &Survey) -> String {
    let band = survey.band(survey.reference());
    let mut rows = vec![titles(band, scores.is_some())];
    for (k, done) in night.done.iter().enumerate() {
        let quality = &done.quality[survey.reference()];
        let mut row = vec![done.image_id.clone()];
        row.extend(counts(std::slice::from_ref(done)));
        row.extend(
            [quality.fwhm_arcsec, quality.depth_5sigma_mag].map(|v| figure(Some(v).filter(|v| v.is_finite()), 2)),
        );
        row.extend(scores.map(|s| metrics(s.fields[k].as_ref())).into_iter().flatten());
        rows.push(row);
    }
    let mut total = vec![format!("all ({})", night.done.len())];
    total.extend(counts(&night.done));
    total.extend([String::new(), String::new()]);
    total.extend(scores.map(|s| metrics(Some(&s.all))).into_iter().flatten());
    rows.push(total);
    let mut out = super::aligned(&rows);
    out += "\nseconds: all stages of a field added up; stages and fields overlap, so that the night took less\n";
    if let Some(scores) = scores {
        if let Some(c) = &scores.all.calibration {
            let [low, high] = c.interval;
            let (error, objects) = (c.error, c.objects);
            out += &format!(
                "calibration error of starProb at {band} 14-22: {error:.3} (95 % interval {low:.3} to {high:.3}; {objects} objects)\n"
            );
        }
        out += "complete: share of the true objects that were found; AUC: star against galaxy by starProb, and by \
                concentration\nrelative to the PSF on the same objects. No truth went into the catalogues.\n";
    }
    if !night.rejected.is_empty() {
        out += &format!("\n{} rejected\n", night.rejected.len());
    }
    for record in &night.rejected {
        out += &format!("  {}: {}: {}\n", record.image_id, record.rejection.stage.name(), record.rejection);
    }
    out
}

fn titles(band: &str, scored: bool) -> Vec<String> {
    let mut titles: Vec<String> = ["field", "sources", "stars", "galaxies", "seconds"].map(Into::into).into();
    titles.extend([format!("FWHM {band} [\"]"), format!("depth {band} [mag]")]);
    if scored {
        titles.extend([
            format!("complete {band} 14-22"),
            "22-23".into(),
            format!("AUC {band} 14-22"),
            "of concentration".into(),
        ]);
    }
    titles
}

/// Sources, stars, galaxies and seconds.
fn counts(done: &[DoneRecord]) -> [String; 4] {
    let sum = |count: fn(&DoneRecord) -> usize| done.iter().map(count).sum::<usize>().to_string();
    let seconds: f64 = done.iter().flat_map(|d| d.timings_s.values()).sum();
    [sum(|d| d.rows), sum(|d| d.stars), sum(|d| d.galaxies), format!("{seconds:.2}")]
}

/// Completeness in two ranges, AUC of two methods.
fn metrics(evaluation: Option<&Evaluation>) -> [String; 4] {
    let complete = |low, high| evaluation.and_then(|e| e.detection_between(low, high).completeness());
    let auc = |method| evaluation.and_then(|e| e.auc(method));
    [
        figure(complete(14.0, 22.0), 3),
        figure(complete(22.0, 23.0), 3),
        figure(auc(Method::StarProb), 4),
        figure(auc(Method::Concentration), 4),
    ]
}

fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or("-".into(), |v| format!("{v:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_config::args::ConfigArgs;
    use twinpeak_core::outcome::{BandQuality, Reason, Rejection, Stage};
    use twinpeak_store::{ModelName, RejectedRecord};

    fn model() -> ModelName {
        ModelName { version: "1".into(), hash: "ab".into() }
    }

    fn done(image: &str, rows: usize) -> DoneRecord {
        DoneRecord {
            schema_version: "1.0".into(),
            image_id: image.into(),
            survey: "sdss".into(),
            midpoint_mjd_tai: None,
            rows,
            stars: 2,
            galaxies: rows - 2,
            unclassified: 0,
            tiles: 0,
            files: Vec::new(),
            quality: std::array::from_fn(|b| BandQuality {
                fwhm_arcsec: 1.0 + b as f64 / 10.0,
                depth_5sigma_mag: if b == 2 { f64::NAN } else { 22.0 },
                ..BandQuality::default()
            }),
            reference: None,
            device: "cpu".into(),
            model: model(),
            software_version: "0".into(),
            input_hash: String::new(),
            timings_s: [(Stage::Prepare, 0.25), (Stage::Segment, 1.0)].into(),
        }
    }

    fn survey() -> Survey {
        Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap()
    }

    fn words<'a>(text: &'a str, start: &str) -> Vec<&'a str> {
        text.lines().find(|l| l.starts_with(start)).unwrap_or_else(|| panic!("{text}")).split_whitespace().collect()
    }

    #[test]
    fn a_line_a_field_a_total_and_what_was_rejected() {
        let rejection = Rejection {
            reason: Reason::MissingBand,
            stage: Stage::Ingest,
            file: None,
            message: "band z is missing".into(),
            advice: "add it".into(),
        };
        let rejected = RejectedRecord {
            schema_version: "1.0".into(),
            image_id: "c".into(),
            rejection,
            model: model(),
            software_version: "0".into(),
        };
        let night = Night { done: vec![done("a-1", 10), done("b", 1000)], rejected: vec![rejected] };
        let text = render(&night, None, &survey());
        assert_eq!(words(&text, "a-1"), ["a-1", "10", "2", "8", "1.25", "1.20", "-"]);
        assert_eq!(words(&text, "all "), ["all", "(2)", "1010", "4", "1006", "2.50"]);
        assert!(text.contains("c: ingest: band z is missing (missing_band; add it)"), "{text}");
        let ends: Vec<_> = text.lines().take(3).map(str::len).collect();
        assert!(ends.windows(2).all(|w| w[0] == w[1]), "{text}");
        assert!(!text.contains("AUC"));
    }

    #[test]
    fn fields_are_scored_where_their_truth_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for (image, missed) in [("a", 0), ("b", 2)] {
            std::fs::write(path(&format!("{image}.done.json")), serde_json::to_vec(&done(image, 4)).unwrap()).unwrap();
            let rows: Vec<_> = (0..4).map(|i| ((f64::from(i) * 50.0, 9.0), 20.0, i < 2)).collect();
            catalog::testing::write(&path(&format!("{image}.catalog.parquet")), &rows);
            let mut table = String::from("class,x,y,mag_r\n");
            for i in 0..4 + missed {
                table += &format!("{},{},9,20\n", if i < 2 { "star" } else { "galaxy" }, i * 50);
            }
            std::fs::write(path(&format!("truth-{image}.csv")), table).unwrap();
        }
        std::fs::write(path("c.done.json"), serde_json::to_vec(&done("c", 4)).unwrap()).unwrap();
        let night = Night::read(folder.path()).unwrap();
        let scores = Scores::of(&night, folder.path(), folder.path(), &survey()).unwrap();
        let figures = scores.figures();
        assert_eq!((figures["measured_auc_14_22"], figures["measured_objects"]), (1.0, 8.0));
        let text = render(&night, Some(&scores), &survey());
        assert_eq!(words(&text, "a ")[7..], ["1.000", "-", "1.0000", "1.0000"]);
        assert_eq!(words(&text, "b ")[7..], ["0.667", "-", "1.0000", "1.0000"]);
        assert_eq!(words(&text, "c ")[7..], ["-", "-", "-", "-"]);
        assert_eq!(words(&text, "all ")[6..], ["0.800", "-", "1.0000", "1.0000"]);

        let args = SummaryArgs {
            out: folder.path().into(),
            truth: Some(folder.path().join("nowhere")),
            record: None,
            report: None,
            expect: None,
            config: ConfigArgs {
                config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into()),
                ..ConfigArgs::default()
            },
        };
        assert!(run(&args).unwrap_err().to_string().contains("nowhere"));
        run(&SummaryArgs { truth: None, ..args }).unwrap();
    }
}
