//! A small night through the real program: what comes out is read back by others, and is the same to the byte
//! whichever driver, and however many threads, made it.

use std::path::Path;
use std::process::Command;

use crate::common::program::{command, run, start};
use crate::common::{frames, night, python, results, simulate};

/// `process FRAMES --out OUT` with further arguments.
fn process(frames: &Path, out: &Path, further: &[&str]) -> Command {
    command(&[&["process", frames.to_str().unwrap(), "--out", out.to_str().unwrap()], further].concat())
}

/// `run --until-idle` on an inbox that is complete.
fn inbox(frames: &Path, out: &Path, further: &[&str]) -> Command {
    let paths = ["--inbox", frames.to_str().unwrap(), "--out", out.to_str().unwrap()];
    let quick = ["--http", "127.0.0.1:0", "--set", "input.settle_s=0.01", "--set", "input.poll_interval_s=0.05"];
    command(&[&["run", "--until-idle"], &paths[..], &quick, further].concat())
}

#[test]
fn a_night_is_processed_and_others_can_read_it() {
    let (frames, out) = (frames(2), tempfile::tempdir().unwrap());
    let ended = start(process(frames.path(), out.path(), &[])).wait();
    ended.assert_code(0);
    let ids: Vec<_> = night()[..2].iter().map(|f| f.id.clone()).collect();
    assert_eq!((results::done(out.path()), results::rejected(out.path()).len()), (ids.clone(), 0));
    results::whole(out.path());
    for id in &ids {
        let line = ended.told.lines().find(|l| l.starts_with(&format!("{id}: "))).expect("a line a frame");
        let record = results::record(out.path(), id);
        assert!(line.contains(&format!("{} sources, {} stars", record["rows"], record["stars"])), "{line}");
        assert!(record["rows"].as_u64() > Some(5), "{record}");
        assert_eq!((record["quality"][2]["band"].as_str(), &record["device"]), (Some("r"), &"cpu".into()));
    }
    let read = python("astropy, pyarrow", READ_BACK, &[out.path()]);
    eprintln!("read back by astropy and pyarrow: {read}");
}

/// Holds the catalogue's two forms, the masks and the record against each other and against interfaces' names.
const READ_BACK: &str = r#"
import glob, json, sys, warnings
warnings.simplefilter("error"); warnings.simplefilter("ignore", ResourceWarning)
import numpy as np, pyarrow.parquet as pq
from astropy.io import fits
from astropy.wcs import WCS

ROW = "sourceId imageId ra dec raErr decErr x y starProb starProbErr classification primary flags".split()
ROW += "modelVersion modelHash inputHash midpointMjdTai".split()
ROW += "parentId nChildren modelType blendedness".split()
ROW += [f"model{k}{e}" for k in ("Radius", "AxisRatio", "Theta") for e in ("", "Err")]
ROW += [f"{k}Flux{e}_{b}" for k in ("psf", "kron", "ap", "model") for e in ("", "Err") for b in "ugriz"]
IN_HEADER = dict(imageId="IMAGEID", modelVersion="MODELVER", modelHash="MODELSHA", inputHash="INPUTSHA")
ALIASES = dict(NUMBER="number", ALPHA_J2000="ra", DELTA_J2000="dec", ISOAREA_IMAGE="isoArea", FLAGS="flags",
               CLASS_STAR="starProb")

