//! The answer of the fast readers to JSON that they do not handle; another reader then reads it.

/// The fast reader does not handle this JSON: it is broken, or valid and rare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnsupportedJson;

/// What the fast reader read.
pub(crate) type FastResult<T> = Result<T, UnsupportedJson>;

/// [`UnsupportedJson`] unless the condition holds.
#[inline]
pub(crate) fn supported(holds: bool) -> FastResult<()> {
    if holds { Ok(()) } else { Err(UnsupportedJson) }
}
