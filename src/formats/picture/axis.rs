//! An axis of a chart: where values lie on it and how it is labelled.

/// An axis.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Axis {
    /// What it shows, with the unit.
    pub label: String,
    /// From where to where; absent: what the points need.
    pub range: Option<(f64, f64)>,
    /// Logarithmic: values of 0 and below are not drawn.
    pub logarithmic: bool,
}

impl Axis {
    /// A linear axis that fits the points.
    pub fn named(label: &str) -> Self {
        Self { label: label.to_owned(), ..Self::default() }
    }

    /// The same from `low` to `high`.
    pub fn within(self, low: f64, high: f64) -> Self {
        Self { range: Some((low, high)), ..self }
    }

    /// The same with a logarithmic scale.
    pub fn logarithmic(self) -> Self {
        Self { logarithmic: true, ..self }
    }

    /// Where a value lies on the axis; not finite where it lies nowhere.
    pub(super) fn place(&self, value: f64) -> f64 {
        if self.logarithmic { if value > 0.0 { value.log10() } else { f64::NAN } } else { value }
    }

    /// The axis's ends, as places.
    pub(super) fn ends(&self, values: impl Iterator<Item = f64>) -> (f64, f64) {
        if let Some((low, high)) = self.range.map(|(a, b)| (self.place(a), self.place(b)))
            && low.is_finite()
            && high.is_finite()
            && low != high
        {
            return (low, high);
        }
        let finite = values.map(|v| self.place(v)).filter(|v| v.is_finite());
        let (low, high) = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
        if low > high {
            return (0.0, 1.0);
        }
        let margin = if high > low { 0.04 * (high - low) } else { 0.5 * low.abs().max(1.0) };
        (low - margin, high + margin)
    }

    /// How many labels at most: one a power of ten where a logarithmic axis has several.
    pub(super) fn labels(&self, length: f64) -> usize {
        if self.logarithmic && length.abs() >= 2.0 { (length.abs() as usize + 1).min(9) } else { 9 }
    }

    /// A place's label: enough decimals to tell neighbours on an axis of this length apart.
    pub(super) fn text(&self, place: f64, length: f64) -> String {
        if self.logarithmic {
            let value = 10f64.powf(place);
            return if (1e-3..1e5).contains(&value) { significant(value) } else { format!("{value:.1e}") };
        }
        let decimals = (1.0 - length.abs().log10()).ceil().clamp(0.0, 8.0) as usize;
        let text = format!("{place:.decimals$}");
        if text.trim_start_matches(['-', '0', '.']).is_empty() { text.replace('-', "") } else { text }
    }
}

/// Three significant digits without trailing zeros.
fn significant(value: f64) -> String {
    let decimals = (2.0 - value.abs().log10().floor()).clamp(0.0, 6.0) as usize;
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_tell_neighbours_apart() {
        let axis = Axis::named("");
        assert_eq!(
            (axis.text(0.5, 1.0), axis.text(-0.0, 1.0), axis.text(1500.0, 4000.0)),
            ("0.5".into(), "0.0".into(), "1500".into())
        );
        let log = axis.logarithmic();
        assert_eq!(
            (log.text(2.0, 5.0), log.text(-0.5, 5.0), log.text(-6.0, 9.0)),
            ("100".into(), "0.316".into(), "1.0e-6".into())
        );
    }
}
