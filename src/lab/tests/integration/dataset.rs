//! `twinpeak-lab dataset`, from the outside: the same bits however it was interrupted, no image in two parts, and nothing
//! that learns sees what is true.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Ended, frames, run, start, until};
use twinpeak_core::catalog::flag;
use twinpeak_lab::commands::dataset::truth;
use twinpeak_lab::dataset::{Batch, DataSet, Features, Order, Origin, Part};
use twinpeak_sim::Class;

/// Two small fields to train on, one for each other part.
const SMALL: [&str; 13] = [
    "dataset",
    "--simulate",
    "--flat",
    "--train",
    "30",
    "--validate",
    "9",
    "--test",
    "7",
    "--width",
    "400",
    "--height",
    "300",
];

fn arguments<'a>(out: &'a Path, more: &[&'a str]) -> Vec<&'a str> {
    [&SMALL[..], &["--out", out.to_str().unwrap()], more].concat()
}

fn make(out: &Path) -> Ended {
    run(&arguments(out, &[]))
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(
                files(&path).into_iter().map(|(name, bytes)| (Path::new(path.file_name().unwrap()).join(name), bytes)),
            );
        } else {
            all.insert(PathBuf::from(path.file_name().unwrap()), fs::read(&path).unwrap());
        }
    }
    all
}

/// All that a training can learn of a data set.
fn all(out: &Path) -> Vec<(Features, Vec<Batch>)> {
    let set = DataSet::open(out).unwrap();
    let order = Order::Shuffled { seed: 3, epoch: 1 };
    let part = |part| {
        let batches = set.batches(part, order, 8, usize::MAX).collect::<Result<_, _>>().unwrap();
        (set.features(part).unwrap(), batches)
    };
    Part::ALL.map(part).into()
}

#[test]
fn a_data_set_has_the_same_bits_however_it_was_made_and_no_training_sees_its_truth() {
    let dir = tempfile::tempdir().unwrap();
    let (whole, broken) = (dir.path().join("whole"), dir.path().join("broken"));
    make(&whole).assert_code(0);
    let made = files(&whole);
    let set = DataSet::open(&whole).unwrap();
    assert_eq!(Part::ALL.map(|p| set.len(p)), [30, 9, 7]);

    // Killed after its first shard, then on a full disk, then whole.
    let running = start(&arguments(&broken, &[]));
    until("a shard", || broken.join("train/00000.features").exists());
    running.kill();
    assert!(DataSet::open(&broken).unwrap_err().to_string().contains("run `twinpeak-lab dataset`"));
    fs::remove_file(broken.join("validate/00000.features")).ok();
    let aside = broken.join("validate/.tmp-00000.features");
    fs::remove_file(&aside).ok();
    std::os::unix::fs::symlink("/dev/full", &aside).unwrap();
    let full = make(&broken);
    assert!(full.assert_code(8).last_words().contains("00000.features"), "{}", full.told);
    assert!(!broken.join("validate/00000.features").exists() && !broken.join("dataset.toml").exists());
    make(&broken).assert_code(0);
    assert!(files(&broken) == made, "resumed, it has other bits");
    assert!(files(&dir.path().join("broken.truth")) == files(&dir.path().join("whole.truth")));

    // A damaged shard is named; deleted, it is made again.
    let shard = broken.join("train/00000.cutouts");
    let mut bytes = fs::read(&shard).unwrap();
    bytes[1000] ^= 1;
    fs::write(&shard, bytes).unwrap();
    assert!(make(&broken).assert_code(1).last_words().contains("00000.cutouts"));
    fs::remove_file(&shard).unwrap();
    make(&broken).assert_code(0);
    assert!(files(&broken) == made);
    let other = run(&arguments(&broken, &["--seed", "2"]));
    assert!(other.assert_code(1).last_words().contains("begun with other arguments"));

    // What is true is there, object by object, and reading goes on without it.
    let known: Vec<_> = Part::ALL.iter().map(|p| truth::read(&whole, *p).unwrap()).collect();
    let learned = all(&whole);
    let (mut bright, mut sure, mut sure_known) = (0, 0, 0);
    for (known, (features, batches)) in known.iter().zip(&learned) {
        assert_eq!(known.len(), features.len());
        let seen: BTreeSet<usize> = batches.iter().flat_map(|b| b.objects.clone()).collect();
        assert_eq!(seen, (0..features.len()).collect());
        // A star's PSF magnitude is its own, unless a neighbour's light is in it: the lines are of the same objects.
        let measured = features.reference_mag.iter().zip(&features.flags);
        let stars = known.iter().zip(measured).filter_map(|(known, (mag, flags))| {
            let star = known.filter(|k| k.class == Class::Star && k.mag[2] < 19.5 && flags & flag::BLENDED == 0)?;
            Some((star.mag[2], f64::from(*mag)))
        });
        let stars: Vec<_> = stars.collect();
        // But for one beside a neighbour.
        let near = stars.iter().filter(|(mag, psf)| (mag - psf).abs() < 0.1).count();
        assert!(near * 10 >= stars.len() * 8, "{stars:?}");
        bright += stars.len();
        // What stands at an edge may be light of an object centred beyond it, which the truth has not; what is faint, noise.
        let is_sure =
            |&i: &usize| features.flags[i] & (flag::TRUNCATED | flag::MISSING_BAND) == 0 && features.sn[i] > 10.0;
        let whole: Vec<usize> = (0..features.len()).filter(is_sure).collect();
        sure += whole.len();
        sure_known += whole.iter().filter(|&&i| known[i].is_some()).count();
    }
    assert!(bright >= 3, "{bright} bright stars say nothing");
    let known = known.concat();
    assert!(sure >= 15 && sure_known * 20 >= sure * 19, "{sure_known} of {sure}: {known:?}");
    assert!(known.iter().flatten().count() * 10 > known.len() * 6, "{known:?}");
    fs::remove_dir_all(dir.path().join("whole.truth")).unwrap();
    // As text, which has every digit: what a band does not show of an object at an edge is NaN, and no NaN is its own equal.
    assert!(format!("{:?}", all(&whole)) == format!("{learned:?}"));
    let words = made.values().map(|bytes| String::from_utf8_lossy(bytes).to_lowercase());
    assert!(words.into_iter().all(|text| !text.contains("galaxy") && !text.contains("r_e_arcsec")));
}