records = sorted(glob.glob(sys.argv[1] + "/*.done.json"))
assert records
for path in records:
    done, stem = json.load(open(path)), path[:-len(".done.json")]
    table = pq.read_table(stem + ".catalog.parquet")
    described = {d["name"]: d for d in json.loads(table.schema.metadata[b"twinpeak.columns"])}
    assert set(ROW) <= set(table.column_names), set(ROW) - set(table.column_names)
    assert list(described) == table.column_names and all(d["doc"] and d["ucd"] for d in described.values())

    with fits.open(stem + ".catalog.fits") as hdus:
        hdus.verify("exception")
        rows, columns, header = hdus["SOURCES"].data, hdus["SOURCES"].columns, hdus["SOURCES"].header
        assert len(rows) == table.num_rows == done["rows"]
        ucds = {header[f"TTYPE{i}"]: header[f"TUCD{i}"] for i in range(1, header["TFIELDS"] + 1)}
        for name, d in described.items():
            values = table[name].to_numpy(zero_copy_only=False)
            if name in IN_HEADER:
                assert set(values) == {header[IN_HEADER[name]]}, name
                continue
            # FITS knows no nanomaggy: such a column has its unit in its comment.
            unit = "" if d["unit"] == "nmgy" else d["unit"]
            assert (columns[name].unit or "", ucds[name]) == (unit, d["ucd"]), name
            null = table[name].is_null().to_numpy(zero_copy_only=False)
            found = np.array(rows[name])
            if columns[name].null is not None:
                assert ((found == columns[name].null) == null).all(), name
                found, values = found[~null], values[~null]
            elif found.dtype.kind == "U":
                assert ((found == "") == null).all(), name
                found, values = found[~null], values[~null]
            elif found.dtype.kind == "f":
                assert (np.isnan(found) == null).all(), name
            np.testing.assert_array_equal(found, values.astype(found.dtype), name)
        for alias, name in ALIASES.items():
            np.testing.assert_array_equal(rows[alias], rows[name])
        assert (rows["X_IMAGE"] == rows["x"] + 1).all() and (rows["Y_IMAGE"] == rows["y"] + 1).all()
        assert not [k for k in header if k in ("DATE", "CHECKSUM", "DATASUM")]
        for q in done["quality"]:
            b = q["band"].upper()
            assert header["FWHM_" + b] == q["fwhm_arcsec"] and header["SKY_" + b] == q["sky_nmgy"]
        assert header["MODELSHA"] == done["model"]["hash"] and header["INPUTSHA"] == done["input_hash"]
        rows = np.array(rows)

    classes = table["classification"].to_pylist()
    assert set(classes) <= {3, 6, None}
    counts = [classes.count(c) for c in (6, 3, None)]
    assert counts == [done["stars"], done["galaxies"], done["unclassified"]], counts
    for p, e, c, f in zip(*(table[n].to_pylist() for n in ("starProb", "starProbErr", "classification", "flags"))):
        assert (p is None) == (e is None) == (c is None) == bool(f & 256)
        assert p is None or (0 <= p <= 1 and e >= 0 and c == (6 if p >= .5 else 3))
    assert (rows["sourceId"] > 0).all() and len(set(rows["sourceId"])) == len(rows)
    assert (rows["sourceId"] & 0xFFFFF == rows["number"]).all()

    with fits.open(stem + ".masks.fits") as hdus:
        hdus.verify("exception")
        assert [h.name for h in hdus] == ["PRIMARY", "SEGMENTATION", "CLASS", "MASK"]
        labels, kinds, bits = (hdus[n].data for n in ("SEGMENTATION", "CLASS", "MASK"))
        assert labels.dtype.kind == "i" and labels.dtype.itemsize == 4 and labels.shape == kinds.shape == bits.shape
        numbers, areas = np.unique(labels[labels > 0], return_counts=True)
        assert (labels >= 0).all() and sorted(numbers) == sorted(rows["number"])
        area = dict(zip(numbers, areas))
        assert all(area[n] == a for n, a in zip(rows["number"], rows["isoArea"]))
        code = {0: 0} | {n: c or 1 for n, c in zip(rows["number"], classes)}
        np.testing.assert_array_equal(kinds, np.vectorize(code.get)(labels))
        planes = {k[3:]: v for k, v in hdus["MASK"].header.items() if k.startswith("MP_")}
        assert set(planes) == {"BAD", "SAT", "EDGE", "NO_DATA"} and len(set(planes.values())) == 4
        assert (bits >> (max(planes.values()) + 1) == 0).all() and (bits[0] >> planes["EDGE"] & 1).all()
        ra, dec = WCS(hdus["SEGMENTATION"].header).all_pix2world(rows["x"], rows["y"], 0)
        np.testing.assert_allclose([ra, dec], [rows["ra"], rows["dec"]], atol=1e-9, rtol=0)
    assert open(stem + ".quicklook.png", "rb").read(8) == b"\x89PNG\r\n\x1a\n"
"#;

