//! What goes through the two pipes between a [`crate::decoder::Decoder`] and its child. All numbers are little-endian.
//!
//! ```text
//! request   u64 HDU, from 0 | u64 width | u64 height | u64 seconds of processor time | u64 bytes of the file | the file
//! reply     u8 0 | f32 pixels, row by row, width x height of them
//!           u8 1 | text: the library refuses the file
//!           u8 2 | text: the library wants more memory than it may have
//!           u8 3 | text: the child could not be confined, and read nothing
//! ```
//!
//! Both ends by the end of the pipe. A reply of another length or kind is no reply: the child died on the way.

use std::io::{self, Read, Write};

/// What the child is asked to decode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// The HDU of the image, from 0.
    pub hdu: u64,
    /// Width and height that the image's header declares, px.
    pub size: [u64; 2],
    /// Processor time that the child may use, s.
    pub cpu_s: u64,
}

/// What the child answers.
#[derive(Debug, PartialEq)]
pub(crate) enum Reply {
    Pixels(Vec<f32>),
    Refused(String),
    NoMemory(String),
    NotConfined(String),
}

/// Most characters of a reply's text that are taken over: the child may be in a stranger's hands.
const TEXT_MAX: usize = 300;

impl Request {
    pub(crate) fn pixels(&self) -> Option<u64> {
        self.size[0].checked_mul(self.size[1])
    }

    pub(crate) fn write(&self, file: &[u8], to: &mut impl Write) -> io::Result<()> {
        let [width, height] = self.size;
        for number in [self.hdu, width, height, self.cpu_s, file.len() as u64] {
            to.write_all(&number.to_le_bytes())?;
        }
        to.write_all(file)
    }

    /// The request, and how many bytes of a file follow.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<(Self, u64)> {
        let mut number = || {
            let mut bytes = [0; 8];
            from.read_exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
        };
        let (hdu, size, cpu_s) = (number()?, [number()?, number()?], number()?);
        Ok((Self { hdu, size, cpu_s }, number()?))
    }
}

impl Reply {
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (kind, text) = match self {
            Self::Pixels(pixels) => {
                to.write_all(&[0])?;
                // In pieces, so that no second copy of the image is made.
                for piece in pixels.chunks(1 << 14) {
                    let bytes: Vec<u8> = piece.iter().flat_map(|v| v.to_le_bytes()).collect();
                    to.write_all(&bytes)?;
                }
                return Ok(());
            }
            Self::Refused(text) => (1, text),
            Self::NoMemory(text) => (2, text),
            Self::NotConfined(text) => (3, text),
        };
        to.write_all(&[kind])?;
        to.write_all(text.as_bytes())
    }

    /// Reads to the end of the pipe; `None` where what came is no reply with `pixels` pixels. Never takes more than such
    /// a reply has.
    pub(crate) fn read(from: &mut impl Read, pixels: usize) -> Option<Self> {
        let mut kind = [0];
        from.read_exact(&mut kind).ok()?;
        if kind == [0] {
            let mut all = Vec::with_capacity(pixels);
            let mut piece = vec![0; 1 << 16];
            while all.len() < pixels {
                let bytes = &mut piece[..(4 * (pixels - all.len())).min(1 << 16)];
                from.read_exact(bytes).ok()?;
                all.extend(bytes.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)));
            }
            let more = from.read(&mut kind).ok()?;
            return (more == 0).then_some(Self::Pixels(all));
        }
        let mut text = Vec::new();
        from.take(4 * TEXT_MAX as u64).read_to_end(&mut text).ok()?;
        let text: String = String::from_utf8_lossy(&text).chars().take(TEXT_MAX).collect();
        match kind {
            [1] => Some(Self::Refused(text)),
            [2] => Some(Self::NoMemory(text)),
            [3] => Some(Self::NotConfined(text)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let request = Request { hdu: 3, size: [70, 65], cpu_s: 9 };
        let mut bytes = Vec::new();
        request.write(b"file", &mut bytes).unwrap();
        assert_eq!(Request::read(&mut &bytes[..]).unwrap(), (request, 4));
        assert!(Request::read(&mut &bytes[..20]).is_err());
        let pixels: Vec<f32> = (0..40_000).map(|i| i as f32 / 7.0).collect();
        for reply in [Reply::Pixels(pixels), Reply::Refused("no".into()), Reply::NoMemory(String::new())] {
            let mut bytes = Vec::new();
            reply.write(&mut bytes).unwrap();
            assert_eq!(Reply::read(&mut &bytes[..], 40_000), Some(reply));
        }
    }

    #[test]
    fn what_is_no_reply_is_none() {
        let pixels = |n: usize| [vec![0], vec![0; 4 * n]].concat();
        for bytes in [vec![], vec![7, 1], pixels(8), pixels(10)] {
            assert_eq!(Reply::read(&mut &bytes[..], 9), None, "{} bytes", bytes.len());
        }
        let Some(Reply::Refused(text)) = Reply::read(&mut &[1; 9000][..], 9) else { panic!("a refusal") };
        assert_eq!(text.len(), TEXT_MAX);
    }
}
