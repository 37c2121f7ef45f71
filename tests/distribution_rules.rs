//! The rules that let `create_distributed_table` simply work when one machine is outgrown, held over the schema as it is
//! made and over the SQL as it is written.

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::sources::files;

/// The tables that would be distributed, with their distribution columns.
const DISTRIBUTED: [(&str, &str); 4] = [
    ("profiles", "id"),
    ("profile_aliases", "profile_id"),
    ("profile_tombstones", "profile_id"),
    ("audit_events", "event_key"),
];

/// The texts without the lines that begin with this marker, in lower case.
fn without_comments(files: Vec<(String, String)>, marker: &str) -> impl Iterator<Item = (String, String)> {
    files.into_iter().map(move |(path, text)| {
        let lines = text.lines().filter(|line| !line.trim_start().starts_with(marker));
        (path, lines.collect::<Vec<_>>().join("\n").to_lowercase())
    })
}

/// The Rust files of `postgres`.
fn rust() -> impl Iterator<Item = (String, String)> {
    without_comments(files("src/postgres", ".rs"), "//")
}

/// These and the migrations.
fn sql() -> Vec<(String, String)> {
    without_comments(files("migrations", ".sql"), "--")
        .chain(rust())
        .collect()
}

/// Blanks of any kind count as one, so that a line break hides nothing.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn no_statement_is_of_a_kind_that_a_distributed_table_refuses() {
    let mut wrong = Vec::new();
    for (path, text) in sql() {
        let text = flat(&text);
        for word in [
            "merge into",
            "not in (select",
            "create trigger",
            "create constraint trigger",
            " references ",
        ] {
            if text.contains(word) {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
        // Session-level ones break behind poolers; `pg_advisory_xact_lock` and its `try` end with the transaction.
        for word in [
            "pg_advisory_lock",
            "pg_try_advisory_lock",
            "pg_advisory_unlock",
            "pg_advisory_lock_shared",
        ] {
            if text.contains(word) {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Forms that were tried on distributed tables and refused there. Migrations up to 50 ran before any table could be distributed.
#[test]
fn no_statement_has_a_form_that_was_tried_and_refused() {
    let refused = [
        // Nothing follows a chain of rows that lie on several servers: a loop asks round by round.
        ("with recursive", "`with recursive`"),
        // Every row would come to the coordinator, without a column.
        ("select not exists (select from {", "a whole table's `exists`"),
        (
            "select exists (select from blueconic.",
            "a whole table's `exists`",
        ),
        (
            "where exists (select from blueconic.profiles)",
            "a whole table's `exists`",
        ),
        // A temporary table is not joined with a distributed one: a materialized part of the statement is.
        ("from pg_temp.staged_profiles as", "a join with staging"),
        ("not exists (select from {staging", "a join with staging"),
        // Only `case when … = …` is sent to the nodes within a condition of an update.
        ("case jsonb_typeof(e.", "`case VALUE when`"),
        // What a row returns may not depend on the session.
        (
            "returning jsonb_build_object(",
            "`returning` of a function that is not immutable",
        ),
    ];
    let mut wrong = Vec::new();
    for (path, text) in rust() {
        let text = flat(&text);
        for (form, name) in refused {
            if text.contains(form) {
                wrong.push(format!("{path}: {name}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Only an update locks several rows of a distributed table: where profiles are locked, there is that form, too.
#[test]
fn who_locks_profiles_has_the_other_form() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in rust() {
        let text = flat(&text);
        let locks = ["for update", "for no key update", "for key share", "for share"];
        let ends = locks.iter().flat_map(|lock| text.match_indices(lock));
        for (at, lock) in ends {
            let statement = &text[text[..at].rfind('"').unwrap_or(0)..at];
            if statement.contains("blueconic.") || statement.contains("from {name}") {
                seen += 1;
                if !text.contains("distributed::hold") && !text.contains("lock_apart") {
                    wrong.push(format!("{path}: `{lock}`"));
                }
            }
        }
    }
    assert!(seen >= 3, "only {seen} locks were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is written comes from the staging row: `excluded`, no clock, no parameter.
#[test]
fn an_upsert_takes_everything_from_its_row() {
    let (mut wrong, mut seen) = (Vec::new(), 0);
    for (path, text) in sql() {
        for clause in text.split("do update").skip(1) {
            seen += 1;
            let clause = flat(clause.split(['"', ';']).next().unwrap());
            let parameter = clause
                .split('$')
                .skip(1)
                .any(|rest| rest.starts_with(|one: char| one.is_ascii_digit()));
            if parameter
                || clause.contains("now()")
                || clause.contains("clock()")
                || clause.contains("_timestamp()")
            {
                wrong.push(format!("{path}: do update{clause}"));
            }
        }
    }
    assert!(seen >= 3, "only {seen} upserts were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

async fn migrated() -> Database {
    let database = Database::bare().await;
    Program::new("http://127.0.0.1:9", &database.url)
        .expect(0, &["migrate"])
        .await;
    database
}

#[tokio::test(flavor = "multi_thread")]
async fn every_unique_key_contains_the_distribution_column() {
    let database = migrated().await;
    for (table, column) in DISTRIBUTED {
        let keys: Vec<(String, bool)> = database
            .rows(&format!(
                "select i.indexrelid::regclass::text,
                   exists (select from pg_attribute as a
                     where a.attrelid = i.indrelid and a.attnum = any (i.indkey) and a.attname = '{column}')
                 from pg_index as i where i.indrelid = 'blueconic.{table}'::regclass and i.indisunique"
            ))
            .await;
        assert!(!keys.is_empty(), "{table} has no key");
        for (key, has) in keys {
            assert!(has, "{key} of {table} does not contain {column}");
        }
    }
    let kinds = database
        .texts(
            "select distinct format_type(atttypid, atttypmod) from pg_attribute
             where attname in ('id', 'profile_id', 'survivor_id') and not attisdropped
               and attrelid in ('blueconic.profiles'::regclass, 'blueconic.profile_aliases'::regclass,
                 'blueconic.profile_tombstones'::regclass)",
        )
        .await;
    assert_eq!(kinds, ["text"], "keys that are joined are plain text");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_schema_has_no_trigger_and_no_foreign_key() {
    let database = migrated().await;
    let of_ours = "join pg_class as c on c.oid = x.{}
        join pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('blueconic', 'sync')";
    let triggers = format!(
        "pg_trigger as x {} where not x.tgisinternal",
        of_ours.replace("{}", "tgrelid")
    );
    assert_eq!(database.count(&triggers).await, 0);
    let foreign = format!(
        "pg_constraint as x {} where x.contype = 'f'",
        of_ours.replace("{}", "conrelid")
    );
    assert_eq!(database.count(&foreign).await, 0);
}

/// For the analyst, and for the next engineer.
#[tokio::test(flavor = "multi_thread")]
async fn every_table_and_column_has_a_comment() {
    let database = migrated().await;
    let bare = database
        .texts(
            "select c.oid::regclass::text || coalesce('.' || a.attname, '')
             from pg_class as c
             join pg_namespace as n on n.oid = c.relnamespace and n.nspname in ('blueconic', 'sync')
             left join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
             where c.relkind in ('r', 'p', 'v') and not c.relispartition
               and (col_description(c.oid, a.attnum) is null or obj_description(c.oid, 'pg_class') is null)
             order by 1",
        )
        .await;
    assert!(bare.is_empty(), "{bare:#?}");
}
