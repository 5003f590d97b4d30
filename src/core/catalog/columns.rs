//! The description of each published column, from which the FITS, Parquet and Avro writers and the documentation are
//! made.

use super::{Catalog, Row, SourceModel};
use crate::frame::PerBand;
use crate::survey::Survey;

/// A cell of the table.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// 64-bit integer; `None` is null.
    I64(Option<i64>),
    /// 32-bit integer; `None` is null.
    I32(Option<i32>),
    /// 64-bit float; `None` is null.
    F64(Option<f64>),
    /// 32-bit float; `None` is null.
    F32(Option<f32>),
    /// True or false.
    Bool(bool),
    /// Text; `None` is null.
    Text(Option<&'a str>),
}

/// Type of a column's cells.
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
    /// Name in every format, camel case, e.g. `psfFlux_r`.
    pub name: String,
    /// Type of its cells.
    pub kind: Kind,
    /// Whether a cell may be null: what was not measured, or has no basis.
    pub nullable: bool,
    /// Its unit (FITS standard), empty for none.
    pub unit: &'static str,
    /// IVOA unified content descriptor.
    pub ucd: String,
    /// One line of description, for the documentation and the schemas.
    pub doc: &'static str,
    /// Takes its cell from a catalogue and one of its rows.
    pub get: Cell,
}

/// All columns in their published order.
pub fn columns(survey: &Survey) -> Vec<Column> {
    [identity(), positions(), shapes(), fluxes(survey), classes(), provenance(), models(survey)]
        .into_iter()
        .flatten()
        .collect()
}

fn column(
    name: impl Into<String>,
    kind: Kind,
    nullable: bool,
    unit: &'static str,
    ucd: impl Into<String>,
    doc: &'static str,
    get: impl for<'a> Fn(&'a Catalog, &'a Row) -> Value<'a> + Send + Sync + 'static,
) -> Column {
    Column { name: name.into(), kind, nullable, unit, ucd: ucd.into(), doc, get: Box::new(get) }
}

/// Which source of which image.
fn identity() -> Vec<Column> {
    vec![
        column(
            "sourceId",
            Kind::I64,
            false,
            "",
            "meta.id;meta.main",
            "Identity of the source: the same image gives the same ids, so upsert by it",
            |_, r| Value::I64(Some(r.source_id)),
        ),
        column("imageId", Kind::Text, false, "", "meta.id;obs.image", "Image in which the source was found", |c, _| {
            Value::Text(Some(c.provenance.image_id.as_str()))
        }),
        column(
            "number",
            Kind::I32,
            false,
            "",
            "meta.record",
            "Value of the source's pixels in the SEGMENTATION mask",
            |_, r| Value::I32(Some(r.number as i32)),
        ),
    ]
}

/// Where it is, on the sky and in the reference band.
fn positions() -> Vec<Column> {
    vec![
        column("ra", Kind::F64, false, "deg", "pos.eq.ra;meta.main", "Right ascension (ICRS)", |_, r| {
            Value::F64(Some(r.ra))
        }),
        column("dec", Kind::F64, false, "deg", "pos.eq.dec;meta.main", "Declination (ICRS)", |_, r| {
            Value::F64(Some(r.dec))
        }),
        column("raErr", Kind::F32, false, "deg", "stat.error;pos.eq.ra", "Error of ra times cos(dec)", |_, r| {
            Value::F32(Some(r.ra_err))
        }),
        column("decErr", Kind::F32, false, "deg", "stat.error;pos.eq.dec", "Error of dec", |_, r| {
            Value::F32(Some(r.dec_err))
        }),
        column(
            "x",
            Kind::F64,
            false,
            "pix",
            "pos.cartesian.x;instr.det",
            "Windowed centroid, 0-based column of the reference band",
            |_, r| Value::F64(Some(r.x)),
        ),
        column(
            "y",
            Kind::F64,
            false,
            "pix",
            "pos.cartesian.y;instr.det",
            "Windowed centroid, 0-based row of the reference band",
            |_, r| Value::F64(Some(r.y)),
        ),
        column("xErr", Kind::F32, false, "pix", "stat.error;pos.cartesian.x", "Error of x", |_, r| {
            Value::F32(Some(r.x_err))
        }),
        column("yErr", Kind::F32, false, "pix", "stat.error;pos.cartesian.y", "Error of y", |_, r| {
            Value::F32(Some(r.y_err))
        }),
    ]
}

