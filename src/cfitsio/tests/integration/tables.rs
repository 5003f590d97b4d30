//! Tables of our own side, written by astropy.

use std::path::{Path, PathBuf};
use std::process::Command;

use twinpeak_cfitsio::table::Table;

const MAKER: &str = r#"
import sys, numpy as np
from astropy.io import fits
from astropy.table import Table, MaskedColumn
t = Table(dict(source_id=np.array([1 << 53, (1 << 53) + 1, -7], "i8"), RA=[10.5, np.nan, 359.25], mag=np.array([1.5, 2, 3], "f4"),
               name=["a b ", "c", ""], pair=np.zeros((3, 2)), n=MaskedColumn(np.array([3, 4, 5], "i2"), mask=[0, 1, 0], fill_value=-99)))
t.write(sys.argv[1] + "/t.fits"); t.write(sys.argv[1] + "/t.fits.gz"); t.write(sys.argv[1] + "/t[1]+2.fits")
fits.PrimaryHDU(np.zeros((4, 4))).writeto(sys.argv[1] + "/image.fits")
"#;

fn made(folder: &Path) -> bool {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    if !python.exists() {
        println!("SKIPPED: no .venv with astropy (deploy/setup.sh --tests)");
        return false;
    }
    let done = Command::new(python).args(["-W", "ignore", "-c", MAKER]).arg(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    true
}

#[test]
fn columns_are_read_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    if !made(folder.path()) {
        return;
    }
    for name in ["t.fits", "t.fits.gz", "t[1]+2.fits"] {
        let path: PathBuf = folder.path().join(name);
        let mut table = Table::open(&path, None).unwrap();
        assert_eq!(table.rows(), 3);
        assert_eq!(table.integers("SOURCE_ID").unwrap(), [1 << 53, (1 << 53) + 1, -7]);
        let ra = table.reals("ra").unwrap();
        assert!(ra[0] == 10.5 && ra[1].is_nan() && ra[2] == 359.25);
        assert_eq!(table.reals("mag").unwrap(), [1.5, 2.0, 3.0]);
        assert_eq!(table.texts("name").unwrap(), ["a b", "c", ""]);
        let n = table.reals("n").unwrap();
        assert!(n[0] == 3.0 && n[1].is_nan() && n[2] == 5.0, "a null is no number: {n:?}");
        assert!(table.has("pair") && !table.has("absent"));
    }
}

#[test]
fn refusals_name_file_and_column() {
    let folder = tempfile::tempdir().unwrap();
    if !made(folder.path()) {
        return;
    }
    let path = folder.path().join("t.fits");
    let mut table = Table::open(&path, None).unwrap();
    for (error, part) in [
        (table.reals("absent").unwrap_err(), "no column \"absent\"; it has source_id, RA"),
        (table.reals("pair").unwrap_err(), "\"pair\": it has several values a row"),
        (table.reals("name").unwrap_err(), "\"name\": it holds no numbers"),
        (table.integers("RA").unwrap_err(), "\"RA\": it holds no whole numbers"),
        (table.texts("RA").unwrap_err(), "\"RA\": it holds no text"),
    ] {
        let said = error.to_string();
        assert!(said.contains(part) && said.contains("t.fits"), "{said}");
    }
    let says = |name: &str, table| Table::open(&folder.path().join(name), table).err().unwrap().to_string();
    assert!(says("image.fits", None).contains("image.fits: it holds no table"));
    assert!(says("t.fits", Some("OTHER")).contains("it holds no table \"OTHER\""));
    assert!(says("absent.fits", None).contains("absent.fits: cfitsio says"));
}
