//! Changing a simulated file: its first header, which fills one block, its pixels, its packing.

use std::io::Read;

const CARD: usize = 80;
const BLOCK: usize = 2880;

/// Gives a card of the first header another value.
pub fn set(bytes: &mut [u8], key: &str, value: &str) {
    replace(bytes, key, &format!("{key:8}= {value:>20}"));
}

/// Takes a card out of the first header.
pub fn remove(bytes: &mut [u8], key: &str) {
    replace(bytes, key, "COMMENT");
}

/// The image's pixels, four bytes each.
pub fn pixels(bytes: &mut [u8]) -> impl Iterator<Item = &mut [u8]> {
    bytes[BLOCK..].chunks_exact_mut(4)
}

/// As bzip2 packs it.
pub fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    bzip2::read::BzEncoder::new(bytes, bzip2::Compression::fast()).read_to_end(&mut packed).unwrap();
    packed
}

fn replace(bytes: &mut [u8], key: &str, card: &str) {
    let begins = format!("{key:8}=");
    let at = bytes[..BLOCK].chunks_exact(CARD).position(|card| card.starts_with(begins.as_bytes()));
    let at = CARD * at.expect("simulated files have the card");
    bytes[at..at + CARD].copy_from_slice(format!("{card:CARD$}").as_bytes());
}
