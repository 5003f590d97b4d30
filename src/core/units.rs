//! Quantities whose type holds only what makes sense.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A part of a whole, 0..1.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Share(f64);

impl Share {
    /// For defaults.
    ///
    /// # Panics
    /// Where it is none.
    pub const fn of(share: f64) -> Self {
        assert!(share >= 0.0 && share <= 1.0);
        Self(share)
    }
}

impl TryFrom<f64> for Share {
    type Error = String;

    fn try_from(share: f64) -> Result<Self, String> {
        if (0.0..=1.0).contains(&share) { Ok(Self(share)) } else { Err(format!("{share} is not from 0 to 1")) }
    }
}

impl From<Share> for f64 {
    fn from(share: Share) -> f64 {
        share.0
    }
}

/// A positive time span in seconds.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Seconds(f64);

impl Seconds {
    /// For defaults.
    ///
    /// # Panics
    /// Where it is no positive number.
    pub const fn of(seconds: f64) -> Self {
        assert!(seconds > 0.0 && seconds <= 1e9);
        Self(seconds)
    }

    /// As the standard library's type.
    pub fn duration(self) -> Duration {
        Duration::from_secs_f64(self.0)
    }
}

impl TryFrom<f64> for Seconds {
    type Error = String;

    fn try_from(seconds: f64) -> Result<Self, String> {
        let fits = seconds > 0.0 && seconds <= 1e9;
        if fits { Ok(Self(seconds)) } else { Err(format!("{seconds} is not a positive number of seconds")) }
    }
}

impl From<Seconds> for f64 {
    fn from(seconds: Seconds) -> f64 {
        seconds.0
    }
}
