//! Classifies failures of the database by SQLSTATE or by the error of the connection: whether the failure is transient, whether
//! the session is still usable, and what an operator should do.

use std::borrow::Cow;

use sqlx::postgres::PgDatabaseError;

/// The class of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureClass {
    /// Deadlock or serialization failure: the same transaction can be tried again at once.
    Conflict,
    /// Transient: the server stops, starts or is gone, or the network failed.
    Passing,
    /// A person or a time limit ended the statement.
    Cancelled,
    /// A lock was not obtained in time, or an object is in use.
    Locked,
    /// No connection is left for this role, database or server.
    Crowded,
    /// A limit of memory or of temporary files.
    Exhausted,
    /// The session cannot write: the server is a standby, or the database was set read-only.
    ReadOnly,
    /// The result of a prepared statement has changed, since tables were migrated.
    Outdated,
    /// No space left.
    DiskFull,
    /// The server cannot read or write its files.
    DiskFails,
    /// A privilege is missing.
    Denied,
    /// A row-level security policy would hide rows from this role.
    Hidden,
    /// A table is missing.
    Unmigrated,
    /// A pooler hands each transaction to another session.
    Pooled,
    /// The database no longer exists.
    Dropped,
    /// A foreign key, check or trigger that others added refuses a row.
    Refused,
    /// A view or function that others added depends on an object that a migration changes.
    Depended,
    /// A text that the database's encoding cannot hold.
    Encoding,
    /// A limit of PostgreSQL: a row or an index entry is too large.
    TooLarge,
    /// Files of the database are damaged.
    Corrupt,
    /// The certificate, or the TLS handshake.
    Tls,
    /// Retrying cannot help.
    Final,
}

impl FailureClass {
    /// The class of a driver's error.
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        if tls_words(error).is_some() {
            return Self::Tls;
        }
        match error {
            sqlx::Error::Io(_) | sqlx::Error::PoolTimedOut => Self::Passing,
            sqlx::Error::Database(_) => match server(error) {
                Some(inner) => Self::of_answer(inner.code(), inner.routine().unwrap_or_default()),
                None => Self::Final,
            },
            _ => Self::Final,
        }
    }

    /// The class of a SQLSTATE: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. If a code has two meanings, the
    /// server's routine distinguishes them, since messages may be in any language.
    fn of_answer(code: &str, routine: &str) -> Self {
        match (code, routine) {
            ("40P01" | "40001", _) => Self::Conflict,
            // Shutdown, crash, start-up; a session or transaction ended for idling or for its length.
            ("57P01" | "57P02" | "57P03" | "57P05" | "25P03" | "25P04", _) => Self::Passing,
            ("57014", _) => Self::Cancelled,
            ("55P03" | "55006", _) => Self::Locked,
            ("53300", _) => Self::Crowded,
            ("53200" | "53400" | "53000", _) => Self::Exhausted,
            ("25006", _) => Self::ReadOnly,
            ("0A000", "RevalidateCachedQuery") => Self::Outdated,
            ("53100", _) => Self::DiskFull,
            ("58030", _) => Self::DiskFails,
            ("42501", "check_enable_rls") => Self::Hidden,
            ("42501", _) => Self::Denied,
            ("42P01" | "3F000" | "42703" | "42883", _) => Self::Unmigrated,
            // A prepared statement that exists already, or no longer.
            ("42P05" | "26000", _) => Self::Pooled,
            ("57P04" | "3D000", _) => Self::Dropped,
            ("23502" | "23503" | "23514" | "23P01" | "P0001", _) => Self::Refused,
            ("2BP01" | "0A000", _) => Self::Depended,
            ("22021" | "22P05", _) => Self::Encoding,
            ("XX001" | "XX002", _) => Self::Corrupt,
            (code, _) if code.starts_with("08") => Self::Passing,
            (code, _) if code.starts_with("54") => Self::TooLarge,
            _ => Self::Final,
        }
    }

    /// Whether the same work may succeed later without intervention.
    pub(crate) const fn passes(self) -> bool {
        matches!(
            self,
            Self::Conflict
                | Self::Passing
                | Self::Cancelled
                | Self::Locked
                | Self::Crowded
                | Self::Exhausted
                | Self::ReadOnly
                | Self::Outdated
        )
    }

    /// Whether open sessions would keep failing in the same way until they are closed.
    pub(crate) const fn stays_with_sessions(self) -> bool {
        matches!(self, Self::ReadOnly | Self::Outdated | Self::Pooled)
    }
}

/// The server's answer.
pub(crate) fn server(error: &sqlx::Error) -> Option<&PgDatabaseError> {
    error
        .as_database_error()
        .and_then(|inner| inner.try_downcast_ref::<PgDatabaseError>())
}

