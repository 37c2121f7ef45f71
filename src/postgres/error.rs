//! The error of this layer: what was tried, why it failed, and what an operator should do. It contains no password:
//! addresses are built from host, port, database and user alone.

use std::borrow::Cow;

use sqlx::migrate::MigrateError;

use crate::model::Time;
use crate::model::fault::{Fault, Kind};
use crate::postgres::blocker::Blocker;
use crate::postgres::failure_class::FailureClass;
use crate::postgres::stale_sessions;

mod hints;

/// What can go wrong between this program and its database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection string cannot be read.
    #[error("the database's address cannot be read")]
    Address(#[source] sqlx::Error),
    /// The connection string names a file that cannot be used.
    #[error("`{parameter}` of the database's address names {path}, which {what}")]
    Certificate {
        /// `sslrootcert`, `sslcert` or `sslkey`.
        parameter: &'static str,
        /// The file.
        path: String,
        /// "cannot be read", "holds no certificate".
        what: &'static str,
        /// What to do about it.
        hint: &'static str,
        /// The operating system's error.
        #[source]
        source: Option<std::io::Error>,
    },
    /// The connection string asks for something that is not available.
    #[error("the database's address {what}")]
    Unsupported {
        /// "names several hosts", …
        what: &'static str,
        /// What to do instead.
        hint: &'static str,
    },
    /// No connection.
    #[error("cannot connect to PostgreSQL at {address}")]
    Connect {
        /// Host, port or socket, database, user.
        address: String,
        /// The connection's error.
        #[source]
        source: sqlx::Error,
    },
    /// The server is older than 15.
    #[error("PostgreSQL {version} at {address} is too old")]
    TooOld {
        /// Its version.
        version: String,
        /// Where it is.
        address: String,
    },
    /// The database cannot hold every text.
    #[error("the database at {address} has the encoding {encoding}")]
    NotUtf8 {
        /// Its encoding.
        encoding: String,
        /// Where it is.
        address: String,
    },
    /// Nothing can be written.
    #[error("the database at {address} is read-only")]
    ReadOnly {
        /// Whether the server is a standby; else `default_transaction_read_only` is on.
        is_standby: bool,
        /// Where it is.
        address: String,
    },
    /// Batches cannot be staged.
    #[error("the role {role} may not make temporary tables in the database {database}")]
    NoStaging {
        /// The role.
        role: String,
        /// The database.
        database: String,
    },
    /// A statement failed.
    #[error("failed {doing}")]
    Statement {
        /// In words: "storing the cursor".
        doing: &'static str,
        /// The database's error.
        #[source]
        source: sqlx::Error,
    },
    /// A migration failed.
    #[error("failed applying the migrations")]
    Migrate(#[source] MigrateError),
    /// Sessions kept the locks that a migration needs.
    #[error("a migration did not get its lock in {seconds} seconds; blocked by: {who}")]
    InTheWay {
        /// How long it was tried.
        seconds: u64,
        /// Which sessions.
        who: String,
    },
    /// The schemas are missing and may not be created, or may not be used.
    #[error("the role {role} may not make the schema {schema}, or tables in it, in the database {database}")]
    NoSchema {
        /// The schema.
        schema: String,
        /// The database.
        database: String,
        /// The role.
        role: String,
    },
    /// Another process has been applying migrations for too long.
    #[error("another process has been applying migrations for {seconds} seconds")]
    MigrationsLocked {
        /// How long it was waited for.
        seconds: u64,
    },
    /// The database was migrated by a newer version of this program.
    #[error("the database's schema ({found}) is newer than this program ({known})")]
    Newer {
        /// The version of the newest migration in the database.
        found: i64,
        /// The newest that this program knows.
        known: i64,
    },
    /// An applied migration differs from the one in this program.
    #[error("migration {version} was applied with another text than this program's")]
    Altered {
        /// Its version.
        version: i64,
    },
    /// A migration failed and left a partial state.
    #[error("migration {version} was applied in part")]
    Dirty {
        /// Its version.
        version: i64,
    },
    /// Migrations are pending.
    #[error("{pending} migrations have not been applied to the database")]
    Pending {
        /// How many.
        pending: usize,
    },
    /// The database belongs to another tenant.
    #[error("this database belongs to the tenant {stored}, not to {given}")]
    OtherTenant {
        /// The tenant in `sync.tenant`.
        stored: String,
        /// The tenant of the settings.
        given: String,
    },
    /// A tenant's address without a host.
    #[error("the tenant's address {url} has no host")]
    NoHost {
        /// The address.
        url: String,
    },
    /// The lease went to another holder.
    #[error("the lease of {name} went to another holder")]
    Fenced {
        /// `RESOURCE/SCOPE`.
        name: String,
    },
    /// Another process holds the lease, and no run may be open.
    #[error("{holder} holds the lease of {name} until {expires_at}")]
    Held {
        /// `RESOURCE/SCOPE`.
        name: String,
        /// The holder.
        holder: String,
        /// The end of the lease without a renewal.
        expires_at: Time,
    },
    /// The watermark lies before the given time, or there is none.
    #[error("{}", not_back(resource, latest.as_ref()))]
    NotBack {
        /// The resource.
        resource: String,
        /// Its watermark.
        latest: Option<Time>,
    },
    /// Work that was given up because it did not end.
    #[error("gave up {doing} after {seconds} s: {blocker}")]
    Waited {
        /// In words: "loading a batch".
        doing: &'static str,
        /// How long the work was waited for.
        seconds: u64,
        /// What blocked the work.
        blocker: Blocker,
    },
    /// Rows that were compared as unchanged have been removed since.
    #[error("{rows} rows disappeared while their batch was loaded")]
    Gone {
        /// How many.
        rows: u64,
    },
    /// Merges would remove more rows than the run may. The engine adds the hint.
    #[error("merges would remove {rows} rows more than may be removed without approval")]
    TooManyRemovals {
        /// The number of removals.
        rows: u64,
    },
    /// The server crashed, or another one took its place, while a run went on: its last commits may be lost.
    #[error("PostgreSQL crashed or failed over during the run, and may have lost its last commits")]
    CommitsLost,
    /// Another run changed the typed columns, or what becomes of personal data, while this one loaded.
    #[error("the columns or the treatment of profile properties were changed during the run")]
    ColumnsChanged,
    /// Another process has set other rules about personal data since this one did.
    #[error(
        "another process has set other rules in `resources.profiles.personal_data` since this one started"
    )]
    OtherRules,
    /// The stored treatment of personal data cannot be read, or written.
    #[error("the treatment of personal data in `sync.personal_data` cannot be used")]
    Treatment {
        /// Why.
        source: serde_json::Error,
    },
    /// The batch's ids are not new, so it has to go through staging.
    #[error("a batch of new ids cannot be copied directly into the table")]
    NotFresh,
    /// The claim to refresh the token was taken over.
    #[error("the claim to refresh the token of {tenant} was taken over")]
    ClaimLost {
        /// The tenant's host.
        tenant: String,
    },
    /// Another token request does not end.
    #[error("a request for a token is under way, and does not end")]
    TokenBusy,
    /// The operating system gives no random bytes.
    #[error("the operating system gives no random bytes for the key of the erasures")]
    Random {
        /// Its error.
        #[source]
        source: rand::rngs::SysError,
    },
    /// The key of the hashes of erased persons is missing.
    #[error(
        "the key of the erasures (`sync.erasure_key`) is gone: the erased persons can no longer be recognized"
    )]
    ErasureKeyLost,
    /// A stored position cannot be read.
    #[error("the stored position of {name} cannot be read")]
    Position {
        /// `RESOURCE/SCOPE`.
        name: String,
        /// What is wrong with it.
        #[source]
        source: serde_json::Error,
    },
}

