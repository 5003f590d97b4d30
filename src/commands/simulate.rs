//! `twinpeak simulate`: a seeded night as the survey's own files, with the truth beside them: for each field
//! `truth-IMAGE.csv`, its objects, and `truth-IMAGE.segmentation.fits`, which object each pixel belongs to.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;

use twinpeak_config::assemble::survey_of;
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::frame::Frame;
use twinpeak_core::survey::{PlaneKind, Survey};
use twinpeak_formats::fits;
use twinpeak_sim::{
    Artefacts, Cluster, Cores, Counts, LAST_FIELD, LAST_VISIT, LAST_VISITED_FIELD, Seeing, Spec, simulate,
};
use twinpeak_store::write_file;

/// Scatter of a night's astrometry, mas.
const VISIT_MAS: f64 = 25.0;

/// `twinpeak simulate`
#[derive(Args, Clone, Debug)]
pub struct SimulateArgs {
    /// Where frames and truth-IMAGE files go; made where absent
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// How many fields
    #[arg(long, default_value_t = 1)]
    pub fields: u32,
    /// Number of the first field
    #[arg(long, default_value_t = 1)]
    pub first_field: u32,
    /// Seed of the night; nights of different seeds share nothing
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Survey description [default: the shipped one, SDSS]
    #[arg(long, value_name = "FILE")]
    pub survey: Option<PathBuf>,
    /// Pixels in a row [default: the survey's simulated.width_px]
    #[arg(long, value_name = "PX")]
    pub width: Option<usize>,
    /// Rows of pixels [default: the survey's simulated.height_px]
    #[arg(long, value_name = "PX")]
    pub height: Option<usize>,
    /// Multiplies the number of objects
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub density: f64,
    /// Exactly so many objects in each frame, e.g. 50000 for a crowded one
    #[arg(long, value_name = "COUNT", conflicts_with = "density")]
    pub sources: Option<usize>,
    /// Visit the sky of each field so often instead of once: the same objects (their ids in the truth say which) under other
    /// seeing, noise and defects, the field moved by up to 12 px and its coordinates by 25 mas. Visit N of field F is written as
    /// field N x 1000 + F; at most 9
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=i64::from(LAST_VISIT)))]
    pub repeat: Option<u32>,
    /// How far each band's coordinates are off in its header, in each direction [default: 0, with --repeat 25]
    #[arg(long, value_name = "MAS")]
    pub wcs_scatter: Option<f64>,
    /// Put a star cluster of so many stars (to r = 25) over each field: King's profile, an old cluster's magnitudes and colours
    #[arg(long, value_name = "STARS")]
    pub cluster: Option<usize>,
    /// Replace saturated cores by what lies beside them, as SDSS does, instead of leaving them clipped; the truth gets a
    /// column that says in how many bands. A survey with masks marks them
    #[arg(long)]
    pub replaced_cores: bool,
    /// So many satellites cross each field, each in one of the bands
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pub trails: usize,
    /// Put a large spiral galaxy (r 13.3, knots on its arms) into each field: one row of the truth
    #[arg(long)]
    pub spiral: bool,
    /// As many objects of each of the survey's magnitudes.flat (SDSS: 15 to 22.5), half of them stars, instead of the sky's own counts
    #[arg(long)]
    pub flat: bool,
    /// The sky's galaxies without its stars: a frame on which no PSF can be measured
    #[arg(long, conflicts_with = "flat")]
    pub galaxies: bool,
    /// Median width of the PSF in the reference band; each field's scatters about it [default: the survey's
    /// simulated.median_fwhm_arcsec]
    #[arg(long, value_name = "ARCSEC")]
    pub seeing: Option<f64>,
    /// Write plain files instead of packed ones (.bz2)
    #[arg(long)]
    pub plain: bool,
}

/// Runs the subcommand.
///
/// # Errors
/// A survey that is not understood, values that make no sense, a folder that cannot be written.
pub fn run(args: &SimulateArgs) -> Result<Exit> {
    let survey = survey(args.survey.as_deref())?;
    let last = args.first_field.checked_add(args.fields).filter(|end| *end <= LAST_FIELD + 1);
    let last = last.with_context(|| format!("fields are numbered 1 to {LAST_FIELD}"))?;
    let made = std::fs::create_dir_all(&args.out);
    made.with_context(|| format!("cannot make {}", args.out.display())).context(Fault::Output)?;

    let bar = std::io::stderr()
        .is_terminal()
        .then(|| progress_bar(u64::from(args.fields) * u64::from(args.repeat.unwrap_or(1))));
    let usual = Spec::of(&survey);
    let visits = args.repeat.map_or(0..=0, |n| 1..=n);
    let is_visited = args.repeat.is_none() || last - 1 <= LAST_VISITED_FIELD;
    ensure!(is_visited, "with --repeat fields are numbered 1 to {LAST_VISITED_FIELD}");
    for (field, visit) in (args.first_field..last).flat_map(|f| visits.clone().map(move |v| (f, v))) {
        let spec = Spec {
            seed: args.seed,
            field,
            visit,
            wcs_scatter_arcsec: args.wcs_scatter.unwrap_or(if visit > 0 { VISIT_MAS } else { 0.0 }) / 1000.0,
            cluster: args.cluster.map(|stars| Cluster { stars, ..Cluster::default() }),
            spiral: args.spiral,
            artefacts: Artefacts {
                cores: if args.replaced_cores { Cores::Replaced } else { Cores::Clipped },
                satellite_trails: args.trails,
                ..usual.artefacts.clone()
            },
            width: args.width.unwrap_or(usual.width),
            height: args.height.unwrap_or(usual.height),
            counts: match (args.flat, args.galaxies) {
                (true, _) => Counts::Flat,
                (_, true) => Counts::Galaxies,
                _ => Counts::Physical,
            },
            density: args.density,
            sources: args.sources,
            seeing: Seeing {
                median_fwhm_arcsec: args.seeing.unwrap_or(usual.seeing.median_fwhm_arcsec),
                ..usual.seeing.clone()
            },
            ..usual.clone()
        };
        let made = simulate(&spec, &survey)?;
        let names = write_frame(&args.out, &survey, &made.frame, args.plain)?;
        let id = &made.frame.id;
        let wcs = &made.frame.bands[survey.reference()].wcs;
        let segmentation = fits::segmentation_file(&made.truth.segmentation, wcs)?;
        write_file(&args.out, &format!("truth-{id}.segmentation.fits"), &segmentation).context(Fault::Output)?;
        write_file(&args.out, &format!("truth-{id}.csv"), made.truth.to_csv(&survey, id).as_bytes())
            .context(Fault::Output)?;
        let done = format!("{id}: {} objects, {}", made.truth.objects.len(), names.join(" "));
        match &bar {
            Some(bar) => {
                bar.set_message(id.to_string());
                bar.inc(1);
            }
            None => println!("{done}"),
        }
    }
    if let Some(bar) = bar {
        bar.finish_with_message("done");
    }
    Ok(Exit::Done)
}

