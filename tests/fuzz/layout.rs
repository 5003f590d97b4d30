//! The HDUs of a file, in one of several orders.

use twinpeak_formats::fits;

use super::{Cards, HEIGHT, WIDTH, text};

/// Which HDUs a file has, and in which order.
#[derive(Clone, Copy)]
pub enum Layout {
    Primary,
    Extension,
    Inherited,
    Tiles,
    MaskFirst,
    PlanesBehind,
    TwoImages,
    JunkBehind,
}

impl Layout {
    pub const ALL: [Self; 8] = [
        Self::Primary,
        Self::Extension,
        Self::Inherited,
        Self::Tiles,
        Self::MaskFirst,
        Self::PlanesBehind,
        Self::TwoImages,
        Self::JunkBehind,
    ];

    /// The HDU with the image; `None` where two are of equal standing.
    pub fn image(self) -> Option<usize> {
        match self {
            Self::Primary | Self::PlanesBehind | Self::JunkBehind => Some(0),
            Self::Extension | Self::Inherited | Self::Tiles => Some(1),
            Self::MaskFirst => Some(2),
            Self::TwoImages => None,
        }
    }

    /// The file of a band with these cards.
    pub fn file(self, cards: &[(String, String)], band: usize) -> Vec<u8> {
        const EXTENSION: &str = "XTENSION";
        let pixels = pixels(band);
        let image = |begins: &str, cards: &[(String, String)]| hdu(&axes(begins, -32), cards, &pixels);
        let named = |name: &str, more: &[(String, String)]| [&[("EXTNAME".to_owned(), text(name))], more].concat();
        let mask = |name: &str| hdu(&axes(EXTENSION, 8), &named(name, &[]), &[0; WIDTH * HEIGHT]);
        let primary = |cards: &[(String, String)]| {
            let begins =
                [(SIMPLE, "T"), ("BITPIX", "8"), ("NAXIS", "0")].map(|(key, value)| (key.into(), value.into()));
            hdu(&begins, cards, &[])
        };
        let hdus = match self {
            Self::Primary => vec![image(SIMPLE, cards)],
            Self::Extension => vec![primary(&[]), image(EXTENSION, cards)],
            Self::Inherited => vec![primary(cards), image(EXTENSION, &[("INHERIT".into(), "T".into())])],
            Self::Tiles => vec![primary(&[]), tiles(cards, &pixels)],
            Self::MaskFirst => vec![primary(&[]), mask("DQ"), image(EXTENSION, cards)],
            Self::PlanesBehind => vec![image(SIMPLE, cards), mask("MASK"), image(EXTENSION, &named("VAR", cards))],
            Self::TwoImages => {
                vec![primary(&[]), image(EXTENSION, &named("N1", cards)), image(EXTENSION, &named("N2", cards))]
            }
            Self::JunkBehind => vec![image(SIMPLE, cards), vec![0; 2880]],
        };
        hdus.concat()
    }
}

const SIMPLE: &str = "SIMPLE";

fn axes(begins: &str, bitpix: i32) -> Cards {
    let sizes = [("NAXIS1", WIDTH), ("NAXIS2", HEIGHT)].map(|(key, n)| (key, n.to_string()));
    let begin = (begins, if begins == SIMPLE { "T".into() } else { text("IMAGE") });
    let first = [begin, ("BITPIX", bitpix.to_string()), ("NAXIS", "2".into())];
    let extension = [("PCOUNT", "0".to_owned()), ("GCOUNT", "1".to_owned())];
    let last = extension.into_iter().filter(|_| begins != SIMPLE);
    first.into_iter().chain(sizes).chain(last).map(|(key, value)| (key.to_owned(), value)).collect()
}

/// Some noise, nMgy, as big-endian floats; no two bands have the same.
fn pixels(band: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (band as u64 + 1);
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 40) as f32 / (1 << 24) as f32
    };
    (0..WIDTH * HEIGHT).flat_map(|_| (0.05 * ((0..4).map(|_| uniform()).sum::<f32>() - 2.0)).to_be_bytes()).collect()
}

fn hdu(begins: &[(String, String)], cards: &[(String, String)], data: &[u8]) -> Vec<u8> {
    let print = |(key, value): &(String, String)| match value.starts_with('\'') {
        true => format!("{key:8}= {value}"),
        false => format!("{key:8}= {value:>20}"),
    };
    let all = begins.iter().chain(cards).map(print).chain(["END".to_owned()]);
    let mut bytes: Vec<u8> = all.flat_map(|card| format!("{card:80}").into_bytes()).collect();
    bytes.resize(bytes.len().next_multiple_of(2880), b' ');
    bytes.extend(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

/// The image as a table of its rows, each packed by gzip.
fn tiles(cards: &[(String, String)], pixels: &[u8]) -> Vec<u8> {
    let (mut places, mut heap) = (Vec::new(), Vec::new());
    for row in pixels.chunks(4 * WIDTH) {
        let packed = fits::pack("x.gz", row.to_vec()).expect("memory takes what is written");
        places.extend((packed.len() as u32).to_be_bytes().into_iter().chain((heap.len() as u32).to_be_bytes()));
        heap.extend(packed);
    }
    let begins = [
        ("XTENSION", text("BINTABLE")),
        ("BITPIX", "8".into()),
        ("NAXIS", "2".into()),
        ("NAXIS1", "8".into()),
        ("NAXIS2", HEIGHT.to_string()),
        ("PCOUNT", heap.len().to_string()),
        ("GCOUNT", "1".into()),
        ("TFIELDS", "1".into()),
        ("TTYPE1", text("COMPRESSED_DATA")),
        ("TFORM1", text("1PB")),
        ("ZIMAGE", "T".into()),
        ("ZCMPTYPE", text("GZIP_1")),
        ("ZBITPIX", "-32".into()),
        ("ZNAXIS", "2".into()),
        ("ZNAXIS1", WIDTH.to_string()),
        ("ZNAXIS2", HEIGHT.to_string()),
        ("ZTILE1", WIDTH.to_string()),
        ("ZTILE2", "1".into()),
    ];
    hdu(&begins.map(|(key, value)| (key.to_owned(), value)), cards, &[places, heap].concat())
}
