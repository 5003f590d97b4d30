//! segment -> extract -> classify: the part of the way that comes back to the devices.
//!
//! The batcher fills batches, one thread a device runs them, the collector puts the answers together. Nobody
//! in this cycle can wait for ever: the collector's sends always find room (its channels hold as many messages
//! as there are permits), so it always takes the next answer, so a device always gets rid of its own, so the
//! batcher always finds a free device.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, select};

use super::Device;
use super::batch::{Batch, Items, ObjectItems, Queue, Slot, Tiles};
use super::error::EngineError;
use super::failure::Failure;

use super::probe::{self, Probe};
use super::stages::{Classified, Extracted, InFlightFrame, Scored, ToClassify, ToSegment};
use twinpeak_core::frame::Plane;
use twinpeak_core::model::{ModelError, TILE, TILE_PIXELS, TILE_SCORES};
use twinpeak_core::outcome::Stage;
use twinpeak_core::preprocess::Prepared;
use twinpeak_core::scores::Scores;
use twinpeak_core::sky_tiles::SkyTiles;
use twinpeak_core::tile::Tiling;

/// What the collector hears.
pub(super) enum BatchEvent<R> {
    /// A frame's tiles are about to be handed out.
    Segmenting { frame: InFlightFrame<R>, prepared: Arc<Prepared>, tiling: Arc<Tiling>, sky: Arc<SkyTiles> },
    /// A frame's objects are about to be handed out.
    Classifying { extracted: Extracted<R>, objects: usize },
    /// A batch's answers: `width` values a slot.
    Answer { stage: Stage, slots: Vec<Slot>, values: Vec<f32>, width: usize },
}

/// Hands out batches, classification first, until no frame can come any more. From extraction each frame comes back once:
/// with its objects, or as `None` where it was refused there.
pub(super) fn batcher<R>(
    segment: Receiver<ToSegment<R>>,
    classify: Receiver<Option<ToClassify<R>>>,
    work: Sender<Batch>,
    events: Sender<BatchEvent<R>>,
    sizes: (usize, usize),
) {
    let mut waiting =
        Waiting { tiles: Queue::new(sizes.0), objects: Queue::new(sizes.1), in_cycle: 0, open: true, events };
    while waiting.take_in(&segment, &classify).is_ok() {
        if let Some(batch) = waiting.objects.take().or_else(|| waiting.tiles.take()) {
            if work.send(batch).is_err() {
                return;
            }
            continue;
        }
        if !waiting.open && waiting.in_cycle == 0 {
            return;
        }
        let never = crossbeam::channel::never();
        let segment = if waiting.open { &segment } else { &never };
        let taken = select! {
            recv(classify) -> job => job.map_err(|_| Gone).and_then(|job| waiting.classify(job)),
            recv(segment) -> job => match job {
                Ok(job) => waiting.segment(job),
                Err(_) => {
                    waiting.open = false;
                    Ok(())
                }
            },
        };
        if taken.is_err() {
            return;
        }
    }
}

/// What the batcher has taken in and not yet handed out.
struct Waiting<R> {
    tiles: Queue<Tiles>,
    objects: Queue<ObjectItems>,
    /// Frames that were given to the segmenter and have not come back with their objects.
    in_cycle: usize,
    /// Whether another frame may come.
    open: bool,
    events: Sender<BatchEvent<R>>,
}

/// The collector is gone, or the workers are: the engine is failing.
struct Gone;

impl<R> Waiting<R> {
    /// Takes in all that waits, so that a batch fills across frames.
    fn take_in(
        &mut self,
        segment: &Receiver<ToSegment<R>>,
        classify: &Receiver<Option<ToClassify<R>>>,
    ) -> Result<(), Gone> {
        loop {
            match classify.try_recv() {
                Ok(job) => {
                    self.classify(job)?;
                    continue;
                }
                Err(TryRecvError::Disconnected) => return Err(Gone),
                Err(TryRecvError::Empty) => {}
            }
            match segment.try_recv() {
                Ok(job) => self.segment(job)?,
                Err(TryRecvError::Disconnected) => {
                    self.open = false;
                    return Ok(());
                }
                Err(TryRecvError::Empty) => return Ok(()),
            }
        }
    }

