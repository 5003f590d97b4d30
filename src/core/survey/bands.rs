//! Which bands a survey has, and how many of them an image needs.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::frame::{BANDS, PerBand};

/// A survey's bands. In the file a table, or the list of planes alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WrittenBands")]
pub struct Bands {
    /// Names of the five planes in the order used everywhere, blue to red; empty where the survey has no such band.
    pub planes: PerBand<String>,
    /// How many bands an image must have; the others may be missing.
    pub required: usize,
    /// What files and headers call a band otherwise: from that name to the plane's.
    pub aliases: BTreeMap<String, String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum WrittenBands {
    Planes(Vec<String>),
    Table(WrittenTable),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenTable {
    planes: Vec<String>,
    required: Option<usize>,
    #[serde(default)]
    aliases: BTreeMap<String, String>,
}

impl TryFrom<WrittenBands> for Bands {
    type Error = String;

    fn try_from(written: WrittenBands) -> Result<Self, String> {
        let WrittenTable { planes, required, aliases } = match written {
            WrittenBands::Planes(planes) => WrittenTable { planes, required: None, aliases: BTreeMap::new() },
            WrittenBands::Table(table) => table,
        };
        let named: Vec<&String> = planes.iter().filter(|name| !name.is_empty()).collect();
        if planes.len() > BANDS {
            return Err(format!("bands: {} planes are chosen, and the nets see {BANDS}: choose {BANDS}", planes.len()));
        }
        if named.is_empty() {
            return Err("bands: name at least one".into());
        }
        if let Some(twice) = named.iter().enumerate().find(|(i, name)| named[..*i].contains(name)) {
            return Err(format!("bands: {:?} is named twice", twice.1));
        }
        if let Some((alias, to)) = aliases.iter().find(|(_, to)| !planes.contains(to) || to.is_empty()) {
            return Err(format!("bands.aliases: {alias:?} is to be {to:?}, which is none of {planes:?}"));
        }
        let required = required.unwrap_or(named.len());
        if !(1..=named.len()).contains(&required) {
            return Err(format!("bands.required: {required} is not from 1 to {}", named.len()));
        }
        let mut all = planes.into_iter();
        Ok(Self { planes: std::array::from_fn(|_| all.next().unwrap_or_default()), required, aliases })
    }
}
