//! `twinpeak-lab dataset`: objects of simulated fields, or of frames on disk, cut and measured once for all trainings. An
//! image is a shard; images are worked on a few at a time and written in order, each whole or not at all, so that an
//! interrupted run goes on where it stopped and ends with the same bits.

pub mod baselines;
pub(super) mod field_source;
mod finder;
mod sextractor;
pub mod truth;

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail, ensure};
use field_source::{Field, FieldSource};
use finder::Finder;
use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use truth::Known;

use crate::cli::DatasetArgs;
use crate::dataset::{self, Entry, FORMAT, MANIFEST, Manifest, Part, Parts, Plan, Shard, shard_name};
use twinpeak_config::exit::{Exit, Fault};
use twinpeak_core::survey::Survey;
use twinpeak_store::write_file;

/// File in which a data set's folder keeps its plan.
const PLAN: &str = "plan.toml";
/// Cores that one field keeps busy: more at a time would only take memory (some 500 MB a full field).
const CORES_A_FIELD: usize = 2;

/// Runs it.
///
/// # Errors
/// A configuration, model or survey that cannot be used; a folder of another data set or one that cannot be written; a
/// damaged shard; too few objects.
pub fn run(args: &DatasetArgs) -> anyhow::Result<Exit> {
    let config = args.config.load()?;
    if [args.train, args.validate, args.test] == [0; 3] {
        return Err(
            anyhow!("--train, --validate and --test are all 0: nothing would be in the set").context(Fault::Config)
        );
    }
    let survey = Arc::new(twinpeak_config::assemble::survey(&config)?);
    let source = FieldSource::new(args, &config, &survey)?;
    let workers = rayon::current_num_threads().div_ceil(CORES_A_FIELD);
    let (found_by, finders) = finder::finders(&config, &survey, workers)?;
    let profile = survey.profile();
    let plan = Plan {
        format: FORMAT,
        software_version: env!("CARGO_PKG_VERSION").to_owned(),
        survey: profile.name.clone(),
        bands: profile.bands.planes.clone(),
        objects: field_source::objects(args),
        found_by,
        origin: source.origin(),
    };
    let folders = Folders::new(&args.out)?;
    folders.begin(&plan)?;
    let bar = Bar::new(&plan.objects);
    let mut maker = Maker { survey: &survey, source, finders, folders: &folders, bar: &bar };
    let mut shards = Parts::default();
    for part in Part::ALL {
        *shards.get_mut(part) = maker.make(part, *plan.objects.get(part))?;
    }
    bar.0.finish_and_clear();
    let standards = dataset::standards(&folders.set, &shards.train, &survey)?;
    let manifest = Manifest { plan, standards, shards };
    write(&folders.set, MANIFEST, toml::to_string(&manifest)?.as_bytes())?;
    let objects = Parts::of(|part| manifest.shards.get(part).iter().map(|e| e.objects).sum::<usize>());
    println!(
        "{}: {} objects to train on, {} to validate, {} to test",
        folders.set.display(),
        objects.train,
        objects.validate,
        objects.test
    );
    if args.baselines {
        baselines::make(&folders.set, &manifest.shards.test, &survey, &maker.source, &mut maker.finders)?;
    }
    Ok(Exit::Done)
}

/// Makes the shards of a data set, several fields at a time.
struct Maker<'a> {
    survey: &'a Survey,
    source: FieldSource,
    finders: Vec<Finder>,
    folders: &'a Folders,
    bar: &'a Bar,
}

/// What has become of a field.
enum Made {
    /// Its shard was there already.
    Kept(Entry),
    /// It is here, to be written, with what is true of its objects.
    New(Box<Shard>, Option<Vec<Option<Known>>>),
    /// It was told, and is passed over.
    Unusable,
}

impl Maker<'_> {
    /// Makes a part of `wanted` objects, the last shard cut to the number; fewer where frames come to an end.
    fn make(&mut self, part: Part, wanted: usize) -> anyhow::Result<Vec<Entry>> {
        let (mut entries, mut objects, mut next) = (Vec::new(), 0, 0);
        while objects < wanted && next < self.source.fields(part) {
            let together: Vec<usize> = (next..self.source.fields(part)).take(self.finders.len()).collect();
            next += together.len();
            let (survey, source, folders) = (self.survey, &self.source, self.folders);
            let made: Vec<Made> = together
                .par_iter()
                .zip(&mut self.finders)
                .map(|(&number, finder)| field(survey, source, folders, finder, (part, number)))
                .collect::<anyhow::Result<_>>()?;
            for (number, made) in together.into_iter().zip(made) {
                // What was made beyond the last one that is wanted is dropped.
                let entry = match made {
                    _ if objects >= wanted => break,
                    Made::Unusable => continue,
                    Made::Kept(entry) => entry,
                    Made::New(shard, known) => self.folders.write(part, number, shard, known, wanted - objects)?,
                };
                objects += entry.objects;
                self.bar.advance(part, &entry);
                entries.push(entry);
            }
        }
        let name = part.name();
        ensure!(objects > 0 || wanted == 0, "part {name} has no object: give more frames, or ask for 0 objects of it");
        ensure!(
            objects >= wanted || !self.source.is_endless(),
            "part {name}: all fields of a night have {objects} objects; ask for at most so many, or for larger fields"
        );
        Ok(entries)
    }
}

