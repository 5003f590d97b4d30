//! `twinpeak survey check`: what would be read from frames by a survey's description, without a model.

mod report;
mod sources;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::{Args, Subcommand};

use report::Report;
use twinpeak_config::Layers;
use twinpeak_config::assemble::{fields, loader, survey_of};
use twinpeak_config::exit::{Exit, Fault};

/// `twinpeak survey`
#[derive(Args, Debug)]
pub struct SurveyArgs {
    /// What to do.
    #[command(subcommand)]
    pub command: SurveyCommand,
}

/// What to do with a survey's description.
#[derive(Subcommand, Debug)]
pub enum SurveyCommand {
    /// Say what would be read from frames, and what is wrong with them or with the description; needs no model
    Check(SurveyCheckArgs),
}

/// `twinpeak survey check`
#[derive(Args, Debug)]
pub struct SurveyCheckArgs {
    /// The survey's description
    #[arg(value_name = "SURVEY")]
    pub survey: PathBuf,
    /// Files of frames, or folders of them
    #[arg(required_unless_present = "tables")]
    pub frames: Vec<PathBuf>,
    /// Tables of fields: which file holds which band of which image, where names do not tell
    #[arg(long = "table", value_name = "FILE")]
    pub tables: Vec<PathBuf>,
    /// Print JSON, for programs
    #[arg(long)]
    pub json: bool,
}

/// Runs it.
///
/// # Errors
/// The description cannot be used; a frame that cannot is reported, and counts in the exit code.
pub fn run(args: &SurveyCommand) -> anyhow::Result<Exit> {
    let SurveyCommand::Check(args) = args;
    let survey = Arc::new(survey_of(&args.survey)?);
    let config = Layers::from_text(PathBuf::new(), String::new()).load().context(Fault::Config)?;
    let loader = loader(&config, &survey);
    let fields = fields(&config, &survey, &args.frames, &args.tables);
    let passed_over = fields.notes();
    let (mut sound, mut refused) = (0, 0);
    for (image, files) in fields {
        let report = Report::of(&image, files.map_err(|r| *r), &survey, &loader);
        if report.refused.is_some() {
            refused += 1
        } else {
            sound += 1
        }
        let text = if args.json { serde_json::to_string(&report)? + "\n" } else { report.to_string() };
        super::print(&text)?;
    }
    for note in passed_over.iter().filter(|_| !args.json) {
        super::print(&format!("{note}\n"))?;
    }
    Ok(Exit::of_counts(sound, refused))
}
