//! Splits a component by 0-dimensional persistence of its brightness, or of a score (Edelsbrunner, Letscher & Zomorodian 2002).
//!
//! The image is flooded from its brightest pixel down. A pixel that touches nothing starts a region. Where two
//! regions meet, the fainter is taken up by the brighter unless it rises far enough above the meeting point, in
//! noise and in its own height; if it does, both live on and the pixel joins the one it touches most. After one
//! sort the work is linear in the pixels.

use super::components::{Members, NOWHERE};

/// When a peak is an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    /// It rises by so much above where it meets a brighter one...
    pub(super) rise: f32,
    /// ...and this share of its own height.
    pub(super) ratio: f32,
    /// Most regions that live on.
    pub(super) max_children: usize,
    /// Smaller regions fall back to the sky.
    pub(super) min_area_px: usize,
}

/// A component's pixels by object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Split {
    /// The object of each pixel, or [`SKY`].
    pub(super) child: Vec<u32>,
    /// Number of objects, at least 1.
    pub(super) children: usize,
    /// Whether regions were merged because there were too many.
    pub(super) bound_hit: bool,
}

/// Of no object.
pub(super) const SKY: u32 = u32::MAX;

impl Split {
    /// The pixels of each object, in the order of `pixels`; those of the sky are left out.
    pub(super) fn parts<T: Copy>(&self, pixels: &[T]) -> Vec<Vec<T>> {
        let mut parts = vec![Vec::new(); self.children];
        for (pixel, &part) in pixels.iter().zip(&self.child) {
            if part != SKY {
                parts[part as usize].push(*pixel);
            }
        }
        parts
    }

    /// One object.
    pub(super) fn whole(pixels: usize) -> Self {
        Self { child: vec![0; pixels], children: 1, bound_hit: false }
    }
}

/// Splits a component of `pixels` (row, column), row by row, with their brightness in sigma.
pub(super) fn deblend(pixels: &[(u32, u32)], values: &[f32], members: &Members, rules: &Rules) -> Split {
    let mut regions = Regions::default();
    let mut region = vec![SKY; pixels.len()];
    let mut meetings: Vec<(u32, u32)> = Vec::new();
    for i in brightest_first(values) {
        let value = values[i];
        let mut touching = [0; 8];
        let mut n = 0;
        for place in members.around(pixels[i]) {
            if place != NOWHERE && region[place as usize] != SKY {
                touching[n] = regions.root(region[place as usize]);
                n += 1;
            }
        }
        let touching = &mut touching[..n];
        let Some(&first) = touching.first() else {
            region[i] = regions.begin(value);
            continue;
        };
        if touching.iter().all(|r| *r == first) {
            region[i] = first;
            continue;
        }
        let brightest = touching.iter().copied().reduce(|a, b| if regions.peak(b) > regions.peak(a) { b } else { a });
        let brightest = brightest.unwrap_or(first);
        for r in touching.iter_mut() {
            let peak = regions.peak(*r);
            if *r != brightest && peak - value < rules.rise.max(rules.ratio * peak) {
                regions.join(*r, brightest);
            }
        }
        touching.iter_mut().for_each(|r| *r = regions.root(*r));
        for &r in touching.iter().filter(|r| **r != brightest) {
            if meetings.last() != Some(&(r, brightest)) {
                meetings.push((r, brightest));
            }
        }
        let times = |r: u32| touching.iter().filter(|t| **t == r).count();
        let most = touching.iter().copied().reduce(|a, b| {
            let more = times(b).cmp(&times(a)).then(regions.peak(b).total_cmp(&regions.peak(a)));
            if more.is_gt() { b } else { a }
        });
        region[i] = most.unwrap_or(first);
    }
    let bound_hit = regions.keep_brightest(rules.max_children.max(1), &meetings);
    regions.number(region, rules.min_area_px, bound_hit)
}

/// Pixels from the brightest down; of equals, the first comes first.
fn brightest_first(values: &[f32]) -> impl Iterator<Item = usize> + use<> {
    let mut keys: Vec<u64> = values.iter().zip(0u64..).map(|(&v, i)| u64::from(!rising(v)) << 32 | i).collect();
    keys.sort_unstable();
    keys.into_iter().map(|key| (key & 0xFFFF_FFFF) as usize)
}

/// An integer that rises with a value; not a number is lowest.
pub(super) fn rising(v: f32) -> u32 {
    let v = if v.is_nan() { f32::NEG_INFINITY } else { v + 0.0 }; // -0 equals 0
    let bits = v.to_bits();
    if bits >> 31 == 1 { !bits } else { bits | 1 << 31 }
}

/// A forest of regions: a tree is one living region, its root the brightest peak in it.
#[derive(Default)]
struct Regions {
    parent: Vec<u32>,
    peak: Vec<f32>,
}

impl Regions {
    fn begin(&mut self, peak: f32) -> u32 {
        let region = self.parent.len() as u32;
        self.parent.push(region);
        self.peak.push(peak);
        region
    }

    fn root(&mut self, mut r: u32) -> u32 {
        while self.parent[r as usize] != r {
            let above = self.parent[self.parent[r as usize] as usize];
            self.parent[r as usize] = above;
            r = above;
        }
        r
    }

    fn peak(&self, r: u32) -> f32 {
        self.peak[r as usize]
    }

    fn join(&mut self, fainter: u32, brighter: u32) {
        self.parent[fainter as usize] = brighter;
    }

    /// Merges all but the `most` brightest living regions, each into the neighbour it met at the brightest pixel.
    /// `meetings` come in falling brightness. Whether there was anything to merge.
    fn keep_brightest(&mut self, most: usize, meetings: &[(u32, u32)]) -> bool {
        // Regions were begun from the brightest peak down.
        let mut living = (0..self.parent.len() as u32).filter(|&r| self.parent[r as usize] == r);
        let Some(first_too_many) = living.nth(most) else { return false };
        for &(a, b) in meetings {
            let (a, b) = (self.root(a), self.root(b));
            if a != b && a.max(b) >= first_too_many {
                self.join(a.max(b), a.min(b));
            }
        }
        true
    }

    /// Numbers the living regions that are large enough. If none is, the component is one object: it was found as
    /// a whole.
    fn number(&mut self, mut region: Vec<u32>, min_area_px: usize, bound_hit: bool) -> Split {
        let mut area = vec![0usize; self.parent.len()];
        for r in &mut region {
            *r = self.root(*r);
            area[*r as usize] += 1;
        }
        let mut children = 0;
        let number: Vec<u32> = area
            .iter()
            .map(|&area| {
                let kept = area > 0 && area >= min_area_px;
                children += u32::from(kept);
                if kept { children - 1 } else { SKY }
            })
            .collect();
        if children == 0 {
            return Split { bound_hit, ..Split::whole(region.len()) };
        }
        let child = region.into_iter().map(|r| number[r as usize]).collect();
        Split { child, children: children as usize, bound_hit }
    }
}
