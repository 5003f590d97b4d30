//! `twinpeak-lab study`, from the outside: a run is made once, the same seed gives the same metrics, a failure keeps
//! its row, and what was measured since is not missed.

use std::fs;
use std::path::Path;

use crate::common::{root, run};

/// Enough objects for a training, few enough for a test.
const SKY: [&str; 14] = [
    "dataset",
    "--simulate",
    "--flat",
    "--train",
    "400",
    "--validate",
    "0",
    "--test",
    "150",
    "--width",
    "800",
    "--height",
    "800",
    "--out",
];

/// A plan with each part of the study, as small as it goes.
// Long because it is one TOML file.
fn plan(folder: &Path) -> String {
    let shipped = |path: &str| root().join(path).display().to_string();
    let (at, survey, bundle) = (folder.display(), shipped("config/surveys/sdss.toml"), shipped("config/model"));
    format!(
        r#"
survey = "{survey}"
work = "{at}/work"
bundle = "{bundle}"
cutouts_max = 64
manifold_objects_max = 200
seed = 1

[[sky]]
name = "small"
data = "{at}/sky"
fields = {{ simulated = {{ seed = 1, width = 448, height = 384, training = 1, test = 1 }} }}

[[sky]]
name = "not there"
data = "{at}/nothing"

[robustness]
objects = 64
manifold_objects_max = 64
seeds = 1
whole = {{ latents = 4, epochs = 1, batch = 32, rate = 1e-3 }}
inputs = ["per-cutout"]
starts = ["glorot"]

[learning_curve]
data = "{at}/sky"
test = "{at}/sky"
objects = [300, 400]
method = {{ name = "A+Vr", source = "4.1.3", seeds = 1, how = {{ hierarchy = {{ of = "AE residual", vae = {{ epochs = 20 }} }} }} }}

[[encoder]]
name = "AE"
input = "magnitude-sigma"
whole = {{ latents = 4, epochs = 1, batch = 32, rate = 1e-3 }}

[[encoder]]
name = "AE residual"
input = "residual"

[[method]]
name = "concentration"
source = "baseline"
seeds = 1
how = "concentration"

[[method]]
name = "A+Vr"
source = "4.1.3"
seeds = 2
how = {{ hierarchy = {{ of = "AE residual", vae = {{ epochs = 20 }} }} }}

[[method]]
name = "AE + mixture"
source = "4.1.1"
seeds = 1
how = {{ manifold = {{ of = "AE", step = "mixture" }} }}

[[encoder]]
name = "wild"
input = "magnitude-sigma"
whole = {{ latents = 2, epochs = 4, batch = 32, rate = 1e20 }}

[[method]]
name = "wild + mixture"
source = "diverges"
seeds = 1
how = {{ manifold = {{ of = "wild", step = "mixture" }} }}

[[method]]
name = "probe"
source = "4.1.3"
seeds = 1
how = {{ supervised-probe = {{ of = "AE residual", hidden = false }} }}

[[method]]
name = "distilled"
source = "profiles"
seeds = 1
how = {{ distilled = {{ of = "AE residual", colour = false }} }}

[[method]]
name = "net"
source = "labels"
seeds = 1
how = "supervised-net"

[[method]]
name = "psf - model"
source = "SDSS's rule"
seeds = 1
how = "psf-minus-model"

[[method]]
name = "CLASS_STAR"
source = "SExtractor"
seeds = 1
how = "class-star"

[[hypercolumn]]
name = "AE"
net = {{ steps = 30, head_steps = 30, batch = 8 }}

[[segmenter]]
name = "rule"
source = "baseline"
seeds = 1
how = {{ sextractor-rule = {{ on = "reference" }} }}

[[segmenter]]
name = "filter"
source = "baseline"
seeds = 1
how = "matched-filter"

[[segmenter]]
name = "shipped"
source = "shipped"
seeds = 1
how = "shipped"

[[segmenter]]
name = "AE + HC, k-means"
source = "5.1.2"
seeds = 2
how = {{ hypercolumns = {{ of = "AE", step = "k-means" }} }}
shown = true

[[segmenter]]
name = "AE + HC, head"
source = "5.1.2"
seeds = 1
how = {{ hypercolumns = {{ of = "AE", step = "head", levels = ["e1", "d1"] }} }}
"#
    )
}

/// The runs of classification and segmentation, and the page.
fn study(folder: &Path, out: &str) -> (String, String, String) {
    let ended = run(&[
        "study",
        "--config",
        folder.join("plan.toml").to_str().unwrap(),
        "--out",
        folder.join(out).to_str().unwrap(),
    ]);
    ended.assert_code(0);
    assert!(ended.told.contains("skipped not there"), "{}", ended.told);
    let read = |name| fs::read_to_string(folder.join(out).join(name)).unwrap();
    (read("runs.jsonl"), read("segmentation.jsonl"), read("RESULTS.md"))
}

/// Records without what depends on the clock.
fn timeless(runs: &str) -> Vec<serde_json::Value> {
    let mut all: Vec<serde_json::Value> = runs.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    all.iter_mut().for_each(|r| r["training_s"] = 0.into());
    all.sort_by_key(|r| r.to_string());
    all
}

