//! Bands on other grids: turned, mirrored, binned, cut. What the pixels show is the control's sky.

use super::case::{Case, Found, Row, each, each_band, holds, one, refused};
use super::image::Image;

const CD: [&str; 4] = ["CD1_1", "CD1_2", "CD2_1", "CD2_2"];

/// The cases.
pub fn cases() -> Vec<Case> {
    // A resampled band's fluxes; positions are the reference band's.
    fn all(found: &Found) -> Result<String, String> {
        found.are_control(0.05, 0.02)
    }
    vec![
        holds("band i turned by 180 degrees", all, |sky| one(sky, "i", |image| turned(image, [[-1, 0], [0, -1]]))),
        holds("band u turned by 90 degrees", all, |sky| one(sky, "u", |image| turned(image, [[0, -1], [1, 0]]))),
        holds("band g mirrored", all, |sky| one(sky, "g", |image| turned(image, [[-1, 0], [0, 1]]))),
        holds("the reference band mirrored", mirrored, |sky| one(sky, "r", |image| turned(image, [[-1, 0], [0, 1]]))),
        holds(
            "bands g and i turned by 1 degree",
            |found| found.are_control(0.05, 0.04),
            |sky| {
                each_band(sky, |b, image| {
                    if b == 1 || b == 3 {
                        rotated(image, 1f64.to_radians());
                    }
                })
            },
        ),
        holds("band z binned 2x2", all, |sky| one(sky, "z", binned)),
        refused("all bands binned 2x2", "bad_wcs", &["pixels of band r", "pixel_scale_arcsec"], |sky| {
            each(sky, binned)
        }),
        holds("band z has lost its last 112 columns", cut, |sky| {
            one(sky, "z", |image| {
                let (width, height) = image.size;
                image.grid((width - 112, height), Image::at);
            })
        }),
        refused("band u is of another place", "band_mismatch", &["band u", "arcsec", "apart"], |sky| {
            one(sky, "u", |image| {
                image.set("CRVAL2", image.number("CRVAL2") + 1.0);
            })
        }),
        refused(
            "each band's own place, as three exposures have",
            "band_mismatch",
            &["band u", "arcsec", "apart"],
            |sky| {
                each_band(sky, |b, image| {
                    image.set("CRVAL1", image.number("CRVAL1") + 0.2 * b as f64);
                })
            },
        ),
    ]
}

/// Turned by a matrix of whole numbers about the middle, which the coordinates follow.
fn turned(image: &mut Image, [[a, b], [c, d]]: [[i32; 2]; 2]) {
    let (width, height) = image.size;
    assert_eq!(width, height);
    let middle = (width as i32 - 1) as f64 / 2.0;
    let from = |x: f64, y: f64, p: i32, q: i32| f64::from(p) * (x - middle) + f64::from(q) * (y - middle) + middle;
    image.grid((width, height), |all, x, y| {
        let (x, y) = (x as f64, y as f64);
        all.at(from(x, y, a, b) as usize, from(x, y, c, d) as usize)
    });
    with_matrix(image, [[f64::from(a), f64::from(b)], [f64::from(c), f64::from(d)]]);
}

/// Turned by an angle, rad, pixels by a cubic of their neighbours: as a rotator leaves it, but for the noise and for cores
/// that the cubic changes by some percent.
fn rotated(image: &mut Image, angle: f64) {
    let (sin, cos) = angle.sin_cos();
    let middle = (image.size.0 - 1) as f64 / 2.0;
    let size = image.size;
    image.grid(size, |all, x, y| {
        let (dx, dy) = (x as f64 - middle, y as f64 - middle);
        cubic(all, cos * dx - sin * dy + middle, sin * dx + cos * dy + middle)
    });
    with_matrix(image, [[cos, -sin], [sin, cos]]);
}

