//! Turns an array of `{id, values}` into an object: each id with its values. The tenant writes the data of a timeline event so, and
//! a value may itself be such an array. Values of any other form stay as they came.

use std::collections::BTreeMap;

use serde_json::value::RawValue;

use super::fields::Wrong;
use super::fields::{Fields, array};
use super::members::members;

/// The deepest nesting that is turned into objects; what lies deeper stays as it came.
const DEEPEST: usize = 32;

/// The object in a form that PostgreSQL stores. JSON of another form stays as it is.
pub(super) fn keyed(name: &str, raw: &RawValue, fields: &mut Fields) -> Result<String, Wrong> {
    let object = object(raw, fields, DEEPEST).unwrap_or_else(|| raw.get().to_owned());
    let storable = fields.storable(name, &object)?;
    Ok(storable.into_owned())
}

/// The ids with their values, in the order of the ids, so that the tenant may change its order. Values of an id that comes twice
/// are joined. None if the JSON has another form.
fn object(raw: &RawValue, fields: &mut Fields, depth: usize) -> Option<String> {
    if depth == 0 || !raw.get().starts_with('[') {
        return None;
    }
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in array("", Some(raw)).ok()? {
        if !entry.get().starts_with('{') {
            return None;
        }
        let members = members(entry.get().as_bytes(), &["id", "values"]).ok()?;
        let (id, values) = (members.first().copied()?, members.get(1).copied()?);
        let id = fields.text("id", id).ok()??.into_owned();
        let values = array("values", values).ok()?;
        let values = values.into_iter().map(|value| nested(value, fields, depth - 1));
        let values: Vec<String> = values.collect();
        found.entry(id).or_default().extend(values);
    }
    let entries: Option<Vec<String>> = found
        .into_iter()
        .map(|(id, values)| {
            Some(format!(
                "{}:[{}]",
                serde_json::to_string(&id).ok()?,
                values.join(",")
            ))
        })
        .collect();
    Some(format!("{{{}}}", entries?.join(",")))
}

/// A value: an object if it is a list of `{id, values}`, otherwise as it came.
fn nested(value: &RawValue, fields: &mut Fields, depth: usize) -> String {
    let is_empty = value.get().trim_start_matches('[').trim_start().starts_with(']');
    let object = if is_empty {
        None
    } else {
        object(value, fields, depth)
    };
    object.unwrap_or_else(|| value.get().to_owned())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;

    fn read(json: &str) -> (String, u64) {
        let raw: &RawValue = serde_json::from_str(json).unwrap();
        let mut fields = Fields::default();
        let text = keyed("data", raw, &mut fields).unwrap_or_else(|wrong| wrong.0);
        (text, fields.replaced)
    }

    #[test]
    fn each_id_has_its_values_and_nested_data_is_an_object_too() {
        let example = r#"[{"id":"product","values":[[{"id":"quantity","values":[100]},{"id":"id","values":["987644321"]}]]},
            {"id":"order_number","values":["17", 1.50]}]"#;
        assert_eq!(
            read(example).0,
            r#"{"order_number":["17",1.50],"product":[{"id":["987644321"],"quantity":[100]}]}"#
        );
    }

    #[test]
    fn the_order_of_ids_does_not_matter_and_a_repeat_is_joined() {
        let one = read(r#"[{"id":"b","values":[1]},{"id":"a","values":[]},{"id":"b","values":[2]}]"#);
        assert_eq!(one.0, r#"{"a":[],"b":[1,2]}"#);
        assert_eq!(read(r#"[{"id":"a"},{"values":[1,2],"id":"b"}]"#), one);
        assert_eq!(read("[]").0, "{}");
    }

    #[test]
    fn another_form_stays_as_it_came() {
        for other in [
            r#"{"id":"a"}"#,
            r#""text""#,
            r#"[{"values":[1]}]"#,
            r#"[{"id":"a","values":1}]"#,
            r#"[{"id":{},"values":[1]}]"#,
            "[1,[2]]",
        ] {
            assert_eq!(read(other).0, other);
        }
        let values = r#"[{"id":"a","values":[[],[1,[]],{"x":[]},null,true]}]"#;
        assert_eq!(read(values).0, r#"{"a":[[],[1,[]],{"x":[]},null,true]}"#);
    }

    #[test]
    fn what_postgresql_cannot_store_is_replaced_and_counted() {
        let hostile = r#"[{"id":"a\u0000","values":["\ud800","x\u0000"]}]"#;
        assert_eq!(
            read(hostile),
            ("{\"a\u{fffd}\":[\"\u{fffd}\",\"x\u{fffd}\"]}".to_owned(), 3)
        );
    }

    #[test]
    fn no_depth_overflows_the_stack() {
        let depth = 20_000;
        let nested = format!(
            "{}1{}",
            r#"[{"id":"a","values":["#.repeat(depth),
            "]}]".repeat(depth)
        );
        let (text, _) = read(&nested);
        assert!(text.starts_with("`data` is not"), "{}", &text[..80]);
        let shallow = format!("{}1{}", r#"[{"id":"a","values":["#.repeat(40), "]}]".repeat(40));
        assert!(read(&shallow).0.starts_with(r#"{"a":[{"a":[{"a""#));
    }
}
