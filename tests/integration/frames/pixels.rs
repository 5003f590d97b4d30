//! Pixels that are no data, or no sky: what is not there is null and flagged, what is there is the control's, and a frame
//! that shows no sky is refused.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::case::{Case, File, Found, Row, each, each_band, holds, one, refused};
use super::image::Image;
use super::sky::{R, SIDE, Sky};

/// Bits of a row's flags.
const SATURATED: u32 = 4;
const MISSING_BAND: u32 = 8192;

/// The cases.
pub fn cases() -> Vec<Case> {
    [areas(), marks(), refusals()].into_iter().flatten().collect()
}

const MIDDLE: f64 = SIDE as f64 / 2.0;

/// How far a pixel is outside a field that stands on its corner, px; below 0 inside.
fn outside(x: f64, y: f64) -> f64 {
    ((x - MIDDLE).abs() + (y - MIDDLE).abs() - 1.2 * MIDDLE) / std::f64::consts::SQRT_2
}

/// A sky whose corners were not covered.
fn corners(sky: &Sky, fill: f32, left: f32) -> Vec<File> {
    each(sky, |image| {
        image.map(|x, y, v| if outside(x as f64, y as f64) > 0.0 { fill } else { v + left });
    })
}

/// No row in the corners, and the control's rows elsewhere.
fn inside(found: &Found) -> Result<String, String> {
    parts(found, |r| outside(r.at.0, r.at.1) < -12.0, |r| outside(r.at.0, r.at.1) > 2.0)
}

/// No row where `is_not`, and the control's rows where `is`.
fn parts(found: &Found, is: impl Fn(&Row) -> bool, is_not: impl Fn(&Row) -> bool) -> Result<String, String> {
    let wrong: Vec<&Row> = found.rows.iter().filter(|r| is_not(r)).collect();
    let told = format!("{}; {} rows where nothing is", found.part(is).are_control(0.05, 0.02)?, wrong.len());
    if wrong.is_empty() { Ok(told) } else { Err(format!("{told}: {:?}", wrong[0])) }
}

/// One quadrant of r without data: null and flagged there, never 0 with an error; the control's rows elsewhere.
fn quadrant(found: &Found) -> Result<String, String> {
    let in_quadrant = |r: &Row, by: f64| r.at.0 > MIDDLE + by && r.at.1 > MIDDLE + by;
    let dead: Vec<&Row> = found.rows.iter().filter(|r| in_quadrant(r, 8.0)).collect();
    let null =
        dead.iter().filter(|r| r.flux[R].is_none() && r.error[R].is_none() && r.flags & MISSING_BAND != 0).count();
    let told = format!("{null} of {} rows null in r", dead.len());
    let elsewhere = found.part(|r| !in_quadrant(r, -20.0)).are_control(0.05, 0.02)?;
    if null == dead.len() && null > 10 { Ok(format!("{told}; {elsewhere}")) } else { Err(told) }
}

fn dead_quadrant(x: usize, y: usize) -> bool {
    x as f64 > MIDDLE && y as f64 > MIDDLE
}

const DEAD_ROWS: std::ops::Range<usize> = 200..230;

