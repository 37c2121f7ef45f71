//! The parts of a connection string that the driver does not support or reports badly: several hosts, IPv6 addresses,
//! certificate files, and connections that others could read.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use sqlx::postgres::{PgConnectOptions, PgSslMode};
use url::Url;
use zeroize::Zeroizing;

use crate::postgres::client_certificate::{self, Part};
use crate::postgres::embedded;
use crate::postgres::error::Error;

/// The parameters that name files, each by all its names, and the variable that the driver reads where none is there.
const FILES: [(&str, &[&str], &str); 3] = [
    (
        "sslrootcert",
        &["sslrootcert", "ssl-root-cert", "ssl-ca"],
        "PGSSLROOTCERT",
    ),
    ("sslcert", &["sslcert", "ssl-cert"], "PGSSLCERT"),
    ("sslkey", &["sslkey", "ssl-key"], "PGSSLKEY"),
];
/// The hint for the file of an authority.
const AUTHORITY: &str =
    "name a file in PEM that this user can read; `sslrootcert=system` takes what the system trusts";
/// The hint for one half of a client certificate.
const HALF: &str =
    "name both: `sslcert` is the client's certificate and `sslkey` its private key, each a file in PEM";
/// The value of `sslrootcert` for the certificates that the system trusts (in libpq since version 16).
const SYSTEM: &str = "system";
/// The files with these certificates: Debian, Ubuntu and Alpine; Fedora and Red Hat; openSUSE; macOS and the BSDs.
const SYSTEM_ROOTS: [&str; 5] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Refuses addresses that the driver would misread.
pub(crate) fn refuse(url: &str) -> Result<(), Error> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let hosts = authority.rsplit('@').next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    let pairs = || url::form_urlencoded::parse(query.as_bytes());
    let several =
        pairs().any(|(key, value)| matches!(&*key, "host" | "hostaddr" | "port") && value.contains(','));
    if hosts.contains(',') || several {
        return Err(Error::Unsupported {
            what: "names several hosts",
            hint: "name one that follows the primary: a virtual address, a DNS name, or a pooler in session mode; \
                   connections to a server that became a standby are closed and opened anew",
        });
    }
    let standby = |value: &str| matches!(value, "standby" | "read-only" | "prefer-standby");
    if pairs().any(|(key, value)| key == "target_session_attrs" && standby(&value)) {
        return Err(Error::Unsupported {
            what: "asks for a standby (`target_session_attrs`)",
            hint: "connect to the primary: this program writes",
        });
    }
    Ok(())
}

/// Whether this program handles a parameter that the driver does not know: sessions that cannot write are never kept.
pub(crate) fn is_ours(key: &str) -> bool {
    key == "target_session_attrs"
}

/// Completes the driver's options by parameters that it does not read.
pub(crate) fn complete(
    options: PgConnectOptions,
    pairs: &[(String, String)],
) -> Result<PgConnectOptions, Error> {
    let host = options.get_host().to_owned();
    let options = match unbracketed(&host) {
        Some(address) => options.host(address),
        None => options,
    };
    // There is no TLS on a socket.
    if options.get_socket().is_some() || options.get_host().starts_with('/') {
        return Ok(options);
    }
    let [root, certificate, key] = FILES.map(|(_, names, variable)| value_of(pairs, names, variable));
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            warn_of_exposure(&key);
            client_certificate::verify(&part("sslcert", &certificate)?, &part("sslkey", &key)?)?;
        }
        (None, None) => {}
        (Some(_), None) => {
            return Err(Error::Unsupported {
                what: "has `sslcert` (or PGSSLCERT) without `sslkey`",
                hint: HALF,
            });
        }
        (None, Some(_)) => {
            return Err(Error::Unsupported {
                what: "has `sslkey` (or PGSSLKEY) without `sslcert`",
                hint: HALF,
            });
        }
    }
    match root {
        Some(root) if root == SYSTEM => with_system_roots(options, pairs),
        Some(root) => look_into(&root).map(|()| options),
        None => Ok(options),
    }
}

/// The value of a parameter, else of the variable that the driver reads.
fn value_of(pairs: &[(String, String)], names: &[&str], variable: &str) -> Option<String> {
    let mut given = pairs.iter().rev();
    let given = given.find(|(key, _)| names.contains(&key.as_str()));
    given.map_or_else(|| std::env::var(variable).ok(), |(_, value)| Some(value.clone()))
}

