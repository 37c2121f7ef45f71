//! Dates in the API's form (`2025-01-22T11:21:33.872Z`), written without allocation since every profile has
//! one, and read with any offset, as the document allows.

use chrono::{DateTime, Utc};

/// One day in milliseconds.
pub(crate) const DAY: i64 = 86_400_000;
/// One hour in milliseconds.
pub(crate) const HOUR: i64 = 3_600_000;

/// Appends the date with milliseconds in UTC.
pub(crate) fn write_iso(milliseconds: i64, into: &mut Vec<u8>) {
    let (year, month, day) = civil(milliseconds.div_euclid(DAY));
    let of_day = milliseconds.rem_euclid(DAY);
    digits(year, 4, into);
    into.push(b'-');
    digits(month, 2, into);
    into.push(b'-');
    digits(day, 2, into);
    into.push(b'T');
    digits(of_day / HOUR, 2, into);
    into.push(b':');
    digits(of_day / 60_000 % 60, 2, into);
    into.push(b':');
    digits(of_day / 1_000 % 60, 2, into);
    into.push(b'.');
    digits(of_day % 1_000, 3, into);
    into.push(b'Z');
}

/// The same as text.
pub(crate) fn iso(milliseconds: i64) -> String {
    let mut bytes = Vec::with_capacity(24);
    write_iso(milliseconds, &mut bytes);
    bytes.into_iter().map(char::from).collect()
}

/// Milliseconds of an ISO 8601 date with an offset; `None` for any other text.
pub(crate) fn parse(text: &str) -> Option<i64> {
    Some(
        DateTime::parse_from_rfc3339(text)
            .ok()?
            .with_timezone(&Utc)
            .timestamp_millis(),
    )
}

/// Year, month and day of a day number since 1970 (Howard Hinnant's `civil_from_days`).
fn civil(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[expect(
    clippy::cast_sign_loss,
    reason = "a remainder of a number that is not negative"
)]
fn digits(mut number: i64, width: usize, into: &mut Vec<u8>) {
    let start = into.len();
    into.resize(start + width, b'0');
    for at in (start..start + width).rev() {
        into[at] = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_can_be_read() {
        for milliseconds in [
            0,
            951_782_400_000,
            1_679_913_371_990,
            1_709_164_799_999,
            4_102_444_800_001,
        ] {
            assert_eq!(parse(&iso(milliseconds)), Some(milliseconds));
        }
        assert_eq!(iso(1_679_913_371_990), "2023-03-27T10:36:11.990Z");
    }

    #[test]
    fn an_offset_counts_and_nonsense_does_not() {
        assert_eq!(
            parse("2025-01-22T11:21:33.872+05:00"),
            parse("2025-01-22T06:21:33.872Z")
        );
        assert_eq!(parse("2025-01-22"), None);
        assert_eq!(parse("yesterday"), None);
    }
}
