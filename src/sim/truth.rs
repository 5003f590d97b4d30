//! What is true of a simulated field, and its table.

use std::fmt::{self, Write as _};

use super::moffat::Moffat;
use twinpeak_core::frame::{ImageId, PerBand, Plane};
use twinpeak_core::survey::Survey;

/// Value of [`Truth::segmentation`] for pixels left out of scores: too faint to be an object's and too bright to
/// be sky, or of an object centred outside the frame.
pub const IGNORED: u32 = u32::MAX;

/// What the line of the table begins with that names the sky's own image.
pub(super) const SKY: &str = "# sky, whose objects have these ids at every visit: ";

/// What is true of a simulated field.
#[derive(Clone, Debug)]
pub struct Truth {
    /// Id of the sky's own image: another than the frame's where it is a later visit to that sky.
    pub sky: ImageId,
    /// All objects centred in the reference frame. At visit 0 `objects[k].id` is k + 1; later, objects have come in and gone
    /// out of the frame, and those that stayed have kept their ids.
    pub objects: Vec<SimulatedObject>,
    /// On the reference grid: the id of the object that a pixel belongs to, 0 for sky, or [`IGNORED`]. A pixel
    /// belongs to the object brightest in it where the noiseless sum of the three shape bands exceeds 1.5 times
    /// the sky's noise; from .75 it is ignored.
    pub segmentation: Plane<u32>,
    /// The PSF of each band, on that band's own grid.
    pub psf: PerBand<Moffat>,
    /// Where the survey replaces saturated cores: for each object, the number of bands in which its own was.
    pub replaced_bands: Option<Vec<u8>>,
}

/// True class of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// A star: a point in images.
    Star,
    /// A galaxy, of one of the extended profiles.
    Galaxy,
    /// A quasar: a point in images; a catalogue's class for it is STAR.
    Qso,
}

/// How an object's light is spread before the PSF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Profile {
    /// A point: only the PSF spreads it.
    Point,
    /// An exponential disc, as of spirals.
    Exponential,
    /// A de Vaucouleurs spheroid, its wings cut near 8 half-light radii.
    DeVaucouleurs,
    /// A spiral of many parts; sizes and angle are its disc's.
    Spiral,
}

/// What is true of one simulated object.
#[derive(Clone, Debug, PartialEq)]
pub struct SimulatedObject {
    /// Number of the object in its field, from 1.
    pub id: u32,
    /// Star, galaxy or quasar.
    pub class: Class,
    /// How its light is spread.
    pub profile: Profile,
    /// Column in the reference band, 0-based px.
    pub x: f64,
    /// Row in the reference band, 0-based px.
    pub y: f64,
    /// Right ascension, deg.
    pub ra_deg: f64,
    /// Declination, deg.
    pub dec_deg: f64,
    /// Total magnitude in each band.
    pub mag: PerBand<f64>,
    /// Semi-major axis of the ellipse that holds half the light, arcsec; 0 for a point.
    pub r_e_arcsec: f64,
    /// Minor over major axis; 1 for a point.
    pub axis_ratio: f64,
    /// Angle of the major axis from +x to +y in the reference band, -90 to 90 deg.
    pub theta_deg: f64,
    /// Another object, at most 2 mag fainter, lies within 2 arcsec.
    pub blended: bool,
}

impl Class {
    /// As the table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Star => "star",
            Self::Galaxy => "galaxy",
            Self::Qso => "qso",
        }
    }

    /// True of what no telescope resolves.
    pub const fn is_point(self) -> bool {
        !matches!(self, Self::Galaxy)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Profile {
    /// As the table writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Point => "point",
            Self::Exponential => "exponential",
            Self::DeVaucouleurs => "devaucouleurs",
            Self::Spiral => "spiral",
        }
    }
}

impl Profile {
    /// The one that the table writes so.
    pub fn named(name: &str) -> Option<Self> {
        [Self::Point, Self::Exponential, Self::DeVaucouleurs, Self::Spiral].into_iter().find(|p| p.as_str() == name)
    }
}

impl SimulatedObject {
    /// A point source, to be given a place and magnitudes.
    pub(super) const POINT: Self = Self {
        id: IGNORED,
        class: Class::Star,
        profile: Profile::Point,
        x: 0.0,
        y: 0.0,
        ra_deg: 0.0,
        dec_deg: 0.0,
        mag: [0.0; 5],
        r_e_arcsec: 0.0,
        axis_ratio: 1.0,
        theta_deg: 0.0,
        blended: false,
    };
}

/// What each column of the table means, line by line.
const COLUMNS: &str = "\
# id: number of the object, from 1
# class: star, galaxy or qso
# profile: point, exponential or devaucouleurs
# x, y: centre in the reference band, px, 0-based (the first pixel's centre is 0,0)
# ra, dec: centre, deg (ICRS)
# mag_*: total magnitude (AB) in each band
# r_e_arcsec: semi-major axis of the ellipse that holds half the light, arcsec, before the PSF; 0 for a point
# q: minor over major axis; theta_deg: angle of the major axis from +x to +y, deg
# blended: 1 where another object, at most 2 mag fainter, lies within 2 arcsec
";

/// Of the columns that are there only where the sky was visited or cores were replaced.
const REPLACED: &str = "# saturated: number of bands in which the core was saturated and replaced\n";

/// Where the field has one.
const SPIRAL: &str = "# profile may be spiral: bulge, disc, arms and knots; r_e, q and theta are its disc's\n";

impl Truth {
    /// The table of objects of image `id` as comma-separated text. Lines that begin with `#` say what the columns mean.
    pub fn to_csv(&self, survey: &Survey, id: &ImageId) -> String {
        let mut text = String::from(COLUMNS);
        if &self.sky != id {
            text += SKY;
            text += self.sky.as_str();
            text += "\n";
        }
        if self.replaced_bands.is_some() {
            text += REPLACED;
        }
        if self.objects.iter().any(|o| o.profile == Profile::Spiral) {
            text += SPIRAL;
        }
        text += "id,class,profile,x,y,ra,dec";
        for band in survey.planes() {
            text += ",mag_";
            text += survey.band(band);
        }
        text += ",r_e_arcsec,q,theta_deg,blended";
        text += if self.replaced_bands.is_some() { ",saturated\n" } else { "\n" };
        for (k, o) in self.objects.iter().enumerate() {
            // Writing to a String cannot fail.
            let _ = write!(
                text,
                "{},{},{},{:.4},{:.4},{:.8},{:.8}",
                o.id,
                o.class,
                o.profile.as_str(),
                o.x,
                o.y,
                o.ra_deg,
                o.dec_deg
            );
            for band in survey.planes() {
                let _ = write!(text, ",{:.4}", o.mag[band]);
            }
            let _ = write!(text, ",{:.4},{:.4},{:.2},{}", o.r_e_arcsec, o.axis_ratio, o.theta_deg, o.blended as u8);
            if let Some(bands) = &self.replaced_bands {
                let _ = write!(text, ",{}", bands[k]);
            }
            text += "\n";
        }
        text
    }
}
