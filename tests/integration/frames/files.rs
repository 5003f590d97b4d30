//! The same pixels in other files: extensions, cubes, codings, packings, names; units and times.

use std::io::Write;

use super::case::{Case, File, HALF_DAYS, Read, Right, each, holds, one, refused, same};
use super::image::{Hdu, Image, filled, hdu, header, header_bytes, key};
use super::sky::Sky;

/// The cases.
pub fn cases() -> Vec<Case> {
    [layouts(), packings(), units(), times()].into_iter().flatten().collect()
}

/// A file a band.
fn files(sky: &Sky, ending: &str, bytes: impl Fn(&Image) -> Vec<u8>) -> Vec<File> {
    sky.bands.iter().enumerate().map(|(b, image)| File::of(b, ending, bytes(image))).collect()
}

/// A band's two halves, side by side, as two CCDs in a file.
pub fn two_ccds(sky: &Sky) -> Vec<File> {
    const FACTS: [&str; 3] = ["NMGY", "TAI", "EXPTIME"];
    files(sky, ".fits", |image| {
        let mut bytes = hdu(Hdu::Primary, 8, &[], &image.only(&FACTS), Vec::new());
        let half = image.size.0 / 2;
        for (name, from) in [("CCD1", 0), ("CCD2", half)] {
            let mut ccd = image.clone();
            ccd.grid((half, image.size.1), |all, x, y| all.at(x + from, y));
            ccd.set("CRPIX1", image.number("CRPIX1") - from as f64).remove(&FACTS);
            bytes.extend(ccd.hdu(Hdu::Extension(name)));
        }
        bytes
    })
}

fn layouts() -> Vec<Case> {
    vec![
        refused("two CCDs in a file", "band_mismatch", &["HDUs 1 CCD1, 2 CCD2"], two_ccds),
        same("the image in an extension, quality and errors behind it", |sky| {
            files(sky, ".fits", |image| {
                const FACTS: [&str; 3] = ["NMGY", "TAI", "EXPTIME"];
                let mut bytes = hdu(Hdu::Primary, 8, &[], &image.only(&FACTS), Vec::new());
                bytes.extend(image.clone().remove(&FACTS).hdu(Hdu::Extension("SCI")));
                let axes = [image.size.0, image.size.1];
                bytes.extend(hdu(Hdu::Extension("DQ"), 16, &axes, &[], vec![0; 2 * image.pixels.len()]));
                let ones = image.clone().map(|_, _, _| 1.0).data();
                bytes.extend(hdu(Hdu::Extension("ERR"), -32, &axes, &[], ones));
                bytes
            })
        }),
        same("a cube of one plane", |sky| {
            files(sky, ".fits", |i| hdu(Hdu::Primary, -32, &[i.size.0, i.size.1, 1], i.cards(), i.data()))
        }),
        same("doubles with BSCALE and BZERO", |sky| {
            files(sky, ".fits", |image| {
                let data = image.pixels.iter().flat_map(|v| ((f64::from(*v) - 3.0) / 2.0).to_be_bytes()).collect();
                let mut scaled = image.clone();
                scaled.set("BSCALE", 2.0).set("BZERO", 3.0);
                hdu(Hdu::Primary, -64, &[image.size.0, image.size.1], scaled.cards(), data)
            })
        }),
        refused("counts as unsigned 16-bit numbers", "bad_units", &["BITPIX 16"], |sky| {
            files(sky, ".fits", |image| {
                let dn = image.number("NMGY") as f32;
                let whole = |v: &f32| (v / dn + 1000.0).clamp(0.0, 65535.0) as i32 - 32768;
                let data = image.pixels.iter().flat_map(|v| (whole(v) as i16).to_be_bytes()).collect();
                let mut raw = image.clone();
                raw.set("BZERO", 32768).set("BSCALE", 1);
                hdu(Hdu::Primary, 16, &[image.size.0, image.size.1], raw.cards(), data)
            })
        }),
        same("junk behind the last block", |sky| {
            files(sky, ".fits", |image| [image.file(), b"\x1a\x00junk".repeat(90)].concat())
        }),
        same("the last block is cut short", |sky| {
            files(sky, ".fits", |image| {
                let mut bytes = image.file();
                let (padded, data) = (header(&bytes).1.len(), image.data().len());
                bytes.truncate(bytes.len() - padded + data);
                bytes
            })
        }),
    ]
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// An image as fpack's lossless GZIP_2: a row a tile, bytes of equal weight side by side.
fn gzip_2(image: &Image) -> Vec<u8> {
    let (width, height) = image.size;
    let (mut table, mut heap) = (Vec::new(), Vec::new());
    for row in image.pixels.chunks_exact(width) {
        let shuffled: Vec<u8> = (0..4).flat_map(|k| row.iter().map(move |v| v.to_be_bytes()[k])).collect();
        let tile = gzipped(&shuffled);
        table.extend([tile.len() as u32, heap.len() as u32].iter().flat_map(|n| n.to_be_bytes()));
        heap.extend(tile);
    }
    let mut cards = Image::empty();
    cards.text("XTENSION", "BINTABLE").set("BITPIX", 8).set("NAXIS", 2).set("NAXIS1", 8).set("NAXIS2", height);
    cards.set("PCOUNT", heap.len()).set("GCOUNT", 1).set("TFIELDS", 1);
    cards.text("TTYPE1", "COMPRESSED_DATA").text("TFORM1", "1PB(9999)");
    cards.set("ZIMAGE", "T").text("ZCMPTYPE", "GZIP_2").text("ZQUANTIZ", "NONE");
    cards.set("ZBITPIX", -32).set("ZNAXIS", 2).set("ZNAXIS1", width).set("ZNAXIS2", height);
    cards.set("ZTILE1", width).set("ZTILE2", 1);
    let mut bytes = hdu(Hdu::Primary, 8, &[], &[], Vec::new());
    bytes.extend(header_bytes(&[cards.cards(), image.cards()].concat()));
    table.extend(heap);
    bytes.extend(filled(table, 0));
    bytes
}

/// An image as cfitsio compresses it: Rice's or Hcompress's coding of rounded pixels.
fn compressed(image: &Image, coding: &str) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("band.fits");
    {
        let name = format!("{}[compress {coding}]", path.display());
        let description = fitsio::images::ImageDescription {
            data_type: fitsio::images::ImageType::Float,
            dimensions: &[image.size.1, image.size.0],
        };
        let mut file = fitsio::FitsFile::create(name).open().unwrap();
        let made = file.create_image("BAND", &description).unwrap();
        made.write_image(&mut file, &image.pixels).unwrap();
    }
    // Cards of the world coordinates go into the table's header: cfitsio would have them one by one.
    let bytes = std::fs::read(path).unwrap();
    let (_, table) = header(&bytes);
    let (cards, data) = header(table);
    let primary = &bytes[..bytes.len() - table.len()];
    let unnamed = cards.into_iter().filter(|c| key(c) != "EXTNAME").collect::<Vec<_>>();
    [primary, &header_bytes(&[&unnamed, image.cards()].concat()), data].concat()
}

