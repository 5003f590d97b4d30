//! Planes of object numbers: the catalogue's, in its masks, and the truth's.

use std::path::Path;

use anyhow::{Context, ensure};

use twinpeak_core::frame::Plane;
use twinpeak_formats::fits;
use twinpeak_sim::IGNORED;
use twinpeak_sim::evaluate::Overlap;

/// The frame's size: that of the truth's plane, else of the catalogue's masks; `None` where neither is there.
///
/// # Errors
/// Where a file that is there cannot be read.
pub(super) fn size_of(
    catalog: &Path,
    image: &str,
    truth: &Path,
    limits: &fits::Limits,
) -> anyhow::Result<Option<(usize, usize)>> {
    let masks = catalog.with_file_name(format!("{image}.masks.fits"));
    let plane = [truth.with_extension("segmentation.fits"), masks].into_iter().find(|path| path.exists());
    let plane = plane.map(|path| read(&path, limits)).transpose()?;
    Ok(plane.map(|plane| (plane.width(), plane.height())))
}

/// Compares `IMAGE.masks.fits` beside the catalogue with `TRUTH.segmentation.fits` beside the truth.
pub(super) fn overlap(
    catalog: &Path,
    image: &str,
    truth: &Path,
    limits: &fits::Limits,
) -> anyhow::Result<Option<Overlap>> {
    let (ours, theirs) =
        (catalog.with_file_name(format!("{image}.masks.fits")), truth.with_extension("segmentation.fits"));
    if !ours.exists() || !theirs.exists() {
        return Ok(None);
    }
    let overlap = Overlap::measure(&read(&ours, limits)?, &read(&theirs, limits)?, IGNORED);
    overlap.map(Some).with_context(|| format!("{} and {} differ in size", ours.display(), theirs.display()))
}

fn read(path: &Path, limits: &fits::Limits) -> anyhow::Result<Plane<u32>> {
    let named = || path.display().to_string();
    let (bytes, limit) = (std::fs::metadata(path).with_context(named)?.len(), limits.max_file_bytes);
    ensure!(bytes <= limit, "{}: {bytes} bytes are more than input.max_file_bytes, {limit}", named());
    fits::read_segmentation(&std::fs::read(path).with_context(named)?, limits).with_context(named)
}
