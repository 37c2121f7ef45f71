//! The part of the status page that shows what reading costs: this month beside its limits, and the last twelve months.

use chrono::{Datelike as _, Months};
use maud::{Markup, html};

use super::chart::{Said, bars};
use super::html::Text;
use super::severity::class;
use crate::model::Time;
use crate::model::format;
use crate::model::overview::{Day, MonthOfUsage, Overview};
use crate::model::severity::Severity;
use crate::model::usage::{Measure, Usage, WARN_PERCENT};

/// How many months are shown.
const SHOWN: u32 = 12;

/// The card of the month's usage, and of the months before if they could be read.
pub(super) fn card(usage: &Usage, overview: Option<&Overview>, now: Time) -> Markup {
    let percent = usage.percent().unwrap_or(0).unsigned_abs();
    let severity = if percent >= WARN_PERCENT || !usage.put_off.is_empty() {
        Severity::Attention
    } else {
        Severity::Idle
    };
    html! {
        section id="usage" class={ "card usage " (class(severity)) } {
            div class="title" {
                h2 { "Usage " small { (usage.starts_at.format("%B %Y")) ", UTC" } }
                @if let Some(percent) = usage.percent() {
                    p class={ "status " (class(severity)) } { (percent) "% used" }
                }
            }
            @for put_off in &usage.put_off {
                div class={ "trouble " (class(severity)) } {
                    p {
                        bdi { (Text(&put_off.job)) } " is put off to " (format::moment(put_off.until)) " UTC"
                    }
                    p class="hint" { bdi { (Text(&put_off.why)) } }
                }
            }
            dl class="facts" {
                (amount("Requests", &usage.requests, format::count))
                (amount("Traffic", &usage.bytes_received, format::bytes))
                dt { "Profiles read" } dd { (format::count(usage.profiles_read)) }
            }
            @if let Some(overview) = overview { (months(&overview.months, now)) }
        }
    }
}

/// Charts of the last twelve months, and the same as a table.
fn months(known: &[MonthOfUsage], now: Time) -> Markup {
    let months = last_months(known, now);
    html! {
        div class="charts" {
            (by_month(&months, "Requests by month", |month| month.requests, format::count))
            (by_month(&months, "Traffic by month", |month| month.bytes_received, format::bytes))
        }
        details {
            summary { "The last 12 months as a table" }
            table class="data" {
                caption { "Usage by month (UTC), the latest first. Months without a request are left out." }
                thead {
                    tr {
                        th scope="col" { "Month" }
                        th scope="col" class="number" { "Requests" }
                        th scope="col" class="number" { "Traffic" }
                        th scope="col" class="number" { "Profiles read" }
                    }
                }
                tbody {
                    @for month in known.iter().rev() {
                        tr {
                            th scope="row" { (named(month.month)) }
                            td class="number" { (format::count(month.requests.unsigned_abs())) }
                            td class="number" { (format::bytes(month.bytes_received.unsigned_abs())) }
                            td class="number" { (format::count(month.profiles_read.unsigned_abs())) }
                        }
                    }
                }
            }
        }
    }
}

fn by_month(
    months: &[MonthOfUsage],
    title: &str,
    amount: fn(&MonthOfUsage) -> i64,
    shown: fn(u64) -> String,
) -> Markup {
    #[expect(clippy::cast_precision_loss, reason = "the height of a bar")]
    let heights: Vec<f64> = months.iter().map(|month| amount(month) as f64).collect();
    let most = months.iter().max_by_key(|month| amount(month));
    let most = most.filter(|month| amount(month) > 0).map_or_else(
        || "none".to_owned(),
        |month| {
            let most = shown(amount(month).unsigned_abs());
            format!("most in {}: {most}", named(month.month))
        },
    );
    html! {
        div {
            p { span { (title) } " " strong { (most) } }
            (bars(&heights, Said { title: &format!("{title}, the last 12 months"), description: &most }))
        }
    }
}

/// Twelve months up to now, the oldest first; one without an entry has zeros.
fn last_months(known: &[MonthOfUsage], now: Time) -> Vec<MonthOfUsage> {
    let first = now.date_naive().with_day(1);
    let months = (0..SHOWN)
        .rev()
        .filter_map(|ago| first?.checked_sub_months(Months::new(ago)));
    let with_usage = months.map(|month| {
        let found = known.iter().find(|one| one.month == month);
        found.copied().unwrap_or(MonthOfUsage {
            month,
            requests: 0,
            bytes_received: 0,
            profiles_read: 0,
        })
    });
    with_usage.collect()
}

fn named(month: Day) -> String {
    month.format("%b %Y").to_string()
}

fn amount(label: &str, measure: &Measure, shown: fn(u64) -> String) -> Markup {
    let shown = |amount: i64| shown(amount.unsigned_abs());
    html! {
        dt { (label) }
        dd {
            (shown(measure.used))
            @if let Some(limit) = measure.limit { " of " (shown(limit)) }
            @if let Some(forecast) = measure.forecast {
                " " small { "about " (shown(forecast)) " by the end of the month" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    #[test]
    fn a_month_without_a_request_has_a_place() {
        let month = |day: &str, requests| MonthOfUsage {
            month: day.parse().unwrap(),
            requests,
            bytes_received: 0,
            profiles_read: 0,
        };
        let known = [
            month("2023-04-01", 9),
            month("2023-06-01", 5),
            month("2024-03-01", 7),
        ];
        let shown = last_months(&known, "2024-03-31T23:59:59Z".parse().unwrap());
        assert_eq!(shown.len(), 12);
        let requests: Vec<i64> = shown.iter().map(|month| month.requests).collect();
        assert_eq!(requests, [9, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 7]);
        let drawn = months(&known, "2024-03-31T23:59:59Z".parse().unwrap()).into_string();
        assert!(
            drawn.contains("most in Apr 2023: 9") && drawn.contains("Traffic by month</span> <strong>none"),
            "{drawn}"
        );
    }
}
