//! Cron expressions of five or six fields, as the settings hold them and the schedule computes with them.

use croner::Cron;
use croner::parser::{CronParser, Seconds};

/// Understands an expression; the error is a sentence for a person.
pub fn parse(expression: &str) -> Result<Cron, String> {
    CronParser::builder()
        .seconds(Seconds::Optional)
        .build()
        .parse(expression)
        .map_err(|error| format!("a cron expression of five or six fields is wanted ({error})"))
}
