//! `twinpeak check`: says what a configuration would run, or what is wrong with it.

use std::fmt::Write;

use anyhow::Context;

use crate::cli::CheckArgs;
use twinpeak_config::assemble::{bundle, device, device_threads, survey};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_config::{Config, Layers, SegmenterKind};
use twinpeak_core::survey::Survey;
use twinpeak_nets::bundle::Bundle;
use twinpeak_nets::device::Chosen;

/// Runs it.
///
/// # Errors
/// The first part that could not be used, with its [`Fault`].
pub fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let config = Layers::from_file(Some(args.config.clone())).environment().load()?;
    super::print(&describe(&config)?)?;
    Ok(Exit::Done)
}

/// The effective configuration, and as comments what its survey, bundle and device are: still TOML.
pub(super) fn describe(config: &Config) -> anyhow::Result<String> {
    config.remote.check().context(Fault::Config)?;
    config.kafka.check().context(Fault::Config)?;
    let survey = survey(config)?;
    let bundle = bundle(config, &survey)?;
    let chosen = device(config.device.choice)?;
    let parts = [
        ("survey", describe_survey(&survey)),
        ("model", describe_bundle(&bundle, config)),
        ("device", describe_device(&chosen, config)),
    ];
    let mut out = config.to_toml();
    for (part, text) in parts {
        let _ = writeln!(out, "\n# {part}: {}", text.replace('\n', "\n#   ")); // a string takes every line
    }
    Ok(out)
}

fn describe_survey(survey: &Survey) -> String {
    let profile = survey.profile();
    format!(
        "{}, bands {} (reference {}), {} arcsec a pixel\nfiles {}",
        profile.name,
        profile.bands.planes.join(" "),
        profile.reference_band,
        profile.pixel_scale_arcsec,
        profile.file_pattern
    )
}

fn describe_bundle(bundle: &Bundle, config: &Config) -> String {
    let manifest = bundle.manifest();
    let training = &manifest.training;
    let finder = match config.model.segmenter {
        SegmenterKind::Net => "its segmentation net",
        SegmenterKind::Threshold => {
            "a matched filter (model.segmenter = \"threshold\"), its classifier tells them apart"
        }
    };
    let mut text = format!(
        "{}, SHA-256 {}\nobjects are found by {finder}\ntrained by twinpeak {} on {}\nseeds: segmenter {}, classifier {}",
        manifest.version,
        bundle.hash(),
        training.software_version,
        training.data,
        training.segmenter_seed,
        training.classifier_seed
    );
    for (name, value) in &manifest.figures {
        let _ = write!(text, "\n{}: {}", name.replace('_', " "), (value * 1e4).round() / 1e4);
    }
    text
}

fn describe_device(chosen: &Chosen, config: &Config) -> String {
    format!("{} ({}), {} threads with nets of their own", chosen.name, chosen.reason, device_threads(config, chosen))
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_config::DeviceChoice;
    use twinpeak_config::exit::exit_of;

    fn shipped() -> Config {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml");
        Layers::from_file(Some(file.into())).load().unwrap()
    }

    #[test]
    fn the_shipped_configuration_is_described() {
        let config = shipped();
        let text = describe(&config).unwrap();
        let survey = survey(&config).unwrap();
        let bundle = bundle(&config, &survey).unwrap();
        for part in [
            "# survey: sdss, bands u g r i z (reference r), 0.396 arcsec a pixel\n",
            &format!("# model: {}, SHA-256 {}\n", bundle.manifest().version, bundle.hash()),
            &bundle.manifest().training.data,
            "training objects: ",
            "# device: cpu (no GPU found",
        ] {
            assert!(
                text.contains(part) || part.contains("no GPU") && text.contains("# device: cuda:"),
                "{part}: {text}"
            );
        }
        // What it prints is itself a configuration: the same one.
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), Config { file: None, ..config });
    }

    #[test]
    fn each_part_has_its_exit_code() {
        let fails = |change: fn(&mut Config)| {
            let mut config = shipped();
            change(&mut config);
            let error = describe(&config).unwrap_err();
            (exit_of(&error), format!("{error:#}"))
        };
        for (change, exit, says) in [
            ((|c| c.survey.file = "/no/such.toml".into()) as fn(&mut Config), Exit::BadConfig, "/no/such.toml"),
            (|c| c.model.bundle = "/no/such".into(), Exit::BadModel, "/no/such/manifest.toml"),
            (|c| c.kafka.schema_registry = "http://u:pw@h".into(), Exit::BadConfig, "kafka.schema_registry holds"),
            (|c| c.remote.file_roots = vec!["here".into()], Exit::BadConfig, "is relative"),
            (|c| c.device.choice = DeviceChoice::Cuda(99), Exit::BadDevice, "cuda:99 is not there"),
        ] {
            let (code, message) = fails(change);
            assert!(code == exit && message.contains(says), "{message}");
        }
    }
}
