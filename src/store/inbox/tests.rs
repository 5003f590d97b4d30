//! The inbox's law: every field exactly once, whenever the process dies.

use std::sync::Mutex;

use super::*;
use crate::DirectorySink;
use crate::testing::{encoders, model};
use twinpeak_core::files::FieldFiles;
use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_core::testing::{finished, id, like_sdss, products, sdss};
use twinpeak_engine::ports::CatalogSink;

const FIELDS: [&str; 3] = ["000001-1-0001", "000002-1-0001", "000003-1-0001"];

struct Night {
    inbox: tempfile::TempDir,
    out: tempfile::TempDir,
    /// Fields whose load was run, and how often.
    loaded: Arc<Mutex<Vec<String>>>,
    /// The files of each.
    files: Arc<Mutex<Vec<FieldFiles>>>,
    survey: Arc<Survey>,
}

/// A file of these tests holds what its headers would say: band, right ascension and time.
fn sky_in_the_file(file: &Path) -> Result<Vec<Sighting>, Rejection> {
    let text = fs::read_to_string(file).unwrap();
    let [band, ra_deg, mjd] = text.split(' ').collect::<Vec<_>>().try_into().unwrap();
    Ok(vec![Sighting {
        ccd: None,
        band: Some(band.to_owned()),
        centre_deg: Some((ra_deg.parse().unwrap(), 0.0)),
        midpoint_mjd_tai: mjd.parse().ok(),
    }])
}

impl Night {
    fn new(fields: &[&str]) -> Self {
        let (inbox, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let night = Self { inbox, out, loaded: Arc::default(), files: Arc::default(), survey: Arc::new(sdss()) };
        for field in fields {
            for band in ["u", "g", "r", "i", "z"] {
                night.touch(&format!("frame-{band}-{field}.fits"));
            }
        }
        night
    }

    fn touch(&self, name: &str) {
        self.write(name, name);
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.inbox.path().join(name), text).unwrap();
    }

    fn start(&self) -> (Inbox, DirectorySink, Ledger) {
        let loaded = Arc::clone(&self.loaded);
        let files = Arc::clone(&self.files);
        let loader: Loader = Arc::new(move |image, given| {
            loaded.lock().unwrap().push(image.to_string());
            files.lock().unwrap().push(given.clone());
            Err(crashed(image, 0)) // stands for a frame: these tests decode none
        });
        let ledger = Ledger::open(self.out.path()).unwrap();
        let patience = WatchTimeouts { poll_s: 0.0, settle_s: 0.0, incomplete_after_s: 0.1 };
        let headers: HeaderReader = Arc::new(sky_in_the_file);
        let (folder, survey) = (self.inbox.path().into(), self.survey.clone());
        let inbox = Inbox::new(folder, survey, (loader, headers), ledger.clone(), patience);
        (inbox.until_idle(), DirectorySink::new(ledger.clone(), sdss(), model(), encoders()), ledger)
    }

