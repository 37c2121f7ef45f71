//! Changes the transfer of a body: compresses, cuts, ends early, slows, stalls.

use std::io::{self, Write};
use std::pin::Pin;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::{Stream, StreamExt, stream};

use crate::faults::Kind;
use crate::requests::UnderWay;

/// A body in pieces.
pub(crate) type Pieces = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

/// The pause between the pieces of a slow body.
const BEAT: Duration = Duration::from_millis(50);

pub(crate) fn pieces(body: Body) -> Pieces {
    Box::pin(
        body.into_data_stream()
            .map(|piece| piece.map_err(io::Error::other)),
    )
}

/// The body with the ordered fault.
pub(crate) fn with_fault(body: Pieces, fault: &Kind) -> Pieces {
    match *fault {
        Kind::CutAfter(bytes) => cut(body, bytes),
        Kind::EndAfter(bytes) => first(body, bytes),
        Kind::Slow { bytes_per_second } => slow(body, bytes_per_second),
        Kind::Stall { after, pause } => stall(body, after, pause),
        _ => body,
    }
}

/// Keeps the request open in the log until its body is sent or dropped.
pub(crate) fn holding(body: Pieces, under_way: UnderWay) -> Pieces {
    Box::pin(body.map(move |piece| {
        let _held = &under_way;
        piece
    }))
}

/// The first so many bytes.
fn first(body: Pieces, bytes: u64) -> Pieces {
    Box::pin(stream::unfold((body, bytes), |(mut body, left)| async move {
        if left == 0 {
            return None;
        }
        let piece = match body.next().await? {
            Ok(piece) => piece,
            Err(error) => return Some((Err(error), (body, 0))),
        };
        let taken = usize::try_from(left).unwrap_or(usize::MAX).min(piece.len());
        Some((Ok(piece.slice(..taken)), (body, left - taken as u64)))
    }))
}

/// The first so many bytes; then the connection is closed.
fn cut(body: Pieces, bytes: u64) -> Pieces {
    let end = stream::once(async {
        // The server flushes when a body makes it wait: the bytes before the cut have to arrive.
        tokio::task::yield_now().await;
        Err(io::Error::new(io::ErrorKind::ConnectionAborted, "cut as ordered"))
    });
    Box::pin(first(body, bytes).chain(end))
}

fn slow(body: Pieces, bytes_per_second: u64) -> Pieces {
    let share = bytes_per_second * u64::try_from(BEAT.as_millis()).unwrap_or(1) / 1000;
    let most = usize::try_from(share).unwrap_or(usize::MAX).max(1);
    let split = body.flat_map(move |piece| stream::iter(parts(piece, most)));
    Box::pin(split.then(|part| async move {
        tokio::time::sleep(BEAT).await;
        part
    }))
}

fn parts(piece: io::Result<Bytes>, most: usize) -> Vec<io::Result<Bytes>> {
    let Ok(piece) = piece else { return vec![piece] };
    (0..piece.len())
        .step_by(most)
        .map(|at| Ok(piece.slice(at..piece.len().min(at + most))))
        .collect()
}

fn stall(body: Pieces, after: u64, pause: Duration) -> Pieces {
    Box::pin(stream::unfold(
        (body, after, Bytes::new()),
        move |(mut body, left, rest)| async move {
            if !rest.is_empty() {
                tokio::time::sleep(pause).await;
                return Some((Ok(rest), (body, u64::MAX, Bytes::new())));
            }
            let mut piece = match body.next().await? {
                Ok(piece) => piece,
                Err(error) => return Some((Err(error), (body, left, rest))),
            };
            match usize::try_from(left) {
                Ok(before) if before < piece.len() => {
                    let rest = piece.split_off(before);
                    Some((Ok(piece), (body, u64::MAX, rest)))
                }
                _ => {
                    let left = left.saturating_sub(piece.len() as u64);
                    Some((Ok(piece), (body, left, Bytes::new())))
                }
            }
        },
    ))
}

/// The compressed body; a later piece brings bytes that the encoder still buffers.
pub(crate) fn gzip(body: Pieces) -> Pieces {
    let encoder = Some(GzEncoder::new(Vec::new(), Compression::fast()));
    Box::pin(stream::unfold(
        (body, encoder),
        |(mut body, encoder)| async move {
            let mut encoder = encoder?;
            loop {
                let done = match body.next().await {
                    Some(Ok(piece)) => encoder.write_all(&piece).map(|()| false),
                    Some(Err(error)) => Err(error),
                    None => Ok(true),
                };
                match done {
                    Ok(true) => return Some((encoder.finish().map(Bytes::from), (body, None))),
                    Ok(false) if encoder.get_ref().is_empty() => {}
                    Ok(false) => {
                        let compressed = std::mem::take(encoder.get_mut());
                        return Some((Ok(compressed.into()), (body, Some(encoder))));
                    }
                    Err(error) => return Some((Err(error), (body, None))),
                }
            }
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body() -> Pieces {
        pieces(Body::from_stream(stream::iter(
            ["abc", "defg", "hi"].map(|part| io::Result::Ok(Bytes::from(part))),
        )))
    }

    async fn collect(mut body: Pieces) -> (String, bool) {
        let mut text = String::new();
        while let Some(piece) = body.next().await {
            match piece {
                Ok(piece) => text.extend(piece.iter().copied().map(char::from)),
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }

    #[tokio::test]
    async fn every_fault_keeps_the_bytes_that_it_lets_through() {
        let pause = Duration::from_millis(1);
        for (fault, expected) in [
            (Kind::CutAfter(5), ("abcde", false)),
            (Kind::CutAfter(0), ("", false)),
            (Kind::EndAfter(7), ("abcdefg", true)),
            (Kind::Slow { bytes_per_second: 40 }, ("abcdefghi", true)),
            (Kind::Stall { after: 4, pause }, ("abcdefghi", true)),
            (Kind::Stall { after: 0, pause }, ("abcdefghi", true)),
            (Kind::Html, ("abcdefghi", true)),
        ] {
            let (text, whole) = collect(with_fault(body(), &fault)).await;
            assert_eq!((text.as_str(), whole), expected, "{fault:?}");
        }
    }
}