fn not_back(resource: &str, latest: Option<&Time>) -> String {
    match latest {
        Some(latest) => format!(
            "the watermark of {resource} stands at {} already: there is nothing to move back",
            latest.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
        ),
        None => format!("{resource} has no watermark to move back: it was never complete"),
    }
}

impl Error {
    /// Whether a retry may succeed without anybody's intervention.
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Gone { .. } | Self::ReadOnly { .. } | Self::InTheWay { .. } | Self::Waited { .. }
        ) || self.cause().is_some_and(|cause| FailureClass::of(cause).passes())
    }

    /// Whether the transaction conflicted with another and can be run again at once.
    pub fn is_conflict(&self) -> bool {
        self.cause()
            .is_some_and(|cause| FailureClass::of(cause) == FailureClass::Conflict)
    }

    /// Whether a lock was not obtained in time, or a deadlock was broken.
    pub(crate) fn is_locked_out(&self) -> bool {
        self.cause().is_some_and(|cause| {
            matches!(
                FailureClass::of(cause),
                FailureClass::Locked | FailureClass::Conflict
            )
        })
    }

    /// Whether a batch that was copied directly must go through staging instead.
    pub(crate) fn is_duplicate(&self) -> bool {
        let code = |cause: &sqlx::Error| {
            cause
                .as_database_error()
                .and_then(|inner| inner.code().map(Cow::into_owned))
        };
        matches!(self, Self::NotFresh) || self.cause().and_then(code).is_some_and(|code| code == "23505")
    }

    /// Whether a lock was not obtained within the server's `lock_timeout`.
    pub(crate) fn is_lock_not_had(&self) -> bool {
        let waited = matches!(
            self,
            Self::Waited {
                blocker: Blocker::Session(_),
                ..
            }
        );
        waited || self.has_code("55P03")
    }

    /// Whether a connection was given up because it fell silent.
    pub(crate) const fn is_silence(&self) -> bool {
        matches!(
            self,
            Self::Waited {
                blocker: Blocker::Silence,
                ..
            }
        )
    }

    fn has_code(&self, code: &str) -> bool {
        self.cause()
            .and_then(sqlx::Error::as_database_error)
            .is_some_and(|inner| inner.code().as_deref() == Some(code))
    }

    /// The driver's error below.
    fn cause(&self) -> Option<&sqlx::Error> {
        match self {
            Self::Connect { source, .. } | Self::Statement { source, .. } => Some(source),
            Self::Migrate(MigrateError::Execute(source) | MigrateError::ExecuteMigration(source, _)) => {
                Some(source)
            }
            _ => None,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Address(_)
            | Self::Certificate { .. }
            | Self::Unsupported { .. }
            | Self::NoSchema { .. }
            | Self::TooOld { .. }
            | Self::NotUtf8 { .. }
            | Self::NoStaging { .. }
            | Self::Newer { .. }
            | Self::Altered { .. }
            | Self::OtherTenant { .. }
            | Self::NotBack { .. }
            | Self::OtherRules
            | Self::NoHost { .. } => Kind::Settings,
            Self::Fenced { .. } | Self::ClaimLost { .. } => Kind::Fenced,
            Self::CommitsLost => Kind::CommitsLost,
            Self::ColumnsChanged => Kind::ColumnsChanged,
            Self::Held { .. } | Self::TokenBusy => Kind::Held,
            Self::TooManyRemovals { .. } => Kind::Person,
            _ if self.is_transient() => Kind::Transient,
            _ => Kind::Final,
        }
    }
}

