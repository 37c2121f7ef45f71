//! Pages of profiles, one after the other. The next page is requested while one streams: its cursor is at the head
//! of a body.

use std::future::poll_fn;
use std::pin::Pin;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::{Bytes, BytesMut};
use hyper::Request;
use hyper::body::{Body, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::arguments::{Done, Tenant, variable};
use bench::Outcome;

/// Bytes that are collected before they are read: an element that they cut is read twice.
const GATHERED: usize = 256 * 1024;
/// The text before the first element.
const OPENING: &[u8] = b"\"profiles\":[";

/// One body after the other.
pub(crate) struct Pages {
    address: String,
    authorization: String,
    path: String,
    /// The current page, and the next one.
    current: Option<Incoming>,
    ahead: Option<JoinHandle<Outcome<Incoming>>>,
    /// The tenant's total.
    total: u64,
}

/// The members before the array that matter here.
#[derive(Deserialize)]
struct Head {
    #[serde(rename = "nextCursor")]
    next_cursor: Option<String>,
    #[serde(rename = "totalResults")]
    total_results: u64,
}

impl Pages {
    /// Signs in and asks for the first page.
    pub(crate) async fn open(tenant: &Tenant) -> Outcome<Self> {
        let url = variable("BLUECONIC_URL")?;
        let address = url.strip_prefix("http://").ok_or("plain HTTP only")?.to_owned();
        let authorization = format!("Bearer {}", token(&address).await?);
        let path = format!(
            "/rest/v2/segments/allvisitors/profiles?count={}&expand=profiles.profile.segments\
             &expand=profiles.profile.permissions&expand=profiles.profile.replace",
            tenant.page_size
        );
        let mut pages = Self {
            address,
            authorization,
            path,
            current: None,
            ahead: None,
            total: 0,
        };
        pages.ask("*");
        Ok(pages)
    }

    fn ask(&mut self, cursor: &str) {
        let (address, authorization) = (self.address.clone(), self.authorization.clone());
        let path = format!("{}&cursor={cursor}", self.path);
        self.ahead = Some(tokio::spawn(async move {
            let request = Request::get(path).header("authorization", authorization);
            send(&address, request, String::new()).await
        }));
    }

    /// Moves to the first element of the next page. Returns the bytes behind the head. `None`: there is
    /// no further page.
    pub(crate) async fn next_page(&mut self) -> Outcome<Option<Bytes>> {
        let Some(ahead) = self.ahead.take() else {
            return Ok(None);
        };
        self.current = Some(ahead.await??);
        let mut begun = BytesMut::new();
        loop {
            if let Some(at) = begun.windows(OPENING.len()).position(|bytes| bytes == OPENING) {
                let end = at + OPENING.len();
                let mut head = begun.split_to(end).to_vec();
                head.extend_from_slice(b"]}");
                let head: Head = serde_json::from_slice(&head)?;
                self.total = head.total_results;
                if let Some(cursor) = head.next_cursor {
                    self.ask(&cursor);
                }
                return Ok(Some(begun.freeze()));
            }
            let frame = self.frame().await?.ok_or("a page ended in its head")?;
            begun.extend_from_slice(&frame);
        }
    }

    /// Adds the next bytes of this page. Returns whether there were any.
    pub(crate) async fn gather(&mut self, into: &mut Vec<u8>) -> Outcome<bool> {
        let enough = into.len() + GATHERED;
        while into.len() < enough {
            match self.frame().await? {
                Some(frame) => into.extend_from_slice(&frame),
                None => return Ok(false),
            }
        }
        Ok(true)
    }

    /// Reads the bytes behind the array, to a clean end.
    pub(crate) async fn end_page(&mut self) -> Outcome<()> {
        while self.frame().await?.is_some() {}
        self.current = None;
        Ok(())
    }

    async fn frame(&mut self) -> Outcome<Option<Bytes>> {
        let Some(body) = &mut self.current else {
            return Ok(None);
        };
        loop {
            let Some(frame) = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await else {
                return Ok(None);
            };
            if let Ok(data) = frame?.into_data() {
                return Ok(Some(data));
            }
        }
    }
}

/// Reads everything and keeps nothing.
pub(crate) async fn drain(tenant: &Tenant) -> Outcome<Done> {
    let mut pages = Pages::open(tenant).await?;
    let mut done = Done::default();
    while let Some(begun) = pages.next_page().await? {
        done.bytes += begun.len() as u64;
        while let Some(frame) = pages.frame().await? {
            done.bytes += frame.len() as u64;
        }
    }
    done.rows = pages.total;
    Ok(done)
}

/// One connection for each request: with one page ahead, at most two.
async fn send(address: &str, request: hyper::http::request::Builder, body: String) -> Outcome<Incoming> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection): (SendRequest<String>, _) = handshake(TokioIo::new(stream)).await?;
    let driven = tokio::spawn(connection);
    let request = request
        .header("host", address)
        .header("content-length", body.len())
        .body(body)?;
    let response = sender.send_request(request).await;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            driven.abort();
            return Err(error.into());
        }
    };
    if !response.status().is_success() {
        return Err(format!("the tenant answered {}", response.status()).into());
    }
    Ok(response.into_body())
}

async fn token(address: &str) -> Outcome<String> {
    #[derive(Deserialize)]
    struct Answer {
        access_token: String,
    }
    let credentials = STANDARD.encode(format!(
        "{}:{}",
        variable("BLUECONIC_CLIENT_ID")?,
        variable("BLUECONIC_CLIENT_SECRET")?
    ));
    let request = Request::post("/rest/v2/oauth/token")
        .header("authorization", format!("Basic {credentials}"))
        .header("content-type", "application/x-www-form-urlencoded");
    let mut body = send(address, request, "grant_type=client_credentials".to_owned()).await?;
    let mut answer = Vec::new();
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        answer.extend_from_slice(&frame?.into_data().unwrap_or_default());
    }
    Ok(serde_json::from_slice::<Answer>(&answer)?.access_token)
}
