//! What was judged by kind, over repeats and in pairs, as tables for a person.

use std::fmt::Write;

use super::night::NightReport;
use super::table::{DASH, figure, range};
use crate::commands::aligned;
use twinpeak_sim::evaluate::{
    DetectionReport, Deviation, FluxDeviation, FluxKind, FoundBin, Group, KindBin, KindReport, Light, PairedReport,
    RepeatReport, Share, Spread,
};

/// Fewest objects of a line.
const FEWEST: usize = 10;

/// A night's tables, lines ended.
pub(crate) fn night(report: &NightReport) -> String {
    let mut out = kinds(&report.kinds, &report.band);
    out += &halves(&report.detection, &report.kinds, &report.band);
    out += &report.repeats.as_ref().map_or(String::new(), |repeats| of_repeats(repeats, &report.band));
    out += &report.against.as_ref().map_or(String::new(), |against| of_pair(against, &report.band));
    out
}

/// Classes and measurements by kind in the wide ranges, and close pairs.
pub(crate) fn kinds(report: &KindReport, band: &str) -> String {
    let mut out =
        format!("\nBy kind of object, {} field{}\n", report.fields, if report.fields == 1 { "" } else { "s" });
    let head =
        ["kind", band, "stars", "galaxies", "found", "*->g", "* p<.01", "g->*", "no class", "AUC", "calibration"];
    let head = head.into_iter().chain(["(95 %)", "sure", "wrong", "p says", "sigma", "flagged"]);
    let mut classes = vec![head.map(str::to_owned).collect::<Vec<_>>()];
    let head = ["kind", band, "x px", "y px", "pull x", "pull y", "pull ra", "pull dec", "psf bias", "pull"];
    let mut measures = vec![head.map(str::to_owned).to_vec()];
    for group in &report.groups {
        let bins = KindReport::WIDE.iter().filter_map(|bin| group.bins.iter().find(|b| b.bin == *bin));
        for bin in bins.filter(|b| b.stars + b.galaxies >= FEWEST) {
            classes.push(class_row(group.group, bin));
            measures.push(measure_row(group.group, bin));
        }
    }
    out += &aligned(&classes);
    out += "*->g: stars called galaxies, g->*: galaxies called stars, of those with a class; sure: p < .05 or p > .95, with as \
            many wrong as p says\n(sigma: how far off, in binomial deviations); flagged: as saturated\n\n";
    out += &aligned(&measures);
    out += "of stars; bias in px or mag (measured minus true: medians); pulls: median and width of (measured - true) / stated \
            error\n\n";
    let rows = report.rows_without_own;
    out += &totals(report, band);
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "\nrows without a true object of their own: {} of {} ({}; {} of them children); without any within reach: {:.1} a field",
        rows.count,
        rows.of,
        figure(rows.share, 4),
        report.children_without_own,
        report.false_per_field
    );
    let pairs = report.pairs.iter().map(|p| {
        let (all, stars) = (share(&p.all, 2), share(&p.stars, 2));
        format!("{} px {all} of {} ({stars} of {})", p.separation_px, p.all.of, p.stars.of)
    });
    let _ = writeln!(
        out,
        "pairs of {band} < 21.5 at most 2 mag apart, both found (of stars): {}",
        pairs.collect::<Vec<_>>().join(", ")
    );
    out
}

fn class_row(group: Group, bin: &KindBin) -> Vec<String> {
    let c = &bin.classes;
    let calibration = c.calibration.as_ref();
    vec![
        group.name().into(),
        range(bin.bin),
        bin.stars.to_string(),
        bin.galaxies.to_string(),
        share(&bin.found, 3),
        share(&c.stars_called_galaxy, 3),
        share(&c.stars_below_01, 3),
        share(&c.galaxies_called_star, 3),
        share(&c.without_class, 3),
        figure(c.auc, 4),
        figure(calibration.map(|c| c.error), 3),
        calibration.map_or(DASH.into(), |c| format!("{:.3}-{:.3}", c.low, c.high)),
        c.sure.objects.to_string(),
        c.sure.wrong.to_string(),
        format!("{:.1}", c.sure.expected),
        c.sure.sigma.map_or(DASH.into(), |s| format!("{s:+.1}")),
        share(&bin.flagged_saturated, 3),
    ]
}

fn measure_row(group: Group, bin: &KindBin) -> Vec<String> {
    let stars = &bin.star_positions;
    let off = |d: &Option<Deviation>| d.map_or(DASH.into(), |d| format!("{:+.3}", d.off.median));
    let pull = |d: &Option<Deviation>| spread(d.and_then(|d| d.pull));
    let mut row = vec![group.name().into(), range(bin.bin), off(&stars.x), off(&stars.y)];
    row.extend([&stars.x, &stars.y, &stars.ra, &stars.dec].map(pull));
    let psf = bin.fluxes.iter().find(|f| f.flux == "psfFlux" && f.objects == Light::Stars);
    row.push(psf.map_or(DASH.into(), |f| format!("{:+.3}", f.mag.median)));
    row.push(spread(psf.and_then(|f| f.pull)));
    row
}

