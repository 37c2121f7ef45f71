//! One answer of the tenant with what a run does not look at: its status, whatever it is, its headers as far as they matter, and its
//! whole body. Only a probe asks for it.

use std::time::Duration;

use bytes::Bytes;

use super::Time;

/// An answer.
#[derive(Debug, Clone)]
pub struct Examined {
    /// The status.
    pub status: u16,
    /// The header `Date`.
    pub date: Option<Time>,
    /// The header `Retry-After`.
    pub retry_after: Option<RetryAfter>,
    /// How the body was compressed.
    pub encoding: Encoding,
    /// What kind of body it is.
    pub form: BodyForm,
    /// Whether the client takes an answer with such a status for the API's own, and not for that of something in front of it.
    pub is_own: bool,
    /// The body, decompressed.
    pub body: Bytes,
    /// When its headers came, by our clock.
    pub answered_at: Time,
    /// From sending to the end of the body.
    pub took: Duration,
}

/// A header `Retry-After`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryAfter {
    /// The wait; none if the header cannot be read.
    pub wait: Option<Duration>,
    /// Whether the header names a date, and not a number of seconds.
    pub is_date: bool,
}

/// How a body is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// By gzip.
    Gzip,
    /// By Zstandard.
    Zstd,
    /// By Brotli.
    Brotli,
    /// In another way.
    Other,
}

impl Encoding {
    /// The word for a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Brotli => "brotli",
            Self::Other => "another encoding",
        }
    }
}

/// What kind of body an answer has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyForm {
    /// A JSON object.
    Json,
    /// None.
    Empty,
    /// A web page.
    Html,
    /// Anything else.
    Other,
}

impl BodyForm {
    /// The words for a report.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "a JSON object",
            Self::Empty => "no body",
            Self::Html => "a web page",
            Self::Other => "another text",
        }
    }
}
