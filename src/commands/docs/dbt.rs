//! The data dictionary as sources of dbt: descriptions, tests of keys, and freshness by `blueconic.freshness`.
//!
//! `synced_at` says when a row changed last. Rows that do not change would make a table look stale, so no freshness is read from it.

use std::fmt::Write as _;

use crate::model::dictionary::{Column, Dictionary, Relation};
use crate::model::sanitize;

const HEAD: &str = "# Made by `blueconic-sync docs --format dbt` from blueconic.data_dictionary. Freshness needs dbt 1.10 or newer.\n\
    version: 2\n\nsources:\n  - name: blueconic\n    schema: blueconic\n    description: What a BlueConic tenant holds now.\n    tables:\n";

/// The file `sources.yml`.
pub(super) fn sources(dictionary: &Dictionary) -> String {
    let mut yaml = HEAD.to_owned();
    for relation in &dictionary.relations {
        table(relation, dictionary.resources.contains(&relation.name), &mut yaml);
    }
    yaml
}

fn table(relation: &Relation, is_fresh: bool, yaml: &mut String) {
    let _ = write!(
        yaml,
        "      - name: {}\n        description: {}\n",
        quoted(&relation.name),
        described(&relation.description)
    );
    if is_fresh {
        let query = format!(
            "select complete_as_of from blueconic.freshness where resource = '{}'",
            relation.name.replace('\'', "''")
        );
        let _ = write!(
            yaml,
            "        config:\n          loaded_at_query: {}\n          freshness:\n            \
             warn_after: {{count: 26, period: hour}}\n            error_after: {{count: 50, period: hour}}\n",
            quoted(&query)
        );
    }
    yaml.push_str("        columns:\n");
    let keys = relation.key().count();
    for one in &relation.columns {
        column(one, keys == 1, yaml);
    }
}

fn column(column: &Column, is_only_key: bool, yaml: &mut String) {
    let _ = write!(
        yaml,
        "          - name: {}\n            description: {}\n            data_type: {}\n",
        quoted(&column.name),
        described(&column.description),
        quoted(&column.type_name)
    );
    if !is_plain(&column.name) {
        yaml.push_str("            quote: true\n");
    }
    if let Some(sensitivity) = &column.data_sensitivity {
        let _ = writeln!(
            yaml,
            "            config: {{meta: {{data_sensitivity: {}}}}}",
            quoted(sensitivity)
        );
    }
    if column.is_key {
        let tests = if is_only_key {
            "not_null, unique"
        } else {
            "not_null"
        };
        let _ = writeln!(yaml, "            data_tests: [{tests}]");
    }
}

/// Whether SQL takes the name without quotes.
fn is_plain(name: &str) -> bool {
    let is_of_name = |one: char| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '_';
    name.chars().all(is_of_name) && !name.starts_with(|one: char| one.is_ascii_digit())
}

/// A text in double quotes. dbt renders Jinja in descriptions: a text of the tenant opens none.
fn described(text: &str) -> String {
    let mut safe = String::new();
    for one in text.chars() {
        if matches!(one, '{' | '%' | '#') && safe.ends_with('{') {
            safe.push(' ');
        }
        safe.push(one);
    }
    quoted(&safe)
}

/// A scalar of YAML in double quotes, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(sanitize::line(text).as_ref()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_of_the_tenant_opens_no_jinja_and_ends_no_scalar() {
        assert_eq!(
            described("a: \"b\" {{{ x }} {% y %}"),
            "\"a: \\\"b\\\" { { { x }} { % y %}\""
        );
        assert!(is_plain("order_value") && !is_plain("größe") && !is_plain("Größe") && !is_plain("a b"));
    }
}
