//! Trails of satellites and aeroplanes: straight, narrow, as bright at one end as at the other, and in one band.
//!
//! A band is averaged in blocks, clipped so that no star says much. Blocks that stand out of those around them vote
//! for every line through them (Hough 1962, Duda & Hart 1972). A line is believed where it is brighter than the lines
//! beside it in segment after segment. Galaxies seen from the side and diffraction spikes are straight and narrow
//! too, but they end within the frame and are in every band: such a line is a trail only if no other band has it, or
//! if it crosses the whole frame. Bleeding runs along columns, through saturated pixels, and fades. Trails that are short or
//! curved are in one band alone ([`alone`]).

pub(super) mod alone;

use crate::frame::{Band, Plane, mask};

/// Pixels that say nothing of light; a saturated one does.
const DARK: u8 = mask::BAD | mask::NO_DATA;
/// Sides of the blocks, px: the first for narrow trails, the second for those out of focus.
const BLOCKS_PX: [usize; 2] = [4, 16];
/// A pixel counts between these, sigma.
const CLIP_SIGMA: (f32, f32) = (-3.0, 5.0);
/// A block votes that stands out by so many of its own sigma.
const VOTE_SIGMA: f32 = 2.5;
/// Most votes that are counted; evenly thinned beyond.
const MOST_VOTES: usize = 8000;
/// Directions of lines.
const ANGLES: usize = 720;
/// Lines that are looked at in a band.
const CANDIDATES: usize = 12;
/// Distance to the lines beside, blocks.
const BESIDE: f32 = 4.0;
/// Length of a segment, px.
const SEGMENT_PX: usize = 64;
/// Contrast of a segment that is lit, sigma of a block.
const LIT_SIGMA: f32 = 1.5;
/// What a quarter of the blocks of empty sky are below, sigma of a block.
const QUARTER_OF_SKY: f32 = -0.67;
/// Segments in a row that may be dark: a star, a defect.
const GAP: usize = 2;
/// Shortest trail, px.
const SHORTEST_PX: f32 = 384.0;
/// A line crosses the frame if this share of its way through it is lit.
const CROSSES: f32 = 0.9;
/// Of every 16 px along a trail, this share is lit.
const FILLED: f32 = 0.8;
/// A quarter of the segments may be fainter than this share of what a quarter is brighter than.
const EVEN: f32 = 0.3;
/// A trail is masked until its profile is below this, sigma of a pixel, and at most so far, px.
const FAINTEST_SIGMA: f32 = 0.3;
const WIDEST_PX: isize = 60;
/// A trail's light, summed over its profile, is at least so many sigma of that sum.
const LEAST_LIGHT_SIGMA: f32 = 8.0;
/// Lines of two bands are one if they lie so near to each other, px.
const SAME_PX: f32 = 10.0;

/// A straight trail: points with `x cos + y sin = offset`, between two places along it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Streak {
    line: Line,
    /// Its ends along the line, px.
    ends: (f32, f32),
    half_width_px: f32,
    crosses: bool,
    even: bool,
}

/// A line by its normal's direction and its distance from the first pixel.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Line {
    cos: f32,
    sin: f32,
    offset: f32,
}

impl Line {
    fn at(&self, along: f32, beside: f32) -> (f32, f32) {
        let across = self.offset + beside;
        (across * self.cos - along * self.sin, across * self.sin + along * self.cos)
    }

    /// The line through points along and beside this one, by least squares, far ones left out.
    fn through(&self, points: &[(f32, f32)]) -> Option<Self> {
        let mut kept = points.to_vec();
        let (mut slope, mut at_zero) = (0.0, 0.0);
        for _ in 0..3 {
            let n = kept.len() as f32;
            let mean = |f: &dyn Fn(&(f32, f32)) -> f32| kept.iter().map(f).sum::<f32>() / n;
            let (x, y) = (mean(&|p| p.0), mean(&|p| p.1));
            let spread = mean(&|p| (p.0 - x).powi(2));
            if n < 3.0 || spread <= 0.0 {
                return None;
            }
            slope = mean(&|p| (p.0 - x) * (p.1 - y)) / spread;
            at_zero = y - slope * x;
            let miss = |p: &(f32, f32)| (p.1 - at_zero - slope * p.0).abs();
            let mut misses: Vec<f32> = kept.iter().map(miss).collect();
            let half = misses.len() / 2;
            let limit = 3.0 * misses.select_nth_unstable_by(half, f32::total_cmp).1.max(0.2);
            kept.retain(|p| miss(p) <= limit);
        }
        // A line beside by `at_zero + slope x along` has its normal turned by the slope's angle.
        let norm = slope.hypot(1.0);
        let (cos, sin) = ((self.cos + slope * self.sin) / norm, (self.sin - slope * self.cos) / norm);
        Some(Self { cos, sin, offset: (self.offset + at_zero) / norm })
    }