#[test]
fn models_residuals_and_psfs_are_written_when_asked_and_only_then() {
    let (frames, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    // The small night has too few stars for a PSF, so that every row is flagged and no ratio says anything; this has some.
    let [field] = &simulate(&["--flat", "--density", "2", "--width", "600", "--height", "450"])[..] else { panic!() };
    field.write(frames.path());
    let id = &field.id;
    let more = ["residual.fits", "residual.png", "psf-u.fits", "psf-g.fits", "psf-r.fits", "psf-i.fits", "psf-z.fits"];
    let is_there = |kind: &str| out.path().join(format!("{id}.{kind}")).exists();
    start(process(frames.path(), out.path(), &["--residual", "--psf"])).wait().assert_code(0);
    assert!(more.iter().all(|kind| is_there(kind)), "{more:?}");
    let read = python("astropy, pyarrow", REQUESTED, &[out.path(), frames.path()]);
    eprintln!("read back by astropy: {read}");
    std::fs::remove_file(out.path().join(format!("{id}.done.json"))).unwrap();
    start(process(frames.path(), out.path(), &[])).wait().assert_code(0);
    assert!(!more.iter().any(|kind| is_there(kind)), "none is left over that the record does not name");
}

/// Model and residual sum up to the frame but for a smooth sky; bright stars' aperture fluxes are total by the corrections
/// that are published, and by the PSF's own file.
const REQUESTED: &str = r#"
import glob, json, sys
import numpy as np, pyarrow.parquet as pq
from astropy.io import fits
out, frames = sys.argv[1:]
(path,) = glob.glob(out + "/*.done.json")
done, stem = json.load(open(path)), path[:-len(".done.json")]
table = pq.read_table(stem + ".catalog.parquet")
corrections = json.loads(table.schema.metadata[b"twinpeak.apCorr"])
rows = {n: np.array(table[n].to_pylist(), dtype=float) for n in ("apFlux_r", "psfFlux_r", "psfFluxErr_r", "kronFlux_r", "kronCorr_r", "modelFlux_r", "flags", "blendedness", "starProb")}
with fits.open(stem + ".residual.fits") as images:
    images.verify("exception")
    for q in done["quality"]:
        band = q["band"]
        model, left = (images[f"{n}_{band.upper()}"] for n in ("MODEL", "RESIDUAL"))
        (frame,) = glob.glob(f"{frames}/*-{band}-{done['image_id']}.fits*")
        sky = fits.getdata(frame) - model.data - left.data
        smooth = np.nanstd(np.diff(sky, axis=1))
        assert smooth < .1 * q["sky_sigma_nmgy"], (band, smooth, q["sky_sigma_nmgy"])
        noise = 1.4826 * np.nanmedian(np.abs(left.data - np.nanmedian(left.data)))
        assert abs(noise / q["sky_sigma_nmgy"] - 1) < .1, (band, noise)
        with fits.open(f"{stem}.psf-{band}.fits") as file:
            head, mask = file["PSF_DATA"].header, file["PSF_DATA"].data["PSF_MASK"][0]
        y, x = np.mgrid[-15:16, -15:16]
        grid = (np.arange(20) + .5) / 20 - .5
        share = np.mean([(np.hypot(x + i, y + j) < 1.5 / .396) for i in grid for j in grid], axis=0)
        middle = mask[0] / mask[0].sum()
        # At one place in its pixel, where the correction is a mean over all.
        assert abs((share * middle).sum() * q["ap_corr"] - 1) < .02, (band, (share * middle).sum(), q["ap_corr"])
        assert corrections[band] == q["ap_corr"]
alone = (rows["psfFlux_r"] > 50 * rows["psfFluxErr_r"]) & (rows["flags"] == 0) & (rows["blendedness"] < .01) & (rows["starProb"] > .9)
assert alone.sum() >= 5
aperture = np.median((rows["apFlux_r"] * corrections["r"] / rows["psfFlux_r"])[alone])
kron = np.nanmedian((rows["kronFlux_r"] * rows["kronCorr_r"] / rows["psfFlux_r"])[alone])
model = np.nanmedian((rows["modelFlux_r"] / rows["psfFlux_r"])[alone])
print(alone.sum(), "stars; over psfFlux: aperture", aperture, "Kron", kron, "model", model)
assert max(abs(v - 1) for v in (aperture, kron, model)) < .03
"#;

#[test]
fn both_drivers_give_the_same_bytes_at_any_thread_count() {
    let frames = frames(3);
    let made = |command: fn(&Path, &Path, &[&str]) -> Command, cores: &str, further: &[&str]| {
        let out = tempfile::tempdir().unwrap();
        let mut command = command(frames.path(), out.path(), further);
        command.env("RAYON_NUM_THREADS", cores);
        start(command).wait().assert_code(0);
        results::whole(out.path())
    };
    let expected = made(process, "1", &["--set", "pipeline.device_threads=1", "--set", "pipeline.frames_in_flight=1"]);
    assert_eq!(expected.len(), 3 * results::KINDS.len());
    for (cores, device_threads, in_flight, workers) in [("3", 3, 4, 3), ("1", 3, 1, 1), ("3", 1, 4, 1), ("1", 1, 4, 2)]
    {
        let keys = [("device_threads", device_threads), ("frames_in_flight", in_flight), ("prepare_workers", workers)];
        let values = keys.map(|(key, value)| format!("pipeline.{key}={value}"));
        let further: Vec<&str> = values.iter().flat_map(|v| ["--set", v.as_str()]).collect();
        let who = format!("RAYON_NUM_THREADS={cores} {values:?}");
        results::assert_same(&made(process, cores, &further), &expected, &format!("process {who}"));
        results::assert_same(&made(inbox, cores, &further), &expected, &format!("run {who}"));
    }
}

#[test]
fn packed_files_give_what_plain_ones_give_but_for_their_hash() {
    let (plain, packed, out) =
        (frames(1), tempfile::tempdir().unwrap(), [(); 2].map(|()| tempfile::tempdir().unwrap()));
    let field = &night()[0];
    let mut names = Vec::new();
    for (band, bytes) in crate::common::BANDS.iter().zip(&field.bands) {
        let path = packed.path().join(format!("frame-{band}-{}.fits.bz2", field.id));
        std::fs::write(&path, crate::common::fits::packed(bytes)).unwrap();
        names.push(path.to_str().unwrap().to_owned());
    }
    start(process(plain.path(), out[0].path(), &[])).wait().assert_code(0);
    // Named one by one this time.
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    run(&[&["process", "--out", out[1].path().to_str().unwrap()], &names[..]].concat()).assert_code(0);
    let picture = |folder: &Path| std::fs::read(folder.join(format!("{}.quicklook.png", field.id))).unwrap();
    assert!(picture(out[0].path()) == picture(out[1].path()));
    let record = out.each_ref().map(|o| results::record(o.path(), &field.id));
    assert_eq!(record[0]["quality"], record[1]["quality"]);
    assert_ne!(record[0]["input_hash"], record[1]["input_hash"], "of the files as stored");
}

#[test]
fn an_image_is_processed_again_when_asked_and_its_set_replaced() {
    let (frames, out) = (frames(1), tempfile::tempdir().unwrap());
    start(process(frames.path(), out.path(), &["--segmenter", "threshold"])).wait().assert_code(0);
    let classical = results::whole(out.path());
    start(process(frames.path(), out.path(), &[])).wait().assert_code(0);
    let net = results::whole(out.path());
    assert!(classical.keys().eq(net.keys()) && classical != net);
    // The daemon takes a finished image for finished.
    start(inbox(frames.path(), out.path(), &["--segmenter", "threshold"])).wait().assert_code(0);
    results::assert_same(&results::whole(out.path()), &net, "run after process");
}

#[test]
fn a_signal_ends_a_night_early_with_whole_sets_only() {
    let (frames, out) = (frames(3), tempfile::tempdir().unwrap());
    // First by name, and large enough to be caught at work.
    let large = &simulate(&["--width", "1400", "--height", "1400", "--seed", "8"])[0];
    large.write_as(frames.path(), "000001-1-0001");
    let mut running = start(process(frames.path(), out.path(), &["--set", "pipeline.frames_in_flight=1"]));
    running.until_told("device selected");
    running.signal("-INT");
    let ended = running.wait();
    let done = results::done(out.path());
    results::whole(out.path());
    // On a busy machine the signal may come when all is done.
    assert!(ended.code == Some(130) && done.len() < 4 || ended.code == Some(0) && done.len() == 4, "{ended:?}");
    // Another run completes the night.
    start(process(frames.path(), out.path(), &[])).wait().assert_code(0);
    assert_eq!(results::done(out.path()).len(), 4);
    results::whole(out.path());
}
