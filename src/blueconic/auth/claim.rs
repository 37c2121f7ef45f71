//! A claim to refresh the token, and the body of a token request, which is not sent once the claim has lapsed. A
//! process that was paused (a stopped container, a suspended machine) must not send a refresh token that another
//! process has used meanwhile.

use std::error::Error;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use zeroize::Zeroizing;

use crate::blueconic::monotonic_clock::MonotonicClock;

/// The end of a claim, as its holder may assume it.
#[derive(Clone)]
pub(super) struct RefreshClaim {
    monotonic: MonotonicClock,
    until: Arc<Mutex<(Instant, Duration)>>,
    hold: Duration,
}

/// A moment by two clocks: one stops while the machine sleeps, the other may be set.
#[derive(Clone, Copy)]
pub(super) struct Moment(Instant, Duration);

impl Moment {
    pub(super) fn now(monotonic: &MonotonicClock) -> Self {
        Self(Instant::now(), monotonic.now())
    }
}

impl RefreshClaim {
    /// `asked` is the time before the claim was requested, so that the assumed end is never too late.
    pub(super) fn new(monotonic: MonotonicClock, asked: Moment, hold: Duration) -> Self {
        let claim = Self {
            monotonic,
            until: Arc::new(Mutex::new((asked.0, asked.1))),
            hold,
        };
        claim.extended(asked);
        claim
    }

    /// The claim was extended, as requested at this moment.
    pub(super) fn extended(&self, asked: Moment) {
        let until = (asked.0 + self.hold, asked.1 + self.hold);
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }

    fn has_lapsed(&self) -> bool {
        let until = *self.until.lock().unwrap_or_else(PoisonError::into_inner);
        Instant::now() >= until.0 || self.monotonic.now() >= until.1
    }
}

/// The claim lapsed before the request was sent.
#[derive(Debug, thiserror::Error)]
#[error("the claim to refresh the token has lapsed")]
pub(super) struct Lapsed;

impl Lapsed {
    /// Whether this error is the root cause of another.
    pub(super) fn is_behind(error: &(dyn Error + 'static)) -> bool {
        let mut next = Some(error);
        while let Some(error) = next {
            if error.is::<Self>() {
                return true;
            }
            next = error.source();
        }
        false
    }
}

/// A form whose memory is wiped after it was sent or dropped.
pub(super) struct Form {
    bytes: Option<Bytes>,
    claim: Option<RefreshClaim>,
}

impl Form {
    pub(super) fn new(text: Zeroizing<String>, claim: Option<RefreshClaim>) -> Self {
        Self {
            bytes: Some(Bytes::from_owner(Wiped(text))),
            claim,
        }
    }
}

struct Wiped(Zeroizing<String>);

impl AsRef<[u8]> for Wiped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

/// A header's value that is wiped with the last copy of it.
pub(in crate::blueconic) fn wiped(text: Zeroizing<String>) -> Bytes {
    Bytes::from_owner(Wiped(text))
}

impl Body for Form {
    type Data = Bytes;
    type Error = Lapsed;

    /// Called when the connection is open and the head of the request is written.
    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Lapsed>>> {
        let Some(bytes) = self.bytes.take() else {
            return Poll::Ready(None);
        };
        if self.claim.as_ref().is_some_and(RefreshClaim::has_lapsed) {
            return Poll::Ready(Some(Err(Lapsed)));
        }
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.bytes.as_ref().map_or(0, Bytes::len);
        SizeHint::with_exact(u64::try_from(length).unwrap_or(u64::MAX))
    }
}