#[test]
fn frames_from_disk_are_dealt_whole() {
    let (folder, dir) = (frames(3), tempfile::tempdir().unwrap());
    let out = dir.path().join("set");
    let line = ["dataset", "--frames", folder.path().to_str().unwrap(), "--out", out.to_str().unwrap()];
    run(&[&line[..], &["--segmenter", "threshold"]].concat()).assert_code(0);
    let set = DataSet::open(&out).unwrap();
    let Origin::Frames { images } = &set.manifest().plan.origin else { panic!("not of frames") };
    let mut seen = BTreeSet::new();
    for part in Part::ALL {
        let features = set.features(part).unwrap();
        assert_eq!(&features.images, images.get(part));
        assert!(!features.is_empty() && features.images.iter().all(|image| seen.insert(image.clone())), "{seen:?}");
        // An object at an edge has a class too, and the PSF may fit best up to 1.5 px beyond where it was found.
        let is_within = |values: &[f64], size: f64| values.iter().all(|v| (-1.5..size + 0.5).contains(v));
        assert!(is_within(&features.x, 256.0) && is_within(&features.y, 200.0), "{:?} {:?}", features.x, features.y);
        assert!(features.sn.iter().all(|sn| *sn > 0.0));
    }
    assert!(!dir.path().join("set.truth").exists());
    let none =
        run(&["dataset", "--frames", dir.path().to_str().unwrap(), "--out", dir.path().join("n").to_str().unwrap()]);
    assert!(none.assert_code(1).last_words().contains("validate needs an image"), "{}", none.told);
}

#[test]
fn a_set_of_nothing_is_an_error() {
    let out = tempfile::tempdir().unwrap();
    let none = ["--train", "0", "--validate", "0", "--test", "0", "--out", out.path().to_str().unwrap()];
    let ended = run(&[&["dataset", "--simulate"], &none[..]].concat());
    ended.assert_code(5);
    assert!(ended.last_words().contains("all 0"), "{}", ended.told);
    assert_eq!(fs::read_dir(out.path()).unwrap().count(), 0);
}
