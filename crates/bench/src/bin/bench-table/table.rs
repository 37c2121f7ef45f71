//! Rows as a Markdown table.

use std::fmt::Write as _;

use crate::rows::{Row, Section};

/// The cell of a missing result.
const NOTHING: &str = "not measured";

pub(crate) fn table(sections: &[Section]) -> String {
    let mut text = String::new();
    for section in sections {
        // Writing into a String cannot fail.
        let _ = write!(
            text,
            "### {}\n\n| what | product | reference | ratio | wanted | reached |\n|---|---:|---:|---:|---|---|\n",
            section.title
        );
        for row in &section.rows {
            let _ = writeln!(text, "{}", line(row));
        }
        text.push('\n');
    }
    text
}

fn line(row: &Row) -> String {
    let or_nothing = |text: &Option<String>| text.clone().unwrap_or_default();
    let measured = [&row.product, &row.reference, &row.ratio]
        .iter()
        .any(|text| text.is_some());
    let product = if measured {
        or_nothing(&row.product)
    } else {
        NOTHING.to_owned()
    };
    let reached = match (row.target.is_empty(), row.reached) {
        (true, _) => "",
        (false, None) => NOTHING,
        (false, Some(true)) => "yes",
        (false, Some(false)) => "**no**",
    };
    format!(
        "| {} | {product} | {} | {} | {} | {reached} |",
        row.what,
        or_nothing(&row.reference),
        or_nothing(&row.ratio),
        row.target
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_said() {
        let row = Row {
            what: "x".into(),
            target: "≥ 1".into(),
            ..Row::default()
        };
        assert_eq!(line(&row), "| x | not measured |  |  | ≥ 1 | not measured |");
    }
}
