//! Input of every bad kind beside a good field, through the real program: each is reported in one clear line, is
//! rejected with its reason, decides the exit code, and harms nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::common::fits::{packed, pixels, remove, set};
use crate::common::program::{Ended, command, run, start};
use crate::common::{BANDS, night, path_of, results};

/// One kind of bad input.
struct Case {
    /// What is done to a good field, in words.
    kind: &'static str,
    /// How it is done, to its files in a folder.
    spoil: fn(&Path, &str),
    /// The reason in the rejection.
    reason: &'static str,
    /// Words of the message.
    says: &'static str,
    /// The end of the name of the file at fault.
    file: &'static str,
}

/// A case, with what is done last.
fn case(
    kind: &'static str,
    reason: &'static str,
    says: &'static str,
    file: &'static str,
    spoil: fn(&Path, &str),
) -> Case {
    Case { kind, spoil, reason, says, file }
}

/// The issue's list. `{id}` in a file's name is the image's.
// Long because it is a plain list, one entry a case.
fn cases() -> Vec<Case> {
    vec![
        case("a truncated FITS", "truncated", "cut short", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| bytes.truncate(bytes.len() / 2));
        }),
        case("a FITS cut within its header", "truncated", "cut short", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| bytes.truncate(800));
        }),
        case("not a FITS", "not_fits", "is not a FITS file", "frame-g-{id}.fits", |f, id| {
            edit(f, id, "g", |bytes| *bytes = b"<html>404 not found</html>".to_vec());
        }),
        case("an empty file", "truncated", "is empty", "frame-z-{id}.fits", |f, id| edit(f, id, "z", Vec::clear)),
        case("a cut bzip2", "truncated", "bzip2 stream is cut short", "frame-i-{id}.fits.bz2", |f, id| {
            replace(f, id, "i", ".fits.bz2", |bytes| {
                let mut packed = packed(&bytes);
                packed.truncate(packed.len() / 2);
                packed
            });
        }),
        case("a bomb", "too_large", "unpacks to more than the limit", "frame-u-{id}.fits.bz2", |f, id| {
            replace(f, id, "u", ".fits.bz2", |_| packed(&vec![0; 5 << 20]));
        }),
        case("a missing band", "missing_band", "bands u, i of image", "frame-u-{id}", |f, id| {
            ["u", "i"].iter().for_each(|b| fs::remove_file(path_of(f, b, id)).unwrap());
        }),
        case(
            "bands of different fields",
            "band_mismatch",
            "band i shows 0 % of the frame",
            "frame-i-{id}.fits",
            |f, id| {
                fs::write(path_of(f, "i", id), &night()[1].bands[3]).unwrap();
            },
        ),
        case("pixels of another size", "bad_wcs", "are 0.792 arcsec wide", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| {
                ["CD1_1", "CD2_2"].iter().for_each(|key| set(bytes, key, "0.00022"));
                ["CD1_2", "CD2_1"].iter().for_each(|key| set(bytes, key, "0.0"));
            });
        }),
        case("a band of far larger pixels", "band_mismatch", "factor of 4", "frame-z-{id}.fits", |f, id| {
            edit(f, id, "z", |bytes| {
                ["CD1_1", "CD2_2"].iter().for_each(|key| set(bytes, key, "0.001"));
                ["CD1_2", "CD2_1"].iter().for_each(|key| set(bytes, key, "0.0"));
            });
        }),
        case("a band twice", "band_mismatch", "band r came twice", "frame-r-{id}.fits.bz2", |f, id| {
            let bytes = fs::read(path_of(f, "r", id)).unwrap();
            fs::write(f.join(format!("frame-r-{id}.fits.bz2")), packed(&bytes)).unwrap();
        }),
        case("all NaN", "no_signal", "band r", "frame-r-{id}.fits", |f, id| fill(f, id, "r", f32::NAN)),
        case("a constant image", "no_signal", "band u", "frame-u-{id}.fits", |f, id| fill(f, id, "u", 1.0)),
        case("an image of zeros", "no_signal", "band u", "frame-u-{id}.fits", |f, id| fill(f, id, "u", 0.0)),
        case("no WCS", "bad_wcs", "CTYPE1 is missing", "frame-g-{id}.fits", |f, id| {
            edit(f, id, "g", |bytes| ["CTYPE1", "CTYPE2", "CD1_1"].iter().for_each(|key| remove(bytes, key)));
        }),
        case("a singular WCS", "bad_wcs", "", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| {
                ["CD1_1", "CD1_2", "CD2_1", "CD2_2"].iter().for_each(|key| set(bytes, key, "0.0"))
            });
        }),
        case("a WCS of NaN", "bad_wcs", "CRVAL1", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| set(bytes, "CRVAL1", "NaN"));
        }),
        case("wrong units", "bad_units", "\"counts\"", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| set(bytes, "BUNIT", "'counts'"));
        }),
        case("wrong BITPIX", "bad_units", "BITPIX 16", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| set(bytes, "BITPIX", "16"));
        }),
        case("no BITPIX at all", "not_fits", "BITPIX", "frame-r-{id}.fits", |f, id| {
            edit(f, id, "r", |bytes| set(bytes, "BITPIX", "17"));
        }),
        case("0x0", "too_small", "0x0", "frame-u-{id}.fits", |f, id| sized(f, id, "0")),
        case("1x1", "too_small", "1x1", "frame-u-{id}.fits", |f, id| sized(f, id, "1")),
        case("a huge declared size", "truncated", "bytes of data, but", "frame-u-{id}.fits", |f, id| {
            sized(f, id, "948683298");
        }),
        case("a size past any word", "too_large", "more data than any file", "frame-u-{id}.fits", |f, id| {
            sized(f, id, "9223372036854775807");
        }),
        case("a folder in its place", "unreadable", "not a regular file", "frame-i-{id}.fits", |f, id| {
            fs::remove_file(path_of(f, "i", id)).unwrap();
            fs::create_dir(path_of(f, "i", id)).unwrap();
        }),
        case("a link to nowhere", "missing_band", "band i of image", "frame-i-{id}.fits", |f, id| {
            fs::remove_file(path_of(f, "i", id)).unwrap();
            std::os::unix::fs::symlink("/no/such/file", path_of(f, "i", id)).unwrap();
        }),
    ]
}

