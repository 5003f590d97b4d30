//! What other programs' own measures say of a data set's test objects: SExtractor's CLASS_STAR, and how much brighter
//! an object is as a galaxy than as a point source (SDSS's psf - model). Both need the frames again, so fields are
//! simulated again from their seeds, or read again from disk, and the objects found again, which gives the same ones.
//!
//! They lie in `DIR.baselines/test/SHARD.csv`, beside the data set as its truth does, and are no part of it: no
//! manifest names them, and what has learned from the data set stands.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};
use rayon::prelude::*;

use super::field_source::{Field, FieldSource};
use super::finder::Finder;
use super::sextractor::ClassStar;
use super::truth::beside;
use super::{make_folder, write};
use crate::dataset::{Entry, Features, Part};
use crate::study::Beside;
use twinpeak_core::cutout::{Cutout, FrameView, Profiles};
use twinpeak_core::survey::Survey;
use twinpeak_sim::evaluate::{Rules, nearest};

/// The table's header; an empty cell is what could not be measured.
const HEADER: &str = "image,number,class_star,psf_minus_model";

/// Measures the test objects of a whole data set; what is there is kept.
pub(super) fn make(
    set: &Path,
    shards: &[Entry],
    survey: &Survey,
    source: &FieldSource,
    finders: &mut [Finder],
) -> anyhow::Result<()> {
    let folder = beside(set, "baselines")?.join(Part::Test.name());
    make_folder(&folder)?;
    let program = ClassStar::find();
    if program.is_none() {
        eprintln!("source-extractor is not installed: there will be no CLASS_STAR");
    }
    let missing: Vec<&Entry> = shards.iter().filter(|e| !folder.join(file_name(&e.shard)).exists()).collect();
    for together in missing.chunks(finders.len().max(1)) {
        together.par_iter().zip(&mut *finders).try_for_each(|(entry, finder)| {
            let text = measure(set, entry, survey, source, finder, program.as_ref())?;
            write(&folder, &file_name(&entry.shard), text.as_bytes())
        })?;
    }
    println!("{}: baselines of {} objects", folder.display(), shards.iter().map(|e| e.objects).sum::<usize>());
    Ok(())
}

fn file_name(shard: &str) -> String {
    format!("{shard}.csv")
}

/// The table of one shard.
fn measure(
    set: &Path,
    entry: &Entry,
    survey: &Survey,
    source: &FieldSource,
    finder: &mut Finder,
    program: Option<&ClassStar>,
) -> anyhow::Result<String> {
    let number = entry.shard.parse().with_context(|| format!("shard {:?} is no number", entry.shard))?;
    let gone = || format!("{}: its frames cannot be had again", entry.image);
    let Field { frame, .. } = source.field(Part::Test, number)?.with_context(gone)?;
    let band = twinpeak_formats::fits::encode_band(survey, &frame, survey.reference())?;
    let prepared = finder.prepare(frame, survey)?;
    let found = finder.find(&prepared, survey)?;
    let mut objects = Features::default();
    entry.read_features(&set.join(Part::Test.name()), &mut objects)?;
    let fwhm_arcsec = found.quality[survey.reference()].fwhm_arcsec;
    let stars = program.map(|p| class_star(p, &band, survey, fwhm_arcsec, &objects)).transpose()?;
    let magnitudes = psf_minus_model(&found.view(), &objects);
    Ok(to_csv(&objects, stars.as_deref(), &magnitudes))
}

/// CLASS_STAR of each object's nearest detection within .99 arcsec, as labels are given.
fn class_star(
    program: &ClassStar,
    band: &[u8],
    survey: &Survey,
    fwhm_arcsec: f64,
    objects: &Features,
) -> anyhow::Result<Vec<Option<f64>>> {
    let scale = survey.profile().pixel_scale_arcsec;
    let detections = program.run(band, scale, fwhm_arcsec)?;
    let there: Vec<(f64, f64)> = detections.iter().map(|d| (d.x, d.y)).collect();
    let ours: Vec<(f64, f64)> = objects.x.iter().copied().zip(objects.y.iter().copied()).collect();
    let partners = nearest(&ours, &there, Rules::for_scale(scale).label_radius_px);
    Ok(partners.into_iter().map(|partner| partner.map(|i| detections[i].class_star)).collect())
}