/// The sources of the error, without repetitions.
fn why(error: &Error) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        let text = without_place(&inner.to_string());
        if !parts.iter().any(|part| part.contains(&text)) {
            parts.push(text);
        }
        source = inner.source();
    }
    (!parts.is_empty()).then(|| parts.join(": "))
}

/// sqlx appends the source line of the PostgreSQL server, which does not help here.
fn without_place(text: &str) -> String {
    match text.rsplit_once(" at line ") {
        Some((said, line)) if line.bytes().all(|byte| byte.is_ascii_digit()) => said.to_owned(),
        _ => text.to_owned(),
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        let mut fault = Self::new(error.kind(), error.to_string());
        fault.of_database = true;
        if let Some(why) = why(&error) {
            fault = fault.because(why);
        }
        match error.hint() {
            Some(hint) => fault.hint(hint),
            None => fault,
        }
    }
}

/// Says in words what a failing statement was for.
pub(crate) trait Doing<T> {
    /// Wraps the driver's error.
    fn doing(self, doing: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for Result<T, sqlx::Error> {
    fn doing(self, doing: &'static str) -> Result<T, Error> {
        self.map_err(|source| {
            if FailureClass::of(&source).stays_with_sessions() {
                stale_sessions::mark_open_sessions();
            }
            Error::Statement { doing, source }
        })
    }
}