/// How large and how round it is, in the reference band.
fn shapes() -> Vec<Column> {
    vec![
        column("a", Kind::F32, false, "pix", "phys.angSize.smajAxis", "Second moment along the major axis", |_, r| {
            Value::F32(Some(r.a))
        }),
        column("b", Kind::F32, false, "pix", "phys.angSize.sminAxis", "Second moment along the minor axis", |_, r| {
            Value::F32(Some(r.b))
        }),
        column("theta", Kind::F32, false, "deg", "pos.posAng", "Angle of the major axis from +x towards +y", |_, r| {
            Value::F32(Some(r.theta))
        }),
        column(
            "halfLightRadius",
            Kind::F32,
            true,
            "pix",
            "phys.angSize",
            "Radius of the circle that holds half of the flux in the reference band",
            |_, r| Value::F32(finite(r.half_light_radius)),
        ),
        column(
            "concentration",
            Kind::F32,
            true,
            "",
            "phys.angSize;arith.ratio",
            "Half-light radius of the frame's PSF over the source's own: 1 for a star, less for a galaxy",
            |_, r| Value::F32(finite(r.concentration)),
        ),
        column("isoArea", Kind::I32, false, "pix2", "phys.area", "Pixels of the footprint", |_, r| {
            Value::I32(Some(r.iso_area))
        }),
        column("kronRadius", Kind::F32, true, "pix", "phys.angSize", "Semi-major axis of the Kron aperture", |_, r| {
            Value::F32(finite(r.kron_radius))
        }),
    ]
}

/// Fluxes and magnitudes: each in every band that the survey has, then the next.
fn fluxes(survey: &Survey) -> Vec<Column> {
    let mut all = Vec::new();
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
        for b in survey.planes() {
            let band = survey.band(b);
            let ucd = format!("{ucd};em.opt.{}", band.to_uppercase());
            all.push(column(format!("{name}_{band}"), Kind::F32, true, unit, ucd, doc, move |_, r| {
                Value::F32(finite(get(r)[b]))
            }));
        }
    }
    all
}

/// What it is, and what bears on the use of its row.
fn classes() -> Vec<Column> {
    vec![
        column(
            "starProb",
            Kind::F32,
            true,
            "",
            "stat.probability;src.class.starGalaxy",
            "Probability of being a star or quasar; null without a basis",
            |_, r| Value::F32(r.star_prob),
        ),
        column(
            "starProbErr",
            Kind::F32,
            true,
            "",
            "stat.error;src.class.starGalaxy",
            "How far starProb would move on another night: standard deviation",
            |_, r| Value::F32(r.star_prob_err),
        ),
        column(
            "classification",
            Kind::I32,
            true,
            "",
            "src.class.starGalaxy",
            "3 galaxy, 6 star or quasar, null unclassified",
            |_, r| Value::I32(r.classification),
        ),
        column(
            "primary",
            Kind::Bool,
            false,
            "",
            "meta.code",
            "Inside the part of the field that no neighbouring field owns",
            |_, r| Value::Bool(r.primary),
        ),
        column(
            "flags",
            Kind::I32,
            false,
            "",
            "meta.code.qual",
            "Bits: 1 neighbours, 2 blended, 4 saturated, 8 truncated, 256 no class, 512 deblend bound, 1024 component bound, 2048 PSF fallback, 4096 bad pixels, 8192 missing band, 16384 from the residual, 32768 scene bound, 65536 core saturated, 131072 part of a large galaxy",
            |_, r| Value::I32(Some(r.flags as i32)),
        ),
    ]
}

/// What the row was made from, and by which model.
fn provenance() -> Vec<Column> {
    vec![
        column(
            "midpointMjdTai",
            Kind::F64,
            true,
            "d",
            "time.epoch;obs.exposure",
            "Middle of the exposure, MJD TAI",
            |c, _| Value::F64(c.provenance.midpoint_mjd_tai),
        ),
        column("modelVersion", Kind::Text, false, "", "meta.version", "Version of the model bundle", |c, _| {
            Value::Text(Some(&c.provenance.model_version))
        }),
        column("modelHash", Kind::Text, false, "", "meta.id;meta.software", "SHA-256 of the model bundle", |c, _| {
            Value::Text(Some(&c.provenance.model_hash))
        }),
        column("inputHash", Kind::Text, false, "", "meta.id;obs.image", "SHA-256 of the five input files", |c, _| {
            Value::Text(Some(&c.provenance.input_hash))
        }),
    ]
}

