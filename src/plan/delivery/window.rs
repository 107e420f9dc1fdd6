//! How many messages may be in flight.

/// Messages in flight at once, at most. They share a connection, and a server that is asked by others too.
const WIDEST: usize = 8;

/// The messages in flight, and how many there may be: one at first, and twice as many with every success, until a server
/// has closed a connection before it had answered all that was in flight there.
#[derive(Debug)]
pub(super) struct Window {
    width: usize,
    widest: usize,
    in_flight: usize,
}

impl Window {
    pub(super) const fn new() -> Self {
        Self { width: 1, widest: WIDEST, in_flight: 0 }
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
        self.width = if is_success { (self.width * 2).min(self.widest) } else { 1 };
    }

    /// From now on one message at a time.
    pub(super) const fn narrow(&mut self) {
        (self.width, self.widest) = (1, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_with_every_success_and_is_one_again_after_a_failure() {
        let mut window = Window::new();
        let mut widths = Vec::new();
        for is_success in [true, true, true, true, false, true] {
            window.sent();
            window.answered(is_success);
            widths.push(
                (0..)
                    .take_while(|_| {
                        let open = window.is_open();
                        window.sent();
                        open
                    })
                    .count(),
            );
            window.in_flight = 0;
        }
        assert_eq!(widths, [2, 4, 8, 8, 1, 2]);
        window.narrow();
        window.answered(true);
        window.sent();
        assert!(!window.is_open());
    }
}