fn areas() -> Vec<Case> {
    vec![
        holds("corners of zeros", inside, |sky| corners(sky, 0.0, 0.0)),
        holds("corners of NaN", inside, |sky| corners(sky, f32::NAN, 0.0)),
        holds("corners of zeros, and the sky left in", inside, |sky| corners(sky, 0.0, 2.0)),
        holds("corners of -1e30", inside, |sky| corners(sky, -1e30, 0.0)),
        holds("corners of -99, and the sky left in", inside, |sky| corners(sky, -99.0, 2.0)),
        holds("a dead amplifier", quadrant, |sky| {
            one(sky, "r", |image| {
                image.map(|x, y, v| if dead_quadrant(x, y) { 0.0 } else { v });
            })
        }),
        holds("an amplifier of NaN", quadrant, |sky| {
            one(sky, "r", |image| {
                image.map(|x, y, v| if dead_quadrant(x, y) { f32::NAN } else { v });
            })
        }),
        holds("an amplifier stuck at 3 nMgy", quadrant, |sky| {
            one(sky, "r", |image| {
                image.map(|x, y, v| if dead_quadrant(x, y) { 3.0 } else { v });
            })
        }),
        holds("rows of zeros in all bands", rows_lost, |sky| {
            each(sky, |image| {
                image.map(|_, y, v| if DEAD_ROWS.contains(&y) { 0.0 } else { v });
            })
        }),
        holds("a block of one value", block, |sky| filled_block(sky, 0.2)),
        holds("a block of one value, far above the sky", block, |sky| filled_block(sky, 1.5)),
        holds("a block of one value, above saturation", block, |sky| filled_block(sky, 9999.0)),
        holds("an amplifier of read noise alone", quadrant, |sky| read_noise(sky, 0.3, 0.0)),
        holds("an amplifier of read noise, at minus the sky", quadrant, |sky| read_noise(sky, 0.15, -0.7)),
        holds("an amplifier of little noise on a pedestal", quadrant, |sky| read_noise(sky, 0.05, 3.0)),
        holds("an amplifier that is fifteen times too loud", quadrant, |sky| read_noise(sky, 15.0, 0.0)),
        holds(
            "pixels of 1e18, -1e30 and infinity",
            |found| found.are_control(0.05, 0.02),
            |sky| {
                one(sky, "r", |image| {
                    image.map(|x, y, v| match (x, y) {
                        (300, 12) => 1e18,
                        (100..120, 400..404) => -1e30,
                        (250, 250) => f32::INFINITY,
                        _ => v,
                    });
                })
            },
        ),
        holds(
            "dead pixels far below the sky",
            |found| found.are_control(0.05, 0.02),
            |sky| {
                each_band(sky, |b, image| {
                    let mut rng = ChaCha8Rng::seed_from_u64(2);
                    let dead: Vec<bool> = image.pixels.iter().map(|_| rng.random_bool(5e-4)).collect();
                    image.map(|x, y, v| if dead[y * SIDE + x] { -17.0 * Sky::SIGMA[b] } else { v });
                })
            },
        ),
    ]
}

fn in_block(x: f64, y: f64, by: f64) -> bool {
    x > 100.0 - by && x < 180.0 + by && y > 300.0 - by && y < 380.0 + by
}

fn filled_block(sky: &Sky, value: f32) -> Vec<File> {
    each(sky, |image| {
        image.map(|x, y, v| if in_block(x as f64, y as f64, 0.0) { value } else { v });
    })
}

/// One quadrant of r without light: noise, so many times that of the sky, about a level.
fn read_noise(sky: &Sky, times: f32, level: f32) -> Vec<File> {
    one(sky, "r", |image| {
        let noise = noise(400, SIDE * SIDE);
        image.map(|x, y, v| if dead_quadrant(x, y) { level + noise[y * SIDE + x] * times * Sky::SIGMA[R] } else { v });
    })
}

fn block(found: &Found) -> Result<String, String> {
    parts(found, |r| !in_block(r.at.0, r.at.1, 12.0), |r| in_block(r.at.0, r.at.1, -2.0))
}

fn rows_lost(found: &Found) -> Result<String, String> {
    let beyond = |r: &Row| (r.at.1 - 214.5).abs() - 15.0;
    parts(found, |r| beyond(r) > 12.0, |r| beyond(r) < -2.0)
}

/// The trail's middle row at a column.
fn trail(x: f64) -> f64 {
    0.5 * x + 120.0
}

/// A line of light, so many times the noise of the sky at its peak.
fn trailed(image: &mut Image, peak: f32) {
    image.map(|x, y, v| {
        let off = (y as f64 - trail(x as f64)) / 1.25f64.sqrt();
        v + peak * (-0.5 * (off / 1.4).powi(2)).exp() as f32
    });
}

