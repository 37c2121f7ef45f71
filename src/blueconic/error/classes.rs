//! How the client reacts to an error: whether it repeats the request, requests less, or waits.

use std::time::Duration;

use crate::blueconic::error::ClientError;
use crate::blueconic::status::{Patience, Presence, StatusClass};

impl ClientError {
    /// What the error tells about the requests to come.
    pub(in crate::blueconic) fn presence(&self) -> Presence {
        match self {
            Self::Denied { .. }
            | Self::CursorRefused { .. }
            | Self::Absent { .. }
            | Self::Compressed { .. }
            | Self::Excessive { .. }
            | Self::Garbled { .. }
            | Self::TooLarge { .. } => Presence::Answers,
            Self::Status { status, .. } if !StatusClass::of(*status).is_passing() => Presence::Answers,
            Self::Status { .. }
            | Self::Unreachable { .. }
            | Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Broken { .. }
            | Self::Foreign { .. }
            | Self::Blocked { .. }
            | Self::Redirected { .. }
            | Self::Certificate { .. } => Presence::IsAway,
            _ => Presence::Unknown,
        }
    }

    /// Whether the error is transient.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable { failure, .. } => !failure.is_of_settings(),
            Self::Timeout { .. }
            | Self::Slow { .. }
            | Self::Broken { .. }
            | Self::Compressed { .. }
            | Self::Garbled { .. } => true,
            Self::Foreign { patience, .. }
            | Self::Blocked { patience, .. }
            | Self::Redirected { patience, .. }
            | Self::Certificate { patience, .. } => *patience != Patience::Over,
            Self::Status { status, .. } => StatusClass::of(*status).is_passing(),
            Self::Store(fault) => fault.is_transient(),
            Self::GaveUp { last, .. } => last.is_transient(),
            _ => false,
        }
    }

    /// Whether the client itself should retry. Faults of the database are retried by the store, and a spent budget is
    /// not renewed.
    pub(in crate::blueconic) fn is_repeatable(&self) -> bool {
        (self.is_transient() || self.is_too_large()) && !matches!(self, Self::Store(_) | Self::GaveUp { .. })
    }

    /// Whether the page may be too large: the tenant or a gateway gave up on it before the first byte, or stopped
    /// sending.
    pub(in crate::blueconic) fn may_be_size(&self) -> bool {
        match self {
            Self::Timeout { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => {
                matches!(status, 408 | 413 | 500 | 502 | 504 | 520 | 522 | 524)
            }
            _ => false,
        }
    }

    /// Whether the answer is stated to be too large.
    pub(in crate::blueconic) fn is_too_large(&self) -> bool {
        matches!(self, Self::Status { status: 413, .. })
    }

    /// Whether the tenant asks for less.
    pub(in crate::blueconic) fn is_overload(&self) -> bool {
        matches!(self, Self::Status { status, .. } if StatusClass::of(*status) == StatusClass::Overload)
    }

    /// The wait that the tenant asks for.
    pub(in crate::blueconic) fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } | Self::Blocked { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// How long the error is treated as temporary; none if it never is.
    pub(in crate::blueconic) fn patience(&mut self) -> Option<&mut Patience> {
        match self {
            Self::Foreign { patience, .. }
            | Self::Blocked { patience, .. }
            | Self::Redirected { patience, .. }
            | Self::Certificate { patience, .. } => Some(patience),
            _ => None,
        }
    }
}
