//! `twinpeak check`: says what a configuration would run, or what is wrong with it.

use std::fmt::Write;
use std::path::Path;

use anyhow::Context;

use super::Fault;
use crate::cli::{CheckArgs, Exit};
use crate::config::{Config, DeviceChoice, Layers};
use crate::survey::Survey;

/// Says what a bundle is, in lines, after checking it for the survey.
pub type DescribeBundle = dyn Fn(&Path, &Survey) -> anyhow::Result<String>;

/// Says what a choice comes to on this machine, and why.
pub type DescribeDevice = dyn Fn(DeviceChoice) -> anyhow::Result<String>;

/// What the command takes from other parts.
#[derive(Clone, Copy, Default)]
pub struct Parts<'a> {
    /// Of the bundle.
    pub bundle: Option<&'a DescribeBundle>,
    /// Of the device.
    pub device: Option<&'a DescribeDevice>,
}

/// Runs it.
///
/// # Errors
/// The first part that could not be used, with its [`Fault`].
pub fn run(args: &CheckArgs, parts: Parts) -> anyhow::Result<Exit> {
    let config = Layers::from_file(Some(args.config.clone())).environment().load()?;
    print!("{}", describe(&config, parts)?);
    Ok(Exit::Done)
}

fn describe(config: &Config, parts: Parts) -> anyhow::Result<String> {
    let survey = super::survey(config)?;
    let mut out = config.to_toml();
    let mut say = |part: &str, text: &str| {
        writeln!(out, "\n# {part}: {}", text.trim_end().replace('\n', "\n#   ")).expect("a string takes every line");
    };
    say("survey", &describe_survey(&survey));
    match parts.bundle {
        Some(bundle) => say("model", &bundle(&config.model.bundle, &survey).context(Fault::Model)?),
        None => say("model", "not looked at"),
    }
    match parts.device {
        Some(device) => say("device", &device(config.device.choice).context(Fault::Device)?),
        None => say("device", "not looked at"),
    }
    Ok(out)
}

fn describe_survey(survey: &Survey) -> String {
    let profile = survey.profile();
    format!(
        "{}, bands {} (reference {}), {} arcsec a pixel",
        profile.name,
        profile.bands.join(" "),
        profile.reference_band,
        profile.pixel_scale_arcsec
    )
}

#[cfg(test)]
mod tests {
    use anyhow::bail;

    use super::*;
    use crate::commands::exit_of;

    fn shipped() -> Config {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/config/twinpeak.toml");
        Layers::from_file(Some(file.into())).load().unwrap()
    }

    #[test]
    fn the_shipped_configuration_is_described() {
        let bundle = |folder: &Path, survey: &Survey| Ok(format!("{} for {}", folder.display(), survey.profile().name));
        let device = |choice: DeviceChoice| Ok(format!("{choice}: two\nlines"));
        let text = describe(&shipped(), Parts { bundle: Some(&bundle), device: Some(&device) }).unwrap();
        assert!(text.contains("# survey: sdss, bands u g r i z (reference r), 0.396 arcsec a pixel\n"), "{text}");
        assert!(
            text.contains("config/model for sdss\n") && text.contains("# device: auto: two\n#   lines\n"),
            "{text}"
        );
        // What it prints is itself a configuration: the same one.
        assert_eq!(toml::from_str::<Config>(&text).unwrap(), shipped());
    }

    #[test]
    fn each_part_has_its_exit_code() {
        let mut lost = shipped();
        lost.survey.file = "/no/such.toml".into();
        let error = describe(&lost, Parts::default()).unwrap_err();
        assert_eq!(exit_of(&error), Exit::BadConfig);
        assert!(format!("{error:#}").contains("/no/such.toml"));

        let bundle = |_: &Path, _: &Survey| bail!("no manifest.toml");
        let error = describe(&shipped(), Parts { bundle: Some(&bundle), device: None }).unwrap_err();
        assert_eq!((exit_of(&error), format!("{error:#}").contains("no manifest.toml")), (Exit::BadModel, true));

        let device = |_: DeviceChoice| bail!("no GPU");
        let error = describe(&shipped(), Parts { bundle: None, device: Some(&device) }).unwrap_err();
        assert_eq!(exit_of(&error), Exit::BadDevice);
    }
}