/// A line of light along a row or a column.
fn trailed_along(image: &mut Image, peak: f32, along_rows: bool) {
    image.map(|x, y, v| {
        let off = if along_rows { y as f64 } else { x as f64 } - 300.3;
        v + peak * (-0.5 * (off / 1.4).powi(2)).exp() as f32
    });
}

/// A short line, or a long one that is bent.
fn bent(image: &mut Image, peak: f32, short: bool) {
    image.map(|x, y, v| {
        let x = x as f64;
        let middle = if short { trail(x) } else { trail(x) + 0.0005 * (x - MIDDLE).powi(2) };
        let off = (y as f64 - middle) / 1.25f64.sqrt();
        let lit = !short || (150.0..370.0).contains(&x);
        v + if lit { peak * (-0.5 * (off / 1.4).powi(2)).exp() as f32 } else { 0.0 }
    });
}

/// One streak in r's record, and no bright rows but the control's, a little of which it covers.
fn one_streak(found: &Found) -> Result<String, String> {
    let streaks: Vec<i64> = (0..5).map(|b| found.record["quality"][b]["streaks"].as_i64().unwrap_or(-1)).collect();
    let told = format!("streaks {streaks:?}; {}", found.are_control(0.15, 0.02)?);
    if streaks == [0, 0, 1, 0, 0] { Ok(told) } else { Err(told) }
}

/// Stars that are cut off at a value below what the survey trusts, or cut out above it.
fn cut(sky: &Sky, dn: f32, to: fn(f32, f32) -> f32) -> Vec<File> {
    each(sky, |image| {
        let limit = dn * image.number("NMGY") as f32;
        image.map(|_, _, v| if v > limit { to(v, limit) } else { v });
    })
}

/// The control's rows, whose brightest are saturated.
fn some_saturated(found: &Found) -> Result<String, String> {
    let lost = found.pairs().iter().filter(|(_, f)| f.is_none()).count();
    let saturated = found.rows.iter().filter(|r| r.flags & SATURATED != 0).count();
    let told = format!("{saturated} rows saturated, {lost} lost");
    // Some stars that touch a cut one are taken for its parts.
    if saturated >= 3 && lost <= 5 { Ok(told) } else { Err(told) }
}

/// Counted in r's record, without rows of its own.
fn one_trail(found: &Found) -> Result<String, String> {
    let streaks: Vec<i64> = (0..5).map(|b| found.record["quality"][b]["streaks"].as_i64().unwrap_or(-1)).collect();
    let far = |r: &Row| (r.at.1 - trail(r.at.0)).abs() > 25.0;
    let elsewhere = found.part(far).are_control(0.05, 0.02)?;
    // Objects that lie under it are cut by its mask, and stand in all bands; a row of the trail's own would be in r alone.
    let new: Vec<&Row> = found.rows.iter().filter(|r| !far(r) && r.nearest(&found.control).is_none()).collect();
    let seen = |r: &Row, b: usize| matches!((r.flux[b], r.error[b]), (Some(flux), Some(error)) if flux > 5.0 * error);
    let own = new.iter().filter(|r| seen(r, R) && !seen(r, 1) && !seen(r, 3)).count();
    let told = format!("streaks {streaks:?}; {} new rows near it, {own} its own; {elsewhere}", new.len());
    if streaks == [0, 0, 1, 0, 0] && own == 0 && new.len() < 16 { Ok(told) } else { Err(told) }
}

/// Where a bright star is put, and its magnitude in all bands.
const STAR: (f64, f64, f64) = (380.0, 140.0, 12.5);