    /// From where to where along it the line is inside a plane; `None` where nowhere.
    fn inside(&self, width: usize, height: usize) -> Option<(f32, f32)> {
        let (mut from, mut to) = (f32::NEG_INFINITY, f32::INFINITY);
        let (x0, y0) = self.at(0.0, 0.0);
        for (start, step, last) in [(x0, -self.sin, width as f32 - 1.0), (y0, self.cos, height as f32 - 1.0)] {
            if step.abs() < 1e-6 {
                if !(0.0..=last).contains(&start) {
                    return None;
                }
                continue;
            }
            let (a, b) = (-start / step, (last - start) / step);
            from = from.max(a.min(b));
            to = to.min(a.max(b));
        }
        (from < to).then_some((from, to))
    }
}

impl Streak {
    /// Whether this is a trail, given the lines that the other bands show.
    pub(super) fn is_trail<'a>(&self, others: impl IntoIterator<Item = &'a Streak>) -> bool {
        let shared = || others.into_iter().any(|other| self.is_on(other));
        self.crosses || (self.even && !shared())
    }

    /// Whether both ends lie near another's line.
    fn is_on(&self, other: &Streak) -> bool {
        let reach = SAME_PX + self.half_width_px.max(other.half_width_px);
        [self.ends.0, self.ends.1].iter().all(|&along| {
            let (x, y) = self.line.at(along, 0.0);
            (x * other.line.cos + y * other.line.sin - other.line.offset).abs() < reach
        })
    }

    /// Marks its pixels as [`mask::BAD`].
    pub(super) fn mark(&self, bits: &mut Plane<u8>) {
        let half_px = |length: f32| (0..=(2.0 * length) as usize).map(|i| i as f32 / 2.0);
        for along in half_px(self.ends.1 - self.ends.0) {
            for beside in half_px(2.0 * self.half_width_px) {
                let (x, y) = self.line.at(self.ends.0 + along, beside - self.half_width_px);
                let (x, y) = (x.round(), y.round());
                if x >= 0.0 && y >= 0.0 && (x as usize) < bits.width() && (y as usize) < bits.height() {
                    bits.row_mut(y as usize)[x as usize] |= mask::BAD;
                }
            }
        }
    }
}

/// Straight narrow lines in a background-subtracted band.
pub(super) fn find(band: &Band, sigma: f32) -> Vec<Streak> {
    let mut found: Vec<Streak> = Vec::new();
    for block_px in BLOCKS_PX {
        let blocks = averaged(band, sigma, block_px);
        let mut votes = voters(&blocks);
        for _ in 0..CANDIDATES {
            let Some(line) = most_voted(&votes, &blocks) else { break };
            votes.retain(|&(x, y)| (x * line.cos + y * line.sin - line.offset).abs() > BESIDE);
            let Some(lit) = lit_part(&blocks, &line, SEGMENT_PX / block_px) else { continue };
            let scale = block_px as f32;
            let middle = (scale - 1.0) / 2.0;
            let line = Line { offset: line.offset * scale + middle * (line.cos + line.sin), ..line };
            let along = |a: f32| a * scale + middle * (line.cos - line.sin);
            let Some(streak) = measured(band, sigma, &line, (along(lit.0), along(lit.1)), block_px) else { continue };
            if !bleeds(band, &streak) && !found.iter().any(|f| streak.is_on(f)) {
                found.push(streak);
            }
        }
    }
    found
}

