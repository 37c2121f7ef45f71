//! When to run: the jobs of the settings, their next times, and the loop that claims what is due. What a job does is
//! behind the port `Runner`, where its times are kept behind `JobStore`; this layer knows neither SQL nor HTTP.

pub mod error;
pub mod heartbeat;
mod job_run;
pub mod jobs;
mod outage;
pub mod plan;
pub mod scheduler;
