//! World coordinates in the ways in which observatories write them.

use super::case::{Case, File, Read, Right, each, each_band, one, placed, refused, same};
use super::image::{Hdu, Image};
use super::sky::{Pair, Place, Sky, b1950_to_j2000, j1975_to_j2000};

const CD: [&str; 4] = ["CD1_1", "CD1_2", "CD2_1", "CD2_2"];
/// A pixel's scale that divides no matrix evenly, degrees.
const SCALE_DEG: f64 = 1.1e-4;

/// The cases.
pub fn cases() -> Vec<Case> {
    [matrices(), distortions(), projections(), frames(), refusals()].into_iter().flatten().collect()
}

/// The matrix, row by row, as a header's cards have it, and the header without them.
fn taken(image: &mut Image) -> [f64; 4] {
    let matrix = CD.map(|key| image.number(key));
    image.remove(&CD);
    matrix
}

fn ctypes(image: &mut Image, code: &str) {
    image.text("CTYPE1", &format!("RA---{code}")).text("CTYPE2", &format!("DEC--{code}"));
}

fn matrices() -> Vec<Case> {
    vec![
        same("PC001001 with CDELT", |sky| {
            each(sky, |image| {
                let matrix = taken(image);
                image.set("CDELT1", SCALE_DEG).set("CDELT2", SCALE_DEG);
                for (key, value) in ["PC001001", "PC001002", "PC002001", "PC002002"].into_iter().zip(matrix) {
                    image.set(key, value / SCALE_DEG);
                }
            })
        }),
        same("PC with CDELT of both signs", |sky| {
            each(sky, |image| {
                let matrix = taken(image);
                image.set("CDELT1", -SCALE_DEG).set("CDELT2", 2.0 * SCALE_DEG);
                for (i, value) in matrix.into_iter().enumerate() {
                    let by = if i < 2 { -SCALE_DEG } else { 2.0 * SCALE_DEG };
                    image.set(&CD[i].replace("CD", "PC"), value / by);
                }
            })
        }),
        same("PC without CDELT", |sky| {
            each(sky, |image| {
                for (key, value) in CD.into_iter().zip(taken(image)) {
                    image.set(&key.replace("CD", "PC"), value);
                }
            })
        }),
        placed(
            "CROTA2, pixels not square",
            |usual| {
                let (sin, cos) = 30f64.to_radians().sin_cos();
                let (x, y) = (-SCALE_DEG, 1.01 * SCALE_DEG);
                Place { cd: [[x * cos, -y * sin], [x * sin, y * cos]], ..usual }
            },
            |sky| {
                each(sky, |image| {
                    taken(image);
                    image.set("CDELT1", -SCALE_DEG).set("CDELT2", 1.01 * SCALE_DEG).set("CROTA2", 30.0);
                })
            },
        ),
        same("axes in the other order", |sky| {
            each(sky, |image| {
                image.text("CTYPE1", "DEC--TAN").text("CTYPE2", "RA---TAN");
                let (ra, dec) = (image.number("CRVAL1"), image.number("CRVAL2"));
                image.set("CRVAL1", dec).set("CRVAL2", ra);
                let [a, b, c, d] = taken(image);
                for (key, value) in CD.into_iter().zip([c, d, a, b]) {
                    image.set(key, value);
                }
            })
        }),
        Case {
            name: "exponents with D, comments with a slash",
            files: |sky| {
                each(sky, |image| {
                    for key in CD.into_iter().chain(["CRVAL1", "CRVAL2"]) {
                        let value = format!("{:+.15E}", image.number(key)).replace('E', "D");
                        image.set(key, format!("{value} /deg 'x/y'"));
                    }
                })
            },
            right: Right::Same(Read { astropy_reads: false, ..Read::default() }),
        },
        same("coordinates in the primary header alone", |sky| {
            let file = |(b, image): (usize, &Image)| {
                let mut bytes = super::image::hdu(Hdu::Primary, 8, &[], image.cards(), Vec::new());
                let mut extension = image.clone();
                let all: Vec<String> = image.cards().iter().map(|c| super::image::key(c).to_owned()).collect();
                extension.remove(&all.iter().map(String::as_str).collect::<Vec<_>>());
                extension.set("INHERIT", "T").text("BUNIT", "nanomaggy");
                bytes.extend(extension.hdu(Hdu::Extension("")));
                File::of(b, ".fits", bytes)
            };
            sky.bands.iter().enumerate().map(file).collect()
        }),
    ]
}