/// A file that is named, or the PEM text in its place.
fn part(parameter: &'static str, value: &str) -> Result<Part, Error> {
    if is_text(value) {
        return Ok(Part {
            shown: "a text".to_owned(),
            bytes: Zeroizing::new(value.as_bytes().to_vec()),
        });
    }
    let bytes = std::fs::read(Path::new(value)).map_err(|error| Error::Certificate {
        parameter,
        path: value.to_owned(),
        what: "cannot be read",
        hint: "name a file in PEM that this user can read",
        source: Some(error),
    })?;
    Ok(Part {
        shown: value.to_owned(),
        bytes: Zeroizing::new(bytes),
    })
}

/// Whether a value is PEM text in place of a path.
fn is_text(value: &str) -> bool {
    value.trim_start().starts_with("-----BEGIN")
}

/// Warns of a private key that others may read. Not in the image, which has one user.
fn warn_of_exposure(key: &str) {
    if !is_text(key)
        && !embedded::is_in_image()
        && let Some(exposure) = client_certificate::exposure(Path::new(key))
    {
        tracing::warn!(
            hint = "`chmod 600` on that file; `blueconic-sync psql` refuses it as it is",
            "{exposure}"
        );
    }
}

/// `::1` of `[::1]`.
pub fn unbracketed(host: &str) -> Option<&str> {
    host.strip_prefix('[')?.strip_suffix(']')
}

/// Applies `sslrootcert=system` as libpq does: with public roots, only the full check makes sense.
fn with_system_roots(
    options: PgConnectOptions,
    pairs: &[(String, String)],
) -> Result<PgConnectOptions, Error> {
    let has_mode = pairs
        .iter()
        .any(|(key, _)| matches!(key.as_str(), "sslmode" | "ssl-mode"));
    if has_mode && !matches!(options.get_ssl_mode(), PgSslMode::VerifyFull) {
        return Err(Error::Unsupported {
            what: "has `sslrootcert=system` with a weak `sslmode`",
            hint: "use `sslmode=verify-full`, or name the file of an authority of your own",
        });
    }
    let Some(roots) = system_roots() else {
        return Err(Error::Unsupported {
            what: "has `sslrootcert=system`, but no file of certificates is where systems keep it",
            hint: "install the package `ca-certificates`, or name the file",
        });
    };
    Ok(options.ssl_root_cert(roots).ssl_mode(PgSslMode::VerifyFull))
}

