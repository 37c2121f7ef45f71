//! The part of the status page that shows what reading costs in this month, beside its limits.

use maud::{Markup, html};

use super::html::Text;
use super::severity::class;
use crate::model::format;
use crate::model::severity::Severity;
use crate::model::usage::{Measure, Usage, WARN_PERCENT};

/// The card of the month's usage.
pub(super) fn card(usage: &Usage) -> Markup {
    let percent = usage.percent().unwrap_or(0).unsigned_abs();
    let severity = if percent >= WARN_PERCENT || !usage.put_off.is_empty() {
        Severity::Attention
    } else {
        Severity::Idle
    };
    html! {
        section class={ "card usage " (class(severity)) } {
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
        }
    }
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
