//! A night's catalogues with the truth about them: what is judged by kind, over repeats and against another night's.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::{kinds_table, rows, size_of};
use crate::cli::EvaluateArgs;
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::survey::Survey;
use twinpeak_formats::fits;
use twinpeak_sim::evaluate::{JudgedField, KindReport, KindRules, PairedReport, RepeatReport, truth_files};
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
    /// Of skies that were visited more than once; null without any.
    pub(super) repeats: Option<RepeatReport>,
    /// Against the other night; null without one.
    pub(super) against: Option<PairedReport>,
}

/// What judges by kind, as the command line has it.
pub(super) fn rules(args: &EvaluateArgs, survey: &Survey) -> KindRules {
    let usual = KindRules::for_scale(survey.profile().pixel_scale_arcsec);
    KindRules { neighbour_fainter_mag: args.neighbour_fainter, ..usual }
}

/// Runs `evaluate` on two folders.
///
/// # Errors
/// Where a file cannot be read, understood or written.
pub(super) fn run(args: &EvaluateArgs, survey: &Survey, limits: &fits::Limits) -> anyhow::Result<Exit> {
    let rules = rules(args, survey);
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
    let report = NightReport { against: against.transpose()?, ..report(&fields, &rules, survey) };
    crate::commands::print(&kinds_table::night(&report))?;
    write(&report, &args.out.as_deref().unwrap_or(&args.catalog).join("night.evaluation.json"))?;
    Ok(Exit::Done)
}

/// Judges fields together.
pub(crate) fn report(fields: &[JudgedField], rules: &KindRules, survey: &Survey) -> NightReport {
    NightReport {
        band: survey.band(survey.reference()).to_owned(),
        images: fields.iter().map(|f| f.image.clone()).collect(),
        kinds: KindReport::of(fields, rules, survey),
        repeats: RepeatReport::of(fields, rules, survey),
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
        size: size_of(catalog, &image, truth, limits)?,
        rows: rows::read(catalog, survey)?,
        image,
        sky,
        known,
    })
}
