//! What files are called: of which field and band a name is, and how the others of the field are called.

use regex::{CaptureNames, Captures, Regex, RegexBuilder};

use super::Survey;
use crate::frame::{FieldIds, ImageId};

/// The parts of a file's name, by the survey's pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName {
    /// The field it belongs to: what the pattern captures as `image`, made safe ([`ImageId::safe`]).
    pub image: ImageId,
    /// Index of its band; `None` where the name has none: a card says it, or the file holds all bands.
    pub band: Option<usize>,
    /// Run, camera column, field.
    pub ids: FieldIds,
}

/// What a name is to a survey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Named {
    /// A file of one of its fields.
    Ours(FileName),
    /// A file of its pattern, but of a band that it does not choose.
    OtherBand(String),
    /// Anything else.
    Foreign,
}

/// The survey's pattern, as written and for names in other letters' cases.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    as_written: Regex,
    any_case: Regex,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Result<Self, regex::Error> {
        let any_case = RegexBuilder::new(pattern).case_insensitive(true).build()?;
        Ok(Self { as_written: Regex::new(pattern)?, any_case })
    }

    /// The parts of a name that fits.
    pub(super) fn captures<'n>(&self, name: &'n str) -> Option<Captures<'n>> {
        self.as_written.captures(name).or_else(|| self.any_case.captures(name))
    }

    /// Names of the groups.
    pub(super) fn capture_names(&self) -> CaptureNames<'_> {
        self.as_written.capture_names()
    }
}

impl Survey {
    /// What a file's name (without its folder) is to the survey. Upper and lower case are the same where the pattern
    /// does not fit otherwise; but a band is the survey's only as it is written there, for R may be no r.
    pub fn named(&self, name: &str) -> Named {
        let Some(found) = self.pattern.captures(name) else { return Named::Foreign };
        let Some(image) = found.name("image").and_then(|image| ImageId::safe(image.as_str())) else {
            return Named::Foreign;
        };
        let written = found.name("band").map(|band| band.as_str());
        let band = written.and_then(|band| self.plane_of(band));
        if let (Some(written), None) = (written, band) {
            return Named::OtherBand(written.to_owned());
        }
        let number = |group| found.name(group).and_then(|m| m.as_str().parse().ok());
        let ids =
            FieldIds { run: number("run"), rerun: number("rerun"), camcol: number("camcol"), field: number("field") };
        Named::Ours(FileName { image, band, ids })
    }

    /// What a file's name says, or `None` where it is not one of the survey's, or of a band that it does not choose.
    pub fn file_name(&self, name: &str) -> Option<FileName> {
        match self.named(name) {
            Named::Ours(said) => Some(said),
            Named::OtherBand(_) | Named::Foreign => None,
        }
    }

    /// The name of the same image's file in another band, all else of `name` (its ending, say) being kept; `None`
    /// where `name` is not one of the survey's or has no band, or the pattern does not let the band alone be another.
    /// Where bands have aliases, the one that `name` uses is not known of the other: the survey's own name, then each
    /// alias of it, is tried.
    pub fn sibling(&self, name: &str, band: usize) -> Option<String> {
        let said = self.file_name(name)?;
        if said.band == Some(band) {
            return Some(name.to_owned());
        }
        let written = self.pattern.captures(name)?.name("band")?;
        let plane = self.band(band);
        let aliases = self.profile.bands.aliases.iter().filter(|(_, to)| *to == plane).map(|(alias, _)| alias.as_str());
        let uses_alias = written.as_str() != said.band.map_or("", |b| self.band(b));
        let mut names: Vec<&str> = aliases.collect();
        let at = if uses_alias { names.len() } else { 0 };
        names.insert(at, plane);
        let sibling = |other: &&str| format!("{}{other}{}", &name[..written.start()], &name[written.end()..]);
        let sound = |s: &String| self.file_name(s).is_some_and(|s| s.band == Some(band) && s.image == said.image);
        names.iter().filter(|other| !other.is_empty()).map(sibling).find(sound)
    }

