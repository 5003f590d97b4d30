//! The same sky more than once: how far a measurement moves from visit to visit, over how far it says it would.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Bin;
use super::kinds::{Group, Judged, Judgement, KindRules};
use super::rows::{FluxKind, JudgedField, Row};
use super::statistics::Spread;
use twinpeak_core::survey::Survey;

/// Of objects that were measured at two visits or more.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatReport {
    /// Number of skies that were visited more than once.
    pub skies: usize,
    /// Number of fields, all visits counted.
    pub fields: usize,
    /// Groups by kind (of the first visit at which the object was measured), each by half magnitude.
    pub groups: Vec<RepeatGroup>,
}

/// One group of kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatGroup {
    /// Which.
    pub group: Group,
    /// By magnitude.
    pub bins: Vec<RepeatBin>,
}

/// Objects of one range of magnitudes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RepeatBin {
    /// True magnitudes in the reference band.
    pub bin: Bin,
    /// Number of objects with a class at two visits or more.
    pub classed: usize,
    /// Root mean square of p's change about its mean over visits.
    pub prob_rms: Option<f64>,
    /// Root mean square of the stated starProbErr.
    pub prob_stated: Option<f64>,
    /// The one over the other: 1 where the error is true. Told only where p moves by more than .01.
    pub prob_ratio: Option<f64>,
    /// Differences between two visits over their stated errors, of right ascension.
    pub ra: Option<Spread>,
    /// The same of declination.
    pub dec: Option<Spread>,
    /// The same of each flux that the catalogue has, in the reference band.
    pub fluxes: Vec<FluxChange>,
}

/// Changes of one kind of flux.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FluxChange {
    /// Column without the band.
    pub flux: &'static str,
    /// Differences over stated errors.
    pub pull: Spread,
}

/// p moves where its changes are more than this.
const MOVES: f64 = 0.01;

/// One object at the visits that measured it.
struct Visited<'a> {
    first: Judged<'a>,
    rows: Vec<&'a Row>,
}

impl RepeatReport {
    /// Of all fields whose sky was visited more than once; `None` where there is none.
    pub fn of(fields: &[JudgedField], rules: &KindRules, survey: &Survey) -> Option<Self> {
        let mut skies: BTreeMap<&str, Vec<&JudgedField>> = BTreeMap::new();
        fields.iter().for_each(|f| skies.entry(&f.sky).or_default().push(f));
        skies.retain(|_, visits| visits.len() > 1);
        let objects: Vec<Visited> = skies.values().flat_map(|visits| visited(visits, rules)).collect();
        let group = |group: Group| {
            let chosen: Vec<&Visited> = objects.iter().filter(|v| group.holds(&v.first)).collect();
            let bins: Vec<_> = Bin::halves().filter_map(|bin| RepeatBin::of(bin, &chosen, survey)).collect();
            (!bins.is_empty()).then_some(RepeatGroup { group, bins })
        };
        let fields = skies.values().map(Vec::len).sum();
        (!skies.is_empty()).then(|| Self {
            skies: skies.len(),
            fields,
            groups: Group::ALL.into_iter().filter_map(group).collect(),
        })
    }
}

fn visited<'a>(visits: &[&'a JudgedField], rules: &KindRules) -> Vec<Visited<'a>> {
    let mut objects: BTreeMap<u32, Visited> = BTreeMap::new();
    for visit in visits {
        for object in Judgement::of(visit, rules).objects {
            let Some((id, row)) = object.known.id.zip(object.row) else { continue };
            objects.entry(id).or_insert(Visited { first: object, rows: Vec::new() }).rows.push(row);
        }
    }
    objects.into_values().filter(|v| v.rows.len() > 1).collect()
}

