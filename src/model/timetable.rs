//! The schedule as it is shown: jobs with their next times, pauses, and the processes that keep the schedule. A part of the contract of
//! `status --json`.

use std::time::Duration;

use chrono_tz::Tz;
use serde::{Deserialize, Serialize};

use super::position::Scope;
use super::{Time, format};

/// A job of the schedule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobStatus {
    /// Its name.
    pub job: String,
    /// Its cron expression.
    pub cron: String,
    /// The IANA zone that the expression means.
    pub time_zone: String,
    /// When it runs next.
    pub next_run_at: Time,
    /// When it was last claimed; none before its first run.
    pub last_run_at: Option<Time>,
    /// When a person asked for a run that has not ended yet.
    pub requested_at: Option<Time>,
    /// The process that runs it now.
    pub running_by: Option<String>,
}

impl JobStatus {
    /// The time of its next run, in its own zone: `2025-06-10 14:03:00 CEST`.
    pub fn next_run(&self) -> String {
        zoned(self.next_run_at, &self.time_zone)
    }
}

/// A pause of a resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Time,
    /// When it ends by itself; none: with `resume`.
    pub ends_at: Option<Time>,
    /// The role of the database and the host.
    pub by: String,
}

impl Pause {
    /// `until 2026-11-02 10:00:00 UTC`, or until what.
    pub fn end(&self) -> String {
        match self.ends_at {
            Some(end) => format!("until {} UTC", format::moment(end)),
            None => "until `resume`".to_owned(),
        }
    }
}

/// A process that keeps the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Host, process id and a random part, as in leases.
    pub holder: String,
    /// The version of the program.
    pub version: String,
    /// When it first looked for due jobs.
    pub started_at: Time,
    /// When it last did.
    pub seen_at: Time,
    /// How often it does.
    pub heartbeat_seconds: f64,
    /// Whether it looked within the last three heartbeats, and ten seconds.
    pub is_alive: bool,
}

impl Service {
    /// How often it looks for due jobs.
    pub fn heartbeat(&self) -> Duration {
        Duration::try_from_secs_f64(self.heartbeat_seconds).unwrap_or_default()
    }
}

/// A scope of a resource that a process is reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// `full` or `increment`.
    pub scope: String,
    /// Host, process id and a random part.
    pub holder: String,
}

/// The schedule of one resource, at one moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Timetable {
    /// That moment, by the database's clock.
    #[serde(skip)]
    pub now: Time,
    /// Its jobs, by name.
    pub jobs: Vec<JobStatus>,
    /// The pause that holds them.
    pub pause: Option<Pause>,
    /// What is being read of it, whether by a job or by a command.
    #[serde(rename = "leases")]
    pub held: Vec<Held>,
    /// The processes that keep the schedule and were seen within a day, the latest first.
    pub services: Vec<Service>,
}

impl Timetable {
    /// The processes that keep the schedule now.
    pub fn alive(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.is_alive)
    }

    /// Within which time one of them looks for due jobs; none if no process does.
    pub fn starts_within(&self) -> Option<Duration> {
        self.alive().map(Service::heartbeat).min()
    }

    /// The process that reads a scope.
    pub fn holder_of(&self, scope: Scope) -> Option<&str> {
        let held = self.held.iter().find(|held| held.scope == scope.as_str());
        held.map(|held| held.holder.as_str())
    }
}

/// A time in a zone, or in UTC if this program does not know the zone.
pub fn zoned(time: Time, zone: &str) -> String {
    match zone.parse::<Tz>() {
        Ok(zone) => time
            .with_timezone(&zone)
            .format("%Y-%m-%d %H:%M:%S %Z")
            .to_string(),
        Err(_) => format!("{} UTC", format::moment(time)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{TimeZone as _, Utc};

    #[test]
    fn a_time_is_shown_in_the_zone_of_its_job() {
        let shown = |month, zone| {
            let time = Utc.with_ymd_and_hms(2025, month, 10, 12, 3, 0).single();
            zoned(time.unwrap_or_default(), zone)
        };
        assert_eq!(shown(6, "Europe/Berlin"), "2025-06-10 14:03:00 CEST");
        assert_eq!(shown(1, "Europe/Berlin"), "2025-01-10 13:03:00 CET");
        assert_eq!(shown(1, "America/New_York"), "2025-01-10 07:03:00 EST");
        assert_eq!(shown(1, "UTC"), "2025-01-10 12:03:00 UTC");
        assert_eq!(shown(1, "Mars/Base"), "2025-01-10 12:03:00 UTC");
    }
}
