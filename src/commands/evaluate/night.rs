//! A night's catalogues with the truth about them: what is judged by kind, over repeats and against another night's.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{kinds_table, planes, rows};
use crate::cli::EvaluateArgs;
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::survey::Survey;
use twinpeak_formats::fits;
use twinpeak_sim::evaluate::{
    DetectionReport, JudgedField, KindReport, KindRules, PairedReport, RepeatReport, truth_files,
};
use twinpeak_store as store;

/// What `night.evaluation.json` holds.
#[derive(Debug, Serialize)]
pub(crate) struct NightReport {
    /// The reference band, whose magnitudes are meant.
    pub(super) band: String,
    /// Images that were judged.
    pub(super) images: Vec<String>,
    /// By kind and magnitude.
    pub(super) kinds: KindReport,
    /// What was found, by half magnitude.
    pub(super) detection: DetectionReport,
    /// Of skies that were visited more than once; null without any.
    pub(super) repeats: Option<RepeatReport>,
    /// Against the other night; null without one.
    pub(super) against: Option<PairedReport>,
}

/// Runs `evaluate` on two folders.
///
/// # Errors
/// Where a file cannot be read, understood or written.
pub(super) fn run(args: &EvaluateArgs, survey: &Survey, limits: &fits::Limits) -> anyhow::Result<Exit> {
    let rules = KindRules::for_scale(survey.profile().pixel_scale_arcsec);
    let fields = fields(&args.catalog, &args.truth, survey, limits)?;
    let against = args.against.as_ref().map(|other| {
        let others = self::fields(other, &args.truth, survey, limits)?;
        let names = |fields: &[JudgedField]| fields.iter().map(|f| f.image.clone()).collect::<Vec<_>>();
        ensure!(
            names(&fields) == names(&others),
            "{} and {} are not of the same fields: process the same frames into both",
            args.catalog.display(),
            other.display()
        );
        Ok(PairedReport::of(&fields, &others, args.false_per_field, &rules, survey))
    });
    let report = NightReport { against: against.transpose()?, ..report(&fields, args.false_per_field, survey) };
    crate::commands::print(&kinds_table::night(&report))?;
    write(&report, &args.out.as_deref().unwrap_or(&args.catalog).join("night.evaluation.json"))?;
    Ok(Exit::Done)
}

/// Judges fields together.
pub(crate) fn report(fields: &[JudgedField], false_per_field: Option<f64>, survey: &Survey) -> NightReport {
    let rules = KindRules::for_scale(survey.profile().pixel_scale_arcsec);
    NightReport {
        band: survey.band(survey.reference()).to_owned(),
        images: fields.iter().map(|f| f.image.clone()).collect(),
        kinds: KindReport::of(fields, &rules, survey),
        detection: DetectionReport::of(fields, false_per_field, &rules, survey),
        repeats: RepeatReport::of(fields, &rules, survey),
        against: None,
    }
}

/// Writes a report as JSON, its folder made where absent.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn write(report: &NightReport, file: &Path) -> anyhow::Result<()> {
    let folder = file.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string()).context(Fault::Output)?;
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    let name = file.file_name().with_context(|| format!("{} names no file", file.display()))?.to_string_lossy();
    store::write_file(folder, &name, &text).context(Fault::Output)?;
    Ok(())
}

/// Every catalogue of a folder whose truth lies in the other, in the order of their names.
///
/// # Errors
/// Where there is none, or a file cannot be read.
pub(crate) fn fields(
    out: &Path,
    truth: &Path,
    survey: &Survey,
    limits: &fits::Limits,
) -> anyhow::Result<Vec<JudgedField>> {
    let named = || out.display().to_string();
    let entries = std::fs::read_dir(out).with_context(named)?.collect::<Result<Vec<_>, _>>().with_context(named)?;
    let mut catalogs: Vec<PathBuf> =
        entries.into_iter().map(|e| e.path()).filter(|p| p.to_string_lossy().ends_with(".catalog.parquet")).collect();
    catalogs.sort();
    let mut fields = Vec::new();
    for catalog in catalogs {
        let image = super::catalog::image_of(&catalog);
        let table = truth.join(format!("truth-{image}.csv"));
        if table.exists() {
            fields.push(field(&catalog, &table, image, survey, limits)?);
        }
    }
    ensure!(!fields.is_empty(), "{}: no truth-IMAGE.csv of the catalogues in {}", truth.display(), out.display());
    Ok(fields)
}

