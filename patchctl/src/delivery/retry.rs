//! When to try again.

use std::time::Duration;

/// How long to wait between attempts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Backoff {
    /// After the first failure.
    pub(crate) first: Duration,
    /// At most.
    pub(crate) most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(1),
            most: Duration::from_secs(300),
        }
    }
}

impl Backoff {
    /// The wait after so many failures in a row: doubled each time, with half of it left to
    /// chance, so that many senders do not come back at once.
    pub(crate) fn after(&self, failures: u32, chance: f64) -> Duration {
        let doubled = self
            .first
            .saturating_mul(2u32.saturating_pow(failures.saturating_sub(1).min(20)));
        let full = doubled.min(self.most);
        full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn back_off_doubles_up_to_its_bound() {
        let backoff = Backoff::default();
        assert_eq!(backoff.after(1, 1.0), Duration::from_secs(1));
        assert_eq!(backoff.after(1, 0.0), Duration::from_millis(500));
        assert_eq!(backoff.after(4, 1.0), Duration::from_secs(8));
        assert_eq!(backoff.after(9999, 1.0), Duration::from_secs(300));
    }
}
