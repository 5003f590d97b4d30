//! What a training leaves in `<out>.work/`, and the bundle that its two halves make.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::BATCHES;
use twinpeak_config::DeviceChoice;
use twinpeak_config::assemble::device;
use twinpeak_config::exit::Fault;
use twinpeak_core::atomic_write::atomic_write;
use twinpeak_core::extract::Parting;
use twinpeak_core::false_rate::FalseRate;
use twinpeak_core::frame::PerBand;
use twinpeak_core::posterior::Posterior;
use twinpeak_core::recipe::Recipe;
use twinpeak_core::survey::Survey;
use twinpeak_formats::picture::{Axis, Chart, Corner, Series, Style, chart};
use twinpeak_learn::Curve;
use twinpeak_nets::bundle::{Bundle, ClassifierPart, FORMAT, Manifest, SegmenterPart, Training};
use twinpeak_nets::infer::{TorchClassifier, TorchSegmenter};
use twinpeak_nets::parameters::Parameters;
use twinpeak_nets::{classifier, colour, segmentation};

/// The segmenter's half of a bundle.
#[derive(Serialize, Deserialize)]
pub(super) struct SegmenterHalf {
    pub data: Data,
    pub gives: segmentation::Gives,
    pub extent_threshold: f32,
    pub by_frame: Vec<f32>,
    pub agreement: Option<f64>,
    pub fwhm_arcsec: PerBand<f64>,
    pub seed: u64,
    #[serde(default)]
    pub missing_band_share: f64,
    pub shape: segmentation::Shape,
    pub false_rate: FalseRate,
    pub parting: Parting,
}

/// The classifier's half.
#[derive(Serialize, Deserialize)]
pub(super) struct ClassifierHalf {
    pub data: Data,
    pub shape: classifier::Shape,
    pub colour: colour::Shape,
    pub posterior: Posterior,
    /// Rank correlation with concentration that said which peak is the stars', by seed.
    #[serde(rename = "naming")]
    pub orientation: Vec<f64>,
    pub evidence: f64,
    pub objects: usize,
    pub seed: u64,
    #[serde(default)]
    pub missing_band_share: f64,
}

/// Which frames were learned from.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Data {
    pub images: Vec<String>,
    pub sha256: String,
}

/// `<out>.work/`: checkpoints, finished halves, loss curves.
pub(super) struct Work(pub PathBuf);

impl Work {
    pub fn new(out: &Path) -> anyhow::Result<Self> {
        let mut folder = out.as_os_str().to_owned();
        folder.push(".work");
        let folder = PathBuf::from(folder);
        fs::create_dir_all(&folder).with_context(|| format!("{}", folder.display())).context(Fault::Output)?;
        Ok(Self(folder))
    }

    pub fn save(
        &self,
        name: &str,
        half: &impl Serialize,
        parameters: &Parameters,
        curves: &[Curve],
    ) -> anyhow::Result<()> {
        let losses = loss_chart(name, curves)?;
        let write = |ending: &str, bytes: &[u8]| {
            let path = self.0.join(format!("{name}.{ending}"));
            atomic_write(&path, bytes).with_context(|| path.display().to_string())
        };
        write("loss.png", &losses)?;
        write("safetensors", &parameters.to_safetensors(None)?)?;
        write("toml", toml::to_string(half)?.as_bytes())?;
        println!("{name}: loss curves in {}", self.0.join(format!("{name}.loss.png")).display());
        Ok(())
    }

    pub fn load<T: DeserializeOwned>(&self, name: &str) -> anyhow::Result<Option<(T, Parameters)>> {
        let path = self.0.join(format!("{name}.toml"));
        if !path.exists() {
            return Ok(None);
        }
        let half = toml::from_str(&fs::read_to_string(&path)?).with_context(|| path.display().to_string())?;
        let weights = fs::read(self.0.join(format!("{name}.safetensors")))?;
        Ok(Some((half, Parameters::from_safetensors(&weights)?)))
    }

