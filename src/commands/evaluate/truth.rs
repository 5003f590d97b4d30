//! The truth: a table that `simulate` wrote, or two lists of positions, one of stars and one of galaxies.

use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};

use crate::evaluate::TrueObject;

/// Reads a `.csv` table with a header, or `STEM_stars.csv` and `STEM_gals.csv`; `band` is the reference band.
pub(in crate::commands) fn read(path: &Path, band: &str) -> anyhow::Result<Vec<TrueObject>> {
    if path.extension().is_some_and(|e| e == "csv") {
        let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
        return table(&text, band).with_context(|| path.display().to_string());
    }
    let mut all = Vec::new();
    for (suffix, star) in [("_stars.csv", true), ("_gals.csv", false)] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        let file = PathBuf::from(name);
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        all.extend(positions(&text, star).with_context(|| file.display().to_string())?);
    }
    Ok(all)
}

/// A table with at least the columns `class`, `x`, `y`, and magnitudes under `mag_` and the band's name. Lines that
/// begin with `#` say something to people.
fn table(text: &str, band: &str) -> anyhow::Result<Vec<TrueObject>> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('#'));
    let header: Vec<_> = lines.next().map_or("", |(_, line)| line).split(',').map(str::trim).collect();
    let column = |name: &str| header.iter().position(|h| *h == name);
    let needed = |name: &str| column(name).ok_or_else(|| anyhow!("the header names no column {name}"));
    let (class, x, y, mag) = (needed("class")?, needed("x")?, needed("y")?, column(&format!("mag_{band}")));
    let object = |(i, line): (usize, &str)| {
        let cells: Vec<_> = line.split(',').map(str::trim).collect();
        let at = || format!("line {}", i + 1);
        let cell = |c: usize| cells.get(c).copied().ok_or_else(|| anyhow!("{}: too few columns", at()));
        let star = match cell(class)? {
            "star" | "qso" | "6" => true,
            "galaxy" | "3" => false,
            other => bail!("{}: class {other:?} is not one of star, qso, galaxy", at()),
        };
        let value = |c: usize| number(cell(c)?).with_context(at);
        // An object without light in the band has no magnitude there.
        let mag = mag.map(value).transpose()?.filter(|m| m.is_finite());
        Ok(TrueObject { x: value(x)?, y: value(y)?, star, mag })
    };
    lines.map(object).collect()
}

/// Lines `x,y` without a header.
fn positions(text: &str, star: bool) -> anyhow::Result<Vec<TrueObject>> {
    let object = |(i, line): (usize, &str)| {
        let at = || format!("line {}", i + 1);
        let (x, y) = line.split_once(',').ok_or_else(|| anyhow!("{}: is not x,y", at()))?;
        Ok(TrueObject { x: number(x).with_context(at)?, y: number(y).with_context(at)?, star, mag: None })
    };
    text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()).map(object).collect()
}

fn number(text: &str) -> anyhow::Result<f64> {
    text.trim().parse().with_context(|| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::{Spec, simulate};
    use crate::survey::Survey;

    #[test]
    fn a_table_is_read_by_its_header() {
        let text = "# x: px\nid,class,x,y,mag_g,mag_r\n1,star,10.5,20,19,18.5\n\n2,galaxy,1,2,22,nan\n";
        let objects = table(text, "r").unwrap();
        assert_eq!(objects[0], TrueObject { x: 10.5, y: 20.0, star: true, mag: Some(18.5) });
        assert_eq!(objects[1], TrueObject { x: 1.0, y: 2.0, star: false, mag: None });
        assert_eq!(table(text, "z").unwrap()[0].mag, None);
    }

    #[test]
    fn faults_name_their_line() {
        for (text, part) in [
            ("id,x,y\n", "no column class"),
            ("# no\nclass,x,y\nstar,1,2\nplanet,1,2\n", "line 4: class \"planet\""),
            ("class,x,y\nstar,1\n", "line 2: too few columns"),
            ("class,x,y\nstar,a,2\n", "line 2: \"a\" is not a number"),
        ] {
            let error = format!("{:#}", table(text, "r").unwrap_err());
            assert!(error.contains(part), "{error}");
        }
        assert!(format!("{:#}", positions("1,2\n3\n", true).unwrap_err()).contains("line 2"));
    }

    #[test]
    fn a_simulation_is_read_whole() {
        let survey = Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap();
        let spec = Spec { width: 128, height: 128, sources: Some(20), ..Spec::default() };
        let made = simulate(&spec, &survey).unwrap().truth;
        let read = table(&made.to_csv(&survey), "r").unwrap();
        assert_eq!(read.len(), made.objects.len());
        for (read, made) in read.iter().zip(&made.objects) {
            assert_eq!(read.star, made.class.is_point());
            assert!((read.x - made.x).abs() < 1e-4 && (read.mag.unwrap() - made.mag[2]).abs() < 1e-4);
        }
    }

    #[test]
    fn a_stem_is_two_lists() {
        let folder = tempfile::tempdir().unwrap();
        let stem = folder.path().join("003918-3-0213");
        std::fs::write(folder.path().join("003918-3-0213_stars.csv"), "1,2\n3,4\n").unwrap();
        assert!(format!("{:#}", read(&stem, "r").unwrap_err()).contains("_gals.csv"));
        std::fs::write(folder.path().join("003918-3-0213_gals.csv"), "5,6\n").unwrap();
        let stars: Vec<_> = read(&stem, "r").unwrap().into_iter().map(|o| (o.x, o.star)).collect();
        assert_eq!(stars, [(1.0, true), (3.0, true), (5.0, false)]);
    }
}
