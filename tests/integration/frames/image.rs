//! A FITS image that can be written otherwise: its cards and pixels, without the cards that say how they are laid out.

use std::fmt::Display;

const CARD: usize = 80;
const BLOCK: usize = 2880;

/// What kind of HDU an image becomes.
#[derive(Clone, Copy)]
pub enum Hdu<'a> {
    /// The first of a file.
    Primary,
    /// Another, with its EXTNAME.
    Extension(&'a str),
}

/// An image of 32-bit reals.
#[derive(Clone)]
pub struct Image {
    /// Cards of 80 bytes: all but those of the layout.
    cards: Vec<String>,
    /// Pixels in a row, rows.
    pub size: (usize, usize),
    /// Row by row.
    pub pixels: Vec<f32>,
}

/// The cards of a header, and what begins in the block behind it.
pub fn header(bytes: &[u8]) -> (Vec<String>, &[u8]) {
    let all = bytes.chunks_exact(CARD).map(|card| String::from_utf8(card.to_vec()).unwrap());
    let cards: Vec<String> = all.take_while(|card| card.trim() != "END").collect();
    let length = ((cards.len() + 1) * CARD).next_multiple_of(BLOCK);
    (cards, &bytes[length..])
}

/// The keyword of a card.
pub fn key(card: &str) -> &str {
    card[..8].trim()
}

fn is_layout(card: &str) -> bool {
    let layout = ["SIMPLE", "XTENSION", "BITPIX", "EXTEND", "PCOUNT", "GCOUNT"];
    layout.contains(&key(card)) || key(card).starts_with("NAXIS")
}

/// A card: keyword, and value as it is to stand.
fn card(key: &str, value: impl Display) -> String {
    let card = format!("{:CARD$}", format!("{key:8}= {:>20}", value.to_string()));
    assert_eq!(card.len(), CARD, "{card}");
    card
}

/// Fills a block up.
pub fn filled(mut bytes: Vec<u8>, with: u8) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(BLOCK), with);
    bytes
}

/// A header of these cards.
pub fn header_bytes(cards: &[String]) -> Vec<u8> {
    filled(format!("{}{:CARD$}", cards.concat(), "END").into_bytes(), b' ')
}

/// An HDU of `data`, big-endian, with the cards of its layout before the others.
pub fn hdu(kind: Hdu<'_>, bitpix: i32, axes: &[usize], cards: &[String], data: Vec<u8>) -> Vec<u8> {
    let begins = match kind {
        Hdu::Primary => card("SIMPLE", "T"),
        Hdu::Extension(_) => card("XTENSION", "'IMAGE   '"),
    };
    let mut all = vec![begins, card("BITPIX", bitpix), card("NAXIS", axes.len())];
    all.extend(axes.iter().enumerate().map(|(i, length)| card(&format!("NAXIS{}", i + 1), length)));
    match kind {
        Hdu::Primary => all.push(card("EXTEND", "T")),
        Hdu::Extension(name) => {
            all.extend([card("PCOUNT", 0), card("GCOUNT", 1)]);
            if !name.is_empty() {
                all.push(card("EXTNAME", format!("'{name}'")));
            }
        }
    }
    all.extend_from_slice(cards);
    let mut bytes = header_bytes(&all);
    bytes.extend(filled(data, 0));
    bytes
}

impl Image {
    /// Without cards and pixels.
    pub fn empty() -> Self {
        Self { cards: Vec::new(), size: (0, 0), pixels: Vec::new() }
    }

    /// The first HDU of a file.
    pub fn read(bytes: &[u8]) -> Self {
        let (cards, data) = header(bytes);
        let number = |wanted: &str| -> usize {
            let card = cards.iter().find(|c| key(c) == wanted).unwrap();
            card[10..30].trim().parse().unwrap()
        };
        let size = (number("NAXIS1"), number("NAXIS2"));
        let pixels = data.chunks_exact(4).take(size.0 * size.1);
        let pixels = pixels.map(|b| f32::from_be_bytes(b.try_into().unwrap())).collect();
        Self { cards: cards.into_iter().filter(|c| !is_layout(c)).collect(), size, pixels }
    }

    /// A card's number.
    pub fn number(&self, wanted: &str) -> f64 {
        let card = self.cards.iter().find(|c| key(c) == wanted).unwrap();
        card[10..].split('/').next().unwrap().trim().parse().unwrap()
    }

    /// Gives a card a value, as it is to stand; a card that is not there comes last.
    pub fn set(&mut self, wanted: &str, value: impl Display) -> &mut Self {
        let new = card(wanted, value);
        match self.cards.iter_mut().find(|c| key(c) == wanted) {
            Some(there) => *there = new,
            None => self.cards.push(new),
        }
        self
    }

    /// Gives a card a text.
    pub fn text(&mut self, wanted: &str, text: &str) -> &mut Self {
        self.set(wanted, format!("'{text:8}'"))
    }

    /// Adds a card, whether or not there is one of this name.
    pub fn add(&mut self, wanted: &str, value: impl Display) -> &mut Self {
        self.cards.push(card(wanted, value));
        self
    }

    /// Takes cards out.
    pub fn remove(&mut self, unwanted: &[&str]) -> &mut Self {
        self.cards.retain(|c| !unwanted.contains(&key(c)));
        self
    }

    /// Its cards but those of the layout.
    pub fn cards(&self) -> &[String] {
        &self.cards
    }

    /// Its cards of these names.
    pub fn only(&self, wanted: &[&str]) -> Vec<String> {
        self.cards.iter().filter(|c| wanted.contains(&key(c))).cloned().collect()
    }

    /// Its pixels as a file has them.
    pub fn data(&self) -> Vec<u8> {
        self.pixels.iter().flat_map(|v| v.to_be_bytes()).collect()
    }

    /// As an HDU.
    pub fn hdu(&self, kind: Hdu<'_>) -> Vec<u8> {
        hdu(kind, -32, &[self.size.0, self.size.1], &self.cards, self.data())
    }

    /// As a file.
    pub fn file(&self) -> Vec<u8> {
        self.hdu(Hdu::Primary)
    }

    /// Each pixel anew, from its place and value.
    pub fn map(&mut self, to: impl Fn(usize, usize, f32) -> f32) -> &mut Self {
        let width = self.size.0;
        self.pixels.iter_mut().enumerate().for_each(|(i, v)| *v = to(i % width, i / width, *v));
        self
    }

    /// The value at a place.
    pub fn at(&self, x: usize, y: usize) -> f32 {
        self.pixels[y * self.size.0 + x]
    }

    /// Another grid, whose pixels are taken by `value`.
    pub fn grid(&mut self, size: (usize, usize), value: impl Fn(&Self, usize, usize) -> f32) -> &mut Self {
        let pixels = (0..size.0 * size.1).map(|i| value(self, i % size.0, i / size.0)).collect();
        (self.size, self.pixels) = (size, pixels);
        self
    }
}
