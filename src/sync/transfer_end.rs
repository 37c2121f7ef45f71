//! How the reading of a cursor listing ends or fails, and the sentences that report it.

use crate::model::fault::Fault;
use crate::model::position::CursorPosition;

/// The hint where the segment of a walk is gone.
pub(super) const WALKS_AGAIN: &str =
    "what was read is loaded and nothing was removed; the next run walks again";

/// The end of a transfer.
pub(super) struct TransferEnd {
    /// The position after the last page.
    pub(super) position: CursorPosition,
    /// Why it ended.
    pub(super) reason: EndReason,
    /// The distinct ids that this process read, if the number is certain.
    pub(super) distinct: Option<u64>,
    /// Whether the walk has certainly met every stored profile.
    pub(super) all_met: bool,
}

/// Why the reading of a listing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndReason {
    /// The last page had no next cursor, or only empty pages followed once everything had been read.
    EndReached,
    /// The listing repeats itself.
    RepeatedPages,
    /// Several empty pages in a row had a next cursor.
    EmptyPages,
    /// The listing brought more elements than is plausible.
    TooManyElements,
}

/// Why a transfer broke off.
pub(super) struct TransferFault {
    pub(super) fault: Fault,
    /// The position of the walk, if the page after it could not be read.
    pub(super) unread: Option<Box<CursorPosition>>,
}

impl From<Fault> for TransferFault {
    fn from(fault: Fault) -> Self {
        Self { fault, unread: None }
    }
}

impl TransferFault {
    pub(super) fn at(fault: Fault, position: &CursorPosition) -> Self {
        Self {
            fault,
            unread: Some(Box::new(position.clone())),
        }
    }

    /// Whether a body broke off, so that the page may come whole when it is requested again.
    pub(super) fn is_broken_body(&self) -> bool {
        self.unread.is_some() && self.fault.is_transient()
    }
}
