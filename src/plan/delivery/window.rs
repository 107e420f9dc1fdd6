//! How many messages may be in flight.

/// Messages in flight at once, at most.
const WIDEST: usize = 1;

/// The messages in flight, and how many there may be: one at first, twice as many with every success.
#[derive(Debug)]
pub(super) struct Window {
    width: usize,
    in_flight: usize,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { width: 1, in_flight: 0 }
    }

    pub(super) const fn is_open(&self) -> bool {
        self.in_flight < self.width
    }

    pub(super) const fn sent(&mut self) {
        self.in_flight += 1;
    }

    /// An answer, or the certainty that there will be none.
    pub(super) fn answered(&mut self, is_success: bool) {
        self.in_flight = self.in_flight.saturating_sub(1);
        self.width = if is_success { (self.width * 2).min(WIDEST) } else { 1 };
    }
}
