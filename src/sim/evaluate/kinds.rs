//! Objects by what makes them hard: neighbours, saturation, the frame's edge; each with the row that found it.

use serde::Serialize;

use super::matching::{brightest_first, within};
use super::rows::{JudgedField, Known, Row};

/// What makes an object hard, or not. An object is of one kind: the edge goes before saturation, and that before
/// neighbours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// No neighbour within 8 px.
    Isolated,
    /// The nearest neighbour within 8 px, not within 4.
    Near,
    /// A neighbour within 4 px.
    Touching,
    /// Its core is saturated.
    Saturated,
    /// Within 25 px of the frame's edge.
    Edge,
}

/// Kinds that are reported together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Every object.
    All,
    /// Those without a neighbour.
    Isolated,
    /// Those with a neighbour within 8 px.
    Blended,
    /// Of these, 4 to 8 px.
    Near,
    /// Of these, less than 4 px.
    Touching,
    /// Those with a neighbour within 8 px that is at most 2 mag fainter than they are, saturated or not: what hurts. Edges
    /// are left out.
    BesideBright,
    /// Of these, the nearest such neighbour at 4 to 8 px.
    BesideBrightNear,
    /// Of these, nearer than 4 px.
    BesideBrightTouching,
    /// Those without such a neighbour, edges left out.
    WithoutBright,
    /// Those with a saturated core.
    Saturated,
    /// Those at the frame's edge.
    Edge,
}

impl Group {
    /// All of them, in the order of the report.
    pub const ALL: [Self; 11] = [
        Self::All,
        Self::Isolated,
        Self::Blended,
        Self::Near,
        Self::Touching,
        Self::WithoutBright,
        Self::BesideBright,
        Self::BesideBrightNear,
        Self::BesideBrightTouching,
        Self::Saturated,
        Self::Edge,
    ];

    /// Whether an object is in it.
    pub fn holds(self, object: &Judged) -> bool {
        let kind = object.kind;
        let bright = object.bright_neighbour;
        match self {
            Self::All => true,
            Self::Isolated => kind == Kind::Isolated,
            Self::Blended => matches!(kind, Kind::Near | Kind::Touching),
            Self::Near => kind == Kind::Near,
            Self::Touching => kind == Kind::Touching,
            Self::WithoutBright => kind != Kind::Edge && bright.is_none(),
            Self::BesideBright => kind != Kind::Edge && bright.is_some(),
            Self::BesideBrightNear => kind != Kind::Edge && bright == Some(Kind::Near),
            Self::BesideBrightTouching => kind != Kind::Edge && bright == Some(Kind::Touching),
            Self::Saturated => kind == Kind::Saturated,
            Self::Edge => kind == Kind::Edge,
        }
    }

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Isolated => "isolated",
            Self::Blended => "blended, < 8 px",
            Self::Near => "of these 4-8 px",
            Self::Touching => "of these < 4 px",
            Self::WithoutBright => "no bright one < 8 px",
            Self::BesideBright => "beside a bright one",
            Self::BesideBrightNear => "of these 4-8 px",
            Self::BesideBrightTouching => "of these < 4 px",
            Self::Saturated => "saturated",
            Self::Edge => "edge, < 25 px",
        }
    }
}

/// How objects are judged by kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct KindRules {
    /// A neighbour is a true object within this, px.
    pub neighbour_px: f64,
    /// A neighbour within this touches, px.
    pub touching_px: f64,
    /// A bright neighbour is at most this much fainter; others are of any magnitude.
    pub bright_neighbour_mag: f64,
    /// An object within this of the frame's edge is at the edge, px.
    pub edge_px: f64,
    /// A row within this of a true object measures it, px: the brightest true object chooses first.
    pub measured_px: f64,
    /// A row within this of a true object has found it, px; the brightest chooses first here too.
    pub found_px: f64,
    /// A row is false where no true object brighter than this is within `found_px`.
    pub false_mag: f64,
}

impl KindRules {
    /// For pixels of this size: measured within 1 arcsec, found within 2.
    pub fn for_scale(pixel_scale_arcsec: f64) -> Self {
        Self {
            neighbour_px: 8.0,
            touching_px: 4.0,
            bright_neighbour_mag: 2.0,
            edge_px: 25.0,
            measured_px: 0.99 / pixel_scale_arcsec,
            found_px: 2.0 / pixel_scale_arcsec,
            false_mag: 24.0,
        }
    }
}

