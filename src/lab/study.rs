//! The study: every method of the paper on the same objects, repeated over seeds, with statistics. The paper left
//! "Repeat" and "Stats?" open in each section; this is the answer.
//!
//! A [`Plan`] (config/study.toml) names skies (data sets with a truth of their own), encoders (nets that give latents)
//! and methods (what is made of these). Each run of a method with a seed leaves one [`Record`], a line of JSON in
//! `benches/study/runs.jsonl`, and is never made again while its settings stand. Tables and figures are made from the
//! records alone.
//!
//! Truth enters at one place, [`score`], after all training is over.

mod answer;
mod context;
mod divergences;
mod encoder_cache;
mod evidence;
mod figures;
mod isolated;
mod learning_curve;
mod method;
mod plan;
mod record;
mod robustness;
mod score;
pub mod segmentation;
mod table;

pub use answer::{Answer, AnswerError, RunRequest, answer};
pub use context::{Beside, StudyContext};
pub use encoder_cache::{EncoderCache, Learned};
pub use evidence::{Seen, evidence};
pub use figures::{Figure, figures};
pub use isolated::isolated;
pub use learning_curve::LearningCurve;
pub use method::{Method, MethodKind, Step, Supervision};
pub use plan::{Encoder, Plan, PlanError, StudyDataset};
pub use record::{Ending, RANKED, Record, Records, RecordsError, ranks};
pub use robustness::Robustness;
pub use score::{Answers, Label, score};
pub use table::results;
