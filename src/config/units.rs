//! Parses durations, sizes and shares in the notation of the settings.

use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::model::window::Hours;

/// A bound on removals.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Removals {
    /// A number of rows.
    Rows(u64),
    /// A share of the stored rows, 0 to 100.
    Percent(f64),
}

/// Reads `"500ms"`, `"15m"`, `"30d"`.
pub(super) fn duration<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(input)?;
    humantime::parse_duration(&text)
        .map_err(|_| D::Error::custom("a duration is a text such as \"500ms\", \"15m\" or \"30d\""))
}

/// Reads a duration that may be absent.
pub(super) fn optional_duration<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Duration>, D::Error> {
    duration(input).map(Some)
}

/// Reads `"Europe/Berlin"`.
pub(super) fn time_zone<'de, D: Deserializer<'de>>(input: D) -> Result<chrono_tz::Tz, D::Error> {
    String::deserialize(input)?
        .parse()
        .map_err(|_| D::Error::custom("an IANA zone such as \"UTC\" or \"Europe/Berlin\" is expected"))
}

/// Reads `"22:00-06:00"`.
pub(super) fn hours<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Hours>, D::Error> {
    let text = String::deserialize(input)?;
    text.parse().map(Some).map_err(D::Error::custom)
}

/// Reads `"8MiB"` as bytes.
pub(super) fn size<'de, D: Deserializer<'de>>(input: D) -> Result<usize, D::Error> {
    let text = String::deserialize(input)?;
    text.parse::<bytesize::ByteSize>()
        .ok()
        .and_then(|size| usize::try_from(size.as_u64()).ok())
        .filter(|bytes| *bytes > 0)
        .ok_or_else(|| D::Error::custom("a size is a text such as \"64KiB\" or \"8MiB\""))
}

/// Reads a size that may be absent.
pub(super) fn optional_size<'de, D: Deserializer<'de>>(input: D) -> Result<Option<usize>, D::Error> {
    size(input).map(Some)
}

/// Reads a number of rows, or a share such as `"2%"`.
pub(super) fn removals<'de, D: Deserializer<'de>>(input: D) -> Result<Option<Removals>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Given {
        Rows(u64),
        Text(String),
    }
    let wrong = || D::Error::custom("a number of rows such as 500, or a share such as \"2%\"");
    match Given::deserialize(input).map_err(|_| wrong())? {
        Given::Rows(rows) => Ok(Some(Removals::Rows(rows))),
        Given::Text(text) => parse_removals(&text).map(Some).ok_or_else(wrong),
    }
}

fn parse_removals(text: &str) -> Option<Removals> {
    let Some(share) = text.trim().strip_suffix('%') else {
        return text.trim().parse().ok().map(Removals::Rows);
    };
    let share: f64 = share.trim().parse().ok()?;
    (0.0..=100.0).contains(&share).then_some(Removals::Percent(share))
}