    /// Puts both halves together over the recipe that they were trained by, or says what is missing.
    pub fn complete(&self, survey: &Survey, recipe: Recipe, out: &Path) -> anyhow::Result<()> {
        let (segmenter, classifier) =
            (self.load::<SegmenterHalf>("segmenter")?, self.load::<ClassifierHalf>("classifier")?);
        let (Some((s, s_weights)), Some((c, c_weights))) = (segmenter, classifier) else {
            println!(
                "half of the bundle is done; train the other half with the same --out to complete {}",
                out.display()
            );
            return Ok(());
        };
        let bundle = with_probes(Bundle::new(manifest(survey, recipe, s, c), s_weights, c_weights)?)?;
        bundle.save(out).context(Fault::Output)?;
        println!("bundle {} written to {}", bundle.manifest().version, out.display());
        Ok(())
    }
}

/// The bundle with the answers that its nets give to a probe on the processor: a device that answers otherwise is
/// not trusted.
fn with_probes(bundle: Bundle) -> anyhow::Result<Bundle> {
    let cpu = device(DeviceChoice::Cpu)?;
    let mut manifest = bundle.manifest().clone();
    manifest.segmenter.probe = TorchSegmenter::new(&bundle, &cpu)?.probe_answers()?;
    manifest.classifier.probe = TorchClassifier::new(&bundle, &cpu)?.probe_answers()?;
    Ok(Bundle::new(manifest, bundle.segmenter().clone(), bundle.classifier().clone())?)
}

fn manifest(survey: &Survey, recipe: Recipe, s: SegmenterHalf, c: ClassifierHalf) -> Manifest {
    let profile = survey.profile();
    let images = |data: &Data| format!("{} frames without labels: {}", data.images.len(), data.images.join(" "));
    let data = if s.data == c.data {
        images(&s.data)
    } else {
        format!("segmenter: {}; classifier: {}", images(&s.data), images(&c.data))
    };
    let weakest = c.orientation.iter().map(|correlation| correlation.abs()).fold(f64::INFINITY, f64::min);
    Manifest {
        format: FORMAT,
        version: format!("{}-{}", profile.name, env!("CARGO_PKG_VERSION")),
        survey: profile.name.clone(),
        bands: profile.bands.planes.to_vec(),
        files: Default::default(),
        segmenter: SegmenterPart { batch: BATCHES.0, probe: Vec::new(), gives: s.gives, shape: s.shape },
        classifier: ClassifierPart { batch: BATCHES.1, probe: Vec::new(), shape: c.shape, colour: c.colour },
        training: Training {
            data,
            data_sha256: c.data.sha256,
            segmenter_seed: s.seed,
            classifier_seed: c.seed,
            segmenter_missing_band_share: s.missing_band_share,
            classifier_missing_band_share: c.missing_band_share,
            software_version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        figures: [
            ("training_objects", Some(c.objects as f64)),
            ("weakest_naming_correlation", Some(weakest)),
            ("colour_evidence_nats", Some(c.evidence)),
            ("head_agreement_with_teacher", s.agreement),
        ]
        .into_iter()
        .filter_map(|(name, figure)| Some((name.to_owned(), figure?)))
        .collect(),
        recipe: Recipe {
            posterior: c.posterior,
            ..recipe.with_scores(s.false_rate, s.extent_threshold, s.parting).with_fallback_fwhm(s.fwhm_arcsec)
        },
        expected: None,
    }
}

fn loss_chart(name: &str, curves: &[Curve]) -> anyhow::Result<Vec<u8>> {
    let series = curves.iter().map(|c| {
        let points =
            c.smoothed().iter().enumerate().map(|(step, loss)| (step as f64 + 1.0, f64::from(*loss))).collect();
        Series { name: c.net.clone(), points, style: Style::Line }
    });
    let chart_of = Chart {
        title: format!("{name}: training loss"),
        x: Axis::named("step"),
        y: Axis::named("loss, smoothed"),
        series: series.collect(),
        legend: Corner::UpperRight,
    };
    Ok(chart(&chart_of)?)
}
