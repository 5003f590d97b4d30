//! Where a survey's pixels, masks and weights lie in its files, and what the values of a mask mean.

use std::collections::BTreeMap;

use regex::Regex;
use serde::Deserialize;

use super::{Survey, SurveyError};
use crate::frame::mask;

/// Bits of a whole number.
const NUMBER_BITS: usize = 64;

/// The section `[image]`: in which HDU a band's pixels are.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ImageHdu {
    /// EXTNAME or number of the HDU, the primary being 0; `{band}` stands for the band's name. Without it the first
    /// HDU with pixels is meant, and a file with several images is refused.
    pub hdu: Option<HduName>,
    /// The EXTNAMEs of CCDs, each of which is a field of its own.
    pub ccds: Option<CcdNames>,
    /// EXTNAME of the extension into which `simulate` writes pixels; without it they are in the primary HDU.
    pub written_hdu: Option<String>,
    /// Whether the sky is left in the pixels: their level is then that of the sky, and tells what its noise must be.
    pub sky_left_in: bool,
}

/// EXTNAME or number of an HDU, with `{band}` and, for masks and weights, `{ccd}`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "WrittenHdu")]
pub struct HduName(pub String);

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenHdu {
    Number(u32),
    Name(String),
}

impl From<WrittenHdu> for HduName {
    fn from(written: WrittenHdu) -> Self {
        match written {
            WrittenHdu::Number(number) => Self(number.to_string()),
            WrittenHdu::Name(name) => Self(name),
        }
    }
}

impl HduName {
    /// The name with the band's and the CCD's name put in.
    pub fn of(&self, band: &str, ccd: &str) -> String {
        self.0.replace("{band}", band).replace("{ccd}", ccd)
    }
}

/// Regular expression that the EXTNAMEs of CCDs match.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "String")]
pub struct CcdNames(Regex);

impl TryFrom<String> for CcdNames {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        Regex::new(&pattern).map(Self).map_err(|e| format!("image.ccds: {e}"))
    }
}

impl CcdNames {
    /// Whether an HDU of this name is a CCD.
    pub fn is_match(&self, extname: &str) -> bool {
        self.0.is_match(extname)
    }
}

/// Where planes beside the image are: an HDU of its file, or of a file of their own.
#[derive(Clone, Debug, Default)]
pub struct PlanePlace {
    /// EXTNAME or number of the HDU. Without it, in a file of its own: the HDU with the image's EXTNAME, else the only
    /// one with pixels.
    pub hdu: Option<HduName>,
    /// Name of the file of their own, made of the named groups of `file_pattern` in braces.
    pub file: Option<String>,
    /// Whether an image without them is refused.
    pub required: bool,
}

/// The two kinds of planes beside an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlaneKind {
    /// What is wrong with each pixel.
    Mask,
    /// How noisy each pixel is.
    Weight,
}

impl PlaneKind {
    /// Its name in messages and in the survey's description.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mask => "mask",
            Self::Weight => "weight",
        }
    }
}

/// The section `[mask]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenMask")]
pub struct MaskPlanes {
    /// Where they are.
    pub place: PlanePlace,
    /// Whether the masks say all that is wrong: no search for saturation, bleeding, bad columns and cosmic rays follows.
    pub complete: bool,
    /// What their values mean.
    pub code: MaskCode,
}

