//! Pictures: the quick look at a field, the same in layers for the page, panels of small pieces of it, and charts.

mod axis;
mod layers;
mod panels;
mod plot;
mod quicklook;

pub use axis::Axis;
pub use layers::{Layer, Layers};
pub use panels::{Panel, Panels, panels};
pub use plot::{Chart, Corner, Series, Style, chart};
pub use quicklook::{pair, quicklook};

/// Why there is no picture.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The planes are empty or of different sizes.
    #[error("a picture needs planes of one size, at least 1x1: got {sizes:?}")]
    Size {
        /// Width and height of each plane.
        sizes: Vec<(usize, usize)>,
    },
    /// A picture that is none of this program's.
    #[error("the quick look could not be read: {problem}")]
    Decode {
        /// What is wrong.
        problem: String,
    },
    /// The drawing failed.
    #[error("the chart {title:?} could not be drawn: {problem}")]
    Draw {
        /// Title of the chart that failed.
        title: String,
        /// In the words of the drawing library.
        problem: String,
    },
    /// The encoder failed.
    #[error("the picture could not be encoded: {problem}")]
    Encode {
        /// In the encoder's words.
        problem: String,
    },
}

/// 8-bit RGB, row by row from the top, as PNG: fast rather than small.
fn png(width: usize, height: usize, rgb: &[u8]) -> Result<Vec<u8>, PictureError> {
    let failed = |e: png::EncodingError| PictureError::Encode { problem: e.to_string() };
    let mut bytes = Vec::with_capacity(rgb.len() / 2);
    let mut encoder = png::Encoder::new(&mut bytes, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    encoder.set_compression(png::Compression::Fast);
    encoder.set_filter(png::Filter::Up);
    encoder.write_header().and_then(|mut writer| writer.write_image_data(rgb)).map_err(failed)?;
    Ok(bytes)
}
