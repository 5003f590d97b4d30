//! `twinpeak evaluate`: scores a catalogue against the truth. Prints a table; writes `IMAGE.evaluation.json`,
//! `IMAGE.roc.png` and `IMAGE.reliability.png`. This and `summary --truth` alone read labels.

pub(super) mod catalog;
mod charts;
pub(super) mod kinds_table;
pub(super) mod night;
mod planes;
mod rows;
mod table;
mod truth;

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow, ensure};
use serde::Serialize;

use crate::cli::EvaluateArgs;
use twinpeak_config::Config;
use twinpeak_config::assemble::{file_list, fits_limits, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::frame::Frame;
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::FrameSource;
use twinpeak_formats::fits;
use twinpeak_sim::evaluate::{Evaluation, KindReport, KindRules, Overlap, Rules, TrueObject, evaluate, forced};
use twinpeak_store as store;

/// All metrics of a catalogue: what is printed, and what `IMAGE.evaluation.json` holds.
#[derive(Debug, Serialize)]
struct Report {
    /// The image, by the catalogue's name.
    image: String,
    /// The reference band, whose magnitudes are meant.
    band: String,
    /// True objects whose magnitudes were forced: the truth has none.
    forced_magnitudes: usize,
    /// True objects without any magnitude: those of them that were missed are in no bin.
    without_magnitude: usize,
    /// Pixels of the masks against the simulation's, where both lie beside the catalogue and the truth.
    pixels: Option<Overlap>,
    #[serde(flatten)]
    evaluation: Evaluation,
    /// By kind of object; null where the truth is a FITS table.
    kinds: Option<KindReport>,
}

/// Runs it.
///
/// # Errors
/// Where a file cannot be read, understood or written.
pub fn run(args: &EvaluateArgs) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let survey = Arc::new(survey(&config)?);
    let band = survey.band(survey.reference());
    if args.catalog.is_dir() {
        return night::run(args, &survey, &fits_limits(&config));
    }
    let of_folders = args.against.is_some() || args.false_per_field.is_some();
    ensure!(!of_folders, "--against and --false-per-field are of folders: give one of results and one of the truth");
    let image = catalog::image_of(&args.catalog);
    let objects = catalog::read(&args.catalog, band)?;
    let mut truth = truth::read(&args.truth, band)?;
    let forced_magnitudes = match &args.frames {
        Some(folder) => force(&mut truth, folder, &image, &config, &survey)?,
        None => 0,
    };
    let kinds = kinds(args, &image, &truth, &survey, &fits_limits(&config))?;
    let report = Report {
        kinds,
        without_magnitude: truth.iter().filter(|t| t.mag.is_none()).count(),
        forced_magnitudes,
        pixels: planes::overlap(&args.catalog, &image, &args.truth, &fits_limits(&config))?,
        evaluation: evaluate(&objects, &truth, &Rules::for_scale(survey.profile().pixel_scale_arcsec)),
        band: band.to_owned(),
        image,
    };
    let by_kind = report.kinds.as_ref().map_or(String::new(), |kinds| kinds_table::kinds(kinds, band));
    super::print(&(table::render(&report) + &by_kind))?;
    let beside = args.catalog.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    write(&report, args.out.as_deref().unwrap_or(beside))?;
    Ok(Exit::Done)
}

/// Judges the catalogue by kind of object; magnitudes that were forced count as the truth's.
fn kinds(
    args: &EvaluateArgs,
    image: &str,
    truth: &[TrueObject],
    survey: &Survey,
    limits: &fits::Limits,
) -> anyhow::Result<Option<KindReport>> {
    if args.truth.extension().is_some_and(|e| e == "fits") {
        return Ok(None);
    }
    let mut field = night::field(&args.catalog, &args.truth, image.to_owned(), survey, limits)?;
    field.known.iter_mut().zip(truth).for_each(|(known, object)| known.object = *object);
    Ok(Some(KindReport::of(&[field], &KindRules::for_scale(survey.profile().pixel_scale_arcsec), survey)))
}

