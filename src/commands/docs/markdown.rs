//! The data dictionary as Markdown: a table of the tables, and a table of columns for each.

use std::fmt::Write as _;

use crate::model::dictionary::{Column, Dictionary, Relation};
use crate::model::sanitize;

/// The document.
pub(super) fn document(dictionary: &Dictionary) -> String {
    let mut text = "# Data dictionary\n\n\
        Made by `blueconic-sync docs` from `blueconic.data_dictionary`. `data-dictionary.svg` shows how the tables join.\n\n\
        | table or view | holds |\n|---|---|\n"
        .to_owned();
    for relation in &dictionary.relations {
        let name = &relation.name;
        let _ = writeln!(text, "| [`{name}`](#{name}) | {} |", cell(&relation.description));
    }
    dictionary
        .relations
        .iter()
        .for_each(|relation| section(relation, &mut text));
    text
}

fn section(relation: &Relation, text: &mut String) {
    let Relation {
        name,
        kind,
        description,
        columns,
    } = relation;
    let _ = write!(text, "\n## {name}\n\n{} ({kind})\n\n", cell(description));
    text.push_str("| column | type | null | holds | from | joins |\n|---|---|---|---|---|---|\n");
    for column in columns {
        let _ = writeln!(
            text,
            "| `{}`{} | {} | {} | {} | {} | {} |",
            cell(&column.name),
            if column.is_key { " (key)" } else { "" },
            column.type_name,
            nullable(column),
            cell(&column.description),
            cell(&source(column)),
            column
                .joins
                .as_ref()
                .map_or_else(String::new, |(to, by)| format!("`{to}.{by}`")),
        );
    }
}

fn nullable(column: &Column) -> &'static str {
    match column.is_nullable {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

/// Where the value comes from: the property, or the place at the tenant.
pub(super) fn source(column: &Column) -> String {
    match (&column.property, &column.source) {
        (Some(property), _) => format!("property {property}"),
        (None, Some((path, field))) => format!("{path}: {field}"),
        (None, None) => String::new(),
    }
}

/// A text within a cell: one line, nothing of which is Markdown or HTML.
fn cell(text: &str) -> String {
    let mut cell = String::new();
    for one in sanitize::line(text).chars() {
        match one {
            '<' => cell.push_str("&lt;"),
            '&' => cell.push_str("&amp;"),
            '|' | '[' | ']' | '*' | '`' => cell.extend(['\\', one]),
            _ => cell.push(one),
        }
    }
    cell
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_tenant_stays_in_its_cell() {
        let hostile = "a|b\n<script>[x](y)`\u{202e}";
        assert_eq!(cell(hostile), "a\\|b\\n&lt;script>\\[x\\](y)\\`\\u{202e}");
    }
}
