//! The database within the cluster: its address, and making it. It opens the only session of this crate.

use std::path::Path;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::postgres::{PgConnectOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::error::Error;

/// The cluster's superuser, for every user that may access the socket's folder.
const USER: &str = "postgres";

/// A server that accepts connections answers at once; one that hangs must not delay the start.
const LONGEST_CONNECT: Duration = Duration::from_secs(10);

/// Defaults of the role or the server must not change how the database is made.
const PREPARE: &str = "set search_path = pg_catalog, pg_temp; set statement_timeout = 0; set lock_timeout = '30s'; \
                       set default_transaction_read_only = off; set client_min_messages = notice";

/// The characters that a query value of a URL holds unencoded. A blank becomes `%20`: libpq does not read `+` as a blank.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'/');

/// The address of a database behind the socket in `run`, for sqlx and for libpq.
pub(crate) fn url(run: &Path, database: &str) -> String {
    let run = run.to_string_lossy();
    let folder = utf8_percent_encode(&run, ENCODED);
    let database = utf8_percent_encode(database, ENCODED);
    format!("postgres:///{database}?host={folder}&port=5432&user={USER}&sslmode=disable")
}

/// Makes the database at the first start, or at a later one if the first was cut short.
pub(crate) async fn ensure(run: &Path, database: &str) -> Result<(), Error> {
    let options = PgConnectOptions::new_without_pgpass()
        .socket(run)
        .port(5432)
        .username(USER)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable);
    let failed = |action| move |source| Error::Session { action, source };
    let mut connection = tokio::time::timeout(LONGEST_CONNECT, PgConnection::connect_with(&options))
        .await
        .unwrap_or(Err(sqlx::Error::PoolTimedOut))
        .map_err(failed("connect"))?;
    sqlx::raw_sql(PREPARE)
        .execute(&mut connection)
        .await
        .map_err(failed("prepare the session"))?;
    let exists = sqlx::query_scalar::<_, bool>("select exists (select from pg_database where datname = $1)")
        .bind(database)
        .fetch_one(&mut connection)
        .await
        .map_err(failed("look for its database"))?;
    if !exists {
        let create = format!("create database {}", quoted(database));
        sqlx::raw_sql(AssertSqlSafe(create))
            .execute(&mut connection)
            .await
            .map_err(failed("create the database"))?;
    }
    connection.close().await.map_err(failed("end the session"))
}

/// A name, quoted for SQL.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_with_blanks_and_commas_is_encoded() {
        assert_eq!(
            url(Path::new("/tmp/a b,c+d"), "data"),
            "postgres:///data?host=/tmp/a%20b%2Cc%2Bd&port=5432&user=postgres&sslmode=disable"
        );
    }

    #[test]
    fn a_name_is_quoted() {
        assert_eq!(quoted("data"), "\"data\"");
        assert_eq!(quoted("a\"b"), "\"a\"\"b\"");
    }
}
