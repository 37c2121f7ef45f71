//! Whatever a tenant names its things, and whatever it says: nothing of it steers a terminal, forges a line of a log or
//! turns the direction of text. JSON stays JSON, with the values as they came.

use blueconic_sync::model::sanitize::is_deceptive;
use simulated_tenant::faults::{Fault, Kind, Route, When};

use crate::support::program::Ended;
use crate::support::{Scene, scene, small};

const NAME: &str = "All\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}31m\r\nerror: forged\n  do:  rm -rf\u{7f}\u{202e}x\u{2066}\u{2028}y\u{85}\u{8}";
const SAID: &str = "{\"message\":\"no \\u001b[2J\\u009b31m\\r\\nerror: forged by body \\u202e\\u2028x\"}";

#[track_caller]
fn assert_plain(what: &str, ended: &Ended) {
    for (stream, text) in [("stdout", &ended.stdout), ("stderr", &ended.stderr)] {
        let raw = text.chars().find(|one| is_deceptive(*one) && *one != '\n');
        assert_eq!(raw, None, "{what}: {stream} holds a raw control:\n{text:?}");
        let forged = text.lines().find(|line| line.starts_with("error: forged"));
        assert_eq!(forged, None, "{what}: {stream} holds a forged line:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_tenants_reaches_a_terminal_or_a_log_raw() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(40)).await;
    for segment in tenant.segments() {
        assert!(tenant.rename_segment(&segment.id, NAME));
    }
    // Neither a property list nor a date: both are quoted in the details of rejects.
    let element =
        serde_json::json!({ "id": tenant.id(3), "properties": [{ "id": NAME, "values": { NAME: NAME } }] });
    tenant.skip(3);
    tenant.insert_raw(3, element.to_string());
    for format in ["text", "json"] {
        let program = program
            .set("log.format", format)
            .set("resources.profiles.segment", "missing");
        let loud = program.with("RUST_LOG", "info,blueconic_sync=debug");
        for command in [
            &["backfill", "--full", "--verify"][..],
            &["backfill", "--full", "--json"],
            &["check"],
            &["status"],
            &["status", "--json"],
            &["status", "--verify"],
            &["status", "--verify", "--json"],
        ] {
            for (name, program) in [("usual", &program), ("loud", &loud)] {
                let ended = program.run(command).await;
                assert_plain(&format!("{command:?} ({name}, {format})"), &ended);
                assert!([0, 3].contains(&ended.code()), "{command:?}: {ended:?}");
                if command.contains(&"--json") {
                    ended.json();
                }
            }
        }
    }
    let named = program.run(&["status", "--verify", "--json"]).await.json();
    let details: i64 = database
        .one("select count(*) from sync.rejects where detail ~ '[\\x01-\\x1f\\x7f-\\x9f\\u2028-\\u202e]'")
        .await;
    assert_eq!(details, 0);
    assert!(database.count("sync.rejects").await > 0);
    assert!(
        named.to_string().contains(&serde_json::json!(NAME).to_string()),
        "{named}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_server_says_is_stored_and_logged_on_one_plain_line() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(5)).await;
    for route in [Route::Segments, Route::AuditEvents, Route::Profiles, Route::Token] {
        let said = Kind::Foreign {
            status: 400,
            content_type: "application/json",
            body: SAID,
        };
        tenant.faults().clear();
        tenant.faults().push(Fault::at(route, When::Always, said));
        for command in [&["backfill"][..], &["check"], &["status"]] {
            assert_plain(&format!("{route:?}: {command:?}"), &program.run(command).await);
        }
    }
    for column in ["error", "hint"] {
        let bad: i64 = database
            .one(&format!("select count(*) from sync.runs where {column} ~ '[\\x01-\\x1f\\x7f-\\x9f\\u2028-\\u202e\\u2066-\\u2069]'"))
            .await;
        assert_eq!(bad, 0, "{column}");
    }
    let reported: i64 = database
        .one("select count(*) from sync.runs where error is not null")
        .await;
    assert!(reported > 0);
}
