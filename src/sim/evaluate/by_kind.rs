//! The report by kind of object and by magnitude, over any number of fields.

use serde::Serialize;

use super::Bin;
use super::classes::Classes;
use super::kinds::{Group, Judged, Judgement, KindRules};
use super::measures::{FluxDeviation, Positions, Shapes, fluxes};
use super::pairs::{PairsAt, pairs};
use super::rows::JudgedField;
use super::statistics::Share;
use twinpeak_core::survey::Survey;

/// How right catalogues are, kind by kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindReport {
    /// Number of fields.
    pub fields: usize,
    /// The definitions that hold.
    pub rules: KindRules,
    /// Rows that are nobody's: no true object has them for its own within `rules.found_px`.
    pub rows_without_own: Share,
    /// Of these, those that name a parent: parts of a larger object.
    pub children_without_own: usize,
    /// Rows with no true object brighter than `rules.false_mag` within `rules.found_px`, a field.
    pub false_per_field: f64,
    /// Each group of kinds that holds anything.
    pub groups: Vec<GroupReport>,
    /// Close pairs, by separation.
    pub pairs: Vec<PairsAt>,
}

/// One group of kinds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct GroupReport {
    /// Which.
    pub group: Group,
    /// Number of its objects, whatever their magnitude.
    pub objects: usize,
    /// By magnitude: the wide ranges, then each half magnitude that holds anything.
    pub bins: Vec<KindBin>,
}

/// Objects of one group and one range of magnitudes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct KindBin {
    /// True magnitudes in the reference band.
    pub bin: Bin,
    /// Stars and quasars among them.
    pub stars: usize,
    /// Galaxies among them.
    pub galaxies: usize,
    /// Objects that a row has found, within `found_px`.
    pub found: Share,
    /// Objects that a row measures, within `measured_px`.
    pub measured: Share,
    /// Of these, those whose row is flagged as saturated.
    pub flagged_saturated: Share,
    /// Their classes.
    pub classes: Classes,
    /// Positions of the stars.
    pub star_positions: Positions,
    /// Positions of the galaxies.
    pub galaxy_positions: Positions,
    /// Shapes of the galaxies.
    pub shapes: Shapes,
    /// Fluxes, by column and kind of light.
    pub fluxes: Vec<FluxDeviation>,
}

impl KindReport {
    /// The ranges in which kinds are compared.
    pub const WIDE: [Bin; 7] = [
        Bin { low: 14.0, high: 22.0 },
        Bin { low: 12.0, high: 14.6 },
        Bin { low: 14.6, high: 16.0 },
        Bin { low: 16.0, high: 19.0 },
        Bin { low: 19.0, high: 20.5 },
        Bin { low: 20.5, high: 22.0 },
        Bin { low: 22.0, high: 23.0 },
    ];

    /// Judges the fields together; a function of its arguments alone.
    pub fn of(fields: &[JudgedField], rules: &KindRules, survey: &Survey) -> Self {
        let judged: Vec<Judgement> = fields.iter().map(|field| Judgement::of(field, rules)).collect();
        let sum = |count: fn(&Judgement) -> usize| judged.iter().map(count).sum::<usize>();
        let group = |group: Group| {
            let objects: Vec<&Judged> = judged.iter().flat_map(|j| &j.objects).filter(|o| group.holds(o)).collect();
            let bins = Self::WIDE.into_iter().chain(Bin::halves());
            let bins = bins.filter_map(|bin| KindBin::of(bin, &objects, survey)).collect();
            (!objects.is_empty()).then_some(GroupReport { group, objects: objects.len(), bins })
        };
        Self {
            fields: fields.len(),
            rules: *rules,
            rows_without_own: Share::new(sum(|j| j.rows_without_own), sum(|j| j.rows)),
            children_without_own: sum(|j| j.children_without_own),
            false_per_field: sum(|j| j.rows_false) as f64 / fields.len().max(1) as f64,
            groups: Group::ALL.into_iter().filter_map(group).collect(),
            pairs: pairs(&judged),
        }
    }

    /// A group's objects of a range.
    pub fn find(&self, group: Group, low: f64, high: f64) -> Option<&KindBin> {
        let bins = &self.groups.iter().find(|g| g.group == group)?.bins;
        bins.iter().find(|b| b.bin == Bin { low, high })
    }
}