    fn finished(&self) -> Vec<String> {
        let names = fs::read_dir(self.out.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut ids: Vec<_> = names.filter_map(|n| n.strip_suffix(".done.json").map(str::to_owned)).collect();
        ids.sort();
        ids
    }

    fn rejected(&self, image: &str) -> Option<serde_json::Value> {
        let text = fs::read(self.out.path().join(format!("rejected/{image}.json"))).ok()?;
        Some(serde_json::from_slice(&text).unwrap())
    }
}

/// What the engine does with one arrival; a rejection by the loader's stand-in counts as success.
fn outcome(image: &ImageId, load: twinpeak_engine::ports::Load) -> Finished {
    match load() {
        Err(r) if !(r.reason == Reason::Crashed && r.message.contains("died 0 times")) => {
            finished(image.as_str(), Outcome::Rejected(r))
        }
        _ => {
            let mut products = products(3);
            products.catalog.provenance.image_id = image.clone();
            finished(image.as_str(), Outcome::Processed(Box::new(products)))
        }
    }
}

fn run(inbox: &mut Inbox, sink: &DirectorySink) -> Vec<String> {
    let mut order = Vec::new();
    while let Some(arrival) = inbox.next(&Stop::default()).unwrap() {
        let finished = outcome(&arrival.image_id, arrival.load);
        sink.publish(&finished, &sink.encode(&finished, &arrival.receipt).unwrap(), &arrival.receipt).unwrap();
        order.push(arrival.image_id.to_string());
    }
    order
}

/// As after kill -9: nothing of ours runs any more, and the system frees the lock.
fn die(inbox: Inbox, sink: DirectorySink, ledger: Ledger, in_work: Vec<Arrival<Option<Lease>>>) {
    ledger.unlock();
    std::mem::forget((inbox, sink, ledger, in_work));
}

#[test]
fn every_field_once_in_order_and_its_files_stay() {
    let night = Night::new(&FIELDS);
    let (mut inbox, sink, ledger) = night.start();
    assert_eq!(run(&mut inbox, &sink), FIELDS);
    drop((inbox, sink, ledger));
    let (mut inbox, sink, _ledger) = night.start();
    assert!(run(&mut inbox, &sink).is_empty(), "nothing is left for the next start");
    assert_eq!(fs::read_dir(night.inbox.path()).unwrap().count(), 15);
}

#[test]
fn whenever_the_process_dies_every_field_is_finished_once() {
    // Die with `taken` fields taken of which the first `published` are published, then finish the night.
    for taken in 0..=FIELDS.len() {
        for published in 0..=taken {
            let night = Night::new(&FIELDS);
            let (mut inbox, sink, ledger) = night.start();
            let mut in_work = Vec::new();
            for i in 0..taken {
                let arrival = inbox.next(&Stop::default()).unwrap().unwrap();
                if i < published {
                    let finished = outcome(&arrival.image_id, arrival.load);
                    sink.publish(&finished, &sink.encode(&finished, &arrival.receipt).unwrap(), &arrival.receipt)
                        .unwrap();
                } else {
                    in_work.push(arrival);
                }
            }
            die(inbox, sink, ledger, in_work);
            let (mut inbox, sink, ledger) = night.start();
            assert_eq!(run(&mut inbox, &sink), FIELDS[published..]);
            assert_eq!((night.finished(), ledger.in_work()), (FIELDS.map(str::to_owned).to_vec(), 0));
            assert_eq!(fs::read_dir(night.out.path().join(".twinpeak/claims")).unwrap().count(), 0);
        }
    }
}

#[test]
fn a_field_that_kills_the_process_is_rejected_on_the_third_start_and_harms_no_other() {
    let night = Night::new(&FIELDS);
    // The second field kills whoever takes it; at first all three are in work.
    let (mut inbox, sink, ledger) = night.start();
    let in_work = (0..3).map(|_| inbox.next(&Stop::default()).unwrap().unwrap()).collect();
    die(inbox, sink, ledger, in_work);
    // Second start: suspects come one by one, so the first is finished before the second kills again.
    let (mut inbox, sink, ledger) = night.start();
    let first = inbox.next(&Stop::default()).unwrap().unwrap();
    assert!(inbox.take(Duration::from_secs(99)).unwrap().is_none(), "nothing begins beside a suspect");
    let done = outcome(&first.image_id, first.load);
    sink.publish(&done, &sink.encode(&done, &first.receipt).unwrap(), &first.receipt).unwrap();
    let second = inbox.next(&Stop::default()).unwrap().unwrap();
    assert_eq!(second.image_id, id(FIELDS[1]));
    die(inbox, sink, ledger, vec![second]);
    // Third start.
    let (mut inbox, sink, _ledger) = night.start();
    run(&mut inbox, &sink);
    assert_eq!(night.finished(), [FIELDS[0], FIELDS[2]]);
    let rejected = night.rejected(FIELDS[1]).unwrap();
    assert_eq!((&rejected["reason"], &rejected["stage"]), (&"crashed".into(), &"ingest".into()));
    assert_eq!(night.loaded.lock().unwrap().iter().filter(|f| *f == FIELDS[1]).count(), 0, "never loaded again");
}

#[test]
fn a_field_that_stays_incomplete_is_rejected_and_strange_files_are_left_alone() {
    let night = Night::new(&FIELDS[..1]);
    for name in ["frame-u-000009-1-0001.fits", "frame-r-000009-1-0001.fits.gz", "notes [1]\n.txt"] {
        night.touch(name);
    }
    let (mut inbox, sink, _ledger) = night.start();
    assert_eq!(run(&mut inbox, &sink), [FIELDS[0], "000009-1-0001"]);
    let rejected = night.rejected("000009-1-0001").unwrap();
    assert_eq!(rejected["reason"], "missing_band");
    assert_eq!(
        rejected["message"],
        "bands g, i, z of image 000009-1-0001 are missing: files whose names have its id were looked for"
    );
}

#[test]
fn a_field_that_could_not_be_stored_comes_again() {
    let night = Night::new(&FIELDS[..2]);
    let (mut inbox, sink, ledger) = night.start();
    drop(inbox.next(&Stop::default()).unwrap().unwrap());
    assert_eq!(ledger.in_work(), 0);
    let mut order = run(&mut inbox, &sink);
    order.sort();
    assert_eq!((order, night.finished().len()), (FIELDS[..2].iter().map(|f| (*f).to_owned()).collect(), 2));
}

#[test]
fn a_wish_to_stop_ends_the_wait_for_frames_and_for_a_folder_that_is_away() {
    let night = Night::new(&[]);
    let (mut inbox, _sink, _ledger) = night.start();
    inbox.until_idle = false;
    let stop = Stop::default();
    std::thread::scope(|scope| {
        scope.spawn(|| stop.drain());
        assert!(inbox.next(&stop).unwrap().is_none());
    });
    assert_eq!(inbox.reach().check(), Ok(()));
    fs::remove_dir_all(night.inbox.path()).unwrap();
    let stop = Stop::default();
    let reach = inbox.reach();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while reach.check().is_ok() {
                std::thread::sleep(NAP);
            }
            stop.drain();
        });
        assert!(inbox.next(&stop).unwrap().is_none());
    });
    assert!(inbox.reach().check().unwrap_err().contains("vanished"));
    // Who does not wait for more does not wait for it.
    inbox.until_idle = true;
    inbox.next_look = Duration::ZERO;
    assert!(inbox.next(&Stop::default()).err().unwrap().to_string().contains("vanished"));
}

