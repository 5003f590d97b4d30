//! Frames as the world writes them: one small sky in some eighty ways, through the real program. Each is understood, row by
//! row and place by place, or refused in one line that names the cause; never silently wrong.
//!
//! Headers and pixels are written anew here, and where pixels lie is told by the standard's formulas, written out in `sky`;
//! where astropy is, it judges the same files once more. The table of all cases is printed: `-- --nocapture` shows it.

mod case;
mod coordinates;
mod files;
mod grids;
mod image;
mod pixels;
mod sky;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use case::{Case, File, Right, each, judge, rows};
use sky::Sky;

use crate::common::program::run;
use crate::common::{python, results};

/// Id of the sky as the survey writes it.
const CONTROL: &str = "700000-3-0000";

fn id(number: usize) -> String {
    format!("700000-3-{:04}", number + 1)
}

fn write(folder: &Path, id: &str, files: Vec<File>) {
    for file in files {
        let path = folder.join(file.name.replace("{id}", id));
        fs::write(&path, file.bytes).unwrap();
        if let Some(s) = file.changed_s {
            let at = SystemTime::UNIX_EPOCH + Duration::from_secs(s);
            fs::File::options().write(true).open(path).unwrap().set_modified(at).unwrap();
        }
    }
}

/// Processes all cases as one night, prints the table, and holds every case.
fn hold(cases: &[Case]) {
    let (night, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    write(night.path(), CONTROL, each(Sky::usual(), |_| {}));
    for (number, case) in cases.iter().enumerate() {
        write(night.path(), &id(number), (case.files)(Sky::usual()));
    }
    let paths = [night.path(), out.path()].map(|path| path.to_str().unwrap());
    let ended = run(&["process", paths[0], "--out", paths[1]]);
    let all_read = cases.iter().all(|case| !matches!(case.right, Right::Refused(..)));
    ended.assert_code(if all_read { 0 } else { 3 });

    let (control, rejected) = (rows(out.path(), CONTROL), results::rejected(out.path()));
    assert!(control.len() > 60, "{}", control.len());
    let judged = cases.iter().enumerate().map(|(n, case)| (case, judge(case, &id(n), out.path(), &rejected, &control)));
    let mut wrong = Vec::new();
    for (case, verdict) in judged {
        match verdict {
            Ok(told) => eprintln!("right  {:<50} {told}", case.name),
            Err(told) => wrong.push(format!("WRONG  {:<50} {told}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    let read = |case: &Case| matches!(&case.right, Right::Same(read) if read.astropy_reads);
    let ids: Vec<String> = (0..cases.len()).filter(|n| read(&cases[*n])).map(id).collect();
    if !ids.is_empty() {
        fs::write(out.path().join("judged.txt"), ids.join("\n")).unwrap();
        let judged = python("astropy, pyarrow", PLACES, &[night.path(), out.path()]);
        eprintln!("places of {} cases, judged by astropy: {judged}", ids.len());
    }
}

/// Where astropy says that each row's pixel of the reference band lies, by the same file.
const PLACES: &str = r#"
import glob, sys, warnings
warnings.simplefilter("ignore")
import astropy.units as u, pyarrow.parquet as pq
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.wcs import WCS

night, out = sys.argv[1:]
for image in open(out + "/judged.txt").read().split():
    table = pq.read_table(f"{out}/{image}.catalog.parquet")
    x, y, ra, dec = (table[name].to_numpy() for name in ("x", "y", "ra", "dec"))
    [path] = glob.glob(f"{night}/frame-r-{image}*")
    with fits.open(path) as hdus:
        [hdu] = [h for h in hdus if h.name not in ("DQ", "ERR") and h.data is not None]
        header = hdu.header if "CTYPE1" in hdu.header else hdus[0].header
        wcs = WCS(header, naxis=2)
    lon, lat = wcs.all_pix2world(x, y, 0)
    if wcs.wcs.lng == 1:
        lon, lat = lat, lon
    frame, year = wcs.wcs.radesys.lower(), wcs.wcs.equinox
    its = dict(fk4=dict(equinox=f"B{year}", obstime=f"B{year}"), fk5=dict(equinox=f"J{year}")).get(frame, {})
    there = SkyCoord(lon * u.deg, lat * u.deg, frame=frame, **its).icrs
    off = there.separation(SkyCoord(ra * u.deg, dec * u.deg)).arcsec.max()
    assert off < 1e-3, (image, frame, year, off)
"#;

#[test]
fn coordinates_are_read_or_refused_by_the_card() {
    hold(&coordinates::cases());
}

#[test]
fn files_units_and_times_are_read_or_refused() {
    hold(&files::cases());
}

#[test]
fn bands_on_other_grids_are_brought_onto_one_or_refused() {
    hold(&grids::cases());
}

#[test]
fn pixels_that_are_no_data_are_null_and_no_sky_is_refused() {
    hold(&pixels::cases());
}

#[test]
fn two_ccds_in_a_file_are_two_fields_where_the_survey_says_so() {
    let (night, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let survey = night.path().join("ccds.toml");
    let text = include_str!("../../config/surveys/sdss.toml");
    fs::write(&survey, format!("{text}\n[image]\nccds = '^CCD[0-9]$'\n")).unwrap();
    let frames = night.path().join("frames");
    fs::create_dir(&frames).unwrap();
    write(&frames, CONTROL, files::two_ccds(Sky::usual()));
    let paths = [frames.as_path(), out.path(), survey.as_path()].map(|path| path.to_str().unwrap());
    run(&["process", paths[0], "--out", paths[1], "--survey", paths[2]]).assert_code(0);
    let ids = ["CCD1", "CCD2"].map(|ccd| format!("{CONTROL}.{ccd}"));
    assert_eq!(results::done(out.path()), ids);
    let (place, half) = (Sky::usual().place(), sky::SIDE as f64 / 2.0);
    for (id, from) in ids.iter().zip([0.0, half]) {
        let rows = rows(out.path(), id);
        assert!(rows.len() > 20, "{id}: {} rows", rows.len());
        for row in &rows {
            assert!(row.at.0 < half, "{row:?}");
            let off = place.off_arcsec((row.at.0 + from, row.at.1), row.sky);
            assert!(off < place.within_arcsec, "{id}: {off} arcsec: {row:?}");
        }
    }
}