/// What to do about a failed statement.
pub(crate) fn statement_hint(error: &sqlx::Error) -> Option<Cow<'static, str>> {
    let hint = match FailureClass::of(error) {
        FailureClass::DiskFull => {
            "the database's disk is full: make room there; what is stored is whole, and the next run continues from it"
        }
        FailureClass::DiskFails => {
            "the server cannot read or write its files: look into PostgreSQL's log and at its disk"
        }
        FailureClass::Denied if server(error).is_some_and(is_of_an_older_role) => OLDER_ROLE,
        FailureClass::Denied => DENIED,
        FailureClass::Hidden => {
            "a row-level security policy would hide rows from the role: `alter table … no force row level security`, or \
             give the role `bypassrls`"
        }
        FailureClass::Unmigrated => "run `blueconic-sync migrate`",
        FailureClass::Pooled => {
            "a pooler in transaction mode stands before the database: connect to PostgreSQL itself, or to a pooler in \
             session mode"
        }
        FailureClass::ReadOnly => READ_ONLY,
        FailureClass::Cancelled => {
            "somebody cancelled the statement (`pg_cancel_backend`), or a limit of time ended it; it is tried again"
        }
        FailureClass::Locked => {
            "another session holds what is waited for: `select pid, usename, application_name, state, xact_start from \
             pg_stat_activity order by xact_start` shows the oldest transaction; end it"
        }
        FailureClass::Crowded => CROWDED,
        FailureClass::Exhausted => {
            "a limit of the server's was reached (memory, `temp_file_limit`): raise it there, or lower \
             `database.load_connections` and `limits.batch_size`"
        }
        FailureClass::Dropped => {
            "the database was dropped or renamed: correct `DATABASE_URL`, or create it anew"
        }
        FailureClass::Encoding => {
            "the database has to have the encoding UTF8: `show server_encoding` tells which one it has"
        }
        FailureClass::TooLarge => return Some(too_large_hint(error)),
        FailureClass::Corrupt => {
            "files of the database are damaged: stop it, copy its files, then `reindex` or restore a backup; a full \
             `backfill` into a new database brings all but what was erased or is older than the tenant keeps"
        }
        FailureClass::Refused => return refused_hint(error).map(Cow::Owned),
        FailureClass::Depended => return depended_hint(error).map(Cow::Owned),
        FailureClass::Tls => return tls_words(error).map(|said| Cow::Borrowed(tls_hint(&said))),
        FailureClass::Conflict | FailureClass::Passing | FailureClass::Outdated | FailureClass::Final => {
            return None;
        }
    };
    Some(Cow::Borrowed(hint))
}

const DENIED: &str = "the role lacks a right: it has to own the schemas `blueconic` and `sync` or to have `usage` and \
                      `create` on both, or to have `create` on the database (`grant create on database NAME to ROLE`)";
/// Citus sends a role that it does not know yet to its nodes, which only a superuser may do.
fn is_of_an_older_role(answer: &PgDatabaseError) -> bool {
    answer.message().contains("superuser to alter superuser roles")
}
const OLDER_ROLE: &str = "the role is older than the extension `citus` in this database, so that the nodes do not know it: an \
                          administrator makes the schemas once (`create schema blueconic authorization ROLE`, `create schema \
                          sync authorization ROLE`)";
const CROWDED: &str = "no connection is left: raise `max_connections` of the server (or the role's or database's connection \
                       limit), or lower `database.max_connections`";
/// The hint for a read-only server. Sessions that cannot write are closed and reopened, since a failover may be in progress.
pub(crate) const READ_ONLY: &str = "the server is a standby, or somebody closed the database (`default_transaction_read_only`): \
                                    connect to the primary, or to an address that follows it; during a failover this \
                                    passes by itself";

/// Names the constraint or function and its table. The server's detail is left out, since its keys may name a person.
fn refused_hint(error: &sqlx::Error) -> Option<String> {
    let answer = server(error)?;
    let table = match (answer.schema(), answer.table()) {
        (Some(schema), Some(table)) => format!("`{schema}.{table}`"),
        (None, Some(table)) => format!("`{table}`"),
        _ => "a table of `blueconic`".to_owned(),
    };
    match (answer.code(), answer.constraint()) {
        ("23503", Some(name)) => Some(format!(
            "the foreign key `{name}` of {table} is not this program's, and keeps rows from going that the tenant no longer \
             has: `alter table … drop constraint`, or declare it `on delete cascade` or `on delete set null`"
        )),
        ("23502", _) => Some(format!(
            "column `{}` of {table} may not be null, which is not this program's doing: `alter table … alter column … drop \
             not null`",
            answer.column().unwrap_or("?")
        )),
        (_, Some(name)) => Some(format!(
            "the constraint `{name}` of {table} refuses what the tenant has: `alter table … drop constraint`, unless it \
             is one of this program's migrations"
        )),
        // Raised by a function: ours have a hint, and a trigger of others may have one.
        _ => answer.hint().map(str::to_owned),
    }
}