fn edit(folder: &Path, id: &str, band: &str, change: impl FnOnce(&mut Vec<u8>)) {
    replace(folder, id, band, ".fits", |mut bytes| {
        change(&mut bytes);
        bytes
    });
}

/// Puts another file, whose name ends otherwise, in a band's place.
fn replace(folder: &Path, id: &str, band: &str, ending: &str, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let path = path_of(folder, band, id);
    let bytes = fs::read(&path).unwrap();
    fs::remove_file(path).unwrap();
    fs::write(folder.join(format!("frame-{band}-{id}{ending}")), change(bytes)).unwrap();
}

fn sized(folder: &Path, id: &str, side: &str) {
    edit(folder, id, "u", |bytes| ["NAXIS1", "NAXIS2"].iter().for_each(|key| set(bytes, key, side)));
}

fn fill(folder: &Path, id: &str, band: &str, value: f32) {
    edit(folder, id, band, |bytes| pixels(bytes).for_each(|px| px.copy_from_slice(&value.to_be_bytes())));
}

/// The bad fields, one a case, in a folder.
fn bad_night() -> (tempfile::TempDir, Vec<(String, Case)>) {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<_> = (1..).map(|n| format!("900000-1-{n:04}")).zip(cases()).collect();
    for (id, case) in &all {
        night()[0].write_as(folder.path(), id);
        (case.spoil)(folder.path(), id);
    }
    (folder, all)
}

fn process(paths: &[&Path], out: &Path) -> Ended {
    let paths: Vec<_> = paths.iter().map(|p| p.to_str().unwrap()).collect();
    let limit = ["--set", "input.max_unpacked_bytes=4000000", "--out", out.to_str().unwrap()];
    run(&[&["process"], &paths[..], &limit].concat())
}

