//! Shared parts of the decompressors: inflating, the padding after the end, and the error.

use flate2::{Decompress, FlushDecompress, Status};

/// Why a body cannot be unpacked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum DecompressError {
    /// It was cut or garbled on its way.
    #[error("{0}")]
    Broken(String),
    /// The body exceeds a bound; a repeated request would have the same result.
    #[error("{0}")]
    Excessive(String),
}

impl DecompressError {
    pub(super) fn broken(why: impl std::fmt::Display) -> Self {
        Self::Broken(why.to_string())
    }
}

/// Inflates some bytes: how many were read and written, and whether the stream has ended.
pub(super) fn inflate(
    inflate: &mut Decompress,
    input: &[u8],
    output: &mut [u8],
) -> Result<(usize, usize, bool), DecompressError> {
    let before = (inflate.total_in(), inflate.total_out());
    let status = inflate.decompress(input, output, FlushDecompress::None);
    let status = status.map_err(DecompressError::broken)?;
    let count = |now: u64, before: u64| usize::try_from(now - before).unwrap_or_default();
    let read = count(inflate.total_in(), before.0);
    let written = count(inflate.total_out(), before.1);
    Ok((read, written, status == Status::StreamEnd))
}

/// Zeros after the end are padding; other bytes are an error.
pub(super) fn padding(input: &[u8]) -> Result<usize, DecompressError> {
    if input.iter().any(|byte| *byte != 0) {
        return Err(DecompressError::broken("other bytes follow the compressed body"));
    }
    Ok(input.len())
}
