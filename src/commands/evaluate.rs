//! `twinpeak evaluate`: scores a catalogue against the truth, prints a table, writes `IMAGE.evaluation.json`.

mod catalog;
mod table;
mod truth;

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::Fault;
use crate::cli::{EvaluateArgs, Exit};
use crate::config::Config;
use crate::evaluate::{Evaluation, Rules, evaluate, unmeasured};
use crate::survey::Survey;

/// Measures the reference band's aperture magnitude of what may lie at 0-based reference pixels of the frames in
/// a folder, one for each position; `None` where nothing can be measured.
pub type ForcedMagnitudes = dyn Fn(&Path, &Config, &Survey, &[(f64, f64)]) -> anyhow::Result<Vec<Option<f64>>>;

/// Draws the ROC curves to a file.
pub type DrawRoc = dyn Fn(&Evaluation, &Path) -> anyhow::Result<()>;

/// What the command takes from other parts.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// For missed objects without a magnitude, with `--frames`.
    pub forced: Option<&'a ForcedMagnitudes>,
    /// For `IMAGE.roc.png`.
    pub draw: Option<&'a DrawRoc>,
}

/// Runs it.
///
/// # Errors
/// Where a file cannot be read, understood or written.
pub fn run(args: &EvaluateArgs, parts: Parts) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let survey = super::survey(&config)?;
    let rules = Rules::for_scale(survey.profile().pixel_scale_arcsec);
    let band = survey.band(survey.reference());
    let objects = catalog::read(&args.catalog, band)?;
    let mut truth = truth::read(&args.truth, band)?;
    if let Some(frames) = &args.frames {
        let forced = parts.forced.context("--frames: this build cannot measure")?;
        let missed = unmeasured(&objects, &truth, &rules);
        let positions: Vec<_> = missed.iter().map(|&t| (truth[t].x, truth[t].y)).collect();
        let mags = forced(frames, &config, &survey, &positions)?;
        if mags.len() != missed.len() {
            bail!("{} forced magnitudes for {} positions", mags.len(), missed.len());
        }
        missed.into_iter().zip(mags).for_each(|(t, mag)| truth[t].mag = mag);
    }
    let evaluation = evaluate(&objects, &truth, &rules);
    print!("{}", table::render(&evaluation));
    write(args, &evaluation, parts).context(Fault::Output)?;
    Ok(Exit::Done)
}

fn write(args: &EvaluateArgs, evaluation: &Evaluation, parts: Parts) -> anyhow::Result<()> {
    let image = stem(&args.catalog);
    let folder = args.out.clone().or_else(|| args.catalog.parent().map(PathBuf::from)).unwrap_or_default();
    let at = |name: String| folder.join(name);
    if args.out.is_some() {
        std::fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    let json = at(format!("{image}.evaluation.json"));
    let mut text = serde_json::to_string_pretty(evaluation)?;
    text.push('\n');
    let aside = at(format!(".{image}.evaluation.json.tmp"));
    std::fs::write(&aside, text)
        .and_then(|()| std::fs::rename(&aside, &json))
        .with_context(|| json.display().to_string())?;
    if let Some(draw) = parts.draw {
        draw(evaluation, &at(format!("{image}.roc.png")))?;
    }
    Ok(())
}

/// `003918-3-0213` of `night/003918-3-0213.catalog.parquet`.
fn stem(catalog: &Path) -> String {
    let name = catalog.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".parquet").unwrap_or(&name);
    name.strip_suffix(".catalog").unwrap_or(name).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ConfigArgs;

    #[test]
    fn scores_a_catalogue_from_files() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let near = |i: usize| (i as f64 * 40.0, 10.0);
        let rows: Vec<_> = (0..20).map(|i| (near(i), 20.0, i < 10)).collect();
        catalog::testing::write(&path("f.catalog.parquet"), &rows);
        let mut truth = String::from("id,class,x,y,r\n");
        for i in 0..22 {
            let class = if i < 10 { "star" } else { "galaxy" };
            truth += &format!("{i},{class},{},{},20.5\n", near(i).0 + 0.3, near(i).1);
        }
        std::fs::write(path("truth.csv"), truth).unwrap();
        let args = EvaluateArgs {
            catalog: path("f.catalog.parquet"),
            truth: path("truth.csv"),
            frames: None,
            out: Some(path("out")),
            config: ConfigArgs {
                config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into()),
                ..ConfigArgs::default()
            },
        };
        assert_eq!(run(&args, Parts::default()).unwrap(), Exit::Done);
        let text = std::fs::read_to_string(path("out/f.evaluation.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(json["labelled"], 20);
        assert_eq!(json["classes"][0]["auc"][0], 1.0);
        assert_eq!(json["detection"][0]["found"], 20);
        assert_eq!(json["detection"][0]["truth"], 22);

        let frames = EvaluateArgs { frames: Some(folder.path().into()), ..args };
        assert!(run(&frames, Parts::default()).is_err());
    }

    #[test]
    fn forced_magnitudes_go_to_missed_objects_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        catalog::testing::write(&path("f.catalog.parquet"), &[((0.0, 0.0), 20.0, true)]);
        std::fs::write(path("t_stars.csv"), "0.1,0\n300,7\n").unwrap();
        std::fs::write(path("t_gals.csv"), "").unwrap();
        let args = EvaluateArgs {
            catalog: path("f.catalog.parquet"),
            truth: path("t"),
            frames: Some(folder.path().into()),
            out: None,
            config: ConfigArgs {
                config: Some(concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into()),
                ..ConfigArgs::default()
            },
        };
        let forced = |_: &Path, _: &Config, _: &Survey, at: &[(f64, f64)]| {
            assert_eq!(at, [(300.0, 7.0)]);
            Ok(vec![Some(21.7)])
        };
        run(&args, Parts { forced: Some(&forced), draw: None }).unwrap();
        let text = std::fs::read_to_string(path("f.evaluation.json")).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let bins = json["detection"].as_array().unwrap();
        let faint = bins.iter().find(|d| d["bin"]["low"] == 21.5).unwrap();
        assert_eq!((&faint["truth"], &faint["found"]), (&1.into(), &0.into()));
    }
}