fn packings() -> Vec<Case> {
    // What rounding to a quarter of the noise does.
    const ROUNDED: Right = Right::Rows(|found| found.are_control(0.05, 0.02));
    vec![
        same("gzip, padded with zeros", |sky| {
            files(sky, ".fits.gz", |image| {
                let mut packed = gzipped(&image.file());
                packed.resize(packed.len().next_multiple_of(10240), 0);
                packed
            })
        }),
        same("bzip2, padded with zeros", |sky| {
            files(sky, ".fits.bz2", |image| [crate::common::fits::packed(&image.file()), vec![0; 3000]].concat())
        }),
        same("gzip and bzip2 in several pieces", |sky| {
            let halves = |image: &Image, pack: fn(&[u8]) -> Vec<u8>| {
                let bytes = image.file();
                let (first, second) = bytes.split_at(bytes.len() / 2);
                [pack(first), pack(second)].concat()
            };
            let file = |(b, image)| match b % 2 {
                0 => File::of(b, ".fits.gz", halves(image, gzipped)),
                _ => File::of(b, ".fits.bz2", halves(image, crate::common::fits::packed)),
            };
            sky.bands.iter().enumerate().map(file).collect()
        }),
        same("tiles of GZIP_2", |sky| files(sky, ".fits.fz", gzip_2)),
        Case {
            name: "tiles of Rice's coding",
            files: |sky| files(sky, ".fits.fz", |image| compressed(image, "R 100,100")),
            right: ROUNDED,
        },
        Case {
            name: "tiles of Hcompress",
            files: |sky| files(sky, ".fits.fz", |image| compressed(image, "H 512,16")),
            right: ROUNDED,
        },
        refused("each band plain and packed", "band_mismatch", &["came twice"], |sky| {
            let mut all = files(sky, ".fits", Image::file);
            all.extend(files(sky, ".fits.gz", |image| gzipped(&image.file())));
            all
        }),
        same("names in upper case, and other endings", |sky| {
            let endings = [".FITS", ".fit", ".FTS", ".Fits", ".FIT"];
            let file = |(b, image): (usize, &Image)| File::of(b, endings[b], image.file());
            sky.bands.iter().enumerate().map(file).collect()
        }),
        same("files changed in the future, and in 1970", |sky| {
            let mut all = files(sky, ".fits", Image::file);
            for (file, s) in all.iter_mut().zip([4_000_000_000, 0, 1, 4_200_000_000, 86_400]) {
                file.changed_s = Some(s);
            }
            all
        }),
    ]
}

