//! The published catalogue: one [`Row`] a source, and the description of each column from which the FITS,
//! Parquet and Avro writers and the documentation are made.

use sha2::{Digest, Sha256};

use crate::frame::{ImageId, PerBand};
use crate::survey::Survey;

/// Class codes, as SDSS's.
pub mod class {
    /// A galaxy.
    pub const GALAXY: i32 = 3;
    /// A star or quasar: a point source.
    pub const STAR: i32 = 6;
}

/// Bits of a row's `flags`: SExtractor's first, ours from 256.
pub mod flag {
    /// Bright neighbours may bias the measurement.
    pub const NEIGHBOURS: u32 = 1;
    /// Was blended with another source.
    pub const BLENDED: u32 = 2;
    /// At least one pixel is saturated.
    pub const SATURATED: u32 = 4;
    /// Truncated by the frame's edge.
    pub const TRUNCATED: u32 = 8;
    /// There is no basis for a classification: `starProb` is null.
    pub const NO_CLASS: u32 = 256;
    /// The deblender's bound on children was hit; the footprint may hold several sources.
    pub const DEBLEND_BOUND: u32 = 512;
    /// The footprint was larger than the bound on a component and was not deblended.
    pub const COMPONENT_BOUND: u32 = 1024;
    /// The frame had too few stars: the bundle's PSF was used.
    pub const PSF_FALLBACK: u32 = 2048;
    /// Bad pixels in the footprint.
    pub const BAD_PIXELS: u32 = 4096;
    /// At least one band has no data here.
    pub const MISSING_BAND: u32 = 8192;
}

/// One source. Fluxes in nMgy, positions in 0-based reference pixels.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Row {
    /// Its value in the segmentation mask, from 1.
    pub number: u32,
    /// See [`source_id`].
    pub source_id: i64,
    /// Right ascension, deg.
    pub ra: f64,
    /// Declination, deg.
    pub dec: f64,
    /// Error of ra x cos(dec), deg.
    pub ra_err: f32,
    /// Error of dec, deg.
    pub dec_err: f32,
    /// Windowed centroid, px.
    pub x: f64,
    /// Windowed centroid, px.
    pub y: f64,
    /// Error of x, px.
    pub x_err: f32,
    /// Error of y, px.
    pub y_err: f32,
    /// Second moment along the major axis, px.
    pub a: f32,
    /// Second moment along the minor axis, px.
    pub b: f32,
    /// Angle of the major axis from +x to +y, deg, -90..90.
    pub theta: f32,
    /// Radius that holds half of the flux in the reference band, px; NaN where it cannot be measured.
    pub half_light_radius: f32,
    /// Half-light radius of the frame's PSF over the source's own: 1 for a star, smaller for a galaxy.
    pub concentration: f32,
    /// Isophotal area, px.
    pub iso_area: i32,
    /// Semi-major axis of the Kron aperture, px.
    pub kron_radius: f32,
    /// PSF flux.
    pub psf_flux: PerBand<f32>,
    /// Its error.
    pub psf_flux_err: PerBand<f32>,
    /// Kron (total) flux.
    pub kron_flux: PerBand<f32>,
    /// Its error.
    pub kron_flux_err: PerBand<f32>,
    /// Flux within a circle of 3 arcsec diameter.
    pub ap_flux: PerBand<f32>,
    /// Its error.
    pub ap_flux_err: PerBand<f32>,
    /// Asinh magnitude of the PSF flux; finite at any flux.
    pub psf_mag: PerBand<f32>,
    /// Probability of being a star or quasar, 0..1; `None` without a basis.
    pub star_prob: Option<f32>,
    /// Spread of that over the ensemble's seeds.
    pub star_prob_err: Option<f32>,
    /// [`class`] code; `None` where `star_prob` is.
    pub classification: Option<i32>,
    /// Inside the part of the field that no neighbouring field owns.
    pub primary: bool,
    /// [`flag`] bits.
    pub flags: u32,
}

/// What made a catalogue, and from what.
#[derive(Clone, Debug, PartialEq)]
pub struct Provenance {
    /// Survey name.
    pub survey: String,
    /// The image.
    pub image_id: ImageId,
    /// Middle of the exposure, MJD TAI.
    pub midpoint_mjd_tai: Option<f64>,
    /// SHA-256 of the five input files, hex.
    pub input_hash: String,
    /// The bundle's version.
    pub model_version: String,
    /// SHA-256 of the bundle, hex.
    pub model_hash: String,
    /// twinpeak's version.
    pub software_version: String,
}

/// The sources of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Catalog {
    /// What made it.
    pub provenance: Provenance,
    /// Its sources, by NUMBER.
    pub rows: Vec<Row>,
}

/// How many sources a catalogue has, and of which class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All.
    pub rows: usize,
    /// Of which stars or quasars.
    pub stars: usize,
    /// Of which galaxies.
    pub galaxies: usize,
    /// Of which without a class.
    pub unclassified: usize,
}

