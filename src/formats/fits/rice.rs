//! Rice decompression as FITS defines it (Pence et al. 2010, section 4.4.3.1 of the standard, RICE_1): the first pixel
//! plain, then blocks of differences, each with its own number of low bits.

/// The widths of a pixel that the standard knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Width {
    /// Whole numbers of 1 byte, not negative.
    One,
    /// Of 2 bytes.
    Two,
    /// Of 4 bytes.
    Four,
}

impl Width {
    /// Bits that hold a block's number of low bits, plus one.
    fn split_bits(self) -> u32 {
        match self {
            Self::One => 3,
            Self::Two => 4,
            Self::Four => 5,
        }
    }

    /// That number, when a block's differences are stored plain.
    fn plain(self) -> u32 {
        match self {
            Self::One => 6,
            Self::Two => 14,
            Self::Four => 25,
        }
    }

    fn bits(self) -> u32 {
        match self {
            Self::One => 8,
            Self::Two => 16,
            Self::Four => 32,
        }
    }

    /// The number that the lowest bits are: differences may run over.
    fn wrapped(self, number: i32) -> i32 {
        match self {
            Self::One => number & 0xff,
            Self::Two => i32::from(number as i16),
            Self::Four => number,
        }
    }
}

/// The `pixels` numbers of a stream, `block` of them under one split; `None` where the stream is damaged.
pub(super) fn decompress(stream: &[u8], pixels: usize, block: usize, width: Width) -> Option<Vec<i32>> {
    let mut bits = Bits { bytes: stream.iter(), held: 0, n: 0 };
    let mut last = width.wrapped(bits.take(width.bits())? as i32);
    let mut out = Vec::with_capacity(pixels);
    while out.len() < pixels {
        let count = block.min(pixels - out.len());
        match bits.take(width.split_bits())? {
            0 => out.resize(out.len() + count, last), // all differences are zero
            split => {
                for _ in 0..count {
                    let coded = match split - 1 {
                        plain if plain == width.plain() => bits.take(width.bits())?,
                        low if low < width.plain() => {
                            let high = bits.zeros()?;
                            high.checked_shl(low)? | bits.take(low)?
                        }
                        _ => return None,
                    };
                    // Even numbers code positive differences, odd ones negative.
                    let difference = (coded >> 1) as i32 ^ -((coded & 1) as i32);
                    last = width.wrapped(last.wrapping_add(difference));
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