/// Names the dependent objects, which the server lists by name.
fn depended_hint(error: &sqlx::Error) -> Option<String> {
    let detail = server(error)?.detail()?.replace('\n', "; ");
    Some(format!(
        "something that is not this program's depends on what changes ({detail}): drop it, run `blueconic-sync migrate`, \
         and make it anew"
    ))
}

fn too_large_hint(error: &sqlx::Error) -> Cow<'static, str> {
    match server(error).and_then(PgDatabaseError::constraint) {
        Some(index) => Cow::Owned(format!("a value is too long for the index `{index}`: drop it")),
        None => Cow::Borrowed(
            "a row or a value is larger than PostgreSQL takes, often for an index that somebody added: the message \
             names it; drop it",
        ),
    }
}

/// What to do about a connection that could not be opened.
pub(crate) fn connect_hint(error: &sqlx::Error) -> &'static str {
    if let Some(said) = tls_words(error) {
        return tls_hint(&said);
    }
    match server(error) {
        Some(answer) => match answer.code() {
            "28P01" => {
                "check user and password in `DATABASE_URL` (or `DATABASE_URL_FILE`); where `pg_hba.conf` has `clientcert=verify-full`, \
                 the CN of the certificate in `sslcert` has to be the user"
            }
            "28000" => {
                "check user and password in `DATABASE_URL` (or `DATABASE_URL_FILE`), and whether the server's \
                 `pg_hba.conf` lets this user come from here, with or without TLS (`sslmode`); where it asks for a client \
                 certificate (`cert`, `clientcert`), name one for this user in `sslcert` and `sslkey`"
            }
            "08P01" if answer.message().contains("startup parameter") => {
                "a pooler refuses the connection: add `extra_float_digits` to its `ignore_startup_parameters`"
            }
            "3D000" => "create the database (`createdb NAME`), or correct its name in `DATABASE_URL`",
            "42501" => "`grant connect on database NAME to ROLE`",
            "53300" => CROWDED,
            "57P03" => "the server starts, ends or recovers: wait; a standby may have `hot_standby` off",
            _ => "check `DATABASE_URL`",
        },
        None if is_unresolved(error) => {
            "the host's name does not resolve: correct it in `DATABASE_URL`, or look at the name server of this machine"
        }
        None if is_silent(error) => {
            "nothing answers there: check host and port in `DATABASE_URL`, and whether a firewall drops what this machine sends"
        }
        None => {
            "start PostgreSQL there (`systemctl start postgresql`, or `docker compose up -d postgres`), correct \
             `DATABASE_URL`, or leave it out to use the embedded server"
        }
    }
}

/// Whether the host's name did not resolve. The standard library has this message on every system, and no kind of its own.
fn is_unresolved(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Io(inner) if inner.to_string().contains("failed to lookup address information"))
}

/// Whether no answer came in time, or no route leads there.
fn is_silent(error: &sqlx::Error) -> bool {
    use std::io::ErrorKind;
    match error {
        sqlx::Error::PoolTimedOut => true,
        sqlx::Error::Io(inner) => matches!(
            inner.kind(),
            ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
        ),
        _ => false,
    }
}

/// The message about encryption or a certificate, if the failure is about one. The driver wraps errors of the handshake in I/O
/// errors.
fn tls_words(error: &sqlx::Error) -> Option<String> {
    match error {
        sqlx::Error::Tls(inner) => Some(inner.to_string()),
        sqlx::Error::Io(inner) if inner.kind() == std::io::ErrorKind::InvalidData => {
            inner.get_ref().map(ToString::to_string)
        }
        _ => None,
    }
}

