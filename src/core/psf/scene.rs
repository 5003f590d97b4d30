//! Frames for tests: simulated ones with known truth, and a real one prepared by astropy and sep.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::extract::{Footprint, Footprints};
use crate::frame::{Affine, BANDS, Band, FieldIds, Frame, ImageId, PerBand, Plane};
use crate::preprocess::{Prepared, Sky};
use crate::survey::Survey;
use crate::wcs::Wcs;

pub(crate) fn sdss() -> Survey {
    Survey::parse(include_str!("../../../config/surveys/sdss.toml")).expect("the shipped survey is sound")
}

/// A frame, its footprints and the image they were found on.
pub(crate) struct Scene {
    pub prepared: Prepared,
    pub footprints: Footprints,
    pub detection: Plane<f32>,
}

/// A round Gaussian source of the reference band's (x, y).
#[derive(Clone, Copy)]
pub(crate) struct Source {
    pub x: f64,
    pub y: f64,
    pub sigma: f64,
    pub flux: f64,
}

/// Sky noise of simulated frames, nMgy.
pub(crate) const NOISE: f64 = 0.02;

/// Gaussian sources, the same in every band but for a shift of (band, 2 band) / 2 px, in white noise. Footprints are
/// squares of 7 px.
pub(crate) fn simulate(width: usize, height: usize, sources: &[Source], seed: u64) -> Scene {
    let shift = |b: usize| (b as f64 - 2.0) * 0.5;
    let pixels: PerBand<Plane<f32>> = std::array::from_fn(|b| {
        let mut random = ChaCha8Rng::seed_from_u64(seed + b as u64);
        let mut plane = Plane::filled(width, height, 0f32).map(|_| {
            let unit: f64 = StandardNormal.sample(&mut random);
            (NOISE * unit) as f32
        });
        for s in sources {
            let (x, y) = (s.x + shift(b), s.y + 2.0 * shift(b));
            let peak = s.flux / (std::f64::consts::TAU * s.sigma * s.sigma);
            for iy in (y as isize - 16).max(0)..(y as isize + 17).min(height as isize) {
                for ix in (x as isize - 16).max(0)..(x as isize + 17).min(width as isize) {
                    let r2 = (ix as f64 - x).powi(2) + (iy as f64 - y).powi(2);
                    let (ix, iy) = (ix as usize, iy as usize);
                    let light = peak * (-r2 / (2.0 * s.sigma * s.sigma)).exp();
                    plane.set(ix, iy, plane.at(ix, iy) + light as f32);
                }
            }
        }
        plane
    });
    let to_band = std::array::from_fn(|b| Affine { x: [shift(b), 1.0, 0.0], y: [2.0 * shift(b), 0.0, 1.0] });
    let cd = [[1.1e-4, 0.0], [0.0, 1.1e-4]];
    let wcs = Wcs::tangent((width, height), (150.0, 2.0), (width as f64 / 2.0, height as f64 / 2.0), cd).unwrap();
    let detection = pixels[2].map(|v| v / NOISE as f32);
    let prepared = prepared(pixels, [NOISE; BANDS], [1e-4; BANDS], to_band, wcs);
    let mut segmentation = Plane::filled(width, height, 0);
    let objects = sources.iter().enumerate().map(|(i, s)| {
        let (x, y) = (s.x.round() as usize, s.y.round() as usize);
        let bounds = [x.saturating_sub(3), y.saturating_sub(3), (x + 3).min(width - 1), (y + 3).min(height - 1)];
        let number = i as u32 + 1;
        for iy in bounds[1]..=bounds[3] {
            segmentation.row_mut(iy)[bounds[0]..=bounds[2]].fill(number);
        }
        Footprint { number, x: s.x.round(), y: s.y.round(), bounds, area_px: 49, peak: 10.0, flags: 0 }
    });
    let objects = objects.collect();
    Scene { prepared, footprints: Footprints { segmentation, objects }, detection }
}

fn prepared(
    pixels: PerBand<Plane<f32>>,
    sigma: PerBand<f64>,
    nmgy_per_electron: PerBand<f64>,
    to_band: PerBand<Affine>,
    wcs: Wcs,
) -> Prepared {
    let (width, height) = (pixels[0].width(), pixels[0].height());
    let registered = pixels.clone();
    let mut pixels = pixels.map(Some);
    let bands = std::array::from_fn(|b| Band {
        pixels: pixels[b].take().expect("each band is taken once"),
        mask: Plane::filled(width, height, 0),
        wcs: wcs.clone(),
        nmgy_per_dn: nmgy_per_electron[b],
        gain_e_per_dn: 1.0,
        dark_variance_dn2: 1.0,
        saturation_nmgy: 1e9,
        removed_sky_nmgy: None,
        variance: None,
    });
    let frame = Frame {
        id: ImageId::new("test").unwrap(),
        ids: FieldIds::default(),
        midpoint_mjd_tai: None,
        exposure_s: None,
        bands,
        input_hash: String::new(),
        present: [true; BANDS],
        files: Default::default(),
    };
    Prepared {
        streaks: Default::default(),
        dark: [false; BANDS],
        sky: sigma.map(|s| Sky { level_nmgy: 0.0, sigma_nmgy: s as f32 }),
        pixel_scale_arcsec: 0.396,
        shift_px: to_band.map(|a| (a.x[0].round() as isize, a.y[0].round() as isize)),
        to_band,
        registered,
        bits: Plane::filled(width, height, 0),
        frame,
    }
}

