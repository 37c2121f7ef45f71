//! What this program adds to the embedded PostgreSQL: names, server options, and hints. The crate `embedded-postgres`
//! runs the cluster and knows nothing of this program.

use embedded_postgres::{Config, Error, install};

/// The oldest major version that the migrations run on (`merge`, `nulls not distinct`).
pub const OLDEST_MAJOR: u32 = 15;

/// The cluster of this program.
pub const CONFIG: Config = Config {
    name: "blueconic-sync",
    database: "blueconic",
    oldest_major: OLDEST_MAJOR,
    options: OPTIONS,
};

/// Options for loading.
const OPTIONS: &[&str] = &[
    "max_connections=100",
    // A load writes gigabytes of WAL: fewer, smoother checkpoints. Durability stays what it is (fsync is on).
    "max_wal_size=2GB",
    "checkpoint_completion_target=0.9",
    "checkpoint_timeout=15min",
    "wal_compression=on",
    // The load's statements are many and short; compiling them costs more than it brings.
    "jit=off",
    "log_checkpoints=off",
];

/// Set in the container image: without a volume, an embedded database would be lost.
const IN_IMAGE: &str = "BLUECONIC_SYNC_IN_IMAGE";

/// Whether this process runs in our container image, where an embedded database is refused.
pub fn is_in_image() -> bool {
    std::env::var_os(IN_IMAGE).is_some_and(|value| value == "1")
}

/// A hint about an error, as one sentence.
pub fn hint(error: &Error) -> String {
    match error {
        Error::ProgramsMissing | Error::ProgramsTooOld { .. } => format!(
            "install it with `{}`, or set `DATABASE_URL` to a server of yours (`docker compose up` brings one)",
            install::command().unwrap_or("script/bootstrap")
        ),
        Error::Pgbin { .. } => format!(
            "let `PGBIN` name the folder that holds `initdb`, `postgres` and `psql` {OLDEST_MAJOR} or newer, or unset it"
        ),
        Error::NoHome => "set `database.data_dir` to a folder that this user may write".to_owned(),
        Error::PathNotText { .. } | Error::NotOurs { .. } => {
            "set `database.data_dir` to a new or empty folder".to_owned()
        }
        Error::Files { .. } => {
            "check the folder's owner and the free space, or set `database.data_dir` to another folder"
                .to_owned()
        }
        Error::OtherOwner { owner, .. } => {
            format!("run as {owner} or as root, or set `database.data_dir` to a folder of your own")
        }
        Error::OutOfReach { .. } => {
            "set `database.data_dir` to a folder below `/var/lib` or `/srv`, or run as an ordinary user"
                .to_owned()
        }
        Error::SocketFolder { path, .. } => format!(
            "remove `{}`, or choose a shorter `database.data_dir`",
            path.display()
        ),
        Error::OtherVersion { made_by, path, .. } => format!(
            "install PostgreSQL {made_by}, or move `{}` away and let the next run fill a new one from the tenant",
            path.display()
        ),
        Error::Supervisor { .. } => {
            "run as an ordinary user, or set `DATABASE_URL` to a server of yours".to_owned()
        }
        Error::Ended { log, .. } => {
            format!(
                "mend what the log `{}` names (often a full disk), and start again",
                log.display()
            )
        }
        Error::TooLong { path, .. } => format!(
            "look into `{}`; if another process hangs there, end it and start again",
            path.join("log").display()
        ),
        Error::Session { .. } => "start again; if it stays, look into the log in the data folder".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_that_are_too_old_have_a_way_out() {
        let error = Error::ProgramsTooOld {
            major: 14,
            oldest: OLDEST_MAJOR,
            folder: "/usr/lib/postgresql/14/bin".into(),
        };
        let hint = hint(&error);
        assert!(hint.contains("docker compose up"), "{hint}");
    }
}
