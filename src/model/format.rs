//! Formats counts, durations and times for people: the same for the commands and the status page.

use std::time::Duration;

use super::Time;

/// A count with separators: `1,234,567`.
pub fn count(number: impl Into<i128>) -> String {
    let number = number.into();
    let digits = number.unsigned_abs().to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3 + 1);
    if number < 0 {
        text.push('-');
    }
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count, or a dash if it is not known.
pub fn known(number: Option<impl Into<i128>>) -> String {
    number.map_or_else(|| "-".to_owned(), count)
}

/// A number of bytes: `612 B`, `1.4 MiB`, `3.0 TiB`.
pub fn bytes(number: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if number < 1024 {
        return format!("{number} B");
    }
    // Tenths of a unit, in whole numbers.
    let (mut tenths, mut unit) = (u128::from(number) * 10 / 1024, 0);
    while tenths >= 10_240 && unit + 1 < UNITS.len() {
        tenths /= 1024;
        unit += 1;
    }
    let unit = UNITS.get(unit).copied().unwrap_or_default();
    format!("{}.{} {unit}", tenths / 10, tenths % 10)
}

/// A duration for a command's summary: `0.4 s`, `2 min 5 s`, `3 h 12 min`.
pub fn precise(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no run takes 2^64 seconds"
    )]
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

/// A duration for a page: `12 s`, `1 min 20 s`, and from ten minutes on as [`rough`].
pub fn rounded(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        60..600 if !seconds.is_multiple_of(60) => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => rough(time),
    }
}

/// A distance in time: `12 s`, `3 min`, `5 h 20 min`, `2 days`.
pub fn rough(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match seconds {
        0 => "less than a second".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{minutes} min"),
        3600..86_400 if minutes.is_multiple_of(60) => format!("{hours} h"),
        3600..86_400 => format!("{hours} h {} min", minutes % 60),
        86_400..172_800 => "a day".to_owned(),
        _ => format!("{days} days"),
    }
}

/// A time as seen from now: `3 min ago`, `in 12 s`, `just now`.
pub fn relative(time: Time, now: Time) -> String {
    let distance = (now - time).abs().to_std().unwrap_or_default();
    match (now - time).num_seconds() {
        0 => "just now".to_owned(),
        seconds if seconds > 0 => format!("{} ago", rough(distance)),
        _ => format!("in {}", rough(distance)),
    }
}

/// A time to the second, in UTC, without saying so: `2025-06-10 12:03:00`.
pub fn moment(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A time to the minute: `12:03 UTC`, with the date if it is not today.
pub fn clock(time: Time, now: Time) -> String {
    let format = if time.date_naive() == now.date_naive() {
        "%H:%M UTC"
    } else {
        "%-d %b, %H:%M UTC"
    };
    time.format(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    #[test]
    fn counts_are_grouped() {
        let shown = [0, 12, 999, 1000, -1_234_567, i64::MIN].map(count);
        let wanted = [
            "0",
            "12",
            "999",
            "1,000",
            "-1,234,567",
            "-9,223,372,036,854,775,808",
        ];
        assert_eq!(shown, wanted);
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
        assert_eq!([known(None::<u64>), known(Some(1000_u64))], ["-", "1,000"]);
    }

    #[test]
    fn bytes_have_one_digit_behind_the_point() {
        let numbers = [0, 1023, 1024, 1_500_000, 3 << 40, u64::MAX];
        assert_eq!(
            numbers.map(bytes),
            ["0 B", "1023 B", "1.0 KiB", "1.4 MiB", "3.0 TiB", "15.9 EiB"]
        );
    }

    #[test]
    fn durations_have_one_or_two_units() {
        let seconds = [0, 59, 119, 3600, 19_200, 86_400, 200_000];
        let shown = seconds.map(|seconds| rounded(Duration::from_secs(seconds)));
        let wanted = [
            "less than a second",
            "59 s",
            "1 min 59 s",
            "1 h",
            "5 h 20 min",
            "a day",
            "2 days",
        ];
        assert_eq!(shown, wanted);
        let shown = [0.44, 59.9, 125.0, 11_520.0].map(precise);
        assert_eq!(shown, ["0.4 s", "59.9 s", "2 min 5 s", "3 h 12 min"]);
    }

    #[test]
    fn times_are_seen_from_now() {
        let now = Utc.with_ymd_and_hms(2025, 6, 10, 12, 3, 0).unwrap();
        let shown = [-61, 0, 121].map(|seconds| relative(now + chrono::Duration::seconds(seconds), now));
        assert_eq!(shown, ["1 min ago", "just now", "in 2 min"]);
        assert_eq!(clock(now, now), "12:03 UTC");
        assert_eq!(clock(now - chrono::Duration::days(1), now), "9 Jun, 12:03 UTC");
        assert_eq!(moment(now), "2025-06-10 12:03:00");
    }
}
