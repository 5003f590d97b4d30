//! What the child decodes, bit for bit as astropy does; and damaged files, which never reach further than the child.

use std::path::{Path, PathBuf};
use std::process::Command;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use twinpeak_cfitsio::decoder::{DecodeError, Decoder};

const SIZE: [usize; 2] = [90, 70];

/// Writes an image of each coding as NAME.fits, and as NAME.pixels what astropy reads from it, as little-endian f32.
const MAKER: &str = r#"
import sys, warnings, numpy as np
from astropy.io import fits
out, rng = sys.argv[1], np.random.default_rng(5)
sky = rng.normal(0, 3, (70, 90)); y, x = np.mgrid[0:70, 0:90]
sky += 400 * np.exp(-((x - 40) ** 2 + (y - 30) ** 2) / 12)
sky = sky.astype("f4"); gaps = sky.copy(); gaps[5:9, 10:20] = np.nan; gaps[40:45] = 0
whole = np.round(sky * 4).astype("i4"); flags = (np.abs(whole) // 40).astype("i2")
h = dict(compression_type="HCOMPRESS_1", tile_shape=(16, 90))
kinds = {
  "hcompress": (sky, h), "hcompress-square": (sky, {**h, "tile_shape": (35, 45)}),
  "hcompress-lossy": (sky, {**h, "hcomp_scale": 2.5}), "hcompress-smooth": (sky, {**h, "hcomp_scale": 2.5, "hcomp_smooth": 1}),
  "hcompress-dither1": (sky, {**h, "quantize_method": 1, "dither_seed": 77}),
  "hcompress-dither2": (np.nan_to_num(gaps), {**h, "quantize_method": 2, "dither_seed": 9999}),
  "hcompress-none": (sky, {**h, "quantize_method": -1}),
  "hcompress-double": (sky.astype("f8"), h), "hcompress-whole": (whole, {**h, "hcomp_scale": 0}),
  "hcompress-short": (whole.astype("i2"), {**h, "hcomp_scale": 0}),
  "plio": (flags, dict(compression_type="PLIO_1")), "plio-int": (np.abs(whole), dict(compression_type="PLIO_1", tile_shape=(30, 30))),
  "rice-short": (whole.astype("i2"), dict(compression_type="RICE_1")), "rice-byte": (flags.astype("u1"), dict(compression_type="RICE_1")),
  "rice-whole": (whole, dict(compression_type="RICE_1")), "gzip-short": (whole.astype("i2"), dict(compression_type="GZIP_1")),
  "gzip2-short": (whole.astype("i2"), dict(compression_type="GZIP_2")),
  "unsigned": ((whole - whole.min()).astype("u2"), dict(compression_type="RICE_1")),
  "rice-gaps": (gaps, dict(compression_type="RICE_1", quantize_method=2, dither_seed=3)),
}
for name, (data, how) in kinds.items():
    hdu = fits.CompImageHDU(data, **how)
    fits.HDUList([fits.PrimaryHDU(), hdu]).writeto(f"{out}/{name}.fits")
    with fits.open(f"{out}/{name}.fits") as f: f[1].data.astype("<f4").tofile(f"{out}/{name}.pixels")
"#;

/// The folder of what astropy made; `None` where there is no astropy.
fn made(folder: &Path) -> Option<Vec<PathBuf>> {
    let python = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../.venv/bin/python");
    if !python.exists() {
        println!("SKIPPED: no .venv with astropy (deploy/setup.sh --tests)");
        return None;
    }
    let done = Command::new(python).args(["-W", "ignore", "-c", MAKER]).arg(folder).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let all = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = all.filter(|path| path.extension().is_some_and(|e| e == "fits")).collect();
    files.sort();
    assert_eq!(files.len(), 19);
    Some(files)
}

fn child() -> Decoder {
    Decoder::by(Path::new(env!("CARGO_BIN_EXE_decode-image")))
}

fn bits(pixels: &[f32]) -> Vec<u32> {
    pixels.iter().map(|v| if v.is_nan() { f32::NAN.to_bits() } else { v.to_bits() }).collect()
}

#[test]
fn the_child_reads_bit_for_bit_what_astropy_reads() {
    let folder = tempfile::tempdir().unwrap();
    for file in made(folder.path()).unwrap_or_default() {
        let ours = child().decode(&std::fs::read(&file).unwrap(), 1, SIZE);
        let ours = ours.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let bytes = std::fs::read(file.with_extension("pixels")).unwrap();
        let theirs: Vec<f32> = bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
        let different = bits(&ours).iter().zip(bits(&theirs)).filter(|(a, b)| **a != *b).count();
        assert_eq!(different, 0, "{}: {different} of {} pixels differ", file.display(), ours.len());
    }
}

#[test]
fn a_damaged_file_is_refused_or_read_or_ends_its_child_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = made(folder.path()) else { return };
    let sound: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let (mut read, mut refused, mut broken) = (0, 0, 0);
    for i in 0..600 {
        let mut bytes = sound[i % sound.len()].clone();
        for _ in 0..rng.random_range(1..8) {
            // Headers, table and heap alike.
            let at = rng.random_range(2880..bytes.len());
            bytes[at] = rng.random();
        }
        match child().decode(&bytes, 1, SIZE) {
            Ok(pixels) => read += usize::from(pixels.len() == SIZE[0] * SIZE[1]),
            Err(DecodeError::Refused(_)) => refused += 1,
            Err(DecodeError::Broken(_)) => broken += 1,
            Err(other) => panic!("{other}"),
        }
    }
    println!("{read} read, {refused} refused, {broken} broke the child");
    assert_eq!(read + refused + broken, 600);
    assert!(refused > 0 && read > 0);
}

#[test]
fn what_would_take_too_much_memory_is_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let Some(files) = made(folder.path()) else { return };
    let file = files.iter().find(|file| file.ends_with("hcompress.fits")).unwrap();
    let mut bytes = std::fs::read(file).unwrap();
    // One tile of 2 GB in the place of five: the table has to agree.
    let mut set = |card: &str, value: &str| {
        let key = format!("{card:8}= ");
        let at = bytes.windows(10).position(|w| w == key.as_bytes()).unwrap();
        bytes[at + 10..at + 30].copy_from_slice(format!("{value:>20}").as_bytes());
    };
    set("ZTILE1", "20000");
    set("ZTILE2", "20000");
    set("ZNAXIS1", "20000");
    let rows = bytes.windows(10).position(|w| w == b"NAXIS2  = ").unwrap();
    bytes[rows + 10..rows + 30].copy_from_slice(format!("{:>20}", 1).as_bytes());
    let error = child().decode(&bytes, 1, [20_000, 70]).unwrap_err();
    assert!(matches!(&error, DecodeError::Broken(how) if how.contains("more memory")), "{error}");
    // The image itself, whatever is in it.
    let error = child().decode(&bytes, 1, [1 << 31, 1 << 31]).unwrap_err();
    assert!(!matches!(error, DecodeError::Unavailable(_)), "{error}");
}
