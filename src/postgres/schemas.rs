//! The two schemas: whether they exist, and which rights this role has. An administrator may have created them and
//! granted rights; then no further right is needed.

use sqlx::migrate::Migration;
use sqlx::{AssertSqlSafe, PgConnection, SqlSafeStr as _};

use crate::postgres::error::{Doing, Error};

/// The rights of a role on a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a row of the server's answers, each by itself"
)]
pub(crate) struct Schema {
    name: String,
    is_there: bool,
    is_ours: bool,
    may_use: bool,
    may_make: bool,
    database: String,
    role: String,
    is_open: bool,
}

/// Reads the state of both schemas.
pub(crate) async fn look(connection: &mut PgConnection) -> Result<Vec<Schema>, Error> {
    sqlx::query_as!(
        Schema,
        r#"select
             wanted.name as "name!",
             n.oid is not null as "is_there!",
             coalesce(pg_has_role(n.nspowner, 'usage'), false) as "is_ours!",
             coalesce(has_schema_privilege(n.oid, 'usage') and has_schema_privilege(n.oid, 'create'), false) as "may_use!",
             has_database_privilege(current_database(), 'create') as "may_make!",
             current_database()::text as "database!",
             current_user::text as "role!",
             coalesce(has_schema_privilege('public', n.oid, 'create'), false) as "is_open!"
           from unnest(array['blueconic', 'sync', 'public']) with ordinality as wanted (name, place)
           left join pg_namespace as n on n.nspname = wanted.name
           order by wanted.place"#
    )
    .fetch_all(connection)
    .await
    .doing("looking at the schemas")
}

impl Schema {
    fn is_for_us(&self) -> bool {
        self.name != "public"
    }

    /// Whether every role may create functions and operators in the schema.
    pub(crate) fn is_open(&self) -> bool {
        self.is_open
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns a fault if migrations would fail.
    pub(crate) fn refuse_unusable(&self) -> Result<(), Error> {
        let will_do = if self.is_there {
            self.may_use
        } else {
            self.may_make
        };
        if will_do || !self.is_for_us() {
            return Ok(());
        }
        Err(Error::NoSchema {
            schema: self.name.clone(),
            database: self.database.clone(),
            role: self.role.clone(),
        })
    }

    /// Whether the schema must be created.
    pub(crate) fn is_missing(&self) -> bool {
        !self.is_there
    }

    /// Removes statements from a migration that need rights on an existing schema: PostgreSQL checks the right to
    /// create it even with `if not exists`, and only the owner may comment on it. The checksum stays the same.
    pub(crate) fn spare(&self, migration: &mut Migration) {
        if !self.is_there || !self.is_for_us() {
            return;
        }
        let mut text = migration.sql.as_str().to_owned();
        let make = format!("create schema if not exists {};", self.name);
        text = text.replace(&make, "");
        if !self.is_ours {
            text = without_statement(&text, &format!("comment on schema {} is", self.name));
        }
        if text != migration.sql.as_str() {
            migration.sql = AssertSqlSafe(text).into_sql_str();
        }
    }
}

/// The text without a statement that begins with `head`, up to the semicolon at a line's end.
fn without_statement(text: &str, head: &str) -> String {
    let Some(from) = text.find(head) else {
        return text.to_owned();
    };
    let rest = &text[from..];
    let end = rest.find(";\n").map_or(rest.len(), |at| at + 1);
    format!("{}{}", &text[..from], &rest[end..])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_schema_that_a_dba_made_is_neither_made_nor_commented_on() {
        let migrator = sqlx::migrate!("./migrations");
        for (number, name) in [(1, "blueconic"), (2, "sync")] {
            let mut schema = Schema {
                name: name.to_owned(),
                is_there: true,
                is_ours: false,
                may_use: true,
                may_make: false,
                database: "d".to_owned(),
                role: "r".to_owned(),
                is_open: false,
            };
            let original = migrator.iter().find(|one| one.version == number).unwrap();
            let mut migration = original.clone();
            schema.spare(&mut migration);
            let text = migration.sql.as_str();
            assert!(
                !text.contains("create schema") && !text.contains("comment on schema"),
                "{name}"
            );
            assert_eq!(
                text.matches("create table").count(),
                original.sql.as_str().matches("create table").count()
            );
            assert_eq!(migration.checksum, original.checksum);
            schema.is_ours = true;
            let mut migration = original.clone();
            schema.spare(&mut migration);
            assert!(migration.sql.as_str().contains("comment on schema"));
        }
    }
}
