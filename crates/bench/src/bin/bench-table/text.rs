//! Numbers for people.

use crate::results::Spread;

/// `123,456 (120,000 to 130,000)`
pub(crate) fn rate(spread: Spread) -> String {
    spread_as(spread, |value| grouped(value.round()))
}

/// `0.93 (0.91 to 0.95)`
pub(crate) fn ratio(spread: Spread) -> String {
    spread_as(spread, |value| format!("{value:.2}"))
}

/// `1.52 s (1.50 to 1.60)`
pub(crate) fn seconds(spread: Spread) -> String {
    let digits = if spread.median < 10.0 { 2 } else { 1 };
    spread_as(spread, |value| format!("{value:.digits$}")) + " s"
}

/// KiB as MiB.
pub(crate) fn memory(spread: Spread) -> String {
    spread_as(spread, |value| format!("{:.1}", value / 1024.0)) + " MiB"
}

/// Bytes as MB.
pub(crate) fn megabytes(spread: Spread) -> String {
    spread_as(spread, |value| format!("{:.2}", value / 1e6)) + " MB"
}

/// A share as per cent.
pub(crate) fn percent(spread: Spread) -> String {
    spread_as(spread, |value| format!("{:.3}", value * 100.0)) + " %"
}

fn spread_as(spread: Spread, write: impl Fn(f64) -> String) -> String {
    let (median, least, most) = (write(spread.median), write(spread.least), write(spread.most));
    if least == most {
        median
    } else {
        format!("{median} ({least} to {most})")
    }
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_parted() {
        for (number, text) in [
            (7.0, "7"),
            (999.0, "999"),
            (1_000.0, "1,000"),
            (1_234_567.0, "1,234,567"),
        ] {
            assert_eq!(grouped(number), text);
        }
    }
}
