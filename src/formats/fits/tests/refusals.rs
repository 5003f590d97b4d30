//! The rarer refusals: each by the file that earns it, with its reason and its words.

use super::*;

/// A value that is no number where one must be is told by its card; nothing is put in its place.
#[test]
fn a_card_that_is_no_number_is_not_passed_over() {
    for (card, value) in [("NMGY", "'x'"), ("NMGY", "NaN"), ("NMGY", "T"), ("NMGY", "1,5")] {
        let says = format!("{card} = {:?} is no finite number", value.trim_matches('\''));
        refused(with_r(|b| set_card(b, card, &format!("{card:8}= {value}"))), Reason::BadUnits, R, &says);
    }
    for (card, value) in [("BSCALE", "'x'"), ("BSCALE", "inf"), ("BZERO", "'1,5'"), ("BZERO", "NaN")] {
        let said = with_r(|b| set_card(b, "FILTER", &format!("{card:8}= {value}")));
        refused(said, Reason::BadUnits, R, &format!("{card} = {:?} is no finite number", value.trim_matches('\'')));
    }
    for none in ["NMGY    =", "NMGY    = '        '"] {
        with_r(|b| set_card(b, "NMGY", none)).unwrap();
    }
}

#[test]
fn times_and_units_are_told_by_their_cards() {
    refused(with_r(|b| set_card(b, "BUNIT", "BUNIT   = 'adu'")), Reason::BadUnits, R, "BUNIT = \"adu\"");
    refused(
        with_r(|b| {
            set_card(b, "TAI", "DATE-OBS= '2003-04-29T04:48:00'");
            set_card(b, "FILTER", "TIMESYS = 'MOON'");
        }),
        Reason::BadTime,
        R,
        "TIMESYS = \"MOON\" is no time scale",
    );
    for (card, value) in [("DATE-OBS", "'2099-04-29T04:48:39'"), ("MJD-OBS", "80000.5")] {
        let later = with_r(|b| set_card(b, "TAI", &format!("{card:8}= {value}")));
        refused(later, Reason::BadTime, R, &format!("{card} = \"{}\" is no time between", value.trim_matches('\'')));
    }
    for (begin, end) in [("MJD-BEG", "MJD-END"), ("MJD-OBS", "MJD-END")] {
        let backwards = with_r(|b| {
            set_card(b, "FILTER", &format!("{begin:8}= 52758.2"));
            set_card(b, "EXPTIME", &format!("{end:8}= 52758.1"));
        });
        refused(backwards, Reason::BadTime, R, &format!("{end} lies before {begin}: the exposure ends 8640.0 s"));
    }
    let dates = with_r(|b| {
        set_card(b, "FILTER", "DATE-BEG= '2003-04-29T04:48:00'");
        set_card(b, "EXPTIME", "DATE-END= '2003-04-29T04:47:00'");
    });
    refused(dates, Reason::BadTime, R, "DATE-END lies before DATE-BEG: the exposure ends 60.0 s");
    refused(with_r(|b| set_card(b, "TAI", "MJD-OBS = 1.0")), Reason::BadTime, R, "MJD-OBS = \"1\" is no time");
}

#[test]
fn what_cannot_be_read_or_is_only_beginnings_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut paths: PerBand<PathBuf> = std::array::from_fn(|b| folder.path().join(&FILES[b].name));
    for (path, file) in paths.iter().zip(FILES.iter()) {
        std::fs::write(path, &file.bytes).unwrap();
    }
    paths[2] = paths[2].join("below");
    let name = paths[2].display().to_string();
    let loaded = load(&SURVEY, &image(), &plain(paths), &Limits::default());
    refused(loaded, Reason::Unreadable, &name, "cannot be read");
    let crumbs = with_r(|b| *b = pack(".gz", Vec::new()).unwrap().repeat(3000));
    refused(crumbs, Reason::TooLarge, R, "pieces and more that hold next to nothing");
}

#[test]
fn sizes_that_no_file_holds_are_refused_by_their_hdu() {
    let huge = with_r(|b| {
        set_card(b, "NAXIS1", &format!("NAXIS1  = {}", i64::MAX));
        set_card(b, "NAXIS2", &format!("NAXIS2  = {}", i64::MAX));
    });
    refused(huge, Reason::TooLarge, R, "HDU 0 declares more data");
    let many = with_r(|b| set_card(b, "NAXIS", "NAXIS   = 1000"));
    refused(many, Reason::NotFits, R, "NAXIS");
}

/// The table of compressed tiles, where its rows begin, and their length.
fn rows(bytes: &[u8]) -> (usize, usize, usize) {
    let hdus = hdu::Hdu::split(bytes).unwrap();
    let header = &hdus[1].header;
    let at = hdus[1].data.as_ptr() as usize - bytes.as_ptr() as usize;
    (at, header.count("NAXIS1").unwrap() as usize, header.count("NAXIS2").unwrap() as usize)
}

#[test]
fn compressed_tiles_that_are_damaged_are_told_by_number() {
    let compressed = victim(3);
    let (at, length, count) = rows(&compressed);
    let outside = with_r(|b| {
        *b = compressed.clone();
        b[at + 4 * length + 4..at + 4 * length + 8].copy_from_slice(&i32::MAX.to_be_bytes());
    });
    refused(outside, Reason::Truncated, R, "compressed tile 4 is damaged");
    let heap = compressed.len() - at - length * count;
    let overlapping = with_r(|b| {
        *b = compressed.clone();
        for row in 0..count {
            let place = at + row * length;
            b[place..place + 4].copy_from_slice(&(heap as i32 / 3).to_be_bytes());
            b[place + 4..place + 8].fill(0);
        }
    });
    refused(overlapping, Reason::Truncated, R, "compressed tiles lie over each other");
}
