//! PostgreSQL takes every SQL statement that the documents show, over the tables of a demo tenant, and its columns are
//! those of the samples. What stands for something is replaced, by one table.

use std::fmt::Write as _;

use simulated_tenant::settings::Settings;

use super::document::{Code, Document, documents, shell_commands};
use crate::support::{Scene, scene, small};

/// How a statement begins.
const VERBS: [&str; 9] = [
    "select ",
    "with ",
    "delete from ",
    "drop table ",
    "create ",
    "alter ",
    "grant ",
    "revoke ",
    "insert into ",
];
/// Spans that begin like a statement and are only a part of one.
const PARTS: [&str; 1] = ["create index concurrently"];

/// What a document shows: statements, and the columns that it says come of them.
#[derive(Default)]
struct Shown {
    statements: Vec<String>,
    columns: Vec<Vec<String>>,
}

fn shown(document: &Document) -> Shown {
    let mut shown = Shown::default();
    let mut follows_sql = false;
    for code in &document.code {
        let followed = std::mem::replace(&mut follows_sql, false);
        match code {
            Code::Block { language, lines } if language == "sql" => {
                shown.statements.push(lines.clone());
                follows_sql = true;
            }
            Code::Block { language, lines } if language.is_empty() && followed => {
                shown.columns.extend(headers(lines));
            }
            Code::Block { language, lines } if language == "sh" => {
                for words in shell_commands(lines)
                    .into_iter()
                    .filter(|words| words[0] == "psql")
                {
                    let given = words.windows(2).filter(|pair| pair[0] == "-c");
                    shown.statements.extend(given.map(|pair| pair[1].clone()));
                }
            }
            Code::Span(span)
                if VERBS.iter().any(|verb| span.starts_with(verb)) && !PARTS.contains(&span.as_str()) =>
            {
                shown.statements.push(span.clone());
            }
            _ => {}
        }
    }
    shown
}

/// The heads of the tables that psql printed: lines that stand above a rule.
fn headers(printed: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = printed.lines().collect();
    let is_rule = |line: &str| line.starts_with("--") && line.chars().all(|one| "-+".contains(one));
    let heads = lines.windows(2).filter(|pair| is_rule(pair[1]));
    heads
        .map(|pair| pair[0].split('|').map(|name| name.trim().to_owned()).collect())
        .collect()
}

/// What stands for something: the database and its owner, which every installation names itself, a month that has a partition
/// here, a session.
fn filled(statement: &str, database: &str, owner: &str, partition: &str) -> String {
    let filled = statement
        .replace("database blueconic", &format!("database {database}"))
        .replace("for role blueconic_sync", &format!("for role {owner}"))
        .replace("audit_events_y2026m01", partition)
        .replace("(NUMBER)", "(0)");
    // psql runs what `\gexec` ends by itself.
    let ended = filled.trim_end().ends_with(';') || filled.trim_end().ends_with("\\gexec");
    if ended { filled } else { format!("{filled};") }
}

#[tokio::test(flavor = "multi_thread")]
async fn postgresql_takes_every_statement() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        properties: Settings::default().properties,
        ..small(300)
    })
    .await;
    program.expect(0, &["backfill"]).await;
    tenant.stop().await;
    let owner: String = database.one("select current_user::text").await;
    let partition: String = database
        .one("select inhrelid::regclass::text from pg_inherits where inhparent = 'blueconic.audit_events'::regclass limit 1")
        .await;
    let partition = partition.trim_start_matches("blueconic.");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("statements.sql");
    let psql = program.with("PATH", &std::env::var("PATH").unwrap());
    let (mut statements, mut tables) = (0, 0);
    for document in documents() {
        let shown = shown(&document);
        if shown.statements.is_empty() {
            continue;
        }
        // Whatever a statement does is undone. The role of the service is somebody else here.
        let mut script = "\\set ON_ERROR_STOP 1\nbegin;\n".to_owned();
        let makes_the_role = |one: &String| one.contains("create role blueconic_sync");
        if !shown.statements.iter().any(makes_the_role) {
            script.push_str("create role blueconic_sync;\n");
        }
        for statement in &shown.statements {
            statements += 1;
            writeln!(script, "{}", filled(statement, &database.name, &owner, partition)).unwrap();
        }
        script.push_str("rollback;\n");
        std::fs::write(&file, &script).unwrap();
        let ended = psql
            .run(&["psql", "-X", "-P", "pager=off", "-f", file.to_str().unwrap()])
            .await;
        assert_eq!(ended.code(), 0, "{}:\n{}\n{script}", document.path, ended.stderr);
        let printed = headers(&ended.stdout);
        for columns in shown.columns {
            tables += 1;
            assert!(
                printed.contains(&columns),
                "{} shows a table of {columns:?}; what came is {printed:?}",
                document.path
            );
        }
    }
    assert!(statements >= 15, "only {statements} statements were found");
    assert!(tables >= 6, "only {tables} tables were found");
}
