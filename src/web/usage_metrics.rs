//! The metrics of the month's usage, which all processes on the database share: gauges, since another month begins with nothing.

use super::exposition::Page;
use crate::model::usage::{Measure, Usage};

/// Adds them.
pub(super) fn add(page: &mut Page, usage: &Usage) {
    of_measure(
        page,
        &usage.requests,
        [
            (
                "month_requests",
                "Requests to the API in this month (UTC), of all processes.",
            ),
            (
                "month_requests_forecast",
                "Requests at the end of the month if the schedule goes on as it is.",
            ),
            (
                "month_requests_limit",
                "limits.requests_per_month, where it is set.",
            ),
        ],
    );
    of_measure(
        page,
        &usage.bytes_received,
        [
            (
                "month_received_bytes",
                "Bytes of bodies as they came in this month (UTC), of all processes.",
            ),
            (
                "month_received_bytes_forecast",
                "Bytes of bodies at the end of the month if the schedule goes on as it is.",
            ),
            (
                "month_received_bytes_limit",
                "limits.traffic_per_month, where it is set.",
            ),
        ],
    );
    page.gauge(
        "month_profiles_read",
        "Profiles that runs read in this month (UTC), of all processes.",
    )
    .sample(&[], usage.profiles_read);
    page.gauge(
        "put_off_jobs",
        "Due jobs that wait because of a limit of the month.",
    )
    .sample(&[], usage.put_off.len());
}

/// The names and helps are those of the used amount, the forecast and the limit.
fn of_measure(page: &mut Page, measure: &Measure, names: [(&str, &str); 3]) {
    let amounts = [Some(measure.used), measure.forecast, measure.limit];
    for ((name, help), amount) in names.into_iter().zip(amounts) {
        let mut family = page.gauge(name, help);
        if let Some(amount) = amount {
            family.sample(&[], amount);
        }
    }
}
