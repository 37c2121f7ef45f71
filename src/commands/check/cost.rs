//! What something costs at the tenant.

use serde::Serialize;

/// The days of a forecast.
pub(super) const DAYS: f64 = 30.0;

/// Requests and traffic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Cost {
    pub(super) requests: f64,
    /// On the wire.
    pub(super) bytes: f64,
}

impl Cost {
    /// So many times the same.
    pub(super) fn times(self, times: f64) -> Self {
        Self {
            requests: self.requests * times,
            bytes: self.bytes * times,
        }
    }

    /// Both together.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            requests: self.requests + other.requests,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// An amount that is not negative, as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float beyond the range becomes its end"
)]
pub(super) fn whole(amount: f64) -> u64 {
    amount.max(0.0).round() as u64
}
