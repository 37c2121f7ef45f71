//! Applies a migration one statement after another, for a database with distributed tables: Citus takes one at a time. Elsewhere
//! the migrator sends each migration as a whole.

use sqlx::migrate::Migration;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::postgres::boundary;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};

const APPLYING: &str = "applying the migrations";

/// Whether there are distributed tables.
pub(crate) async fn are_wanted(connection: &mut PgConnection) -> Result<bool, Error> {
    let has_extension: bool =
        sqlx::query_scalar("select to_regclass('pg_catalog.pg_dist_partition') is not null")
            .fetch_one(&mut *connection)
            .await
            .doing(APPLYING)?;
    if !has_extension {
        return Ok(false);
    }
    sqlx::query_scalar("select exists (select 1 from pg_catalog.pg_dist_partition)")
        .fetch_one(connection)
        .await
        .doing(APPLYING)
}

/// Applies a migration and records it, in one transaction. Works without distributed tables as well.
pub async fn apply(connection: &mut PgConnection, migration: &Migration) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(APPLYING)?;
    distributed::use_one_connection(&mut transaction).await?;
    for statement in statements(migration.sql.as_str()) {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *transaction)
            .await
            .doing(APPLYING)?;
    }
    // As the migrator records it.
    sqlx::query(
        "insert into sync._sqlx_migrations (version, description, success, checksum, execution_time)
         values ($1, $2, true, $3, -1)",
    )
    .bind(migration.version)
    .bind(&*migration.description)
    .bind(&*migration.checksum)
    .execute(&mut *transaction)
    .await
    .doing(APPLYING)?;
    boundary::cross("migrate", APPLYING, transaction.commit()).await
}

/// Splits a script at the semicolons between its statements. Those in texts, names, comments and bodies of functions do not end one.
/// Comments between statements are left out.
pub(crate) fn statements(script: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let (mut begin, mut at) = (0, 0);
    while let Some(first) = script[at..].chars().next() {
        let rest = &script[at..];
        let length = if rest.starts_with("--") {
            let length = rest.find('\n').unwrap_or(rest.len());
            if script[begin..at].trim().is_empty() {
                begin = at + length;
            }
            length
        } else if first == '\'' || first == '"' {
            quoted(rest, first)
        } else if let Some(tag) = dollar_tag(rest) {
            let body = &rest[tag.len()..];
            tag.len() + body.find(tag).map_or(body.len(), |end| end + tag.len())
        } else if first == ';' {
            found.push(script[begin..at].trim());
            begin = at + 1;
            1
        } else {
            first.len_utf8()
        };
        at += length;
    }
    found.push(script[begin..].trim());
    found.retain(|statement| !statement.is_empty());
    found
}

/// The length of a text or a name in quotes. A doubled quote reads as two of them, one after another.
fn quoted(rest: &str, quote: char) -> usize {
    rest[1..].find(quote).map_or(rest.len(), |end| end + 2)
}

/// The opening tag of a body, such as `$$`.
fn dollar_tag(rest: &str) -> Option<&str> {
    let name = rest.strip_prefix('$')?;
    let end = name.find('$')?;
    let is_name = |one: char| one.is_ascii_alphabetic() || one == '_';
    name[..end].chars().all(is_name).then(|| &rest[..end + 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_within_a_text_ends_no_statement() {
        let script = "-- one; two
            create table a (b text default 'x;''y', \"c;d\" int); -- e;
            create function f() returns int language sql as $$ select 1; select 2 $$;

            comment on table a is 'it''s -- no comment; really'
            ";
        let statements = statements(script);
        assert_eq!(statements.len(), 3, "{statements:#?}");
        assert!(statements[0].starts_with("create table a") && statements[0].ends_with("int)"));
        assert!(statements[1].ends_with("select 2 $$"));
        assert!(statements[2].ends_with("really'"));
    }
}
