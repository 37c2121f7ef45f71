//! Histories of consent as answers: both spellings, pages, and events that cannot be stored.
#![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

use super::*;

/// The rows of a history that came in these answers: events, not stored, and how many rows of events there are.
fn read(bodies: &[&str]) -> (i64, i64, Option<String>, usize) {
    let mut reading = OneReading::default();
    let mut batch = Batch::default();
    let bodies: Vec<Bytes> = bodies
        .iter()
        .map(|body| Bytes::copy_from_slice(body.as_bytes()))
        .collect();
    for event in pages(&bodies).into_iter().flatten() {
        reading.take(event, "p", &mut batch);
    }
    batch.children.hash();
    let rows = batch.children.rows();
    (reading.events, reading.not_stored, reading.detail, rows)
}

const EVENT: &str = r#"{"date":"2023-05-04T11:36:25.531Z","type":"ConsentChanged","properties":[{"id":"ToConsented","values":["a","b"]},{"id":"FromConsented","values":[]},{"id":"Source","values":["REST"]}]}"#;

#[test]
fn an_answer_says_how_many_events_there_are() {
    let answer = |body: &str| Consent.answer(body.as_bytes());
    let whole = answer(&format!(r#"{{"events":[{EVENT}],"totalResults":3}}"#));
    assert_eq!(
        whole,
        Ok(Answer {
            items: 1,
            total: Some(3)
        })
    );
    assert_eq!(
        answer(r#"{"events":[]}"#),
        Ok(Answer {
            items: 0,
            total: None
        })
    );
    for broken in [
        r#"{"results":[]}"#,
        "[]",
        r#"{"events":{}}"#,
        "",
        r#"{"events":[]"#,
    ] {
        assert_eq!(answer(broken).unwrap_err().kind, Kind::Final, "{broken}");
    }
}

#[test]
fn equal_events_of_one_page_are_as_many_and_those_of_a_repeated_page_are_not() {
    let body = format!(r#"{{"events":[{EVENT},{EVENT}],"totalResults":9}}"#);
    assert_eq!(read(&[&body]), (2, 0, None, 2));
    assert_eq!(read(&[&body, &body]), (2, 0, None, 2));
    let one = format!(r#"{{"events":[{EVENT}]}}"#);
    assert_eq!(read(&[&body, &one]), (3, 0, None, 3));
}

#[test]
fn events_without_a_date_or_a_type_are_counted_and_cost_nothing_else() {
    let body = format!(
        r#"{{"events":[{EVENT},{{"type":"ConsentChanged"}},{{"date":"2023-05-04T11:36:25Z","type":""}},7,{{"date":"soon","type":"x"}}]}}"#
    );
    assert_eq!(
        read(&[&body]),
        (5, 4, Some("an event has no `date`".to_owned()), 1)
    );
}

#[test]
fn values_have_the_name_of_the_example_or_of_the_schema() {
    for name in VALUES {
        let raw = r#"[{"id":"ToLevel","values":["PERSONAL"]},{"id":"ToConsented","values":[]}]"#;
        let body = format!(r#"{{"{name}":{raw}}}"#);
        let found = members(body.as_bytes(), &VALUES).unwrap();
        let raw = found[0].or(found[1]);
        let values = Values::of(raw).map_err(Problem::said).unwrap();
        assert_eq!(values.one("ToLevel"), Some("PERSONAL"));
        assert_eq!(values.all("ToConsented").map(<[_]>::len), Some(0));
        assert_eq!(values.all("ToRefused").map(<[_]>::len), None);
    }
}
