//! What the tenant says about a row that a walk did not see.

use bytes::Bytes;

/// What a look-up says of a stored row that a walk did not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The tenant has no such profile.
    Deleted,
    /// It lost a merge against `survivor`.
    Merged {
        /// The id that remains.
        survivor: String,
    },
    /// Another profile answered in its place, and does not say that it replaces it: a merge, if it does so again.
    Redirected {
        /// Who answered.
        survivor: String,
    },
    /// It exists, outside of the walked segment.
    OutOfScope,
    /// It is in the segment: the walk missed it. Its element, to be loaded.
    Missed(Bytes),
    /// Nothing follows from the answer: the row stays.
    Kept,
}