/// What the values of a mask mean, as bits of [`crate::frame::mask`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MaskCode {
    /// Each bit of a value has a meaning: that of bit 0 first; 0 where it has none of ours.
    Bits([u8; NUMBER_BITS]),
    /// Each bit has the meaning of a name, and the header's card `MP_name` says which bit that is (LSST, HSC).
    Names(Vec<(String, u8)>),
    /// Each value has a meaning; others have none of ours.
    Values(BTreeMap<i64, u8>),
    /// Not an image, but binary tables of spans of pixels, one table a meaning (SDSS's fpM).
    Tables(Vec<(HduName, u8)>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenMask {
    hdu: Option<HduName>,
    file: Option<String>,
    required: Option<bool>,
    #[serde(default)]
    complete: bool,
    bits: Option<BTreeMap<String, Vec<usize>>>,
    names: Option<BTreeMap<String, Vec<String>>>,
    values: Option<BTreeMap<String, Vec<i64>>>,
    tables: Option<BTreeMap<String, Vec<HduName>>>,
}

impl TryFrom<WrittenMask> for MaskPlanes {
    type Error = String;

    fn try_from(written: WrittenMask) -> Result<Self, String> {
        let WrittenMask { hdu, file, required, complete, bits, names, values, tables } = written;
        let code = match (bits, names, values, tables) {
            (Some(bits), None, None, None) => {
                let mut meaning = [0; NUMBER_BITS];
                for (bit, number) in meanings(bits)? {
                    let of = meaning.get_mut(number);
                    *of.ok_or_else(|| format!("mask.bits: bit {number} is not from 0 to {}", NUMBER_BITS - 1))? |= bit;
                }
                MaskCode::Bits(meaning)
            }
            (None, Some(names), None, None) => {
                MaskCode::Names(meanings(names)?.into_iter().map(|(bit, name)| (name, bit)).collect())
            }
            (None, None, Some(values), None) => {
                let mut meaning = BTreeMap::new();
                meanings(values)?.into_iter().for_each(|(bit, value)| *meaning.entry(value).or_insert(0) |= bit);
                MaskCode::Values(meaning)
            }
            (None, None, None, Some(tables)) => {
                MaskCode::Tables(meanings(tables)?.into_iter().map(|(bit, hdu)| (hdu, bit)).collect())
            }
            _ => return Err("mask: give one of bits, names, values and tables".into()),
        };
        let required = required.unwrap_or(true);
        if complete && !required {
            return Err("mask.complete: a mask that may be missing cannot be all that is known of bad pixels".into());
        }
        let in_tables = matches!(code, MaskCode::Tables(_));
        if in_tables && hdu.is_some() {
            return Err("mask.hdu: the tables of mask.tables say which HDUs are read".into());
        }
        if file.is_none() && hdu.is_none() && !in_tables {
            return Err("mask: give hdu, file or both".into());
        }
        Ok(Self { place: PlanePlace { hdu, file, required }, complete, code })
    }
}

/// Pairs of our bit and what stands for it.
fn meanings<T>(written: BTreeMap<String, Vec<T>>) -> Result<Vec<(u8, T)>, String> {
    let mut all = Vec::new();
    for (name, stands_for) in written {
        // Ours has no bit of its own for cosmic rays: they are defects.
        let bit = if name == "COSMIC_RAY" { Some(mask::BAD) } else { None };
        let bit = bit.or_else(|| mask::NAMES.iter().find(|(ours, _)| *ours == name).map(|(_, bit)| *bit));
        let bit = bit.ok_or_else(|| format!("mask: {name:?} is none of BAD, COSMIC_RAY, SAT, EDGE, NO_DATA"))?;
        all.extend(stands_for.into_iter().map(|what| (bit, what)));
    }
    Ok(all)
}

/// The section `[weight]`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "WrittenWeight")]
pub struct WeightPlanes {
    /// Where they are.
    pub place: PlanePlace,
    /// What their values are.
    pub kind: WeightKind,
    /// Whether they hold the photons of sources too, not the sky's and the read-out's alone.
    pub includes_sources: bool,
}

/// What a value of a weight plane is. Where it is not positive, or not finite, the pixel has no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WeightKind {
    /// Variance, in the square of the pixels' unit.
    Variance,
    /// Standard deviation, in the pixels' unit.
    Sigma,
    /// 1 / variance.
    InverseVariance,
    /// Proportional to 1 / variance (exposure or coverage maps): how it is scaled is taken from the noise of the pixels.
    Weight,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWeight {
    hdu: Option<HduName>,
    file: Option<String>,
    required: Option<bool>,
    kind: WeightKind,
    includes_sources: bool,
}

impl TryFrom<WrittenWeight> for WeightPlanes {
    type Error = String;

    fn try_from(written: WrittenWeight) -> Result<Self, String> {
        let WrittenWeight { hdu, file, required, kind, includes_sources } = written;
        if file.is_none() && hdu.is_none() {
            return Err("weight: give hdu, file or both".into());
        }
        Ok(Self { place: PlanePlace { hdu, file, required: required.unwrap_or(true) }, kind, includes_sources })
    }
}

impl Survey {
    /// Where masks or weights are; `None` where the survey has none.
    pub fn place_of(&self, kind: PlaneKind) -> Option<&PlanePlace> {
        match kind {
            PlaneKind::Mask => self.profile.mask.as_ref().map(|mask| &mask.place),
            PlaneKind::Weight => self.profile.weight.as_ref().map(|weight| &weight.place),
        }
    }

    /// Name of the file with the mask or the weights of the image in file `name` (without its folder); `None` where
    /// the survey has none in files of their own, or `name` is not one of the survey's. Whether it must be there says
    /// [`PlanePlace::required`] of [`Survey::place_of`].
    pub fn companion(&self, name: &str, kind: PlaneKind) -> Option<String> {
        let template = self.place_of(kind)?.file.as_deref()?;
        let captured = self.pattern.captures(name)?;
        let groups = self.pattern.capture_names().flatten();
        Some(groups.fold(template.to_owned(), |made, group| {
            let value = captured.name(group).map_or("", |m| m.as_str());
            made.replace(&format!("{{{group}}}"), value)
        }))
    }

    /// Whether masks say all that is wrong with pixels, so that nothing is searched for.
    pub fn has_complete_masks(&self) -> bool {
        self.profile.mask.as_ref().is_some_and(|mask| mask.complete)
    }

    /// Refuses a template that names a group which `file_pattern` does not capture, or does not tell a plane's file
    /// from the image's.
    pub(super) fn check_planes(&self) -> Result<(), SurveyError> {
        for (kind, key) in [(PlaneKind::Mask, "mask.file"), (PlaneKind::Weight, "weight.file")] {
            let Some(template) = self.place_of(kind).and_then(|place| place.file.as_deref()) else { continue };
            let groups: Vec<&str> = self.pattern.capture_names().flatten().collect();
            let mut rest = template;
            while let Some((_, after)) = rest.split_once('{') {
                let (group, after) = after.split_once('}').unwrap_or((after, ""));
                if !groups.contains(&group) {
                    let problem = format!("{{{group}}} is no group of file_pattern, which captures {groups:?}");
                    return Err(SurveyError::Value { key, problem });
                }
                rest = after;
            }
            if !template.contains('{') {
                return Err(SurveyError::Value { key, problem: "names one file for all images".into() });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(more: &str) -> Result<Survey, SurveyError> {
        Survey::parse(&(include_str!("../../../config/surveys/example.toml").to_owned() + more))
    }

    #[test]
    fn a_companion_is_named_by_the_groups_of_the_images_name() {
        let mask =
            "[mask]\nfile = \"mask_{image}_{band}.fits.fz\"\nvalues = { BAD = [1], SAT = [3, 4], COSMIC_RAY = [5] }";
        let survey = with(mask).unwrap();
        let name = "example_001000-1-0001_g.fits.bz2";
        assert_eq!(survey.companion(name, PlaneKind::Mask).unwrap(), "mask_001000-1-0001_g.fits.fz");
        assert_eq!(survey.companion(name, PlaneKind::Weight), None);
        assert_eq!(survey.companion("other.fits", PlaneKind::Mask), None);
        let values = [(1, mask::BAD), (3, mask::SAT), (4, mask::SAT), (5, mask::BAD)];
        assert_eq!(survey.profile().mask.as_ref().unwrap().code, MaskCode::Values(values.into_iter().collect()));
    }

    #[test]
    fn nonsense_is_refused_with_its_key() {
        for (section, says) in [
            ("[mask]\nhdu = 2\nbits = { SATURATED = [1] }", "SATURATED"),
            ("[mask]\nhdu = 2\nbits = { SAT = [64] }", "bit 64"),
            ("[mask]\nbits = { SAT = [1] }", "hdu, file"),
            ("[mask]\nhdu = 2", "one of bits"),
            ("[mask]\nhdu = 2\nbits = { SAT = [1] }\nvalues = { SAT = [1] }", "one of bits"),
            ("[mask]\nhdu = 2\nrequired = false\ncomplete = true\nbits = { SAT = [1] }", "mask.complete"),
            ("[mask]\nfile = \"m_{night}.fits\"\nbits = { SAT = [1] }", "{night}"),
            ("[mask]\nfile = \"mask.fits\"\nbits = { SAT = [1] }", "one file for all"),
            ("[weight]\nhdu = 3\nkind = \"variance\"", "includes_sources"),
            ("[weight]\nhdu = 3\nkind = \"ivar\"\nincludes_sources = true", "ivar"),
            ("[weight]\nkind = \"variance\"\nincludes_sources = true", "hdu, file"),
            ("[image]\nccds = \"[\"", "image.ccds"),
        ] {
            let error = with(section).expect_err(section).to_string();
            assert!(error.contains(says), "{section}: {error}");
        }
    }
}
