//! `twinpeak run` on a stream: messages of a broker name the frames, records of topics hold the results.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use super::serve::{ShutdownHooks, Watching, serve};
use twinpeak_config::Config;
use twinpeak_config::assemble::{assemble, ended, fits_reader, limits};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::causes::causes;
use twinpeak_core::survey::Survey;
use twinpeak_engine::flow::Stop;
use twinpeak_engine::{EngineError, Limits};
use twinpeak_formats::avro::{AvroEncoder, Framing, Schemas};
use twinpeak_stream::intake::MessageReader;
use twinpeak_stream::kafka::{Parts, Software, Stream};
use twinpeak_stream::object_store::ObjectStore;
use twinpeak_stream::outflow::RecordWriter;
use twinpeak_stream::registry::{self, Credentials};
use twinpeak_telemetry::health::Check;

/// How long a schema registry may take to answer.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(10);

/// Runs it.
///
/// # Errors
/// What made the daemon impossible or ended it.
pub fn run(config: &Config, until_idle: bool) -> anyhow::Result<Exit> {
    let hooks = ShutdownHooks::watch(config)?;
    let assembly = assemble(config)?;
    let models = &assembly.models;
    let watching = Watching::new(&assembly, config);
    let survey = models.survey.clone();
    let max_file_bytes = config.input.max_file_bytes.get() as u64;
    let remote = Arc::new(ObjectStore::new(&config.remote, max_file_bytes).context(Fault::Config)?);
    config.kafka.check().context(Fault::Config)?;
    let framing = framing(config, &survey, &hooks.stop)?;
    let wire = AvroEncoder::new(&survey, framing).context(Fault::Config)?;
    let identity = &models.identity;
    let (mut source, mut sink, stream) = Stream::start(Parts {
        settings: config.kafka.clone(),
        survey: survey.profile().name.clone(),
        intake: Box::new(MessageReader::new(&config.kafka, survey, remote.clone(), fits_reader(config))),
        outflow: Arc::new(RecordWriter::new(
            wire,
            remote,
            config.kafka.inline_mask_bytes,
            !config.remote.objects.is_empty(),
        )),
        software: Software {
            version: env!("CARGO_PKG_VERSION").into(),
            model_version: identity.version.clone(),
            model_hash: identity.hash.clone(),
        },
        probe: watching.probes.clone(),
        ahead: config.pipeline.frames_in_flight.get(),
    })
    .context(Fault::Broker)?;
    hooks.first(stream.reset_attempts());
    let status = stream.status();
    let kafka = Check::new("kafka", move || status.ready());
    let server = watching.serve(config, vec![kafka], &config.kafka.state_dir)?;
    if until_idle {
        source = source.until_idle();
    }
    tracing::info!(
        brokers = config.kafka.bootstrap_servers, group = config.kafka.group, http = %server.address(),
        model = identity.version, "ready"
    );
    // What is away comes back: a store or a disk is waited for, while readiness and metrics report it.
    let limits = Limits { port_retries: u32::MAX, ..limits(config) };
    let result = serve(config, assembly, &mut source, &mut sink, &limits, &hooks, &watching)?;
    drop((source, sink));
    let left = stream.finish();
    if let (Err(EngineError::Source(_) | EngineError::Sink(_)) | Ok(_), Err(error)) = (&result, left) {
        return Err(anyhow::Error::new(error).context(Fault::Broker));
    }
    let summary = ended(result, &config.output.dir)?;
    tracing::info!(processed = summary.processed, rejected = summary.rejected, "done");
    Ok(Exit::Done)
}

/// How messages begin: as the registry says, which is waited for, or by the schemas' fingerprints.
fn framing(config: &Config, survey: &Survey, stop: &Stop) -> anyhow::Result<Framing> {
    let url = &config.kafka.schema_registry;
    if url.is_empty() {
        return Ok(Framing::SingleObject);
    }
    let url = url.parse().context("kafka.schema_registry is no URL").context(Fault::Config)?;
    let registry = registry::Registry { url, credentials: Credentials::None, timeout: REGISTRY_TIMEOUT };
    let schemas = Schemas::new(survey).context(Fault::Config)?;
    loop {
        match registry::register(&registry, &schemas, &config.kafka.topic_prefix, survey) {
            Err(error) if error.retryable() && !stop.requested() => {
                tracing::warn!(error = %causes(&error), "schema registry not available, retrying");
                std::thread::sleep(Duration::from_secs(2));
            }
            Err(error) if error.retryable() => bail!(error),
            done => return done.context(Fault::Broker),
        }
    }
}