/// One catalogue with its truth.
///
/// # Errors
/// Where a file cannot be read.
pub(super) fn field(
    catalog: &Path,
    truth: &Path,
    image: String,
    survey: &Survey,
    limits: &fits::Limits,
) -> anyhow::Result<JudgedField> {
    let (known, sky) = truth_files::read_known(truth, survey)?;
    let sky = sky.unwrap_or_else(|| image.clone());
    Ok(JudgedField {
        size: planes::size_of(catalog, &image, truth, limits)?,
        rows: rows::read(catalog, survey)?,
        image,
        sky,
        known,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::slice;

    use twinpeak_config::args::ConfigArgs;

    /// Twenty objects 40 px apart, of which the first `missed` are not found, at two visits to one sky.
    fn night(folder: &Path, missed: usize) -> EvaluateArgs {
        let (out, truth) = (folder.join(format!("out-{missed}")), folder.join("truth"));
        std::fs::create_dir_all(&out).unwrap();
        std::fs::create_dir_all(&truth).unwrap();
        for visit in ["f-1001", "f-2001"] {
            let place = |i: usize| (60.0 + 40.0 * i as f64, 60.0);
            let rows: Vec<_> = (missed..20).map(|i| (place(i), 20.2, i % 2 == 0)).collect();
            super::super::catalog::testing::write(&out.join(format!("{visit}.catalog.parquet")), &rows);
            let mut table =
                String::from("# sky, whose objects have these ids at every visit: f-0001\nid,class,x,y,mag_r\n");
            for i in 0..20 {
                let class = if i % 2 == 0 { "star" } else { "galaxy" };
                table += &format!("{},{class},{},{},20.2\n", i + 1, place(i).0, place(i).1);
            }
            std::fs::write(truth.join(format!("truth-{visit}.csv")), table).unwrap();
        }
        EvaluateArgs {
            catalog: out,
            truth,
            frames: None,
            against: None,
            false_per_field: None,
            out: Some(folder.join("json")),
            config: ConfigArgs {
                config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into()),
                ..ConfigArgs::default()
            },
        }
    }

    #[test]
    fn folders_are_judged_together_and_against_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let [mut all, some] = [0, 3].map(|missed| night(folder.path(), missed));
        all.against = Some(some.catalog.clone());
        super::super::run(&all).unwrap();
        let text = std::fs::read_to_string(folder.path().join("json/night.evaluation.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&json["images"][1], &json["kinds"]["fields"]), (&"f-2001".into(), &2.into()));
        let group = &json["kinds"]["groups"][1];
        assert_eq!((&group["group"], &group["objects"]), (&"isolated".into(), &40.into()));
        let bin = &group["bins"][0];
        assert_eq!((&bin["stars"], &bin["galaxies"], &bin["found"]["share"]), (&20.into(), &20.into(), &1.0.into()));
        assert_eq!(bin["classes"]["stars_called_galaxy"], serde_json::json!({"count": 0, "of": 20, "share": 0.0}));
        assert_eq!(json["detection"]["bins"][0]["found"]["count"], 40);
        assert_eq!((&json["repeats"]["skies"], &json["repeats"]["fields"]), (&1.into(), &2.into()));
        // These catalogues state no error of p.
        assert_eq!(json["repeats"]["groups"][0]["bins"][0]["classed"], 0);
        let difference = json["against"]["bins"][0]["difference"].as_f64().unwrap();
        assert!((difference - 0.15).abs() < 1e-12, "{difference}");

        let report = report(&fields(&all.catalog, &all.truth, &survey(), &limits()).unwrap(), None, &survey());
        let text = kinds_table::night(&report);
        for part in [
            "By kind of object, 2 fields",
            "isolated",
            "completeness at 0.0 false a field",
            "Repeats: 1 skies in 2 fields",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        std::fs::remove_file(some.catalog.join("f-1001.catalog.parquet")).unwrap();
        assert!(super::super::run(&all).unwrap_err().to_string().contains("not of the same fields"));
        all.truth = folder.path().join("json");
        assert!(super::super::run(&all).unwrap_err().to_string().contains("no truth-IMAGE.csv"));
    }

    #[test]
    fn the_page_names_every_key() {
        let page = include_str!("../../../docs/evaluate.md");
        let spec = twinpeak_sim::Spec { width: 400, height: 300, density: 4.0, ..twinpeak_sim::Spec::default() };
        let made = twinpeak_sim::simulate(&spec, &survey()).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("truth-a.csv");
        std::fs::write(&path, made.truth.to_csv(&survey(), &made.frame.id)).unwrap();
        let (known, _) = truth_files::read_known(&path, &survey()).unwrap();
        let measured = |value: f64| twinpeak_sim::evaluate::Measured { value, error: 0.1 };
        let row = |k: &twinpeak_sim::evaluate::Known| twinpeak_sim::evaluate::Row {
            x: measured(k.object.x),
            y: measured(k.object.y),
            star_prob: Some(0.5),
            star_prob_err: Some(0.1),
            fluxes: [[measured(1.0); 5]; 4],
            model_radius_arcsec: measured(1.0),
            model_axis_ratio: measured(0.5),
            model_theta_deg: measured(5.0),
            ..Default::default()
        };
        let rows = known.iter().map(row).collect();
        let field = JudgedField { image: "a".into(), sky: "a".into(), size: Some((400, 300)), rows, known };
        let mut report = report(&[field.clone(), field.clone()], None, &survey());
        let rules = KindRules::for_scale(0.396);
        report.against =
            Some(PairedReport::of(slice::from_ref(&field), slice::from_ref(&field), None, &rules, &survey()));
        let mut keys = std::collections::BTreeSet::new();
        collect(&serde_json::to_value(&report).unwrap(), &mut keys);
        assert!(keys.len() > 60, "{keys:?}");
        for key in keys {
            let is_word = |c: char| c.is_alphanumeric() || c == '_';
            assert!(page.split(|c| !is_word(c)).any(|word| word == key), "docs/evaluate.md does not name {key}");
        }
    }

    fn collect(value: &serde_json::Value, keys: &mut std::collections::BTreeSet<String>) {
        match value {
            serde_json::Value::Object(map) => map.iter().for_each(|(key, value)| {
                keys.insert(key.clone());
                collect(value, keys);
            }),
            serde_json::Value::Array(values) => values.iter().for_each(|value| collect(value, keys)),
            _ => {}
        }
    }

    fn survey() -> Survey {
        Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
    }

    fn limits() -> fits::Limits {
        fits::Limits::default()
    }
}
