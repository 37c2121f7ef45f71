//! The sizes of the tables on disk, the largest first.

use bytesize::ByteSize;
use maud::{Markup, html};

use super::chart::{Said, share};
use super::html::Text;
use crate::model::format;
use crate::model::severity::Severity;
use crate::model::status::TableSize;

/// How many tables are shown at once.
const SHOWN: usize = 8;

/// The tables.
pub(super) fn section(tables: &[TableSize]) -> Markup {
    let mut sorted: Vec<&TableSize> = tables.iter().collect();
    sorted.sort_by(|one, other| {
        other
            .bytes
            .cmp(&one.bytes)
            .then_with(|| one.name.cmp(&other.name))
    });
    let all = sorted
        .iter()
        .fold(0_i64, |sum, one| sum.saturating_add(one.bytes));
    let (large, small) = sorted.split_at(sorted.len().min(SHOWN));
    html! {
        p class="when" { "All tables for analysts together: " strong { (size(all)) } ", indexes included." }
        @if !large.is_empty() {
            (table("The largest tables", large, all))
        }
        @if !small.is_empty() {
            details {
                summary { (small.len()) " smaller tables" }
                (table("Smaller tables", small, all))
            }
        }
    }
}

fn table(caption: &str, tables: &[&TableSize], all: i64) -> Markup {
    html! {
        table class="data" {
            caption { (caption) }
            thead {
                tr {
                    th scope="col" { "Table" }
                    th scope="col" class="number" { "Rows (about)" }
                    th scope="col" class="number" { "Size" }
                }
            }
            tbody {
                @for one in tables {
                    tr {
                        th scope="row" { (Text(&one.name)) (part(one, all)) }
                        td class="number" { (format::known(one.rows_estimated)) }
                        td class="number" { (size(one.bytes)) br; small { (size(one.index_bytes)) " indexes" } }
                    }
                }
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the width of a bar")]
fn part(table: &TableSize, all: i64) -> Markup {
    let part = table.bytes as f64 / all.max(1) as f64;
    let title = format!("{:.0}% of the space of all tables", part * 100.0);
    share(
        part,
        Severity::Running,
        Said {
            title: &title,
            description: "",
        },
    )
}

fn size(bytes: i64) -> String {
    ByteSize::b(bytes.unsigned_abs()).display().iec().to_string()
}