fn units() -> Vec<Case> {
    const NOISE: &[&str] = &["the sky's noise", "gain"];
    vec![
        refused("counts, without BUNIT", "bad_units", NOISE, |sky| {
            each(sky, |image| {
                let dn = image.number("NMGY") as f32;
                image.map(|_, _, v| v / dn + 100.0).remove(&["BUNIT"]);
            })
        }),
        refused("BUNIT is another", "bad_units", &["BUNIT", "adu", "nanomaggy"], |sky| {
            one(sky, "i", |image| {
                image.text("BUNIT", "adu");
            })
        }),
        refused("a calibration a hundred times too large", "bad_units", &["band r", "the sky's noise"], |sky| {
            one(sky, "r", |image| {
                image.set("NMGY", 100.0 * image.number("NMGY"));
            })
        }),
        refused("fluxes a hundred times too small", "bad_units", &["band g", "the sky's noise"], |sky| {
            one(sky, "g", |image| {
                image.map(|_, _, v| v / 100.0);
            })
        }),
        holds(
            "a sky of 5 nMgy is left in",
            |found| found.are_control(0.03, 0.01),
            |sky| {
                each(sky, |image| {
                    image.map(|_, _, v| v + 5.0);
                })
            },
        ),
        refused("a filter that is another band's", "band_mismatch", &["FILTER = \"i\"", "band g"], |sky| {
            one(sky, "g", |image| {
                image.text("FILTER", "i");
            })
        }),
        holds(
            "a filter of no band's name",
            |found| found.are_control(0.03, 0.01),
            |sky| {
                one(sky, "g", |image| {
                    image.text("FILTER", "MP9402");
                })
            },
        ),
        refused("a pedestal of 1000", "bad_units", &["band r", "above saturation", "pedestal"], |sky| {
            one(sky, "r", |image| {
                image.map(|_, _, v| v + 1000.0);
            })
        }),
    ]
}

/// 2003-04-29T04:48:39.69 as MJD, of its own scale.
const BEGIN: f64 = 52_758.0 + (4.0 * 3600.0 + 48.0 * 60.0 + 39.69) / 86_400.0;
/// TAI - UTC then, and always TAI - GPS, days.
const TAI_UTC_DAYS: f64 = 32.0 / 86_400.0;
const TAI_GPS_DAYS: f64 = 19.0 / 86_400.0;

fn times() -> Vec<Case> {
    fn timed(name: &'static str, middle: fn(f64) -> Option<f64>, files: fn(&Sky) -> Vec<File>) -> Case {
        Case { name, files, right: Right::Same(Read { middle, ..Read::default() }) }
    }
    let begins_utc = |_| Some(BEGIN + TAI_UTC_DAYS + HALF_DAYS);
    const DATE: &str = "2003-04-29T04:48:39.69";
    vec![
        timed(
            "TAI in days",
            |start| Some(start + HALF_DAYS),
            |sky| {
                each(sky, |image| {
                    image.set("TAI", image.number("TAI") / 86_400.0);
                })
            },
        ),
        timed("DATE-OBS, and an exposure with its unit", begins_utc, |sky| {
            each(sky, |image| {
                image.remove(&["TAI"]).text("DATE-OBS", DATE).text("EXPTIME", "53.9 s");
            })
        }),
        timed("MJD-OBS", begins_utc, |sky| {
            each(sky, |image| {
                image.remove(&["TAI"]).set("MJD-OBS", BEGIN);
            })
        }),
        timed(
            "MJD-BEG and MJD-END",
            |_| Some(BEGIN + TAI_UTC_DAYS + 0.005),
            |sky| {
                each(sky, |image| {
                    image.remove(&["TAI"]).set("MJD-BEG", BEGIN).set("MJD-END", BEGIN + 0.01);
                })
            },
        ),
        timed(
            "DATE-OBS of the GPS's scale",
            |_| Some(BEGIN + TAI_GPS_DAYS + HALF_DAYS),
            |sky| {
                each(sky, |image| {
                    image.remove(&["TAI"]).text("DATE-OBS", DATE).text("TIMESYS", "GPS");
                })
            },
        ),
        timed(
            "no time",
            |_| None,
            |sky| {
                each(sky, |image| {
                    image.remove(&["TAI"]);
                })
            },
        ),
        refused("a time in the year 1858", "bad_time", &["MJD-OBS"], |sky| {
            each(sky, |image| {
                image.remove(&["TAI"]).set("MJD-OBS", 0.25);
            })
        }),
        refused("a time that has not come", "bad_time", &["DATE-OBS", "2099"], |sky| {
            each(sky, |image| {
                image.remove(&["TAI"]).text("DATE-OBS", "2099-04-29T04:48:39");
            })
        }),
        refused("an end before its beginning", "bad_time", &["MJD-END lies before MJD-BEG"], |sky| {
            each(sky, |image| {
                image.remove(&["TAI"]).set("MJD-BEG", BEGIN).set("MJD-END", BEGIN - 0.01);
            })
        }),
    ]
}
