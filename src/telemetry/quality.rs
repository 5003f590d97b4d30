//! The last processed frame's quality, by band.

use prometheus::{GaugeVec, Registry};

use super::register::{opts, register};
use twinpeak_core::outcome::BandQuality;

type Get = fn(&BandQuality) -> f64;

/// Name, description and value of each gauge.
const GAUGES: [(&str, &str, Get); 9] = [
    ("fwhm_arcsec", "Full width at half maximum of the PSF", |q| q.fwhm_arcsec),
    ("ellipticity_ratio", "Ellipticity of the PSF, 1 - b/a", |q| q.ellipticity),
    ("sky_nmgy", "Sky, nanomaggies a pixel", |q| q.sky_nmgy),
    ("sky_sigma_nmgy", "Noise of a sky pixel, nanomaggies", |q| q.sky_sigma_nmgy),
    ("depth_5sigma_mag", "Magnitude of a point source at S/N 5", |q| q.depth_5sigma_mag),
    ("psf_stars", "Stars that made the PSF", |q| q.psf_stars as f64),
    ("psf_fallback", "1 where the bundle's PSF had to serve", |q| f64::from(u8::from(q.psf_fallback))),
    ("registration_residual_px", "Scatter of stars about the registration to the reference band", |q| {
        q.registration_residual_px
    }),
    ("zero_point_offset_mag", "Median of PSF minus reference magnitude of known stars", |q| q.zero_point_offset_mag),
];

/// One gauge for each figure of [`BandQuality`].
pub(super) struct Quality(Vec<(GaugeVec, Get)>);

impl Quality {
    pub(super) fn new(registry: &Registry) -> Self {
        let made = GAUGES.map(|(name, help, get)| {
            let opts = opts(&format!("frame_{name}"), &format!("{help}; the last processed frame's"));
            (register(registry, GaugeVec::new(opts, &["band"])), get)
        });
        Self(made.into())
    }

    /// Of what the frame does not have, or could not be measured, there is no series: NaN would be an alert's business.
    pub(super) fn set(&self, band: &BandQuality) {
        for (gauge, get) in &self.0 {
            let labels = [band.band.as_str()];
            let value = Some(get(band)).filter(|value| value.is_finite() && !band.is_absent());
            match value {
                Some(value) => gauge.with_label_values(&labels).set(value),
                // It is an error that there was none.
                None => drop(gauge.remove_label_values(&labels)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus::{Encoder, TextEncoder};

    #[test]
    fn what_a_frame_does_not_have_has_no_series() {
        let registry = Registry::new();
        let quality = Quality::new(&registry);
        let exposed = || {
            let mut text = Vec::new();
            TextEncoder::new().encode(&registry.gather(), &mut text).unwrap();
            String::from_utf8(text).unwrap()
        };
        let taken = BandQuality { band: "i".into(), fwhm_arcsec: 1.2, sky_sigma_nmgy: 0.03, ..BandQuality::default() };
        quality.set(&taken);
        assert_eq!(exposed().matches("band=\"i\"").count(), GAUGES.len());
        quality.set(&BandQuality { ellipticity: f64::NAN, ..taken });
        assert_eq!(exposed().matches("band=\"i\"").count(), GAUGES.len() - 1, "it could not be measured");
        quality.set(&BandQuality::absent("i"));
        quality.set(&BandQuality::absent(""));
        assert!(!exposed().contains("band=") && !exposed().contains("NaN"), "{}", exposed());
    }
}
