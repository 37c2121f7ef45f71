//! A response whose body is being read. The body is decompressed while it streams, and given up if it arrives too
//! slowly. Only the time spent waiting for the tenant counts, not the time in which nobody reads (the database is
//! busy).

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;
use tokio::time::Instant;

use crate::blueconic::decompress::BodyDecompressor;
use crate::blueconic::error::ClientError;
use crate::blueconic::inflate::DecompressError;
use crate::config::settings::Tenant;
use crate::model::metrics::Traffic;

/// A byte order mark, which some servers send before JSON.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The limits for a slow body.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// `tenant.least_rate`: bytes a second on the wire, on average over a window; zero: any.
    least_rate: u64,
    window: Duration,
    /// `tenant.page_timeout`.
    longest: Duration,
}

impl Bounds {
    /// The window is twice the `read_timeout`: a pause within the `read_timeout` is no fault.
    pub(super) fn of(tenant: &Tenant) -> Self {
        Self {
            least_rate: tenant.least_rate as u64,
            window: tenant.read_timeout.saturating_mul(2),
            longest: tenant.page_timeout,
        }
    }
}

/// A response, and what of its body has been read.
pub(super) struct Incoming {
    response: Response,
    decompressor: Result<BodyDecompressor, DecompressError>,
    pace: Pace,
    first: Option<Bytes>,
    over: bool,
    traffic: Arc<Traffic>,
}

impl Incoming {
    pub(super) fn new(response: Response, bounds: Bounds, traffic: Arc<Traffic>) -> Self {
        let encodings = response.headers().get_all(CONTENT_ENCODING);
        let decompressor = BodyDecompressor::new(encodings.iter().filter_map(|value| value.to_str().ok()));
        Self {
            response,
            decompressor,
            pace: Pace::new(bounds),
            first: None,
            over: false,
            traffic,
        }
    }

    /// Its status and headers.
    pub(super) fn response(&self) -> &Response {
        &self.response
    }

    /// The next decompressed bytes; none at the end of a complete body.
    pub(super) async fn chunk(&mut self, call: &str) -> Result<Option<Bytes>, ClientError> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        loop {
            let decompressor = self
                .decompressor
                .as_mut()
                .map_err(|why| decompress_fault(call, why.clone()))?;
            let piece = decompressor.next().map_err(|why| decompress_fault(call, why))?;
            if let Some(piece) = &piece {
                self.traffic.unpacked.add(piece.len() as u64);
            }
            if piece.is_some() || self.over {
                return Ok(piece);
            }
            let began = Instant::now();
            let came = self.response.chunk().await;
            if let Some(chunk) = came.map_err(|error| ClientError::transport(call, error))? {
                self.traffic.received.add(chunk.len() as u64);
                self.pace.came(call, began.elapsed(), chunk.len())?;
                decompressor.push(chunk);
            } else {
                decompressor.close();
                self.over = true;
            }
        }
    }

    /// Reads up to the first byte that is not whitespace and returns what was read, without a byte order mark. The
    /// bytes stay in the body.
    pub(super) async fn look(&mut self, call: &str, most: usize) -> Result<Bytes, ClientError> {
        let mut first = BytesMut::new();
        while unmarked(&first).trim_ascii().is_empty() && first.len() <= most {
            match self.chunk(call).await? {
                Some(chunk) => first.extend_from_slice(&chunk),
                None => break,
            }
        }
        let mark = first.len() - unmarked(&first).len();
        let first = first.split_off(mark).freeze();
        self.first = Some(first.clone());
        Ok(first)
    }
}

/// The bytes after a byte order mark, which may have arrived in part.
fn unmarked(start: &[u8]) -> &[u8] {
    if BYTE_ORDER_MARK.starts_with(start) {
        return &[];
    }
    start.strip_prefix(BYTE_ORDER_MARK).unwrap_or(start)
}

fn decompress_fault(call: &str, why: DecompressError) -> ClientError {
    let call = call.to_owned();
    match why {
        DecompressError::Broken(why) => ClientError::Compressed { call, why },
        DecompressError::Excessive(why) => ClientError::Excessive { call, why },
    }
}

