//! Pictures of the last fields, for a daemon that writes none: they are in memory, within a bound.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use twinpeak_core::causes::causes;
use twinpeak_core::frame::ImageId;
use twinpeak_core::outcome::{Finished, Outcome};
use twinpeak_engine::ports::{Event, Probe};
use twinpeak_formats::picture::Layers;

/// All pictures together; one of an SDSS frame takes 3 MB.
const MOST_BYTES: usize = 48 << 20;
const MOST_FIELDS: usize = 64;
/// After a picture that took so long, none is made for this many times as long: the frames' work comes first.
const REST: u32 = 50;

/// A [`Probe`] that keeps the last pictures.
#[derive(Default)]
pub struct ThumbnailCache {
    // A mutex: one thread makes them, another shows them.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pictures: VecDeque<(ImageId, Arc<Layers>)>,
    bytes: usize,
    rest_until: Option<Instant>,
}

impl ThumbnailCache {
    /// The picture of an image, if it is kept.
    pub fn get(&self, image: &ImageId) -> Option<Arc<Layers>> {
        self.state().pictures.iter().rev().find(|(id, _)| id == image).map(|(_, layers)| layers.clone())
    }

    fn keep(&self, image: &ImageId, layers: Layers, took: Duration) {
        let mut state = self.state();
        state.bytes += layers.bytes();
        state.pictures.push_back((image.clone(), Arc::new(layers)));
        while state.bytes > MOST_BYTES || state.pictures.len() > MOST_FIELDS {
            let Some((_, oldest)) = state.pictures.pop_front() else { break };
            state.bytes -= oldest.bytes();
        }
        state.rest_until = Some(Instant::now() + took * REST);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // No update can be left half-made by a panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Probe for ThumbnailCache {
    fn on(&self, event: &Event<'_>) {
        if let Event::Finished(finished) = *event {
            self.finished(finished);
        }
    }
}

impl ThumbnailCache {
    fn finished(&self, finished: &Finished) {
        let Outcome::Processed(products) = &finished.outcome else { return };
        let started = Instant::now();
        if self.state().rest_until.is_some_and(|until| started < until) {
            return;
        }
        match Layers::new(&products.picture, &products.segmentation, &products.catalog.rows, &products.bits) {
            Ok(layers) => self.keep(&finished.image_id, layers, started.elapsed()),
            Err(error) => {
                tracing::warn!(image_id = %finished.image_id, error = %causes(&error), "thumbnail could not be rendered")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use twinpeak_core::frame::Plane;
    use twinpeak_core::testing::{processed, rejected};

    fn layers(side: usize) -> Layers {
        let shape = [0.0f32; 3].map(|v| Plane::filled(side, side, v));
        Layers::new(&shape, &Plane::filled(side, side, 0), &[], &Plane::filled(side, side, 0)).unwrap()
    }

    #[test]
    fn the_last_pictures_are_kept_within_their_bound() {
        let kept = ThumbnailCache::default();
        let id = |k: usize| ImageId::new(&format!("f-{k}")).unwrap();
        let each = layers(1024).bytes();
        (0..20).for_each(|k| kept.keep(&id(k), layers(1024), Duration::ZERO));
        let fit = MOST_BYTES / each;
        assert!(fit < 20 && kept.state().bytes == fit * each);
        assert!(kept.get(&id(19)).is_some() && kept.get(&id(20 - fit)).is_some() && kept.get(&id(19 - fit)).is_none());
        (0..100).for_each(|k| kept.keep(&id(k), layers(1), Duration::ZERO));
        assert!(kept.state().pictures.len() == MOST_FIELDS && kept.get(&id(0)).is_none());
    }

    #[test]
    fn a_picture_is_followed_by_a_rest() {
        let kept = ThumbnailCache::default();
        kept.on(&Event::Finished(&rejected()));
        kept.on(&Event::Finished(&processed()));
        let image = processed().image_id;
        assert!(kept.get(&image).is_some() && kept.state().pictures.len() == 1);
        kept.keep(&image, layers(1), Duration::from_secs(60));
        kept.on(&Event::Finished(&processed()));
        assert_eq!(kept.state().pictures.len(), 2);
    }
}
