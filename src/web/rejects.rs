//! Elements that could not be loaded, by reason. Neither an id nor a value stands here: whoever reads the page need not be one who may read
//! persons' data.

use maud::{Markup, html};

use super::html::Text;
use super::view::View;
use crate::model::format;
use crate::model::overview::{OpenRejects, RunRejects};

/// Open rejects by resource and reason.
pub(super) fn section(rejects: &[OpenRejects], view: View<'_>) -> Markup {
    html! {
        @if rejects.is_empty() {
            p class="when" { "Every element that was read could be loaded." }
        } @else {
            table class="data" {
                caption { "Elements that could not be loaded, and that no later run has loaded" }
                thead {
                    tr { th scope="col" { "Resource" } th scope="col" { "Why" } th scope="col" class="number" { "Elements" } }
                }
                tbody {
                    @for one in rejects {
                        tr {
                            th scope="row" { bdi { (Text(view.title(&one.resource))) } }
                            td { (Text(reason(&one.reason))) }
                            td class="number" { (format::count(one.count)) }
                        }
                    }
                }
            }
            p class="when" { "Each walk tries them again. " code { "sync.rejects" } " has the elements themselves." }
        }
    }
}

/// The rejects of one run, by reason and field.
pub(super) fn of_run(rejects: &[RunRejects]) -> Markup {
    html! {
        table class="data" {
            caption { "By reason, as far as this run was the last to meet them" }
            thead {
                tr {
                    th scope="col" { "Why" }
                    th scope="col" { "Field" }
                    th scope="col" class="number" { "Elements" }
                    th scope="col" class="number" { "Loaded since" }
                }
            }
            tbody {
                @for one in rejects {
                    tr {
                        th scope="row" { (Text(reason(&one.reason))) }
                        td { @if let Some(field) = &one.field { code { (Text(field)) } } @else { "–" } }
                        td class="number" { (format::count(one.count)) }
                        td class="number" { (format::count(one.resolved)) }
                    }
                }
            }
        }
    }
}

/// A reason in words; the word itself, if it is not known.
fn reason(word: &str) -> &str {
    match word {
        "not_json" => "it is not JSON",
        "too_large" => "it is larger than limits.element_size",
        "no_id" => "it has no id",
        "wrong_shape" => "a field has another type than in the vendor's document",
        "date_out_of_range" => "its date lies outside of the table's range",
        _ => word,
    }
}
