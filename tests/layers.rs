//! The house stands as it is drawn: imports run down only, between layers and within them, and some things have one room.

use std::collections::BTreeSet;

use house::{House, code, layer};

use crate::support::sources::{files, root};

/// Which layers each layer may know, besides itself. The rest (`app`, `commands`, `cli`) may know all.
const MAY_KNOW: [(&str, &[&str]); 19] = [
    ("failpoint", &[]),
    ("clock", &["model", "failpoint"]),
    ("model", &[]),
    ("config", &["model"]),
    ("json", &[]),
    ("drift", &["model"]),
    ("probe", &["model", "config", "resources"]),
    ("network", &["config"]),
    ("blueconic", &["model", "config", "json", "network"]),
    ("postgres", &["model", "config", "clock", "failpoint"]),
    ("resources", &["model", "config", "json"]),
    ("sync", &["model", "failpoint"]),
    ("schedule", &["model", "config"]),
    ("notify", &["model", "config", "network"]),
    ("web", &["model", "config", "clock", "version"]),
    ("memory", &[]),
    ("telemetry", &["config", "model", "network"]),
    ("shutdown", &[]),
    ("version", &[]),
];

fn sources() -> Vec<(String, String)> {
    let files = files("src", ".rs").into_iter();
    files
        .filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"))
        .map(|(path, text)| (path, code(&text)))
        .collect()
}

/// What follows `crate::` anywhere, also within braces: `crate::{a::x, b}` would be `a` and `b`.
fn known(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in text.split("crate::").skip(1) {
        assert!(
            !rest.starts_with('{') && !rest.starts_with('*'),
            "name one path: {}",
            &rest[..40]
        );
        found.insert(
            rest.chars()
                .take_while(|one| one.is_alphanumeric() || *one == '_')
                .collect(),
        );
    }
    found
}

#[test]
fn imports_run_down_only() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for (path, text) in sources() {
        let own = layer(&path);
        let Some((_, allowed)) = MAY_KNOW.iter().find(|(name, _)| *name == own) else {
            continue;
        };
        for other in known(&text) {
            seen += 1;
            if other != own && !allowed.contains(&other.as_str()) {
                wrong.push(format!("{path} knows `{other}`"));
            }
        }
    }
    assert!(seen > 100, "only {seen} imports were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn imports_within_a_layer_run_down_only() {
    let house = House::of(&root()).unwrap();
    let circles = house.circles();
    assert!(
        circles.is_empty(),
        "files that import one another (move what they share into a file below them): {circles:#?}"
    );
    assert_eq!(house.upward(), []);
}

#[test]
fn every_layer_is_in_the_table() {
    let above = BTreeSet::from(["main", "lib", "app", "cli", "commands"]);
    for (path, _) in sources() {
        let own = layer(&path);
        assert!(
            above.contains(own) || MAY_KNOW.iter().any(|(name, _)| *name == own),
            "{path} is of no layer"
        );
    }
}

/// `lib.rs` names the layers and hands nothing through.
#[test]
fn nothing_comes_through_the_root() {
    let (_, root) = sources()
        .into_iter()
        .find(|(path, _)| path == "src/lib.rs")
        .unwrap();
    assert!(!root.contains("use "), "{root}");
}

/// Where `word` stands in the code of a file that `allowed` does not name.
fn outside(word: &str, allowed: impl Fn(&str) -> bool) -> Vec<String> {
    let (inside, outside): (Vec<_>, Vec<_>) = sources()
        .into_iter()
        .filter(|(_, text)| text.contains(word))
        .map(|(path, _)| path)
        .partition(|path| allowed(path));
    assert!(
        !inside.is_empty(),
        "`{word}` stands nowhere: is this rule still about anything?"
    );
    outside
}

#[test]
fn some_things_have_one_room() {
    let none: [String; 0] = [];
    // The proof that a body ended whole.
    assert_eq!(
        outside("PageEnd::whole", |path| path == "src/blueconic/elements.rs"
            || path.starts_with("src/blueconic/elements/")),
        none
    );
    // Unmaintained: see deny.toml.
    assert_eq!(
        outside("backoff::", |path| path == "src/blueconic/retry.rs"),
        none
    );
    let sql = |path: &str| path.starts_with("src/postgres/");
    assert_eq!(outside("sqlx::query", sql), none);
    assert_eq!(
        outside("reqwest::", |path| path.starts_with("src/blueconic/")
            || path.starts_with("src/network/")
            || path.starts_with("src/notify/")
            || path == "src/telemetry/traces.rs"),
        none
    );
    assert_eq!(
        outside("croner::", |path| path.starts_with("src/schedule/")
            || path.starts_with("src/config/")),
        none
    );
}

/// A crate beside the service may not name it: neither import it nor speak of it.
#[test]
fn the_cluster_knows_nothing_of_the_service() {
    for ending in [".rs", ".sh", ".md", ".toml"] {
        for (path, text) in files("crates/embedded-postgres", ending) {
            let text = text.to_lowercase();
            for word in ["blueconic", "database_url", "database.data_dir"] {
                assert!(!text.contains(word), "{path} names `{word}`");
            }
        }
    }
}

/// What it answers must not follow from how the service reads it.
#[test]
fn the_simulated_tenant_knows_nothing_of_the_service() {
    for (path, text) in files("crates/simulated-tenant", ".rs") {
        assert!(!text.contains("blueconic_sync"), "{path} imports the service");
    }
    let manifest = root().join("crates/simulated-tenant/Cargo.toml");
    let manifest = std::fs::read_to_string(manifest).unwrap();
    assert!(!manifest.contains("blueconic-sync"), "{manifest}");
}

/// Each file says why it exists before anything else.
#[test]
fn every_file_opens_with_its_reason() {
    for (path, text) in ["src", "tests", "crates"]
        .into_iter()
        .flat_map(|folder| files(folder, ".rs"))
    {
        assert!(text.starts_with("//! "), "{path}");
    }
}

/// A session that is opened elsewhere has whatever its role's defaults are.
#[test]
fn one_place_opens_connections() {
    let opens = [
        "connect_with(",
        "connect_lazy",
        "PgPoolOptions",
        "PgConnection::connect",
        "PgPool::connect",
        "PgListener",
    ];
    let mut found: Vec<(String, &str)> = Vec::new();
    for (path, text) in sources() {
        let used = opens.iter().filter(|word| text.contains(*word));
        found.extend(used.map(|word| (path.clone(), *word)));
    }
    found.sort();
    let expected = [
        ("src/postgres/pool.rs", "PgPoolOptions"),
        ("src/postgres/pool.rs", "connect_lazy"),
        ("src/postgres/session.rs", "PgConnection::connect"),
        ("src/postgres/session.rs", "connect_with("),
    ];
    let expected = expected.map(|(path, word)| (path.to_owned(), word));
    assert_eq!(found, expected);
    let pool = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/pool.rs")).unwrap();
    assert_eq!(pool.matches("PgPoolOptions::new()").count(), 1);
    assert_eq!(
        pool.matches(".after_connect(move |connection, _| Box::pin(session::prepare(")
            .count(),
        1
    );
    let session =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/src/postgres/session.rs")).unwrap();
    assert_eq!(session.matches("PgConnection::connect_with(").count(), 1);
    let cluster = files("crates/embedded-postgres/src", ".rs").into_iter();
    let opening: Vec<String> = cluster
        .filter(|(_, text)| opens.iter().any(|word| code(text).contains(word)))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(opening, ["crates/embedded-postgres/src/database.rs"]);
}