/// Blocks in units of their own noise; 0 where fewer than half of a block's pixels are usable.
pub(super) fn averaged(band: &Band, sigma: f32, block_px: usize) -> Plane<f32> {
    let (columns, rows) = (band.pixels.width() / block_px, band.pixels.height() / block_px);
    let mut blocks = Plane::filled(columns, rows, 0.0);
    let mut count = vec![0u16; columns];
    for row in 0..rows {
        count.fill(0);
        let sums = blocks.row_mut(row);
        for y in row * block_px..(row + 1) * block_px {
            let (pixels, bits) = (band.pixels.row(y).chunks_exact(block_px), band.mask.row(y).chunks_exact(block_px));
            for ((sum, n), (pixels, bits)) in sums.iter_mut().zip(&mut count).zip(pixels.zip(bits)) {
                for (p, m) in pixels.iter().zip(bits) {
                    let usable = m & DARK == 0;
                    *sum += if usable { (p / sigma).clamp(CLIP_SIGMA.0, CLIP_SIGMA.1) } else { 0.0 };
                    *n += u16::from(usable);
                }
            }
        }
        for (sum, &n) in sums.iter_mut().zip(&count) {
            *sum = if 2 * usize::from(n) >= block_px * block_px { *sum / f32::from(n).sqrt() } else { 0.0 };
        }
    }
    blocks
}

/// Places of blocks that stand out of the ring of blocks five away.
fn voters(blocks: &Plane<f32>) -> Vec<(f32, f32)> {
    const RING: [(isize, isize); 16] = [
        (5, 0),
        (5, 2),
        (4, 4),
        (2, 5),
        (0, 5),
        (-2, 5),
        (-4, 4),
        (-5, 2),
        (-5, 0),
        (-5, -2),
        (-4, -4),
        (-2, -5),
        (0, -5),
        (2, -5),
        (4, -4),
        (5, -2),
    ];
    let mut places = Vec::new();
    for y in 0..blocks.height() {
        for (x, &value) in blocks.row(y).iter().enumerate().filter(|b| *b.1 > VOTE_SIGMA) {
            let mut ring = RING.map(|(dx, dy)| blocks.get(x as isize + dx, y as isize + dy).unwrap_or(0.0));
            let around = *ring.select_nth_unstable_by(8, f32::total_cmp).1;
            if value - around.max(0.0) > VOTE_SIGMA {
                places.push((x as f32, y as f32));
            }
        }
    }
    let every = places.len() / MOST_VOTES + 1;
    places.into_iter().step_by(every).collect()
}

/// The line on which most voters lie; `None` where none has more than chance would give it.
fn most_voted(votes: &[(f32, f32)], blocks: &Plane<f32>) -> Option<Line> {
    const WIDTH: f32 = 1.5;
    let (width, height) = (blocks.width() as f32, blocks.height() as f32);
    let diagonal = width.hypot(height);
    let cells = (2.0 * diagonal / WIDTH) as usize + 2;
    let density = votes.len() as f32 / (width * height).max(1.0);
    let mut best: Option<(f32, Line)> = None;
    let mut count = vec![0u16; cells];
    for angle in 0..ANGLES {
        let (sin, cos) = (angle as f32 * std::f32::consts::PI / ANGLES as f32).sin_cos();
        count.fill(0);
        for &(x, y) in votes {
            count[((x * cos + y * sin + diagonal) / WIDTH) as usize] += 1;
        }
        for (cell, n) in count.iter().enumerate().filter(|c| *c.1 >= 12) {
            let line = Line { cos, sin, offset: (cell as f32 + 0.5) * WIDTH - diagonal };
            let length = line.inside(blocks.width(), blocks.height()).map_or(0.0, |(from, to)| to - from);
            let expected = density * length * WIDTH;
            let excess = (f32::from(*n) - expected) / (expected + 1.0).sqrt();
            if excess > 6.0 && best.is_none_or(|b| b.0 < excess) {
                best = Some((excess, line));
            }
        }
    }
    best.map(|b| b.1)
}