/// Its best model, and how it stands to other rows: all null where the frame was not modelled.
fn models(survey: &Survey) -> Vec<Column> {
    type Get = fn(&SourceModel) -> f32;
    let number = |name: &str, unit: &'static str, ucd: &str, doc: &'static str, get: Get| {
        column(name, Kind::F32, true, unit, ucd, doc, move |_, r| {
            Value::F32(r.model.as_ref().map(get).and_then(finite))
        })
    };
    let mut all = vec![
        column(
            "parentId",
            Kind::I64,
            true,
            "",
            "meta.id.parent",
            "sourceId of the row of which this one is a part, or in whose light it was hidden; null where none",
            |_, r| Value::I64(r.model.as_ref().and_then(|m| m.parent_id)),
        ),
        column("nChildren", Kind::I32, true, "", "meta.number", "Rows whose parentId is this row", |_, r| {
            Value::I32(r.model.as_ref().map(|m| m.children))
        }),
        column(
            "modelType",
            Kind::Text,
            true,
            "",
            "meta.code;src.morph.type",
            "Best model: psf (a point source), exp (exponential) or dev (de Vaucouleurs); an ellipse where modelAxisRatio is below 1",
            |_, r| Value::Text(r.model.as_ref().map(|m| m.model_type.name())),
        ),
    ];
    type GetBand = fn(&SourceModel) -> &PerBand<f32>;
    let per_band: [(&str, &str, &str, &'static str, GetBand); 3] = [
        ("modelFlux", "nmgy", "phot.flux", "Total flux of the best model, one shape in all bands", |m| &m.flux),
        ("modelFluxErr", "nmgy", "stat.error;phot.flux", "Error of modelFlux, with the share of neighbours", |m| {
            &m.flux_err
        }),
        (
            "kronCorr",
            "",
            "phot.flux;arith.factor",
            "kronFlux times this is total: all light of the best model over what the Kron aperture holds of it",
            |m| &m.kron_corr,
        ),
    ];
    for (name, unit, ucd, doc, get) in per_band {
        for b in survey.planes() {
            let band = survey.band(b);
            let ucd = format!("{ucd};em.opt.{}", band.to_uppercase());
            all.push(column(format!("{name}_{band}"), Kind::F32, true, unit, ucd, doc, move |_, r| {
                Value::F32(r.model.as_ref().and_then(|m| finite(get(m)[b])))
            }));
        }
    }
    all.extend([
        number(
            "modelRadius",
            "pix",
            "phys.angSize",
            "Half-light radius of the model before the PSF, geometric mean of its axes; null of a point source",
            |m| m.radius,
        ),
        number("modelRadiusErr", "pix", "stat.error;phys.angSize", "Error of modelRadius", |m| m.radius_err),
        number(
            "modelAxisRatio",
            "",
            "phys.angSize;arith.ratio",
            "Minor over major axis of the model before the PSF: 1 where it is round; null of a point source",
            |m| m.axis_ratio,
        ),
        number(
            "modelAxisRatioErr",
            "",
            "stat.error;phys.angSize",
            "Error of modelAxisRatio; null where the model is round",
            |m| m.axis_ratio_err,
        ),
        number(
            "modelTheta",
            "deg",
            "pos.posAng",
            "Angle of the model's major axis from +x towards +y; null where it is round",
            |m| m.theta,
        ),
        number("modelThetaErr", "deg", "stat.error;pos.posAng", "Error of modelTheta", |m| m.theta_err),
        number(
            "blendedness",
            "",
            "phot.flux;arith.ratio",
            "Share of others' light in the footprint before it was taken away, 0 to 1",
            |m| m.blendedness,
        ),
    ]);
    all
}

fn finite(v: f32) -> Option<f32> {
    v.is_finite().then_some(v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn column_names_are_unique() {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let mut names: Vec<_> = columns(&survey).into_iter().map(|c| c.name).collect();
        let n = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), n);
    }

    #[test]
    fn a_band_that_the_survey_does_not_have_has_no_columns() {
        let text = include_str!("../../../config/surveys/sdss.toml");
        let of = |bands: &str| {
            let survey = Survey::parse(&text.replacen(r#"bands = ["u", "g", "r", "i", "z"]"#, bands, 1)).unwrap();
            columns(&survey).into_iter().map(|c| c.name).collect::<Vec<_>>()
        };
        let (all, four) = (of(r#"bands = ["u", "g", "r", "i", "z"]"#), of(r#"bands = ["", "g", "r", "i", "z"]"#));
        let without_u: Vec<_> = all.iter().filter(|name| !name.ends_with("_u")).cloned().collect();
        assert!(four == without_u && all.len() == four.len() + 10);
    }
}
