//! What a segmenter says of a frame: two numbers a pixel, because where an object is and how far it reaches are two
//! questions. A score of centres parts neighbours and stays small far from any; a score of extent outlines what is there.

use crate::frame::Plane;

/// Two scores of each pixel, on the frame's reference grid.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    /// How surely an object's centre is here: what detects, and parts objects that touch.
    pub centre: Plane<f32>,
    /// How surely a pixel belongs to an object: what outlines. A segmenter with one score has the same in both.
    pub extent: Plane<f32>,
}

impl Scores {
    /// All pixels alike in both.
    pub fn filled(width: usize, height: usize, value: f32) -> Self {
        Self { centre: Plane::filled(width, height, value), extent: Plane::filled(width, height, value) }
    }

    /// One score for both questions.
    pub fn same(score: Plane<f32>) -> Self {
        Self { extent: score.clone(), centre: score }
    }
}
