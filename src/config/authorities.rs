//! Reads the file with the certificates of further authorities, which are trusted beside those of the system. A file that is not
//! usable as a whole is refused: a certificate that is skipped would be missed only when a connection fails.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::SettingsError;

/// The longest file, in bytes: four times that with all public authorities.
const LONGEST: u64 = 1 << 20;
/// The first byte of a certificate that is not PEM: DER's mark of a sequence.
const DER: u8 = 0x30;

/// Certificates of authorities, in the order of their file.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Authorities(Vec<CertificateDer<'static>>);

impl Authorities {
    /// Reads a file in PEM. `key` is the setting that names the file.
    pub(super) fn read(path: &Path, key: &str) -> Result<Self, SettingsError> {
        let bytes = bytes_of(path).map_err(|source| SettingsError::Unreadable {
            path: path.to_owned(),
            origin: format!("`{key}`"),
            source,
        })?;
        Self::of(&bytes).map_err(|why| SettingsError::BadFile {
            path: path.to_owned(),
            key: key.to_owned(),
            why,
        })
    }

    fn of(bytes: &[u8]) -> Result<Self, String> {
        let mut roots = RootCertStore::empty();
        let mut all = Vec::new();
        for certificate in CertificateDer::pem_slice_iter(bytes) {
            let number = all.len() + 1;
            let certificate =
                certificate.map_err(|error| format!("its certificate {number} is damaged: {error}"))?;
            roots.add(certificate.clone()).map_err(|error| {
                let why = error.to_string().replace("invalid peer certificate: ", "");
                format!("its certificate {number} cannot be used: {why}")
            })?;
            all.push(certificate);
        }
        match bytes.first() {
            _ if !all.is_empty() => Ok(Self(all)),
            Some(&DER) => Err(
                "it is not PEM: convert it with `openssl x509 -inform der -in FILE -out ca.pem`".to_owned(),
            ),
            _ if is_in(b"PRIVATE KEY-----", bytes) => {
                Err("it holds a private key and no certificate".to_owned())
            }
            _ => Err("it holds no certificate in PEM".to_owned()),
        }
    }

    /// The certificates.
    pub fn iter(&self) -> impl Iterator<Item = &CertificateDer<'static>> {
        self.0.iter()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} certificates", self.len())
    }
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        let why = format!("it is longer than {LONGEST} bytes");
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    Ok(bytes)
}

fn is_in(words: &[u8], bytes: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test may stop")]

    use super::*;

    /// `openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=own -days 36500`
    const CERTIFICATE: &str = "-----BEGIN CERTIFICATE-----
MIIBczCCARmgAwIBAgIUfJSipa41s6U3KGr37kba/Asn4nIwCgYIKoZIzj0EAwIw
DjEMMAoGA1UEAwwDb3duMCAXDTI2MTEyOTIyNTkxMVoYDzIxMjYxMTA1MjI1OTEx
WjAOMQwwCgYDVQQDDANvd24wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAS9ieer
CgH8dbLxHB7/ioKIqztRhP3VwkP3LC9FUcFFYzIlnfA+NQsf0/xynvArFjeRnL6l
DqEZZlhn5qNPOPq8o1MwUTAdBgNVHQ4EFgQU2Vhvlq28UPTi/c+XyMNGPpTd1H8w
HwYDVR0jBBgwFoAU2Vhvlq28UPTi/c+XyMNGPpTd1H8wDwYDVR0TAQH/BAUwAwEB
/zAKBggqhkjOPQQDAgNIADBFAiByEWHWkJLtfHyZ8GJI0/kLyOEq39Y8GUBGZPV2
3Go2vAIhAIw2RWCN0PsE3pC2nbOMT5AlycHxfZx1Nf94zDnYKcXD
-----END CERTIFICATE-----
";

    fn refused(bytes: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        std::fs::write(&path, bytes).unwrap();
        let error = Authorities::read(&path, "network.ca_file").unwrap_err();
        let message = format!("{error}; {}", error.hint());
        assert!(
            message.contains("network.ca_file") && message.contains("ca.pem"),
            "{message}"
        );
        message
    }

    #[test]
    fn every_certificate_of_the_file_counts() {
        let two = format!("# a comment\n{CERTIFICATE}\nmore words\n{CERTIFICATE}");
        let read = Authorities::of(two.as_bytes()).unwrap();
        assert_eq!((read.len(), read.is_empty()), (2, false));
        assert_eq!(format!("{read:?}"), "2 certificates");
    }

    #[test]
    fn a_file_that_is_not_usable_as_a_whole_is_refused_in_words() {
        let single = Authorities::of(CERTIFICATE.as_bytes()).unwrap();
        let der = single.iter().next().unwrap().to_vec();
        assert!(refused(&der).contains("-inform der"));
        assert!(refused(b"").contains("no certificate"));
        let key = b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n";
        assert!(refused(key).contains("a private key and no certificate"));
        let cut = CERTIFICATE.replace("-----END", "----END");
        assert!(refused(format!("{CERTIFICATE}{cut}").as_bytes()).contains("certificate 2"));
        let other = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(refused(format!("{CERTIFICATE}{other}").as_bytes()).contains("certificate 2 cannot be used"));
        let missing = Authorities::read(Path::new("/no/such/ca.pem"), "network.ca_file").unwrap_err();
        assert!(missing.to_string().contains("/no/such/ca.pem"), "{missing}");
        let endless = Authorities::read(Path::new("/dev/zero"), "network.ca_file").unwrap_err();
        assert!(format!("{endless:?}").contains("longer than"), "{endless:?}");
    }
}
