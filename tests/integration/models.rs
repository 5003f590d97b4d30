//! Models in service, as their operators see them: another takes over between two frames, one that cannot be used is
//! refused, and a candidate in the shadow is compared and publishes nothing.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::http::{get, metric};
use crate::common::program::{command, run, start};
use crate::common::{frames, night, results, until};

/// The shipped bundle, copied, under a version of its own.
fn bundle(folder: &Path, version: &str) -> PathBuf {
    let (shipped, copy) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("config/model"), folder.join(version));
    fs::create_dir(&copy).unwrap();
    for name in results::names(&shipped) {
        fs::copy(shipped.join(&name), copy.join(&name)).unwrap();
    }
    let manifest = fs::read_to_string(copy.join("manifest.toml")).unwrap();
    let renamed = |line: &str| match line.starts_with("version = ") {
        true => format!("version = \"{version}\"\n"),
        false => format!("{line}\n"),
    };
    fs::write(copy.join("manifest.toml"), manifest.lines().map(renamed).collect::<String>()).unwrap();
    copy
}

#[test]
fn another_model_takes_over_between_two_frames_and_a_broken_one_does_not() {
    let root = tempfile::tempdir().unwrap();
    let at = |name: &str| root.path().join(name);
    let [one, two, broken] = ["one", "two", "broken"].map(|version| bundle(root.path(), version));
    fs::write(broken.join("segmenter.safetensors"), "broken").unwrap();
    let lead = |target: &Path| {
        symlink(target, at("aside")).unwrap();
        fs::rename(at("aside"), at("model")).unwrap();
    };
    lead(&one);
    fs::create_dir(at("inbox")).unwrap();
    let [inbox, out, model] = ["inbox", "out", "model"].map(|name| at(name).to_str().unwrap().to_owned());
    let quick = ["--set", "input.poll_interval_s=0.02", "--set", "input.settle_s=0.05"];
    let line = [&["run", "--inbox", &inbox, "--out", &out, "--model", &model, "--http", "127.0.0.1:0"], &quick[..]];
    let mut daemon = start(command(&line.concat()));
    let address = daemon.ready("http");
    let says = |series: &str| metric(&get(&address, "/metrics").1, series);
    let is_done = |id: &str| at("out").join(format!("{id}.done.json")).exists();
    let work = |n: usize| {
        night()[n].write(&at("inbox"));
        until("the field is done", || is_done(&night()[n].id));
        results::record(&at("out"), &night()[n].id)["model"]["version"].as_str().unwrap().to_owned()
    };
    assert_eq!(work(0), "one");
    lead(&two); // seen without a signal
    until("the other model is in service", || says("twinpeak_model_reloads_total{outcome=\"taken\"}") == Some(1.0));
    assert_eq!(work(1), "two");
    lead(&broken);
    daemon.signal("-HUP");
    until("the broken one is refused", || says("twinpeak_model_reloads_total{outcome=\"refused\"}") >= Some(1.0));
    assert_eq!(work(2), "two");
    assert!(get(&address, "/metrics").1.contains("version=\"two\"") && get(&address, "/readyz").0 == 200);
    daemon.signal("-TERM");
    daemon.wait().assert_code(0);
    assert_eq!(results::done(&at("out")).len(), 3);
    results::whole(&at("out"));
}

#[test]
fn a_candidate_in_the_shadow_changes_nothing_and_agrees_with_its_twin() {
    let (root, frames) = (tempfile::tempdir().unwrap(), frames(3));
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let twin = bundle(root.path(), "twin");
    let plain = ["process", frames.path().to_str().unwrap(), "--out", &at("plain")].map(str::to_owned);
    run(&plain.each_ref().map(String::as_str)).assert_code(0);
    let set = [
        format!("shadow.bundle={}", twin.display()),
        "shadow.share=1".into(),
        format!("shadow.report={}", at("shadow.json")),
        "pipeline.frames_in_flight=1".into(), // so that the candidate has time
    ];
    let inbox = frames.path().to_str().unwrap();
    let mut line = vec!["run", "--inbox", inbox, "--out", "", "--until-idle", "--set", "input.settle_s=0.05"];
    let out = at("out");
    line[4] = &out;
    set.iter().for_each(|key| line.extend(["--set", key.as_str()]));
    let mut daemon = command(&line);
    daemon.env("TWINPEAK__HTTP__BIND", "127.0.0.1:0");
    start(daemon).wait().assert_code(0);
    assert_eq!(results::whole(Path::new(&out)), results::whole(Path::new(&at("plain"))));
    let report: Value = serde_json::from_slice(&fs::read(at("shadow.json")).unwrap()).unwrap();
    assert!(report["frames"].as_u64().unwrap() >= 1 && report["service"] != report["candidate"], "{report}");
    let sum =
        |of: &str| report["by_magnitude"].as_array().unwrap().iter().map(|at| at[of].as_u64().unwrap()).sum::<u64>();
    assert!(sum("objects") > 10 && sum("objects") == sum("same_class"), "{report}");
    assert_eq!((sum("service_alone"), sum("candidate_alone")), (0, 0));
    let told = std::process::Command::new(env!("CARGO_BIN_EXE_twinpeak"))
        .args(["model", "report", "--set", &set[2]])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let table = String::from_utf8(told.stdout).unwrap();
    assert!(told.status.success() && table.contains("all: same class 1.0000"), "{table}");
}
