//! Each refusal names its cards; and what is no fault is none.

use proptest::prelude::*;

use crate::wcs::{CardValue, Wcs, WcsError, role};

const SIZE: (usize, usize) = (1000, 800);

fn text(key: &str, value: &str) -> (String, CardValue) {
    (key.to_owned(), CardValue::Text(value.to_owned()))
}

fn real(key: &str, value: f64) -> (String, CardValue) {
    (key.to_owned(), CardValue::Real(value))
}

/// A plain TAN frame but for its matrix.
fn placed() -> Vec<(String, CardValue)> {
    vec![
        text("CTYPE1", "RA---TAN"),
        text("CTYPE2", "DEC--TAN"),
        real("CRVAL1", 150.0),
        real("CRVAL2", 2.0),
        real("CRPIX1", 500.5),
        real("CRPIX2", 400.5),
    ]
}

/// A plain TAN frame, and what is put in place of its cards or beside them.
fn with(changes: &[(String, CardValue)]) -> Result<Wcs, WcsError> {
    let mut cards = placed();
    cards.extend([real("CD1_1", -1e-4), real("CD1_2", 0.0), real("CD2_1", 0.0), real("CD2_2", 1e-4)]);
    cards.retain(|(key, _)| !changes.iter().any(|(other, _)| other == key));
    cards.extend(changes.iter().cloned());
    Wcs::from_cards(&cards, SIZE)
}

fn without_cd(more: &[(String, CardValue)]) -> Result<Wcs, WcsError> {
    let mut cards = placed();
    cards.extend(more.iter().cloned());
    Wcs::from_cards(&cards, SIZE)
}

#[track_caller]
fn refused(made: Result<Wcs, WcsError>, says: &str) {
    let error = made.expect_err(says).to_string();
    assert!(error.contains(says) && !error.contains('\n'), "{error:?} does not say {says:?}");
}

#[track_caller]
fn same(a: Result<Wcs, WcsError>, b: Result<Wcs, WcsError>) {
    let (a, b) = (a.unwrap(), b.unwrap());
    for (x, y) in [(0.0, 0.0), (999.0, 799.0), (12.5, 700.25)] {
        let ((ra, dec), (ra2, dec2)) = (a.pixel_to_sky(x, y).unwrap(), b.pixel_to_sky(x, y).unwrap());
        assert!((ra - ra2).abs() < 1e-12 && (dec - dec2).abs() < 1e-12, "{ra} {dec} is not {ra2} {dec2}");
    }
}

#[test]
fn what_is_not_read_is_refused_by_its_card() {
    for (card, value, says) in [
        ("CPDIS1", "LOOKUP", "CPDIS1"),
        ("D2IMDIS2", "LOOKUP", "D2IMDIS2"),
        ("DP1", "EXTVER: 1", "DP1"),
        ("CTYPE1", "RA", "CTYPE1"),
        ("CTYPE1", "FREQ", "CTYPE1"),
        ("CTYPE1", "ELON-TAN", "CTYPE1"),
        ("CTYPE2", "DEC--SIN", "CTYPE2"),
        ("CTYPE2", "RA---TAN", "CTYPE2"),
        ("CUNIT1", "furlong", "CUNIT1"),
        ("RADESYS", "GAPPT", "RADESYS"),
        ("CRPIX1", "here", "CRPIX1"),
        ("CRVAL2", "2.0", "CRVAL2"),
        ("EQUINOX", "B1950", "EQUINOX"),
    ] {
        refused(with(&[text(card, value)]), says);
    }
    for code in ["TNX", "ZPX", "AIT", "TAB", "XXX", "TAN-TAB"] {
        let made = with(&[text("CTYPE1", &format!("RA---{code}")), text("CTYPE2", &format!("DEC--{code}"))]);
        refused(made, "CTYPE1 = \"RA---");
    }
    refused(with(&[text("CTYPE1", "DEC--TPV"), text("CTYPE2", "RA---TPV")]), "CTYPE1 = \"DEC--TPV\"");
    for (card, value, says) in [
        ("CD1_3", 1.0, "CD1_3"),
        ("CD001001", 1.0, "CD001001"),
        ("PV1_05", 1.0, "PV1_05"),
        ("CRVAL2", 95.0, "CRVAL2"),
        ("CRVAL1", 5e5, "CRVAL1"),
        ("PV2_1", 1.0, "PV2_1"),
        ("PV1_5", 1e-3, "PV1_1"),
        ("A_ORDER", 2.0, "B_ORDER"),
        ("A_2_0", 1e-6, "A_ORDER"),
        ("CRPIX1", f64::NAN, "CRPIX1"),
        ("EQUINOX", 0.0, "EQUINOX"),
    ] {
        refused(with(&[real(card, value)]), says);
    }
    refused(with(&[real("A_ORDER", 2.0), real("B_ORDER", 2.0), real("A_3_0", 1e-9)]), "A_3_0");
    refused(without_cd(&[]), "neither CD nor CDELT");
    refused(without_cd(&[real("CROTA2", 30.0)]), "neither CD nor CDELT");
}