/// Magnitude as a point source minus that of the best galaxy, in the reference band, by the profile fits.
fn psf_minus_model(view: &FrameView, objects: &Features) -> Vec<Option<f64>> {
    let (profiles, reference) = (Profiles::new(view.psf), view.survey.reference());
    let one = |i: usize| {
        let at = (objects.x[i], objects.y[i]);
        let cutout = Cutout::take(view, objects.number[i], at);
        let galaxy = f64::from(cutout.fit_profiles(&profiles, at)?.best_flux[reference]);
        let ratio = cutout.point_source[reference].flux / galaxy;
        (ratio > 0.0 && ratio.is_finite()).then(|| -2.5 * ratio.log10())
    };
    (0..objects.len()).into_par_iter().map(one).collect()
}

fn to_csv(objects: &Features, class_star: Option<&[Option<f64>]>, psf_minus_model: &[Option<f64>]) -> String {
    let mut text = format!("{HEADER}\n");
    let cell = |value: Option<f64>| value.map_or_else(String::new, |v| format!("{v:.4}"));
    for (i, number) in objects.number.iter().enumerate() {
        let image = objects.images.get(objects.image[i] as usize).map_or("", String::as_str);
        let star = class_star.and_then(|all| all[i]);
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{image},{number},{},{}", cell(star), cell(psf_minus_model[i]));
    }
    text
}

/// What was measured of the test objects of the data set in `set`, in their order; none where nothing was.
///
/// # Errors
/// A file that cannot be read, or is none of this program's.
pub fn read(set: &Path) -> anyhow::Result<Option<Beside>> {
    let folder = beside(set, "baselines")?.join(Part::Test.name());
    if !folder.exists() {
        return Ok(None);
    }
    let named = || folder.display().to_string();
    let entries = fs::read_dir(&folder).with_context(named)?;
    let mut files: Vec<PathBuf> = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<_>>().with_context(named)?;
    files.sort();
    let (mut class_star, mut psf_minus_model) = (Vec::new(), Vec::new());
    for path in files {
        let named = || path.display().to_string();
        let text = fs::read_to_string(&path).with_context(named)?;
        for [star, mag] in table(&text).with_context(named)? {
            class_star.push(star);
            psf_minus_model.push(mag);
        }
    }
    let class_star = class_star.iter().any(|c| c.is_finite()).then_some(class_star);
    Ok(Some(Beside { class_star, psf_minus_model }))
}

fn table(text: &str) -> anyhow::Result<Vec<[f64; 2]>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(HEADER), "the first line is not {HEADER}");
    lines.enumerate().map(|(i, line)| object(line).ok_or_else(|| anyhow!("line {} is not understood", i + 2))).collect()
}

/// NaN for an empty cell; `None` for a line that is not understood.
fn object(line: &str) -> Option<[f64; 2]> {
    let [_, _, star, mag] = line.split(',').collect::<Vec<_>>().try_into().ok()?;
    let value = |cell: &str| if cell.is_empty() { Some(f64::NAN) } else { cell.parse().ok() };
    Some([value(star)?, value(mag)?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_store::write_file;

    #[test]
    fn a_table_comes_back_and_what_is_missing_is_no_number() {
        let mut objects = Features { images: vec!["a-1".into()], ..Features::default() };
        (objects.image, objects.number) = (vec![0, 0], vec![4, 7]);
        let text = to_csv(&objects, Some(&[Some(0.25), None]), &[Some(-0.0105), Some(1.5)]);
        assert_eq!(text.lines().nth(1), Some("a-1,4,0.2500,-0.0105"));
        let found = table(&text).unwrap();
        assert_eq!((found[0], found[1][0].is_nan(), found[1][1]), ([0.25, -0.0105], true, 1.5));
        assert!(table("x").is_err() && table(&format!("{HEADER}\na,1,2\n")).is_err());
        assert!(table(&to_csv(&objects, None, &[None, None])).unwrap().concat().iter().all(|v| v.is_nan()));
    }

    #[test]
    fn files_are_read_in_order() {
        let dir = tempfile::tempdir().unwrap();
        let set = dir.path().join("sky");
        assert_eq!(read(&set).unwrap(), None);
        let folder = beside(&set, "baselines").unwrap().join("test");
        fs::create_dir_all(&folder).unwrap();
        write_file(&folder, "00001.csv", format!("{HEADER}\nb,1,,0.5\n").as_bytes()).unwrap();
        write_file(&folder, "00000.csv", format!("{HEADER}\na,1,,0.25\n").as_bytes()).unwrap();
        let read = || super::read(&set).unwrap().unwrap();
        let first = read();
        assert_eq!((&first.psf_minus_model, &first.class_star), (&vec![0.25, 0.5], &None));
        write_file(&folder, "00001.csv", format!("{HEADER}\nb,1,0.9,0.5\n").as_bytes()).unwrap();
        let second = read();
        assert!(second.class_star.unwrap()[1] == 0.9);
    }
}