#[test]
fn a_field_of_enough_bands_is_taken_when_no_more_come_and_its_masks_with_it() {
    let mut night = Night::new(&[]);
    let bands = r#"{ planes = ["u", "g", "r", "i", "z"], required = 2 }"#;
    let mask = "[mask]\nfile = 'm_{band}_{image}.fits'\nbits = { SAT = [1] }";
    night.survey = Arc::new(like_sdss(bands, r"^(?P<band>[a-z])_(?P<image>.*)\.fits$", mask));
    for name in ["r_a.fits", "g_a.fits", "m_r_a.fits", "m_g_a.fits", "r_b.fits", "g_b.fits", "m_g_b.fits", "u_c.fits"] {
        night.touch(name);
    }
    let (mut inbox, sink, _ledger) = night.start();
    assert_eq!(run(&mut inbox, &sink), ["a", "b", "c"]);
    let files = night.files.lock().unwrap();
    let [a] = &files[..] else { panic!("{files:?}") };
    let mask = |b: usize| a[b].as_ref().and_then(|band| band.mask.as_ref()).map(|place| place.file.clone());
    assert_eq!(mask(2), Some(night.inbox.path().join("m_r_a.fits")));
    assert_eq!(a.each_ref().map(Option::is_some), [false, true, true, false, false]);
    let b = night.rejected("b").unwrap();
    assert_eq!(
        (&b["reason"], &b["message"]),
        (&"missing_band".into(), &"the mask of band r of image b is missing".into())
    );
    assert!(b["file"].as_str().unwrap().ends_with("m_r_b.fits"), "{b}");
    let c = night.rejected("c").unwrap();
    assert_eq!(c["message"], "bands g, r, i, z of image c are missing: files whose names have its id were looked for");
}

