use super::*;
use twinpeak_core::testing::sdss;

fn of_sdss(paths: &[PathBuf]) -> Fields {
    let headers: HeaderReader = Arc::new(|_| unreachable!("names say it"));
    Fields::new(paths, &[], Arc::new(sdss()), &headers)
}

/// A loader that reads nothing and says which files it was given.
fn list(paths: &[PathBuf]) -> Vec<(String, Rejection)> {
    let loader: Loader = Arc::new(|_, files| {
        let message = files
            .iter()
            .flatten()
            .map(|f| f.image.file.file_name().unwrap().to_str().unwrap())
            .collect::<Vec<_>>()
            .join(" ");
        Err(Rejection { reason: Reason::Internal, stage: Stage::Prepare, file: None, message, advice: String::new() })
    });
    let mut source = FileList::new(of_sdss(paths), loader);
    let mut all = Vec::new();
    while let Some(arrival) = source.next(&Stop::default()).unwrap() {
        all.push((arrival.image_id.to_string(), (arrival.load)().err().unwrap()));
    }
    all
}

fn touch(folder: &Path, names: &[&str]) -> Vec<PathBuf> {
    names.iter().map(|n| folder.join(n)).inspect(|p| fs::write(p, "").unwrap()).collect()
}

#[test]
fn files_of_a_folder_become_images_in_order() {
    let dir = tempfile::tempdir().unwrap();
    for image in ["000002-1-0001", "000001-1-0001"] {
        for band in ["z", "i", "r", "g", "u"] {
            touch(dir.path(), &[&format!("frame-{band}-{image}.fits")]);
        }
    }
    let files = touch(dir.path(), &["README", "frame-q-000001-1-0001.fits"]);
    assert_eq!(of_sdss(&[dir.path().to_owned()]).passed_over(), 2);
    let all = list(&[dir.path().to_owned(), dir.path().join("frame-u-000001-1-0001.fits")]);
    let names: Vec<_> = all.iter().map(|(id, r)| (id.as_str(), r.message.as_str())).collect();
    let bands = |image| ["u", "g", "r", "i", "z"].map(|b| format!("frame-{b}-{image}.fits")).join(" ");
    let (first, second) = (bands("000001-1-0001"), bands("000002-1-0001"));
    assert_eq!(names, [("000001-1-0001", first.as_str()), ("000002-1-0001", second.as_str())]);
    let named = list(&files);
    assert_eq!(named.len(), 1, "named by itself the strange file is rejected");
    let notes = of_sdss(&files).notes();
    assert_eq!(notes, ["passed over: files of band \"q\" (1), for survey sdss chooses u g r i z"]);
}

#[test]
fn a_file_named_twice_is_one_and_links_of_other_names_are_other_images() {
    let dir = tempfile::tempdir().unwrap();
    let name = |band: &str, image: &str| dir.path().join(format!("frame-{band}-00000{image}-1-0001.fits"));
    for band in ["u", "g", "r", "i", "z"] {
        fs::write(name(band, "1"), "").unwrap();
        std::os::unix::fs::symlink(name(band, "1"), name(band, "2")).unwrap();
    }
    let again = dir.path().join("./frame-u-000001-1-0001.fits");
    let all = list(&[dir.path().to_owned(), again]);
    let read: Vec<_> = all.iter().map(|(id, r)| (id.as_str(), r.reason)).collect();
    assert_eq!(read, [("000001-1-0001", Reason::Internal), ("000002-1-0001", Reason::Internal)]);
}

#[test]
fn what_cannot_be_used_is_rejected_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let one = |name: &str| touch(dir.path(), &[name]);
    let (missing, folder) = (dir.path().join("nowhere"), dir.path().join("empty"));
    fs::create_dir(&folder).unwrap();
    for (paths, id, reason, says) in [
        (one("a [1]\n.fits"), "unrecognised.a_x20_x5B1_x5D_x0A.fits", Reason::NotFits, "name"),
        (vec![missing], "unrecognised.nowhere", Reason::Unreadable, "no such file"),
        (vec![folder], "unrecognised.empty", Reason::Unreadable, "no file of the survey"),
        (one("frame-u-000001-1-0001.fits"), "000001-1-0001", Reason::MissingBand, "bands g, r, i, z"),
        (
            [one("frame-u-000001-1-0001.fits"), one("frame-u-000001-1-0001.fits.gz")].concat(),
            "000001-1-0001",
            Reason::BandMismatch,
            "band u came twice",
        ),
    ] {
        let all = list(&paths);
        assert_eq!((all.len(), all[0].0.as_str(), all[0].1.reason), (1, id, reason));
        assert!(all[0].1.message.contains(says) && all[0].1.file.is_some(), "{}", all[0].1);
    }
}

#[test]
fn rejected_names_are_distinct() {
    let dir = tempfile::tempdir().unwrap();
    let all = list(&touch(dir.path(), &["a b", "a_b", &"ä".repeat(120)]));
    let names: BTreeSet<_> = all.iter().map(|(id, _)| id.as_str()).collect();
    assert_eq!(names.len(), 3);
    assert!(names.contains("unrecognised.a_b") && names.contains("unrecognised.a_x20b"));
}