/// The longest stretch along a line that is brighter than what lies beside it, blocks.
fn lit_part(blocks: &Plane<f32>, line: &Line, segment: usize) -> Option<(f32, f32)> {
    let (from, to) = line.inside(blocks.width(), blocks.height())?;
    let value = |along: f32, beside: f32| {
        let (x, y) = line.at(along, beside);
        blocks.get(x.round() as isize, y.round() as isize).unwrap_or(0.0)
    };
    let step = segment as f32;
    let lit: Vec<bool> = (0..((to - from) / step) as usize)
        .map(|s| {
            let places = || (0..segment.max(4)).map(|i| from + step * (s as f32 + i as f32 / segment.max(4) as f32));
            // A trail lights all of its way, stars and galaxies in a row only a part.
            let quarter = |beside: f32| {
                let mut values: Vec<f32> = places().map(|along| value(along, beside)).collect();
                let quarter = values.len() / 4;
                *values.select_nth_unstable_by(quarter, f32::total_cmp).1
            };
            let on = [-0.7, 0.0, 0.7].map(quarter).into_iter().fold(f32::MIN, f32::max);
            on - quarter(-BESIDE).max(quarter(BESIDE)).max(QUARTER_OF_SKY) > LIT_SIGMA
        })
        .collect();
    let (mut best, mut start, mut last): ((usize, usize), Option<usize>, usize) = ((0, 0), None, 0);
    for (s, _) in lit.iter().enumerate().filter(|l| *l.1) {
        let first = start.filter(|_| s - last <= GAP + 1).unwrap_or(s);
        (start, last) = (Some(first), s);
        if s + 1 - first > best.1 - best.0 {
            best = (first, s + 1);
        }
    }
    let within = lit[best.0..best.1].iter().filter(|l| **l).count();
    let stretch = (from + step * best.0 as f32, from + step * best.1 as f32);
    (3 * within >= 2 * (best.1 - best.0) && best.1 > best.0).then_some(stretch)
}

/// The trail along a line, with its place, width and ends on the pixels themselves; `None` where it is too short.
fn measured(band: &Band, sigma: f32, line: &Line, lit: (f32, f32), block_px: usize) -> Option<Streak> {
    if lit.1 - lit.0 < SHORTEST_PX {
        return None;
    }
    let reach = WIDEST_PX.min(block_px as isize * 5);
    let segments = ((lit.1 - lit.0) / SEGMENT_PX as f32) as usize;
    let profile = |line: &Line, s: usize| -> Vec<f32> {
        let along = |i: usize| lit.0 + (s * SEGMENT_PX + i) as f32;
        (-reach..=reach)
            .map(|beside| {
                let mut values: Vec<f32> = (0..SEGMENT_PX)
                    .filter_map(|i| {
                        let (x, y) = line.at(along(i), beside as f32);
                        let (x, y) = (x.round() as isize, y.round() as isize);
                        let usable = band.mask.get(x, y).is_some_and(|m| m & DARK == 0);
                        usable.then(|| band.pixels.at(x as usize, y as usize) / sigma)
                    })
                    .collect();
                let half = values.len() / 2;
                if values.is_empty() { 0.0 } else { *values.select_nth_unstable_by(half, f32::total_cmp).1 }
            })
            .collect()
    };
    // Where each segment's light lies beside the line: through that goes the trail itself.
    let mut points = Vec::new();
    for s in 0..segments {
        let profile = profile(line, s);
        let half = profile.iter().fold(0.0f32, |most, v| most.max(*v)) / 2.0;
        let bright = (-reach..=reach).zip(&profile).filter(|p| *p.1 > half.max(FAINTEST_SIGMA));
        let (light, moment) = bright.fold((0.0, 0.0), |(l, m), (d, v)| (l + v, m + v * d as f32));
        if light > 0.0 {
            points.push((lit.0 + (s as f32 + 0.5) * SEGMENT_PX as f32, moment / light));
        }
    }
    let line = line.through(&points)?;
    let profiles: Vec<Vec<f32>> = (0..segments).map(|s| profile(&line, s)).collect();
    let typical: Vec<f32> = (0..profiles[0].len())
        .map(|i| {
            let mut values: Vec<f32> = profiles.iter().map(|p| p[i]).collect();
            let half = values.len() / 2;
            *values.select_nth_unstable_by(half, f32::total_cmp).1
        })
        .collect();
    let middle = reach as usize;
    let dark = |i: &usize| typical[middle + i] < FAINTEST_SIGMA && typical[middle - i] < FAINTEST_SIGMA;
    let half_width = (0..=middle).find(dark).unwrap_or(middle);
    // The line was chosen as the brightest of many: its light must stand out of what medians of noise sum up to.
    let sum: f32 = typical[middle - half_width..=middle + half_width].iter().sum();
    let median_sigma = 1.57 / ((segments * SEGMENT_PX) as f32).sqrt();
    let stands_out = sum > LEAST_LIGHT_SIGMA * median_sigma * ((2 * half_width + 1) as f32).sqrt();
    if half_width == 0 || !stands_out || !is_filled(band, sigma, &line, lit, half_width, typical[middle]) {
        return None;
    }
    let mut light: Vec<f32> =
        profiles.iter().map(|p| p[middle - half_width..=middle + half_width].iter().sum()).collect();
    light.sort_by(f32::total_cmp);
    let even = light[light.len() / 4] > EVEN * light[3 * light.len() / 4];
    // What is left of the way to the border is the trail's too: it has no end there.
    let (from, to) = line.inside(band.pixels.width(), band.pixels.height())?;
    let crosses = lit.1.min(to) - lit.0.max(from) >= CROSSES * (to - from) - 2.0 * SEGMENT_PX as f32;
    let (margin, half_width_px) = ((GAP + 1) as f32 * SEGMENT_PX as f32, half_width as f32 + 2.0);
    let beyond = 4.0 * half_width_px; // its flanks leave the frame later than its middle
    let start = if lit.0 - from < margin { from - beyond } else { lit.0 - SEGMENT_PX as f32 };
    let end = if to - lit.1 < margin { to + beyond } else { lit.1 + SEGMENT_PX as f32 };
    let ends = (start, end);
    Some(Streak { line, ends, half_width_px, crosses, even })
}

