use super::*;

fn bands() -> Vec<String> {
    "ugriz".chars().map(String::from).collect()
}

fn saved() -> (tempfile::TempDir, PathBuf, Bundle) {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("model");
    let bundle = testing::bundle();
    bundle.save(&folder).unwrap();
    (dir, folder, bundle)
}

fn load_error(folder: &Path) -> String {
    Bundle::load(folder, "sdss", &bands()).unwrap_err().to_string()
}

#[test]
fn what_was_saved_loads_and_bytes_repeat() {
    let (_dir, folder, bundle) = saved();
    let loaded = Bundle::load(&folder, "sdss", &bands()).unwrap();
    assert_eq!(loaded, bundle);
    let read = || [MANIFEST, SEGMENTER, CLASSIFIER].map(|name| fs::read(folder.join(name)).unwrap());
    let before = read();
    loaded.save(&folder).unwrap();
    assert_eq!(read(), before);
    assert_eq!(fs::read_dir(folder.parent().unwrap()).unwrap().count(), 1, "nothing is left beside the bundle");
}

#[test]
fn every_damage_is_refused_by_name() {
    let (_dir, folder, bundle) = saved();
    let path = folder.join(SEGMENTER);
    let good = fs::read(&path).unwrap();

    let mut flipped = good.clone();
    *flipped.last_mut().unwrap() ^= 1;
    fs::write(&path, flipped).unwrap();
    assert!(load_error(&folder).contains("segmenter.safetensors\" is damaged"), "{}", load_error(&folder));
    fs::write(&path, &good[..good.len() / 2]).unwrap();
    assert!(load_error(&folder).contains("is damaged"));
    fs::remove_file(&path).unwrap();
    assert!(load_error(&folder).contains("cannot read"), "{}", load_error(&folder));
    fs::write(&path, &good).unwrap();
    assert!(Bundle::load(&folder, "sdss", &bands()).is_ok());

    let survey = Bundle::load(&folder, "lsst", &bands()).unwrap_err().to_string();
    assert!(survey.contains("is for survey sdss with bands u g r i z, this is lsst"), "{survey}");

    let manifest = bundle.manifest().to_toml();
    let refuse = |text: String, why: &str| {
        fs::write(folder.join(MANIFEST), text).unwrap();
        assert!(load_error(&folder).contains(why), "{}", load_error(&folder));
    };
    refuse(manifest.replace(&format!("format = {FORMAT}"), "format = 1"), "has format 1");
    refuse(manifest.replace("tile_overlap_px", "tile_overlap"), "tile_overlap");
    refuse(manifest.replace("widths = [16", "widths = [17"), "the net needs [17");
    refuse(manifest.replace("batch = 8", "batch = 0"), "segmenter.batch");
    refuse(manifest.replace("nets_weight = 0.5", "nets_weight = 1.5"), "nets_weight");
    refuse(manifest.replace("point_like = 1", "point_like = 17"), "point_like");
    refuse(manifest.replace("mag_nodes = [20.0]", "mag_nodes = [20.0, 21.0]"), "profiles.shares");
    refuse(manifest.replace("version = \"test-1\"", "version = 1"), "no manifest");
}

#[test]
fn another_weight_or_recipe_is_another_hash() {
    let bundle = testing::bundle();
    let hash = |spoil: &dyn Fn(&mut Manifest, &mut Parameters)| {
        let (mut manifest, mut segmenter) = (bundle.manifest.clone(), bundle.segmenter.clone());
        spoil(&mut manifest, &mut segmenter);
        Bundle::new(manifest, segmenter, bundle.classifier.clone()).unwrap().hash
    };
    assert_eq!(hash(&|_, _| ()), bundle.hash);
    assert_ne!(hash(&|m, _| m.recipe.tile_overlap_px = 8), bundle.hash);
    assert_ne!(hash(&|_, s| s.0.get_mut("head.bias").unwrap().values[0] = 0.25), bundle.hash);
}
