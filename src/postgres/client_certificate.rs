//! The certificate with which this program introduces itself to PostgreSQL (`sslcert`, `sslkey`), checked before it is used: the
//! driver's errors name no file, and come only with a connection.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use zeroize::Zeroizing;

use crate::postgres::error::Error;

/// What a key's file says that is encrypted in the older form; the newer form has a label of its own.
const ENCRYPTED: [&[u8]; 2] = [b"ENCRYPTED PRIVATE KEY-----", b"Proc-Type: 4,ENCRYPTED"];

/// The hint for a key that cannot be read as it is.
const DECRYPT: &str = "nobody is there to type the passphrase: write the key without one (`openssl pkey -in KEY -out NEW`), and keep that \
                       file for this user alone (`chmod 600`)";
const PAIR: &str = "a certificate and its key are made together: name those two, each as a file in PEM (`openssl x509 -noout -pubkey` and \
                    `openssl pkey -pubout` print the same key for both)";
const PEM: &str = "name a file in PEM that this user can read";

/// A file of the connection string, or the PEM text in its place.
pub(super) struct Part {
    /// The file's path, or "…" for a text.
    pub(super) shown: String,
    pub(super) bytes: Zeroizing<Vec<u8>>,
}

/// Refuses a certificate and a key that cannot be used together.
pub(super) fn verify(certificate: &Part, key: &Part) -> Result<(), Error> {
    let of_certificate = |what| wrong("sslcert", &certificate.shown, what, PEM);
    let chain = CertificateDer::pem_slice_iter(&certificate.bytes).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| of_certificate("holds a damaged certificate"))?;
    if chain.is_empty() {
        return Err(of_certificate("holds no certificate in PEM"));
    }
    let of_key = |what, hint| wrong("sslkey", &key.shown, what, hint);
    if ENCRYPTED.iter().any(|mark| is_in(mark, &key.bytes)) {
        return Err(of_key("is encrypted with a passphrase", DECRYPT));
    }
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => of_key("holds no private key in PEM", PEM),
        _ => of_key("holds a damaged private key", PEM),
    })?;
    match CertifiedKey::from_der(chain, private, &aws_lc_rs::default_provider()) {
        Ok(_) => Ok(()),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(of_key("does not fit the certificate of `sslcert`", PAIR))
        }
        Err(rustls::Error::InvalidCertificate(_)) => {
            Err(of_certificate("holds a certificate that cannot be used"))
        }
        Err(_) => Err(of_key(
            "holds a key of a kind that is not taken",
            "RSA from 2048 bits, ECDSA (P-256, P-384, P-521) and Ed25519 are taken",
        )),
    }
}

fn wrong(parameter: &'static str, path: &str, what: &'static str, hint: &'static str) -> Error {
    Error::Certificate {
        parameter,
        path: path.to_owned(),
        what,
        hint,
        source: None,
    }
}

fn is_in(mark: &[u8], bytes: &[u8]) -> bool {
    bytes.windows(mark.len()).any(|window| window == mark)
}

/// The warning about a key that others may read, by the rule of PostgreSQL's own programs, which refuse such a file.
pub(super) fn exposure(path: &Path) -> Option<String> {
    let file = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    // A file of root's may be readable by a group, as orchestrators mount secrets.
    let others = if file.uid() == 0 { 0o037 } else { 0o077 };
    let path = path.display();
    (file.mode() & others != 0).then(|| {
        format!(
            "others than its owner may read {path}, the private key that `sslkey` names (mode {:04o})",
            file.mode() & 0o7777
        )
    })
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_that_others_may_read_is_warned_of() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("client.key");
        std::fs::write(&path, "").unwrap();
        let is_root = std::fs::metadata(&path).unwrap().uid() == 0;
        for (mode, open) in [
            (0o600, false),
            (0o400, false),
            (0o640, !is_root),
            (0o644, true),
            (0o660, true),
        ] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            let said = exposure(&path);
            assert_eq!(said.is_some(), open, "{mode:o}");
            assert!(said.is_none_or(|said| said.contains(&format!("mode {mode:04o}"))));
        }
        assert_eq!(exposure(&folder.path().join("nothing")), None);
    }
}
