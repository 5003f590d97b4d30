//! Rice decompression as FITS defines it (Pence et al. 2010, section 10.4.1 of the standard, RICE_1): the first
//! pixel plain, then blocks of differences, each with its own number of low bits.

/// Bytes of a pixel (the standard's BYTEPIX), which set how a block says its number of low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Unsigned.
    One,
    /// Signed.
    Two,
    /// Signed.
    Four,
}

impl Width {
    pub(super) fn of(bytes: i64) -> Option<Self> {
        [(1, Self::One), (2, Self::Two), (4, Self::Four)].into_iter().find(|(n, _)| *n == bytes).map(|(_, width)| width)
    }

    /// Bits that hold a block's number of low bits, plus one; that number when a block's differences are stored plain;
    /// and bits of a pixel.
    fn split(self) -> (u32, u32, u32) {
        match self {
            Self::One => (3, 6, 8),
            Self::Two => (4, 14, 16),
            Self::Four => (5, 25, 32),
        }
    }

    /// A pixel's number from its lowest bits.
    fn wrap(self, number: i32) -> i32 {
        match self {
            Self::One => i32::from(number as u8),
            Self::Two => i32::from(number as i16),
            Self::Four => number,
        }
    }
}

/// The `pixels` numbers of a stream, `block` of them under one split; `None` where the stream is damaged.
pub(super) fn decompress(stream: &[u8], pixels: usize, block: usize, width: Width) -> Option<Vec<i32>> {
    let (split_bits, plain, pixel_bits) = width.split();
    let (first, rest) = stream.split_at_checked(pixel_bits as usize / 8)?;
    let mut last = width.wrap(first.iter().fold(0, |number, &byte| number << 8 | i32::from(byte)));
    let mut bits = Bits { bytes: rest.iter(), held: 0, n: 0 };
    let mut out = Vec::with_capacity(pixels);
    while out.len() < pixels {
        let count = block.min(pixels - out.len());
        match bits.take(split_bits)? {
            0 => out.resize(out.len() + count, last), // all differences are zero
            split => {
                for _ in 0..count {
                    let coded = match split - 1 {
                        low if low == plain => bits.take(pixel_bits)?,
                        low if low < plain => {
                            let high = bits.zeros()?;
                            high.checked_shl(low)? | bits.take(low)?
                        }
                        _ => return None,
                    };
                    // Even numbers code positive differences, odd ones negative.
                    let difference = (coded >> 1) as i32 ^ -((coded & 1) as i32);
                    last = width.wrap(last.wrapping_add(difference));
                    out.push(last);
                }
            }
        }
    }
    Some(out)
}

/// A stream of bits, most significant first.
struct Bits<'a> {
    bytes: std::slice::Iter<'a, u8>,
    /// The lowest `n` bits are still to come.
    held: u64,
    n: u32,
}

impl Bits<'_> {
    /// The next `count` bits, at most 32, as a number.
    fn take(&mut self, count: u32) -> Option<u32> {
        while self.n < count {
            self.refill()?;
        }
        self.n -= count;
        let value = self.held >> self.n;
        self.held &= (1 << self.n) - 1;
        Some(value as u32)
    }

    /// How many zeros come before the next one; takes the one too.
    fn zeros(&mut self) -> Option<u32> {
        let mut count = 0u32;
        while self.held == 0 {
            count += self.n;
            self.n = 0;
            self.refill()?;
        }
        let leading = self.held.leading_zeros() - (64 - self.n);
        self.n -= leading + 1;
        self.held &= (1 << self.n) - 1;
        Some(count + leading)
    }

    fn refill(&mut self) -> Option<()> {
        self.held = self.held << 8 | u64::from(*self.bytes.next()?);
        self.n += 8;
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_by_hand() {
        // 10; then a block of four with 1 low bit: differences 0, +1, -1, +3 code as 0, 2, 1, 6,
        // that is 1|0, 01|0, 1|1, 0001|0 after the split 00010.
        let stream = [0, 0, 0, 10, 0b0001_0100, 0b1011_0001, 0b0000_0000];
        assert_eq!(decompress(&stream, 4, 32, Width::Four), Some(vec![10, 11, 10, 13]));
    }

    #[test]
    fn a_constant_needs_five_bits() {
        assert_eq!(decompress(&[0xff, 0xff, 0xff, 0xfe, 0], 3, 32, Width::Four), Some(vec![-2, -2, -2]));
    }

    #[test]
    fn a_stream_that_ends_early_is_damaged() {
        for stream in [&[][..], &[0, 0, 0], &[0, 0, 0, 10], &[0, 0, 0, 10, 0b0001_0000, 0, 0, 0]] {
            assert_eq!(decompress(stream, 40, 32, Width::Four), None, "{stream:?}");
        }
    }
}
