//! The answer of the fast readers to JSON that they do not handle; another reader decides about it.

/// JSON for another reader: broken, or only rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unusual;

/// What was read, unless it is unusual.
pub(crate) type Usual<T> = Result<T, Unusual>;

/// An error unless the condition holds.
#[inline]
pub(crate) fn usual(holds: bool) -> Usual<()> {
    if holds { Ok(()) } else { Err(Unusual) }
}