#[test]
fn cards_that_contradict_each_other_are_refused() {
    refused(with(&[real("PC1_1", -1.0), real("CDELT1", 2e-4)]), "CDi_j and PCi_j contradict");
    refused(
        without_cd(&[real("PC1_1", 0.5), real("CDELT1", 1e-4), real("CROTA2", 30.0)]),
        "PCi_j and CROTAi contradict",
    );
    refused(without_cd(&[real("PC1_1", 0.5), real("PC001001", 0.6)]), "PC1_1 and PC001001");
    refused(without_cd(&[real("CDELT1", -1e-4), real("CDELT2", 1e-4), real("CROTA1", 30.0)]), "CROTA1 and CROTA2");
    let both = ["A_ORDER", "B_ORDER"].map(|card| real(card, 2.0));
    let pv = ["PV1_1", "PV2_1", "PV1_5"].map(|card| real(card, 1.0));
    refused(with(&[&pv[..], &[text("CUNIT1", "arcsec"), text("CUNIT2", "arcsec")]].concat()), "CUNITi and PVi_j");
    refused(without_cd(&[&pv[..], &[real("CDELT1", -1e-4), real("CDELT2", 1e-4)]].concat()), "CDELTi and PVi_j");
    refused(with(&[&both[..], &pv, &[real("A_2_0", 1e-6)]].concat()), "PVi_j and A_p_q");
    let twice = [real("CRVAL1", 150.0), real("CRVAL1", 151.0)];
    assert!(matches!(with(&twice), Err(WcsError::Twice { card, .. }) if card == "CRVAL1"));
}

#[test]
fn a_map_without_inverse_is_refused() {
    let made = Wcs::tangent((64, 64), (10.0, 0.0), (32.0, 32.0), [[1e-4, 2e-4], [1e-4, 2e-4]]);
    assert!(matches!(made, Err(WcsError::Singular { .. })));
    let sin = [text("CTYPE1", "RA---SIN"), text("CTYPE2", "DEC--SIN"), real("CD1_1", -0.1), real("CD2_2", 0.1)];
    with(&sin).unwrap_err();
    refused(with(&sin), "is outside the projection");
    let folded = [real("A_ORDER", 2.0), real("B_ORDER", 2.0), real("A_2_0", 2e-3)];
    refused(with(&folded), "A_p_q");
    refused(with(&[real("CRPIX1", 1e12)]), "CRPIXi");
    refused(with(&[text("CUNIT1", "arcsec")]), "times longer than wide");
    refused(with(&[real("CD1_1", -20.0)]), "is no pixel's size");
    refused(with(&[real("LONPOLE", 1e300)]), "LONPOLE");
}

#[test]
fn what_is_said_twice_alike_is_no_fault() {
    same(with(&[real("CRVAL1", 150.0), ("CRVAL1".into(), CardValue::Integer(150))]), with(&[]));
    same(with(&[real("PC1_1", -1.0), real("CDELT1", 1e-4), real("CDELT2", 1e-4)]), with(&[]));
    // CD goes before what CDELT and CROTA say.
    same(with(&[real("CDELT1", 7.0), real("CROTA2", 30.0)]), with(&[]));
    same(
        with(&[text("CTYPE1A", "RA---TNX"), text("CTYPE3", "STOKES"), real("CD3_3", 1.0), real("CD1_3", 0.0)]),
        with(&[]),
    );
    same(with(&[text("EQUINOX", ""), text("RADESYS", "ICRS"), real("EPOCH", 1950.0)]), with(&[]));
}

/// The older spelling beside the newer one.
#[test]
fn two_spellings_of_one_card_must_mean_one_frame() {
    let both =
        |new: &str, old: &str, year: f64| with(&[text("RADESYS", new), text("RADECSYS", old), real("EQUINOX", year)]);
    // As DECam's headers have it: 23 mas apart.
    same(both("FK5", "ICRS", 2000.0), with(&[text("RADESYS", "FK5"), real("EQUINOX", 2000.0)]));
    same(both("ICRS", "ICRS", 2000.0), with(&[]));
    for (new, old, year) in
        [("FK5", "FK4", 1950.0), ("ICRS", "FK4", 1950.0), ("FK5", "ICRS", 1975.0), ("ICRS", "GAPPT", 2000.0)]
    {
        refused(both(new, old, year), "RADESYS and RADECSYS contradict each other");
    }
}

