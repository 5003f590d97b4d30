//! What the scene knows of an object, in the units and angles in which it is published.

use crate::catalog::{MAX_NUMBER, ModelType, SourceModel};
use crate::frame::PerBand;
use crate::scene::{ModelKind, SceneFacts};

/// The published model of the row `source_id`, whose parent is of the same image, with the correction of its Kron flux.
pub(super) fn published(facts: &SceneFacts, kron_corr: &PerBand<f64>, source_id: i64) -> SourceModel {
    let (model_type, is_elliptical) = match facts.model {
        ModelKind::Point => (ModelType::PointSource, false),
        ModelKind::Exponential => (ModelType::Exponential, false),
        ModelKind::DeVaucouleurs => (ModelType::DeVaucouleurs, false),
        ModelKind::EllipticalExponential => (ModelType::Exponential, true),
        ModelKind::EllipticalDeVaucouleurs => (ModelType::DeVaucouleurs, true),
    };
    let axes = if is_elliptical { Axes::of(facts.ellipticity, facts.ellipticity_err) } else { Axes::ROUND };
    let of_extent = |value: f64| if model_type == ModelType::PointSource { f32::NAN } else { value as f32 };
    SourceModel {
        parent_id: facts.parent.map(|number| (source_id & !i64::from(MAX_NUMBER)) | i64::from(number)),
        children: facts.children as i32,
        flux: facts.model_flux.map(|f| f as f32),
        flux_err: facts.model_flux_err.map(|e| e as f32),
        model_type,
        radius: of_extent(facts.half_light_radius_px),
        radius_err: of_extent(facts.half_light_radius_err_px),
        axis_ratio: of_extent(axes.ratio),
        axis_ratio_err: of_extent(axes.ratio_err),
        theta: of_extent(axes.theta_deg),
        theta_err: of_extent(axes.theta_err_deg),
        kron_corr: kron_corr.map(|c| c as f32),
        blendedness: facts.blendedness as f32,
    }
}

/// An ellipse by its axes.
struct Axes {
    ratio: f64,
    ratio_err: f64,
    theta_deg: f64,
    theta_err_deg: f64,
}

impl Axes {
    const ROUND: Self = Self { ratio: 1.0, ratio_err: f64::NAN, theta_deg: f64::NAN, theta_err_deg: f64::NAN };
    /// No angle is less known: of angles that are all as likely, between -90 and 90 deg.
    const LARGEST_THETA_ERR_DEG: f64 = 51.961_524_227_066_32; // 180 / sqrt(12)

    /// From e = (a - b) / (a + b) as e cos(2 theta), e sin(2 theta), with errors carried to first order.
    fn of((e1, e2): (f64, f64), (e1_err, e2_err): (f64, f64)) -> Self {
        let e = e1.hypot(e2).min(1.0);
        if e == 0.0 {
            return Self { ratio_err: 2.0 * e1_err.hypot(e2_err), ..Self::ROUND };
        }
        let (along, across) = ((e1 * e1_err).hypot(e2 * e2_err) / e, (e2 * e1_err).hypot(e1 * e2_err) / e);
        Self {
            ratio: (1.0 - e) / (1.0 + e),
            ratio_err: 2.0 * along / (1.0 + e).powi(2),
            theta_deg: (0.5 * e2.atan2(e1)).to_degrees(),
            theta_err_deg: (0.5 * across / e).to_degrees().min(Self::LARGEST_THETA_ERR_DEG),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::source_id;
    use crate::frame::{BANDS, ImageId};

    fn facts(model: ModelKind) -> SceneFacts {
        SceneFacts {
            parent: Some(3),
            children: 2,
            model_flux: [1.0, 2.0, f64::NAN, 4.0, 5.0],
            model_flux_err: [0.1; BANDS],
            model,
            half_light_radius_px: 2.5,
            half_light_radius_err_px: 0.2,
            ellipticity: (0.0, 1.0 / 3.0),
            ellipticity_err: (0.01, 0.02),
            point_shared: [1.0; BANDS],
            blendedness: 0.25,
            wings_excess: None,
            flags: 0,
        }
    }

    #[test]
    fn a_parent_is_the_row_of_its_number() {
        let image = ImageId::new("003918-3-0213").unwrap();
        let of = |number| source_id("sdss", &image, number);
        assert_eq!(published(&facts(ModelKind::Point), &[1.05; BANDS], of(77)).parent_id, Some(of(3)));
    }

    #[test]
    fn an_ellipse_has_the_axes_and_angle_of_its_components() {
        let made = published(&facts(ModelKind::EllipticalDeVaucouleurs), &[1.05; BANDS], 5);
        // e = 1/3 at 45 deg: b/a = 1/2.
        assert!((made.axis_ratio - 0.5).abs() < 1e-6 && (made.theta - 45.0).abs() < 1e-4, "{made:?}");
        assert_eq!((made.model_type, made.radius, made.children), (ModelType::DeVaucouleurs, 2.5, 2));
    }

    #[test]
    fn errors_of_axes_and_angle_are_those_of_drawn_components() {
        use rand::SeedableRng;
        use rand_distr::{Distribution, StandardNormal};
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(15);
        let mut draw = || -> f64 { StandardNormal.sample(&mut random) };
        for (e1, e2) in [(0.3, 0.2), (-0.25, 0.1), (0.05, -0.4)] {
            let errors = (0.004, 0.009);
            let stated = Axes::of((e1, e2), errors);
            let drawn: Vec<Axes> =
                (0..4000).map(|_| Axes::of((e1 + errors.0 * draw(), e2 + errors.1 * draw()), errors)).collect();
            let spread = |value: fn(&Axes) -> f64| {
                let mean = drawn.iter().map(value).sum::<f64>() / drawn.len() as f64;
                (drawn.iter().map(|a| (value(a) - mean).powi(2)).sum::<f64>() / drawn.len() as f64).sqrt()
            };
            let (ratio, theta) = (spread(|a| a.ratio), spread(|a| a.theta_deg));
            assert!((stated.ratio_err / ratio - 1.0).abs() < 0.05, "{} {ratio}", stated.ratio_err);
            assert!((stated.theta_err_deg / theta - 1.0).abs() < 0.05, "{} {theta}", stated.theta_err_deg);
        }
    }

    #[test]
    fn what_a_model_does_not_have_is_not_a_number() {
        let point = published(&facts(ModelKind::Point), &[1.05; BANDS], 5);
        assert!([point.radius, point.radius_err, point.axis_ratio, point.theta].iter().all(|v| v.is_nan()));
        let round = published(&facts(ModelKind::Exponential), &[1.05; BANDS], 5);
        assert!(round.axis_ratio == 1.0 && round.theta.is_nan() && round.axis_ratio_err.is_nan());
        assert!(round.flux[2].is_nan() && round.flux[3] == 4.0);
    }
}
