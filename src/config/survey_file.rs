//! A survey's description, read from its file; what is wrong with it in a line, with the nearest key that exists.

use std::path::Path;

use anyhow::{Context, anyhow};

use crate::exit::Fault;
use twinpeak_core::survey::{Survey, SurveyError};
use twinpeak_formats::ccds::text_table;

/// Reads a survey's file.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn survey_of(file: &Path) -> anyhow::Result<Survey> {
    let named = || format!("survey.file {}", file.display());
    let text = std::fs::read_to_string(file).with_context(named).context(Fault::Config)?;
    let survey = parse(&text).with_context(named).context(Fault::Config)?;
    let Some(ccds) = survey.profile().calibration.table.as_ref().map(|table| table.file.clone()) else {
        return Ok(survey);
    };
    let ccds = file.parent().unwrap_or(Path::new("")).join(ccds);
    let table = || format!("calibration.table {}", ccds.display());
    let bytes = std::fs::read(&ccds).with_context(table).with_context(named).context(Fault::Config)?;
    let read = text_table(&bytes).with_context(table).with_context(named).context(Fault::Config)?;
    survey.with_zero_points(&read).with_context(named).context(Fault::Config)
}

fn parse(text: &str) -> anyhow::Result<Survey> {
    Survey::parse(text).map_err(|error| match error {
        SurveyError::Parse(error) => anyhow!(in_words(&error, text)),
        error => error.into(),
    })
}

/// The parser's words, in one line.
fn in_words(error: &toml::de::Error, text: &str) -> String {
    let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    let at = line.map_or_else(String::new, |line| format!("line {line}: "));
    // Names stand between backquotes: the key's own first, then those that are known.
    let mut names = error.message().split('`').skip(1).step_by(2);
    match (error.message().starts_with("unknown field"), names.next()) {
        (true, Some(key)) => {
            let likeness = |known: &&str| strsim::normalized_damerau_levenshtein(key, known);
            let nearest = names.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or_default();
            format!("{at}unknown key {key}; the nearest that exists there is {nearest}")
        }
        _ => format!("{at}{}", error.message().replace('\n', " ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_said_in_a_line_with_its_place() {
        let sdss = include_str!("../../config/surveys/sdss.toml");
        let line = |word: &str| sdss[..sdss.find(word).unwrap()].matches('\n').count() + 1;
        for (from, to, says) in [
            (
                "zero_point_mag",
                "zero_pont_mag",
                "unknown key zero_pont_mag; the nearest that exists there is zero_point_mag",
            ),
            ("trusted_dn", "trustd_dn", "unknown key trustd_dn; the nearest that exists there is trusted_dn"),
            ("pixel_scale_arcsec = 0.396", "pixel_scale_arcsec = \"wide\"", "invalid type"),
        ] {
            let error = parse(&sdss.replacen(from, to, 1)).unwrap_err().to_string();
            let place = format!("line {}: ", line(from));
            assert!(error.starts_with(&place) && error.contains(says) && !error.contains('\n'), "{error}");
        }
        assert!(parse("bands = [").unwrap_err().to_string().starts_with("line 1: "));
    }
}
