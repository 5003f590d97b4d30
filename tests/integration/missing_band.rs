//! An image that lacks a band, through the real program: what is missing is null and flagged, by other readers, and a
//! survey that requires the band refuses the image.

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::program::run;
use crate::common::{frames, night, path_of, python, results};

/// SDSS's description, with another number of required bands.
fn survey(folder: &Path, required: usize) -> PathBuf {
    let text = include_str!("../../config/surveys/sdss.toml");
    let bands = r#"bands = ["u", "g", "r", "i", "z"]"#;
    assert!(text.contains(bands));
    let table = format!(r#"bands = {{ planes = ["u", "g", "r", "i", "z"], required = {required} }}"#);
    let path = folder.join(format!("sdss-{required}.toml"));
    fs::write(&path, text.replacen(bands, &table, 1)).unwrap();
    path
}

fn process(frames: &Path, out: &Path, survey: &Path, code: i32) {
    let [frames, out, survey] = [frames, out, survey].map(|path| path.to_str().unwrap());
    run(&["process", frames, "--out", out, "--survey", survey]).assert_code(code);
}

fn read_back(out: &Path, id: &str, missing: &str) {
    let read = python("astropy, pyarrow", READ_BACK, &[out, Path::new(id), Path::new(missing)]);
    eprintln!("{id} without {missing}, read back by astropy and pyarrow: {read}");
}

/// The folder of results, the image and the missing bands' names.
const READ_BACK: &str = r#"
import json, sys
import numpy as np, pyarrow.parquet as pq
from astropy.io import fits

folder, image, missing = sys.argv[1], sys.argv[2], sys.argv[3]
stem = f"{folder}/{image}"
table = pq.read_table(stem + ".catalog.parquet")
done = json.load(open(stem + ".done.json"))
assert table.num_rows == done["rows"] > 5, done["rows"]
flags = table["flags"].to_numpy()
assert (flags & 8192 != 0).all() and not (flags & 256 != 0).all(), flags
with fits.open(stem + ".catalog.fits") as hdus, fits.open(stem + ".masks.fits") as masks:
    rows, header = hdus["SOURCES"].data, hdus["SOURCES"].header
    for kind in ("psfFlux", "psfFluxErr", "kronFlux", "kronFluxErr", "apFlux", "apFluxErr", "psfMag"):
        for band in missing:
            assert table[f"{kind}_{band}"].null_count == table.num_rows, (kind, band)
            assert np.isnan(rows[f"{kind}_{band}"]).all(), (kind, band)
        assert table[f"{kind}_r"].null_count < table.num_rows / 2, kind
    for band in missing:
        assert header["FWHM_" + band.upper()] is None, "a card without a value"
    no_data = masks["MASK"].data >> masks["MASK"].header["MP_NO_DATA"] & 1
    assert no_data.mean() < .2, "a field has no hole where a band is missing"
for q in done["quality"]:
    figures = [q[k] for k in "fwhm_arcsec ellipticity sky_nmgy sky_sigma_nmgy depth_5sigma_mag".split()]
    assert all((v is None) == (q["band"] in missing) for v in figures), q
    assert not (q["band"] in missing and q["psf_fallback"]), q
probabilities = table["starProb"].drop_null().to_numpy()
assert len(probabilities) and ((0 <= probabilities) & (probabilities <= 1)).all()
"#;

#[test]
fn what_is_missing_is_null_and_flagged_and_refused_where_it_is_required() {
    let (frames, out) = (frames(1), tempfile::tempdir().unwrap());
    let id = &night()[0].id;
    let surveys = tempfile::tempdir().unwrap();
    for (k, missing) in ["i", "z", "g"].into_iter().enumerate() {
        fs::remove_file(path_of(frames.path(), missing, id)).unwrap();
        let gone = &"izg"[..=k];
        let out = out.path().join(gone);
        process(frames.path(), &out, &survey(surveys.path(), 4 - k), 0);
        read_back(&out, id, gone);
        let strict = out.join("strict");
        process(frames.path(), &strict, &survey(surveys.path(), 5 - k), 4);
        assert_eq!(
            (results::done(&strict).len(), &results::rejected(&strict)[id]["reason"]),
            (0, &"missing_band".into())
        );
    }
}

/// A field of SDSS of which the archive has no i.
#[test]
fn a_real_field_without_i_is_processed() {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data");
    let field = std::env::var_os("TWINPEAK_DATA").map_or_else(beside, PathBuf::from).join("sdss/002188-2-0037");
    if !field.is_dir() {
        eprintln!("SKIPPED: no real frames at {}", field.display());
        return;
    }
    let out = tempfile::tempdir().unwrap();
    let described = tempfile::tempdir().unwrap();
    process(&field, out.path(), &survey(described.path(), 4), 0);
    read_back(out.path(), "002188-2-0037", "i");
}
