//! What an image HDU declares of its pixels, and how a pixel is written.

/// What an image HDU declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    pub width: usize,
    pub height: usize,
    /// How a pixel is written.
    pub kind: PixelKind,
}

/// The standard's six types of pixels, by BITPIX.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PixelKind {
    Byte,
    Short,
    Int,
    Long,
    Float,
    Double,
}

impl PixelKind {
    /// Of a value of BITPIX.
    pub(super) fn of(bitpix: i64) -> Option<Self> {
        Some(match bitpix {
            8 => Self::Byte,
            16 => Self::Short,
            32 => Self::Int,
            64 => Self::Long,
            -32 => Self::Float,
            -64 => Self::Double,
            _ => return None,
        })
    }

    /// Whether pixels are whole numbers.
    pub(super) fn is_whole(self) -> bool {
        !matches!(self, Self::Float | Self::Double)
    }

    /// Bytes of a pixel.
    pub(super) fn bytes(self) -> usize {
        match self {
            Self::Byte => 1,
            Self::Short => 2,
            Self::Int | Self::Float => 4,
            Self::Long | Self::Double => 8,
        }
    }
}

/// From the numbers of a file to values: BSCALE, BZERO, and of whole numbers BLANK.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Linear {
    pub scale: f64,
    pub zero: f64,
    /// The number that stands for no measurement.
    pub blank: Option<i64>,
}

impl Linear {
    /// Values are the numbers.
    pub(super) const IDENTITY: Self = Self { scale: 1.0, zero: 0.0, blank: None };

    /// Value of a number that is not whole.
    pub(super) fn real(self, number: f64) -> f32 {
        if (self.scale, self.zero) == (1.0, 0.0) { number as f32 } else { (number * self.scale + self.zero) as f32 }
    }

    /// Value of a whole number; NaN where blank. Unsigned numbers are signed ones with a large BZERO: nothing may be
    /// rounded before it is added.
    pub(super) fn whole(self, number: i64) -> f32 {
        if self.blank == Some(number) { f32::NAN } else { self.real(number as f64) }
    }
}

/// Values of big-endian pixels.
pub(super) fn values(bytes: &[u8], kind: PixelKind, linear: Linear) -> Vec<f32> {
    match kind {
        PixelKind::Byte => bytes.iter().map(|b| linear.whole(i64::from(*b))).collect(),
        PixelKind::Short => bytes.as_chunks().0.iter().map(|b| linear.whole(i16::from_be_bytes(*b).into())).collect(),
        PixelKind::Int => bytes.as_chunks().0.iter().map(|b| linear.whole(i32::from_be_bytes(*b).into())).collect(),
        PixelKind::Long => bytes.as_chunks().0.iter().map(|b| linear.whole(i64::from_be_bytes(*b))).collect(),
        PixelKind::Float if linear == Linear::IDENTITY => {
            bytes.as_chunks().0.iter().map(|b| f32::from_be_bytes(*b)).collect()
        }
        PixelKind::Float => bytes.as_chunks().0.iter().map(|b| linear.real(f32::from_be_bytes(*b).into())).collect(),
        PixelKind::Double => bytes.as_chunks().0.iter().map(|b| linear.real(f64::from_be_bytes(*b))).collect(),
    }
}
