//! The files of a field: where each band's pixels lie, and the masks and weights that belong to them.

use std::path::PathBuf;

use crate::frame::PerBand;

/// Where one image lies: a file, and the HDU in it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place<F = PathBuf> {
    /// The file: its path, address or bytes.
    pub file: F,
    /// The HDU's EXTNAME or number, the primary being 0; `None` where the survey's rule finds it.
    pub hdu: Option<String>,
}

/// What there is of one band.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BandFiles<F = PathBuf> {
    /// Its pixels.
    pub image: Place<F>,
    /// Its mask, where that lies in a place of its own.
    pub mask: Option<Place<F>>,
    /// Its weights or variances, where they lie in a place of their own.
    pub weight: Option<Place<F>>,
}

/// What there is of a field, band by band; `None` where a band was not taken.
pub type FieldFiles<F = PathBuf> = PerBand<Option<BandFiles<F>>>;

impl<F> From<F> for Place<F> {
    fn from(file: F) -> Self {
        Self { file, hdu: None }
    }
}

impl<F> Place<F> {
    /// The same HDU of another kind of file.
    pub fn map<G>(self, to: impl FnOnce(F) -> G) -> Place<G> {
        Place { file: to(self.file), hdu: self.hdu }
    }
}

impl<F> From<F> for BandFiles<F> {
    fn from(file: F) -> Self {
        Self { image: file.into(), mask: None, weight: None }
    }
}

impl<F> BandFiles<F> {
    /// All of them: the image, then mask and weights where they are.
    pub fn places(&self) -> impl Iterator<Item = &Place<F>> {
        std::iter::once(&self.image).chain(&self.mask).chain(&self.weight)
    }
}

/// What the headers of a file, or of one CCD in it, say of the field that it belongs to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sighting {
    /// EXTNAME of the CCD's HDU, where a file holds several.
    pub ccd: Option<String>,
    /// Value of the survey's `files.band_card`, as written.
    pub band: Option<String>,
    /// Right ascension and declination of the image's centre, deg (ICRS).
    pub centre_deg: Option<(f64, f64)>,
    /// Middle of the exposure, MJD (TAI).
    pub midpoint_mjd_tai: Option<f64>,
}

/// A field of one file a band and nothing beside.
pub fn plain<F>(files: PerBand<F>) -> FieldFiles<F> {
    files.map(|file| Some(file.into()))
}
