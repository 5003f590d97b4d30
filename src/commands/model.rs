//! `twinpeak model`: which bundle is in service, another in its place, the last one back, and how a candidate compares.
//!
//! `model.bundle` is a link to a bundle's folder here. Moving a link is one step that nobody can see half done, and a daemon
//! that runs takes what it leads to between two frames. A bundle is tried before the link is moved.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};

use super::aligned;
use crate::cli::{ModelArgs, ModelCommand};
use twinpeak_config::Config;
use twinpeak_config::assemble::{assemble, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_nets::bundle::Bundle;
use twinpeak_sim::evaluate::AtMagnitude;
use twinpeak_telemetry::shadow::ShadowReport;

/// Runs it.
///
/// # Errors
/// With [`Fault::Model`] where a bundle cannot be used, [`Fault::Output`] where the link cannot be moved.
pub fn run(args: &ModelArgs) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    let link = &config.model.bundle;
    match &args.command {
        ModelCommand::Show => super::print(&show(&config)?)?,
        ModelCommand::Use { bundle } => take(&config, bundle)?,
        ModelCommand::Back => {
            let last = fs::read_link(previous(link))
                .with_context(|| format!("there is no {}: nothing was replaced here", previous(link).display()))?;
            take(&config, &beside(link, &last))?;
        }
        ModelCommand::Report => super::print(&report(&config)?)?,
    }
    Ok(Exit::Done)
}

/// Tries a bundle and makes the link lead to it.
fn take(config: &Config, bundle: &Path) -> anyhow::Result<()> {
    let link = &config.model.bundle;
    let there = link.symlink_metadata();
    if there.as_ref().is_ok_and(|there| !there.is_symlink()) {
        bail!(
            "{0} is a folder and no link: move it aside and make {0} a link to it once, e.g. mv {0} {0}.1 && ln -s {0}.1 {0}",
            link.display()
        );
    }
    let bundle = bundle.canonicalize().with_context(|| bundle.display().to_string()).context(Fault::Model)?;
    let mut tried = config.clone();
    tried.model.bundle = bundle.clone();
    tried.pipeline.device_threads = 1;
    let identity = assemble(&tried)?.models.identity;
    let last = fs::read_link(link).ok();
    if last.as_ref().is_some_and(|last| beside(link, last).canonicalize().is_ok_and(|last| last == bundle)) {
        println!("{} leads to {} already: model {}", link.display(), bundle.display(), identity.version);
        return Ok(());
    }
    if let Some(last) = last {
        relink(&last, &previous(link))?;
    }
    relink(&bundle, link)?;
    println!("{} leads to {} now: model {}, {}", link.display(), bundle.display(), identity.version, identity.hash);
    println!("a daemon that runs takes it within some seconds; `twinpeak model back` undoes this");
    Ok(())
}

/// Makes a link in one step.
fn relink(target: &Path, link: &Path) -> anyhow::Result<()> {
    let mut aside = link.as_os_str().to_owned();
    aside.push(".part");
    let moved = || {
        let _ = fs::remove_file(&aside); // of an attempt that was interrupted
        symlink(target, &aside)?;
        fs::rename(&aside, link)
    };
    moved().with_context(|| format!("the link {}", link.display())).context(Fault::Output)
}

/// The link to what was in service before.
fn previous(link: &Path) -> PathBuf {
    let mut previous = link.as_os_str().to_owned();
    previous.push(".previous");
    previous.into()
}

/// Where a link's target lies.
fn beside(link: &Path, target: &Path) -> PathBuf {
    link.parent().unwrap_or(Path::new("")).join(target)
}

