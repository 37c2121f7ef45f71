//! Cron expressions of five or six fields, for the settings and the schedule.

use chrono::DateTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Parses an expression; the error is a sentence for a person. An expression that never matches (30 February) is an error.
pub fn parse(expression: &str) -> Result<Cron, String> {
    let cron = CronParser::builder()
        .seconds(Seconds::Optional)
        .year(Year::Disallowed)
        .build()
        .parse(expression)
        .map_err(|error| format!("a cron expression of five or six fields is expected ({error})"))?;
    match cron.find_next_occurrence(&DateTime::UNIX_EPOCH, true) {
        Ok(_) => Ok(cron),
        Err(_) => Err("there is no such day: the expression never comes true".to_owned()),
    }
}