/// The file of `sslrootcert=system`.
pub fn system_roots() -> Option<PathBuf> {
    SYSTEM_ROOTS.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Whether a value stands for [`system_roots`].
pub fn is_system(value: &str) -> bool {
    value == SYSTEM
}

/// Checks the file of an authority, since a missing file would look like an unreachable server. PEM text in place of a path is left
/// to the driver.
fn look_into(value: &str) -> Result<(), Error> {
    if is_text(value) {
        return Ok(());
    }
    let wrong = |what, source| Error::Certificate {
        parameter: "sslrootcert",
        path: value.to_owned(),
        what,
        hint: AUTHORITY,
        source,
    };
    let text = std::fs::read(Path::new(value)).map_err(|error| wrong("cannot be read", Some(error)))?;
    if !String::from_utf8_lossy(&text).contains("-----BEGIN CERTIFICATE-----") {
        return Err(wrong("holds no certificate in PEM", None));
    }
    Ok(())
}

/// A warning about a database on another machine whose certificate is not fully checked, so that an attacker in between could
/// read and change everything.
pub fn exposure(options: &PgConnectOptions) -> Option<String> {
    let host = options.get_host();
    let is_local = options.get_socket().is_some()
        || host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    let mode = match options.get_ssl_mode() {
        PgSslMode::VerifyFull => return None,
        PgSslMode::Disable => "disable",
        PgSslMode::Allow => "allow",
        PgSslMode::Prefer => "prefer",
        PgSslMode::Require => "require",
        PgSslMode::VerifyCa => "verify-ca",
    };
    (!is_local).then(|| {
        format!(
            "the database at {host} is on another machine and `sslmode` is `{mode}`: whoever stands in between could pass for it"
        )
    })
}

/// What to do about [`exposure`].
pub const EXPOSURE_HINT: &str = "add `sslmode=verify-full&sslrootcert=FILE` to `DATABASE_URL` (`sslrootcert=system` for \
                                 public authorities)";

/// The decoded TLS parameters of a connection string; other parameters may be secrets.
pub(crate) fn pairs(url: &str) -> Vec<(String, String)> {
    let Ok(url) = Url::parse(url) else {
        return Vec::new();
    };
    url.query_pairs()
        .filter(|(key, _)| key.starts_with("ssl"))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect()
}

/// The address of a database for messages: host and port or socket, database, user; never the password.
pub fn shown(options: &PgConnectOptions) -> String {
    let place = match options.get_socket() {
        Some(socket) => format!("socket {}, port {}", socket.display(), options.get_port()),
        None if options.get_host().starts_with('/') => {
            format!("socket {}, port {}", options.get_host(), options.get_port())
        }
        None => format!("{}:{}", options.get_host(), options.get_port()),
    };
    let user = options.get_username();
    format!(
        "{place}, database {}, user {user}",
        options.get_database().unwrap_or(user)
    )
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::model::fault::{Fault, Kind};
    use crate::postgres::pool;

    fn parsed(url: &str) -> Result<PgConnectOptions, Fault> {
        pool::parse(&SecretString::from(url.to_owned())).map_err(Fault::from)
    }

    #[test]
    fn an_address_of_ipv6_is_one() {
        for (url, host) in [
            ("postgres://u@[::1]:5433/d", "::1"),
            ("postgres://u:p@[2001:db8::7]/d?sslmode=require", "2001:db8::7"),
        ] {
            let options = parsed(url).unwrap();
            assert_eq!(options.get_host(), host);
        }
        assert_eq!(parsed("postgres://u@[::1]:5433/d").unwrap().get_port(), 5433);
    }

    #[test]
    fn several_hosts_and_a_standby_are_refused_in_words() {
        for (url, word) in [
            ("postgres://u:hunter2@a:1,b:2/d", "several hosts"),
            ("postgres://u:hunter2@a,b/d", "several hosts"),
            ("postgres:///d?host=a,b&password=hunter2", "several hosts"),
            ("postgres://u:hunter2@a/d?target_session_attrs=standby", "standby"),
        ] {
            let fault = parsed(url).unwrap_err();
            assert_eq!(fault.kind, Kind::Settings);
            let message = format!("{fault:?}");
            assert!(
                message.contains(word) && !message.contains("hunter2"),
                "{message}"
            );
        }
        parsed("postgres://u@a/d?target_session_attrs=read-write").unwrap();
        parsed("postgres://u:a,b@a/d").unwrap();
    }

    #[test]
    fn a_file_that_is_missing_or_holds_nothing_is_named() {
        let fault = parsed("postgres://u@a/d?sslmode=verify-full&sslrootcert=/no/such/ca.pem").unwrap_err();
        assert_eq!(fault.kind, Kind::Settings);
        let message = fault.sentence();
        assert!(
            message.contains("/no/such/ca.pem") && message.contains("cannot be read"),
            "{message}"
        );
        let fault = parsed("postgres://u@a/d?sslrootcert=/etc/passwd").unwrap_err();
        assert!(fault.sentence().contains("holds no certificate"), "{fault}");
        let fault = parsed("postgres://u@a/d?sslcert=/etc/passwd&sslkey=/etc/passwd").unwrap_err();
        assert!(
            fault.sentence().contains(
                "`sslcert` of the database's address names /etc/passwd, which holds no certificate"
            ),
            "{fault}"
        );
        for (half, without) in [("sslcert", "without `sslkey`"), ("sslkey", "without `sslcert`")] {
            let fault = parsed(&format!("postgres://u@a/d?{half}=/etc/passwd")).unwrap_err();
            assert!(fault.sentence().contains(without), "{fault}");
        }
        // There is no TLS on a socket.
        parsed("postgres:///d?host=/tmp&sslcert=/no/such/file").unwrap();
    }

    #[test]
    fn the_system_s_roots_want_the_full_check() {
        if system_roots().is_some() {
            let options = parsed("postgres://u@a/d?sslrootcert=system").unwrap();
            assert!(matches!(options.get_ssl_mode(), PgSslMode::VerifyFull));
        }
        let fault = parsed("postgres://u@a/d?sslrootcert=system&sslmode=require").unwrap_err();
        assert!(fault.sentence().contains("weak"), "{fault}");
    }

    #[test]
    fn a_database_elsewhere_wants_its_certificate_checked() {
        for (url, exposed) in [
            ("postgres://u@db.example/d", true),
            ("postgres://u@10.0.0.7/d?sslmode=require", true),
            ("postgres://u@db.example/d?sslmode=verify-ca", true),
            ("postgres://u@db.example/d?sslmode=verify-full", false),
            ("postgres://u@127.0.0.1/d", false),
            ("postgres://u@[::1]/d", false),
            ("postgres://u@localhost/d", false),
            ("postgres:///d?host=/run/postgresql", false),
        ] {
            assert_eq!(exposure(&parsed(url).unwrap()).is_some(), exposed, "{url}");
        }
    }
}
