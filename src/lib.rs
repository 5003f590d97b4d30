//! twinpeak: five-band survey frames in; catalogues, masks and pictures out; nets that learn without labels.
//!
//! The modules in the order in which a frame meets them:
//!
//! | | |
//! | --- | --- |
//! | [`frame`], [`wcs`], [`survey`], [`units`] | what a frame is, and what a survey is |
//! | [`fits`], [`store`] | frames from files, results to files |
//! | [`message`], [`kafka`], [`wire`] | messages in, the exactly-once session, records out |
//! | [`preprocess`], [`filter`] | background, noise, bad pixels, registration |
//! | [`tile`], [`model`], [`threshold`], [`torch`] | tiles, the port to the nets, and what is behind it |
//! | [`extract`], [`aperture`], [`psf`], [`cutout`], [`measure`], [`objects`] | objects and what is measured of them |
//! | [`posterior`], [`catalog`], [`picture`] | probabilities, rows, pictures |
//! | [`wire`] | rows, masks and records as messages, and their schemas |
//! | [`recipe`], [`pipeline`] | the parameters of a model, and the engine that runs it all |
//! | [`sim`], [`learn`], [`evaluate`] | a sky with known truth, training, scores |
//! | [`drift`] | whether what comes is still what the model was made for |
//! | [`telemetry`], [`config`], [`cli`], [`commands`] | watching it, setting it, running it |
//!
//! A frame from the simulator, its objects found by the classical segmenter:
//!
//! ```
//! use twinpeak::{extract, filter, preprocess, sim, survey::Survey, threshold::ThresholdSegmenter};
//!
//! let survey = Survey::parse(include_str!("../config/surveys/sdss.toml"))?;
//! let spec = sim::Spec { seed: 7, width: 300, height: 200, ..sim::Spec::default() };
//! let made = sim::simulate(&spec, &survey)?;
//! let frame = preprocess::prepare(made.frame, &survey, &preprocess::Settings::default())?;
//!
//! let sigma = frame.sky.map(|sky| f64::from(sky.sigma_nmgy));
//! let weights = survey.detection_weights(&sigma, &[0, 1, 2, 3, 4]);
//! let score = filter::matched_filter(&filter::weighted_sum(&frame.registered, &weights), 3.0);
//! let detection = filter::detection_image(&frame.registered, &weights);
//! let settings = extract::Settings {
//!     detect_threshold: ThresholdSegmenter::DETECT_SIGMA,
//!     extent_threshold: ThresholdSegmenter::DETECT_SIGMA,
//!     min_area_px: 5,
//!     deblend_sigma: 3.0,
//!     deblend_ratio: 0.05,
//!     max_children: 1000,
//!     max_component_px: 100_000,
//! };
//! let found = extract::extract(&score, &detection, &frame.bits, &settings);
//! assert!(found.objects.len() > 5);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

pub mod aperture;
pub mod catalog;
pub mod cli;
pub mod commands;
pub mod config;
pub mod cutout;
pub mod drift;
pub mod evaluate;
pub mod extract;
pub mod filter;
pub mod fits;
pub mod frame;
pub mod kafka;
pub mod learn;
pub mod measure;
pub mod message;
pub mod model;
pub mod objects;
pub mod picture;
pub mod pipeline;
pub mod posterior;
pub mod preprocess;
pub mod psf;
pub mod recipe;
pub mod remote;
pub mod sim;
pub mod store;
pub mod study;
pub mod survey;
pub mod telemetry;
pub mod threshold;
pub mod tile;
pub mod torch;
pub mod units;
pub mod wcs;
pub mod wire;
