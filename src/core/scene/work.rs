//! A frame's share of the machine, in units that are the same on every machine: stamps drawn and compared, of which one
//! core does some 700,000 a second.

/// What one frame may spend: of 20,000 objects each has 1,000 stamps.
const BUDGET_STAMPS: u64 = 20_000_000;

/// Stamps that a frame's scene has drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// So far.
    pub stamps: u64,
}

impl Work {
    /// Counts stamps.
    pub fn count(&mut self, stamps: u64) {
        self.stamps += stamps;
    }

    /// Whether no more may be begun: the frame is finished with what it has.
    pub fn is_spent(&self) -> bool {
        self.stamps >= BUDGET_STAMPS
    }
}