impl Catalog {
    /// Its sources by class.
    pub fn counts(&self) -> Counts {
        let of = |class: Option<i32>| self.rows.iter().filter(|row| row.classification == class).count();
        let (rows, stars, galaxies) = (self.rows.len(), of(Some(class::STAR)), of(Some(class::GALAXY)));
        Counts { rows, stars, galaxies, unclassified: rows - stars - galaxies }
    }
}

/// Largest NUMBER that a [`source_id`] has room for.
pub const MAX_NUMBER: u32 = (1 << 20) - 1;

/// A positive id that the same source of the same image always gets: the top 43 bits of
/// SHA-256(survey, 0, image id), shifted left by 20, with NUMBER in the low 20 bits.
pub fn source_id(survey: &str, image: &ImageId, number: u32) -> i64 {
    let digest = Sha256::new().chain_update(survey).chain_update([0]).chain_update(image.as_str()).finalize();
    let top = u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes")) >> 21;
    ((top << 20) | u64::from(number & MAX_NUMBER)) as i64
}

/// A cell of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// 64-bit integer.
    I64(i64),
    /// 32-bit integer; `None` is null.
    I32(Option<i32>),
    /// 64-bit float; `None` is null.
    F64(Option<f64>),
    /// 32-bit float; `None` is null.
    F32(Option<f32>),
    /// True or false.
    Bool(bool),
    /// Text.
    Text(&'a str),
}

/// A column's type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64-bit integer.
    I64,
    /// 32-bit integer.
    I32,
    /// 64-bit float.
    F64,
    /// 32-bit float.
    F32,
    /// True or false.
    Bool,
    /// Text.
    Text,
}

/// Takes a cell from a catalogue and one of its rows.
pub type Cell = Box<dyn for<'a> Fn(&'a Catalog, &'a Row) -> Value<'a> + Send + Sync>;

/// One published column.
pub struct Column {
    /// Its name, e.g. `psfFlux_r`.
    pub name: String,
    /// Its type.
    pub kind: Kind,
    /// Whether it may be null.
    pub nullable: bool,
    /// Its unit (FITS standard), empty for none.
    pub unit: &'static str,
    /// IVOA unified content descriptor.
    pub ucd: String,
    /// What it is.
    pub doc: &'static str,
    /// Its value in a row.
    pub get: Cell,
}

