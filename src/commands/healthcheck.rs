//! `healthcheck`: what the container's HEALTHCHECK runs, so that the image needs no curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::fault::{Fault, Kind, Outcome};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Runs the command.
pub async fn run(settings: &Settings) -> Outcome<Exit> {
    let address = reachable(settings.web.bind);
    let unwell = |why: String| {
        Fault::new(Kind::Final, format!("the service at {address} is not healthy"))
            .because(why)
            .hint("look at its log, and at `blueconic-sync status`")
    };
    let answer = tokio::time::timeout(PATIENCE, ask(address))
        .await
        .map_err(|_| unwell(format!("no answer within {} seconds", PATIENCE.as_secs())))?
        .map_err(|error| unwell(error.to_string()))?;
    let status = answer.lines().next().unwrap_or_default().to_owned();
    if status.split_whitespace().nth(1) == Some("200") {
        Ok(Exit::Done)
    } else {
        Err(unwell(status))
    }
}

/// The address to request: loopback if the service listens on all addresses.
fn reachable(bind: SocketAddr) -> SocketAddr {
    let host = match bind.ip() {
        IpAddr::V4(host) if host.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(host) if host.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        host => host,
    };
    SocketAddr::new(host, bind.port())
}

async fn ask(address: SocketAddr) -> std::io::Result<String> {
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = Vec::new();
    stream.take(4096).read_to_end(&mut answer).await?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}
