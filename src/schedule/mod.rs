//! The schedule: the jobs of the settings, their next times, and the loop that claims due jobs. The port `Runner` runs
//! a job, and `JobStore` keeps its times; this layer knows neither SQL nor HTTP.

pub mod budget;
pub mod error;
pub mod forecast;
pub mod heartbeat;
mod job_run;
pub mod jobs;
pub mod occurrences;
mod outage;
pub mod plan;
pub mod scheduler;