/// One field, from its pixels to its shard.
fn field(
    survey: &Survey,
    source: &FieldSource,
    folders: &Folders,
    finder: &mut Finder,
    (part, number): (Part, usize),
) -> anyhow::Result<Made> {
    if let Some(entry) = folders.kept(part, number, source.has_truth())? {
        return Ok(Made::Kept(entry));
    }
    let Some(Field { frame, truth }) = source.field(part, number)? else { return Ok(Made::Unusable) };
    let image = frame.id.clone();
    let prepared = match finder.prepare(frame, survey) {
        Ok(prepared) => prepared,
        Err(error) => {
            eprintln!("{image}: passed over: {error}");
            return Ok(Made::Unusable);
        }
    };
    let shard = Shard::take(&finder.find(&prepared, survey)?, &image);
    let known = truth.map(|truth| truth::of(&shard.features, &truth, survey));
    Ok(Made::New(Box::new(shard), known))
}

/// Where a data set lies, and what is true of it.
struct Folders {
    set: PathBuf,
    truth: PathBuf,
}

impl Folders {
    fn new(out: &Path) -> anyhow::Result<Self> {
        Ok(Self { set: out.to_owned(), truth: truth::folder(out)? })
    }

    /// Makes the folder, or goes on in one with the same plan.
    fn begin(&self, plan: &Plan) -> anyhow::Result<()> {
        for part in Part::ALL {
            make_folder(&self.set.join(part.name()))?;
        }
        let path = self.set.join(PLAN);
        if !path.exists() {
            return write(&self.set, PLAN, toml::to_string(plan)?.as_bytes());
        }
        let named = || path.display().to_string();
        let begun: Plan = toml::from_str(&fs::read_to_string(&path).with_context(named)?).with_context(named)?;
        if begun != *plan {
            bail!(
                "{} was begun with other arguments, frames, model, survey or version: repeat them, or take another folder",
                self.set.display()
            );
        }
        Ok(())
    }

    /// A shard of an earlier run, where it and what is true of it are whole.
    fn kept(&self, part: Part, number: usize, has_truth: bool) -> anyhow::Result<Option<Entry>> {
        let shard = shard_name(number);
        if has_truth && !truth::file(&self.truth, part, &shard).exists() {
            return Ok(None);
        }
        Ok(Entry::inspect(&self.set.join(part.name()), shard)?)
    }

    /// Writes at most `most` objects; the features last, since with them the shard counts as whole.
    fn write(
        &self,
        part: Part,
        number: usize,
        mut shard: Box<Shard>,
        known: Option<Vec<Option<Known>>>,
        most: usize,
    ) -> anyhow::Result<Entry> {
        shard.truncate(most);
        let name = shard_name(number);
        if let Some(known) = known {
            let folder = self.truth.join(part.name());
            make_folder(&folder)?;
            write(&folder, &truth::file_name(&name), truth::to_csv(&shard.features, &known).as_bytes())?;
        }
        let folder = self.set.join(part.name());
        let encoded = shard.encode(name.clone());
        write(&folder, &format!("{name}.cutouts"), &encoded.cutouts)?;
        write(&folder, &format!("{name}.features"), &encoded.features)?;
        Ok(encoded.entry)
    }
}

fn make_folder(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display())).context(Fault::Output)
}

fn write(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    write_file(folder, name, bytes).context(Fault::Output)
}

/// Progress: a bar on a terminal, a line a shard otherwise.
struct Bar(ProgressBar);

impl Bar {
    fn new(objects: &Parts<usize>) -> Self {
        let all = Part::ALL.iter().map(|part| *objects.get(*part) as u64).sum();
        let style = ProgressStyle::with_template("{msg:24} {bar:40} {pos}/{len} objects, {eta} left");
        let bar = if std::io::stderr().is_terminal() { ProgressBar::new(all) } else { ProgressBar::hidden() };
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    fn advance(&self, part: Part, entry: &Entry) {
        if self.0.is_hidden() {
            println!("{} {}: {} objects of {}", part.name(), entry.shard, entry.objects, entry.image);
        }
        self.0.set_message(format!("{} {}", part.name(), entry.image));
        self.0.inc(entry.objects as u64);
    }
}