/// Every flux of stars and galaxies against the true total, alone and blended.
fn totals(report: &KindReport, band: &str) -> String {
    let head = ["light", "kind", band, "objects"].map(str::to_owned).into_iter();
    let fluxes = FluxKind::ALL.map(FluxKind::column);
    let head = head.chain(fluxes.iter().flat_map(|f| [(*f).to_owned(), "pull".to_owned()]));
    let mut table = vec![head.chain(["colours of model or Kron".to_owned()]).collect::<Vec<_>>()];
    let groups = || report.groups.iter().filter(|g| matches!(g.group, Group::Isolated | Group::Blended));
    for (light, group) in Light::ALL.into_iter().flat_map(|light| groups().map(move |group| (light, group))) {
        for bin in KindReport::WIDE.iter().filter_map(|bin| group.bins.iter().find(|b| b.bin == *bin)) {
            let of = |flux: &str| bin.fluxes.iter().find(|f| f.objects == light && f.flux == flux);
            let found: Vec<Option<&FluxDeviation>> = fluxes.iter().map(|flux| of(flux)).collect();
            let Some(total) = of("modelFlux").or(of("kronFlux")).filter(|f| f.mag.objects >= FEWEST) else { continue };
            let mut row =
                vec![light.name().into(), group.group.name().into(), range(bin.bin), total.mag.objects.to_string()];
            for flux in &found {
                row.push(flux.map_or(DASH.into(), |f| format!("{:+.3} ({:.3})", f.mag.median, f.mag.median_err)));
                row.push(spread(flux.and_then(|f| f.pull)));
            }
            let colours = total.colours.iter().map(|c| format!("{} {:+.3}", c.colour, c.mag.median));
            row.push(colours.collect::<Vec<_>>().join(", "));
            table.push(row);
        }
    }
    aligned(&table)
        + "measured minus true total, mag (standard error of the median), in the reference band; apFlux is of a circle\n"
}

/// By half magnitude, all kinds together: what was found, and how right the classes are.
fn halves(report: &DetectionReport, kinds: &KindReport, band: &str) -> String {
    let mut out = format!("\nAll kinds by half magnitude; completeness at {:.1} false a field", report.false_per_field);
    if report.cut_signal_to_noise > 0.0 {
        let _ = write!(out, ", rows under S/N {:.2} left out", report.cut_signal_to_noise);
    }
    out += "\n";
    let row = |bin: &FoundBin| {
        let error = bin.error_by_field.or(bin.found.error());
        let classes = kinds.find(Group::All, bin.bin.low, bin.bin.high).map(|b| &b.classes);
        let calibration = classes.and_then(|c| c.calibration.as_ref());
        vec![
            range(bin.bin),
            bin.found.of.to_string(),
            share(&bin.found, 4),
            figure(error, 4),
            figure(classes.and_then(|c| c.auc), 4),
            figure(calibration.map(|c| c.error), 3),
            calibration.map_or(DASH.into(), |c| format!("{:.3}-{:.3}", c.low, c.high)),
            figure(calibration.map(|c| c.of_chance), 3),
        ]
    };
    let head = [band, "objects", "complete", "error", "AUC", "calibration", "(95 %)", "of chance"];
    let head = head.map(str::to_owned).to_vec();
    out + &aligned(&std::iter::once(head).chain(report.bins.iter().map(row)).collect::<Vec<_>>())
}

fn of_repeats(report: &RepeatReport, band: &str) -> String {
    let mut out = format!("\nRepeats: {} skies in {} fields\n", report.skies, report.fields);
    let head =
        ["kind", band, "classed", "p moves", "starProbErr", "ratio", "pull ra", "pull dec", "psf", "kron", "model"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    let told = report.groups.iter().filter(|g| matches!(g.group, Group::All | Group::Isolated | Group::Blended));
    for (group, bin) in told.flat_map(|g| g.bins.iter().map(move |b| (g.group, b))) {
        let flux = |name: &str| spread(bin.fluxes.iter().find(|f| f.flux == name).map(|f| f.pull));
        let mut row = vec![group.name().into(), range(bin.bin), bin.classed.to_string()];
        row.extend([(bin.prob_rms, 4), (bin.prob_stated, 4), (bin.prob_ratio, 2)].map(|(v, digits)| figure(v, digits)));
        row.extend([spread(bin.ra), spread(bin.dec), flux("psfFlux"), flux("kronFlux"), flux("modelFlux")]);
        table.push(row);
    }
    out += &aligned(&table);
    out += "p moves: rms change of starProb about its mean over visits; ratio: to the stated error, where p moves by more than \
            .01;\npulls: differences between visits over their stated errors, median and width\n";
    out
}

fn of_pair(report: &PairedReport, band: &str) -> String {
    let [first, second] = report.false_per_field;
    let mut out =
        format!("\nAgainst the other catalogues, {} fields: {first:.1} and {second:.1} false a field", report.fields);
    if report.cut_signal_to_noise != [0.0; 2] {
        let [first, second] = report.cut_signal_to_noise;
        let _ = write!(out, ", rows under S/N {first:.2} and {second:.2} left out");
    }
    out += "\n";
    let head = [band, "objects", "found", "by the other", "difference", "error", "by field"];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    for bin in &report.bins {
        table.push(vec![
            range(bin.bin),
            bin.first.of.to_string(),
            share(&bin.first, 4),
            share(&bin.second, 4),
            format!("{:+.4}", bin.difference),
            format!("{:.4}", bin.error_by_object),
            figure(bin.error_by_field, 4),
        ]);
    }
    out + &aligned(&table)
}

fn share(share: &Share, digits: usize) -> String {
    figure(share.share, digits)
}

fn spread(spread: Option<Spread>) -> String {
    spread.map_or(DASH.into(), |s| format!("{:+.2} {:.2}", s.median, s.width))
}
