//! A database that is reached by TLS and wants a certificate of the client: what works, and what is said where something does not
//! fit. The server is a real one; the same role by password as well.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::postgres::pool;
use blueconic_sync::postgres::store::PostgresStore;
use secrecy::SecretString;
use sqlx::{Connection as _, PgConnection};
use tempfile::TempDir;

use super::connection::LIMITS;
use crate::support::cluster::Cluster;
use crate::support::program::Program;
use crate::support::tls::{Authority, Issued, Valid};

const HBA: &str = "hostssl all certified 127.0.0.1/32 cert
hostssl all both 127.0.0.1/32 scram-sha-256 clientcert=verify-full
";

/// Files of certificates and keys.
struct Files(TempDir);

impl Files {
    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn of(&self, name: &str, issued: &Issued) -> (String, String) {
        let certificate = self.write(&format!("{name}.pem"), &issued.certificate);
        (certificate, self.write(&format!("{name}.key"), &issued.key))
    }
}

async fn connected(url: &str) -> Result<(), Fault> {
    let options = pool::parse(&SecretString::from(url.to_owned()))?;
    let store = PostgresStore::connect(options, LIMITS, vec![]).await?;
    store.disconnect().await;
    Ok(())
}

#[track_caller]
fn says(fault: &Fault, words: &[&str]) {
    let said = format!("{fault:?}");
    for word in words {
        assert!(said.contains(word), "{word}: {said}");
    }
    assert!(!said.contains("hunter2"), "{said}");
}

async fn run(cluster: &Cluster, statements: &'static str) {
    let mut admin = PgConnection::connect_with(&cluster.options).await.unwrap();
    sqlx::raw_sql(statements).execute(&mut admin).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_certificate_opens_the_database_and_each_wrong_one_is_told() {
    let (servers, clients, stranger) = (
        Authority::new("servers"),
        Authority::new("clients"),
        Authority::new("x"),
    );
    let server = servers.issue("127.0.0.1", Valid::Now);
    let cluster = tokio::task::block_in_place(|| Cluster::encrypted(&server, &clients, HBA));
    run(
        &cluster,
        "create role certified superuser login; create role \"both\" login password 'hunter2'",
    )
    .await;
    let files = Files(TempDir::new().unwrap());
    let root = servers.file(files.0.path(), "servers.pem");
    let port = cluster.options.get_port();
    let own = files.of("own", &clients.issue("certified", Valid::Now));
    let other = files.of("other", &clients.issue("somebody", Valid::Now));
    let foreign = files.of("foreign", &stranger.issue("certified", Valid::Now));
    let past = files.of("past", &clients.issue("certified", Valid::NoLonger));
    let url = |user: &str, host: &str, root: &str, pair: Option<&(String, String)>| {
        let pair = pair.map(|(certificate, key)| format!("&sslcert={certificate}&sslkey={key}"));
        let pair = pair.unwrap_or_default();
        format!("postgres://{user}@{host}:{port}/postgres?sslmode=verify-full&sslrootcert={root}{pair}")
    };
    let at = "127.0.0.1";
    connected(&url("certified", at, &root, Some(&own))).await.unwrap();

    // What the server says of the client.
    let fault = connected(&url("certified", at, &root, None)).await.unwrap_err();
    says(&fault, &["client certificate", "`sslcert` and `sslkey`"]);
    let fault = connected(&url("certified", at, &root, Some(&other)))
        .await
        .unwrap_err();
    says(
        &fault,
        &["certificate authentication failed", "`sslcert` and `sslkey`"],
    );
    for pair in [&foreign, &past] {
        let fault = connected(&url("certified", at, &root, Some(pair)))
            .await
            .unwrap_err();
        says(&fault, &["fatal alert", "ssl_ca_file"]);
    }
    let fault = connected(&url("both:hunter2", at, &root, Some(&own)))
        .await
        .unwrap_err();
    says(&fault, &["CN of the certificate"]);

    // What the client says of the server.
    let unknown = stranger.file(files.0.path(), "stranger.pem");
    let fault = connected(&url("certified", at, &unknown, Some(&own)))
        .await
        .unwrap_err();
    says(&fault, &["UnknownIssuer", "sslrootcert=/path/to/ca.pem"]);
    let fault = connected(&url("certified", "localhost", &root, Some(&own)))
        .await
        .unwrap_err();
    says(&fault, &["names another host"]);

    // By the variables of PostgreSQL's own programs; a key that others may read is warned of.
    std::fs::set_permissions(Path::new(&own.1), std::fs::Permissions::from_mode(0o644)).unwrap();
    let plain = format!("postgres://certified@{at}:{port}/postgres");
    let program = Program::new("http://127.0.0.1:9", &plain)
        .with("PGSSLMODE", "verify-full")
        .with("PGSSLROOTCERT", &root)
        .with("PGSSLCERT", &own.0);
    program
        .with("PGSSLKEY", &own.1)
        .expect(0, &["migrate"])
        .await
        .tells(&["others than its owner may read", "mode 0644"]);
    program.expect(2, &["migrate"]).await.tells(&["without `sslkey`"]);
}

#[test]
fn a_certificate_and_a_key_that_do_not_go_together_are_told_before_anything_is_opened() {
    let files = Files(TempDir::new().unwrap());
    let clients = Authority::new("clients");
    let one = files.of("one", &clients.issue("one", Valid::Now));
    let two = files.of("two", &clients.issue("two", Valid::Now));
    let label = |label: &str| format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n");
    let encrypted = files.write("encrypted.key", &label("ENCRYPTED PRIVATE KEY"));
    let old = files.write(
        "old.key",
        "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n",
    );
    let broken = files.write("broken.key", &label("PRIVATE KEY"));
    for (certificate, key, words) in [
        (
            &one.0,
            &two.1,
            [
                "does not fit the certificate of `sslcert`",
                "openssl pkey -pubout",
            ],
        ),
        (
            &one.0,
            &encrypted,
            ["is encrypted with a passphrase", "openssl pkey -in KEY"],
        ),
        (
            &one.0,
            &old,
            ["is encrypted with a passphrase", "openssl pkey -in KEY"],
        ),
        (&one.0, &broken, ["of a kind that is not taken", "ECDSA"]),
        (&one.0, &one.0, ["holds no private key", "PEM"]),
        (&one.1, &one.1, ["holds no certificate", "PEM"]),
    ] {
        let url = format!("postgres://u@db.example/d?sslcert={certificate}&sslkey={key}");
        let fault = Fault::from(pool::parse(&SecretString::from(url)).unwrap_err());
        assert_eq!(fault.kind, Kind::Settings);
        says(&fault, &words);
    }
    let url = format!("postgres://u@db.example/d?sslcert={}&sslkey={}", one.0, one.1);
    pool::parse(&SecretString::from(url)).unwrap();
}
