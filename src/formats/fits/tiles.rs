//! A tile-compressed image (FITS standard 4.0, section 10.1), as fpack writes it: each row of a table holds one
//! rectangle of the image, squeezed by Rice or gzip, usually after rounding to whole numbers.
//!
//! Done here and not by cfitsio because its Rice decoder (3.49) reads past the end of a damaged tile. The other codings of
//! the standard are the business of [`super::foreign`].

use std::io::Read;

use flate2::read::MultiGzDecoder;
use rayon::prelude::*;

use super::dither::{Method, Quantised};
use super::file_error::FileError;
use super::header::Header;
use super::rice::{self, Width};
use super::shape::{Linear, PixelKind, Shape, values};
use super::table::{Column, Table};

const OUTSIDE: &str = "it points outside the table";
const LENGTH: &str = "it has the wrong length";
const RICE: &str = "its Rice stream ends early or makes no sense";

/// How a table's tiles are squeezed and laid out.
struct Layout<'a> {
    table: &'a Table<'a>,
    shape: Shape,
    /// From the numbers of a tile to values.
    linear: Linear,
    tile_width: usize,
    tile_height: usize,
    coding: Coding,
    method: Method,
    /// The header's offset into the standard's random numbers.
    seed: usize,
    scale: Source<'a>,
    zero: Source<'a>,
    blank: Source<'a>,
    /// Where the squeezed tiles are, and where those are that could not be rounded.
    squeezed: &'a Column,
    gzipped: Option<&'a Column>,
    plain: Option<&'a Column>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Coding {
    Rice {
        block: usize,
        width: Width,
    },
    Gzip,
    /// Bytes of equal significance stand together.
    GzipShuffled,
    /// Not squeezed at all.
    Uncompressed,
}

/// A parameter that may differ by tile.
enum Source<'a> {
    Absent,
    Same(f64),
    ByTile(&'a Column),
}

/// All pixels, row by row, of whole numbers already in the header's unit by `linear`; NaN where the file has none.
pub(super) fn decode(header: &Header, table: &Table, shape: Shape, linear: Linear) -> Result<Vec<f32>, FileError> {
    let layout = Layout::of(header, table, shape, linear)?;
    let mut pixels = vec![f32::NAN; shape.width * shape.height];
    // A row of tiles covers whole rows of the image, so that each can be written by itself.
    let bands = pixels.par_chunks_mut(shape.width * layout.tile_height);
    bands.enumerate().try_for_each(|(row, into)| layout.fill(row, into, |tile, n| layout.tile(tile, n)))?;
    Ok(pixels)
}

/// All pixels of an image of whole numbers (ZBITPIX 8, unsigned, 16 or 32), row by row, each through `meaning`.
pub(super) fn whole_numbers<T: Copy + Default + Send>(
    header: &Header,
    table: &Table,
    (width, height): (usize, usize),
    meaning: impl Fn(i64) -> T + Sync,
) -> Result<Vec<T>, FileError> {
    let layout = Layout::of(header, table, Shape { width, height, kind: PixelKind::Int }, Linear::IDENTITY)?;
    let mut pixels = vec![T::default(); width * height];
    let bands = pixels.par_chunks_mut(width * layout.tile_height);
    bands.enumerate().try_for_each(|(row, into)| {
        layout.fill(row, into, |tile, n| {
            let numbers = layout.numbers(tile, n)?;
            Ok(numbers.into_iter().map(|number| meaning(i64::from(number))).collect())
        })
    })?;
    Ok(pixels)
}

