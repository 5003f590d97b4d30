//! The fields that a data set is made of, and the law that keeps its parts apart.
//!
//! *Simulated.* Each part has a night of its own, whose seed lies in the part's own range of [`SEEDS`]: no stream of
//! random numbers serves two parts. And no PSF does: the reference band's FWHM is drawn from the simulator's lognormal
//! law until it falls into one of the part's own strata. These are cells of 2 % in FWHM, dealt in turn, of every seven
//! five to training, one to validation, one to testing, as the paper's numbers of objects are. So the parts' seeings
//! are spread alike, and yet a net is judged on PSFs that it has not met.
//!
//! *From frames.* An image belongs to one part: in order of their names, the first go to a part each, and every further
//! one to the part that is furthest behind its share.

use std::sync::Arc;

use anyhow::ensure;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal};

use crate::cli::DatasetArgs;
use crate::dataset::{Origin, Part, Parts};
use twinpeak_config::Config;
use twinpeak_config::assemble::{fields, loader};
use twinpeak_core::files::FieldFiles;
use twinpeak_core::frame::{Frame, ImageId};
use twinpeak_core::outcome::Rejection;
use twinpeak_core::survey::Survey;
use twinpeak_sim::{Counts, LAST_FIELD, Seeing, Spec, Truth, simulate};
use twinpeak_store::Loader;

/// Seeds of nights in a part's range: three of these are all that the simulator has.
const SEEDS: u64 = 330_000;
/// Width of a stratum in ln FWHM.
const STRATUM_LN: f64 = 0.02;
/// Strata are dealt in turns of so many.
const TURN: i64 = 7;

/// Where a data set's fields come from.
pub(crate) enum FieldSource {
    /// Fields that the simulator draws.
    Simulated {
        /// Seed of each part's night.
        nights: Parts<u64>,
        /// All of a field but its night, number and seeing.
        field: Box<Spec>,
        /// Survey whose sky and camera are simulated.
        survey: Arc<Survey>,
    },
    /// Frames that lie on disk.
    Frames {
        /// The images of each part, in order.
        images: Parts<Vec<Image>>,
        /// Reads an image's files into a frame.
        loader: Loader,
    },
}

/// An image on disk, or why it cannot be used.
type Image = (ImageId, Result<FieldFiles, Box<Rejection>>);

/// One field, simulated or read.
pub(crate) struct Field {
    /// Its pixels in all bands, as ingest gives them.
    pub frame: Frame,
    /// What is in it, of a simulated one.
    pub truth: Option<Truth>,
}

impl FieldSource {
    /// As the arguments say.
    ///
    /// # Errors
    /// A seed beyond a part's range, too few images.
    pub(super) fn new(args: &DatasetArgs, config: &Config, survey: &Arc<Survey>) -> anyhow::Result<Self> {
        if args.simulate {
            let counts = if args.flat { Counts::Flat } else { Counts::Physical };
            let field = Spec { width: args.width, height: args.height, counts, ..Spec::of(survey) };
            return Self::simulated(args.seed, field, survey);
        }
        let images = deal(fields(config, survey, &args.frames, &[]).collect(), &objects(args));
        for part in Part::ALL.into_iter().filter(|part| *objects(args).get(*part) > 0) {
            let name = part.name();
            ensure!(
                !images.get(part).is_empty(),
                "part {name} needs an image: give more frames, or --{name} 0 to do without"
            );
        }
        Ok(Self::Frames { images, loader: loader(config, survey) })
    }

    /// The simulator's, of fields like this one.
    ///
    /// # Errors
    /// A seed beyond a part's range.
    pub(crate) fn simulated(seed: u64, field: Spec, survey: &Arc<Survey>) -> anyhow::Result<Self> {
        ensure!(seed < SEEDS, "the seed is {seed}: it must be below {SEEDS}");
        Ok(Self::Simulated { nights: nights(seed), field: Box::new(field), survey: survey.clone() })
    }

    /// As the plan names it.
    pub(super) fn origin(&self) -> Origin {
        match self {
            Self::Simulated { nights, field, .. } => Origin::Simulated {
                nights: nights.clone(),
                width: field.width,
                height: field.height,
                flat: field.counts == Counts::Flat,
            },
            Self::Frames { images, .. } => Origin::Frames {
                images: Parts::of(|part| images.get(part).iter().map(|(id, _)| id.to_string()).collect()),
            },
        }
    }

    /// Whether as many fields can be had as it takes.
    pub(super) fn is_endless(&self) -> bool {
        matches!(self, Self::Simulated { .. })
    }

    /// Whether it is known what is in a field.
    pub(super) fn has_truth(&self) -> bool {
        matches!(self, Self::Simulated { .. })
    }

    /// How many fields a part can have.
    pub(super) fn fields(&self, part: Part) -> usize {
        match self {
            Self::Simulated { .. } => LAST_FIELD as usize,
            Self::Frames { images, .. } => images.get(part).len(),
        }
    }

