//! What is read and written as FITS, judged by a second independent reader: cfitsio, which most tools in astronomy
//! read with.

use std::path::PathBuf;

use fitsio::FitsFile;
use tempfile::TempDir;

use twinpeak_core::catalog::columns;
use twinpeak_core::files::plain;
use twinpeak_formats::fits;
use twinpeak_formats::fits::{Limits, NamedBytes};
use twinpeak_sim::{Spec, simulate};

use crate::products::{image, products, survey};

/// Bytes as a file for cfitsio; the folder must outlive it.
fn open(bytes: &[u8]) -> (TempDir, FitsFile) {
    let folder = tempfile::tempdir().unwrap();
    let path: PathBuf = folder.path().join("ours.fits");
    std::fs::write(&path, bytes).unwrap();
    let file = FitsFile::open(&path).unwrap();
    (folder, file)
}

#[test]
fn the_catalogue_is_read_by_cfitsio() {
    let (survey, made) = (survey(), products(70, 65));
    let bytes = fits::catalog_table(&made.catalog, &columns(&survey), &survey, &made.quality).unwrap();
    let (_folder, mut file) = open(&bytes);
    let table = file.hdu("SOURCES").unwrap();
    let rows = &made.catalog.rows;
    let mut reals = |name: &str| table.read_col::<f64>(&mut file, name).unwrap();
    let ours = |get: fn(&twinpeak_core::catalog::Row) -> f64| rows.iter().map(get).collect::<Vec<_>>();
    assert_eq!(reals("ra"), ours(|r| r.ra));
    assert_eq!(reals("dec"), ours(|r| r.dec));
    assert_eq!(reals("X_IMAGE"), ours(|r| r.x + 1.0));
    assert_eq!(reals("kronFlux_z"), ours(|r| f64::from(r.kron_flux[4])));
    let (radius, probability) = (reals("halfLightRadius"), reals("CLASS_STAR"));
    assert!(radius[1].is_nan() && radius[0] == 1.5);
    assert!(probability[2].is_nan() && probability[1] == f64::from(0.2_f32));
    let ids = table.read_col::<i64>(&mut file, "sourceId").unwrap();
    assert_eq!(ids, rows.iter().map(|r| r.source_id).collect::<Vec<_>>());
    let flags = table.read_col::<i32>(&mut file, "FLAGS").unwrap();
    assert_eq!(flags, rows.iter().map(|r| r.flags as i32).collect::<Vec<_>>());
    let primary = table.read_col::<bool>(&mut file, "primary").unwrap();
    assert_eq!(primary, rows.iter().map(|r| r.primary).collect::<Vec<_>>());
    assert_eq!(table.read_key::<String>(&mut file, "IMAGEID").unwrap(), image().as_str());
    assert_eq!(table.read_key::<f64>(&mut file, "FWHM_R").unwrap(), made.quality[2].fwhm_arcsec);
}

#[test]
fn the_masks_are_read_by_cfitsio() {
    let made = products(2048, 101);
    let (_folder, mut file) = open(&fits::masks(&made).unwrap());
    let mut image = |name: &str| file.hdu(name).unwrap().read_image::<Vec<i32>>(&mut file).unwrap();
    let numbers: Vec<i32> = made.segmentation.pixels().iter().map(|n| *n as i32).collect();
    assert!(image("SEGMENTATION") == numbers);
    let classes: Vec<i32> = numbers.iter().map(|n| [0, 6, 3, 1][*n as usize]).collect();
    assert!(image("CLASS") == classes);
    assert!(image("MASK") == made.bits.pixels().iter().map(|b| i32::from(*b)).collect::<Vec<_>>());
}

#[test]
fn a_simulated_frame_and_its_truth_are_read_by_cfitsio() {
    let survey = survey();
    let made = simulate(&Spec { width: 130, height: 97, sources: Some(9), ..Spec::default() }, &survey).unwrap();
    for (b, band) in made.frame.bands.iter().enumerate() {
        let (_folder, mut file) = open(&fits::encode_band(&survey, &made.frame, b).unwrap());
        let hdu = file.primary_hdu().unwrap();
        assert!(hdu.read_image::<Vec<f32>>(&mut file).unwrap() == band.pixels.pixels());
        assert_eq!(hdu.read_key::<String>(&mut file, "FILTER").unwrap(), survey.band(b));
        assert_eq!(hdu.read_key::<f64>(&mut file, "NMGY").unwrap(), band.nmgy_per_dn);
    }
    let truth = &made.truth.segmentation;
    let (_folder, mut file) = open(&fits::segmentation_file(truth, &made.frame.bands[2].wcs).unwrap());
    let numbers = file.hdu("SEGMENTATION").unwrap().read_image::<Vec<i32>>(&mut file).unwrap();
    assert!(numbers == truth.pixels().iter().map(|n| *n as i32).collect::<Vec<_>>());
    assert!(numbers.contains(&-1) && numbers.contains(&0));
}

#[test]
fn a_tile_compressed_frame_is_read_as_cfitsio_reads_it() {
    let bytes = include_bytes!("../../../../tests/data/frame-r-rice.fits.fz");
    let files = std::array::from_fn(|b| NamedBytes {
        name: survey().file_for(b, &image()).replace(".bz2", ".fz"),
        bytes: bytes.to_vec(),
    });
    let frame = fits::decode(&survey(), &image(), plain(files), &Limits::default()).unwrap();
    let (_folder, mut file) = open(bytes);
    let theirs: Vec<f32> = file.hdu(1).unwrap().read_image(&mut file).unwrap();
    let ours = frame.bands[2].pixels.pixels();
    assert_eq!(ours.len(), theirs.len());
    // The crate does not ask cfitsio to mark the one blank pixel, at (10, 10), and gets a number there.
    let different = |i: &usize| ours[*i].to_bits() != theirs[*i].to_bits();
    assert_eq!((0..ours.len()).filter(different).collect::<Vec<_>>(), [10 * 70 + 10]);
    assert!(ours[10 * 70 + 10].is_nan());
}
