//! Laws of the reader, on small data sets whose every number is known.

use std::collections::BTreeSet;

use tempfile::TempDir;

use super::cutouts::pack;
use super::features::tests::object;
use super::*;
use twinpeak_core::frame::ImageId;
use twinpeak_core::model::TILE_LEN;

fn sdss() -> Survey {
    Survey::parse(include_str!("../../../config/surveys/sdss.toml")).unwrap()
}

/// Objects `range`, each with a cutout of its own number throughout.
fn shard(image: &str, range: std::ops::Range<u32>) -> Shard {
    let mut features = Features { images: vec![image.into()], ..Features::default() };
    range.clone().for_each(|i| features.push(object(i)));
    let cutouts = Cutouts::new(range.map(|i| pack(&vec![i as f32; TILE_LEN])).collect());
    Shard { image: ImageId::new(image).unwrap(), features, cutouts }
}

/// Ten objects to train on, in shards of 4, 0, 3 and 3.
fn made() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("train");
    fs::create_dir(&folder).unwrap();
    let write = |(number, range)| {
        let name = shard_name(number);
        let encoded = shard(&format!("image-{number}"), range).encode(name.clone());
        let (features, cutouts) = shard_files(&folder, &name);
        fs::write(features, &encoded.features).unwrap();
        fs::write(cutouts, &encoded.cutouts).unwrap();
        assert_eq!(Entry::inspect(&folder, name).unwrap().unwrap(), encoded.entry);
        encoded.entry
    };
    let train: Vec<Entry> = [(0, 0..4), (1, 4..4), (2, 4..7), (5, 7..10)].into_iter().map(write).collect();
    let survey = sdss();
    let standards = standards(dir.path(), &train, &survey).unwrap();
    assert_eq!(standards.objects, 10);
    let plan = Plan {
        format: FORMAT,
        software_version: "1".into(),
        survey: "sdss".into(),
        bands: survey.profile().bands.planes.clone(),
        objects: Parts { train: 10, validate: 0, test: 0 },
        found_by: FoundBy::MatchedFilter,
        origin: Origin::Frames { images: Parts::default() },
    };
    let shards = Parts { train, ..Parts::default() };
    let manifest = toml::to_string(&Manifest { plan, standards, shards }).unwrap();
    fs::write(dir.path().join(MANIFEST), manifest).unwrap();
    dir
}

/// The objects of all batches, each held against its own cutout.
fn objects(batches: Batches) -> Vec<usize> {
    let mut all = Vec::new();
    for batch in batches {
        let batch = batch.unwrap();
        assert_eq!(batch.cutouts.len(), batch.objects.len() * TILE_LEN);
        for (object, cutout) in batch.objects.iter().zip(batch.cutouts.chunks_exact(TILE_LEN)) {
            assert!(cutout.iter().all(|v| (v - *object as f32).abs() <= 1.0 / 32.0));
        }
        all.extend(batch.objects);
    }
    all
}

#[test]
fn columns_and_cutouts_are_of_the_same_objects() {
    let dir = made();
    let set = DataSet::open_for(dir.path(), &sdss()).unwrap();
    let features = set.features(Part::Train).unwrap();
    assert_eq!(features.number, (1..=10).collect::<Vec<_>>());
    assert_eq!(features.images[features.image[9] as usize], "image-5");
    assert_eq!((set.len(Part::Train), set.is_empty(Part::Test)), (10, true));
    assert_eq!(objects(set.batches(Part::Train, Order::AsStored, 4, usize::MAX)), (0..10).collect::<Vec<_>>());
    assert_eq!(objects(set.batches(Part::Train, Order::AsStored, 4, 6)), (0..6).collect::<Vec<_>>());
    let sizes = set.batches(Part::Train, Order::AsStored, 4, usize::MAX).map(|b| b.unwrap().objects.len());
    assert_eq!(sizes.collect::<Vec<_>>(), [4, 4, 2]);
    assert_eq!(set.batches(Part::Test, Order::AsStored, 4, usize::MAX).count(), 0);
}

#[test]
fn an_epochs_order_follows_from_seed_and_epoch_and_leaves_nothing_out() {
    let dir = made();
    let set = DataSet::open(dir.path()).unwrap();
    let order = |seed, epoch, size, limit, window| {
        objects(Batches::with_window(&set, Part::Train, Order::Shuffled { seed, epoch }, (size, limit), window))
    };
    for window in [1, 5, 100] {
        let mut seen = BTreeSet::new();
        for (seed, epoch) in [(1, 0), (1, 1), (2, 0), (2, 1)] {
            let once = order(seed, epoch, 3, 10, window);
            assert_eq!(once, order(seed, epoch, 3, 10, window));
            assert_eq!(once, order(seed, epoch, 1, 10, window), "the batch's size changes the order");
            let mut sorted = once.clone();
            sorted.sort();
            assert_eq!(sorted, (0..10).collect::<Vec<_>>());
            seen.insert(once);
            let few: BTreeSet<_> = order(seed, epoch, 3, 6, window).into_iter().collect();
            assert_eq!(few, (0..6).collect());
        }
        assert_eq!(seen.len(), 4);
    }
}