    /// A part's field `number`, from 0; `None`, told, where it cannot be used.
    ///
    /// # Errors
    /// The simulator's.
    pub(crate) fn field(&self, part: Part, number: usize) -> anyhow::Result<Option<Field>> {
        match self {
            Self::Simulated { nights, field, survey } => {
                let spec = Spec { seed: *nights.get(part), field: number as u32 + 1, ..(**field).clone() };
                let made = simulate(&Spec { seeing: seeing(&spec, part), ..spec }, survey)?;
                Ok(Some(Field { frame: made.frame, truth: Some(made.truth) }))
            }
            Self::Frames { images, loader } => {
                let (image, files) = &images.get(part)[number];
                let frame = files.as_ref().map_err(|r| (**r).clone()).and_then(|files| loader(image, files));
                let told = |rejection: &Rejection| eprintln!("{image}: passed over: {rejection}");
                Ok(frame.inspect_err(told).ok().map(|frame| Field { frame, truth: None }))
            }
        }
    }
}

/// Objects wanted in each part.
pub(super) fn objects(args: &DatasetArgs) -> Parts<usize> {
    Parts { train: args.train, validate: args.validate, test: args.test }
}

/// The seed of each part's night.
fn nights(seed: u64) -> Parts<u64> {
    let mut from = (0..).step_by(SEEDS as usize);
    Parts::of(|_| from.next().unwrap_or_default() + seed)
}

/// The part to which PSFs of this FWHM belong.
fn stratum(fwhm_arcsec: f64) -> Part {
    match ((fwhm_arcsec.ln() / STRATUM_LN).floor() as i64).rem_euclid(TURN) {
        5 => Part::Validate,
        6 => Part::Test,
        _ => Part::Train,
    }
}

/// The seeing of a field: drawn from the simulator's law by the field's own stream, within the part's strata.
fn seeing(spec: &Spec, part: Part) -> Seeing {
    let usual = &spec.seeing;
    let law = LogNormal::new(usual.median_fwhm_arcsec.ln(), usual.sigma_ln).expect("the default scatter is sound");
    let mut random = ChaCha8Rng::seed_from_u64(spec.seed);
    random.set_stream(u64::from(spec.field));
    let own = law.sample_iter(&mut random).find(|fwhm| stratum(*fwhm) == part);
    Seeing { median_fwhm_arcsec: own.unwrap_or(usual.median_fwhm_arcsec), sigma_ln: 0.0, ..usual.clone() }
}

/// Deals images, in their order, to the part that is furthest behind its share; one without any comes first.
fn deal<T>(images: Vec<T>, shares: &Parts<usize>) -> Parts<Vec<T>> {
    let share = |part: Part| *shares.get(part) as f64;
    let all: f64 = Part::ALL.into_iter().map(share).sum();
    let mut dealt: Parts<Vec<T>> = Parts::of(|_| Vec::new());
    for (i, image) in images.into_iter().enumerate() {
        let behind = |part: Part| match dealt.get(part).len() {
            0 if share(part) > 0.0 => f64::INFINITY,
            has => (i + 1) as f64 * share(part) / all - has as f64,
        };
        let most = |a: &Part, b: &Part| behind(*a).total_cmp(&behind(*b)).then(b.cmp(a));
        let part = Part::ALL.into_iter().max_by(most).unwrap_or(Part::Train);
        dealt.get_mut(part).push(image);
    }
    dealt
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use twinpeak_sim::LAST_SEED;

    #[test]
    fn no_seed_and_no_psf_is_in_two_parts() {
        let spec = |part: Part, seed, field| Spec { seed: *nights(seed).get(part), field, ..Spec::default() };
        let fwhm = |part| -> Vec<f64> {
            let fields = (1..=400).map(|field| spec(part, 3, field));
            fields.map(|spec| seeing(&spec, part).median_fwhm_arcsec).collect()
        };
        let parts: Parts<Vec<f64>> = Parts::of(fwhm);
        let cells = |part| -> BTreeSet<i64> {
            parts.get(part).iter().map(|fwhm| (fwhm.ln() / STRATUM_LN).floor() as i64).collect()
        };
        for (a, b) in [(Part::Train, Part::Validate), (Part::Train, Part::Test), (Part::Validate, Part::Test)] {
            assert!(cells(a).is_disjoint(&cells(b)));
            let seeds = |part: Part| *nights(0).get(part)..=*nights(SEEDS - 1).get(part);
            assert!(seeds(a).end() < seeds(b).start() && *seeds(b).end() <= LAST_SEED);
        }
        // Spread alike: medians within 3 standard errors (1.25 x .15 / 20) of the law's.
        for part in Part::ALL {
            let mut all = parts.get(part).clone();
            all.sort_by(f64::total_cmp);
            assert!((all[200] / 1.32).ln().abs() < 0.03, "{part:?}: {}", all[200]);
        }
        assert_eq!(seeing(&spec(Part::Test, 3, 9), Part::Test), seeing(&spec(Part::Test, 3, 9), Part::Test));
        assert!((0..9).all(|seed| nights(seed).train != nights(seed + 1).train));
    }

    #[test]
    fn images_are_dealt_by_share() {
        let shares = Parts { train: 100_000, validate: 20_000, test: 20_000 };
        let dealt = deal((0..14).collect(), &shares);
        assert_eq!((dealt.train.len(), dealt.validate.len(), dealt.test.len()), (10, 2, 2));
        let few = deal((0..3).collect(), &shares);
        assert_eq!((few.train.len(), few.validate.len(), few.test.len()), (1, 1, 1));
        let only = deal((0..4).collect(), &Parts { train: 10, validate: 0, test: 0 });
        assert_eq!(only.train, [0, 1, 2, 3]);
        let mut all = [dealt.train, dealt.validate, dealt.test].concat();
        all.sort();
        assert_eq!(all, (0..14).collect::<Vec<_>>());
    }
}