fn survey(path: Option<&Path>) -> Result<Survey> {
    let Some(path) = path else {
        return Survey::parse(include_str!("../../config/surveys/sdss.toml")).context("the shipped survey");
    };
    survey_of(path)
}

fn progress_bar(fields: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} fields, {eta} left  {msg}");
    ProgressBar::new(fields).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Writes the survey's bands, with the masks and weights that have files of their own, packed in parallel; returns the
/// names of the bands' files.
fn write_frame(out: &Path, survey: &Survey, frame: &Frame, plain: bool) -> Result<Vec<String>> {
    survey
        .planes()
        .collect::<Vec<_>>()
        .into_par_iter()
        .map(|b| {
            let name = name_of(survey, b, frame, plain)?;
            write_packed(out, &name, fits::encode_band(survey, frame, b)?)?;
            for kind in [PlaneKind::Mask, PlaneKind::Weight] {
                if let (Some(bytes), Some(companion)) =
                    (fits::encode_companion(survey, frame, b, kind)?, survey.companion(&name, kind))
                {
                    write_packed(out, &companion, bytes)?;
                }
            }
            Ok(name)
        })
        .collect()
}

/// The name of a band's file by the survey's template, with the band's own name or the alias that the pattern accepts.
fn name_of(survey: &Survey, band: usize, frame: &Frame, plain: bool) -> Result<String> {
    let aliases = survey.profile().bands.aliases.iter().filter(|(_, to)| *to == survey.band(band));
    let names = std::iter::once(survey.band(band)).chain(aliases.map(|(alias, _)| alias.as_str()));
    let made = names.map(|name| {
        let template = survey.profile().file_template.replace("{band}", name).replace("{image}", frame.id.as_str());
        let packed = [".bz2", ".gz"].iter().find_map(|end| template.strip_suffix(end)).filter(|_| plain);
        packed.unwrap_or(&template).to_owned()
    });
    let is_known =
        |name: &String| survey.file_name(name).is_some_and(|k| k.image == frame.id && k.band.is_none_or(|b| b == band));
    made.into_iter().find(is_known).with_context(|| {
        let name = survey.file_for(band, &frame.id);
        format!("the survey's file_pattern does not accept {name:?}, which its file_template makes")
    })
}

/// Writes a file, packed as its name says.
fn write_packed(out: &Path, name: &str, bytes: Vec<u8>) -> Result<()> {
    write_file(out, name, &fits::pack(name, bytes)?).context(Fault::Output)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SimulateArgs,
    }

    fn files() -> Vec<(String, Vec<u8>)> {
        let out = tempfile::tempdir().unwrap();
        let fixed = ["simulate", "--width", "100", "--height", "80", "--out"];
        let line = fixed.iter().map(|w| (*w).into()).chain([out.path().as_os_str().to_owned()]);
        run(&Line::parse_from(line.chain(["--seed".into(), "5".into()])).args).unwrap();
        let mut found: Vec<_> = std::fs::read_dir(out.path()).unwrap().map(|e| e.unwrap().path()).collect();
        found.sort();
        let name = |p: &Path| p.file_name().unwrap().to_string_lossy().into_owned();
        found.iter().map(|p| (name(p), std::fs::read(p).unwrap())).collect()
    }

    #[test]
    fn a_seed_gives_its_files_again() {
        let (one, again) = (files(), files());
        assert_eq!(one, again);
        let names: Vec<&str> = one.iter().map(|f| f.0.as_str()).collect();
        let bands = ["g", "i", "r", "u", "z"].map(|b| format!("frame-{b}-009005-1-0001.fits.bz2"));
        assert_eq!(names[..5], bands);
        assert_eq!(names[5..], ["truth-009005-1-0001.csv", "truth-009005-1-0001.segmentation.fits"]);
    }
}
