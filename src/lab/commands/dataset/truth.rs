//! What is true of a simulated data set's objects. It lies in `DIR.truth/PART/SHARD.csv`, beside the data set and never
//! below it, in a module that nothing which learns can name (a law in `tests/integration/house.rs`): only evaluation reads it.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, ensure};

use crate::dataset::{Features, Part};
use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::survey::Survey;
use twinpeak_sim::evaluate::{Rules, nearest};
use twinpeak_sim::{Class, Truth};

/// First line of a truth file.
const HEADER: &str = "image,number,class,mag_0,mag_1,mag_2,mag_3,mag_4,r_e_arcsec";
/// What stands for an object that nothing true is near to: noise, an artefact, a fragment.
const NOTHING: &str = "none";

/// What an object truly is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Known {
    /// True class: star, galaxy or quasar.
    pub class: Class,
    /// Total magnitude in each band.
    pub mag: PerBand<f64>,
    /// Half-light radius before the PSF, arcsec; 0 for a point.
    pub r_e_arcsec: f64,
}

/// The folder beside a data set's.
///
/// # Errors
/// Where the data set's has no name to put it beside.
pub fn folder(set: &Path) -> anyhow::Result<PathBuf> {
    beside(set, "truth")
}

/// `SET.KIND`, beside the data set's folder.
pub(super) fn beside(set: &Path, kind: &str) -> anyhow::Result<PathBuf> {
    let mut name = set.file_name().with_context(|| format!("{} is no name of a folder", set.display()))?.to_owned();
    name.push(".");
    name.push(kind);
    Ok(set.with_file_name(name))
}

/// The file of a shard.
pub(super) fn file(folder: &Path, part: Part, shard: &str) -> PathBuf {
    folder.join(part.name()).join(file_name(shard))
}

/// Name of a shard's truth file, `SHARD.csv`.
pub(super) fn file_name(shard: &str) -> String {
    format!("{shard}.csv")
}

/// For each object the nearest true one within .99 arcsec, as `evaluate` labels objects.
pub(super) fn of(features: &Features, truth: &Truth, survey: &Survey) -> Vec<Option<Known>> {
    let found: Vec<(f64, f64)> = features.x.iter().copied().zip(features.y.iter().copied()).collect();
    let there: Vec<(f64, f64)> = truth.objects.iter().map(|o| (o.x, o.y)).collect();
    let radius = Rules::for_scale(survey.profile().pixel_scale_arcsec).label_radius_px;
    let known = |i: usize| {
        let o = &truth.objects[i];
        Known { class: o.class, mag: o.mag, r_e_arcsec: o.r_e_arcsec }
    };
    nearest(&found, &there, radius).into_iter().map(|partner| partner.map(known)).collect()
}

/// The table: a line an object, in the data set's order; magnitudes in the order of its bands.
pub(super) fn to_csv(features: &Features, known: &[Option<Known>]) -> String {
    let mut text = format!("{HEADER}\n");
    for ((image, number), known) in features.image.iter().zip(&features.number).zip(known) {
        let image = features.images.get(*image as usize).map_or("", String::as_str);
        // Writing to a String cannot fail.
        let _ = match known {
            None => writeln!(text, "{image},{number},{NOTHING}{}", ",".repeat(BANDS + 1)),
            Some(k) => {
                let mag = k.mag.map(|m| format!("{m:.4}")).join(",");
                writeln!(text, "{image},{number},{},{mag},{:.4}", k.class, k.r_e_arcsec)
            }
        };
    }
    text
}

/// What is true of a part's objects, in the order of `DataSet::features`; `None` where nothing is. `set` is the data
/// set's folder.
///
/// # Errors
/// A file that cannot be read, or is none of this program's.
pub fn read(set: &Path, part: Part) -> anyhow::Result<Vec<Option<Known>>> {
    let folder = folder(set)?.join(part.name());
    let named = || format!("{}: is there a truth for this data set?", folder.display());
    let entries = fs::read_dir(&folder).with_context(named)?;
    let mut files = entries.map(|e| Ok(e?.path())).collect::<std::io::Result<Vec<_>>>().with_context(named)?;
    files.retain(|path| path.extension().is_some_and(|e| e == "csv"));
    files.sort();
    let mut all = Vec::new();
    for path in files {
        let named = || path.display().to_string();
        all.extend(table(&fs::read_to_string(&path).with_context(named)?).with_context(named)?);
    }
    Ok(all)
}

fn table(text: &str) -> anyhow::Result<Vec<Option<Known>>> {
    let mut lines = text.lines();
    ensure!(lines.next() == Some(HEADER), "the first line is not {HEADER}");
    lines.enumerate().map(|(i, line)| object(line).ok_or_else(|| anyhow!("line {} is not understood", i + 2))).collect()
}

/// `None` for a line that is not understood; `Some(None)` for an object that is nothing.
fn object(line: &str) -> Option<Option<Known>> {
    let cells: Vec<&str> = line.split(',').collect();
    let [_, _, class, mag @ .., r_e] = &cells[..] else { return None };
    if *class == NOTHING {
        return Some(None);
    }
    let class = [Class::Star, Class::Galaxy, Class::Qso].into_iter().find(|c| c.as_str() == *class)?;
    let mag: Vec<f64> = mag.iter().map(|m| m.parse().ok()).collect::<Option<_>>()?;
    Some(Some(Known { class, mag: mag.try_into().ok()?, r_e_arcsec: r_e.parse().ok()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_lies_beside_the_data_set() {
        for (set, truth) in [("a/b", "a/b.truth"), ("a/b/", "a/b.truth"), ("b", "b.truth")] {
            assert_eq!(folder(Path::new(set)).unwrap(), Path::new(truth));
            assert!(!folder(Path::new(set)).unwrap().starts_with(set));
        }
        assert!(folder(Path::new("/")).is_err() && folder(Path::new("a/..")).is_err());
    }

    #[test]
    fn a_table_comes_back() {
        let star = Known { class: Class::Qso, mag: [20.5, 19.0, 18.25, 18.0, 17.5], r_e_arcsec: 0.0 };
        let mut features = Features { images: vec!["a-1".into()], ..Features::default() };
        (features.image, features.number) = (vec![0, 0], vec![4, 7]);
        let text = to_csv(&features, &[Some(star), None]);
        assert_eq!(text.lines().nth(1), Some("a-1,4,qso,20.5000,19.0000,18.2500,18.0000,17.5000,0.0000"));
        assert_eq!(table(&text).unwrap(), [Some(star), None]);
        let told = format!("{}", table(&format!("{HEADER}\na,1,planet,1,2,3,4,5,0\n")).unwrap_err());
        assert_eq!(told, "line 2 is not understood");
        assert!(table("x").is_err());
    }
}
