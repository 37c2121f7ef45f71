//! Plain data and the ports between the layers: no I/O, no SQL, no HTTP, nothing imported from the layers above.

pub mod batch;
pub mod children;
pub mod clocks;
pub mod column_name;
pub mod cursor;
pub mod decimal;
pub mod description;
pub mod dictionary;
pub mod drift;
pub mod event;
pub mod examined;
pub mod fault;
pub mod format;
pub mod history;
pub mod job;
pub mod known_hashes;
pub mod known_set;
pub mod lease;
pub mod ledger;
pub mod liveness;
pub mod page;
pub mod personal_data;
pub mod ports;
pub mod position;
pub mod probe;
pub mod property_columns;
pub mod recorded_histories;
pub mod removals;
pub mod retention;
pub mod rows;
pub mod sampling;
pub mod sanitize;
pub mod scrub;
pub mod seen;
pub mod segment;
pub mod sorted_hashes;
pub mod status;
pub mod table;
pub mod timetable;
pub mod tokens;
pub mod verdict;
pub mod verification;
pub mod walk;
pub mod window;

/// A moment in UTC. Every time in this program is one; zones exist only in cron expressions.
pub type Time = chrono::DateTime<chrono::Utc>;