/// The rate of a body.
struct Pace {
    bounds: Bounds,
    waited: Duration,
    bytes: u64,
    /// The waiting time since the window was opened.
    waited_in_window: Duration,
    bytes_in_window: u64,
}

impl Pace {
    fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            waited: Duration::ZERO,
            bytes: 0,
            waited_in_window: Duration::ZERO,
            bytes_in_window: 0,
        }
    }

    /// Records that `length` bytes arrived after a wait. An endless wait is ended by `read_timeout`.
    fn came(&mut self, call: &str, waited: Duration, length: usize) -> Result<(), ClientError> {
        self.waited += waited;
        self.bytes += length as u64;
        self.waited_in_window += waited;
        self.bytes_in_window += length as u64;
        let too_slow = |why: String| {
            Err(ClientError::Slow {
                call: call.to_owned(),
                why,
            })
        };
        let Bounds {
            least_rate, longest, ..
        } = self.bounds;
        if self.waited > longest {
            let longest = humantime::format_duration(longest);
            return too_slow(format!(
                "{} bytes came within `tenant.page_timeout` ({longest})",
                self.bytes
            ));
        }
        if self.waited_in_window >= self.bounds.window {
            let seconds = self.waited_in_window.as_secs_f64();
            #[expect(
                clippy::cast_precision_loss,
                reason = "a rate of so many bytes needs no last digit"
            )]
            if (self.bytes_in_window as f64) < seconds * least_rate as f64 {
                let waited = humantime::format_duration(Duration::from_secs(self.waited_in_window.as_secs()));
                return too_slow(format!(
                    "{} bytes came in the last {waited}; `tenant.least_rate` is {least_rate} a second",
                    self.bytes_in_window
                ));
            }
            self.waited_in_window = Duration::ZERO;
            self.bytes_in_window = 0;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    fn pace(least_rate: u64) -> Pace {
        Pace::new(Bounds {
            least_rate,
            window: Duration::from_mins(2),
            longest: Duration::from_hours(1),
        })
    }

    /// How often bytes arrive before the body is given up, and the message.
    fn tries(least_rate: u64, wait: Duration, length: usize) -> (u32, String) {
        let mut pace = pace(least_rate);
        for number in 1..10_000 {
            if let Err(error) = pace.came("GET /p", wait, length) {
                assert!(error.is_transient() && error.is_repeatable());
                assert_eq!(error.to_string(), "GET /p: the tenant's answer comes too slowly");
                return (number, error.why().unwrap());
            }
        }
        (0, String::new())
    }

    #[test]
    fn a_body_that_trickles_is_given_up_and_one_that_flows_is_not() {
        let (number, why) = tries(256, Duration::from_secs(59), 1);
        assert_eq!(
            (number, why.as_str()),
            (
                3,
                "3 bytes came in the last 2m 57s; `tenant.least_rate` is 256 a second"
            )
        );
        assert_eq!(tries(256, Duration::from_secs(1), 255).0, 120);
        // The lowest allowed rate is accepted, up to the longest time.
        let (number, why) = tries(256, Duration::from_secs(1), 256);
        assert_eq!(number, 3601);
        assert!(why.contains("`tenant.page_timeout` (1h)"), "{why}");
        assert_eq!(tries(0, Duration::from_secs(1), 1).0, 3601);
        // Bytes without a wait are never too slow.
        assert_eq!(tries(256, Duration::ZERO, 1).0, 0);
    }

    #[test]
    fn a_pause_that_is_allowed_for_is_no_trickle() {
        let mut pace = pace(256);
        pace.came("GET /p", Duration::from_mins(1), 1).unwrap();
        pace.came("GET /p", Duration::from_secs(1), 20_000).unwrap();
        pace.came("GET /p", Duration::from_mins(1), 20_000).unwrap();
        pace.came("GET /p", Duration::from_mins(1), 1).unwrap();
    }
}