impl<'a> Layout<'a> {
    fn of(header: &Header, table: &'a Table, shape: Shape, linear: Linear) -> Result<Self, FileError> {
        let bad = |card: &str| FileError::BadCard { card: card.to_owned() };
        let side = |card: &str, absent: usize, whole: usize| {
            let declared = if header.has(card) { header.count(card)? } else { absent as u64 };
            // A tile as large as the image or larger is the whole image.
            if declared == 0 { Err(bad(card)) } else { Ok(declared.min(whole as u64) as usize) }
        };
        let tile_width = side("ZTILE1", shape.width, shape.width)?;
        let tile_height = side("ZTILE2", 1, shape.height)?;
        if table.rows() != shape.width.div_ceil(tile_width) * shape.height.div_ceil(tile_height) {
            return Err(bad("NAXIS2"));
        }
        let coding = header.text("ZCMPTYPE").ok_or_else(|| bad("ZCMPTYPE"))?;
        let coding = match coding {
            "RICE_1" | "RICE_ONE" => rice(header)?,
            "GZIP_1" => Coding::Gzip,
            "GZIP_2" => Coding::GzipShuffled,
            "NOCOMPRESS" => Coding::Uncompressed,
            other => return Err(FileError::Compression { name: other.to_owned() }),
        };
        let source = |name: &str| match (table.column(name), header.number(name)) {
            (Some(column), _) => Source::ByTile(column),
            (None, Some(value)) => Source::Same(value),
            (None, None) => Source::Absent,
        };
        let squeezed = table.column("COMPRESSED_DATA").ok_or_else(|| bad("TTYPE1"))?;
        let [gzipped, plain] = ["GZIP_COMPRESSED_DATA", "UNCOMPRESSED_DATA"].map(|name| table.column(name));
        // A tile may be long and hold nothing; so that time is bounded by the file, each byte is in one tile.
        let columns = [Some(squeezed), gzipped, plain];
        let arrays =
            columns.into_iter().flatten().flat_map(|c| (0..table.rows()).filter_map(|row| table.array(row, c)));
        if arrays.map(<[u8]>::len).try_fold(0_usize, usize::checked_add).is_none_or(|all| all > table.bytes()) {
            return Err(FileError::TilesOverlap { present: table.bytes() });
        }
        Ok(Self {
            table,
            shape,
            linear,
            tile_width,
            tile_height,
            coding,
            method: match header.text("ZQUANTIZ") {
                Some("SUBTRACTIVE_DITHER_1") => Method::Subtractive,
                Some("SUBTRACTIVE_DITHER_2") => Method::SubtractiveKeepingZeros,
                None | Some("NO_DITHER" | "NONE" | "") => Method::Plain,
                Some(method) => return Err(FileError::Quantised { method: method.to_owned() }),
            },
            seed: header.integer("ZDITHER0").unwrap_or(1).saturating_sub(1).rem_euclid(10_000) as usize,
            scale: source("ZSCALE"),
            zero: source("ZZERO"),
            blank: source("ZBLANK"),
            squeezed,
            gzipped,
            plain,
        })
    }

    /// Writes the tiles of one row of tiles; `read` gives the pixels of a tile from its number and how many it has.
    fn fill<T: Copy>(
        &self,
        row: usize,
        into: &mut [T],
        read: impl Fn(usize, usize) -> Result<Vec<T>, &'static str>,
    ) -> Result<(), FileError> {
        let across = self.shape.width.div_ceil(self.tile_width);
        let height = into.len() / self.shape.width;
        for column in 0..across {
            let tile = row * across + column;
            let x = column * self.tile_width;
            let width = self.tile_width.min(self.shape.width - x);
            let pixels = read(tile, width * height).map_err(|problem| FileError::BadTile { tile, problem })?;
            for (from, to) in pixels.chunks_exact(width).zip(into.chunks_exact_mut(self.shape.width)) {
                to[x..x + width].copy_from_slice(from);
            }
        }
        Ok(())
    }

