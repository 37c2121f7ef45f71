//! Asks a proxy for the way to a server and looks at its answer, once the HTTP client has failed to get there: the client tells
//! neither the status of the answer nor who kept it waiting. Sends nothing to the server itself.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::error::Elapsed;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use url::Url;
use zeroize::Zeroizing;

use super::failure::{Cause, Hop};
use super::reading;
use crate::config::proxy::Proxy;

/// How much of an answer is read to find its status, in bytes.
const HEAD: usize = 1024;

/// Where the way through the proxy to `server` (host and port) ends; none if the proxy leads there now, or nothing is found out.
pub(super) async fn ask(
    proxy: &Proxy,
    server: &str,
    tls: &Arc<ClientConfig>,
    patience: Duration,
) -> Option<(Hop, Cause)> {
    let connected = timeout(patience, connect(proxy)).await.unwrap_or_else(silent);
    let stream = match connected {
        Ok(stream) => stream,
        Err(cause) => return Some((Hop::Proxy, cause)),
    };
    let url = Url::parse(proxy.address.expose()).ok()?;
    let asked = match url.scheme() {
        "http" => timeout(patience, status(stream, &url, server)).await,
        "https" => timeout(patience, encrypted(stream, &url, server, tls)).await,
        // A SOCKS proxy that takes the connection was asked by the client already.
        _ => return None,
    };
    match asked.unwrap_or_else(silent) {
        Ok(200) => None,
        Ok(407) => Some((Hop::Proxy, Cause::Credentials)),
        Ok(status) => Some((Hop::Proxy, Cause::Declined(Some(status)))),
        Err(cause) => Some((Hop::Proxy, cause)),
    }
}

async fn connect(proxy: &Proxy) -> Result<TcpStream, Cause> {
    let (host, port) = proxy.host_and_port();
    let addresses = tokio::net::lookup_host((host.as_str(), port)).await;
    let addresses: Vec<_> = addresses.map_err(|_| Cause::Name)?.collect();
    let opened = TcpStream::connect(&*addresses).await;
    opened.map_err(|error| of_system(&error))
}

async fn encrypted(
    stream: TcpStream,
    url: &Url,
    server: &str,
    tls: &Arc<ClientConfig>,
) -> Result<u16, Cause> {
    let host = url.host_str().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let name = ServerName::try_from(host).map_err(|_| Cause::Other)?;
    let opened = TlsConnector::from(Arc::clone(tls)).connect(name, stream).await;
    let stream = opened.map_err(|error| of_handshake(&error))?;
    status(stream, url, server).await
}

/// The status with which the proxy answers a request for the way.
async fn status(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    url: &Url,
    server: &str,
) -> Result<u16, Cause> {
    let request = Zeroizing::new(format!(
        "CONNECT {server} HTTP/1.1\r\nHost: {server}\r\n{}\r\n",
        *credentials(url)
    ));
    let broken = |error: io::Error| of_system(&error);
    stream.write_all(request.as_bytes()).await.map_err(broken)?;
    stream.flush().await.map_err(broken)?;
    let mut head = Vec::new();
    while head.len() < HEAD && !head.contains(&b'\n') {
        if stream.read_buf(&mut head).await.map_err(broken)? == 0 {
            return Err(Cause::Closed);
        }
    }
    parsed(&head).ok_or(Cause::NotProxy)
}

/// The status in the first line of an answer.
fn parsed(head: &[u8]) -> Option<u16> {
    let line = head.split(|byte| *byte == b'\n').next()?;
    let line = std::str::from_utf8(line).ok()?.strip_prefix("HTTP/1.")?;
    let status = line.split(' ').nth(1)?.trim().parse().ok()?;
    (100..1000).contains(&status).then_some(status)
}

/// The line with user and password, as the HTTP client sends it.
fn credentials(url: &Url) -> Zeroizing<String> {
    if url.username().is_empty() && url.password().is_none() {
        return Zeroizing::default();
    }
    let decoded = |text: &str| Zeroizing::new(percent_decode_str(text).decode_utf8_lossy().into_owned());
    let both = Zeroizing::new(format!(
        "{}:{}",
        *decoded(url.username()),
        *decoded(url.password().unwrap_or_default())
    ));
    let encoded = Zeroizing::new(STANDARD.encode(both.as_bytes()));
    Zeroizing::new(format!("Proxy-Authorization: Basic {}\r\n", *encoded))
}

fn silent<T>(_: Elapsed) -> Result<T, Cause> {
    Err(Cause::Silent)
}

fn of_system(error: &io::Error) -> Cause {
    reading::of_system(error.kind()).unwrap_or(Cause::Other)
}

fn of_handshake(error: &io::Error) -> Cause {
    let tls = error
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    tls.map_or_else(|| of_system(error), reading::of_tls)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_status_stands_in_the_first_line() {
        for (head, status) in [
            ("HTTP/1.1 403 Forbidden\r\n", Some(403)),
            ("HTTP/1.0 200 Connection established\r\nX: 1\r\n", Some(200)),
            ("HTTP/1.1 502\r\n", Some(502)),
            ("HTTP/2 200\r\n", None),
            ("HTTP/1.1 20 What\r\n", None),
            ("SSH-2.0-OpenSSH_9.2\r\n", None),
            ("", None),
        ] {
            assert_eq!(parsed(head.as_bytes()), status, "{head}");
        }
    }

    #[test]
    fn credentials_are_decoded_before_they_are_sent() {
        let of = |address: &str| Url::parse(address).map(|url| credentials(&url).to_string());
        assert_eq!(of("http://p:1"), Ok(String::new()));
        let expected = format!("Proxy-Authorization: Basic {}\r\n", STANDARD.encode("u@x:p:w"));
        assert_eq!(of("http://u%40x:p%3Aw@p:1"), Ok(expected));
    }
}
