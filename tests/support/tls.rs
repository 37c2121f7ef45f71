//! Certificates as a company's own authority issues them, and servers that show them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::AbortOnDropHandle;

/// An address of this machine that nothing takes for the loopback one, so that the program treats what listens there as a server on
/// the network: https only, a proxy where one is set.
pub(crate) const ELSEWHERE: &str = "0.0.0.0";

/// When a certificate is valid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Valid {
    Now,
    NoLonger,
    NotYet,
}

/// An authority.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: String,
}

/// A certificate and its key.
pub(crate) struct Issued {
    /// In PEM.
    pub(crate) certificate: String,
    /// In PEM.
    pub(crate) key: String,
    der: CertificateDer<'static>,
    key_der: PrivateKeyDer<'static>,
}

impl Authority {
    /// `name` tells one authority from another.
    pub(crate) fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            certificate,
        }
    }

    /// Its certificate in PEM.
    pub(crate) fn pem(&self) -> &str {
        &self.certificate
    }

    /// Writes its certificate to a file of this name; returns the path.
    pub(crate) fn file(&self, folder: &Path, name: &str) -> String {
        let path = folder.join(name);
        std::fs::write(&path, &self.certificate).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// A certificate for a host or an address, whose common name is the same.
    pub(crate) fn issue(&self, name: &str, valid: Valid) -> Issued {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let years = match valid {
            Valid::Now => (2000, 4000),
            Valid::NoLonger => (2000, 2001),
            Valid::NotYet => (3999, 4000),
        };
        params.not_before = date_time_ymd(years.0, 1, 1);
        params.not_after = date_time_ymd(years.1, 1, 1);
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        Issued {
            certificate: certificate.pem(),
            key: key.serialize_pem(),
            der: certificate.der().clone(),
            key_der: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }
}

impl Issued {
    /// What ends TLS with this certificate.
    pub(crate) fn acceptor(&self) -> TlsAcceptor {
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![self.der.clone()], self.key_der.clone_key())
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

/// What a server does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Behind {
    /// Leads on to another server.
    Relay(SocketAddr),
    /// Answers each request with this, and hangs up.
    Answer(&'static str),
    /// Never says anything.
    Nothing,
}

/// A server on this machine, with TLS or without.
pub(crate) struct Server {
    pub(crate) port: u16,
    _serving: AbortOnDropHandle<()>,
}

impl Server {
    pub(crate) async fn start(certificate: Option<&Issued>, behind: Behind) -> Self {
        let listener = TcpListener::bind((ELSEWHERE, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = certificate.map(Issued::acceptor);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, acceptor.clone(), behind));
            }
        });
        Self {
            port,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// Its address, which nothing takes for the loopback one.
    pub(crate) fn url(&self) -> String {
        format!("https://{ELSEWHERE}:{}", self.port)
    }

    /// Its address for a relay.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }
}

/// A client that goes away ends it; what it ends with is not ours to judge.
async fn serve(stream: TcpStream, acceptor: Option<TlsAcceptor>, behind: Behind) {
    match acceptor {
        None => answer(stream, behind).await,
        Some(acceptor) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, behind).await;
            }
        }
    }
}

async fn answer(mut stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin, behind: Behind) {
    match behind {
        Behind::Nothing => std::future::pending().await,
        Behind::Answer(text) => {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(text.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
        Behind::Relay(to) => {
            let mut next = TcpStream::connect(to).await.unwrap();
            let _ = copy_bidirectional(&mut stream, &mut next).await;
        }
    }
}