/// The coordinates of an image whose pixel at `p` from the middle is the old one's at `M p`.
fn with_matrix(image: &mut Image, m: [[f64; 2]; 2]) {
    let middle = (image.size.0 + 1) as f64 / 2.0;
    let (u, v) = (image.number("CRPIX1") - middle, image.number("CRPIX2") - middle);
    // The inverse of a turn or a mirror is its transpose.
    image.set("CRPIX1", m[0][0] * u + m[1][0] * v + middle).set("CRPIX2", m[0][1] * u + m[1][1] * v + middle);
    let [a, b, c, d] = CD.map(|key| image.number(key));
    image.set("CD1_1", a * m[0][0] + b * m[1][0]).set("CD1_2", a * m[0][1] + b * m[1][1]);
    image.set("CD2_1", c * m[0][0] + d * m[1][0]).set("CD2_2", c * m[0][1] + d * m[1][1]);
}

/// Catmull and Rom's cubic (1974); the edge goes on.
fn cubic(image: &Image, x: f64, y: f64) -> f32 {
    let weights = |t: f64| {
        let (t2, t3) = (t * t, t * t * t);
        [-t3 + 2.0 * t2 - t, 3.0 * t3 - 5.0 * t2 + 2.0, -3.0 * t3 + 4.0 * t2 + t, t3 - t2].map(|w| w / 2.0)
    };
    let near =
        |at: f64, i: usize, length: usize| (at.floor() + i as f64 - 1.0).clamp(0.0, length as f64 - 1.0) as usize;
    let (wx, wy) = (weights(x - x.floor()), weights(y - y.floor()));
    let row = |j: usize| -> f64 {
        let y = near(y, j, image.size.1);
        (0..4).map(|i| wx[i] * f64::from(image.at(near(x, i, image.size.0), y))).sum()
    };
    (0..4).map(|j| wy[j] * row(j)).sum::<f64>() as f32
}

/// Four pixels added to one.
fn binned(image: &mut Image) {
    let size = (image.size.0 / 2, image.size.1 / 2);
    image.grid(size, |all, x, y| {
        let (x, y) = (2 * x, 2 * y);
        all.at(x, y) + all.at(x + 1, y) + all.at(x, y + 1) + all.at(x + 1, y + 1)
    });
    for key in ["CRPIX1", "CRPIX2"] {
        image.set(key, (image.number(key) - 0.5) / 2.0 + 0.5);
    }
    CD.iter().for_each(|key| {
        image.set(key, 2.0 * image.number(key));
    });
}

/// The grid is the mirrored band's: rows are the control's, seen in a mirror.
fn mirrored(found: &Found) -> Result<String, String> {
    let side = super::sky::SIDE as f64;
    let mut back = found.clone();
    back.rows.iter_mut().for_each(|row| row.at.0 = side - 1.0 - row.at.0);
    let told = back.are_control(0.05, 0.02)?;
    let off = |(c, f): (&Row, &Row)| {
        let cos = c.sky.1.to_radians().cos();
        ((c.sky.0 - f.sky.0) * cos).hypot(c.sky.1 - f.sky.1) * 3600.0
    };
    let mut all: Vec<f64> = back.pairs().into_iter().filter_map(|(c, f)| Some(off((c, f?)))).collect();
    all.sort_by(f64::total_cmp);
    let median = all[all.len() / 2];
    if median < 0.03 {
        Ok(format!("{told}; {median:.3} arcsec off"))
    } else {
        Err(format!("{told}; {median:.3} arcsec off"))
    }
}

/// Band z is null and flagged where it is not, and what it was elsewhere.
fn cut(found: &Found) -> Result<String, String> {
    let (z, last) = (4, super::sky::SIDE as f64 - 112.0);
    let told = found.are_control(0.05, 0.01)?;
    let (mut beyond, mut wrong) = (0, 0);
    for row in &found.rows {
        if row.at.0 > last + 8.0 {
            beyond += 1;
            wrong += usize::from(row.flux[z].is_some() || row.error[z].is_some() || row.flags & 8192 == 0);
        } else if row.at.0 < last - 20.0 {
            wrong += usize::from(row.flux[z].is_none() || row.flags & 8192 != 0);
        }
    }
    if wrong == 0 && beyond > 10 { Ok(told) } else { Err(format!("{told}; {wrong} of {beyond} rows wrong in z")) }
}
