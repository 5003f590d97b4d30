//! SExtractor itself (Bertin & Arnouts 1996), on the reference band as people run it: default filter, 5 px, a threshold.
//! The band's sky is taken off already, so SExtractor is told not to.

use std::path::{Path, PathBuf};

use crate::commands::sextractor::SExtractor;
use crate::study::segmentation::{
    DetectionMetrics, Field, Findings, Known, SegmentError, SegmentMetrics, SegmentationContext, USUAL,
};
use twinpeak_core::frame::Plane;
use twinpeak_formats::fits::encode_band;
use twinpeak_sim::evaluate::Rules;
use twinpeak_store::write_file;

const SEXTRACTOR: &str = "SExtractor";
/// Numbers of false components a field at which it is compared.
const ASKED: [f64; 2] = [USUAL, 30.0];
/// SExtractor's own detection threshold, in sigma of the background.
const DEFAULT_SIGMA: f64 = 1.5;
/// Between these a threshold is sought, sigma, in so many halvings.
const RANGE_SIGMA: (f64, f64) = (0.7, 6.0);
const HALVINGS: usize = 9;

/// The program and where it works.
struct Program {
    program: SExtractor,
    folder: PathBuf,
}

/// Its metrics on the context's fields.
///
/// # Errors
/// Where the program is not there or ends with an error.
pub(super) fn metrics(context: &SegmentationContext, known: &[Known]) -> Result<SegmentMetrics, SegmentError> {
    let program = Program::new(&context.work)?;
    let fields = context.fields.iter().enumerate().map(|(i, field)| program.images(context, field, i));
    let fields = fields.collect::<Result<Vec<_>, _>>()?;
    let rules = Rules::for_scale(context.survey.profile().pixel_scale_arcsec);
    let metrics = |asked: Option<f64>| -> Result<DetectionMetrics, SegmentError> {
        let findings = fields.iter().map(|images| {
            let threshold = asked.map_or(Ok(DEFAULT_SIGMA), |asked| program.threshold(images, asked))?;
            let objects = program.objects(&images.field, threshold)?;
            Ok(Findings { false_components: program.false_objects(images, threshold)?, objects, pixels: None })
        });
        Ok(DetectionMetrics::measure(asked, &findings.collect::<Result<Vec<_>, SegmentError>>()?, known, &rules))
    };
    let at = ASKED.iter().map(|&asked| metrics(Some(asked))).collect::<Result<_, _>>()?;
    Ok(SegmentMetrics { at, own: Some(metrics(None)?), pixels: None })
}

/// A field's reference band, and the same without objects, as files.
struct Images {
    field: PathBuf,
    noise: PathBuf,
    share: f64,
}

fn problem(problem: impl ToString) -> SegmentError {
    SegmentError::Program { program: SEXTRACTOR, problem: problem.to_string() }
}

impl Program {
    fn new(work: &Path) -> Result<Self, SegmentError> {
        let program = SExtractor::find().ok_or_else(|| problem("it is not on this machine"))?;
        // It runs in this folder, so that its default files are not found by chance.
        let folder = std::path::absolute(work.join("sextractor")).map_err(problem)?;
        std::fs::create_dir_all(&folder).map_err(problem)?;
        let write = |file: &str, text: &str| write_file(&folder, file, text.as_bytes()).map_err(problem);
        write("own.param", "X_IMAGE\nY_IMAGE\n")?;
        write("own.conv", "CONV NORM\n1 2 1\n2 4 2\n1 2 1\n")?;
        Ok(Self { program, folder })
    }

    fn images(&self, context: &SegmentationContext, field: &Field, number: usize) -> Result<Images, SegmentError> {
        let band = context.survey.reference();
        let write = |kind: &str, plane: &Plane<f32>| -> Result<PathBuf, SegmentError> {
            let mut frame = field.prepared.frame.clone();
            frame.bands[band].pixels = plane.clone();
            let (name, bytes) =
                (format!("{kind}-{number}.fits"), encode_band(context.survey, &frame, band).map_err(problem)?);
            write_file(&self.folder, &name, &bytes).map_err(problem)?;
            Ok(self.folder.join(name))
        };
        Ok(Images {
            field: write("field", &field.prepared.registered[band])?,
            noise: write("noise", &field.noise[band])?,
            share: field.sky_share(),
        })
    }

    fn false_objects(&self, images: &Images, threshold: f64) -> Result<f64, SegmentError> {
        Ok(self.objects(&images.noise, threshold)?.len() as f64 / images.share.max(f64::MIN_POSITIVE))
    }

    /// The threshold that leaves so many objects on the field without any.
    fn threshold(&self, images: &Images, false_objects: f64) -> Result<f64, SegmentError> {
        let (mut low, mut high) = RANGE_SIGMA;
        for _ in 0..HALVINGS {
            let middle = 0.5 * (low + high);
            if self.false_objects(images, middle)? > false_objects { low = middle } else { high = middle }
        }
        Ok(high)
    }

    /// Positions of the objects of an image, 0-based px.
    fn objects(&self, image: &Path, threshold: f64) -> Result<Vec<(f64, f64)>, SegmentError> {
        let sigma = threshold.to_string();
        let settings = [
            ("PARAMETERS_NAME", "own.param"),
            ("FILTER", "Y"),
            ("FILTER_NAME", "own.conv"),
            ("DETECT_MINAREA", "5"),
            ("BACK_TYPE", "MANUAL"),
            ("BACK_VALUE", "0.0"),
            ("MEMORY_PIXSTACK", "3000000"),
            ("DETECT_THRESH", &sigma),
            ("ANALYSIS_THRESH", &sigma),
        ]
        .map(|(key, value)| (key, value.to_owned()));
        let found = self.program.run(&self.folder, image, &settings).map_err(problem)?;
        Ok(found.into_iter().map(|[x, y]| (x, y)).collect())
    }
}
