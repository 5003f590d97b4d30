//! How long a field takes, stage by stage and as a whole: simulated, 2048 x 1489 pixels, five bands, plain FITS, both
//! nets of the shipped bundle, everything written.
//!
//! ```text
//! cargo bench --bench field               # all, in less than two minutes
//! cargo bench --bench field -- extract    # one stage
//! ```
//!
//! The engine does the work and its probe tells the time, so a stage is what `/metrics` calls by that name: its time
//! in a field that has the machine to itself. `whole` is such a field from its arrival to its record; `stream` has
//! several in flight, as in a night. Process start and the loading of the nets are in neither. The target of a
//! millisecond makes criterion take its samples of one field each; it warns that they take longer, which they should.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a panic is how a bench fails")]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use criterion::{Criterion, SamplingMode, Throughput, criterion_group, criterion_main};
use tempfile::TempDir;

use twinpeak_config::assemble::{assemble, limits, loader, sink};
use twinpeak_config::{Config, Layers};
use twinpeak_core::files::{FieldFiles, plain};
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Finished, Outcome, Stage};
use twinpeak_engine::Limits;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::ports::{Arrival, Event, FrameSource, PortError, Probe};
use twinpeak_formats::fits;
use twinpeak_sim::{Spec, simulate};
use twinpeak_store::{Lease, Ledger, Loader};

/// Fields of a stream.
const STREAM: u64 = 3;

/// A simulated field on disk, and what is needed to process it.
struct Rig {
    config: Config,
    image: ImageId,
    files: FieldFiles,
    folder: TempDir,
}

impl Rig {
    fn new() -> Self {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/twinpeak.toml");
        let config = Layers::from_file(Some(file)).load().expect("the shipped configuration");
        let survey = twinpeak_config::assemble::survey(&config).expect("the shipped survey");
        let folder = tempfile::tempdir().expect("a folder for the field");
        let made = simulate(&Spec::default(), &survey).expect("an ordinary field");
        let files = plain(std::array::from_fn(|band| {
            // The survey's name for it without `.bz2`: unpacked.
            let path = folder.path().join(survey.file_for(band, &made.frame.id)).with_extension("");
            let bytes = fits::encode_band(&survey, &made.frame, band).expect("a band's file");
            std::fs::write(&path, bytes).expect("room for a band");
            path
        }));
        Self { config, image: made.frame.id, files, folder }
    }

    /// Processes the field so many times, at most `frames_in_flight` at once.
    fn process(&self, fields: u64, frames_in_flight: usize) -> Clock {
        let assembly = assemble(&self.config).expect("the shipped model");
        let loader = loader(&self.config, &assembly.models.survey);
        let mut source = Again { left: fields, image: self.image.clone(), files: self.files.clone(), loader };
        let ledger = Ledger::open(&self.folder.path().join("out")).expect("a folder of results");
        let sink = sink(&self.config, ledger, &assembly.models).expect("no Avro is asked for");
        let limits = Limits { frames_in_flight, ..limits(&self.config) };
        let (clock, since) = (Clock::default(), Instant::now());
        let (models, devices, stop) = (&assembly.models, assembly.devices, Stop::default());
        twinpeak_engine::run(&mut source, models, devices, &sink, &limits, &stop, &clock).expect("a run to its end");
        let whole = since.elapsed();
        Clock { whole, ..black_box(clock) }
    }
}

/// The same field again and again.
struct Again {
    left: u64,
    image: ImageId,
    files: FieldFiles,
    loader: Loader,
}

impl FrameSource for Again {
    type Receipt = Option<Lease>;

    fn next(&mut self, _: &Stop) -> Result<Option<Arrival<Self::Receipt>>, PortError> {
        let Some(left) = self.left.checked_sub(1) else { return Ok(None) };
        self.left = left;
        let (image, files, loader) = (self.image.clone(), self.files.clone(), self.loader.clone());
        Ok(Some(Arrival::new(self.image.clone(), move || loader(&image, &files), None)))
    }
}

/// What the engine tells: time by stage, summed over fields; and the time of the whole run.
#[derive(Default)]
struct Clock {
    stages: Mutex<BTreeMap<Stage, Duration>>,
    whole: Duration,
}

impl Clock {
    fn stage(self, stage: Stage) -> Duration {
        self.stages.into_inner().expect("no stage panicked")[&stage]
    }
}

impl Probe for Clock {
    fn on(&self, event: &Event<'_>) {
        match event {
            Event::StageDone { stage, seconds } => {
                let mut stages = self.stages.lock().expect("no stage panicked");
                *stages.entry(*stage).or_default() += Duration::from_secs_f64(*seconds);
            }
            Event::Finished(Finished { outcome: Outcome::Rejected(rejection), .. }) => {
                panic!("the field must be processed: {rejection}")
            }
            _ => {}
        }
    }
}

fn field(criterion: &mut Criterion) {
    let rig = Rig::new();
    let mut group = criterion.benchmark_group("field");
    group.sample_size(10).sampling_mode(SamplingMode::Flat);
    group.warm_up_time(Duration::from_millis(1)).measurement_time(Duration::from_millis(1));
    for stage in Stage::ALL.into_iter().filter(|s| *s != Stage::Ingest) {
        group.bench_function(stage.name(), |b| b.iter_custom(|fields| rig.process(fields, 1).stage(stage)));
    }
    group.throughput(Throughput::Elements(1));
    group.bench_function("whole", |b| b.iter_custom(|fields| rig.process(fields, 1).whole));
    group.throughput(Throughput::Elements(STREAM));
    let in_flight = limits(&rig.config).frames_in_flight;
    group.bench_function("stream", |b| b.iter_custom(|streams| rig.process(streams * STREAM, in_flight).whole));
    group.finish();
}

criterion_group!(benches, field);
criterion_main!(benches);