/// Plane coordinates by TPV's terms 0, 1, 2, 4, 5, 6.
fn tpv((x, y): Pair) -> Pair {
    let by = |x: f64, y: f64| TPV.iter().map(|(m, c)| c * [1.0, x, y, x.hypot(y), x * x, x * y, y * y][*m]).sum();
    (by(x, y), by(y, x))
}
/// Number and coefficient, of both axes.
const TPV: [(usize, f64); 6] = [(0, 2e-4), (1, 1.0006), (2, -3e-4), (4, 2e-2), (5, 1e-2), (6, -2e-2)];

fn with_pv(image: &mut Image) {
    for axis in [1, 2] {
        TPV.iter().for_each(|(m, c)| {
            image.set(&format!("PV{axis}_{m}"), c);
        });
    }
}

/// Pixels by SIP's terms of the second and third order.
fn sip((u, v): Pair) -> Pair {
    let f = 2e-6 * u * u - 1e-6 * u * v + 3e-9 * v * v * v;
    let g = 1e-6 * u * u + 2e-6 * v * v - 2e-9 * u * u * u;
    (u + f, v + g)
}

fn with_sip(image: &mut Image) {
    image.set("A_ORDER", 3).set("B_ORDER", 3);
    image.set("A_2_0", 2e-6).set("A_1_1", -1e-6).set("A_0_3", 3e-9);
    image.set("B_2_0", 1e-6).set("B_0_2", 2e-6).set("B_3_0", -2e-9);
}

fn distortions() -> Vec<Case> {
    let bent_deg = |usual| Place { bent_deg: tpv, ..usual };
    let bent_px = |usual| Place { bent_px: sip, ..usual };
    vec![
        placed("SCAMP's PV of a TAN", bent_deg, |sky| each(sky, with_pv)),
        placed("TPV", bent_deg, |sky| {
            each(sky, |image| {
                with_pv(image);
                ctypes(image, "TPV");
            })
        }),
        placed("TAN-SIP", bent_px, |sky| {
            each(sky, |image| {
                with_sip(image);
                ctypes(image, "TAN-SIP");
            })
        }),
        placed("SIP without its suffix", bent_px, |sky| each(sky, with_sip)),
        same("TAN-SIP of order 0", |sky| {
            each(sky, |image| {
                image.set("A_ORDER", 0).set("B_ORDER", 0);
                ctypes(image, "TAN-SIP");
            })
        }),
    ]
}

/// ZPN's coefficients 1 and 3, as of a wide-field camera.
const ZPN: [f64; 2] = [1.0, 42.0];

fn zpn_latitude(radius: f64) -> f64 {
    let mut z = radius;
    for _ in 0..20 {
        z -= (ZPN[0] * z + ZPN[1] * z.powi(3) - radius) / (ZPN[0] + 3.0 * ZPN[1] * z * z);
    }
    std::f64::consts::FRAC_PI_2 - z
}

fn projections() -> Vec<Case> {
    const QUARTER: f64 = std::f64::consts::FRAC_PI_2;
    /// CRPIX so far from the frame that projections differ, px.
    const FAR_PX: f64 = 2500.0;
    fn far(code: &str, sky: &Sky) -> Vec<File> {
        each(sky, |image| {
            ctypes(image, code);
            image.set("CRPIX1", image.number("CRPIX1") + FAR_PX);
        })
    }
    fn at(usual: Place, latitude: fn(f64) -> f64) -> Place {
        Place { latitude, crpix: (usual.crpix.0 + FAR_PX, usual.crpix.1), ..usual }
    }
    vec![
        placed("SIN", |usual| at(usual, f64::acos), |sky| far("SIN", sky)),
        placed("ARC", |usual| at(usual, |r| QUARTER - r), |sky| far("ARC", sky)),
        placed("STG", |usual| at(usual, |r| QUARTER - 2.0 * (r / 2.0).atan()), |sky| far("STG", sky)),
        placed("ZEA", |usual| at(usual, |r| QUARTER - 2.0 * (r / 2.0).asin()), |sky| far("ZEA", sky)),
        placed(
            "ZPN",
            |usual| Place { latitude: zpn_latitude, ..usual },
            |sky| {
                each(sky, |image| {
                    ctypes(image, "ZPN");
                    image.set("PV2_1", ZPN[0]).set("PV2_3", ZPN[1]);
                })
            },
        ),
        placed(
            "LONPOLE of 150",
            |usual| Place { lonpole_deg: 150.0, ..usual },
            |sky| {
                each(sky, |image| {
                    image.set("LONPOLE", 150.0);
                })
            },
        ),
        placed(
            "LONPOLE as PV1_3, fiducial point as PV1_1 and PV1_2",
            |usual| Place { lonpole_deg: 150.0, ..usual },
            |sky| {
                each(sky, |image| {
                    ctypes(image, "ARC");
                    image.set("PV1_1", 0.0).set("PV1_2", 90.0).set("PV1_3", 150.0);
                })
            },
        ),
        placed(
            "the frame straddles right ascension 0",
            |usual| Place { crval: (0.0, usual.crval.1), ..usual },
            |sky| {
                each(sky, |image| {
                    image.set("CRVAL1", 0.0);
                })
            },
        ),
        placed(
            "the pole lies in the frame",
            |usual| Place { crval: (123.0, 89.99), ..usual },
            |sky| {
                each(sky, |image| {
                    image.set("CRVAL1", 123.0).set("CRVAL2", 89.99);
                })
            },
        ),
        placed(
            "the south pole is CRVAL",
            |usual| Place { crval: (210.0, -90.0), ..usual },
            |sky| {
                each(sky, |image| {
                    image.set("CRVAL1", 210.0).set("CRVAL2", -90.0);
                })
            },
        ),
    ]
}