    fn segment(&mut self, job: ToSegment<R>) -> Result<(), Gone> {
        self.in_cycle += 1;
        let (prepared, tiling, sky) = (Arc::new(job.prepared), Arc::new(job.tiling), Arc::new(job.sky));
        let tiles = Tiles { prepared: prepared.clone(), tiling: tiling.clone(), sky: sky.clone() };
        let sequence = job.frame.sequence;
        let begin = BatchEvent::Segmenting { frame: job.frame, prepared, tiling, sky };
        self.events.send(begin).map_err(|_| Gone)?;
        self.tiles.push(sequence, tiles);
        Ok(())
    }

    fn classify(&mut self, job: Option<ToClassify<R>>) -> Result<(), Gone> {
        self.in_cycle -= 1;
        let Some(job) = job else { return Ok(()) };
        let sequence = job.extracted.frame.sequence;
        let begin = BatchEvent::Classifying { extracted: job.extracted, objects: job.objects.count() };
        self.events.send(begin).map_err(|_| Gone)?;
        self.objects.push(sequence, job.objects);
        Ok(())
    }
}

/// Runs batches on one device, which this thread owns. A failed batch is tried once more, then the device is
/// given up, and with it the engine: falling back to another kind of device silently would be worse.
///
/// # Errors
/// [`EngineError::Device`]
pub(super) fn serve<R>(
    mut device: Device,
    work: &Receiver<Batch>,
    events: &Sender<BatchEvent<R>>,
    idle: Duration,
    probe: &dyn Probe,
) -> Result<(), EngineError> {
    loop {
        let batch = match work.recv_timeout(idle) {
            Ok(batch) => batch,
            Err(RecvTimeoutError::Timeout) => {
                probe_idle(&mut device, probe)?;
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        };
        let started = Instant::now();
        let width = if batch.stage == Stage::Segment { TILE_SCORES } else { device.classifier.answer_len() };
        let mut values = vec![0.0; batch.size * width];
        let mut once = |device: &mut Device| {
            let answer = catch_unwind(AssertUnwindSafe(|| match batch.stage {
                Stage::Segment => device.segmenter.segment(&batch.input, &mut values),
                _ => device.classifier.classify(&batch.input, &mut values),
            }));
            let lost = |message: &str| ModelError::DeviceLost { device: device.name.clone(), message: message.into() };
            answer.unwrap_or_else(|_| Err(lost("the net panicked")))?;
            // Sound input that gives no numbers: the device, not the frame, is at fault.
            let broken = !values.iter().all(|v| v.is_finite()) && batch.input.iter().all(|v| v.is_finite());
            if broken { Err(lost("it answered with no numbers")) } else { Ok(()) }
        };
        let answer = once(&mut device).or_else(|error| {
            probe.on(&probe::Event::DeviceFailed { device: &device.name, error: &error });
            once(&mut device)
        });
        if let Err(error) = answer {
            probe.on(&probe::Event::DeviceFailed { device: &device.name, error: &error });
            return Err(EngineError::Device(error));
        }
        probe.on(&probe::Event::DeviceAlive(&device.name));
        probe.on(&probe::Event::Batch {
            stage: batch.stage,
            filled: batch.slots.len(),
            of: batch.size,
            seconds: started.elapsed().as_secs_f64(),
        });
        if events.send(BatchEvent::Answer { stage: batch.stage, slots: batch.slots, values, width }).is_err() {
            return Ok(()); // the engine is ending
        }
    }
}

/// A real inference of both nets on a device that has had nothing to do, so that a dead one does not look ready.
/// As with a batch, one failure is retried.
fn probe_idle(device: &mut Device, probe: &dyn Probe) -> Result<(), EngineError> {
    let mut once = || device.segmenter.probe().and_then(|()| device.classifier.probe());
    once().or_else(|_| once()).map_err(|error| {
        probe.on(&probe::Event::DeviceFailed { device: &device.name, error: &error });
        EngineError::Device(error)
    })?;
    probe.on(&probe::Event::DeviceAlive(&device.name));
    Ok(())
}

/// A frame whose tiles are being scored.
struct Segmenting<R> {
    frame: InFlightFrame<R>,
    prepared: Arc<Prepared>,
    tiling: Arc<Tiling>,
    scores: Scores,
    sky: Arc<SkyTiles>,
    /// Scores of centres on the tiles of the sky.
    noise: Vec<Plane<f32>>,
    missing: usize,
    since: Instant,
}

impl<R> Segmenting<R> {
    /// Keeps a tile's answer.
    fn take(&mut self, index: usize, answer: &[f32]) {
        match index.checked_sub(self.tiling.len()) {
            None => self.tiling.stitch(index, answer, &mut self.scores),
            Some(index) => self.noise[index] = Plane::from_pixels(TILE, TILE, answer[..TILE_PIXELS].to_vec()),
        }
    }
}

/// A frame whose objects are being scored.
struct Classifying<R> {
    extracted: Extracted<R>,
    answers: Vec<f32>,
    missing: usize,
    since: Instant,
}

/// Puts answers together and sends each frame on with its last one. Ends when no answer can come any more, or
/// when a stage broke: then some frame would wait for ever, and closing this stage's channels ends the others.
pub(super) fn collector<R>(
    events: &Receiver<BatchEvent<R>>,
    scored: &Sender<Scored<R>>,
    classified: &Sender<Classified<R>>,
    answer_len: usize,
    failure: &Failure,
    probe: &dyn Probe,
) {
    let mut segmenting = HashMap::<u64, Segmenting<R>>::new();
    let mut classifying = HashMap::<u64, Classifying<R>>::new();
    loop {
        let event = match events.recv_timeout(Duration::from_millis(50)) {
            Ok(event) => event,
            Err(RecvTimeoutError::Timeout) if failure.is_set() => return,
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match event {
            BatchEvent::Segmenting { frame, prepared, tiling, sky } => {
                let (width, height) = (prepared.frame.width(), prepared.frame.height());
                let (scores, missing) = (Scores::filled(width, height, 0.0), tiling.len() + sky.len());
                let (noise, since) = (vec![Plane::default(); sky.len()], Instant::now());
                let frame = Segmenting { frame, prepared, tiling, scores, sky, noise, missing, since };
                segmenting.insert(frame.frame.sequence, frame);
            }
            BatchEvent::Classifying { extracted, objects } => {
                let answers = vec![0.0; objects * answer_len];
                let frame = Classifying { answers, missing: objects, since: Instant::now(), extracted };
                if objects == 0 {
                    if classified.send(finish_classifying(frame, probe)).is_err() {
                        return;
                    }
                } else {
                    classifying.insert(frame.extracted.frame.sequence, frame);
                }
            }
            BatchEvent::Answer { stage, slots, values, width } => {
                for (slot, value) in slots.iter().zip(values.chunks_exact(width)) {
                    let sent = if stage == Stage::Segment {
                        let Some(frame) = segmenting.get_mut(&slot.sequence) else { continue };
                        frame.take(slot.index, value);
                        frame.missing -= 1;
                        let done = frame.missing == 0;
                        let frame = if done { segmenting.remove(&slot.sequence) } else { None };
                        frame.is_none_or(|f| scored.send(finish_segmenting(f, probe)).is_ok())
                    } else {
                        let Some(frame) = classifying.get_mut(&slot.sequence) else { continue };
                        frame.answers[slot.index * width..(slot.index + 1) * width].copy_from_slice(value);
                        frame.missing -= 1;
                        let done = frame.missing == 0;
                        let frame = if done { classifying.remove(&slot.sequence) } else { None };
                        frame.is_none_or(|f| classified.send(finish_classifying(f, probe)).is_ok())
                    };
                    if !sent {
                        return;
                    }
                }
            }
        }
    }
}

fn finish_segmenting<R>(segmented: Segmenting<R>, probe: &dyn Probe) -> Scored<R> {
    let Segmenting { mut frame, prepared, tiling, scores, sky, noise, since, .. } = segmented;
    frame.took(Stage::Segment, since, probe);
    Scored { frame, prepared, scores, sky, noise, tiles: tiling.len() }
}

fn finish_classifying<R>(frame: Classifying<R>, probe: &dyn Probe) -> Classified<R> {
    let mut extracted = frame.extracted;
    extracted.frame.took(Stage::Classify, frame.since, probe);
    Classified { extracted, answers: frame.answers }
}
