//! How far probabilities of a frame move, by where they stand: for the objects of a crowded frame that other nights are not
//! asked of.

use super::StarProbability;

/// Tenths of the range of probabilities.
const TENTHS: usize = 10;

/// Mean square of the errors of probabilities in each tenth of their range.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct TypicalErrors {
    squares: [f64; TENTHS],
    objects: [u32; TENTHS],
}

impl TypicalErrors {
    /// Takes an object in whose error is known.
    pub fn add(&mut self, known: StarProbability) {
        let tenth = tenth(known.value);
        self.squares[tenth] += f64::from(known.error).powi(2);
        self.objects[tenth] += 1;
    }

    /// With the root mean square of the errors of those in the same tenth; as it is where there is none.
    pub fn of(&self, unknown: StarProbability) -> StarProbability {
        let tenth = tenth(unknown.value);
        let (squares, objects) = (self.squares[tenth], f64::from(self.objects[tenth]));
        if objects > 0.0 { StarProbability { error: (squares / objects).sqrt() as f32, ..unknown } } else { unknown }
    }
}

fn tenth(value: f32) -> usize {
    ((value * TENTHS as f32) as usize).min(TENTHS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_in_the_same_tenth_speak_for_the_others() {
        let mut typical = TypicalErrors::default();
        for (value, error) in [(0.41, 0.3), (0.49, 0.1), (0.6, 0.7), (1.0, 0.2)] {
            typical.add(StarProbability { value, error });
        }
        let error = |value| typical.of(StarProbability { value, error: 0.01 }).error;
        assert!((error(0.45) - 0.05f32.sqrt()).abs() < 1e-6 && error(0.97) == 0.2 && error(0.1) == 0.01);
    }
}
