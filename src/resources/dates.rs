//! Dates as the tenant writes them: ISO 8601 in most places, epoch milliseconds as text in properties.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};

use crate::model::Time;

/// Reads either form. A date that PostgreSQL or people cannot use (before year 1, after 9999) is none.
pub(super) fn parse(text: &str) -> Option<Time> {
    let text = text.trim();
    epoch_millis(text)
        .or_else(|| iso(text))
        .filter(|time| (1..=9999).contains(&time.year()))
}

fn epoch_millis(text: &str) -> Option<Time> {
    text.parse::<i64>().ok().and_then(DateTime::from_timestamp_millis)
}

/// ISO 8601 with a zone (`Z`, `+02:00`, `+0200`); one without a zone is read as UTC.
fn iso(text: &str) -> Option<Time> {
    DateTime::parse_from_rfc3339(text)
        .or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z"))
        .map(|time| time.with_timezone(&Utc))
        .ok()
        .or_else(|| {
            NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f")
                .ok()
                .map(|time| time.and_utc())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_forms_of_one_moment_are_one() {
        let expected = DateTime::from_timestamp_millis(1_679_913_371_990);
        for text in [
            "1679913371990",
            "2023-03-27T10:36:11.990Z",
            "2023-03-27T12:36:11.990+02:00",
            "2023-03-27T12:36:11.990+0200",
            "2023-03-27T10:36:11.990",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        for text in [
            "",
            "yesterday",
            "9223372036854775807",
            "-62135596800001",
            "2023-02-30T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