impl KindBin {
    fn of(bin: Bin, objects: &[&Judged], survey: &Survey) -> Option<Self> {
        let inside: Vec<&Judged> = objects.iter().filter(|o| bin.holds(o.mag)).copied().collect();
        let (stars, galaxies): (Vec<&Judged>, Vec<&Judged>) = inside.iter().partition(|o| o.known.object.star);
        (!inside.is_empty()).then(|| Self {
            bin,
            stars: stars.len(),
            galaxies: galaxies.len(),
            found: Share::of(inside.iter().map(|o| o.is_found)),
            measured: Share::of(inside.iter().map(|o| o.row.is_some())),
            flagged_saturated: Share::of(inside.iter().filter_map(|o| Some(o.row?.is_flagged_saturated()))),
            classes: Classes::of(&inside),
            star_positions: Positions::of(&stars),
            galaxy_positions: Positions::of(&galaxies),
            shapes: Shapes::of(&inside),
            fluxes: fluxes(&inside, survey),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{field, known, row, sdss};
    use super::*;

    #[test]
    fn objects_are_told_by_kind() {
        let known = vec![
            known(1, 100.0, true, 18.0),  // alone
            known(2, 200.0, true, 18.0),  // 6 px from the next
            known(3, 206.0, false, 21.9), // found, but measured by nothing within 2.5 px
            known(4, 300.0, true, 18.0),  // 3 px from the next
            known(5, 303.0, false, 18.0), // missed
            known(6, 10.0, true, 18.0),   // at the edge
            known(7, 500.0, true, 18.0),  // flagged as saturated, and no class
            known(8, 600.0, false, 18.0), // alone
        ];
        let mut rows: Vec<Row> = [(0, 0.9), (1, 0.001), (3, 0.3), (5, 0.9), (6, 0.2), (7, 0.97)]
            .map(|(k, p)| row(&known[k], Some(p), 0.5))
            .into();
        (rows[4].flags, rows[4].star_prob) = (4, None);
        rows.push(Row { x: Measured { value: 210.5, error: 0.1 }, ..rows[1].clone() });
        rows.push(Row { x: Measured { value: 800.0, error: 0.1 }, ..rows[1].clone() }); // nothing is there
        let field = field(rows, known);
        let rules = KindRules::for_scale(0.396);
        let report = KindReport::of(&[field], &rules, &sdss());
        let of = |group| report.find(group, 16.0, 19.0).unwrap();
        let count = |g| report.find(g, 16.0, 19.0).map_or((0, 0), |b| (b.stars, b.galaxies));
        let [all, isolated, blended, near, touching, without, beside, beside_near, beside_touching, saturated, edge] =
            Group::ALL.map(count);
        assert_eq!([all, isolated, blended, near, touching], [(5, 2), (1, 1), (2, 1), (1, 0), (1, 1)]);
        // A neighbour fainter by 3.9 mag is none that hurts.
        assert_eq!([without, beside, beside_near, beside_touching], [(3, 1), (1, 1), (0, 0), (1, 1)]);
        assert_eq!([saturated, edge], [(1, 0), (1, 0)]);
        let all = of(Group::All);
        assert_eq!((all.found.count, all.measured.count), (6, 6));
        assert_eq!((all.classes.stars_called_galaxy, all.classes.stars_below_01), (Share::new(2, 4), Share::new(1, 4)));
        assert_eq!(all.flagged_saturated, Share::new(1, 6));
        assert_eq!(all.classes.galaxies_called_star, Share::new(1, 1));
        assert_eq!((all.classes.without_class, all.classes.sure.wrong), (Share::new(1, 6), 2));
        let x = all.star_positions.x.unwrap();
        assert!((x.off.median - 0.025).abs() < 1e-9 && (x.pull.unwrap().median - 0.5).abs() < 1e-9);
        assert!((all.star_positions.ra.unwrap().pull.unwrap().median - 0.5).abs() < 1e-6);
        let psf = &all.fluxes[0];
        assert_eq!((psf.flux, psf.mag.objects, all.fluxes.len()), ("psfFlux", 5, 1));
        assert!((psf.mag.median + 2.5 * 1.005f64.log10()).abs() < 1e-9 && psf.colours[0].mag.median.abs() < 1e-9);
        assert!((psf.pull.unwrap().median - 0.5).abs() < 1e-9 && psf.pull.unwrap().width < 1e-6);
        // The row 4.5 px from the third found it and does not measure it.
        let faint = report.find(Group::Near, 20.5, 22.0).unwrap();
        assert_eq!((faint.found.count, faint.measured.count), (1, 0));
        assert_eq!((report.rows_without_own, report.false_per_field), (Share::new(1, 8), 1.0));
        let at = |px| report.pairs.iter().find(|p| p.separation_px == px).unwrap().all;
        assert_eq!((at(3), at(6)), (Share::new(0, 1), Share::default())); // the other pair differs by 3.9 mag
    }

    use super::super::{Measured, Row};
}
