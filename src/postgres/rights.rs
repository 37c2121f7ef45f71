//! The roles for readers: makes them, gives them their rights, and finds where their rights are not what they should be. Which those are
//! is in the functions of `migrations/0042_personal_data.sql`.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const READING: &str = "looking at the rights of readers";
const MAKING: &str = "making the roles for readers";
const GRANTING: &str = "giving readers their rights";

/// The roles.
const ROLES: [&str; 2] = ["blueconic_reader", "blueconic_pii_reader"];

/// A right that a role lacks, or has and should not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The role.
    pub role: String,
    /// The table, view or schema; the role itself if it is missing.
    pub object: String,
    /// What is wrong.
    pub problem: String,
    /// What mends it.
    pub mend: String,
}

impl Problem {
    /// Whether the role is missing.
    pub fn is_missing_role(&self) -> bool {
        self.role == self.object && self.mend.starts_with("create role")
    }
}

/// Where the rights of the roles are not what they should be.
pub async fn problems(store: &PostgresStore) -> Result<Vec<Problem>, Error> {
    let reading = sqlx::query_as!(
        Problem,
        r#"select role_name as "role!", object as "object!", problem as "problem!", mend as "mend!"
           from sync.reader_problems() order by 1, 2, 3"#
    )
    .fetch_all(store.control());
    store
        .moment(READING, async { reading.await.doing(READING) })
        .await
}

/// The statements that make the roles and give them all of their rights, for an administrator.
pub async fn statements(store: &PostgresStore) -> Result<Vec<String>, Error> {
    let reading = sqlx::query_scalar!(r#"select sync.reader_statements(true) as "statement!""#)
        .fetch_all(store.control());
    let grants = store
        .moment(READING, async { reading.await.doing(READING) })
        .await?;
    let roles = ROLES.map(|role| {
        format!(
            "do $$ begin if not exists (select from pg_roles where rolname = '{role}') then create role {role} nologin; end if; end $$"
        )
    });
    Ok(roles.into_iter().chain(grants).collect())
}

/// Makes the roles that are missing, if this role may, and gives them their rights.
pub async fn give(store: &PostgresStore) -> Result<(), Error> {
    store
        .minutes(GRANTING, async {
            let mut connection = store.control().acquire().await.doing(GRANTING)?;
            make(&mut connection).await?;
            grant(&mut connection).await
        })
        .await
}

/// Gives the roles their rights, if both are there.
pub async fn renew(store: &PostgresStore) -> Result<(), Error> {
    store
        .minutes(GRANTING, async {
            let mut connection = store.control().acquire().await.doing(GRANTING)?;
            grant(&mut connection).await
        })
        .await
}

async fn make(connection: &mut PgConnection) -> Result<(), Error> {
    let missing = sqlx::query_scalar!(
        r#"select wanted.name as "name!" from unnest($1::text[]) as wanted (name)
           where not exists (select from pg_roles where rolname = wanted.name)
             and exists (select from pg_roles where rolname = current_user and (rolcreaterole or rolsuper))"#,
        &ROLES as &[&str]
    )
    .fetch_all(&mut *connection)
    .await
    .doing(MAKING)?;
    for role in missing {
        let making =
            sqlx::query(AssertSqlSafe(format!("create role {role} nologin"))).execute(&mut *connection);
        boundary::cross("readers/make", MAKING, making).await?;
    }
    Ok(())
}

async fn grant(connection: &mut PgConnection) -> Result<(), Error> {
    let granting = sqlx::query!("select sync.grant_readers()").fetch_one(connection);
    boundary::cross("readers/grant", GRANTING, granting).await?;
    Ok(())
}
