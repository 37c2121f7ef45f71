//! The tenant's answer about a row that a walk did not see.

use bytes::Bytes;

/// The result of a look-up of a stored row that a walk did not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The tenant has no such profile.
    Deleted,
    /// It lost a merge against `survivor`.
    Merged {
        /// The id that remains.
        survivor: String,
    },
    /// Another profile answered, without saying that it replaces this one. It counts as a merge if it answers again.
    Redirected {
        /// The profile that answered.
        survivor: String,
    },
    /// It exists, outside of the walked segment.
    OutOfScope,
    /// It is in the segment: the walk missed it. Its element, to be loaded.
    Missed(Bytes),
    /// The answer is unclear: the row stays.
    Kept,
}