fn frames() -> Vec<Case> {
    let b1950 = |usual| Place { to_icrs: b1950_to_j2000, within_arcsec: 0.5, ..usual };
    vec![
        placed("EQUINOX 1950 without RADESYS", b1950, |sky| {
            each(sky, |image| {
                image.remove(&["RADESYS"]).set("EQUINOX", 1950.0);
            })
        }),
        placed("EPOCH 1950, and nothing else", b1950, |sky| {
            each(sky, |image| {
                image.remove(&["RADESYS"]).set("EPOCH", 1950.0);
            })
        }),
        placed(
            "FK5 of 1975",
            |usual| Place { to_icrs: j1975_to_j2000, within_arcsec: 0.15, ..usual },
            |sky| {
                each(sky, |image| {
                    image.text("RADESYS", "FK5").set("EQUINOX", 1975.0);
                })
            },
        ),
        placed(
            "FK5 by EQUINOX 2000 alone",
            |usual| Place { within_arcsec: 0.1, ..usual },
            |sky| {
                each(sky, |image| {
                    image.remove(&["RADESYS"]).set("EQUINOX", 2000.0);
                })
            },
        ),
    ]
}

fn refusals() -> Vec<Case> {
    vec![
        refused("EQUINOX as a text that is no year", "bad_wcs", &["EQUINOX", "B1950"], |sky| {
            each(sky, |image| {
                image.remove(&["RADESYS"]).text("EQUINOX", "B1950");
            })
        }),
        refused("CD beside another PC", "bad_wcs", &["CDi_j", "PCi_j"], |sky| {
            each(sky, |image| {
                image.set("PC1_1", -1.0).set("PC1_2", 0.1).set("CDELT1", 1e-4).set("CDELT2", 1e-4);
            })
        }),
        refused("a card twice, with two values", "bad_wcs", &["CRVAL1"], |sky| {
            each(sky, |image| {
                image.add("CRVAL1", 12.5);
            })
        }),
        refused("CRPIX2 twice, in one band", "bad_wcs", &["CRPIX2"], |sky| {
            one(sky, "z", |image| {
                image.add("CRPIX2", 12.5);
            })
        }),
        refused("TNX", "bad_wcs", &["TNX"], |sky| {
            each(sky, |image| {
                ctypes(image, "TNX");
                image.text("WAT1_001", "wtype=tnx axtype=ra lngcor = \"3. 2. 2. 2. 0. 1. 0. 1. .1\"");
            })
        }),
        refused("a distortion as a look-up table", "bad_wcs", &["CPDIS1"], |sky| {
            each(sky, |image| {
                image.text("CPDIS1", "LOOKUP");
            })
        }),
        refused("a detector's look-up table", "bad_wcs", &["D2IMDIS1"], |sky| {
            each(sky, |image| {
                image.text("D2IMDIS1", "LOOKUP");
            })
        }),
        refused("no coordinates", "bad_wcs", &["CTYPE"], |sky| {
            each_band(sky, |b, image| {
                if b == 2 {
                    image.remove(&["CTYPE1", "CTYPE2"]).remove(&CD);
                }
            })
        }),
    ]
}
