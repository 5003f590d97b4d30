//! A table of fields: which files are one, where their names do not say it.
//!
//! Comma-separated, with a line of column names first: `id`, `band`, `path`, and where wanted `hdu`, `mask`,
//! `mask_hdu`, `weight`, `weight_hdu`, in any order and case. A line is one band of one field. Paths are relative to
//! the table's folder. A value with a comma or a quotation mark stands in quotation marks, the inner ones doubled.

use std::fs;
use std::io::Read;
use std::path::Path;

use twinpeak_core::files::{BandFiles, Place};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Reason, Rejection, Stage};

/// How the name of a table ends, in any case.
pub(super) const ENDING: &str = ".fields.csv";
/// Largest table, bytes.
const MAX_BYTES: u64 = 64 << 20;
const COLUMNS: [&str; 8] = ["id", "band", "path", "hdu", "mask", "mask_hdu", "weight", "weight_hdu"];

/// One band of one field.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TableRow {
    pub image: ImageId,
    /// As it is written.
    pub band: String,
    pub files: BandFiles,
}

/// Reads a table.
///
/// # Errors
/// A [`Rejection`] that names the line; one bad line spoils the table, for half a field would be a wrong one.
pub(super) fn read(path: &Path) -> Result<Vec<TableRow>, Rejection> {
    let refuse = |reason, message: String| Rejection {
        reason,
        stage: Stage::Ingest,
        file: Some(path.display().to_string()),
        message,
        advice: format!("correct the table: columns {}", COLUMNS.join(", ")),
    };
    let open = || -> std::io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        fs::File::open(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = open().map_err(|error| refuse(Reason::Unreadable, error.to_string()))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(refuse(Reason::TooLarge, format!("is larger than {MAX_BYTES} bytes")));
    }
    let text = String::from_utf8(bytes).map_err(|_| refuse(Reason::BadMessage, "is not UTF-8".into()))?;
    parse(&text, path.parent().unwrap_or(Path::new(""))).map_err(|problem| refuse(Reason::BadMessage, problem))
}

fn parse(text: &str, folder: &Path) -> Result<Vec<TableRow>, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut lines = text.lines().enumerate().map(|(n, line)| (n + 1, line)).filter(|(_, line)| !line.trim().is_empty());
    let (_, head) = lines.next().ok_or("is empty")?;
    let mut places = [None; COLUMNS.len()];
    for (at, name) in values(head).ok_or("line 1: a quotation mark is not closed")?.iter().enumerate() {
        let column = COLUMNS.iter().position(|c| c.eq_ignore_ascii_case(name.trim()));
        let column = column.ok_or_else(|| format!("line 1: {name:?} is no column of a table of fields"))?;
        if places[column].replace(at).is_some() {
            return Err(format!("line 1: column {name:?} stands twice"));
        }
    }
    if let Some(missing) = (0..3).find(|&c| places[c].is_none()) {
        return Err(format!("line 1: there is no column {:?}", COLUMNS[missing]));
    }
    let width = places.iter().flatten().count();
    let row = |(n, line): (usize, &str)| {
        let values = values(line).ok_or_else(|| format!("line {n}: a quotation mark is not closed"))?;
        if values.len() != width {
            return Err(format!("line {n}: {} values stand under {width} columns", values.len()));
        }
        let [id, band, path, hdu, mask, mask_hdu, weight, weight_hdu] =
            places.map(|at| at.map(|at: usize| values[at].trim()).filter(|value| !value.is_empty()));
        let place = |path: &str, hdu: Option<&str>| Place { file: folder.join(path), hdu: hdu.map(str::to_owned) };
        let needed = |value: Option<&'_ str>, column: &str| {
            value.map(str::to_owned).ok_or_else(|| format!("line {n}: {column} is empty"))
        };
        let beside = |path: Option<&str>, hdu: Option<&str>, column: &str| match (path, hdu) {
            (None, Some(_)) => Err(format!("line {n}: {column}_hdu stands without {column}")),
            (path, hdu) => Ok(path.map(|path| place(path, hdu))),
        };
        Ok(TableRow {
            image: ImageId::safe(&needed(id, "id")?).ok_or_else(|| format!("line {n}: id is empty"))?,
            band: needed(band, "band")?,
            files: BandFiles {
                image: place(&needed(path, "path")?, hdu),
                mask: beside(mask, mask_hdu, "mask")?,
                weight: beside(weight, weight_hdu, "weight")?,
            },
        })
    };
    lines.map(row).collect()
}

/// The values of a line; `None` where a quotation mark is not closed.
fn values(line: &str) -> Option<Vec<String>> {
    let mut all = vec![String::new()];
    let (mut quoted, mut chars) = (false, line.chars().peekable());
    while let Some(c) = chars.next() {
        let value = all.last_mut()?;
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                value.push('"');
            }
            '"' if quoted || value.trim().is_empty() => {
                if !quoted {
                    value.clear();
                }
                quoted = !quoted;
            }
            ',' if !quoted => all.push(String::new()),
            other => value.push(other),
        }
    }
    (!quoted).then_some(all)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_line_is_one_band_of_one_field() {
        let text = "\u{feff}ID,Band,path,HDU,mask,mask_hdu\n\n\
                    M 31,HSC-G,\"a, \"\"b\"\".fits\",S21,../m.fits,1\r\n\
                    M 31,r,/abs/r.fits,,,\n";
        let rows = parse(text, Path::new("/night")).unwrap();
        let place = |path: &str, hdu: Option<&str>| Place { file: path.into(), hdu: hdu.map(str::to_owned) };
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].image.as_str(), rows[0].band.as_str()), ("M_x2031", "HSC-G"));
        assert_eq!(rows[0].files.image, place("/night/a, \"b\".fits", Some("S21")));
        assert_eq!(rows[0].files.mask, Some(place("/night/../m.fits", Some("1"))));
        assert_eq!(rows[1].files, BandFiles::from(PathBuf::from("/abs/r.fits")));
    }

    #[test]
    fn a_bad_line_is_told_by_its_number() {
        for (text, says) in [
            ("", "is empty"),
            ("id,band,file\n", "line 1: \"file\" is no column"),
            ("id,band\n", "line 1: there is no column \"path\""),
            ("id,id,band,path\n", "line 1: column \"id\" stands twice"),
            ("id,band,path\n\na,g\n", "line 3: 2 values stand under 3 columns"),
            ("id,band,path\na,,b\n", "line 2: band is empty"),
            ("id,band,path\na,\"g,b\n", "line 2: a quotation mark is not closed"),
            ("id,band,path,mask,mask_hdu\na,g,b,,1\n", "line 2: mask_hdu stands without mask"),
        ] {
            let problem = parse(text, Path::new("")).unwrap_err();
            assert!(problem.contains(says), "{says} | {problem}");
        }
    }
}