/// A true object with the row that measures it.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// What it is.
    pub known: &'a Known,
    /// What makes it hard.
    pub kind: Kind,
    /// Whether its nearest bright neighbour is near or touches; `None` without one.
    pub bright_neighbour: Option<Kind>,
    /// Its magnitude in the reference band: the truth's, else the row's; NaN without either.
    pub mag: f64,
    /// The row that measures it.
    pub row: Option<&'a Row>,
    /// Whether a row has found it.
    pub is_found: bool,
}

/// A field's objects with their rows, and the rows that are nobody's.
#[derive(Clone, Debug)]
pub struct Judgement<'a> {
    /// Every true object of the field, in the truth's order.
    pub objects: Vec<Judged<'a>>,
    /// Number of rows.
    pub rows: usize,
    /// Rows without a true object of their own.
    pub rows_without_own: usize,
    /// Of these, those that name a parent.
    pub children_without_own: usize,
    /// Rows near no true object that could be seen.
    pub rows_false: usize,
}

impl<'a> Judgement<'a> {
    /// Gives every true object of a field its row and kind.
    pub fn of(field: &'a JudgedField, rules: &KindRules) -> Self {
        let places: Vec<_> = field.known.iter().map(|k| (k.object.x, k.object.y)).collect();
        let rows: Vec<_> = field.rows.iter().map(|r| (r.x.value, r.y.value)).collect();
        let mags: Vec<f64> = field.known.iter().map(|k| k.object.mag.unwrap_or(f64::NAN)).collect();
        let measured = brightest_first(&places, &mags, &rows, rules.measured_px);
        let found = brightest_first(&places, &mags, &rows, rules.found_px);
        let neighbours = within(&places, &places, rules.neighbour_px);
        let judged = |k: usize| {
            let (known, row) = (&field.known[k], measured[k].map(|r| &field.rows[r]));
            let nearest = |limit_mag: f64| {
                let others = neighbours[k].iter().filter(|(_, other)| *other != k);
                // Without magnitudes every neighbour counts.
                let fainter = |other: usize| mags[other] - mags[k];
                let bright = others.filter(|(_, other)| fainter(*other).is_nan() || fainter(*other) < limit_mag);
                match bright.map(|n| n.0).fold(f64::INFINITY, f64::min) {
                    d if d < rules.touching_px => Some(Kind::Touching),
                    d if d < rules.neighbour_px => Some(Kind::Near),
                    _ => None,
                }
            };
            let is_saturated = known.is_saturated.unwrap_or_else(|| row.is_some_and(Row::is_flagged_saturated));
            let kind = match nearest(f64::INFINITY) {
                _ if field.size.is_some_and(|size| is_at_edge(places[k], size, rules.edge_px)) => Kind::Edge,
                _ if is_saturated => Kind::Saturated,
                neighbour => neighbour.unwrap_or(Kind::Isolated),
            };
            let bright_neighbour = nearest(rules.bright_neighbour_mag);
            let mag = known.object.mag.or(row.map(|r| r.mag)).unwrap_or(f64::NAN);
            Judged { known, kind, bright_neighbour, mag, row, is_found: found[k].is_some() }
        };
        let mut owned = vec![false; rows.len()];
        found.iter().flatten().for_each(|&row| owned[row] = true);
        let without_own = || field.rows.iter().zip(&owned).filter(|(_, owned)| !**owned).map(|(row, _)| row);
        let seen: Vec<_> = (0..places.len()).filter(|&k| mags[k].is_nan() || mags[k] < rules.false_mag).collect();
        let seen: Vec<_> = seen.into_iter().map(|k| places[k]).collect();
        Self {
            objects: (0..places.len()).map(judged).collect(),
            rows: rows.len(),
            rows_without_own: without_own().count(),
            children_without_own: without_own().filter(|row| row.has_parent).count(),
            rows_false: within(&rows, &seen, rules.found_px).iter().filter(|near| near.is_empty()).count(),
        }
    }
}

fn is_at_edge((x, y): (f64, f64), (width, height): (usize, usize), edge: f64) -> bool {
    x < edge || y < edge || x > width as f64 - 1.0 - edge || y > height as f64 - 1.0 - edge
}
