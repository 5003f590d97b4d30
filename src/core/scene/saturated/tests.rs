use super::super::testing;
use super::*;

#[test]
fn print_bright() {
    let names = std::env::var("FIELDS").unwrap_or("003918-3-0213".into());
    for name in names.split(' ') {
        testing::real(name, |mut scene, footprints, shapes| {
            println!("FIELD {name} {} objects", scene.objects.len());
            let all: Vec<usize> = (0..scene.objects.len()).collect();
            scene.start_fluxes(&all);
            scene.mark_saturated();
            let n = scene.objects.iter().filter(|o| o.alive).count();
            scene.gather_fragments(footprints, shapes);
            assert_eq!(shapes.len(), footprints.objects.len());
            println!("  fragments {}", n - scene.objects.iter().filter(|o| o.alive).count());
            for o in scene.objects.iter() {
                let m = 22.5 - 2.5 * o.flux_nmgy[2].max(1e-3).log10();
                if o.flags & flag::CORE_SATURATED != 0 {
                    println!(
                        "  SAT {:.1} {:.1} start {:.1} {:.1} r {m:.2} {} parent {:?}",
                        o.x,
                        o.y,
                        o.start.0,
                        o.start.1,
                        o.alive,
                        o.parent.map(|p| (scene.objects[p].x, scene.objects[p].y))
                    );
                } else if !o.alive {
                    println!(
                        "  part {:.1} {:.1} r {m:.2} of {:?}",
                        o.x,
                        o.y,
                        o.parent.map(|p| (scene.objects[p].x, scene.objects[p].y))
                    );
                }
            }
        });
    }
}