/// Text in the place of a year: what every reader understands alike is read.
#[test]
fn an_equinox_that_is_text_is_read_where_it_is_the_default() {
    let of = |system: &str, equinox: &str| with(&[text("RADESYS", system), text("EQUINOX", equinox)]);
    for text in ["B1950", "J2000.0", "today"] {
        same(of("ICRS", text), with(&[]));
    }
    for text in ["J2000", "J2000.0", "2000.0", "2000"] {
        same(of("FK5", text), with(&[self::text("RADESYS", "FK5"), real("EQUINOX", 2000.0)]));
    }
    for system in ["FK4", "FK4-NO-E"] {
        same(of(system, "B1950.0"), with(&[text("RADESYS", system), real("EQUINOX", 1950.0)]));
        refused(of(system, "J2000"), "RADESYS and EQUINOX contradict each other");
    }
    refused(of("FK5", "B1950"), "RADESYS and EQUINOX contradict each other");
    refused(of("FK5", "J1975"), "EQUINOX = \"J1975\" is text");
    refused(of("FK5", "JJ"), "EQUINOX = \"JJ\" is text");
    refused(with(&[text("EQUINOX", "J2000")]), "write the year as a number, and RADESYS beside it");
    refused(with(&[text("EPOCH", "B1950")]), "EPOCH = \"B1950\" is text");
}

#[test]
fn absent_cards_have_the_standards_values() {
    same(without_cd(&[real("CDELT1", -1e-4), real("CDELT2", 1e-4)]), with(&[]));
    same(without_cd(&[real("PC1_1", -1e-4), real("PC2_2", 1e-4)]), with(&[]));
    same(without_cd(&[real("CD1_1", -1e-4), real("CD2_2", 1e-4)]), with(&[]));
}

#[test]
fn what_redundant_words_scamp_left_beside_a_sip_is_not_read() {
    let sip = [
        text("CTYPE1", "RA---TAN-SIP"),
        text("CTYPE2", "DEC--TAN-SIP"),
        real("A_ORDER", 2.0),
        real("B_ORDER", 2.0),
        real("A_2_0", 1e-6),
    ];
    let pv = ["PV1_1", "PV2_1", "PV1_5"].map(|card| real(card, 1.0));
    same(with(&[&sip[..], &pv].concat()), with(&sip));
}

#[test]
fn only_cards_of_the_two_axes_have_a_role() {
    for key in ["CTYPE1", "CD2_1", "PC001002", "PV2_39", "A_ORDER", "BP_0_1", "RADESYS", "DP1.EXTVER", "D2IMARR"] {
        assert!(role(key).is_some(), "{key}");
    }
    for key in ["CTYPE3", "CTYPE1A", "CD3_3", "CD12_1", "CDS", "A_DMAX", "PCOUNT", "PV3_1", "DPI", "CRPIX", "PC003001"]
    {
        assert!(role(key).is_none(), "{key}");
    }
}

/// Any value of any kind.
fn value() -> impl Strategy<Value = CardValue> {
    prop_oneof![
        any::<f64>().prop_map(CardValue::Real),
        prop::sample::select(vec![
            0.0,
            1.0,
            -1.0,
            1e-4,
            -1e-4,
            2.0,
            90.0,
            -90.0,
            180.0,
            1e300,
            f64::NAN,
            f64::INFINITY
        ])
        .prop_map(CardValue::Real),
        any::<i64>().prop_map(CardValue::Integer),
        (0i64..12).prop_map(CardValue::Integer),
        prop::sample::select(vec!["RA---TAN", "DEC--ZPN", "RA---CAR", "DEC--TPV", "FK4", "deg", "", "T", "1.5D+01"])
            .prop_map(|text| CardValue::Text(text.to_owned())),
    ]
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "CTYPE1", "CTYPE2", "CUNIT1", "CRVAL1", "CRVAL2", "CRPIX1", "CRPIX2", "CDELT1", "CDELT2", "CROTA1",
            "CROTA2", "LONPOLE", "LATPOLE", "RADESYS", "EQUINOX", "EPOCH", "A_ORDER", "B_ORDER", "PC001001",
            "PC002001", "CPDIS1",
        ])
        .prop_map(str::to_owned),
        "(CD|PC)[12]_[123]",
        "PV[12]_[1-4]?[0-9]",
        "(A|B|AP)_[0-9]_[0-9]",
        "[A-Z0-9_]{1,8}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]
    #[test]
    fn no_cards_are_worse_than_refused(
        changes in prop::collection::vec((name(), value()), 0..6),
        code in prop::sample::select(vec!["TAN", "TPV", "SIN", "ZPN", "CAR", "ARC", "STG", "ZEA", "TAN-SIP"]),
    ) {
        let mut cards = vec![text("CTYPE1", &format!("RA---{code}")), text("CTYPE2", &format!("DEC--{code}"))];
        cards.extend(changes);
        match with(&cards) {
            Ok(wcs) => {
                let (ra, dec) = wcs.pixel_to_sky(0.0, 0.0).unwrap();
                prop_assert!((0.0..360.0).contains(&ra) && dec.abs() <= 90.0);
                prop_assert!(wcs.pixel_scale_arcsec() > 0.0);
                let again = Wcs::from_cards(wcs.cards(), SIZE).unwrap();
                let (ra2, dec2) = again.pixel_to_sky(0.0, 0.0).unwrap();
                prop_assert!((dec - dec2).abs() < 1e-9 && ((ra - ra2).abs() * dec.to_radians().cos() < 1e-9 || (ra - ra2).abs() > 359.0));
            }
            Err(error) => prop_assert!(!error.to_string().contains('\n') && !error.advice().is_empty()),
        }
    }
}
