//! `--verify`, of `backfill` and `status`: the tenant's counts beside those of the tables, for a person or a script.

use serde_json::{Value, json};

use crate::commands::exit::Exit;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::format;
use crate::model::sanitize;
use crate::model::verification::{Comparison, Verification};

use super::output;

/// The comparison, or the fault that prevented it.
pub(super) struct Verified(Outcome<Verification>);

impl Verified {
    pub(super) fn of(outcome: Outcome<Verification>) -> Self {
        Self(outcome)
    }

    /// Prints the tables on stdout.
    pub(super) fn tell(&self) {
        let Ok(found) = &self.0 else { return };
        if !found.tables.is_empty() {
            let head = ["table", "by the tenant", "in the table", "difference", ""];
            let rows = found.tables.iter().map(|table| line(&[&table.name], table));
            output::line(&format!("\n{}", table(&head, rows)));
        }
        if !found.segments.is_empty() {
            let head = [
                "segment",
                "name",
                "profileCount",
                "by the tenant",
                "in the table",
                "difference",
                "",
            ];
            let rows = found.segments.iter().map(|segment| {
                let count = format::known(segment.profile_count);
                line(
                    &[&segment.profiles.name, &segment.name, &count],
                    &segment.profiles,
                )
            });
            output::line(&format!("\n{}", table(&head, rows)));
        }
        for sentence in found.notices.iter().cloned().chain(uncounted(found)) {
            output::line(&format!("\n{}", sanitize::line(&sentence)));
        }
    }

    /// The value for `--json`.
    pub(super) fn json(&self) -> Value {
        match &self.0 {
            Err(fault) => json!({ "agrees": null, "error": fault.sentence(), "hint": fault.hint }),
            Ok(found) => json!({
                "agrees": self.exit() == Exit::Done,
                "tables": found.tables.iter().map(compared).collect::<Vec<Value>>(),
                "walked_segment": found.walked,
                "segments": found.segments.iter().map(|segment| {
                    let mut value = compared(&segment.profiles);
                    value["id"] = value["name"].take();
                    value["name"] = json!(segment.name);
                    value["profile_count"] = json!(segment.profile_count);
                    value
                }).collect::<Vec<Value>>(),
                "uncounted": found.uncounted,
                "denied": found.denied.iter().map(|(name, fault)| {
                    json!({ "name": name, "error": fault.sentence(), "hint": fault.hint })
                }).collect::<Vec<Value>>(),
                "notices": found.notices,
            }),
        }
    }

    /// The exit code of the command.
    pub(super) fn exit(&self) -> Exit {
        match &self.0 {
            Err(fault) => Exit::of_fault(fault),
            Ok(found) if found.denied.is_empty() && found.differences().is_empty() => Exit::Done,
            Ok(_) => Exit::Partial,
        }
    }

    /// The faults to report.
    pub(super) fn complaints(&self) -> Vec<Fault> {
        let found = match &self.0 {
            Ok(found) => found,
            Err(fault) => {
                return vec![Fault {
                    what: format!("the tables could not be compared with the tenant: {}", fault.what),
                    ..fault.clone()
                }];
            }
        };
        let denied = found.denied.iter().map(|(name, fault)| Fault {
            what: format!("{name} could not be counted: {}", fault.what),
            ..fault.clone()
        });
        denied.chain(differing(found)).collect()
    }
}

/// One fault for all differences.
fn differing(found: &Verification) -> Option<Fault> {
    const NAMED: usize = 3;
    let differences = found.differences();
    if differences.is_empty() {
        return None;
    }
    let mut named: Vec<String> = differences
        .iter()
        .take(NAMED)
        .map(|(what, one)| {
            format!(
                "{what} ({} at the tenant, {} in the table)",
                format::known(one.by_the_tenant),
                format::count(one.in_the_table)
            )
        })
        .collect();
    if let more @ 1.. = differences.len().saturating_sub(NAMED) {
        named.push(format!("and {more} more"));
    }
    let what = format!("the tables differ from the tenant in {}", named.join(", "));
    Some(Fault::new(Kind::Final, what).hint(
        "if a run was under way or the tenant was changing, compare again; else run `blueconic-sync backfill --full --verify`",
    ))
}

fn uncounted(found: &Verification) -> Option<String> {
    let names = found.uncounted.join(", ");
    (!names.is_empty()).then(|| format!("{names}: not compared, since the API tells no total of them, or the tables keep what it no longer lists"))
}

fn compared(one: &Comparison) -> Value {
    json!({
        "name": one.name,
        "by_the_tenant": one.by_the_tenant,
        "in_the_table": one.in_the_table,
        "difference": one.difference(),
        "tolerance": one.tolerance,
        "agrees": one.agrees(),
    })
}

fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let head = head.iter().map(|cell| (*cell).to_owned()).collect();
    output::table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

fn line(first: &[&str], one: &Comparison) -> Vec<String> {
    let mut cells: Vec<String> = first.iter().map(|cell| (*cell).to_owned()).collect();
    let difference = one
        .difference()
        .map_or_else(|| "-".to_owned(), |difference| difference.to_string());
    let verdict = match (one.agrees(), one.difference()) {
        (Some(false), _) => "differs",
        (Some(true), Some(1.. | ..=-1)) => "within what changes",
        (Some(true), _) => "",
        (None, _) => "not judged",
    };
    cells.extend([
        format::known(one.by_the_tenant),
        format::count(one.in_the_table),
        difference,
        verdict.to_owned(),
    ]);
    cells
}
