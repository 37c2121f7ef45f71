//! Cron expressions of five or six fields, as the settings hold them and the schedule computes with them.

use chrono::DateTime;
use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};

/// Understands an expression; the error is a sentence for a person. One that never comes true (30 February) is wrong.
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
