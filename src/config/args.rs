//! Where the configuration comes from: flags that many commands share.

use std::path::PathBuf;

use clap::Args;

use crate::{Config, ConfigError, Layers};

/// Where the configuration comes from; these flags win over variables, which win over the file.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigArgs {
    /// Configuration file [default: config/twinpeak.toml, here or in a folder above the program, or else the one file
    /// /etc/twinpeak/*.toml]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Survey description [default: survey.file of the configuration]
    #[arg(long, global = true, value_name = "FILE")]
    pub survey: Option<PathBuf>,
    /// Folder of the model bundle [default: model.bundle of the configuration]
    #[arg(long, global = true, value_name = "DIR")]
    pub model: Option<PathBuf>,
    /// What the nets run on: auto, cpu, cuda:0, ... [default: device.choice of the configuration]
    #[arg(long, global = true)]
    pub device: Option<String>,
    /// What finds objects: net or threshold [default: model.segmenter of the configuration]
    #[arg(long, global = true)]
    pub segmenter: Option<String>,
    /// Any other key, e.g. --set pipeline.frames_in_flight=2
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
}

impl ConfigArgs {
    /// The layers that these arguments name; a command adds its own flags before it loads them.
    pub fn layers(&self) -> Layers {
        let path = |p: &Option<PathBuf>| p.as_ref().map(|p| p.to_string_lossy().into_owned());
        let mut layers = Layers::from_file(self.config.clone()).environment();
        for (key, value) in &self.set {
            layers = layers.flag("--set", key, Some(value.clone()));
        }
        layers
            .flag("--survey", "survey.file", path(&self.survey))
            .flag("--model", "model.bundle", path(&self.model))
            .flag("--device", "device.choice", self.device.clone())
            .flag("--segmenter", "model.segmenter", self.segmenter.clone())
    }

    /// The effective configuration, for a command without flags of its own.
    ///
    /// # Errors
    /// [`ConfigError`]
    pub fn load(&self) -> Result<Config, ConfigError> {
        self.layers().load()
    }
}

fn key_value(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or_else(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