#[test]
fn no_more_than_a_window_is_open() {
    let dir = made();
    let set = DataSet::open(dir.path()).unwrap();
    let mut batches = Batches::with_window(&set, Part::Train, Order::Shuffled { seed: 1, epoch: 1 }, (2, 10), 4);
    let mut open = Vec::new();
    while let Some(batch) = batches.next() {
        batch.unwrap();
        open.push(batches.open_objects());
    }
    // Shards until there are 4 objects: at most 3 and 4.
    assert!(open.iter().all(|objects| *objects <= 7), "{open:?}");
}

#[test]
fn a_damaged_or_foreign_shard_is_named_and_ends_the_epoch() {
    let dir = made();
    let set = DataSet::open(dir.path()).unwrap();
    let (features, cutouts) = shard_files(&dir.path().join("train"), "00002");
    let damage = |path: &Path| {
        let mut bytes = fs::read(path).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).unwrap();
    };
    damage(&cutouts);
    assert_eq!(set.features(Part::Train).unwrap().len(), 10, "features do not need the cutouts");
    let mut batches = set.batches(Part::Train, Order::AsStored, 4, usize::MAX);
    let told = batches.next().unwrap().unwrap_err().to_string();
    assert!(told.contains("00002.cutouts") && told.contains("damaged"), "{told}");
    assert!(batches.next().is_none());
    let told = Entry::inspect(&dir.path().join("train"), "00002".into()).unwrap_err().to_string();
    assert!(told.contains("00002.cutouts"), "{told}");
    fs::copy(shard_files(&dir.path().join("train"), "00005").0, &features).unwrap();
    let told = set.features(Part::Train).unwrap_err().to_string();
    assert!(told.contains("00002.features") && told.contains("not the manifest's"), "{told}");
    fs::remove_file(&features).unwrap();
    assert!(set.features(Part::Train).unwrap_err().to_string().contains("cannot read"));
    assert_eq!(Entry::inspect(&dir.path().join("train"), "00002".into()).unwrap(), None);
}

#[test]
fn a_manifest_that_does_not_serve_is_named() {
    let dir = made();
    let path = dir.path().join(MANIFEST);
    let whole = fs::read_to_string(&path).unwrap();
    let says = |from: &str, to: &str| {
        assert!(whole.contains(from));
        fs::write(&path, whole.replacen(from, to, 1)).unwrap();
        DataSet::open_for(dir.path(), &sdss()).unwrap_err().to_string()
    };
    assert!(says("format = 1", "format = 9").contains("format 9"));
    assert!(says("survey = \"sdss\"", "survey = \"other\"").contains("of the survey other"));
    assert!(says("\"g\"", "\"y\"").contains("u y r i z"));
    assert!(says("[standards]", "[stand]").contains("no manifest of this version"));
    fs::remove_file(&path).unwrap();
    let told = DataSet::open(dir.path()).unwrap_err().to_string();
    assert!(told.contains("run `twinpeak-lab dataset`"), "{told}");
}

#[test]
fn the_same_objects_give_the_same_bytes_and_a_cut_shard_keeps_its_first() {
    let whole = || shard("a", 0..5);
    let (one, again) = (whole().encode("00000".into()), whole().encode("00000".into()));
    assert_eq!((&one.features, &one.cutouts), (&again.features, &again.cutouts));
    let mut cut = whole();
    cut.truncate(3);
    assert_eq!((cut.len(), cut.is_empty()), (3, false));
    assert_eq!(cut.encode("00000".into()).entry, shard("a", 0..3).encode("00000".into()).entry);
}

/// A net's batch is a function of the step alone, from whatever step a training goes on.
#[test]
fn steps_have_their_batches_whatever_was_asked_before() {
    use crate::whole::{CutoutBatches as _, CutoutView, Streamed};
    let dir = made();
    let set = DataSet::open(dir.path()).unwrap();
    let features = set.features(Part::Train).unwrap();
    let view = Input::MagnitudeSigma.view(&sdss(), &set.manifest().standards).unwrap();
    let cutouts = CutoutView { set: &set, view };
    let streamed = || Streamed::new(cutouts, &features.sky_sigma, 3, 3, 9);
    let mut through = streamed();
    assert_eq!(through.steps_an_epoch(), 3);
    let all: Vec<_> = (0..7).map(|step| through.at(step).unwrap()).collect();
    assert_eq!(all[0].size(), [3, 5, 64, 64]);
    for step in [5, 1, 6] {
        assert_eq!(streamed().at(step).unwrap(), all[step]);
    }
    assert_ne!(all[0], all[3], "a new pass has a new order");
}