    /// The name of the file of one band of an image.
    pub fn file_for(&self, band: usize, image: &ImageId) -> String {
        self.profile.file_template.replace("{band}", self.band(band)).replace("{image}", image.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDSS: &str = include_str!("../../../config/surveys/sdss.toml");

    fn sdss() -> Survey {
        Survey::parse(SDSS).unwrap()
    }

    #[test]
    fn file_names_say_band_and_field() {
        let f = sdss().file_name("frame-i-003918-3-0213.fits.bz2").unwrap();
        assert_eq!(
            (f.image.as_str(), f.band, f.ids.run, f.ids.camcol, f.ids.field),
            ("003918-3-0213", Some(3), Some(3918), Some(3), Some(213))
        );
        for other in ["frame-x-003918-3-0213.fits", "frame-i-003918-3-0213.fits.tmp", "photoObj-003918-3-0213.fits", ""]
        {
            assert_eq!(sdss().file_name(other), None, "{other}");
        }
        assert_eq!(sdss().file_for(0, &f.image), "frame-u-003918-3-0213.fits.bz2");
    }

    #[test]
    fn upper_and_lower_case_are_one_but_in_a_bands_name() {
        let band = |name: &str| sdss().file_name(name).and_then(|said| said.band);
        for ending in [".FITS", ".fit", ".fts", ".fits.GZ", ".fits.fz.gz"] {
            assert_eq!(band(&format!("frame-g-003918-3-0213{ending}")), Some(1), "{ending}");
        }
        assert_eq!(band("FRAME-z-003918-3-0213.FITS.BZ2"), Some(4));
        assert_eq!(sdss().named("frame-R-003918-3-0213.fits"), Named::OtherBand("R".into()));
    }

    #[test]
    fn a_band_has_aliases_and_an_image_any_name() {
        let text = SDSS.replacen(r#"bands = ["u", "g", "r", "i", "z"]"#, "bands = { planes = ['u', 'g', 'r', 'i', 'z'], aliases = { 'HSC-G' = 'g', 'HSC-R' = 'r', 'HSC-R2' = 'r' } }", 1);
        let old = text.lines().find(|line| line.starts_with("file_pattern")).unwrap().to_owned();
        let text = text.replace(&old, r"file_pattern = '^(?P<image>.+)_(?P<band>[A-Za-z0-9-]+)\.fits$'");
        let survey = Survey::parse(&text).unwrap();
        let said = survey.file_name("9813 3,3+a_HSC-G.fits").unwrap();
        assert_eq!((said.image.as_str(), said.band), ("9813_x203_x2C3_x2Ba", Some(1)));
        assert_eq!(survey.named("9813_HSC-Y.fits"), Named::OtherBand("HSC-Y".into()));
        assert_eq!(survey.sibling("a_HSC-G.fits", 2).as_deref(), Some("a_HSC-R.fits"));
        assert_eq!(survey.sibling("a_g.fits", 2).as_deref(), Some("a_r.fits"));
        assert_eq!(survey.sibling("a_HSC-R2.fits", 2).as_deref(), Some("a_HSC-R2.fits"));
    }

    #[test]
    fn a_sibling_has_the_name_but_for_the_band() {
        let sibling = |name: &str, band| sdss().sibling(name, band);
        let of_z = |ending: &str| Some(format!("frame-z-003918-3-0213.fits{ending}"));
        for ending in ["", ".bz2", ".fz"] {
            assert_eq!(sibling(&format!("frame-u-003918-3-0213.fits{ending}"), 4), of_z(ending));
        }
        assert_eq!(sibling("frame-z-003918-3-0213.fits", 4), of_z(""));
        assert_eq!(sibling("frame-y-003918-3-0213.fits", 4), None);
        let image_with_band = SDSS.replacen("(?P<band>[a-zA-Z])-(?P<image>", "(?P<image>(?P<band>[a-zA-Z])-", 1);
        let alone = Survey::parse(&image_with_band).unwrap();
        assert!(alone.file_name("frame-u-003918-3-0213.fits").is_some());
        assert_eq!(alone.sibling("frame-u-003918-3-0213.fits", 4), None);
    }
}
