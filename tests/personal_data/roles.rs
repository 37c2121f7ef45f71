//! The roles for readers in a real PostgreSQL: what they may select, what they may not, and that it follows the catalogue.

use blueconic_sync::model::position::Scope;
use serde_json::{Value, json};

use super::{Scene, hash};
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::roles::role;

const ROLES: [&str; 2] = ["blueconic_reader", "blueconic_pii_reader"];

/// Whether a role may run a query. An error other than a missing right fails the test.
async fn may(database: &Database, role: &str, query: &str) -> bool {
    let mut transaction = database.pool.begin().await.unwrap();
    let run = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("set local role {role}; {query}")))
        .execute(&mut *transaction)
        .await;
    match run {
        Ok(_) => true,
        Err(error) => {
            let code = error
                .as_database_error()
                .and_then(sqlx::error::DatabaseError::code);
            assert_eq!(code.as_deref(), Some("42501"), "{query}: {error}");
            false
        }
    }
}

/// A filled database of a cluster of its own, since roles belong to all databases of a cluster.
async fn filled(cluster: &Cluster, rules: &str) -> Scene {
    let scene = Scene::on(Database::on(cluster).await, rules, &[]).await;
    scene.lists("email", "EMAIL", "PII").await;
    scene.lists("phone", "None", "PII").await;
    scene.lists("visits", "RANGE", "NON_PII").await;
    scene.put(
        "p",
        &json!({"email": ["a@x.example"], "phone": ["49"], "visits": ["7"]}),
    );
    scene.read(Scope::Full).await;
    scene
        .database
        .run(
            "create table blueconic.audit_events_of_2020 partition of blueconic.audit_events
               for values from ('2020-01-01') to ('2021-01-01');
             insert into blueconic.audit_events (occurred_at, event_key, occurrence, operation, object_type, objects, synced_at)
             values ('2020-01-01', 'k', 0, 'LOGIN_FAILED', 'USER', '[{\"id\": \"\", \"name\": \"typed-password\"}]', now()),
               ('2020-01-02', 'l', 0, 'CREATE', 'SEGMENT', '[{\"id\": \"s\", \"name\": \"S\"}]', now())",
        )
        .await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn each_role_selects_what_it_should_and_nothing_else() {
    let cluster = Cluster::start();
    let scene = filled(&cluster, "property:phone=hash").await;
    let program = Program::new(&scene.tenant.url, &scene.database.url);
    let before = program.expect(3, &["rights", "--check"]).await;
    before.tells(&["rights --sql"]);
    assert!(
        before.stdout.contains("create role blueconic_reader nologin"),
        "{before:?}"
    );
    // A death right after a role was made is made up for.
    let died = program
        .with("FAILPOINTS", "readers/make/after=return(kill)")
        .run(&["rights"])
        .await;
    assert!(died.code() == 128 + 9, "{died:?}");
    program.expect(0, &["rights"]).await;
    program.expect(0, &["rights", "--check"]).await;
    let (database, [plain, pii]) = (&scene.database, ROLES);
    for (query, plain_may, pii_may) in [
        (
            "select id, segment_ids, modified_at from blueconic.profiles",
            true,
            true,
        ),
        ("select properties from blueconic.profiles", false, true),
        ("select source_hash from blueconic.profiles", false, true),
        (
            "select id, visits, phone from blueconic.profiles_wide",
            true,
            true,
        ),
        ("select email from blueconic.profiles_wide", false, true),
        ("select * from blueconic.profiles_json", false, true),
        ("select * from blueconic.profile_values", false, true),
        ("select * from blueconic.profile_identifiers", false, true),
        ("select * from blueconic.profile_columns_1", false, true),
        ("select * from blueconic.timeline_events", false, true),
        ("select * from blueconic.users", false, true),
        ("select * from blueconic.groups", false, true),
        ("select creator from blueconic.dialogues", false, true),
        ("select id, name, tags from blueconic.segments", true, true),
        ("select * from blueconic.segment_members('x')", false, true),
        ("select * from blueconic.freshness", true, true),
        (
            "select changed_by, table_name, id from blueconic.changes",
            true,
            true,
        ),
        // The key of an audit event is the hash.
        ("select key from blueconic.changes", false, false),
        ("select * from blueconic.daily_segment_sizes", true, true),
        ("select * from blueconic.profile_property_history", false, true),
        (
            "select occurred_at, operation, object_type from blueconic.audit_events_masked",
            true,
            true,
        ),
        (
            "select objects, user_name from blueconic.audit_events_masked",
            false,
            true,
        ),
        ("select objects from blueconic.audit_events", false, false),
        ("select event_key from blueconic.audit_events", false, false),
        ("select name_then from blueconic.audit_events_named", false, false),
        ("select objects from blueconic.activity", false, false),
        ("select objects from blueconic.audit_events_plain", false, false),
        ("select event_key from blueconic.activity_plain", false, false),
        ("select * from sync.runs", false, false),
        ("select * from sync.rejects", false, false),
        ("delete from blueconic.profiles", false, false),
        ("create table blueconic.own (x integer)", false, false),
    ] {
        assert_eq!(may(database, plain, query).await, plain_may, "{plain}: {query}");
        assert_eq!(may(database, pii, query).await, pii_may, "{pii}: {query}");
    }
    let masked =
        "select count(*) from blueconic.audit_events_masked as m where m::text like '%typed-password%'";
    assert_eq!(database.one::<i64>(masked).await, 0);
    assert_eq!(
        database
            .count("blueconic.audit_events_masked where objects is not null")
            .await,
        1
    );
    assert_eq!(
        scene.texts("select phone from blueconic.profiles_wide").await,
        [hash("49")]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_rights_follow_the_catalogue_with_the_next_run() {
    let cluster = Cluster::start();
    let scene = filled(&cluster, "").await;
    let program = Program::new(&scene.tenant.url, &scene.database.url);
    program.expect(0, &["rights"]).await;
    let (database, [plain, pii]) = (&scene.database, ROLES);
    let (visits, late) = (
        "select visits from blueconic.profiles_wide",
        "select late from blueconic.profiles_wide",
    );
    assert!(may(database, plain, visits).await);
    scene.lists("visits", "RANGE", "PII").await;
    scene.lists("late", "RANGE", "NON_PII").await;
    scene.lists("email", "EMAIL", "NON_PII").await;
    scene.read(Scope::Increment).await;
    assert!(!may(database, plain, visits).await && may(database, plain, late).await);
    assert!(may(database, plain, "select email from blueconic.profiles_wide").await);
    assert!(may(database, pii, visits).await && may(database, pii, late).await);
    program.expect(0, &["rights", "--check"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_names_every_deviation_and_rights_mends_what_it_can() {
    let cluster = Cluster::start();
    let scene = filled(&cluster, "").await;
    let program = Program::new(&scene.tenant.url, &scene.database.url);
    program.expect(0, &["rights"]).await;
    scene
        .database
        .run(
            "grant select on blueconic.profiles to blueconic_reader;
             revoke select on blueconic.profiles_json from blueconic_pii_reader;
             grant usage on schema sync to blueconic_pii_reader;
             grant select on sync.rejects to blueconic_pii_reader;
             grant insert on blueconic.segments to public",
        )
        .await;
    let found = program.expect(3, &["rights", "--check", "--json"]).await;
    let found: Value = found.json();
    assert_eq!(found["sound"], false);
    let problems: Vec<String> = found["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| format!("{} {} {}", one["role"], one["object"], one["problem"]).replace('"', ""))
        .collect();
    for wanted in [
        "blueconic_reader blueconic.profiles may select properties, source_hash, content_hash",
        "blueconic_pii_reader blueconic.profiles_json may not select id, properties",
        "blueconic_pii_reader schema sync has usage on it",
        "blueconic_pii_reader sync.rejects may select",
        "blueconic_reader blueconic.segments may insert",
        "blueconic_pii_reader blueconic.segments may insert",
    ] {
        assert!(
            problems.iter().any(|problem| problem.starts_with(wanted)),
            "{wanted}: {problems:#?}"
        );
    }
    assert_eq!(problems.len(), 6, "{problems:#?}");
    // What others granted stays, and is still named.
    let left = program.expect(3, &["rights"]).await;
    let mend = "revoke usage on schema sync from blueconic_pii_reader";
    assert!(left.stdout.contains(mend), "{left:?}");
    scene
        .database
        .run(
            "revoke usage on schema sync from blueconic_pii_reader; revoke select on sync.rejects from blueconic_pii_reader;
             revoke insert on blueconic.segments from public",
        )
        .await;
    program.expect(0, &["rights", "--check"]).await;
}

/// The service may not make roles: it says what an administrator runs, and then gives the rights by itself.
#[tokio::test(flavor = "multi_thread")]
async fn without_the_right_to_make_roles_an_administrator_runs_what_is_printed() {
    let cluster = Cluster::start();
    let database = Database::on(&cluster).await;
    let owner = role(&database, "service").await;
    let program = Program::new("http://127.0.0.1:9", &database.url_as(&owner));
    program.expect(0, &["migrate"]).await;
    let refused = program.expect(3, &["rights"]).await;
    refused.tells(&["rights --sql"]);
    let printed = program.expect(0, &["rights", "--sql"]).await;
    database.run(&printed.stdout).await;
    program.expect(0, &["rights", "--check"]).await;
    assert!(may(&database, ROLES[1], "select * from blueconic.profiles").await);
    assert!(!may(&database, ROLES[0], "select * from blueconic.profiles").await);
}