/// Nothing but log lines and one line a frame: no name of a file broke a line in two.
#[track_caller]
fn assert_lines(told: &str, ids: &[&str]) {
    for line in told.lines() {
        let ours = ids.iter().any(|id| line.starts_with(&format!("{id}: ")));
        assert!(ours || serde_json::from_str::<Value>(line).is_ok(), "{line:?}");
    }
}

#[test]
fn each_bad_field_is_rejected_with_its_reason_and_the_good_one_is_untouched() {
    let (bad, cases) = bad_night();
    let good = &night()[2];
    let alone = tempfile::tempdir().unwrap();
    good.write(alone.path());
    let [out_alone, out_bad, out_all, out_run] = [(); 4].map(|()| tempfile::tempdir().unwrap());
    process(&[alone.path()], out_alone.path()).assert_code(0);
    let expected = results::whole(out_alone.path());

    let ended = process(&[bad.path()], out_bad.path());
    ended.assert_code(4);
    assert!(results::whole(out_bad.path()).is_empty());
    let rejected = results::rejected(out_bad.path());
    assert_eq!(rejected.len(), cases.len());
    assert_lines(&ended.told, &cases.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>());
    for (id, case) in &cases {
        let (kind, record) = (case.kind, &rejected[id]);
        let text = |key: &str| record[key].as_str().unwrap_or_default().to_owned();
        let file = case.file.replace("{id}", id);
        assert_eq!(text("reason"), case.reason, "{kind}: {record}");
        assert!(text("message").contains(case.says), "{kind}: {record}");
        assert!(text("file").contains(&file), "{kind}: {record}");
        assert!(["ingest", "prepare"].contains(&text("stage").as_str()) && !text("advice").is_empty(), "{kind}");
        let lines: Vec<_> = ended.told.lines().filter(|l| l.contains(id.as_str())).collect();
        assert_eq!(lines.len(), 1, "{kind} is reported in one line: {lines:#?}");
        assert!(lines[0].contains(&file) && lines[0].contains(&text("message")), "{kind}: {}", lines[0]);
    }

    good.write(bad.path());
    process(&[bad.path()], out_all.path()).assert_code(3);
    results::assert_same(&results::whole(out_all.path()), &expected, "the good field among bad ones");
    assert_eq!(results::rejected(out_all.path()), rejected);

    // The daemon says the same of the same files, and has no reason to end otherwise than well.
    let paths = ["--inbox", bad.path().to_str().unwrap(), "--out", out_run.path().to_str().unwrap()];
    let keys = ["input.max_unpacked_bytes=4000000", "input.settle_s=0.01", "input.incomplete_after_s=0.02"];
    let keys: Vec<_> = keys.iter().flat_map(|key| ["--set", key]).collect();
    let ended = run(&[&["run", "--until-idle", "--http", "127.0.0.1:0"], &paths[..], &keys].concat());
    ended.assert_code(0);
    results::assert_same(&results::whole(out_run.path()), &expected, "the good field, by the daemon");
    let by_daemon = results::rejected(out_run.path());
    assert_eq!(by_daemon.len(), rejected.len());
    for (id, case) in &cases {
        assert_eq!(by_daemon[id], rejected[id], "{}", case.kind);
        let lines = ended.told.lines().filter(|l| l.contains("frame rejected") && l.contains(id.as_str())).count();
        assert_eq!(lines, 1, "{}", case.kind);
    }
}

