//! A frame's share of the machine, in units that are the same on every machine: stamps drawn and compared, of which one
//! core does some 700,000 a second.

/// What one frame may spend: of 20,000 objects each has 1,000 stamps.
const BUDGET_STAMPS: u64 = 20_000_000;

/// What a frame's scene has cost, and what came of looking for hidden objects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Stamps drawn so far.
    pub stamps: u64,
    /// Objects taken in from the residual.
    pub found: usize,
    /// Of these, those that one ellipse with their parent undid.
    pub undone: usize,
    /// Those that were no longer significant.
    pub pruned: usize,
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
