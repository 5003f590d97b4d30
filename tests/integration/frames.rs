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
use crate::common::results;

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
    assert!(control.len() > 100, "{}", control.len());
    let judged = cases.iter().enumerate().map(|(n, case)| (case, judge(case, &id(n), out.path(), &rejected, &control)));
    let mut wrong = Vec::new();
    for (case, verdict) in judged {
        match verdict {
            Ok(told) => eprintln!("right  {:<50} {told}", case.name),
            Err(told) => wrong.push(format!("WRONG  {:<50} {told}", case.name)),
        }
    }
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
}

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