#[test]
fn names_are_never_interpreted() {
    let (root, out) = (tempfile::tempdir().unwrap(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let (good, strange) = (root.path().join("plain"), root.path().join("a night[1:2]\n(copy) 'x' $HOME #"));
    for folder in [&good, &strange] {
        fs::create_dir(folder).unwrap();
        night()[0].write(folder);
    }
    process(&[&good], out[0].path()).assert_code(0);
    let expected = results::whole(out[0].path());
    // Named by themselves, files of other names are images of their own.
    let others = ["frame [1]\n.fits", "http:evil.fits", "!frame-r-000001-1-0001.fits", "frame-r-000001-1-0001.fits[1]"];
    let others: Vec<PathBuf> = others.iter().map(|name| strange.join(name)).collect();
    others.iter().for_each(|path| fs::write(path, &night()[0].bands[2]).unwrap());
    let paths: Vec<&Path> = others.iter().map(PathBuf::as_path).chain([strange.as_path()]).collect();
    let ended = process(&paths, out[1].path());
    ended.assert_code(3);
    results::assert_same(&results::whole(out[1].path()), &expected, "from a folder with a strange name");
    let rejected = results::rejected(out[1].path());
    let ids: Vec<_> = rejected.keys().map(String::as_str).collect();
    assert_eq!(ids.len(), others.len(), "{ids:?}");
    assert_lines(&ended.told, &[&ids[..], &[&night()[0].id]].concat());
    for (id, record) in &rejected {
        assert!(id.starts_with("unrecognised.") && record["reason"] == "not_fits", "{id}: {record}");
        assert!(others.iter().any(|path| record["file"] == path.to_str().unwrap()), "{record}");
    }
}

#[test]
fn paths_that_hold_no_frame_are_rejected_by_name() {
    let (root, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (empty, absent) = (root.path().join("empty"), root.path().join("absent"));
    fs::create_dir(&empty).unwrap();
    process(&[&empty, &absent], out.path()).assert_code(4);
    let rejected = results::rejected(out.path());
    let reasons: BTreeMap<_, _> = rejected.iter().map(|(id, r)| (id.as_str(), r["reason"].as_str().unwrap())).collect();
    let expected = BTreeMap::from([("unrecognised.absent", "unreadable"), ("unrecognised.empty", "unreadable")]);
    assert_eq!(reasons, expected);
}

/// Copies a folder's files.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for name in results::names(from) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

#[test]
fn what_a_run_stands_on_is_looked_at_first() {
    let (root, frames) = (tempfile::tempdir().unwrap(), crate::common::frames(1));
    let at = |name: &str| root.path().join(name).to_str().unwrap().to_owned();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("config");

    copy(&shipped.join("model"), Path::new(&at("flipped")));
    let weights = Path::new(&at("flipped")).join("classifier.safetensors");
    let mut bytes = fs::read(&weights).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&weights, bytes).unwrap();
    copy(&shipped.join("model"), Path::new(&at("partial")));
    fs::remove_file(Path::new(&at("partial")).join("segmenter.safetensors")).unwrap();
    copy(&shipped.join("model"), Path::new(&at("torn")));
    fs::write(Path::new(&at("torn")).join("manifest.toml"), "format = 1\nversion = \"x").unwrap();

    let survey = fs::read_to_string(shipped.join("surveys/sdss.toml")).unwrap();
    fs::write(at("other.toml"), survey.replace("name = \"sdss\"", "name = \"other\"")).unwrap();
    fs::write(at("broken.toml"), survey.replace("[saturation]", "[saturation")).unwrap();
    fs::write(at("key.toml"), "[pipeline]\nframes_in_fligth = 2\n").unwrap();
    fs::write(at("value.toml"), "[input]\nmax_pixels = -1\n").unwrap();
    fs::write(at("file"), "a file in a folder's place").unwrap();

    let ok = at("out");
    for (arguments, code, says) in [
        (["--model", &at("nowhere"), "--out", &ok], 6, "nowhere/manifest.toml"),
        (["--model", &at("flipped"), "--out", &ok], 6, "classifier.safetensors\" is damaged"),
        (["--model", &at("partial"), "--out", &ok], 6, "segmenter.safetensors"),
        (["--model", &at("torn"), "--out", &ok], 6, "torn/manifest.toml"),
        (["--survey", &at("other.toml"), "--out", &ok], 6, "is for survey sdss"),
        (["--survey", &at("broken.toml"), "--out", &ok], 5, "broken.toml"),
        (["--survey", &at("nowhere.toml"), "--out", &ok], 5, "nowhere.toml"),
        (
            ["--config", &at("key.toml"), "--out", &ok],
            5,
            "pipeline.frames_in_fligth; the nearest that exists is pipeline.frames_in_flight",
        ),
        (["--config", &at("value.toml"), "--out", &ok], 5, "input.max_pixels"),
        (["--config", &at("nowhere.toml"), "--out", &ok], 5, "nowhere.toml"),
        (["--set", "log.levl=info", "--out", &ok], 5, "the nearest that exists is log.level"),
        (["--device", "cuda:7", "--out", &ok], 7, "cuda:7 is not there"),
        (["--device", "gpu", "--out", &ok], 5, "device.choice"),
        (["--device", "cpu", "--out", &at("file")], 8, "file\""),
        (["--device", "cpu", "--out", &at("file/below")], 8, "file/below\""),
        (["--device", "cpu", "--out", "/proc/twinpeak"], 8, "/proc/twinpeak\""),
    ] {
        let ended = run(&[&["process", frames.path().to_str().unwrap()], &arguments[..]].concat());
        ended.assert_code(code);
        assert!(ended.last_words().contains(says), "{arguments:?}: {}", ended.last_words());
    }
    assert!(results::whole(Path::new(&ok)).is_empty() && results::rejected(Path::new(&ok)).is_empty());
    let told = run(&["check", &at("key.toml")]);
    told.assert_code(5);
    assert!(told.last_words().contains("key.toml") && told.last_words().ends_with("pipeline.frames_in_flight"));
}

/// A small disk of its own, or `None`, loudly, where none can be mounted.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(size: &str) -> Option<Self> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mount = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"])
            .arg(disk.0.path())
            .output();
        if mount.is_ok_and(|m| m.status.success()) {
            return Some(disk);
        }
        eprintln!("SKIPPED: a full disk cannot be tried without the right to mount one");
        None
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg(self.0.path()).output();
    }
}

