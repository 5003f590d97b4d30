//! What is found, at a number of false rows; and of two catalogues of the same fields, which finds more. They are paired
//! object by object, so that what the fields have in common does not blur the difference.

use serde::Serialize;

use super::Bin;
use super::kinds::{Judgement, KindRules};
use super::rows::{JudgedField, Row};
use super::statistics::Share;
use twinpeak_core::survey::Survey;

/// Completeness at a number of false rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DetectionReport {
    /// Number of fields.
    pub fields: usize,
    /// False rows a field.
    pub false_per_field: f64,
    /// Rows below this signal to noise (PSF fluxes of the shape bands) were left out to have that many; 0 for none.
    pub cut_signal_to_noise: f64,
    /// By half magnitude.
    pub bins: Vec<FoundBin>,
}

/// Objects of one half magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct FoundBin {
    /// True magnitudes in the reference band.
    pub bin: Bin,
    /// Those that a row has found.
    pub found: Share,
    /// Standard error of the share from the scatter between fields; null of fewer than three.
    pub error_by_field: Option<f64>,
}

impl DetectionReport {
    /// Of a catalogue of each field. With `false_per_field` the faintest rows are left out until no more are false.
    pub fn of(fields: &[JudgedField], false_per_field: Option<f64>, rules: &KindRules, survey: &Survey) -> Self {
        let detected = Detected::of(fields, false_per_field, rules, survey);
        let bin = |bin: Bin| {
            let inside = |k: usize| detected.fields[k].iter().filter(move |o| bin.holds(o.0)).map(|o| o.1);
            let found = Share::of((0..fields.len()).flat_map(inside));
            let field = |k: usize| inside(k).fold((0.0, 0.0), |(sum, n), f| (sum + f64::from(u8::from(f)), n + 1.0));
            let error_by_field = ratio_error((0..fields.len()).map(field));
            (found.of > 0).then_some(FoundBin { bin, found, error_by_field })
        };
        Self {
            fields: fields.len(),
            false_per_field: detected.false_per_field,
            cut_signal_to_noise: detected.cut,
            bins: Bin::halves().filter_map(bin).collect(),
        }
    }
}

/// Standard error of a ratio of two sums over fields, of each field's parts; `None` of fewer than three.
fn ratio_error(parts: impl Iterator<Item = (f64, f64)>) -> Option<f64> {
    let parts: Vec<(f64, f64)> = parts.collect();
    let (sum, n) = parts.iter().fold((0.0, 0.0), |(s, n), part| (s + part.0, n + part.1));
    let off: f64 = parts.iter().map(|part| (part.0 - sum / n * part.1).powi(2)).sum();
    let fields = parts.len() as f64;
    (parts.len() > 2).then(|| (off * fields / (fields - 1.0)).sqrt() / n)
}

/// Completeness of two catalogues at their numbers of false rows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairedReport {
    /// Number of fields.
    pub fields: usize,
    /// False rows a field of the first and the second.
    pub false_per_field: [f64; 2],
    /// Rows below this signal to noise (PSF fluxes of the shape bands) were left out to have that many; 0 for none.
    pub cut_signal_to_noise: [f64; 2],
    /// By half magnitude.
    pub bins: Vec<PairedBin>,
}

/// Objects of one half magnitude, by both catalogues.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct PairedBin {
    /// True magnitudes in the reference band.
    pub bin: Bin,
    /// Objects that the first has found.
    pub first: Share,
    /// Objects that the second has found.
    pub second: Share,
    /// Completeness of the first minus that of the second.
    pub difference: f64,
    /// Its standard error from the objects that one alone has found.
    pub error_by_object: f64,
    /// Its standard error from the scatter between fields; null of fewer than three.
    pub error_by_field: Option<f64>,
}

impl PairedReport {
    /// Compares two catalogues of each field: `first[k]` and `second[k]` have one truth. With `false_per_field` the faintest
    /// rows of each are left out until no more than so many are false.
    pub fn of(
        first: &[JudgedField],
        second: &[JudgedField],
        false_per_field: Option<f64>,
        rules: &KindRules,
        survey: &Survey,
    ) -> Self {
        let [first, second] = [first, second].map(|fields| Detected::of(fields, false_per_field, rules, survey));
        Self {
            fields: first.fields.len(),
            false_per_field: [first.false_per_field, second.false_per_field],
            cut_signal_to_noise: [first.cut, second.cut],
            bins: Bin::halves().filter_map(|bin| PairedBin::of(bin, &first, &second)).collect(),
        }
    }
}

/// Which true objects of each field a catalogue has found.
struct Detected {
    cut: f64,
    false_per_field: f64,
    /// Magnitude and whether it was found, of each true object of each field.
    fields: Vec<Vec<(f64, bool)>>,
}

