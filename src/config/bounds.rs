//! The bounds of every duration, size and count, in one table. A value outside of its bounds would overflow, exhaust or stall
//! something, so it is refused at the start, with the bounds and the reason.

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use toml::Value;

use super::error::SettingsError;
use super::keys::for_each_list;
use super::reader::{list_in, look_up};
use crate::model::description::Registry;

/// An amount with the unit of its setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Amount {
    /// Milliseconds, written as a duration.
    Time(u64),
    /// Bytes, written as a size.
    Bytes(u64),
    /// A whole number.
    Count(u64),
}

use Amount::{Bytes, Count, Time};

/// The bounds of one setting, both inclusive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// The key; `TABLES[].KEY` for the key of each table in a list of tables, `resources.LIST.KEY` for the key of each plain
    /// list.
    pub(super) key: &'static str,
    /// The smallest value.
    pub(super) least: Amount,
    /// The largest value.
    pub(super) most: Amount,
    /// The reason for the bounds.
    pub(super) why: &'static str,
}

const fn from(key: &'static str, least: Amount, most: Amount, why: &'static str) -> Bounds {
    Bounds {
        key,
        least,
        most,
        why,
    }
}

const SECOND: u64 = 1000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
const KIB: u64 = 1024;
const MIB: u64 = 1024 * KIB;

/// The bounds, in the order of the settings.
#[rustfmt::skip]
pub(super) const BOUNDS: &[Bounds] = &[
    from("tenant.connect_timeout", Time(100), Time(10 * MINUTE), "a shorter one fails on an ordinary network, a longer one hides a firewall"),
    from("tenant.read_timeout", Time(100), Time(HOUR), "a shorter one fails on an ordinary network, a longer one hides a dead connection"),
    from("tenant.page_timeout", Time(100), Time(7 * DAY), "a shorter one fails on an ordinary network, a longer one is no bound"),
    from("tenant.least_rate", Bytes(1), Bytes(MIB), "zero would bound nothing, more than that is no slow network"),
    from("database.max_connections", Count(4), Count(1000), "one loads, three do the rest; a server rarely takes more than some hundred"),
    from("database.load_connections", Count(1), Count(64), "each one holds batches in memory"),
    from("limits.requests_per_second", Count(1), Count(100_000), "no tenant answers more"),
    from("limits.burst", Count(1), Count(100_000), "no tenant answers more"),
    from("limits.concurrent_requests", Count(1), Count(1000), "each one holds a connection"),
    from("limits.requests_per_month", Count(1), Count(100_000_000_000), "zero would hold every full walk for ever, and no rate sends more"),
    from("limits.traffic_per_month", Bytes(KIB), Bytes(1024 * 1024 * 1024 * MIB), "less is not even one page, and no tenant sends more"),
    from("limits.element_size", Bytes(KIB), Bytes(255 * MIB), "an element is held in memory, and PostgreSQL takes no larger JSON"),
    from("limits.batch_size", Bytes(KIB), Bytes(256 * MIB), "each load connection holds batches of this size in memory"),
    from("limits.memory", Bytes(48 * MIB), Bytes(64 * 1024 * MIB), "reading and loading take 45 MiB themselves, and no tenant has as many profiles"),
    from("retry.initial_delay", Time(1), Time(HOUR), "without a delay a fault is repeated in a tight loop"),
    from("retry.max_delay", Time(1), Time(DAY), "without a delay a fault is repeated in a tight loop"),
    from("retry.give_up_after", Time(1), Time(7 * DAY), "a run that never gives up is never reported"),
    from("schedule.heartbeat", Time(SECOND), Time(HOUR), "jobs are looked for once a second at the most"),
    from("schedule.lease_ttl", Time(SECOND), Time(HOUR), "a killed process keeps others away for so long"),
    from("retention.runs", Time(DAY), Time(36_600 * DAY), "`status` compares the runs of the last day, and no service runs for longer"),
    from("retention.rejects", Time(DAY), Time(36_600 * DAY), "each walk needs a day to try them again, and no service runs for longer"),
    from("retention.audit_events", Time(31 * DAY), Time(36_600 * DAY), "the tenant keeps them for 30 days, and no service runs for longer"),
    from("schedule.jitter", Time(0), Time(HOUR), "a job that starts an hour later has another schedule"),
    from("changes.keep", Time(HOUR), Time(366 * DAY), "a consumer reads the feed between two runs, and copies whole tables after a year"),
    from("resources.LIST.fresh_within", Time(MINUTE), Time(366 * DAY), "no table is younger than the pause between two runs"),
    from("resources.LIST.page_size", Count(1), Count(10_000), "a page of a list is held in memory"),
    from("resources.profiles.fresh_within", Time(MINUTE), Time(366 * DAY), "no table is younger than the pause between two runs"),
    from("resources.profiles.page_size", Count(1), Count(1_000_000), "the tenant answers with at most 1000000"),
    from("resources.profiles.overlap", Time(0), Time(366 * DAY), "`backfill --full` reads everything"),
    from("resources.profiles.max_removals", Count(0), Count(1_000_000_000_000), "a table has fewer rows"),
    from("resources.profiles.timeline_count", Count(1), Count(100_000), "zero asks for no event, and an array of the tenant is read up to 100000 entries"),
    from("resources.audit_events.fresh_within", Time(MINUTE), Time(366 * DAY), "no table is younger than the pause between two runs"),
    from("resources.audit_events.page_size", Count(1), Count(1000), "the tenant answers with at most 1000"),
    from("resources.audit_events.overlap", Time(0), Time(3660 * DAY), "no tenant keeps events for longer"),
    from("resources.audit_events.scans[].overlap", Time(0), Time(3660 * DAY), "no tenant keeps events for longer"),
    from("resources.audit_events.settle", Time(0), Time(DAY), "events that young are never complete"),
    from("resources.audit_events.retention", Time(HOUR), Time(3660 * DAY), "the tenant keeps events for 30 days"),
    from("notify.remind_after", Time(SECOND), Time(30 * DAY), "a reminder each moment is read by nobody"),
    from("notify.remind_at_most", Time(SECOND), Time(366 * DAY), "a reminder each moment is read by nobody"),
    from("notify.heartbeat_every", Time(SECOND), Time(DAY), "a dead-man switch expects a sign of life once a day at the least"),
];