/// Whether a line is lit all along, as a trail is: where stars and galaxies happen to stand in a row, the way between them
/// is dark. `peak` is the typical light of its middle, sigma.
fn is_filled(band: &Band, sigma: f32, line: &Line, lit: (f32, f32), half_width: usize, peak: f32) -> bool {
    const STEP_PX: usize = 16;
    let core = half_width as isize / 2;
    let median = |step: usize, beside: isize| {
        let places = (0..STEP_PX).flat_map(|i| (-core..=core).map(move |d| (i, d)));
        let mut values: Vec<f32> = places
            .filter_map(|(i, d)| {
                let (x, y) = line.at(lit.0 + (step * STEP_PX + i) as f32, (beside + d) as f32);
                let (x, y) = (x.round() as isize, y.round() as isize);
                let usable = band.mask.get(x, y).is_some_and(|m| m & DARK == 0);
                usable.then(|| band.pixels.at(x as usize, y as usize) / sigma)
            })
            .collect();
        let half = values.len() / 2;
        (values.len() >= STEP_PX / 2).then(|| *values.select_nth_unstable_by(half, f32::total_cmp).1)
    };
    let side = half_width as isize + core + 2;
    let (mut asked, mut filled) = (0usize, 0usize);
    for step in 0..((lit.1 - lit.0) / STEP_PX as f32) as usize {
        let Some(on) = median(step, 0) else { continue };
        let around = [-side, side].iter().filter_map(|d| median(step, *d)).fold(f32::INFINITY, f32::min);
        asked += 1;
        filled += usize::from(on - if around.is_finite() { around.max(0.0) } else { 0.0 } > 0.5 * peak);
    }
    asked > 0 && filled as f32 >= FILLED * asked as f32
}

/// Whether a line is what bled from a star: it runs along a column through saturated pixels, and ends or fades.
fn bleeds(band: &Band, streak: &Streak) -> bool {
    let line = &streak.line;
    let upright = line.sin.abs() * (streak.ends.1 - streak.ends.0) < 2.0 * BLOCKS_PX[0] as f32;
    let steps = (streak.ends.1 - streak.ends.0).max(0.0) as usize;
    let mut places = (0..steps).flat_map(|i| [-2.0, 0.0, 2.0].map(|beside| line.at(streak.ends.0 + i as f32, beside)));
    upright
        && !(streak.crosses && streak.even)
        && places
            .any(|(x, y)| band.mask.get(x.round() as isize, y.round() as isize).is_some_and(|m| m & mask::SAT != 0))
}

#[cfg(test)]
pub(super) mod tests;
