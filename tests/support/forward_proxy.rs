//! A forward proxy: it is asked for the way to a server by CONNECT, wants user and password, and leads everything to one server.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::tls::Issued;

/// What the proxy answers to a CONNECT.
#[derive(Clone, Copy)]
pub(crate) enum Way {
    /// It leads here, whatever the asked host.
    To(SocketAddr),
    /// It refuses with this status line.
    Refused(&'static str),
}

/// Who may use the proxy, and what it shows.
#[derive(Clone, Copy, Default)]
pub(crate) struct Rules<'a> {
    /// User and password.
    pub(crate) credentials: Option<(&'a str, &'a str)>,
    /// The certificate of a proxy by https.
    pub(crate) certificate: Option<&'a Issued>,
}

/// A proxy that ends when this is dropped.
pub(crate) struct ForwardProxy {
    pub(crate) port: u16,
    heard: Arc<Mutex<Vec<String>>>,
    _serving: AbortOnDropHandle<()>,
}

impl ForwardProxy {
    pub(crate) async fn start(way: Way, rules: Rules<'_>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let wanted = rules.credentials.map(|(user, password)| {
            let encoded = STANDARD.encode(format!("{user}:{password}"));
            format!("proxy-authorization: basic {}", encoded.to_lowercase())
        });
        let acceptor = rules.certificate.map(Issued::acceptor);
        let log = Arc::clone(&heard);
        let serving = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (log, wanted, acceptor) = (Arc::clone(&log), wanted.clone(), acceptor.clone());
                tokio::spawn(async move {
                    match acceptor {
                        None => lead(stream, way, wanted.as_deref(), &log).await,
                        Some(acceptor) => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                lead(stream, way, wanted.as_deref(), &log).await;
                            }
                        }
                    }
                });
            }
        });
        Self {
            port,
            heard,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// The first lines of what it was asked.
    pub(crate) fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

async fn lead(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    way: Way,
    wanted: Option<&str>,
    log: &Mutex<Vec<String>>,
) {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if stream.read_buf(&mut head).await.unwrap_or(0) == 0 {
            return;
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let first = head.lines().next().unwrap_or_default().to_owned();
    log.lock().unwrap().push(first);
    let answer = match way {
        _ if wanted.is_some_and(|wanted| !head.to_lowercase().contains(wanted)) => {
            "HTTP/1.1 407 Proxy Authentication Required"
        }
        Way::Refused(line) => line,
        Way::To(address) => {
            let mut next = TcpStream::connect(address).await.unwrap();
            let _ = stream
                .write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")
                .await;
            let _ = copy_bidirectional(&mut stream, &mut next).await;
            return;
        }
    };
    let _ = stream
        .write_all(format!("{answer}\r\nContent-Length: 0\r\n\r\n").as_bytes())
        .await;
    let _ = stream.shutdown().await;
}
