//! What files of a folder become, in surveys of every kind.

use std::sync::Arc;

use super::*;
use crate::{Fields, HeaderReader};
use twinpeak_core::testing::like_sdss;

const BANDS: &str = r#"{ planes = ["", "g", "r", "i", ""], required = 2, aliases = { "HSC-R" = "r" } }"#;
const NAMED: &str = r"^(?P<image>.*)_(?P<band>[A-Za-z-]+)\.fits$";
const NO_BAND: &str = r"^(?P<image>.*)\.fits$";
const SKY: &str = "[files]\nband_card = 'FILTER'\ngroup = 'sky'\ngroup_arcsec = 60.0\ngroup_days = 0.5";

/// A folder, and what each file's headers would say.
struct Night {
    folder: tempfile::TempDir,
    headers: HeaderReader,
}

impl Night {
    fn new(names: &[&str], headers: impl Fn(&str) -> Vec<Sighting> + Send + Sync + 'static) -> Self {
        let folder = tempfile::tempdir().unwrap();
        names.iter().for_each(|name| fs::write(folder.path().join(name), "").unwrap());
        Self { folder, headers: Arc::new(move |file| Ok(headers(file.file_name().unwrap().to_str().unwrap()))) }
    }

    fn named(names: &[&str]) -> Self {
        Self::new(names, |_| unreachable!("names say it"))
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn fields(&self, survey: &Survey) -> Fields {
        Fields::new(&[self.folder.path().to_owned()], &[], Arc::new(survey.clone()), &self.headers)
    }

    /// Each image with its bands' files, as `band=file[hdu]+mask+weight`, or what is said of it.
    fn images(&self, survey: &Survey) -> Vec<(String, String)> {
        self.fields(survey).map(|(image, files)| (image.to_string(), self.told(survey, files))).collect()
    }

    fn told(&self, survey: &Survey, files: Result<twinpeak_core::files::FieldFiles, Box<Rejection>>) -> String {
        let folder = format!("{}/", self.folder.path().display());
        let files = match files {
            Ok(files) => files,
            Err(rejection) => return rejection.to_string().replace(&folder, ""),
        };
        let name = |place: &Place| {
            let hdu = place.hdu.as_ref().map_or_else(String::new, |hdu| format!("[{hdu}]"));
            format!("{}{hdu}", place.file.display()).replace(&folder, "")
        };
        let band = |(b, files): (usize, &Option<BandFiles>)| {
            let places = files.as_ref()?.places().map(name).collect::<Vec<_>>().join("+");
            Some(format!("{}={places}", survey.band(b)))
        };
        files.iter().enumerate().filter_map(band).collect::<Vec<_>>().join(" ")
    }
}

fn pairs(images: &[(String, String)]) -> Vec<(&str, &str)> {
    images.iter().map(|(image, says)| (image.as_str(), says.as_str())).collect()
}

#[test]
fn enough_bands_are_a_field_and_bands_that_are_not_chosen_are_passed_over() {
    let survey = like_sdss(BANDS, NAMED, "");
    let night = Night::named(&[
        "a b_g.fits",
        "a b_HSC-R.fits",
        "a b_y.fits",
        "c_g.fits",
        "c_i.fits",
        "d_r.fits",
        "e_y.fits",
        "log.txt",
    ]);
    assert_eq!(
        pairs(&night.images(&survey))[..2],
        [
            ("a_x20b", "g=a b_g.fits r=a b_HSC-R.fits"),
            (
                "c",
                "\"frame-r-c.fits.bz2\": band r of image c is missing: files whose names have its id were looked for \
                 (missing_band; give at least 2 bands, r among \
                 them, together, then remove rejected/c.json)"
            ),
        ]
    );
    assert!(night.images(&survey)[2].1.contains("bands g, i of image d are missing"));
    assert_eq!(
        night.fields(&survey).notes(),
        [
            "passed over: files of band \"y\" (2), for survey sdss chooses g r i",
            "passed over: files whose names are none of the survey's (1), e.g. \"log.txt\""
        ]
    );
}

#[test]
fn masks_and_weights_lie_beside_the_image() {
    let more = "[mask]\nfile = '{image}_{band}.mask.fits'\nbits = { SAT = [1] }\n\
                [weight]\nfile = '{image}_{band}.w.fits'\nrequired = false\nkind = 'variance'\nincludes_sources = false";
    let survey = like_sdss(BANDS, NAMED, more);
    let night = Night::named(&[
        "a_g.fits",
        "a_g.mask.fits",
        "a_r.fits",
        "a_r.mask.fits",
        "a_r.w.fits",
        "b_g.fits",
        "b_r.fits",
        "b_r.mask.fits",
    ]);
    let images = night.images(&survey);
    assert_eq!(images[0].1, "g=a_g.fits+a_g.mask.fits r=a_r.fits+a_r.mask.fits+a_r.w.fits");
    assert!(images[1].1.starts_with("\"b_g.mask.fits\": the mask of band g of image b is missing"), "{}", images[1].1);
    assert!(night.fields(&survey).notes().is_empty(), "a mask is no strange file");
}

#[test]
fn each_ccd_of_a_file_is_a_field() {
    let survey = like_sdss(BANDS, NAMED, "[image]\nccds = '^S[0-9]+$'");
    let two = |name: &str| {
        let ccds = if name.contains("_g") { &["S1", "S 2"][..] } else { &["S1", "S 2", "S3"] };
        ccds.iter().map(|ccd| Sighting { ccd: Some((*ccd).to_owned()), ..Sighting::default() }).collect()
    };
    let images = Night::new(&["a_g.fits", "a_r.fits"], two).images(&survey);
    assert_eq!(images[0], ("a.S1".into(), "g=a_g.fits[S1] r=a_r.fits[S1]".into()));
    assert!(images[1].0 == "a.S3" && images[1].1.contains("bands g, i of image a.S3 are missing"), "{images:?}");
    assert_eq!(images[2], ("a.S_x202".into(), "g=a_g.fits[S 2] r=a_r.fits[S 2]".into()));
}

#[test]
fn one_file_may_hold_all_bands() {
    let survey = like_sdss(BANDS, NO_BAND, "[image]\nhdu = 'SCI_{band}'");
    let images = Night::named(&["a.fits"]).images(&survey);
    assert_eq!(pairs(&images), [("a", "g=a.fits r=a.fits i=a.fits")]);
}

#[test]
fn a_card_says_the_band_where_the_name_does_not() {
    let survey = like_sdss(BANDS, r"^(?P<image>[0-9]+).*\.fits$", "[files]\nband_card = 'FILTER'");
    let card = |name: &str| {
        let card = match name {
            "1a.fits" => Some("g DECam SDSS c0001"),
            "1b.fits" => Some("HSC-R"),
            "1c.fits" => Some("Y DECam"),
            _ => None,
        };
        vec![Sighting { band: card.map(str::to_owned), ..Sighting::default() }]
    };
    let night = Night::new(&["1a.fits", "1b.fits", "1c.fits", "2.fits"], card);
    let images = night.images(&survey);
    assert_eq!(images[0], ("1".into(), "g=1a.fits r=1b.fits".into()));
    assert!(images[1].1.contains("neither its name nor a card FILTER says of which band it is"), "{images:?}");
    assert_eq!(night.fields(&survey).notes().len(), 1);
}

/// Exposures written as `name band ra_deg mjd`.
fn exposures(written: &'static [(&'static str, &'static str, f64, f64)]) -> Night {
    let names: Vec<&str> = written.iter().map(|(name, ..)| *name).collect();
    Night::new(&names, |name| {
        let (_, band, ra_deg, mjd) = written.iter().find(|(known, ..)| *known == name).unwrap();
        vec![Sighting {
            ccd: None,
            band: Some((*band).to_owned()),
            centre_deg: Some((*ra_deg, 0.0)),
            midpoint_mjd_tai: Some(*mjd).filter(|mjd| mjd.is_finite()),
        }]
    })
}

#[test]
fn exposures_of_one_sky_and_time_are_a_field() {
    let survey = like_sdss(BANDS, NO_BAND, SKY);
    let night = exposures(&[
        ("e1.fits", "r", 10.0, 100.0),
        ("e2.fits", "g", 9.99, 100.4),
        ("e3.fits", "i", 10.01, 99.6),
        ("e4.fits", "r", 10.0, 102.0),
        ("e5.fits", "g", 10.0, 102.1),
        ("e6.fits", "r", 359.995, 100.0),
        ("e7.fits", "i", 0.005, 100.0),
        ("e8.fits", "g", 10.02, 100.0),
        ("e9.fits", "g", 10.0, f64::NAN),
    ]);
    let images = night.images(&survey);
    assert_eq!(
        pairs(&images)[..3],
        [("e1", "g=e2.fits r=e1.fits i=e3.fits"), ("e4", "g=e5.fits r=e4.fits"), ("e6", "r=e6.fits i=e7.fits"),]
    );
    assert!(images[3].1.contains("bands r, i of image e8 are missing"), "{images:?}");
    assert!(images[4].1.starts_with("\"e9.fits\": its headers give no time"), "{images:?}");
}

#[test]
fn what_fits_twice_is_told_and_not_guessed() {
    let survey = like_sdss(BANDS, NO_BAND, SKY);
    let two_of_g = exposures(&[("r.fits", "r", 10.0, 1.0), ("g1.fits", "g", 10.0, 1.1), ("g2.fits", "g", 10.0, 1.2)]);
    let images = two_of_g.images(&survey);
    assert!(images.len() == 1 && images[0].1.contains("has two files of band g near it: "), "{images:?}");
    let two_of_r = exposures(&[("r1.fits", "r", 10.0, 1.0), ("r2.fits", "r", 10.0, 1.1), ("g.fits", "g", 10.0, 1.0)]);
    let images = two_of_r.images(&survey);
    assert_eq!(images.len(), 2, "{images:?}");
    for (_, says) in &images {
        assert!(says.starts_with("\"g.fits\": fits two fields: ") && says.contains("r2.fits"), "{says}");
    }
}

#[test]
fn a_name_that_is_shared_under_another_sky_is_told() {
    let survey = like_sdss(BANDS, r"^(?P<image>[a-z]+)[0-9]\.fits$", SKY);
    let night = exposures(&[("a1.fits", "r", 10.0, 1.0), ("a2.fits", "g", 20.0, 1.0)]);
    let images = night.images(&survey);
    assert!(images.len() == 1 && images[0].1.contains("but shows another sky or time"), "{images:?}");
}

#[test]
fn a_table_names_fields_whose_files_share_no_name() {
    let survey = like_sdss(BANDS, NAMED, "");
    let night = Night::named(&["one_r.fits", "two_g.fits", "three_g.fits", "three_r.fits", "m.fits"]);
    night.write(
        "night.fields.csv",
        "id,band,path,hdu,mask,mask_hdu\n2014-10-29 N26,HSC-R,one_r.fits,N26,m.fits,1\n2014-10-29 N26,g,two_g.fits,,,\n\
         2014-10-29 N26,y,y.fits,,,\nlost,r,one_r.fits,,,\nlost,g,nowhere.fits,,,\n",
    );
    let images = night.images(&survey);
    assert_eq!(
        pairs(&images)[..2],
        [
            ("2014-10-29_x20N26", "g=two_g.fits r=one_r.fits[N26]+m.fits[1]"),
            (
                "lost",
                "\"nowhere.fits\": the file of band g of image lost is missing (missing_band; put it there, then remove \
                 rejected/lost.json)"
            ),
        ]
    );
    assert_eq!(images[2], ("three".into(), "g=three_g.fits r=three_r.fits".into()), "what no table names goes by name");
    assert_eq!(images.len(), 3);

    let by_table = like_sdss(BANDS, NAMED, "[files]\ngroup = 'table'");
    assert_eq!(night.images(&by_table).len(), 2);
    let notes = night.fields(&by_table).notes();
    assert!(notes[1].starts_with("passed over: files that no table names (2)"), "{notes:?}");
}

#[test]
fn a_bad_table_is_a_rejection_that_names_the_line() {
    let survey = like_sdss(BANDS, NAMED, "");
    let night = Night::named(&["a_g.fits", "a_r.fits"]);
    let table = night.write("list.csv", "id,band,path\nx,g\n");
    let mut fields = Fields::new(&[], &[table], Arc::new(survey.clone()), &night.headers);
    let (image, files) = fields.next().unwrap();
    assert_eq!(image.as_str(), "unrecognised.list.csv");
    let says = files.unwrap_err().to_string();
    assert!(says.contains("line 2: 2 values stand under 3 columns (bad_message; correct the table"), "{says}");
    assert!(fields.next().is_none());
}

/// The headers of the Dark Energy Camera's three exposures of one patch, as astropy reads them: name, centre
/// (FK5 made ICRS), middle.
const DECAM: [(&str, (f64, f64), f64); 3] = [
    ("c4d_141029_043225_ooi_g_ls9.N26.fits", (9.122_797_295_9, 3.397_482_876_9), 56_959.188_486_527_7),
    ("c4d_141029_043420_ooi_r_ls9.N26.fits", (9.122_806_174_6, 3.397_530_594_0), 56_959.189_849_641_5),
    ("c4d_131122_030338_ooi_z_ls9.S21.fits", (9.122_802_715_7, 3.397_519_878_1), 56_618.128_452_586_6),
];

#[test]
fn real_exposures_under_three_names_are_one_field() {
    let root = std::env::var_os("TWINPEAK_DATA").map(PathBuf::from);
    let root = root.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data")).join("decam");
    if !root.exists() {
        return eprintln!("SKIPPED: no real frames at {}", root.display());
    }
    let decam = |group: &str| {
        let text = include_str!("../../../config/surveys/decam.toml");
        let (before, after) = (text.split("[files]").next().unwrap(), text.split_once("[image]").unwrap().1);
        Arc::new(Survey::parse(&format!("{before}[files]\n{group}\n[image]{after}")).unwrap())
    };
    let limits = twinpeak_formats::fits::Limits::default();
    let by_sky = decam("group = 'sky'\ngroup_arcsec = 5.0\ngroup_days = 400.0");
    for (name, (ra_deg, dec_deg), mjd) in DECAM {
        let said = twinpeak_formats::fits::sightings(&by_sky, &root.join(name), &limits).unwrap();
        let (ra, dec) = said[0].centre_deg.unwrap();
        assert!((ra - ra_deg).abs() < 2.8e-7 && (dec - dec_deg).abs() < 2.8e-7, "{name}: {ra} {dec}");
        assert!((said[0].midpoint_mjd_tai.unwrap() - mjd).abs() < 1e-8, "{name}: {said:?}");
    }

    let survey = by_sky.clone();
    let headers: HeaderReader = Arc::new(move |file| twinpeak_formats::fits::sightings(&survey, file, &limits));
    let mut fields = Fields::new(std::slice::from_ref(&root), &[], by_sky.clone(), &headers);
    let (image, files) = fields.next().unwrap();
    assert!(fields.next().is_none(), "one patch is one field");
    assert_eq!(image.as_str(), "141029_043420.N26", "the reference band's exposure names it");
    let files = files.unwrap();
    let ccds = files.each_ref().map(|band| band.as_ref().and_then(|band| band.image.hdu.clone()));
    assert_eq!(ccds, [None, Some("N26".into()), Some("N26".into()), None, Some("S21".into())]);
    let beside = |band: &BandFiles| band.mask.is_some() && band.weight.is_some();
    assert!(files.iter().flatten().all(beside), "{files:?}");
    let frame = twinpeak_formats::fits::load(&by_sky, &image, &files, &limits).unwrap();
    assert_eq!(frame.present, [false, true, true, false, true]);

    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("list.csv");
    let hdu = |name: &str| name.rsplit('.').nth(1).unwrap().to_owned();
    let line = |(name, ..): &(&str, _, _)| {
        let (band, path) = (name.split('_').nth(4).unwrap(), root.join(name));
        format!("0009p034,{band},{},{}\n", path.display(), hdu(name))
    };
    fs::write(&table, format!("id,band,path,hdu\n{}", DECAM.iter().map(line).collect::<String>())).unwrap();
    let mut fields = Fields::new(&[], &[table], decam("group = 'table'"), &headers);
    let (image, by_table) = fields.next().unwrap();
    assert_eq!(image.as_str(), "0009p034");
    let by_table = twinpeak_formats::fits::load(&by_sky, &image, &by_table.unwrap(), &limits).unwrap();
    assert_eq!(by_table.input_hash, frame.input_hash, "the same files, masks and weights among them");
}