/// Measures magnitudes for true objects that have none, found or not; returns for how many.
fn force(
    truth: &mut [TrueObject],
    folder: &Path,
    image: &str,
    config: &Config,
    survey: &Arc<Survey>,
) -> anyhow::Result<usize> {
    let dark: Vec<&mut TrueObject> = truth.iter_mut().filter(|t| t.mag.is_none()).collect();
    if dark.is_empty() {
        return Ok(0);
    }
    let positions: Vec<_> = dark.iter().map(|t| (t.x, t.y)).collect();
    let frame = frame(folder, image, config, survey)?;
    let mags = forced::magnitudes(frame, survey, &positions).with_context(|| image.to_owned())?;
    let measured = mags.iter().flatten().count();
    dark.into_iter().zip(mags).for_each(|(t, mag)| t.mag = mag);
    Ok(measured)
}

/// The frame of `image` among the files of a folder.
///
/// # Errors
/// Where the folder does not hold it, or it cannot be used.
fn frame(folder: &Path, image: &str, config: &Config, survey: &Arc<Survey>) -> anyhow::Result<Frame> {
    let mut source = file_list(config, survey, &[folder.to_owned()]);
    while let Some(arrival) = source.next(&Stop::default()).map_err(anyhow::Error::new)? {
        if arrival.image_id.as_str() == image {
            let loaded = (arrival.load)().map_err(|rejection| anyhow!("{rejection}"))?;
            return loaded.frame().ok_or_else(|| anyhow!("image {image} has no frame"));
        }
    }
    Err(anyhow!("{}: no frame of image {image} is there", folder.display()))
}

