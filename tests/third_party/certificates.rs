//! Certificates as a company's own authority would issue them, made with OpenSSL.

use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// An address of this machine that nothing takes for the loopback one, so that the service treats the tenant behind it
/// as one on the network: https only, bodies compressed. Connections to it stay on the machine.
pub(crate) const HOST: &str = "0.0.0.0";

/// An authority, and the folder with all that it issued.
pub(crate) struct Authority {
    folder: TempDir,
}

/// A certificate and its key, as files.
pub(crate) struct Certificate {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Authority {
    /// `name` tells one authority from another.
    pub(crate) fn new(name: &str) -> Self {
        let folder = TempDir::new().unwrap();
        let authority = Self { folder };
        authority.openssl(&format!(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 2 \
             -subj /CN={name} -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign"
        ));
        authority
    }

    /// The file for `SSL_CERT_FILE` and `network.ca_file`.
    pub(crate) fn file(&self) -> String {
        self.path("ca.pem").to_str().unwrap().to_owned()
    }

    /// A certificate for an address that is good for so many days from now; negative: it ended then.
    pub(crate) fn issue(&self, address: &str, days: i32) -> Certificate {
        self.openssl(&format!(
            "req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {address}.{days}.key -out request.pem \
             -subj /CN=tenant -addext subjectAltName=IP:{address}"
        ));
        self.openssl(&format!(
            "x509 -req -in request.pem -CA ca.pem -CAkey ca.key -days {days} -copy_extensions copy \
             -out {address}.{days}.pem"
        ));
        Certificate {
            certificate: self.path(&format!("{address}.{days}.pem")),
            key: self.path(&format!("{address}.{days}.key")),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn openssl(&self, arguments: &str) {
        run(Command::new("openssl")
            .args(arguments.split_whitespace())
            .current_dir(self.folder.path()));
    }
}

/// Runs a program that must succeed.
fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| {
        panic!("{command:?}: {error}; script/bootstrap --third-party installs what is missing")
    });
    assert!(
        output.status.success(),
        "{command:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// The path as a text.
pub(crate) fn shown(path: &Path) -> &str {
    path.to_str().unwrap()
}