/// All columns in their published order.
pub fn columns(survey: &Survey) -> Vec<Column> {
    let mut all = Vec::new();
    macro_rules! column {
        ($name:expr, $kind:ident, $null:expr, $unit:expr, $ucd:expr, $doc:expr, $get:expr) => {
            all.push(Column {
                name: $name.into(),
                kind: Kind::$kind,
                nullable: $null,
                unit: $unit,
                ucd: $ucd.into(),
                doc: $doc,
                get: Box::new($get),
            })
        };
    }
    column!(
        "sourceId",
        I64,
        false,
        "",
        "meta.id;meta.main",
        "Identity of the source: the same image gives the same ids, so upsert by it",
        |_, r| Value::I64(r.source_id)
    );
    column!(
        "imageId",
        Text,
        false,
        "",
        "meta.id;obs.image",
        "Image in which the source was found",
        |c, _| Value::Text(c.provenance.image_id.as_str())
    );
    column!(
        "number",
        I32,
        false,
        "",
        "meta.record",
        "Value of the source's pixels in the SEGMENTATION mask",
        |_, r| Value::I32(Some(r.number as i32))
    );
    column!("ra", F64, false, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)", |_, r| Value::F64(Some(r.ra)));
    column!("dec", F64, false, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)", |_, r| Value::F64(Some(r.dec)));
    column!("raErr", F32, false, "deg", "stat.error;pos.eq.ra", "Error of ra times cos(dec)", |_, r| Value::F32(Some(
        r.ra_err
    )));
    column!("decErr", F32, false, "deg", "stat.error;pos.eq.dec", "Error of dec", |_, r| Value::F32(Some(r.dec_err)));
    column!(
        "x",
        F64,
        false,
        "pix",
        "pos.cartesian.x;instr.det",
        "Windowed centroid, 0-based column of the reference band",
        |_, r| Value::F64(Some(r.x))
    );
    column!(
        "y",
        F64,
        false,
        "pix",
        "pos.cartesian.y;instr.det",
        "Windowed centroid, 0-based row of the reference band",
        |_, r| Value::F64(Some(r.y))
    );
    column!("xErr", F32, false, "pix", "stat.error;pos.cartesian.x", "Error of x", |_, r| Value::F32(Some(r.x_err)));
    column!("yErr", F32, false, "pix", "stat.error;pos.cartesian.y", "Error of y", |_, r| Value::F32(Some(r.y_err)));
    column!("a", F32, false, "pix", "phys.angSize.smajAxis", "Second moment along the major axis", |_, r| Value::F32(
        Some(r.a)
    ));
    column!("b", F32, false, "pix", "phys.angSize.sminAxis", "Second moment along the minor axis", |_, r| Value::F32(
        Some(r.b)
    ));
    column!("theta", F32, false, "deg", "pos.posAng", "Angle of the major axis from +x towards +y", |_, r| Value::F32(
        Some(r.theta)
    ));
    column!(
        "halfLightRadius",
        F32,
        true,
        "pix",
        "phys.angSize",
        "Radius of the circle that holds half of the flux in the reference band",
        |_, r| Value::F32(finite(r.half_light_radius))
    );
    column!(
        "concentration",
        F32,
        true,
        "",
        "phys.angSize;arith.ratio",
        "Half-light radius of the frame's PSF over the source's own: 1 for a star, less for a galaxy",
        |_, r| Value::F32(finite(r.concentration))
    );
    column!("isoArea", I32, false, "pix2", "phys.area", "Pixels of the footprint", |_, r| Value::I32(Some(r.iso_area)));
    column!("kronRadius", F32, true, "pix", "phys.angSize", "Semi-major axis of the Kron aperture", |_, r| Value::F32(
        finite(r.kron_radius)
    ));
    type Get = fn(&Row) -> &PerBand<f32>;
    let per_band: [(&str, &str, &str, &str, Get); 7] = [
        ("psfFlux", "nmgy", "phot.flux", "PSF flux, forced at the reference position", |r| &r.psf_flux),
        ("psfFluxErr", "nmgy", "stat.error;phot.flux", "Error of psfFlux", |r| &r.psf_flux_err),
        ("kronFlux", "nmgy", "phot.flux", "Flux in the Kron aperture of the reference band", |r| &r.kron_flux),
        ("kronFluxErr", "nmgy", "stat.error;phot.flux", "Error of kronFlux", |r| &r.kron_flux_err),
        ("apFlux", "nmgy", "phot.flux", "Flux in a circle of 3 arcsec diameter", |r| &r.ap_flux),
        ("apFluxErr", "nmgy", "stat.error;phot.flux", "Error of apFlux", |r| &r.ap_flux_err),
        ("psfMag", "mag", "phot.mag", "Asinh magnitude of psfFlux: finite at any flux", |r| &r.psf_mag),
    ];
    for (name, unit, ucd, doc, get) in per_band {
        for b in 0..crate::frame::BANDS {
            let band = survey.band(b);
            let ucd = format!("{ucd};em.opt.{}", band.to_uppercase());
            column!(format!("{name}_{band}"), F32, true, unit, ucd, doc, move |_, r| Value::F32(finite(get(r)[b])));
        }
    }
    column!(
        "starProb",
        F32,
        true,
        "",
        "stat.probability;src.class.starGalaxy",
        "Probability of being a star or quasar; null without a basis",
        |_, r| Value::F32(r.star_prob)
    );
    column!(
        "starProbErr",
        F32,
        true,
        "",
        "stat.error;src.class.starGalaxy",
        "Spread of starProb over the model's seeds",
        |_, r| Value::F32(r.star_prob_err)
    );
    column!(
        "classification",
        I32,
        true,
        "",
        "src.class.starGalaxy",
        "3 galaxy, 6 star or quasar, null unclassified",
        |_, r| Value::I32(r.classification)
    );
    column!(
        "primary",
        Bool,
        false,
        "",
        "meta.code",
        "Inside the part of the field that no neighbouring field owns",
        |_, r| Value::Bool(r.primary)
    );
    column!(
        "flags",
        I32,
        false,
        "",
        "meta.code.qual",
        "Bits: 1 neighbours, 2 blended, 4 saturated, 8 truncated, 256 no class, 512 deblend bound, 1024 component bound, 2048 PSF fallback, 4096 bad pixels, 8192 missing band",
        |_, r| Value::I32(Some(r.flags as i32))
    );
    column!("midpointMjdTai", F64, true, "d", "time.epoch;obs.exposure", "Middle of the exposure, MJD TAI", |c, _| {
        Value::F64(c.provenance.midpoint_mjd_tai)
    });
    column!("modelVersion", Text, false, "", "meta.version", "Version of the model bundle", |c, _| Value::Text(
        &c.provenance.model_version
    ));
    column!("modelHash", Text, false, "", "meta.id;meta.software", "SHA-256 of the model bundle", |c, _| Value::Text(
        &c.provenance.model_hash
    ));
    column!("inputHash", Text, false, "", "meta.id;obs.image", "SHA-256 of the five input files", |c, _| Value::Text(
        &c.provenance.input_hash
    ));
    all
}

fn finite(v: f32) -> Option<f32> {
    v.is_finite().then_some(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_positive_stable_and_distinct() {
        let image = ImageId::new("003918-3-0213").unwrap();
        let id = source_id("sdss", &image, 1);
        assert!(id > 0 && source_id("sdss", &image, 2) == id + 1 && source_id("other", &image, 1) >> 20 != id >> 20);
        assert_eq!(id >> 20, source_id("sdss", &image, 77) >> 20);
    }

    #[test]
    fn column_names_are_unique() {
        let survey = Survey::parse(include_str!("../../config/surveys/sdss.toml")).unwrap();
        let mut names: Vec<_> = columns(&survey).into_iter().map(|c| c.name).collect();
        let n = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n);
    }
}
