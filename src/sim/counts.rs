//! Number counts: (magnitude, log10 of objects per magnitude) at points, straight between, lasting to the ends.

/// Counts that last to `faintest`, with the slope of their last piece: a deep survey sees fainter objects.
pub(super) fn reaching(counts: &[(f64, f64)], faintest: f64) -> Vec<(f64, f64)> {
    let mut counts = counts.to_vec();
    if let [.., (r0, log0), (r1, log1)] = counts[..]
        && faintest > r1
    {
        counts.push((faintest, log1 + (log1 - log0) / (r1 - r0) * (faintest - r1)));
    }
    counts
}

/// Objects brighter than `faint` in each straight piece of the counts.
fn pieces(counts: &[(f64, f64)], faint: f64) -> impl Iterator<Item = ([f64; 2], f64, f64)> {
    counts.windows(2).filter(move |p| p[0].0 < faint).map(move |p| {
        let ([(r0, log0), (r1, log1)], ln10) = ([p[0], p[1]], std::f64::consts::LN_10);
        let slope = ln10 * (log1 - log0) / (r1 - r0);
        let end = r1.min(faint);
        ([r0, end], slope, 10f64.powf(log0) * (slope * (end - r0)).exp_m1() / slope)
    })
}

/// Objects brighter than `faint`.
pub(super) fn number(counts: &[(f64, f64)], faint: f64) -> f64 {
    pieces(counts, faint).map(|p| p.2).sum()
}

/// The magnitude below which the fraction `share` of all objects lies.
pub(super) fn magnitude(counts: &[(f64, f64)], share: f64) -> f64 {
    let mut left = share * number(counts, f64::INFINITY);
    let mut faintest = counts[0].0;
    for ([r0, r1], slope, n) in pieces(counts, f64::INFINITY) {
        if left < n {
            return r0 + (left / n * (slope * (r1 - r0)).exp_m1()).ln_1p() / slope;
        }
        (left, faintest) = (left - n, r1);
    }
    faintest
}
