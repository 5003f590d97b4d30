//! How files become fields: the section `[files]` of a survey's file.

use serde::Deserialize;

use super::{Survey, SurveyError};

/// Section `[files]`: where a file's band is named, and which files are one field.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Files {
    /// Card whose value, or the first word of it, names the band, where the file's name does not.
    pub band_card: Option<String>,
    /// How the bands of a field find each other.
    pub group: Group,
    /// Of `group = "sky"`: the centres of a field's bands lie within this of the reference band's, arcsec.
    pub group_arcsec: Option<f64>,
    /// Of `group = "sky"`: the middles of their exposures lie within this of the reference band's, days.
    pub group_days: Option<f64>,
}

/// What makes files one field.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Their names have the same `image`.
    #[default]
    Name,
    /// A table names them.
    Table,
    /// They show the same sky at about the same time.
    Sky,
}

impl Survey {
    /// What makes files one field.
    pub fn group(&self) -> Group {
        self.profile.files.group
    }

    /// Whether each CCD of a file is a field of its own.
    pub fn has_ccds(&self) -> bool {
        self.profile.image.ccds.is_some()
    }

    /// Whether one file holds all bands: its name has none, and `image.hdu` says where each is.
    pub fn has_all_bands_in_one_file(&self) -> bool {
        let by_band = self.profile.image.hdu.as_ref().is_some_and(|hdu| hdu.0.contains("{band}"));
        by_band && !self.pattern_captures("band") && self.profile.files.band_card.is_none()
    }

    /// Whether a file's headers must be looked at before it is known of which field it is.
    pub fn groups_by_headers(&self) -> bool {
        self.has_ccds() || self.group() == Group::Sky || self.needs_band_card()
    }

    /// Whether the band stands in a card alone.
    pub fn needs_band_card(&self) -> bool {
        self.profile.files.band_card.is_some() && !self.pattern_captures("band")
    }

    /// The plane of a band as a header calls it: the card's whole value, or its first word, by the survey's names.
    pub fn plane_of_card(&self, value: &str) -> Option<usize> {
        let value = value.trim();
        self.plane_of(value).or_else(|| self.plane_of(value.split_whitespace().next()?))
    }

    fn pattern_captures(&self, group: &str) -> bool {
        self.pattern.capture_names().flatten().any(|name| name == group)
    }

    /// Refuses what contradicts itself.
    pub(super) fn check_files(&self) -> Result<(), SurveyError> {
        let value = |key, problem: &str| Err(SurveyError::Value { key, problem: problem.to_owned() });
        let files = &self.profile.files;
        if !self.pattern_captures("image") {
            return value("file_pattern", "must capture (?P<image>...)");
        }
        if !self.pattern_captures("band") && files.band_card.is_none() && !self.has_all_bands_in_one_file() {
            let problem = "must capture (?P<band>...), or give files.band_card, or {band} in image.hdu";
            return value("file_pattern", problem);
        }
        for (key, limit) in [("files.group_arcsec", files.group_arcsec), ("files.group_days", files.group_days)] {
            let sound = limit.is_some_and(|limit| limit.is_finite() && limit > 0.0);
            if files.group == Group::Sky && !sound {
                return value(key, "files.group = \"sky\" needs a number above 0");
            }
            if files.group != Group::Sky && limit.is_some() {
                return value(key, "is of files.group = \"sky\" alone");
            }
        }
        if files.group == Group::Sky && self.has_all_bands_in_one_file() {
            return value("files.group", "a file that holds all bands is a field by itself: leave out \"sky\"");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SDSS: &str = include_str!("../../../config/surveys/sdss.toml");
    const DECAM: &str = r"^c4d_(?P<image>[0-9]{6}_[0-9]{6})_ooi_(?P<band>[a-zA-Z]+)_(?P<rest>.*)\.fits$";
    const NO_BAND: &str = r"^(?P<image>.*)\.fits$";

    /// SDSS's description with another pattern, and more sections.
    fn with(pattern: &str, more: &str) -> Result<Survey, SurveyError> {
        let old = SDSS.lines().find(|line| line.starts_with("file_pattern")).unwrap();
        Survey::parse(&format!("{}\n{more}", SDSS.replace(old, &format!("file_pattern = '{pattern}'"))))
    }

    #[test]
    fn what_contradicts_itself_is_refused_by_its_key() {
        let sky = "[files]\ngroup = 'sky'\ngroup_arcsec";
        for (pattern, more, key) in [
            (r"^(?P<band>[ugriz])\.fits$", "", "file_pattern: must capture (?P<image>"),
            (NO_BAND, "", "file_pattern: must capture (?P<band>"),
            (NO_BAND, &format!("[image]\nhdu = '{{band}}'\n{sky} = 1.0\ngroup_days = 1.0"), "files.group: "),
            (DECAM, &format!("{sky} = 60.0"), "files.group_days: "),
            (DECAM, &format!("{sky} = -1.0\ngroup_days = 1.0"), "files.group_arcsec: "),
            (DECAM, "[files]\ngroup_days = 1.0", "files.group_days: "),
            (DECAM, "[files]\ngroup = 'night'", "group"),
        ] {
            let error = with(pattern, more).unwrap_err().to_string();
            assert!(error.contains(key), "{key} | {error}");
        }
    }

    #[test]
    fn a_band_stands_in_a_name_in_a_card_or_in_an_hdu() {
        let card = with(NO_BAND, "[files]\nband_card = 'FILTER'").unwrap();
        assert!(card.needs_band_card() && card.groups_by_headers() && !card.has_all_bands_in_one_file());
        assert_eq!(card.plane_of_card("r DECam SDSS c0002 6415.0 1480.0"), Some(2));
        assert_eq!(card.plane_of_card("Y DECam c0006 10095.0 1130.0"), None);
        let hdus = with(NO_BAND, "[image]\nhdu = 'SCI_{band}'").unwrap();
        assert!(hdus.has_all_bands_in_one_file() && !hdus.groups_by_headers());
        assert_eq!(hdus.file_name("a.fits").unwrap().band, None);
        let named = with(DECAM, "").unwrap();
        assert!(!named.groups_by_headers() && named.group() == Group::Name && !named.has_ccds());
    }
}