fn write(report: &Report, folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder).with_context(|| folder.display().to_string()).context(Fault::Output)?;
    let Report { image, band, evaluation, .. } = report;
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    let mut files = vec![("evaluation.json", text)];
    if !evaluation.roc.is_empty() {
        files.push(("roc.png", charts::roc(evaluation, image, band)?));
    }
    if let Some(calibration) = &evaluation.calibration {
        files.push(("reliability.png", charts::reliability(calibration, image, band)?));
    }
    for (ending, bytes) in files {
        store::write_file(folder, &format!("{image}.{ending}"), &bytes).context(Fault::Output)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_config::args::ConfigArgs;
    use twinpeak_sim::IGNORED;

    const IMAGE: &str = "009001-3-0001"; // the first field of the first simulated night

    fn args(folder: &Path, truth: &str) -> EvaluateArgs {
        EvaluateArgs {
            catalog: folder.join(format!("{IMAGE}.catalog.parquet")),
            truth: folder.join(truth),
            frames: None,
            against: None,
            false_per_field: None,
            out: Some(folder.join("out")),
            config: ConfigArgs {
                config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into()),
                ..ConfigArgs::default()
            },
        }
    }

    fn written(folder: &Path) -> serde_json::Value {
        let text = std::fs::read_to_string(folder.join(format!("out/{IMAGE}.evaluation.json"))).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn scores_a_catalogue_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let near = |i: usize| (i as f64 * 40.0, 10.0);
        let args = args(folder.path(), "truth.csv");
        let rows: Vec<_> = (0..20).map(|i| (near(i), 20.0, i < 10)).collect();
        catalog::testing::write(&args.catalog, &rows);
        let mut truth = String::from("id,class,x,y,mag_r\n");
        for i in 0..22 {
            let class = if i < 10 { "star" } else { "galaxy" };
            truth += &format!("{i},{class},{},{},20.5\n", near(i).0 + 0.3, near(i).1);
        }
        std::fs::write(&args.truth, truth).unwrap();
        assert_eq!(run(&args).unwrap(), Exit::Done);
        let json = written(folder.path());
        assert_eq!(json["labelled"], 20);
        assert_eq!(json["classes"][0]["auc"][0], 1.0);
        assert_eq!((&json["detection"][0]["found"], &json["detection"][0]["truth"]), (&20.into(), &22.into()));
        assert_eq!((&json["forced_magnitudes"], &json["pixels"]), (&0.into(), &serde_json::Value::Null));
        for picture in ["roc.png", "reliability.png"] {
            assert!(
                std::fs::read(folder.path().join(format!("out/{IMAGE}.{picture}"))).unwrap().starts_with(b"\x89PNG")
            );
        }
    }

    /// A simulated field, of whose truth only positions are given: the frame gives the magnitudes.
    #[test]
    fn a_truth_without_magnitudes_takes_them_from_the_frame() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
        let spec = twinpeak_sim::Spec { width: 256, height: 256, sources: Some(12), ..Default::default() };
        let made = twinpeak_sim::simulate(&spec, &survey).unwrap();
        assert_eq!(made.frame.id.as_str(), IMAGE);
        for b in 0..5 {
            let name = survey.file_for(b, &made.frame.id);
            let bytes = fits::pack(&name, fits::encode_band(&survey, &made.frame, b).unwrap()).unwrap();
            std::fs::write(path(&name), bytes).unwrap();
        }
        let list = |star| -> String {
            let chosen = made.truth.objects.iter().filter(|o| o.class.is_point() == star);
            chosen.map(|o| format!("{},{}\n", o.x, o.y)).collect()
        };
        std::fs::write(path("t_stars.csv"), list(true)).unwrap();
        std::fs::write(path("t_gals.csv"), list(false)).unwrap();
        let first = &made.truth.objects[0];
        let mut args = args(folder.path(), "t");
        catalog::testing::write(&args.catalog, &[((first.x, first.y), 12.0, first.class.is_point())]);

        run(&args).unwrap();
        let json = written(folder.path());
        assert_eq!((&json["forced_magnitudes"], &json["without_magnitude"]), (&0.into(), &12.into()));
        assert_eq!(json["detection"].as_array().unwrap().len(), 1, "nothing but everything");

        args.frames = Some(folder.path().into());
        run(&args).unwrap();
        let json = written(folder.path());
        assert_eq!((&json["forced_magnitudes"], &json["without_magnitude"]), (&12.into(), &0.into()));
        let end = |d: &serde_json::Value, end| d["bin"][end].as_f64().unwrap_or(f64::NAN);
        let halves = json["detection"].as_array().unwrap().iter().filter(|d| end(d, "high") - end(d, "low") == 0.5);
        let binned: u64 = halves.map(|d| d["truth"].as_u64().unwrap()).sum();
        assert!((8..=12).contains(&binned), "{binned} of 12 are between 14 and 24 mag");

        args.frames = Some(path("out"));
        assert!(format!("{:#}", run(&args).unwrap_err()).contains(IMAGE));
    }

    #[test]
    fn masks_are_scored_where_the_truth_has_them() {
        let folder = tempfile::tempdir().unwrap();
        let mut args = args(folder.path(), "truth.csv");
        catalog::testing::write(&args.catalog, &[((1.0, 1.0), 20.0, true)]);
        std::fs::write(&args.truth, "class,x,y,mag_r\nstar,1,1,20\n").unwrap();
        let wcs =
            twinpeak_core::wcs::Wcs::tangent((4, 1), (10.0, 0.0), (2.0, 1.0), [[1e-4, 0.0], [0.0, 1e-4]]).unwrap();
        let keep = |name: String, pixels: Vec<u32>| {
            let plane = twinpeak_core::frame::Plane::from_pixels(4, 1, pixels);
            std::fs::write(folder.path().join(name), fits::segmentation_file(&plane, &wcs).unwrap()).unwrap();
        };
        keep(format!("{IMAGE}.masks.fits"), vec![1, 1, 0, 2]);
        keep("truth.segmentation.fits".into(), vec![1, 0, 0, IGNORED]);
        args.out = Some(folder.path().join("out"));
        run(&args).unwrap();
        assert_eq!(written(folder.path())["pixels"], serde_json::json!({"both": 1, "ours_alone": 1, "true_alone": 0}));

        // What the configuration says of files holds here too.
        args.config.set = vec![("input.max_pixels".into(), "3".into())];
        assert!(format!("{:#}", run(&args).unwrap_err()).contains("4x1"));
        args.config.set = vec![("input.max_file_bytes".into(), "1000".into())];
        assert!(format!("{:#}", run(&args).unwrap_err()).contains("more than input.max_file_bytes, 1000"));
    }
}