#[test]
fn a_full_disk_ends_the_run_and_keeps_nothing_half_written() {
    let Some(disk) = SmallDisk::mount("320k") else { return };
    let (frames, out) = (crate::common::frames(3), disk.0.path().join("out"));
    let ended = process(&[frames.path()], &out);
    ended.assert_code(8);
    let words = ended.last_words();
    assert!(words.contains("no room left") && words.contains(&night()[1].id), "{words}");
    // What fitted before stands; of what did not, nothing.
    assert_eq!(results::whole(&out).len(), results::KINDS.len());
    assert_eq!(results::done(&out), [night()[0].id.as_str()]);
}

#[test]
fn a_limit_on_a_files_size_is_a_full_disk() {
    let (frames, out) = (crate::common::frames(1), tempfile::tempdir().unwrap());
    let paths = ["process", frames.path().to_str().unwrap(), "--out", out.path().to_str().unwrap()];
    let program = command(&paths);
    let mut limited = std::process::Command::new("bash");
    limited.args(["-c", "ulimit -f 64; exec \"$@\"", "bash"]).arg(program.get_program()).args(program.get_args());
    limited.current_dir(env!("CARGO_MANIFEST_DIR"));
    let ended = start(limited).wait();
    ended.assert_code(8);
    let words = ended.last_words();
    assert!(words.contains("no room left") && words.contains("quicklook.png"), "{words}");
    assert!(results::whole(out.path()).is_empty());
}

#[test]
fn every_band_is_looked_at() {
    // The same fault in each band in turn: no band is special.
    let (folder, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for (n, band) in BANDS.iter().enumerate() {
        let id = format!("900001-1-{:04}", n + 1);
        night()[0].write_as(folder.path(), &id);
        fill(folder.path(), &id, band, f32::NAN);
    }
    process(&[folder.path()], out.path()).assert_code(4);
    for (band, record) in BANDS.iter().zip(results::rejected(out.path()).values()) {
        let file = record["file"].as_str().unwrap();
        assert!(record["reason"] == "no_signal" && file.contains(&format!("frame-{band}-")), "{record}");
    }
}
