//! The gaps on a time line: ranges of time in which a table may lack rows.

use maud::{Markup, html};

use super::chart::{Mark, Said, line};
use super::html::Text;
use super::severity::class;
use super::view::{View, counted};
use crate::model::overview::OpenGap;
use crate::model::severity::Severity;
use crate::model::{Time, format};

/// The width of the smallest mark, of the thousand of a line.
const LEAST: usize = 4;

/// The time lines, and all gaps as a table.
pub(super) fn section(gaps: &[OpenGap], view: View<'_>) -> Markup {
    let Some(first) = gaps.iter().map(|gap| gap.from).min() else {
        return html! { p class="when" { "No time range is known in which a table may lack rows." } };
    };
    let mut resources: Vec<&str> = gaps.iter().map(|gap| gap.resource.as_str()).collect();
    resources.sort_unstable();
    resources.dedup();
    html! {
        p class="when" {
            "A gap is information for the reader, not a fault. A high mark closes by a wider scan, a low one never does."
        }
        @for resource in resources {
            (time_line(resource, gaps, first, view))
        }
        details open[gaps.len() <= 10] {
            summary { "All gaps as a table" }
            (table(gaps, view))
        }
    }
}

fn time_line(resource: &str, gaps: &[OpenGap], first: Time, view: View<'_>) -> Markup {
    let own = || gaps.iter().filter(|gap| gap.resource == resource);
    let whole = seconds(view.now - first).max(1.0);
    let share = |at: Time| seconds(at - first) / whole;
    let marks: Vec<Mark> = own()
        .map(|gap| Mark {
            from: share(gap.from),
            to: share(gap.to),
            severity: severity(gap),
        })
        .collect();
    let all = i64::try_from(marks.len()).unwrap_or(i64::MAX);
    let lasting = own().filter(|gap| gap.is_lasting).count();
    let title = view.title(resource);
    html! {
        h3 { bdi { (Text(title)) } }
        (line(&marks, LEAST, Said {
            title: &format!("Gaps of {title} on a time line"),
            description: &format!(
                "From {} to now: {}, {lasting} of them for good. The table below has each of them.",
                format::moment(first), counted(all, "gap")
            ),
        }))
        p class="axis" { span { (format::clock(first, view.now)) } span { "now" } }
    }
}

fn table(gaps: &[OpenGap], view: View<'_>) -> Markup {
    html! {
        table class="data" {
            caption { "Open gaps, the latest first; times in UTC" }
            thead { tr { th scope="col" { "Range" } th scope="col" { "Why" } th scope="col" { "Closes" } } }
            tbody {
                @for gap in gaps {
                    tr {
                        th scope="row" {
                            bdi { (Text(view.title(&gap.resource))) } br;
                            small {
                                (format::moment(gap.from)) " to " (format::moment(gap.to)) ", "
                                (format::rough((gap.to - gap.from).to_std().unwrap_or_default()))
                            }
                        }
                        td { (Text(reason(&gap.reason))) }
                        td class=(class(severity(gap))) {
                            (if gap.is_lasting { "never" } else { "by a wider scan" })
                        }
                    }
                }
            }
        }
    }
}

/// A gap that never closes needs nobody.
const fn severity(gap: &OpenGap) -> Severity {
    if gap.is_lasting {
        Severity::Idle
    } else {
        Severity::Attention
    }
}

/// A reason in words; the word itself, if it is not known.
fn reason(word: &str) -> &str {
    match word {
        "retention" => "the tenant no longer had the events",
        "saturated" => "one millisecond has more events than a page holds",
        "unreachable" => "hidden behind a full or short answer",
        "interrupted" => "skipped by --since",
        _ => word,
    }
}

#[expect(clippy::cast_precision_loss, reason = "a place on a line")]
fn seconds(distance: chrono::Duration) -> f64 {
    distance.num_milliseconds() as f64 / 1000.0
}
