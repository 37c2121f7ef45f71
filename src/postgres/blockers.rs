//! Finds the sessions that block a session which waits for a lock, in words for a person. PostgreSQL shows what another
//! role's session does only to superusers and members of `pg_read_all_stats`; everybody sees process, user and
//! application.

use std::time::Duration;

use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::model::Time;
use crate::postgres::error::{Doing, Error};

/// How often blockers are looked up.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// Checks until `ended` says so; returns the last blockers of the session `pid`.
pub(crate) async fn watch(
    connection: &mut PgConnection,
    pid: i32,
    stop: &CancellationToken,
) -> Result<Option<String>, Error> {
    let mut last = None;
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(last),
            () = tokio::time::sleep(LOOK_AGAIN) => {}
        }
        if let Some(who) = of(connection, pid).await? {
            last = Some(who);
        }
    }
}

/// The sessions that block now.
async fn of(connection: &mut PgConnection, pid: i32) -> Result<Option<String>, Error> {
    const DOING: &str = "looking for blocking sessions";
    // Within a transaction the server repeats its first answer unless the snapshot is cleared.
    sqlx::query("select pg_stat_clear_snapshot()")
        .execute(&mut *connection)
        .await
        .doing(DOING)?;
    let rows = sqlx::query!(
        r#"select a.pid as "pid!", a.usename::text as user_name, a.application_name, a.state, a.xact_start,
             a.datname is distinct from current_database() as "elsewhere!"
           from unnest(pg_blocking_pids($1)) as blocking (pid)
           join pg_stat_activity as a on a.pid = blocking.pid
           order by a.xact_start nulls last, a.pid limit 5"#,
        pid
    )
    .fetch_all(connection)
    .await
    .doing(DOING)?;
    if rows.is_empty() {
        return Ok(None);
    }
    let sessions: Vec<String> = rows
        .into_iter()
        .map(|row| {
            let session = Session {
                pid: row.pid,
                user: row.user_name,
                application: row.application_name.filter(|name| !name.is_empty()),
                state: row.state.filter(|state| !state.is_empty()),
                since: row.xact_start,
            };
            session.describe()
        })
        .collect();
    Ok(Some(sessions.join("; ")))
}

/// A session that blocks.
struct Session {
    pid: i32,
    user: Option<String>,
    application: Option<String>,
    state: Option<String>,
    since: Option<Time>,
}

impl Session {
    /// Another user chooses the application's name, so it is sanitized.
    fn describe(&self) -> String {
        let mut words = vec![format!("PID {}", self.pid)];
        words.extend(self.user.as_ref().map(|user| format!("user {}", plain(user))));
        words.extend(
            self.application
                .as_ref()
                .map(|name| format!("application {}", plain(name))),
        );
        words.extend(self.state.as_ref().map(|state| plain(state)));
        words.extend(
            self.since
                .map(|since| format!("in a transaction since {}", since.format("%Y-%m-%d %H:%M:%S UTC"))),
        );
        words.join(", ")
    }
}

fn plain(text: &str) -> String {
    text.chars()
        .map(|one| {
            if one.is_ascii_graphic() || one == ' ' || one.is_alphanumeric() {
                one
            } else {
                '?'
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_is_reported_without_what_it_hides() {
        let session = Session {
            pid: 7,
            user: Some("ann".to_owned()),
            application: Some("psql\u{1b}[31m".to_owned()),
            state: None,
            since: None,
        };
        assert_eq!(session.describe(), "PID 7, user ann, application psql?[31m");
    }
}
