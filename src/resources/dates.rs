//! Parses dates as the tenant, or a gateway before it, writes them: one rule for profiles, lists and audit events. The forms:
//!
//! - ISO 8601: `2023-03-27T10:36:11.990Z`, with a blank for the `T` or lower case, without seconds, with a comma before the
//!   fraction, with a zone (`Z`, `+02:00`, `+0200`, `+02`) or without one, which is UTC; a date alone is its midnight in UTC;
//! - the date of HTTP and mail: `Mon, 27 Mar 2023 10:36:11 GMT`;
//! - the epoch: milliseconds, or seconds where milliseconds would lie in the first years (1970 to 1973); a fraction is dropped.

use std::borrow::Cow;

use chrono::format::{Fixed, Item, Numeric, Pad, Parsed};
use chrono::{DateTime, Datelike, NaiveDateTime, NaiveTime};

use crate::model::Time;

/// A number from here on is in milliseconds: March 1973. In seconds it would be after the year 5000.
const LEAST_MILLISECONDS: i64 = 100_000_000_000;
/// A smaller number from here on is in seconds: March 1973. A number below is in milliseconds: the first days of 1970.
const LEAST_SECONDS: i64 = 100_000_000;

/// `%Y-%m-%d`. The forms are read once, here, since two dates of every profile are parsed.
const DATE: [Item<'static>; 5] = [
    number(Numeric::Year),
    Item::Literal("-"),
    number(Numeric::Month),
    Item::Literal("-"),
    number(Numeric::Day),
];
/// `%H:%M:%S%.f`.
const CLOCK: [Item<'static>; 6] = [
    number(Numeric::Hour),
    Item::Literal(":"),
    number(Numeric::Minute),
    Item::Literal(":"),
    number(Numeric::Second),
    Item::Fixed(Fixed::Nanosecond),
];
/// `%H:%M`.
const CLOCK_OF_MINUTES: [Item<'static>; 3] =
    [number(Numeric::Hour), Item::Literal(":"), number(Numeric::Minute)];

const fn number(of: Numeric) -> Item<'static> {
    Item::Numeric(of, Pad::Zero)
}

/// Parses a date. None for a date before year 1 or after 9999, which PostgreSQL or people cannot use.
pub(super) fn parse(text: &str) -> Option<Time> {
    let text = text.trim();
    epoch(text)
        .or_else(|| iso(text))
        .or_else(|| DateTime::parse_from_rfc2822(text).ok().map(|time| time.to_utc()))
        .filter(|time| (1..=9999).contains(&time.year()))
}

fn epoch(text: &str) -> Option<Time> {
    let whole = match text.split_once('.') {
        Some((whole, fraction)) if fraction.bytes().all(|digit| digit.is_ascii_digit()) => whole,
        Some(_) => return None,
        None => text,
    };
    let number: i64 = whole.parse().ok()?;
    if (LEAST_SECONDS..LEAST_MILLISECONDS).contains(&number) {
        return DateTime::from_timestamp_secs(number);
    }
    DateTime::from_timestamp_millis(number)
}

/// The form of ISO 8601 alone, without blanks around it.
pub(super) fn iso(text: &str) -> Option<Time> {
    let date = read(text.get(..10)?, &DATE)?.to_naive_date().ok()?;
    let rest = text.get(10..)?;
    if rest.is_empty() {
        return Some(date.and_time(NaiveTime::MIN).and_utc());
    }
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let (clock, zone) = rest.split_at(rest.find(['Z', 'z', '+', '-', ' ']).unwrap_or(rest.len()));
    let local = date.and_time(clock_time(clock)?);
    utc(local, zone.trim_start())
}

/// `10:36`, `10:36:11`, `10:36:11.990`, `10:36:11,990`. A leap second becomes the last nanosecond before the next second.
fn clock_time(text: &str) -> Option<NaiveTime> {
    let text = if text.contains(',') {
        Cow::Owned(text.replacen(',', ".", 1))
    } else {
        Cow::Borrowed(text)
    };
    read(&text, &CLOCK)
        .or_else(|| read(&text, &CLOCK_OF_MINUTES))
        .and_then(|parts| parts.to_naive_time().ok())
}

