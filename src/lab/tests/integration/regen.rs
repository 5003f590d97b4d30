use std::path::PathBuf;
use twinpeak_lab::study::{self, Plan, Records, segmentation};
#[test]
#[ignore]
fn regen() {
    let root = crate::common::root();
    let out = root.join("benches/study");
    let plan = Plan::parse(&std::fs::read_to_string(root.join("config/study.toml")).unwrap()).unwrap();
    let records = Records::open(&out.join("runs.jsonl")).unwrap();
    let segs: Records<segmentation::SegmentRecord> = Records::open(&out.join("segmentation.jsonl")).unwrap();
    let mut pictures = study::figures(&plan, records.all()).unwrap();
    pictures.extend(segmentation::figures(&plan, segs.all()).unwrap());
    for p in &pictures {
        let there = std::fs::read(out.join(&p.file)).ok();
        println!("{:?} same {:?}", p.file, there.map(|t| t == p.png));
    }
    let kept = plan
        .sky
        .iter()
        .flat_map(|sky| {
            let mut all: Vec<(String, PathBuf)> = segmentation::panel_files(sky).to_vec();
            if matches!(sky.fields, Some(segmentation::Fields::Frames { .. })) {
                all.push((
                    format!("{}: segmented, then classified (red: stars, quasars; orange: galaxies)", sky.name),
                    format!("{}-combination.png", segmentation::figure_prefix(sky)).into(),
                ));
            }
            all
        })
        .filter(|(_, f)| out.join(f).exists());
    let listed: Vec<_> = pictures
        .iter()
        .map(|p| (p.title.clone(), p.file.clone()))
        .chain(kept)
        .map(|(t, f)| (t, f.display().to_string()))
        .collect();
    let page = study::results(&plan, records.all(), &listed) + &segmentation::section(&plan, segs.all(), &listed);
    std::fs::write("/tmp/RESULTS.md", page).unwrap();
}
