//! A PostgreSQL server that wants a password and writes down every statement with its parameters.

use std::path::PathBuf;

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use url::form_urlencoded::byte_serialize;

use crate::support::cluster::Cluster;
use crate::support::database::Database;

/// Who the program is there.
const ROLE: &str = "guest";

/// The server, and a database of the role that needs a password.
pub(super) struct Guarded {
    pub(super) database: Database,
    folder: PathBuf,
    // Last: it takes the server away.
    _cluster: Cluster,
}

impl Guarded {
    pub(super) async fn start(password: &str) -> Self {
        let cluster = Cluster::start();
        let database = Database::on(&cluster).await;
        let folder = cluster.options.get_socket().unwrap().clone();
        let name = &database.name;
        // The password is set before statements are written down: that it stands in this one is our own doing.
        for statement in [
            format!("create role {ROLE} login password '{password}'"),
            format!("alter database {name} owner to {ROLE}"),
            format!("alter database {name} set log_min_messages = 'debug1'"),
            format!("alter database {name} set log_statement = 'all'"),
            format!("alter database {name} set log_min_duration_statement = 0"),
            "copy (select unnest(array['local all postgres trust', 'local all all scram-sha-256']))
             to program 'cat > \"$PGDATA\"/pg_hba.conf'"
                .replace("$PGDATA", &folder.join("disk/data").display().to_string()),
            "select pg_reload_conf()".to_owned(),
        ] {
            let mut admin = PgConnection::connect_with(&cluster.options).await.unwrap();
            sqlx::raw_sql(AssertSqlSafe(statement))
                .execute(&mut admin)
                .await
                .unwrap();
        }
        Self {
            database,
            folder,
            _cluster: cluster,
        }
    }

    /// For `DATABASE_URL`, with any password.
    pub(super) fn url(&self, password: &str) -> String {
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        format!(
            "postgres://{ROLE}:{}@{}/{}",
            encoded(password),
            encoded(&self.folder.display().to_string()),
            self.database.name
        )
    }

    /// All that the server has written down.
    pub(super) fn log(&self) -> Vec<u8> {
        std::fs::read(self.folder.join("log")).unwrap()
    }
}
