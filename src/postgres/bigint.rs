//! Counts cross here between `u64` (a count is never negative) and PostgreSQL's `bigint`.

/// A count for a `bigint` column. Nothing that is counted here comes near 2^63.
pub(crate) fn from_count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A `count(*)`, which is never negative.
pub(crate) fn to_count(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A number of things held in memory.
pub(crate) fn from_length(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