impl Amount {
    fn number(self) -> u64 {
        match self {
            Time(number) | Bytes(number) | Count(number) => number,
        }
    }

    /// This amount in the unit of [`Self::read`].
    fn counted(self) -> i128 {
        match self {
            Time(_) => i128::from(self.number()) * 1_000_000,
            Bytes(_) | Count(_) => i128::from(self.number()),
        }
    }

    /// A value of the settings in this unit (times in nanoseconds); none for a value that is no amount, which its type reports.
    fn read(self, value: &Value) -> Option<i128> {
        match (self, value) {
            (Time(_), Value::String(text)) => {
                let time = humantime::parse_duration(text).ok()?;
                i128::try_from(time.as_nanos()).ok()
            }
            (Bytes(_), Value::String(text)) => {
                let size = text.parse::<bytesize::ByteSize>().ok()?;
                Some(i128::from(size.as_u64()))
            }
            (Count(_), Value::Integer(number)) => Some(i128::from(*number)),
            (Count(_), Value::String(text)) => text.trim().parse().ok(),
            _ => None,
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Time(milliseconds) => humantime::format_duration(Duration::from_millis(*milliseconds)).fmt(out),
            Bytes(bytes) if bytes.is_multiple_of(MIB) => write!(out, "{}MiB", bytes / MIB),
            Bytes(bytes) if bytes.is_multiple_of(KIB) => write!(out, "{}KiB", bytes / KIB),
            Bytes(number) => write!(out, "{number}B"),
            Count(number) => number.fmt(out),
        }
    }
}

impl Bounds {
    fn holds(&self, value: &Value) -> bool {
        let given = self.least.read(value);
        given.is_none_or(|given| (self.least.counted()..=self.most.counted()).contains(&given))
    }

    fn refuse(&self, key: &str, value: &Value) -> SettingsError {
        SettingsError::BadValue {
            key: key.to_owned(),
            value: match value {
                Value::Integer(number) => number.to_string(),
                other => other.as_str().unwrap_or_default().to_owned(),
            },
            why: format!("from {} to {} is expected ({})", self.least, self.most, self.why),
        }
    }
}

/// Refuses the first value that lies beyond its bounds.
pub(super) fn check(settings: &Value, registry: Registry) -> Result<(), SettingsError> {
    for bounds in BOUNDS {
        for key in for_each_list(bounds.key, registry) {
            let beyond = values(settings, &key)
                .into_iter()
                .find(|value| !bounds.holds(value));
            if let Some(value) = beyond {
                return Err(bounds.refuse(&key, &value));
            }
        }
    }
    Ok(())
}

/// The values under a key. A list of tables may stand in the text of a variable.
fn values<'a>(settings: &'a Value, key: &str) -> Vec<Cow<'a, Value>> {
    let (list, inner) = match key.split_once("[].") {
        Some((list, inner)) => (list, Some(inner)),
        None => (key, None),
    };
    match (look_up(settings, list), inner) {
        (Some(Value::Array(tables)), Some(inner)) => {
            let values = tables.iter().filter_map(|table| table.get(inner));
            values.map(Cow::Borrowed).collect()
        }
        (Some(Value::String(text)), Some(inner)) => {
            let tables = list_in(text);
            let tables = tables.iter().filter_map(Value::as_array).flatten();
            let values = tables.filter_map(|table| table.get(inner));
            values.cloned().map(Cow::Owned).collect()
        }
        (Some(value), None) => vec![Cow::Borrowed(value)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