/// A star whose core, above full wells, was filled with values that look sound.
fn filled_star(sky: &Sky) -> Vec<File> {
    each(sky, |image| {
        let dn = image.number("NMGY") as f32;
        let flux = 10f64.powf(0.4 * (22.5 - STAR.2));
        // Moffat's profile, beta 3: alpha from the FWHM of 3.3 px.
        let alpha2 = (3.3f64 / 2.0).powi(2) / (2f64.powf(1.0 / 3.0) - 1.0);
        let mut rng = ChaCha8Rng::seed_from_u64(9);
        let filled: Vec<f32> = image.pixels.iter().map(|_| rng.random_range(5000.0..6000.0)).collect();
        image.map(|x, y, v| {
            let r2 = (x as f64 - STAR.0).powi(2) + (y as f64 - STAR.1).powi(2);
            let light = v + (flux * 2.0 / (std::f64::consts::PI * alpha2) * (1.0 + r2 / alpha2).powi(-3)) as f32;
            if light > 30_000.0 * dn { filled[y * SIDE + x] * dn } else { light }
        });
    })
}

fn saturated(found: &Found) -> Result<String, String> {
    let near = |r: &&Row| (r.at.0 - STAR.0).hypot(r.at.1 - STAR.1) < 6.0;
    let star: Vec<&Row> = found.rows.iter().filter(near).collect();
    let told = format!("{:?}", star.iter().map(|r| (r.at, r.flags)).collect::<Vec<_>>());
    let flagged = !star.is_empty() && star.iter().all(|r| r.flags & SATURATED != 0);
    if flagged { Ok(told) } else { Err(told) }
}

fn marks() -> Vec<Case> {
    vec![
        holds("a satellite's trail in r", one_trail, |sky| one(sky, "r", |image| trailed(image, 30.0 * Sky::SIGMA[R]))),
        holds("a faint trail in r", one_trail, |sky| one(sky, "r", |image| trailed(image, 8.0 * Sky::SIGMA[R]))),
        holds("a saturated core that was filled", saturated, filled_star),
        holds("a trail along a row", one_streak, |sky| {
            one(sky, "r", |image| trailed_along(image, 20.0 * Sky::SIGMA[R], true))
        }),
        holds("a trail along a column", one_streak, |sky| {
            one(sky, "r", |image| trailed_along(image, 20.0 * Sky::SIGMA[R], false))
        }),
        holds("a trail above saturation", one_streak, |sky| {
            one(sky, "r", |image| trailed_along(image, 40_000.0 * image.number("NMGY") as f32, true))
        }),
        holds("a short trail", one_streak, |sky| one(sky, "r", |image| bent(image, 20.0 * Sky::SIGMA[R], true))),
        holds("a curved trail", one_streak, |sky| one(sky, "r", |image| bent(image, 20.0 * Sky::SIGMA[R], false))),
        holds("stars cut off far below saturation", some_saturated, |sky| cut(sky, 1000.0, |_, limit| limit)),
        holds("stars with holes of zeros", some_saturated, |sky| cut(sky, 1000.0, |_, _| 0.0)),
        holds("stars with holes of NaN", some_saturated, |sky| cut(sky, 1000.0, |_, _| f32::NAN)),
        holds("stars whose counts went round", some_saturated, |sky| cut(sky, 1000.0, |v, _| -v)),
    ]
}

/// Noise of a normal distribution, from twelve uniform ones.
fn noise(seed: u64, pixels: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..pixels).map(|_| (0..12).map(|_| rng.random_range(-0.5f32..0.5)).sum()).collect()
}

/// The sky moved by so many pixels; the edge goes on.
fn moved(image: &Image, x: usize, y: usize, dx: i32, dy: i32) -> f32 {
    let near = |at: usize, by: i32| (at as i32 + by).clamp(0, SIDE as i32 - 1) as usize;
    image.at(near(x, dx), near(y, dy))
}

/// All that is in the sky, exposed at these offsets for equal times, under noise as ever.
fn exposed(sky: &Sky, offsets: &[(i32, i32)]) -> Vec<File> {
    each_band(sky, |b, image| {
        let noise = noise(100 + b as u64, SIDE * SIDE);
        let n = offsets.len() as f32;
        image.grid((SIDE, SIDE), |all, x, y| {
            let light: f32 = offsets.iter().map(|(dx, dy)| moved(all, x, y, *dx, *dy)).sum();
            light / n + noise[y * SIDE + x] * Sky::SIGMA[b] * (1.0 - 1.0 / n).sqrt()
        });
    })
}