// Long because it is one study, minutes of training, that is looked at from all sides.
#[test]
fn each_run_is_made_once_and_can_be_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let sky = dir.path().join("sky");
    run(&[&SKY[..], &[sky.to_str().unwrap()]].concat()).assert_code(0);
    fs::write(dir.path().join("plan.toml"), plan(dir.path())).unwrap();

    let (runs, segments, results) = study(dir.path(), "first");
    let records = timeless(&runs);
    // Ten runs of the plan's methods, 7 of the robustness part, 2 of the learning curve.
    assert_eq!(records.len(), 10 + 7 + 2);
    let of = |method: &str| records.iter().filter(|r| r["method"] == method).collect::<Vec<_>>();
    // Noise-free judgement of what is trained on 400 objects would be vain: a star is more concentrated than a galaxy.
    let wide = &of("concentration")[0]["ending"]["marks"]["auc"][1];
    assert!(wide["auc"].as_f64().unwrap() > 0.7, "{wide}");
    assert!(of("CLASS_STAR")[0]["ending"]["failed"]["reason"].as_str().unwrap().contains("not measured"));
    // A run that diverges is stopped and recorded, and the others are made all the same.
    let wild = of("wild + mixture")[0]["ending"]["failed"]["reason"].as_str().unwrap();
    assert!(wild.contains("the loss is not finite"), "{wild}");
    assert!(results.contains("*concentration*") && results.contains("**probe, supervised**"), "{results}");
    assert!(results.contains("| *CLASS_STAR* | 1 | "), "{results}");
    let auc = |r: &serde_json::Value| r["ending"]["marks"]["auc"][1]["auc"].as_f64();
    for method in ["distilled", "net"] {
        assert!(auc(of(method)[0]).unwrap() > 0.7, "{method}: {:?}", of(method)[0]["ending"]);
    }
    let seeds = of("A+Vr").into_iter().filter(|r| r["sky"] == "small");
    assert!(seeds.clone().count() == 2 && seeds.clone().all(|r| r["ranks"].as_array().unwrap().len() == 150));
    assert!(seeds.clone().all(|r| r["criteria"]["evidence_of_colours"].is_f64()), "{records:?}");
    for part in ["### Robustness (section 6.1)", "## Learning curve", "seeds agree", "**net, supervised**"] {
        assert!(results.contains(part), "{part} is not in {results}");
    }
    let curve = records.iter().filter(|r| r["sky"].as_str().unwrap().starts_with("learning"));
    let learned: std::collections::BTreeSet<_> = curve.map(|r| r["objects"].as_u64().unwrap()).collect();
    assert_eq!(learned, [300, 400].into());

    let found = timeless(&segments);
    assert_eq!(found.len(), 6);
    let of = |name: &str| found.iter().filter(|r| r["segmenter"] == name).collect::<Vec<_>>();
    for finder in ["rule", "filter", "shipped"] {
        // The brightest half magnitudes, summed: what is there is found.
        let at = &of(finder)[0]["ending"]["marks"]["at"][2];
        let sum = |of: &str| at[of].as_array().unwrap()[..6].iter().filter_map(|n| n.as_u64()).sum::<u64>();
        assert!(sum("there") > 0 && sum("found") as f64 >= 0.7 * sum("there") as f64, "{finder}: {at}");
    }
    let iou = of("shipped")[0]["ending"]["marks"]["pixels"]["working"].as_f64().unwrap();
    assert!(iou > 0.5, "{iou}");
    assert!(results.contains("# Segmentation") && results.contains("AE + HC, k-means"), "{results}");
    for picture in ["completeness", "trade-off", "detection", "reconstructions", "masks"] {
        let name = format!("segmentation-small-{picture}.png");
        assert!(dir.path().join("first").join(&name).exists() && results.contains(&name), "{name}");
    }

    // Nothing is left to run: the same records, the same page.
    let again = study(dir.path(), "first");
    assert_eq!(again, (runs, segments, results));
    // From nothing, with no latents kept: the same metrics.
    fs::remove_dir_all(dir.path().join("work")).unwrap();
    let (anew, segments_anew, _) = study(dir.path(), "second");
    assert_eq!((timeless(&anew), timeless(&segments_anew)), (records, found));

    // The frames are asked for what the baselines miss; the data set stays what it is, and so does all that was run.
    let manifest = fs::read(sky.join("dataset.toml")).unwrap();
    run(&[&SKY[..], &[sky.to_str().unwrap(), "--baselines"]].concat()).assert_code(0);
    assert_eq!(fs::read(sky.join("dataset.toml")).unwrap(), manifest);
    let (more, _, _) = study(dir.path(), "second");
    let new: Vec<serde_json::Value> =
        more.strip_prefix(&anew).unwrap().lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let names: Vec<_> = new.iter().map(|r| r["method"].as_str().unwrap()).collect();
    assert_eq!(names, ["psf - model", "CLASS_STAR"]);
    assert!(auc(&new[0]).unwrap() > 0.7, "{}", new[0]);
    // Without the program it still says so.
    let class_star = &new[1]["ending"];
    let without = class_star["failed"]["reason"].as_str().is_some_and(|r| r.contains("where source-extractor"));
    assert!(without || auc(&new[1]).unwrap() > 0.7, "{class_star}");
}

#[test]
fn a_name_that_no_method_has_is_an_error() {
    let ended = run(&["study", "--only", "no such method"]);
    ended.assert_code(5);
    assert!(ended.last_words().contains("--only no such method"), "{}", ended.told);
}
