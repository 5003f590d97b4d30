use super::*;
use crate::clusters::{self, ClusterRule, ClusterSettings, Clustered};
use twinpeak_learn::segment::testing::{field, overlap};
use twinpeak_learn::segment::{extent_threshold, score_frame};

/// Each of the paper's nets, clustered: what is brighter than the sky is the object, whichever cluster came first.
#[test]
fn clusters_of_each_nets_hypercolumns_are_objects_and_sky() {
    let (frames, unseen) = ([field(4)], field(5));
    let sampler = TileSampler::new(&frames, [1, 2, 3]).unwrap();
    let run = Run { work_dir: None, checkpoint_steps: 1000, progress: &|_| () };
    for (variant, skip_weight) in [(Variant::Plain, 0.0), (Variant::Variational, 0.0), (Variant::BlindSpot, 1.0)] {
        let shape = Shape { skip_weight, ..Shape::default() };
        let settings = Settings { shape: shape.clone(), variant, steps: 60, batch: 8, ..Settings::default() };
        let (autoencoder, curve) = train_autoencoder(&sampler, &settings, &run).unwrap();
        assert_eq!(autoencoder.check(&shape.autoencoder()), Ok(()));
        assert!(curve.smoothed()[59] < curve.smoothed()[0], "{variant:?}: {:?}", curve.smoothed());
        for rule in [ClusterRule::KMeans, ClusterRule::Mixture] {
            let settings = ClusterSettings { rule, components: 4, pixels: 2000, seed: 1 };
            let clusters = clusters::fit(&sampler, &autoencoder, &shape, &settings).unwrap();
            let mut found = Clustered::new(&autoencoder, &shape, clusters, 4).unwrap();
            let extent = extent_threshold(&mut found, &frames, 16).unwrap();
            let scores = score_frame(&mut found, &unseen.planes, 16).unwrap().extent;
            let overlap = overlap(&scores, extent, &unseen.pseudo_labels.object);
            println!("{variant:?} {rule:?}: {overlap:.3}");
            assert!(overlap > 0.3, "{variant:?} {rule:?}: {overlap}");
        }
    }
}