/// The hint, chosen by the messages of rustls and of the driver.
fn tls_hint(said: &str) -> &'static str {
    let has = |word: &str| said.contains(word);
    if has("received fatal alert") && !has("CertificateRequired") {
        "the server refuses the handshake; where it asks for a client certificate, that of `sslcert` has to be issued by an authority \
         of the server's `ssl_ca_file`, and to be in time; the server's log has the reason"
    } else if has("does not support TLS") {
        "the server does not offer TLS: switch it on there (`ssl = on`), or lower `sslmode` in `DATABASE_URL`"
    } else if has("NotValidForName") || has("not valid for name") {
        "the certificate names another host: use a name that stands in its subjectAltName (its CN does not count, and an IP \
         address needs an entry of its own), or have it issued with this one"
    } else if has("Expired") || has("expired") {
        "the server's certificate has expired: renew it, and look at the clock of this machine"
    } else if has("NotValidYet") || has("not valid yet") {
        "the server's certificate is not valid yet: look at the clocks of this machine and of the server"
    } else if has("CaUsedAsEndEntity") {
        "the server's certificate is an authority's and its own root, which is not taken for a server's: make it anew with \
         `basicConstraints=CA:FALSE` and a subjectAltName, or have an authority of your own sign it and name that \
         authority's certificate in `sslrootcert`"
    } else if has("UnknownIssuer") || has("BadSignature") {
        "no authority that is trusted here signed the server's certificate: name the authority's certificate (PEM) in \
         `sslrootcert=/path/to/ca.pem`"
    } else if has("UnsupportedCertVersion") {
        "the server's certificate is of X.509 version 1, as Citus makes one for itself, and no client of this kind takes it: have it issued \
         anew as version 3 with a subjectAltName (`ssl_cert_file` of the server), or, where the network is trusted, set `sslmode=disable` \
         in `DATABASE_URL`"
    } else if has("BadEncoding") || has("Unsupported") {
        "the certificate is of a kind that is not taken (an old algorithm): have it issued anew with a subjectAltName"
    } else if has("CertificateRequired") || has("certificate required") {
        "the server wants a certificate of the client: `sslcert` and `sslkey` in `DATABASE_URL`"
    } else if has("Revoked") {
        "the server's certificate was revoked: have a new one issued"
    } else {
        "check the server's certificate, and `sslmode` and `sslrootcert` in `DATABASE_URL`"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transient_failures_differ_from_lasting_ones() {
        for code in [
            "25006", "57P01", "57P02", "57P03", "57P05", "57014", "53300", "53400", "53200", "55P03",
            "55006", "40001", "40P01", "08006", "08P01", "25P03",
        ] {
            assert!(FailureClass::of_answer(code, "").passes(), "{code}");
        }
        for code in [
            "57P04", "53100", "58030", "42501", "3D000", "22021", "23503", "2BP01", "54000", "XX001",
            "XX002", "26000", "42P01", "0A000",
        ] {
            assert!(!FailureClass::of_answer(code, "").passes(), "{code}");
        }
        assert!(FailureClass::of_answer("0A000", "RevalidateCachedQuery").passes());
        assert_eq!(
            FailureClass::of_answer("42501", "check_enable_rls"),
            FailureClass::Hidden
        );
    }

    #[test]
    fn sessions_that_would_fail_again_are_left() {
        for (code, routine) in [
            ("25006", ""),
            ("26000", ""),
            ("42P05", ""),
            ("0A000", "RevalidateCachedQuery"),
        ] {
            assert!(
                FailureClass::of_answer(code, routine).stays_with_sessions(),
                "{code}"
            );
        }
        assert!(!FailureClass::of_answer("40001", "").stays_with_sessions());
    }

    #[test]
    fn a_fault_of_a_certificate_has_a_hint_about_it() {
        let io = |said: &str| {
            sqlx::Error::Io(std::io::Error::new(
                std::io::ErrorKind::InvalidData,
                said.to_owned(),
            ))
        };
        for (said, word) in [
            ("invalid peer certificate: Expired", "expired"),
            (
                "invalid peer certificate: certificate expired: verified at time 1",
                "expired",
            ),
            ("invalid peer certificate: NotValidForName", "names another host"),
            (
                "invalid peer certificate: certificate not valid for name \"x\"",
                "names another host",
            ),
            ("invalid peer certificate: UnknownIssuer", "sslrootcert="),
            (
                "invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))",
                "CA:FALSE",
            ),
            (
                "invalid peer certificate: Other(OtherError(UnsupportedCertVersion))",
                "sslmode=disable",
            ),
        ] {
            let error = io(said);
            assert_eq!(FailureClass::of(&error), FailureClass::Tls, "{said}");
            assert!(
                connect_hint(&error).contains(word),
                "{said}: {}",
                connect_hint(&error)
            );
        }
        let refused = sqlx::Error::Tls("server does not support TLS".into());
        assert!(connect_hint(&refused).contains("ssl = on"));
        let alert = |what: &str| io(&format!("received fatal alert: {what}"));
        assert!(connect_hint(&alert("UnknownCA")).contains("ssl_ca_file"));
        assert!(connect_hint(&alert("CertificateExpired")).contains("ssl_ca_file"));
        assert!(connect_hint(&alert("CertificateRequired")).contains("`sslcert` and `sslkey`"));
        let unknown =
            std::io::Error::other("failed to lookup address information: Name or service not known");
        assert!(connect_hint(&sqlx::Error::Io(unknown)).contains("does not resolve"));
        assert!(connect_hint(&sqlx::Error::PoolTimedOut).contains("firewall"));
        let away = sqlx::Error::Io(std::io::ErrorKind::ConnectionRefused.into());
        assert_eq!(FailureClass::of(&away), FailureClass::Passing);
        assert!(connect_hint(&away).contains("start PostgreSQL"));
    }
}
