//! The last 30 days of a slot: a strip of days by their worst outcome, how long runs took, and what they wrote. Its size does not follow
//! from the number of runs.

use std::time::Duration;

use chrono::Days;
use maud::{Markup, html};

use super::chart::{Said, bars, strip};
use super::severity::class;
use super::view::{View, counted, state};
use crate::model::format;
use crate::model::overview::{Day, RunDay};
use crate::model::position::Scope;
use crate::model::severity::Severity;
use crate::model::status::RunStatus;

/// How many days are shown.
const SHOWN: u64 = 30;

/// One day of a slot.
#[derive(Debug)]
pub(super) struct SlotDay<'a> {
    day: Day,
    /// The runs by the way they ended.
    ended: Vec<&'a RunDay>,
}

impl SlotDay<'_> {
    fn sum(&self, of: fn(&RunDay) -> i64) -> i64 {
        self.ended.iter().fold(0, |sum, one| sum.saturating_add(of(one)))
    }

    fn longest(&self) -> f64 {
        let all = self.ended.iter().map(|one| one.longest_seconds);
        all.fold(0.0, f64::max)
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "only compared, and the height of a bar"
    )]
    fn written(&self) -> f64 {
        self.sum(|one| one.rows_written) as f64
    }

    fn worst(&self) -> Option<Severity> {
        let all = self.ended.iter().map(|one| Severity::of_status(one.status));
        all.max()
    }
}

/// The days of a slot, the oldest first.
#[derive(Debug)]
pub(super) struct SlotDays<'a>(Vec<SlotDay<'a>>);

impl<'a> SlotDays<'a> {
    /// Picks those of a slot.
    pub(super) fn of(all: &'a [RunDay], resource: &str, scope: Scope, view: View<'_>) -> Self {
        let own: Vec<&RunDay> = all
            .iter()
            .filter(|one| one.resource == resource && one.mode == scope)
            .collect();
        let today = view.now.date_naive();
        let days = (0..SHOWN)
            .rev()
            .filter_map(|ago| today.checked_sub_days(Days::new(ago)));
        let with_runs = days.map(|day| SlotDay {
            day,
            ended: own.iter().copied().filter(|one| one.day == day).collect(),
        });
        Self(with_runs.collect())
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|day| day.ended.is_empty())
    }

    fn sum(&self, of: fn(&RunDay) -> i64) -> i64 {
        self.0.iter().fold(0, |sum, day| sum.saturating_add(day.sum(of)))
    }

    fn longest(&self) -> f64 {
        self.0.iter().map(SlotDay::longest).fold(0.0, f64::max)
    }

    /// `412 runs: 409 succeeded, 3 failed`.
    fn sentence(&self) -> String {
        let runs = self.sum(|one| one.runs);
        let all: Vec<&RunDay> = self.0.iter().flat_map(|day| day.ended.iter().copied()).collect();
        format!("{}: {}", counted(runs, "run"), outcomes(&all))
    }

    /// The days on which not every run succeeded.
    fn exceptions(&self) -> String {
        let is_other = |day: &&SlotDay<'_>| day.ended.iter().any(|one| one.status != RunStatus::Succeeded);
        let named = self
            .0
            .iter()
            .filter(is_other)
            .map(|day| format!("{}: {}", day.day.format("%-d %b"), outcomes(&day.ended)));
        let named: Vec<String> = named.collect();
        if named.is_empty() {
            "No day had a run that did not succeed.".to_owned()
        } else {
            format!("Days with other outcomes: {}.", named.join("; "))
        }
    }

    /// The three charts, small, for a card.
    pub(super) fn charts(&self, name: &str) -> Markup {
        if self.is_empty() {
            return html! { p class="when" { "No run has ended in the last 30 days." } };
        }
        let worst: Vec<Option<Severity>> = self.0.iter().map(SlotDay::worst).collect();
        let longest: Vec<f64> = self.0.iter().map(SlotDay::longest).collect();
        let written: Vec<f64> = self.0.iter().map(SlotDay::written).collect();
        let rows = self.sum(|one| one.rows_written);
        html! {
            (strip(&worst, Said {
                title: &format!("Outcomes of the last 30 days: {name}"),
                description: &format!("{}. {}", self.sentence(), self.exceptions()),
            }))
            p class="when" { (self.sentence()) }
            div class="charts" {
                div {
                    p { span { "Longest run" } " " strong { (duration(self.longest())) } }
                    (bars(&longest, Said {
                        title: &format!("The longest run of each of the last 30 days: {name}"),
                        description: &peak(&self.0, SlotDay::longest, |day| duration(day.longest())),
                    }))
                }
                div {
                    p { span { "Rows written" } " " strong { (format::count(rows)) } }
                    (bars(&written, Said {
                        title: &format!("Rows written on each of the last 30 days: {name}"),
                        description: &peak(&self.0, SlotDay::written, |day| {
                            counted(day.sum(|one| one.rows_written), "row")
                        }),
                    }))
                }
            }
        }
    }

    /// The days as a table, the latest first; days without runs are left out.
    pub(super) fn table(&self) -> Markup {
        html! {
            table class="data" {
                caption { "Runs by the day (UTC) of their start, the latest first. Days without a run are left out." }
                thead {
                    tr {
                        th scope="col" { "Day" }
                        th scope="col" { "Outcome" }
                        th scope="col" class="number" { "Longest" }
                        th scope="col" class="number" { "Read" }
                        th scope="col" class="number" { "Written" }
                        th scope="col" class="number" { "Removed" }
                        th scope="col" class="number" { "Rejected" }
                    }
                }
                tbody {
                    @for day in self.0.iter().rev().filter(|day| !day.ended.is_empty()) {
                        tr {
                            th scope="row" { (day.day.format("%-d %b %Y")) }
                            td class=(day.worst().map_or("idle", class)) { (outcomes(&day.ended)) }
                            td class="number" { (duration(day.longest())) }
                            td class="number" { (format::count(day.sum(|one| one.rows_read))) }
                            td class="number" { (format::count(day.sum(|one| one.rows_written))) }
                            td class="number" { (format::count(day.sum(|one| one.rows_removed))) }
                            td class="number" { (format::count(day.sum(|one| one.rows_rejected))) }
                        }
                    }
                }
            }
        }
    }
}

/// `11 succeeded, 1 failed`, the worst last.
fn outcomes(ended: &[&RunDay]) -> String {
    let parts = RunStatus::ALL.into_iter().filter_map(|status| {
        let alike = ended.iter().filter(|one| one.status == status);
        let runs = alike.fold(0_i64, |sum, one| sum.saturating_add(one.runs));
        (runs > 0).then(|| format!("{} {}", format::count(runs), state(status).to_lowercase()))
    });
    parts.collect::<Vec<_>>().join(", ")
}

/// On which day there was most, and how much.
fn peak<'a>(
    days: &[SlotDay<'a>],
    amount: impl Fn(&SlotDay<'a>) -> f64,
    shown: impl Fn(&SlotDay<'a>) -> String,
) -> String {
    let most = days
        .iter()
        .max_by(|one, other| amount(one).total_cmp(&amount(other)));
    match most.filter(|day| amount(day) > 0.0) {
        Some(day) => format!("Most on {}: {}.", day.day.format("%-d %b"), shown(day)),
        None => "None on any day.".to_owned(),
    }
}

/// A duration of a run.
fn duration(seconds: f64) -> String {
    format::rounded(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}
