//! What the tests of this folder share: stand-ins for the writers of other crates.

use super::{Encoders, ModelName};

/// Stand-ins for the FITS writers.
pub(super) fn encoders() -> Encoders {
    Encoders {
        catalog_table: Box::new(|catalog, _, _, _| Ok(format!("{} rows", catalog.rows.len()).into_bytes())),
        masks: Box::new(|products| Ok(format!("{} px", products.segmentation.pixels().len()).into_bytes())),
        scene: Box::new(|_, images| Ok(format!("{} bands", images.model.len()).into_bytes())),
        psf: Box::new(|_, psf, b| Ok(format!("{} of band {b}", psf.pixel_scale_arcsec).into_bytes())),
        catalog_avro: None,
    }
}

pub(super) fn model() -> ModelName {
    ModelName { version: "1".into(), hash: "ab".repeat(32) }
}
