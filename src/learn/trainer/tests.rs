use std::sync::atomic::{AtomicUsize, Ordering};

use rand::Rng;
use rand_distr::StandardNormal;
use tch::{Kind, TchError};

use super::*;
use twinpeak_nets::layers::Mlp;
use twinpeak_nets::parameters::Start;

fn trainer(steps: usize) -> Trainer {
    Trainer {
        net: "fit".to_owned(),
        steps,
        rate: 0.01,
        schedule: Schedule::Cosine { warm_up: 5 },
        weight_decay: 1e-4,
        gradient_max: 1.0,
        seed: 4,
        inputs: String::new(),
    }
}

fn start() -> Parameters {
    Parameters::random(&Mlp::shapes("net", &[3, 16, 1]), Start::Uniform, &mut ChaCha8Rng::seed_from_u64(1))
}

/// Learns |x| of random points; stops with an error at step `stop`.
fn fit(run: &Run, trainer: &Trainer, stop: usize) -> Result<(Parameters, Curve), LearnError> {
    run.descend(
        trainer,
        &start(),
        |tensors| Mlp::new(tensors, "net", 2),
        |net, step, rng| -> Step {
            if step == stop {
                return Err(TchError::Torch("stopped".to_owned()).into());
            }
            let x: Vec<f32> = (0..96).map(|_| rng.sample(StandardNormal)).collect();
            let x = Tensor::f_from_slice(&x)?.f_view([32, 3])?;
            let y = x.f_square()?.f_sum_dim_intlist(1, true, Kind::Float)?.f_sqrt()?;
            Ok(net.forward(&x)?.f_sub(&y)?.f_square()?.f_mean(Kind::Float)?)
        },
    )
}

#[test]
fn a_resumed_training_ends_with_the_same_bits() {
    let (dir, steps) = (tempfile::tempdir().unwrap(), AtomicUsize::new(0));
    let progress = |_: Progress| {
        steps.fetch_add(1, Ordering::Relaxed);
    };
    let run = Run { work_dir: None, checkpoint_steps: 7, progress: &progress };
    let whole = fit(&run, &trainer(60), usize::MAX).unwrap();
    assert!(whole.1.smoothed()[59] < 0.5 * whole.1.loss[0], "{:?}", whole.1.loss);
    assert_eq!(steps.swap(0, Ordering::Relaxed), 60);

    let kept = Run { work_dir: Some(dir.path()), ..run };
    assert!(fit(&kept, &trainer(60), 31).is_err());
    assert_eq!(fit(&kept, &trainer(60), usize::MAX).unwrap(), whole);
    assert_eq!(steps.load(Ordering::Relaxed), 31 + 60 - 28, "it went on from the checkpoint of step 28");

    let others = Trainer { inputs: "1".to_owned(), ..trainer(60) };
    assert!(matches!(fit(&kept, &others, usize::MAX), Err(LearnError::OfAnother { .. })));
    std::fs::write(dir.path().join("fit.checkpoint"), b"no").unwrap();
    assert!(matches!(fit(&kept, &trainer(60), usize::MAX), Err(LearnError::Damaged { .. })));
}

/// torch.optim.AdamW's first step moves every parameter by rate against its gradient's sign, after the decay.
#[test]
fn the_first_step_of_adam_is_the_rate() {
    let mut adam = Adam::new(&start()).unwrap();
    let before = adam.parameters().download().unwrap();
    let loss = adam.parameters().get("net.0.weight").unwrap().sum(Kind::Float);
    loss.backward();
    adam.step(0.01, &Trainer { weight_decay: 0.1, gradient_max: 1e9, ..trainer(1) }).unwrap();
    let after = adam.parameters().download().unwrap();
    for (a, b) in before.0["net.0.weight"].values.iter().zip(&after.0["net.0.weight"].values) {
        assert!((b - (a * (1.0 - 0.001) - 0.01)).abs() < 1e-6, "{a} {b}");
    }
    assert_eq!(before.0["net.0.bias"], after.0["net.0.bias"], "no gradient, no step");
}

/// torch.optim.lr_scheduler.OneCycleLR(max_lr=1, total_steps=100, pct_start=.2): rates of steps 0, 10, 19, 50, 99.
#[test]
fn one_cycle_goes_as_torch_does() {
    let rate = |step| Schedule::OneCycle { rise: 0.2 }.rate(1.0, step, 100);
    for (step, expected) in [(0, 0.04), (19, 1.0), (99, 4e-6)] {
        assert!((rate(step) - expected).abs() < 1e-9, "{step}: {}", rate(step));
    }
    let cosine = 0.5 + 0.5 * (std::f64::consts::PI * 31.0 / 80.0).cos();
    assert!((rate(50) - (4e-6 + (1.0 - 4e-6) * cosine)).abs() < 1e-9);
}

/// The words that checkpoints of earlier programs were fingerprinted by.
#[test]
fn a_training_is_told_as_it_always_was() {
    let told = checkpoint::told(&trainer(60));
    let words = "Descent { net: \"fit\", steps: 60, rate: 0.01, schedule: Cosine { warm_up: 5 }, weight_decay: 0.0001, \
                 gradient_max: 1.0, seed: 4, inputs: \"\" }";
    assert_eq!(told, words);
}