fn refusals() -> Vec<Case> {
    vec![
        refused("one exposure as two bands", "bad_image", &["bands g and r hold the same exposure"], |sky| {
            let r = sky.bands[R].pixels.clone();
            one(sky, "g", |image| image.pixels.clone_from(&r))
        }),
        refused(
            "one exposure as two bands, in other units",
            "bad_image",
            &["bands i and z hold the same exposure"],
            |sky| {
                let i = sky.bands[3].pixels.clone();
                one(sky, "z", |image| image.pixels = i.iter().map(|v| 3.0 * v).collect())
            },
        ),
        refused("stars sharper than pixels show", "bad_image", &["px wide at half maximum", "cosmic rays"], |_| {
            each(&Sky::simulated(0.48, 90), |_| {})
        }),
        refused("the telescope did not follow", "bad_image", &["trailed", "elongated"], |sky| {
            exposed(sky, &(-6..=6).map(|i| (i, (3 * i) / 4)).collect::<Vec<_>>())
        }),
        refused("the telescope was moved half way", "bad_image", &["are there twice"], |sky| {
            exposed(sky, &[(0, 0), (14, 9)])
        }),
        refused("a negative", "bad_image", &["the image is a negative"], |sky| {
            each(sky, |image| {
                image.map(|_, _, v| -v);
            })
        }),
        refused("a negative of one band", "bad_image", &["band g", "the image is a negative"], |sky| {
            one(sky, "g", |image| {
                image.map(|_, _, v| -v);
            })
        }),
        refused("a telescope out of focus", "bad_image", &["are rings", "out of focus"], |sky| {
            let ring: Vec<(i32, i32)> = (-10..=10)
                .flat_map(|dx| (-10..=10).map(move |dy| (dx, dy)))
                .filter(|(dx, dy)| (25..81).contains(&(dx * dx + dy * dy)))
                .collect();
            exposed(sky, &ring)
        }),
        refused("noise alone", "no_signal", &["objects in"], |sky| {
            each_band(sky, |b, image| {
                // So large that the emptiest sky would show objects.
                let side = SIDE + SIDE / 2;
                let noise = noise(200 + b as u64, side * side);
                image.grid((side, side), |_, x, y| noise[y * side + x] * Sky::SIGMA[b]);
            })
        }),
        refused(
            "a band of other stars",
            "band_mismatch",
            &["band g shows other stars than band r", "no shift"],
            |sky| {
                one(sky, "g", |image| {
                    image.grid((SIDE, SIDE), |all, x, y| all.at(SIDE - 1 - x, y));
                })
            },
        ),
        refused(
            "a band whose CRPIX is off",
            "band_mismatch",
            &["band i shows other stars", "(-8.0, +0.0) px off"],
            |sky| {
                one(sky, "i", |image| {
                    image.set("CRPIX1", image.number("CRPIX1") + 8.0);
                })
            },
        ),
        refused("a shutter that stayed closed", "no_signal", &["band z: no light came in", "band r"], |sky| {
            one(sky, "z", |image| {
                let noise = noise(400, SIDE * SIDE);
                image.map(|x, y, _| noise[y * SIDE + x] * Sky::SIGMA[4]);
            })
        }),
        refused("a closed cover", "bad_units", &["the sky's noise", "no light came in"], |sky| {
            each_band(sky, |b, image| {
                let noise = noise(300 + b as u64, SIDE * SIDE);
                // The detector's own noise, about 1 DN.
                let dn = image.number("NMGY") as f32;
                image.map(|x, y, _| noise[y * SIDE + x] * dn);
            })
        }),
        refused("a band of one value", "no_signal", &["band z"], |sky| {
            one(sky, "z", |image| {
                image.map(|_, _, _| 0.0);
            })
        }),
    ]
}
