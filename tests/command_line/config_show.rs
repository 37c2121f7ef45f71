//! `config show` explains every setting, and tells no secret.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::program::Program;
use crate::support::sources::root;

/// What the test may not find in any output.
const SECRET: &str = "hunter2";

fn program() -> Program {
    Program::new(
        "https://example.blueconic.net",
        "postgres://u:hunter2@127.0.0.1:9/x",
    )
    .with("BLUECONIC_CLIENT_SECRET", SECRET)
}

/// The rows of `config show --json` by setting.
async fn rows(program: &Program, arguments: &[&str]) -> BTreeMap<String, Value> {
    let mut words = arguments.to_vec();
    words.extend(["config", "show", "--json"]);
    let ended = program.expect(0, &words).await;
    assert!(!format!("{ended:?}").contains(SECRET), "{ended:?}");
    let rows = ended.json().as_array().unwrap().clone();
    rows.into_iter()
        .map(|row| (row["setting"].as_str().unwrap().to_owned(), row))
        .collect()
}

/// A row that is not hidden; a variable is named by its key.
fn row(setting: &str, value: &Value, source: &str, origin: Option<&str>) -> Value {
    let (name, file) = if source == "file" {
        (None, origin)
    } else {
        (origin, None)
    };
    json!({
        "setting": setting, "value": value, "hidden": false, "source": source, "name": name, "file": file,
    })
}

/// The variable of a key.
fn variable(key: &str) -> String {
    format!("BLUECONIC_SYNC__{}", key.to_uppercase().replace('.', "__"))
}

/// A settings file and the file of a key, in a folder.
fn files(folder: &Path) -> (String, String) {
    let (file, key) = (folder.join("own.toml"), folder.join("key"));
    let text = "[limits]\nburst = 7\nbatch_size = \"1MiB\"\n[resources.audit_events]\nscans = []\n";
    fs::write(&file, text).unwrap();
    fs::write(&key, format!("{SECRET}-{SECRET}\n")).unwrap();
    (file.display().to_string(), key.display().to_string())
}

#[tokio::test]
async fn each_setting_has_its_value_and_its_origin() {
    let folder = tempfile::tempdir().unwrap();
    let (file, key) = files(folder.path());
    let by_variables = [
        ("limits.batch_size", "4MiB", json!("4MiB")),
        ("limits.concurrent_requests", " 3 ", json!(3)),
        ("resources.segments.enabled", "false", json!(false)),
        (
            "resources.profiles.properties",
            "email, visits",
            json!(["email", "visits"]),
        ),
        ("tenant.compression", "true", json!(true)),
        ("tenant.scopes", "[\"a\", \"b\"]", json!(["a", "b"])),
    ];
    let mut program = program()
        .without("BLUECONIC_SYNC__LIMITS__BURST")
        .with("BLUECONIC_SYNC_KEY_FILE", &key);
    for (name, text, _) in &by_variables {
        program = program.set(name, text);
    }
    let rows = rows(&program, &["--config", &file]).await;
    for (name, _, value) in &by_variables {
        assert_eq!(rows[*name], row(name, value, "variable", Some(&variable(name))));
    }
    let (url, none) = (json!("https://example.blueconic.net"), json!(null));
    for (name, value, source, origin) in [
        ("limits.burst", &json!(7), "file", Some(&*file)),
        ("resources.audit_events.scans", &json!([]), "file", Some(&*file)),
        ("tenant.url", &url, "variable", Some("BLUECONIC_URL")),
        ("limits.element_size", &json!("8MiB"), "default", None),
        ("resources.segments.page_size", &json!(1000), "default", None),
        ("database.load_connections", &none, "unset", None),
        ("BLUECONIC_SYNC_OLD_KEY", &none, "unset", None),
    ] {
        assert_eq!(rows[name], row(name, value, source, origin));
    }
    let hidden = rows.values().filter(|row| row["hidden"] == true);
    let hidden: Vec<[&Value; 4]> = hidden
        .map(|row| ["setting", "value", "name", "file"].map(|key| &row[key]))
        .collect();
    let named = |setting: &str, name: &str, file: Value| [json!(setting), json!(null), json!(name), file];
    let expected = [
        named("BLUECONIC_CLIENT_SECRET", "BLUECONIC_CLIENT_SECRET", json!(null)),
        named("BLUECONIC_SYNC_KEY", "BLUECONIC_SYNC_KEY_FILE", json!(key)),
        named("database.url", "DATABASE_URL", json!(null)),
    ];
    assert_eq!(hidden, expected.each_ref().map(<[Value; 4]>::each_ref));
}

#[tokio::test]
async fn every_setting_of_the_documents_is_shown() {
    let document = fs::read_to_string(root().join("docs/settings.md")).unwrap();
    let rows = rows(&program(), &[]).await;
    let mut seen = 0;
    for variable in document.split("| `BLUECONIC_SYNC__").skip(1) {
        let key = variable
            .split('`')
            .next()
            .unwrap()
            .to_lowercase()
            .replace("__", ".");
        assert!(rows.contains_key(&key), "{key}");
        seen += 1;
    }
    assert!(seen > 100, "only {seen} settings were found");
    // Seven secrets have no key.
    assert_eq!(rows.len(), seen + 7);
}

#[tokio::test]
async fn an_embedded_database_is_no_secret_and_a_secret_in_a_file_of_settings_is_one() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, "[database]\nurl = \"postgres://u:hunter2@h/d\"\n").unwrap();
    let arguments = ["--config", file.to_str().unwrap()];
    let program = program().without("DATABASE_URL");
    let embedded = |name| row("database.url", &json!("embedded"), "variable", Some(name));
    let hidden = rows(&program, &arguments).await;
    assert_eq!(
        (
            &hidden["database.url"]["hidden"],
            &hidden["database.url"]["source"]
        ),
        (&json!(true), &json!("file"))
    );
    for name in ["DATABASE_URL", "BLUECONIC_SYNC__DATABASE__URL"] {
        let rows = rows(&program.with(name, "embedded"), &arguments).await;
        assert_eq!(rows["database.url"], embedded(name));
    }
}

/// The settings that the table shows are a file of settings.
#[tokio::test]
async fn what_is_shown_can_be_given_again() {
    let program = program()
        .set(
            "resources.profiles.personal_data",
            "[\"property:zip=keep\", \"tag:a b=drop\"]",
        )
        .set("resources.profiles.max_removals", "3%")
        .set("schedule.drift", "");
    let ended = program.expect(0, &["config", "show", "--given"]).await;
    let mut text = String::new();
    for line in ended.stdout.lines().skip(1) {
        let (name, rest) = line.split_once(' ').unwrap();
        let (value, _) = rest.rsplit_once("  variable ").unwrap();
        if value.trim() != "hidden" {
            writeln!(text, "{name} = {}", value.trim()).unwrap();
        }
    }
    assert_eq!(text.lines().count(), 11, "{text}");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("own.toml");
    fs::write(&file, &text).unwrap();
    let value = |(name, row): (String, Value)| (name, row["value"].clone());
    let before: BTreeMap<String, Value> = rows(&program, &[]).await.into_iter().map(value).collect();
    let mut bare = program.clone();
    for name in program
        .variables()
        .keys()
        .filter(|name| name.starts_with("BLUECONIC_SYNC__"))
    {
        bare = bare.without(name);
    }
    let bare = bare.without("BLUECONIC_URL").without("BLUECONIC_CLIENT_ID");
    let after = rows(&bare, &["--config", file.to_str().unwrap()]).await;
    let after: BTreeMap<String, Value> = after.into_iter().map(value).collect();
    assert_eq!(before, after);
}