fn show(config: &Config) -> anyhow::Result<String> {
    let survey = survey(config)?;
    let profile = survey.profile();
    let mut out = String::new();
    let link = &config.model.bundle;
    for (name, folder) in
        [("in service", link.clone()), ("before", previous(link)), ("candidate", config.shadow.bundle.clone())]
    {
        if folder.as_os_str().is_empty() || (name == "before" && folder.symlink_metadata().is_err()) {
            continue;
        }
        let leads = fs::read_link(&folder).map_or_else(|_| String::new(), |to| format!(" -> {}", to.display()));
        let is = match Bundle::load(&folder, &profile.name, &profile.bands.planes) {
            Ok(bundle) => format!("{}, {}", bundle.manifest().version, bundle.hash()),
            Err(error) => format!("cannot be used: {error}"),
        };
        out += &format!("{name}: {}{leads}: {is}\n", folder.display());
    }
    Ok(out)
}

/// The comparison of the candidate with the model in service, as a table.
fn report(config: &Config) -> anyhow::Result<String> {
    let file = &config.shadow.report;
    let named = || format!("shadow.report {}", file.display());
    let text = fs::read(file).with_context(named).context("a daemon with shadow.bundle writes it")?;
    let report: ShadowReport = serde_json::from_slice(&text).with_context(named)?;
    let found = &report.agreement;
    ensure!(found.frames > 0, "{}: no frame yet", named());
    let mut rows = vec![
        ["magnitude", "objects", "same class", "|dp|", "service alone", "candidate alone"].map(str::to_owned).to_vec(),
    ];
    rows.extend(found.by_magnitude.iter().filter(|at| at.objects + at.service_alone + at.candidate_alone > 0).map(row));
    let per_frame = |seconds: f64| seconds / found.frames as f64;
    let mut out = format!("service {}\ncandidate {} ({})\n", report.service, report.candidate, report.bundle.display());
    out += &format!(
        "{} frames, {:.2} s each in service, {:.2} s the candidate\n\n",
        found.frames,
        per_frame(found.service_s),
        per_frame(found.candidate_s)
    );
    out += &aligned(&rows);
    out += &format!(
        "\nall: same class {}; the candidate's calibration error, were the model in service the truth: {}\n",
        figure(found.same_class()),
        figure(found.calibration())
    );
    out += "|dp|: mean distance of the two probabilities of being a star; alone: objects that the other did not find\n";
    Ok(out)
}

fn row(at: &AtMagnitude) -> Vec<String> {
    let mean = |sum: f64| (at.objects > 0).then(|| sum / at.objects as f64);
    vec![
        format!("{}-{}", at.low, at.high),
        at.objects.to_string(),
        figure(mean(at.same_class as f64)),
        figure(mean(at.apart)),
        at.service_alone.to_string(),
        at.candidate_alone.to_string(),
    ]
}

fn figure(value: Option<f64>) -> String {
    value.map_or("-".into(), |v| format!("{v:.4}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_config::exit::exit_of;

    fn shipped(link: &Path) -> Config {
        let mut config = twinpeak_config::Layers::from_file(Some(
            concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml").into(),
        ))
        .load()
        .unwrap();
        config.model.bundle = link.to_owned();
        config
    }

    #[test]
    fn a_bundle_is_tried_taken_and_given_back() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().canonicalize().unwrap().join(name);
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/model");
        let (config, link) = (shipped(&at("current")), at("current"));
        for name in ["one", "two"] {
            fs::create_dir(at(name)).unwrap();
            for file in ["manifest.toml", "segmenter.safetensors", "classifier.safetensors"] {
                fs::copy(model.join(file), at(name).join(file)).unwrap();
            }
        }
        take(&config, &at("one")).unwrap();
        take(&config, &at("two")).unwrap();
        assert_eq!((fs::read_link(&link).unwrap(), fs::read_link(previous(&link)).unwrap()), (at("two"), at("one")));
        fs::write(at("one").join("classifier.safetensors"), "x").unwrap();
        let error = take(&config, &at("one")).unwrap_err();
        assert_eq!(exit_of(&error), Exit::BadModel);
        assert_eq!(fs::read_link(&link).unwrap(), at("two"), "what cannot be used is not taken");
        assert!(show(&config).unwrap().contains("before: "));
        let folder_in_service = shipped(&at("two"));
        assert!(take(&folder_in_service, &at("two")).unwrap_err().to_string().contains("no link"));
    }
}