#[test]
fn clocks_that_are_wrong_do_not_matter() {
    let night = Night::new(&FIELDS[..1]);
    let ages = [0i64, 4_000_000_000, 1, 4_200_000_000, -5];
    for (band, seconds) in ["u", "g", "r", "i", "z"].into_iter().zip(ages) {
        let file =
            fs::File::options().write(true).open(night.inbox.path().join(format!("frame-{band}-{}.fits", FIELDS[0])));
        let since = Duration::from_secs(seconds.unsigned_abs());
        let epoch = std::time::SystemTime::UNIX_EPOCH;
        file.unwrap().set_modified(if seconds < 0 { epoch - since } else { epoch + since }).unwrap();
    }
    let (mut inbox, sink, _ledger) = night.start();
    assert_eq!(run(&mut inbox, &sink), FIELDS[..1]);
}

#[test]
fn exposures_are_grouped_by_sky_and_time_as_they_come() {
    let mut night = Night::new(&[]);
    let files = "[files]\nband_card = 'FILTER'\ngroup = 'sky'\ngroup_arcsec = 60.0\ngroup_days = 0.5";
    night.survey = Arc::new(like_sdss(
        r#"{ planes = ["", "g", "r", "i", ""], required = 2 }"#,
        r"^(?P<image>e[0-9]+)\.fits$",
        files,
    ));
    for (name, text) in [
        ("e1.fits", "r 10 100.0"),
        ("e2.fits", "g 10.01 100.2"),
        ("e3.fits", "i 10.01 99.8"),
        ("e4.fits", "i 11 100.0"),
        ("e5.fits", "y 10 100.0"),
    ] {
        night.write(name, text);
    }
    let (mut inbox, sink, _ledger) = night.start();
    assert_eq!(run(&mut inbox, &sink), ["e1", "e4"]);
    let files = night.files.lock().unwrap();
    let names: Vec<_> = files[0].iter().flatten().map(|band| band.image.file.file_name().unwrap().to_owned()).collect();
    assert_eq!(names, ["e2.fits", "e1.fits", "e3.fits"]);
    assert_eq!(
        night.rejected("e4").unwrap()["message"],
        "bands g, r of image e4 are missing: exposures within 60 arcsec and 0.5 days of that of band r were looked for"
    );
}

#[test]
fn a_table_that_comes_makes_its_fields_and_a_bad_one_is_rejected() {
    let mut night = Night::new(&[]);
    night.survey = Arc::new(like_sdss(
        r#"{ planes = ["", "g", "r", "i", ""], required = 1 }"#,
        r"^(?P<image>.*)_(?P<band>[a-z])\.fits$",
        "[files]\ngroup = 'table'",
    ));
    for name in ["one_r.fits", "two_r.fits", "three_r.fits"] {
        night.touch(name);
    }
    night.write("night.fields.csv", "id,band,path,hdu\nM 31,r,one_r.fits,S4\nM 33,r,two_r.fits,\nM 33,y,two_y.fits,\n");
    night.write("bad.fields.csv", "id,path\n");
    let (mut inbox, sink, _ledger) = night.start();
    let mut done = run(&mut inbox, &sink);
    done.sort();
    assert_eq!(done, ["M_x2031", "M_x2033", "unrecognised.bad.fields.csv"]);
    let files = night.files.lock().unwrap();
    assert_eq!(files[0][2].as_ref().unwrap().image.hdu.as_deref(), Some("S4"));
    let rejected = night.rejected("unrecognised.bad.fields.csv").unwrap();
    assert!(rejected["message"].as_str().unwrap().contains("no column \"band\""), "{rejected}");
}
