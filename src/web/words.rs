//! Numbers and times as people say them.

use std::time::Duration;

use crate::model::Time;
use crate::model::description::Registry;
use crate::model::position::Scope;

/// `1,234,567`.
pub(super) fn number(value: i64) -> String {
    let digits = value.unsigned_abs().to_string();
    let mut text = String::new();
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if value < 0 { format!("−{text}") } else { text }
}

/// How long something took: `12 s`, `1 min 20 s`, and from ten minutes on as roughly as [`roughly`].
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        60..600 if !seconds.is_multiple_of(60) => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => roughly(time),
    }
}

/// `12 s`, `3 min`, `5 h 20 min`, `2 days`: what a reader needs of a distance in time.
pub(super) fn roughly(time: Duration) -> String {
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

/// `3 min ago`, `in 12 s`, `just now`.
pub(super) fn relative(time: Time, now: Time) -> String {
    let distance = (now - time).abs().to_std().unwrap_or_default();
    match (now - time).num_seconds() {
        0 => "just now".to_owned(),
        seconds if seconds > 0 => format!("{} ago", roughly(distance)),
        _ => format!("in {}", roughly(distance)),
    }
}

/// `2025-06-10 12:03:00 UTC`.
pub(super) fn absolute(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// `12:03 UTC`, with the date where it is not today's.
pub(super) fn clock(time: Time, now: Time) -> String {
    let format = if time.date_naive() == now.date_naive() {
        "%H:%M UTC"
    } else {
        "%-d %b, %H:%M UTC"
    };
    time.format(format).to_string()
}

/// What a resource is called.
pub(super) fn resource(registry: Registry, name: &str) -> String {
    let title = registry.named(name).map(|resource| resource.title);
    title.unwrap_or(name).to_owned()
}

/// What a scope is called; none where a resource has only one.
pub(super) fn scope(registry: Registry, resource: &str, scope: Scope) -> Option<&'static str> {
    let is_only = registry
        .named(resource)
        .is_some_and(|resource| resource.scopes().iter().all(|own| *own == scope));
    match scope {
        _ if is_only => None,
        Scope::Full => Some("everything"),
        Scope::Increment => Some("what changed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone, Utc};

    #[test]
    fn numbers_are_grouped() {
        let shown = [0, 999, 1000, -1_234_567, i64::MIN].map(number);
        assert_eq!(
            shown,
            ["0", "999", "1,000", "−1,234,567", "−9,223,372,036,854,775,808"]
        );
    }

    #[test]
    fn durations_have_one_or_two_units() {
        let shown =
            [0, 59, 119, 3600, 19_200, 86_400, 200_000].map(|seconds| duration(Duration::from_secs(seconds)));
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
    }

    #[test]
    fn times_are_seen_from_now() {
        let now = Utc.with_ymd_and_hms(2025, 6, 10, 12, 3, 0).unwrap();
        let shown = [-61, 0, 121].map(|seconds| relative(now + chrono::Duration::seconds(seconds), now));
        assert_eq!(shown, ["1 min ago", "just now", "in 2 min"]);
        assert_eq!(clock(now, now), "12:03 UTC");
        assert_eq!(clock(now - chrono::Duration::days(1), now), "9 Jun, 12:03 UTC");
    }
}