/// A real field as the reference sees it, and sep's own measurements of it.
pub(crate) struct Real {
    pub scene: Scene,
    /// One row an object: see `tests/reference/field.py`.
    pub sep: Vec<[f64; 7]>,
}

/// The development field, or `None`, said loudly, where there is no data or no Python to read it.
pub(crate) fn real() -> Option<&'static Real> {
    static FIELD: OnceLock<Option<Real>> = OnceLock::new();
    FIELD
        .get_or_init(|| {
            let folder = data()?.join("sdss/003918-3-0213");
            Some(read_field(&python("field.py", &folder)?))
        })
        .as_ref()
}

/// Where the real frames lie.
fn data() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var_os("TWINPEAK_DATA").map_or(beside, PathBuf::from);
    if !folder.join("sdss").is_dir() {
        eprintln!("SKIPPED: no real data at {}", folder.display());
        return None;
    }
    Some(folder)
}

/// A file of the reference's outputs, beside the real frames.
pub(crate) fn reference(name: &str) -> Option<PathBuf> {
    let file = data()?.join("../reference/out").join(name);
    if !file.is_file() {
        eprintln!("SKIPPED: no reference output at {}", file.display());
        return None;
    }
    Some(file)
}

/// Runs a script of `tests/reference` on `input`; gives the folder that it wrote.
pub(crate) fn python(script: &str, input: &Path) -> Option<tempfile::TempDir> {
    let root = &Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let python = std::env::var_os("TWINPEAK_PYTHON").map_or(root.join(".venv/bin/python"), PathBuf::from);
    if !python.is_file() {
        eprintln!("SKIPPED: no Python with astropy and sep at {}", python.display());
        return None;
    }
    let out = tempfile::tempdir().unwrap();
    let status =
        Command::new(python).arg(root.join("tests/reference").join(script)).arg(input).arg(out.path()).status();
    assert!(status.unwrap().success(), "{script} failed");
    Some(out)
}

/// A raw array of doubles.
pub(crate) fn doubles(file: &Path) -> Vec<f64> {
    let bytes = std::fs::read(file).unwrap();
    bytes.chunks_exact(8).map(|c| f64::from_le_bytes(c.try_into().unwrap())).collect()
}

fn words(file: &Path) -> Vec<[u8; 4]> {
    std::fs::read(file).unwrap().chunks_exact(4).map(|c| c.try_into().unwrap()).collect()
}

fn read_field(folder: &tempfile::TempDir) -> Real {
    let file = |name: &str| folder.path().join(name);
    let facts = doubles(&file("facts.f64"));
    let (height, width) = (facts[0] as usize, facts[1] as usize);
    let by_band = |b: usize| &facts[2 + 8 * b..10 + 8 * b];
    let sky = &facts[2 + 8 * BANDS..];
    let wcs = Wcs::tangent((width, height), (sky[0], sky[1]), (sky[2], sky[3]), [[sky[4], sky[5]], [sky[6], sky[7]]]);
    let planes = |name: &str| -> Vec<Plane<f32>> {
        let values: Vec<f32> = words(&file(name)).into_iter().map(f32::from_le_bytes).collect();
        values.chunks_exact(width * height).map(|c| Plane::from_pixels(width, height, c.to_vec())).collect()
    };
    let mut bands = planes("image.f32");
    let to_band = std::array::from_fn(|b| {
        let f = by_band(b);
        Affine { x: [f[2], f[3], f[4]], y: [f[5], f[6], f[7]] }
    });
    let prepared = prepared(
        std::array::from_fn(|b| std::mem::take(&mut bands[b])),
        std::array::from_fn(|b| by_band(b)[0]),
        std::array::from_fn(|b| by_band(b)[1]),
        to_band,
        wcs.unwrap(),
    );
    let labels = words(&file("segmentation.u32")).into_iter().map(u32::from_le_bytes).collect();
    let sep: Vec<[f64; 7]> = doubles(&file("objects.f64")).chunks_exact(7).map(|c| c.try_into().unwrap()).collect();
    let objects = sep.iter().enumerate().map(|(i, s)| Footprint {
        number: i as u32 + 1,
        x: s[0],
        y: s[1],
        bounds: [0; 4],
        area_px: s[2] as usize,
        peak: 0.0,
        flags: 0,
    });
    let footprints = Footprints { objects: objects.collect(), segmentation: Plane::from_pixels(width, height, labels) };
    let detection = planes("detection.f32").remove(0);
    Real { scene: Scene { prepared, footprints, detection }, sep }
}