impl RepeatBin {
    fn of(bin: Bin, objects: &[&Visited], survey: &Survey) -> Option<Self> {
        let inside: Vec<&Visited> = objects.iter().filter(|v| bin.holds(v.first.mag)).copied().collect();
        let (mut classed, mut moved, mut stated) = (0, 0.0, 0.0);
        for object in &inside {
            let probs: Vec<(f64, f64)> =
                object.rows.iter().filter_map(|r| Some((r.star_prob?, r.star_prob_err?))).collect();
            let n = probs.len() as f64;
            if probs.len() < 2 {
                continue;
            }
            let mean = probs.iter().map(|p| p.0).sum::<f64>() / n;
            moved += probs.iter().map(|p| (p.0 - mean).powi(2)).sum::<f64>() / (n - 1.0);
            stated += probs.iter().map(|p| p.1.powi(2)).sum::<f64>() / n;
            classed += 1;
        }
        let rms = |sum: f64| (classed > 0).then(|| (sum / f64::from(classed)).sqrt());
        let (prob_rms, prob_stated) = (rms(moved), rms(stated));
        let ratio = prob_rms.zip(prob_stated).filter(|(rms, stated)| *rms > MOVES && *stated > 0.0);
        let flux = |kind: FluxKind| {
            let r = survey.reference();
            let value = move |row: &Row| (row.flux(kind)[r].value, row.flux(kind)[r].error);
            Some(FluxChange { flux: kind.column(), pull: changes(&inside, value)? })
        };
        (!inside.is_empty()).then(|| Self {
            bin,
            classed: classed as usize,
            prob_rms,
            prob_stated,
            prob_ratio: ratio.map(|(rms, stated)| rms / stated),
            ra: changes(&inside, |row| {
                let cos = row.dec.value.to_radians().cos();
                (row.ra.value * cos, row.ra.error)
            }),
            dec: changes(&inside, |row| (row.dec.value, row.dec.error)),
            fluxes: FluxKind::ALL.into_iter().filter_map(flux).collect(),
        })
    }
}

/// Differences between the first and the second, the third and the fourth visit and so on, over their errors.
fn changes(objects: &[&Visited], value: impl Fn(&Row) -> (f64, f64)) -> Option<Spread> {
    let change = |pair: &[&Row]| {
        let ((a, a_err), (b, b_err)) = (value(pair[0]), value(pair[1]));
        (b - a) / a_err.hypot(b_err)
    };
    Spread::of(objects.iter().flat_map(|v| v.rows.chunks_exact(2)).map(change))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{field, known, row, sdss};
    use super::*;

    #[test]
    fn a_stated_error_is_held_against_what_moves() {
        // 40 objects at two visits, p .4 and .6 in turn, errors of .1 stated: the standard deviation is sqrt(.02).
        let truth: Vec<_> = (0..40).map(|i| known(i + 1, 30.0 + 20.0 * f64::from(i), true, 20.2)).collect();
        let visit = |odd: u32, image: &str| {
            let prob = |i: u32| if i % 2 == odd { 0.4 } else { 0.6 };
            let pull = |i: u32| if (i + odd) % 4 < 2 { 1.0 } else { -1.0 };
            let rows = truth.iter().zip(0..).map(|(k, i)| row(k, Some(prob(i)), pull(i))).collect();
            JudgedField { image: image.into(), sky: "s".into(), ..field(rows, truth.clone()) }
        };
        let rules = KindRules::for_scale(0.396);
        let report = RepeatReport::of(&[visit(0, "a"), visit(1, "b")], &rules, &sdss()).unwrap();
        assert_eq!((report.skies, report.fields), (1, 2));
        let bin = &report.groups[0].bins[0];
        assert_eq!((bin.bin, bin.classed), (Bin { low: 20.0, high: 20.5 }, 40));
        assert!((bin.prob_rms.unwrap() - f64::sqrt(0.02)).abs() < 1e-9);
        assert!((bin.prob_ratio.unwrap() - f64::sqrt(2.0)).abs() < 1e-9);
        // Pulls of a half of the objects stay, a half move by 2 errors: sqrt(2) in units of both visits' errors.
        let ra = bin.ra.unwrap();
        assert!(ra.objects == 40 && ra.width < 1.4826 * 1.5, "{ra:?}");
        assert_eq!(bin.fluxes[0].flux, "psfFlux");
        assert_eq!(RepeatReport::of(&[visit(0, "a")], &rules, &sdss()), None);
    }
}