    /// The `n` pixels of a tile of whole numbers.
    fn numbers(&self, tile: usize, n: usize) -> Result<Vec<i32>, &'static str> {
        let squeezed = self.table.array(tile, self.squeezed).ok_or(OUTSIDE)?;
        if !squeezed.is_empty() {
            return match self.coding {
                Coding::Rice { block, width } => rice::decompress(squeezed, n, block, width).ok_or(RICE),
                Coding::Gzip => Ok(integers(&gunzip(squeezed, n, &[4, 2, 1])?, n)),
                Coding::GzipShuffled => Ok(integers(&unshuffle(&gunzip(squeezed, n, &[4, 2, 1])?, n), n)),
                Coding::Uncompressed if [4, 2, 1].iter().any(|size| squeezed.len() == n * size) => {
                    Ok(integers(squeezed, n))
                }
                Coding::Uncompressed => Err(LENGTH),
            };
        }
        let raw = match (self.gzipped, self.plain) {
            (Some(column), _) => gunzip(self.table.array(tile, column).ok_or(OUTSIDE)?, n, &[4, 2, 1])?,
            (None, Some(column)) => self.table.array(tile, column).ok_or(OUTSIDE)?.to_vec(),
            (None, None) => return Err("it has no data"),
        };
        if [4, 2, 1].iter().any(|size| raw.len() == n * size) { Ok(integers(&raw, n)) } else { Err(LENGTH) }
    }

    /// The `n` pixels of a tile.
    fn tile(&self, tile: usize, n: usize) -> Result<Vec<f32>, &'static str> {
        let kind = self.shape.kind;
        let size = kind.bytes();
        let squeezed = self.table.array(tile, self.squeezed).ok_or(OUTSIDE)?;
        if squeezed.is_empty() {
            let raw = match (self.gzipped, self.plain) {
                (Some(column), _) => gunzip(self.table.array(tile, column).ok_or(OUTSIDE)?, n, &[size])?,
                (None, Some(column)) => self.table.array(tile, column).ok_or(OUTSIDE)?.to_vec(),
                (None, None) => return Err("it has no data"),
            };
            return if raw.len() == n * size { Ok(values(&raw, kind, self.linear)) } else { Err(LENGTH) };
        }
        let quantised = !matches!((&self.scale, &self.zero), (Source::Absent, _) | (_, Source::Absent));
        let numbers = match self.coding {
            Coding::Rice { block, width } if quantised || kind.is_whole() => {
                rice::decompress(squeezed, n, block, width).ok_or(RICE)?
            }
            Coding::Rice { .. } => return Err("Rice codes whole numbers, and it has no scale"),
            Coding::Gzip | Coding::GzipShuffled | Coding::Uncompressed => {
                let sizes: &[usize] = match (quantised, kind.is_whole()) {
                    (true, _) => &[4, 2, 1],
                    (false, true) => &[size, 4], // some writers widen before they pack
                    (false, false) => &[size],
                };
                let mut raw = match self.coding {
                    Coding::Uncompressed if sizes.iter().any(|size| squeezed.len() == n * size) => squeezed.to_vec(),
                    Coding::Uncompressed => return Err(LENGTH),
                    _ => gunzip(squeezed, n, sizes)?,
                };
                if self.coding == Coding::GzipShuffled {
                    raw = unshuffle(&raw, n);
                }
                if !quantised && raw.len() == n * size {
                    return Ok(values(&raw, kind, self.linear));
                }
                integers(&raw, n)
            }
        };
        if kind.is_whole() && !quantised {
            return Ok(numbers.iter().map(|&n| self.linear.whole(n.into())).collect());
        }
        let value = |source: &Source| match source {
            Source::Absent => Ok(None),
            Source::Same(value) => Ok(Some(*value)),
            Source::ByTile(column) => self.table.number(tile, column).map(Some).ok_or(OUTSIDE),
        };
        let way_back = Quantised {
            method: self.method,
            seed: self.seed + tile,
            scale: value(&self.scale)?.unwrap_or(1.0),
            zero: value(&self.zero)?.unwrap_or(0.0),
            blank: value(&self.blank)?.map(|v| v as i32),
        };
        let mut pixels = way_back.restore(&numbers);
        if self.linear != Linear::IDENTITY {
            pixels.iter_mut().for_each(|v| *v = self.linear.real((*v).into()));
        }
        Ok(pixels)
    }
}

/// Rice's parameters, from the ZNAMEi/ZVALi pairs.
fn rice(header: &Header) -> Result<Coding, FileError> {
    let parameter = |name: &str| {
        let i = (1..=9).find(|i| header.text(&format!("ZNAME{i}")) == Some(name))?;
        header.integer(&format!("ZVAL{i}"))
    };
    let width = match parameter("BYTEPIX").unwrap_or(4) {
        1 => Width::One,
        2 => Width::Two,
        4 => Width::Four,
        other => return Err(FileError::Compression { name: format!("RICE_1 with BYTEPIX {other}") }),
    };
    let block = parameter("BLOCKSIZE").unwrap_or(32);
    let block = usize::try_from(block).ok().filter(|b| (1..=4096).contains(b));
    Ok(Coding::Rice { block: block.ok_or(FileError::BadCard { card: "ZVAL1".into() })?, width })
}

/// Unpacks `n` elements of one of the `sizes` in bytes.
pub(super) fn gunzip(packed: &[u8], n: usize, sizes: &[usize]) -> Result<Vec<u8>, &'static str> {
    let largest = n * sizes.iter().max().copied().unwrap_or(0);
    let mut raw = Vec::with_capacity(largest);
    let stream = MultiGzDecoder::new(packed).take(largest as u64 + 1).read_to_end(&mut raw);
    stream.map_err(|_| "its gzip stream is damaged")?;
    if sizes.iter().any(|size| raw.len() == n * size) { Ok(raw) } else { Err("it has the wrong length") }
}

fn unshuffle(raw: &[u8], n: usize) -> Vec<u8> {
    let size = raw.len() / n;
    (0..raw.len()).map(|i| raw[i % size * n + i / size]).collect()
}

/// Big-endian whole numbers, `n` of them, of 4, 2 or 1 bytes.
fn integers(raw: &[u8], n: usize) -> Vec<i32> {
    match raw.len() / n {
        4 => raw.as_chunks().0.iter().map(|b| i32::from_be_bytes(*b)).collect(),
        2 => raw.as_chunks().0.iter().map(|b| i32::from(i16::from_be_bytes(*b))).collect(),
        _ => raw.iter().map(|b| i32::from(*b)).collect(),
    }
}