impl Detected {
    fn of(fields: &[JudgedField], false_per_field: Option<f64>, rules: &KindRules, survey: &Survey) -> Self {
        let bands = survey.shape_bands();
        let strength = |row: &Row| row.signal_to_noise(&bands);
        let false_rows = |cut: f64| {
            let count = |field: &JudgedField| Judgement::of(&above(field, cut, &strength), rules).rows_false;
            fields.iter().map(count).sum::<usize>() as f64 / fields.len().max(1) as f64
        };
        let mut cut = 0.0;
        if let Some(most) = false_per_field.filter(|most| false_rows(0.0) > *most) {
            // Fewer rows are false the higher the cut.
            let (mut low, mut high) = (0.0, 1000.0);
            while high - low > 0.01 {
                let middle = 0.5 * (low + high);
                *(if false_rows(middle) > most { &mut low } else { &mut high }) = middle;
            }
            cut = high;
        }
        let detected = |field: &JudgedField| {
            let field = above(field, cut, &strength);
            Judgement::of(&field, rules)
                .objects
                .iter()
                .map(|o| (o.known.object.mag.unwrap_or(f64::NAN), o.is_found))
                .collect()
        };
        Self { cut, false_per_field: false_rows(cut), fields: fields.iter().map(detected).collect() }
    }
}

fn above(field: &JudgedField, cut: f64, strength: &impl Fn(&Row) -> f64) -> JudgedField {
    let rows = field.rows.iter().filter(|row| cut <= 0.0 || strength(row) >= cut).cloned().collect();
    JudgedField { rows, ..field.clone() }
}

impl PairedBin {
    fn of(bin: Bin, first: &Detected, second: &Detected) -> Option<Self> {
        let pairs = |k: usize| {
            let both = first.fields[k].iter().zip(&second.fields[k]);
            both.filter(move |(a, _)| bin.holds(a.0)).map(|(a, b)| (a.1, b.1))
        };
        let all: Vec<(bool, bool)> = (0..first.fields.len()).flat_map(pairs).collect();
        let n = all.len() as f64;
        let alone = |which: fn(&(bool, bool)) -> bool| all.iter().filter(|p| which(p)).count() as f64;
        let (ours, theirs) = (alone(|p| p.0 && !p.1), alone(|p| p.1 && !p.0));
        let difference = (ours - theirs) / n;
        let field = |k: usize| {
            pairs(k)
                .fold((0.0, 0.0), |(sum, n), (a, b)| (sum + f64::from(u8::from(a)) - f64::from(u8::from(b)), n + 1.0))
        };
        let by_field = ratio_error((0..first.fields.len()).map(field));
        (!all.is_empty()).then(|| Self {
            bin,
            first: Share::of(all.iter().map(|p| p.0)),
            second: Share::of(all.iter().map(|p| p.1)),
            difference,
            error_by_object: (ours + theirs - (ours - theirs).powi(2) / n).max(0.0).sqrt() / n,
            error_by_field: by_field,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{field, known, row, sdss};
    use super::*;

    #[test]
    fn the_difference_is_that_of_what_one_alone_has_found() {
        let truth: Vec<_> = (0..40).map(|i| known(i + 1, 30.0 + 20.0 * f64::from(i), true, 20.2)).collect();
        let found = |which: &dyn Fn(u32) -> bool| {
            let rows = truth.iter().filter(|k| which(k.id.unwrap())).map(|k| row(k, None, 0.0)).collect();
            field(rows, truth.clone())
        };
        let mut first = found(&|i| i != 1);
        let second = found(&|i| i != 1 && i % 10 != 0);
        // Two rows of little significance where nothing is.
        for x in [950.0, 970.0] {
            let mut nothing = row(&known(99, x, true, 23.0), None, 0.0);
            nothing.fluxes[0].iter_mut().for_each(|f| f.error = f.value / 3.0);
            first.rows.push(nothing);
        }
        let rules = KindRules::for_scale(0.396);
        let fields = |f: &JudgedField| vec![f.clone(), f.clone(), f.clone()];
        let compare = |most| PairedReport::of(&fields(&first), &fields(&second), most, &rules, &sdss());
        let report = compare(None);
        assert_eq!((report.fields, report.false_per_field), (3, [2.0, 0.0]));
        let [bin] = &report.bins[..] else { panic!("{report:?}") };
        assert_eq!((bin.first, bin.second), (Share::new(117, 120), Share::new(105, 120)));
        assert!((bin.difference - 0.1).abs() < 1e-12 && bin.error_by_field.unwrap() < 1e-9);
        // Twelve of 120 found by one alone: sqrt(12 - 144 / 120) / 120.
        assert!((bin.error_by_object - f64::sqrt(10.8) / 120.0).abs() < 1e-12);
        let cut = compare(Some(1.0));
        assert_eq!(cut.false_per_field, [0.0, 0.0]);
        assert!((cut.cut_signal_to_noise[0] - 3.0 * f64::sqrt(3.0)).abs() < 0.02, "{cut:?}");
        assert_eq!(cut.bins[0].first, Share::new(117, 120));
        let alone = DetectionReport::of(&fields(&second), None, &rules, &sdss());
        assert_eq!((alone.bins.len(), alone.bins[0].found, alone.false_per_field), (1, Share::new(105, 120), 0.0));
        assert!(alone.bins[0].error_by_field.unwrap() < 1e-9);
    }

    #[test]
    fn a_ratios_error_is_that_of_its_fields() {
        // np: r = sum(a)/sum(n); sqrt(3/2 * sum((a - r n)^2)) / sum(n)
        let error = ratio_error([(5.0, 10.0), (8.0, 10.0), (2.0, 10.0)].into_iter()).unwrap();
        assert!((error - f64::sqrt(1.5 * 18.0) / 30.0).abs() < 1e-12);
        assert_eq!(ratio_error([(5.0, 10.0), (8.0, 10.0)].into_iter()), None);
    }
}
