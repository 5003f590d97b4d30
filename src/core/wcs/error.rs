//! Why a header gives no coordinate system: each fault names its cards.

use super::cards::CardValue;

/// Why a header gives no usable coordinate system.
#[derive(Debug, thiserror::Error, Clone, PartialEq, Eq)]
pub enum WcsError {
    /// A card without which there is no system.
    #[error("{card} is missing")]
    Missing {
        /// Its name.
        card: String,
    },
    /// A value that cannot be, or not here.
    #[error("{card} = {value} {problem}")]
    Unusable {
        /// The card's name.
        card: String,
        /// Its value as it stands.
        value: String,
        /// What is wrong with it, after "CARD = value".
        problem: String,
    },
    /// Valid, but nothing that is read here.
    #[error("{card} = {value} is not read: {what}")]
    NotRead {
        /// The card's name.
        card: String,
        /// Its value as it stands.
        value: String,
        /// What it would ask for, and what is read.
        what: String,
    },
    /// One card, two values.
    #[error("{card} is given twice, as {first} and as {second}")]
    Twice {
        /// The card's name.
        card: String,
        /// Its first value.
        first: String,
        /// The other one.
        second: String,
    },
    /// Cards that say the same thing in two ways, and differ.
    #[error("{cards} contradict each other: {problem}")]
    Contradiction {
        /// Their names.
        cards: String,
        /// What each would have.
        problem: String,
    },
    /// The matrix from pixels to sky has no inverse.
    #[error("the matrix from pixels to sky is singular: {cards}")]
    Singular {
        /// The cards of which it is made.
        cards: String,
    },
    /// The native pole cannot be where the cards want it.
    #[error("{cards} put the projection's pole nowhere on the sky")]
    NoPole {
        /// The cards that decide where it is.
        cards: String,
    },
    /// A part of the frame is not on the sky, or two pixels are the same place there.
    #[error("pixel ({x}, {y}) {problem}: {cards}")]
    OffTheSky {
        /// Column, 0-based.
        x: usize,
        /// Row, 0-based.
        y: usize,
        /// What is wrong there.
        problem: &'static str,
        /// The cards of the map.
        cards: String,
    },
}

impl WcsError {
    /// What somebody who has such a frame can do.
    pub fn advice(&self) -> &'static str {
        match self {
            Self::Twice { .. } | Self::Contradiction { .. } => "keep the cards that hold and remove the others",
            Self::NotRead { .. } => "rewrite the coordinates as TAN, TAN-SIP or TPV of ICRS, FK5 or FK4",
            _ => "solve the frame's astrometry and write CTYPE, CRPIX, CRVAL and CD",
        }
    }
}

/// [`WcsError::Unusable`] in one line.
pub(super) fn unusable(card: &str, value: impl Into<CardValue>, problem: &str) -> WcsError {
    WcsError::Unusable { card: card.to_owned(), value: value.into().to_string(), problem: problem.to_owned() }
}

/// [`WcsError::Contradiction`] in one line.
pub(super) fn contradiction(cards: &str, problem: &str) -> WcsError {
    WcsError::Contradiction { cards: cards.to_owned(), problem: problem.to_owned() }
}

/// [`WcsError::NotRead`] in one line.
pub(super) fn not_read(card: &str, value: impl Into<CardValue>, what: &str) -> WcsError {
    WcsError::NotRead { card: card.to_owned(), value: value.into().to_string(), what: what.to_owned() }
}

/// [`WcsError::Missing`] in one line.
pub(super) fn missing(card: &str) -> WcsError {
    WcsError::Missing { card: card.to_owned() }
}
