//! The query parameters of the API: some repeat, numbers are checked, unknown ones are ignored.

use axum::http::Uri;

use crate::answer::Refusal;
use crate::dates;

/// The decoded parameters of one request, in order.
#[derive(Clone, Debug)]
pub(crate) struct Query {
    pairs: Vec<(String, String)>,
}

/// The requested part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paging {
    pub(crate) start: u64,
    pub(crate) count: u64,
}

impl Paging {
    /// All elements of a listing without pages.
    pub(crate) fn whole(count: usize) -> Self {
        Self {
            start: 0,
            count: count.max(1) as u64,
        }
    }
}

/// The default that the document names for properties; for segments it names none.
const DEFAULT_COUNT: u64 = 20;

impl Query {
    pub(crate) fn of(uri: &Uri) -> Self {
        let query = uri.query().unwrap_or_default();
        Self {
            pairs: url::form_urlencoded::parse(query.as_bytes())
                .into_owned()
                .collect(),
        }
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs
            .iter()
            .filter(move |(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn one<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        self.all(name).next()
    }

    /// All parameters but these.
    pub(crate) fn besides(&self, names: &[&str]) -> Vec<(String, String)> {
        let others = self
            .pairs
            .iter()
            .filter(|(key, _)| !names.contains(&key.as_str()));
        others.cloned().collect()
    }

    /// A whole number in a range, or the default.
    pub(crate) fn number(&self, name: &str, least: u64, most: u64, default: u64) -> Result<u64, Refusal> {
        let Some(text) = self.one(name) else {
            return Ok(default);
        };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        let reason = || Refusal::bad_request(format!("`{name}` is a whole number from {least} to {most}"));
        number.ok_or_else(reason)
    }

    /// An ISO 8601 date with an offset.
    pub(crate) fn date(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read =
            |text| dates::parse(text).ok_or_else(|| Refusal::bad_request(format!("`{name}` is ISO 8601")));
        self.one(name).map(read).transpose()
    }

    /// `startIndex` and `count`, both 32-bit in the document.
    pub(crate) fn paging(&self) -> Result<Paging, Refusal> {
        let most = u64::from(i32::MAX.unsigned_abs());
        Ok(Paging {
            start: self.number("startIndex", 0, most, 0)?,
            count: self.number("count", 1, most, DEFAULT_COUNT)?,
        })
    }
}
