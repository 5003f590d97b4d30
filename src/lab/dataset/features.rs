//! What is known of each object, column by column: what photometry, profile fits and stamps say, without its cutout.
//!
//! A shard's features are one safetensors file with a checksum, an array a column, so that all objects of 100,000 are
//! read in a second or two and take some 200 MB. A new column is a line in the table below, and one where it is filled
//! (`shard.rs`).

use std::collections::HashMap;

use half::f16;
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};

use super::Damage;
use twinpeak_core::cutout::{MODELS, Measurements};
use twinpeak_core::frame::{BANDS, PerBand};
use twinpeak_core::model::STAMP_LEN;

/// Name of the image in the file's header.
const IMAGE: &str = "image";

macro_rules! columns {
    ($($(#[$doc:meta])* $name:ident: $kind:ty,)*) => {
        /// What is known of one object.
        #[derive(Clone, Debug, PartialEq)]
        pub struct ObjectFeatures {
            $($(#[$doc])* pub $name: $kind,)*
        }

        /// What is known of many objects: the same, each a column; all columns are of one length.
        #[derive(Clone, Debug, Default, PartialEq)]
        pub struct Features {
            /// Names of the images, in the order of the shards.
            pub images: Vec<String>,
            /// Which of `images` an object is on.
            pub image: Vec<u32>,
            $($(#[$doc])* pub $name: Vec<$kind>,)*
        }

        impl Features {
            /// Appends an object of the image that came last.
            pub fn push(&mut self, object: ObjectFeatures) {
                self.image.push(self.images.len().saturating_sub(1) as u32);
                $(self.$name.push(object.$name);)*
            }

            /// Keeps the first `objects` and drops the others.
            pub fn truncate(&mut self, objects: usize) {
                self.image.truncate(objects);
                $(self.$name.truncate(objects);)*
            }

            /// These objects, in this order; one that is not there is left out.
            pub fn select(&self, objects: &[usize]) -> Self {
                let there = || objects.iter().filter(|&&i| i < self.len());
                Self {
                    images: self.images.clone(),
                    image: there().map(|&i| self.image[i]).collect(),
                    $($name: there().map(|&i| self.$name[i]).collect(),)*
                }
            }

            fn columns(&self) -> Vec<(&'static str, &dyn Column)> {
                vec![$((stringify!($name), &self.$name)),*]
            }

            fn columns_mut(&mut self) -> Vec<(&'static str, &mut dyn Column)> {
                vec![$((stringify!($name), &mut self.$name)),*]
            }
        }
    };
}

columns! {
    /// Its number on its image; it names the object there.
    number: u32,
    /// Column of its centre, where the PSF fits best: reference px. The cutout has it on index 32 of both axes.
    x: f64,
    /// Row of its centre, reference px.
    y: f64,
    /// Magnitude of the PSF flux in the reference band.
    reference_mag: f32,
    /// Half-light radius of the frame's PSF over its own: 1 for a star, less for a galaxy.
    concentration: f32,
    /// Radius that holds half of its light in the reference band, px; NaN where it could not be told.
    half_light_radius_px: f32,
    /// Flux as a point source in each band, nMgy; NaN where a band has no pixels for it.
    psf_flux: PerBand<f32>,
    /// Standard error of `psf_flux`, nMgy.
    psf_flux_err: PerBand<f32>,
    /// Noise of a pixel of sky in each band, nMgy: the unit of the cutout.
    sky_sigma: PerBand<f32>,
    /// Width of the PSF at half its height in each band, px.
    psf_fwhm_px: PerBand<f32>,
    /// Flags of measurement: bits of [`twinpeak_core::catalog::flag`].
    flags: u32,
    /// Signal to noise over the three shape bands.
    sn: f32,
    /// The classifier's input, 21x21 row by row: the PSF residual in units of noise (`cutout::Cutout::stamp`).
    stamp: [f16; STAMP_LEN],
    /// The same of a simulated point source in its place (`cutout::Cutout::control_stamp`).
    null_stamp: [f16; STAMP_LEN],
    /// chi^2 over the shape bands of the point source, then of each galaxy (`cutout::ProfileFit`); NaN without a fit.
    chi2: [f32; MODELS],
    /// Asinh colours of neighbouring bands by the best galaxy's fluxes; NaN where a band has none.
    colours: [f32; BANDS - 1],
}

impl Features {
    /// How many objects there are.
    pub fn len(&self) -> usize {
        self.number.len()
    }

    /// Whether there is no object.
    pub fn is_empty(&self) -> bool {
        self.number.is_empty()
    }

    /// What was measured of object `i` that bears on its class.
    ///
    /// # Panics
    /// Beyond the last one.
    pub fn measurements(&self, i: usize) -> Measurements {
        let (mag, sn) = (self.reference_mag[i], self.sn[i]);
        Measurements { mag, sn, chi2: self.chi2[i], colours: self.colours[i] }
    }

    /// The columns of one image's objects as bytes, little-endian.
    pub(super) fn encode(&self, image: &str) -> Vec<u8> {
        let columns = self.columns();
        let bytes: Vec<Vec<u8>> = columns.iter().map(|(_, column)| column.bytes()).collect();
        let views = columns.iter().zip(&bytes).map(|((name, column), bytes)| {
            let view = TensorView::new(column.dtype(), column.shape(), bytes);
            (*name, view.expect("a column has as many bytes as its shape says"))
        });
        let header = HashMap::from([(IMAGE.to_owned(), image.to_owned())]);
        safetensors::serialize(views, Some(header)).expect("names differ, and shapes fit")
    }

    /// Appends what [`Self::encode`] wrote.
    ///
    /// # Errors
    /// [`Damage`] where an array is missing or of another type or length.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), Damage> {
        let (_, header) = SafeTensors::read_metadata(bytes)?;
        let image = header.metadata().as_ref().and_then(|m| m.get(IMAGE)).cloned();
        let arrays = SafeTensors::deserialize(bytes)?;
        self.images.push(image.ok_or(Damage::Column { name: IMAGE })?);
        let objects = arrays.tensor("number")?.shape().first().copied().unwrap_or(0);
        for (name, column) in self.columns_mut() {
            let array = arrays.tensor(name)?;
            let fits = array.shape().first() == Some(&objects) && column.append(&array);
            if !fits {
                return Err(Damage::Column { name });
            }
        }
        self.image.resize(self.image.len() + objects, self.images.len() as u32 - 1);
        Ok(())
    }
}

/// A stamp in half precision: 11 binary digits, of residuals in units of noise.
pub(super) fn halves(stamp: &[f32; STAMP_LEN]) -> [f16; STAMP_LEN] {
    let most = f16::MAX.to_f32();
    stamp.map(|v| f16::from_f32(v.clamp(-most, most)))
}

/// A stamp in single precision, as the nets take it.
pub fn stamp(halves: &[f16; STAMP_LEN]) -> [f32; STAMP_LEN] {
    halves.map(f16::to_f32)
}

/// One value of a column: a number, or an array of numbers.
trait Value: Copy {
    const DTYPE: Dtype;
    const SHAPE: &'static [usize];
    const BYTES: usize;
    fn put(self, to: &mut Vec<u8>);
    /// The value that these bytes hold, exactly [`Self::BYTES`] of them.
    fn take(bytes: &[u8]) -> Option<Self>;
}

macro_rules! number {
    ($($kind:ty, $dtype:ident;)*) => {$(
        impl Value for $kind {
            const DTYPE: Dtype = Dtype::$dtype;
            const SHAPE: &'static [usize] = &[];
            const BYTES: usize = size_of::<$kind>();
            fn put(self, to: &mut Vec<u8>) {
                to.extend(self.to_le_bytes());
            }
            fn take(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )*};
}
number! { u32, U32; f32, F32; f64, F64; f16, F16; }

impl<T: Value, const N: usize> Value for [T; N] {
    const DTYPE: Dtype = T::DTYPE;
    const SHAPE: &'static [usize] = &[N];
    const BYTES: usize = N * T::BYTES;
    fn put(self, to: &mut Vec<u8>) {
        self.into_iter().for_each(|v| v.put(to));
    }
    fn take(bytes: &[u8]) -> Option<Self> {
        let values: Option<Vec<T>> = bytes.chunks_exact(T::BYTES).map(T::take).collect();
        values?.try_into().ok()
    }
}

/// A column, whatever its values are.
trait Column {
    fn dtype(&self) -> Dtype;
    fn shape(&self) -> Vec<usize>;
    fn bytes(&self) -> Vec<u8>;
    /// Whether the array was one of this column's.
    fn append(&mut self, array: &TensorView) -> bool;
}

impl<T: Value> Column for Vec<T> {
    fn dtype(&self) -> Dtype {
        T::DTYPE
    }

    fn shape(&self) -> Vec<usize> {
        std::iter::once(self.len()).chain(T::SHAPE.iter().copied()).collect()
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.len() * T::BYTES);
        self.iter().for_each(|v| v.put(&mut bytes));
        bytes
    }

    fn append(&mut self, array: &TensorView) -> bool {
        let fits = array.dtype() == T::DTYPE && array.shape().get(1..) == Some(T::SHAPE);
        if fits {
            self.extend(array.data().chunks_exact(T::BYTES).filter_map(T::take));
        }
        fits
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An object whose values all follow from `i`.
    pub(crate) fn object(i: u32) -> ObjectFeatures {
        let v = i as f32;
        ObjectFeatures {
            number: i + 1,
            x: f64::from(i) + 0.25,
            y: f64::from(i) / 3.0,
            reference_mag: 15.0 + v / 100.0,
            concentration: 1.0 / (1.0 + v),
            half_light_radius_px: 1.5,
            psf_flux: [v, -v, 0.5, 1e-3, f32::MAX],
            psf_flux_err: [0.1; 5],
            sky_sigma: [0.04, 0.017, 0.03, 0.052, 0.181],
            psf_fwhm_px: [3.5; 5],
            flags: i << 8,
            sn: v.sqrt(),
            stamp: halves(&std::array::from_fn(|k| (k as f32 - 220.0) * 0.01 * v)),
            null_stamp: halves(&[v; STAMP_LEN]),
            chi2: [v; MODELS],
            colours: [0.5, v, -v, f32::MIN],
        }
    }

    fn of(objects: std::ops::Range<u32>) -> Features {
        let mut features = Features { images: vec!["a".into()], ..Features::default() };
        objects.for_each(|i| features.push(object(i)));
        features
    }

    #[test]
    fn columns_come_back_and_shards_follow_each_other() {
        let mut both = Features::default();
        both.append(&of(0..3).encode("a")).unwrap();
        both.append(&of(3..5).encode("b")).unwrap();
        both.append(&of(0..0).encode("none")).unwrap();
        let mut wanted = of(0..5);
        wanted.images = vec!["a".into(), "b".into(), "none".into()];
        wanted.image = vec![0, 0, 0, 1, 1];
        assert_eq!(both, wanted);
        assert_eq!(both.columns().len(), both.columns_mut().len());
        assert!(both.columns().iter().all(|(_, c)| c.shape()[0] == 5));
        let chosen = both.select(&[4, 0, 9]);
        assert_eq!((&chosen.number[..], &chosen.image[..], &chosen.images), (&[5, 1][..], &[1, 0][..], &both.images));
        both.truncate(4);
        assert_eq!((both.len(), both.image), (4, vec![0, 0, 0, 1]));
    }

    #[test]
    fn an_array_of_another_type_or_length_is_named() {
        let numbers = 1f32.to_le_bytes();
        let view = TensorView::new(Dtype::F32, vec![1], &numbers).unwrap();
        let header = HashMap::from([(IMAGE.to_owned(), "a".to_owned())]);
        let bytes = safetensors::serialize([("number", view)], Some(header)).unwrap();
        let damage = Features::default().append(&bytes).unwrap_err();
        assert!(matches!(damage, Damage::Column { name: "number" }), "{damage}");
        assert!(Features::default().append(b"text").is_err());
    }

    #[test]
    fn a_stamp_keeps_eleven_binary_digits() {
        let values: [f32; STAMP_LEN] = std::array::from_fn(|i| (i as f32 - 200.0) * 0.0371);
        for (kept, v) in stamp(&halves(&values)).iter().zip(values) {
            assert!((kept - v).abs() <= v.abs() / 2048.0, "{kept} {v}");
        }
        assert_eq!(stamp(&halves(&[1e9; STAMP_LEN]))[0], 65504.0);
    }
}