fn read(text: &str, form: &[Item<'_>]) -> Option<Parsed> {
    let mut parts = Parsed::new();
    chrono::format::parse(&mut parts, text, form.iter()).ok()?;
    Some(parts)
}

fn utc(local: NaiveDateTime, zone: &str) -> Option<Time> {
    let ahead = match zone {
        "" | "Z" | "z" | "UTC" | "GMT" => return Some(local.and_utc()),
        zone if zone.starts_with('+') => 1,
        _ => -1,
    };
    let digits = zone.strip_prefix(['+', '-'])?.replacen(':', "", 1);
    let (hours, minutes) = match digits.len() {
        2 => (digits.as_str(), "0"),
        4 => digits.split_at_checked(2)?,
        _ => return None,
    };
    let is_number = |text: &str| text.bytes().all(|digit| digit.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (hours.parse().ok()?, minutes.parse().ok()?);
    // Real zones are at most 14 hours from UTC; databases accept up to 24.
    let within = hours < 24 && minutes < 60;
    let offset = chrono::TimeDelta::minutes(ahead * (hours * 60 + minutes));
    within
        .then(|| local.and_utc().checked_sub_signed(offset))
        .flatten()
}

#[cfg(test)]
mod tests {
    use chrono::Utc;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn all_forms_of_one_moment_are_one() {
        let expected = DateTime::<Utc>::from_timestamp_millis(1_679_913_371_990);
        for text in [
            "1679913371990",
            "1679913371990.0",
            "2023-03-27T10:36:11.990Z",
            "2023-03-27T10:36:11.99z",
            "2023-03-27t10:36:11,990Z",
            "2023-03-27 10:36:11.990Z",
            "2023-03-27 10:36:11.990 UTC",
            "2023-03-27 10:36:11.990 +0000",
            "2023-03-27T12:36:11.990+02:00",
            "2023-03-27T12:36:11.990+0200",
            "2023-03-27T12:36:11.990+02",
            "2023-03-27T06:06:11.990-04:30",
            "2023-03-27T10:36:11.990",
            " 2023-03-27T10:36:11.990Z ",
        ] {
            assert_eq!(parse(text), expected, "{text}");
        }
        let without_fraction = DateTime::<Utc>::from_timestamp_millis(1_679_913_371_000);
        for text in [
            "1679913371",
            "2023-03-27T10:36:11Z",
            "Mon, 27 Mar 2023 10:36:11 GMT",
            "27 Mar 2023 12:36:11 +0200",
        ] {
            assert_eq!(parse(text), without_fraction, "{text}");
        }
        let minute = DateTime::<Utc>::from_timestamp_secs(1_679_913_360);
        for text in ["2023-03-27T10:36Z", "2023-03-27 10:36", "2023-03-27T12:36+02"] {
            assert_eq!(parse(text), minute, "{text}");
        }
        assert_eq!(parse("2023-03-27"), DateTime::from_timestamp_secs(1_679_875_200));
    }

    #[test]
    fn small_and_negative_numbers_are_milliseconds() {
        for number in [
            0,
            1,
            86_400_000,
            -1,
            -86_400_000,
            LEAST_SECONDS - 1,
            LEAST_MILLISECONDS,
        ] {
            assert_eq!(
                parse(&number.to_string()),
                DateTime::from_timestamp_millis(number),
                "{number}"
            );
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "yesterday",
            "9223372036854775807",
            "-62135596800001",
            "2023-02-30T00:00:00Z",
            "2023 -2-03",
            "2023-02-03T24:00:00Z",
            "2023-02-03T",
            "2023-02-03TZ",
            "2023-02-03T10:36:11+2",
            "2023-02-03T10:36:11+02:0",
            "2023-02-03T10:36:11 Berlin",
            "2023-02-03x",
            "03/27/2023",
            "1679913371.9x",
            "0000-01-01T00:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9TZtz:+., eéß-]{0,40}") {
            let _ = parse(&text);
        }
    }
}
