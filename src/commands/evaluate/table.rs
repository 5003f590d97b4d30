//! An evaluation as a table for a person.

use std::fmt::Write;

use super::Report;
use twinpeak_sim::evaluate::Bin;
use twinpeak_sim::evaluate::forced::DIAMETER_ARCSEC;

/// What stands where there is nothing.
pub(super) const DASH: &str = "-";

/// The whole table, lines ended.
pub(super) fn render(report: &Report) -> String {
    let Report { evaluation: e, band, .. } = report;
    let mut out = String::new();
    let mut line = |text: String| writeln!(out, "{}", text.trim_end()).expect("a string takes every line");
    line(format!("{}: starProb, learned without labels, against the truth's labels", report.image));
    line(magnitudes(report));
    line(String::new());
    line(format!("{:<11} {:^41}   {:^17}   {:^16}  {:^14}", "", "classes, AUC", "calibration", "truth", "catalogue"));
    line(format!(
        "{:<11} {:>7} {:>6}  {:>8} {:>8} {:>8}   {:>5} {:>11}   {:>6} {:>9}  {:>7} {:>6}",
        format!("mag {band}"),
        "objects",
        "stars",
        "starProb",
        "concentr",
        "radius",
        "error",
        "95 %",
        "there",
        "complete",
        "there",
        "purity"
    ));
    for detection in e.detection.iter().skip(1).chain(e.detection.first()) {
        let classes = e.classes.iter().find(|c| Some(c.bin) == detection.bin);
        let count = |n: Option<usize>| n.map_or(DASH.into(), |n| n.to_string());
        let calibration = classes.and_then(|c| c.calibration.as_ref());
        let auc = |m: usize| figure(classes.and_then(|c| c.auc[m]), 4);
        line(format!(
            "{:<11} {:>7} {:>6}  {:>8} {:>8} {:>8}   {:>5} {:>11}   {:>6} {:>9}  {:>7} {:>6}",
            detection.bin.map_or("all".into(), range),
            count(classes.map(|c| c.objects)),
            count(classes.map(|c| c.stars)),
            auc(0),
            auc(1),
            auc(2),
            figure(calibration.map(|c| c.error), 3),
            calibration.map_or(DASH.into(), |c| format!("{:.3}-{:.3}", c.interval[0], c.interval[1])),
            detection.truth,
            figure(detection.completeness(), 3),
            detection.catalog,
            figure(detection.purity(), 3)
        ));
    }
    line(String::new());
    line(format!("{} objects with a label, {} of them without a score", e.labelled, e.unscored));
    match &e.calibration {
        Some(c) => line(format!(
            "calibration error {:.4} (95 % interval {:.4} to {:.4}; {} objects, {band} {})",
            c.error,
            c.interval[0],
            c.interval[1],
            c.objects,
            range(Bin::MAIN)
        )),
        None => line("calibration error: too few objects".into()),
    }
    if let Some(pixels) = &report.pixels {
        line(format!(
            "objects' pixels in the masks: intersection over union {} with the truth",
            figure(pixels.iou(), 3)
        ));
    }
    out
}

/// Where the magnitudes of true objects come from.
fn magnitudes(report: &Report) -> String {
    let band = &report.band;
    match (report.forced_magnitudes, report.without_magnitude) {
        (0, 0) => format!("{band} magnitudes are the truth's"),
        (0, n) => format!(
            "{n} true objects have no {band} magnitude: they take the catalogue's where found, and where missed are in \
             no bin, so that completeness by magnitude is too high (--frames measures them)"
        ),
        (forced, n) => format!(
            "{band} magnitudes of {forced} true objects are forced, within {DIAMETER_ARCSEC} arcsec on the frame; {n} others have none"
        ),
    }
}

/// A bin's ends.
pub(super) fn range(bin: Bin) -> String {
    format!("{:.1}-{:.1}", bin.low, bin.high)
}

/// A number, or a dash where there is none.
pub(super) fn figure(value: Option<f64>, digits: usize) -> String {
    value.map_or(DASH.into(), |v| format!("{v:.digits$}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_sim::evaluate::{Object, Overlap, Rules, TrueObject, evaluate};

    #[test]
    fn a_line_a_bin_and_dashes_where_there_is_nothing() {
        let object = |x, star_prob| Object {
            x,
            mag: 20.0,
            star_prob: Some(star_prob),
            concentration: Some(1.0),
            half_light_radius_px: Some(1.0),
            ..Object::default()
        };
        let truth = |x, star| TrueObject { x, y: 0.0, star, mag: Some(20.0) };
        let objects = [object(0.0, 0.9), object(50.0, 0.1)];
        let truth = [truth(0.0, true), truth(50.0, false), truth(99.0, false)];
        let report = Report {
            image: "f-1".into(),
            band: "r".into(),
            forced_magnitudes: 0,
            without_magnitude: 0,
            pixels: Some(Overlap { both: 3, ours_alone: 1, true_alone: 0 }),
            evaluation: evaluate(&objects, &truth, &Rules::for_scale(0.396)),
            kinds: None,
        };
        let text = render(&report);
        let row =
            |start: &str| text.lines().find(|l| l.starts_with(start)).unwrap().split_whitespace().collect::<Vec<_>>();
        assert_eq!(
            row("14.0-22.0"),
            ["14.0-22.0", "2", "1", "1.0000", "0.5000", "0.5000", "-", "-", "3", "0.667", "2", "1.000"]
        );
        assert_eq!(row("all"), ["all", "-", "-", "-", "-", "-", "-", "-", "3", "0.667", "2", "1.000"]);
        assert!(text.contains("too few objects") && text.contains("union 0.750"));
        let forced = render(&Report { forced_magnitudes: 2, without_magnitude: 1, ..report });
        assert!(text.contains("are the truth's") && forced.contains("of 2 true objects are forced"), "{forced}");
    }
}
