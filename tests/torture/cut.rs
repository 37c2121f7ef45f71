//! Bodies that are cut or garbled on the wire, read over a socket: none of them may be taken for a page that ended whole,
//! since the position would move past what was lost.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::{Clock, Source};
use blueconic_sync::resources::registry::RESOURCES;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::support::client::{TestClock, listing, read};
use crate::table::{Case, in_full};

const PROFILES: usize = 1000;
const KIB: usize = 1024;

/// A tenant that answers with whatever bytes it is told to, then hangs up.
struct Wire {
    address: SocketAddr,
    answer: Arc<Mutex<Vec<u8>>>,
}

impl Wire {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(Vec::new()));
        let reported = Arc::clone(&answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let answer = reported.lock().unwrap().clone();
                tokio::spawn(reply(stream, answer));
            }
        });
        Self { address, answer }
    }

    fn client(&self) -> Client<MemoryTokens> {
        let variables: Variables = [
            ("BLUECONIC_URL", format!("http://{}", self.address)),
            ("BLUECONIC_CLIENT_ID", "app".to_owned()),
            ("BLUECONIC_CLIENT_SECRET", "secret".to_owned()),
            ("BLUECONIC_SYNC__LIMITS__REQUESTS_PER_SECOND", "100000".to_owned()),
            ("BLUECONIC_SYNC__LIMITS__BURST", "100000".to_owned()),
            // A fault of the connection is told at once, not tried again below us.
            ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "1ms".to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.into()))
        .collect();
        let clock: Arc<dyn Clock> = TestClock::new();
        let tokens = MemoryTokens::new(Arc::clone(&clock));
        Client::new(&load(None, &variables, RESOURCES).unwrap(), tokens, clock).unwrap()
    }
}

/// Takes in a request whole, and answers it.
async fn reply(mut stream: TcpStream, answer: Vec<u8>) -> std::io::Result<()> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_lowercase();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.split("content-length: ").nth(1);
            let length = length.and_then(|rest| rest.lines().next()?.trim().parse().ok());
            if body.len() >= length.unwrap_or(0_usize) {
                break;
            }
        }
        if stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let token = br#"{"access_token":"t","token_type":"Bearer","expires_in":3600}"#;
    let answer = if request.starts_with(b"POST") {
        sized(token, "")
    } else {
        answer
    };
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

/// An answer with a length and, besides, these lines of head.
fn sized(body: &[u8], lines: &str) -> Vec<u8> {
    of_length(body.len(), body, lines)
}

fn of_length(length: usize, body: &[u8], lines: &str) -> Vec<u8> {
    with_head(&format!("content-length: {length}\r\n{lines}"), body)
}

fn with_head(lines: &str, body: &[u8]) -> Vec<u8> {
    let head =
        format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\n{lines}\r\n");
    [head.as_bytes(), body].concat()
}

fn chunked(body: &[u8]) -> Vec<u8> {
    let mut framed = Vec::new();
    for chunk in body.chunks(5000) {
        framed.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        framed.extend_from_slice(chunk);
        framed.extend_from_slice(b"\r\n");
    }
    framed.extend_from_slice(b"0\r\n\r\n");
    framed
}

fn gzip(body: &[u8]) -> Vec<u8> {
    // Stored rather than squeezed: the wire is as long as the body, so that there is something to cut.
    let mut encoder = GzEncoder::new(Vec::new(), Compression::none());
    encoder.write_all(body).unwrap();
    encoder.finish().unwrap()
}

/// A page of profiles; its `nextCursor` stands before them, as the tenant has it.
fn page() -> Vec<u8> {
    let profiles: Vec<String> = (0..PROFILES)
        .map(|id| {
            format!(
                r#"{{"id":"{id:08}","properties":[{{"id":"email","values":["{id}@b.example]}}\"{{"]}}]}}"#
            )
        })
        .collect();
    format!(
        r#"{{"totalResults":{PROFILES},"nextCursor":"AoE/{PROFILES}","profiles":[{}]}}"#,
        profiles.join(",")
    )
    .into_bytes()
}

fn brotli(body: &[u8]) -> Vec<u8> {
    let mut packed = Vec::new();
    let mut encoder = brotli::CompressorWriter::new(&mut packed, 4096, 1, 20);
    encoder.write_all(body).unwrap();
    drop(encoder);
    packed
}

/// How a body may go over the wire: what stands in front of it, and its bytes.
fn forms() -> [(&'static str, String, Vec<u8>); 14] {
    let body = page();
    let packed = gzip(&body);
    let length = |body: &[u8]| format!("content-length: {}\r\n", body.len());
    let gzipped = "content-encoding: gzip\r\n".to_owned();
    let in_chunks = "transfer-encoding: chunked\r\n".to_owned();
    let zstd = zstd::encode_all(&body[..], 1).unwrap();
    let zstded = "content-encoding: zstd\r\n".to_owned();
    let members: Vec<u8> = body.chunks(4096).flat_map(gzip).collect();
    let frames: Vec<u8> = body
        .chunks(4096)
        .flat_map(|part| zstd::encode_all(part, 1).unwrap())
        .collect();
    let brotli = brotli(&body);
    let brotlied = "content-encoding: br\r\n".to_owned();
    [
        ("with a length", length(&body), body.clone()),
        ("to the hang-up", String::new(), body.clone()),
        ("in chunks", in_chunks.clone(), chunked(&body)),
        ("gzip with a length", length(&packed) + &gzipped, packed.clone()),
        ("gzip to the hang-up", gzipped.clone(), packed.clone()),
        ("gzip in chunks", in_chunks.clone() + &gzipped, chunked(&packed)),
        (
            "gzip of many members",
            in_chunks.clone() + &gzipped,
            chunked(&members),
        ),
        ("zstd of many frames", zstded.clone(), frames),
        ("plain, and called gzip", length(&body) + &gzipped, body.clone()),
        ("gzip, and called plain", length(&packed), packed.clone()),
        ("zstd to the hang-up", zstded.clone(), zstd.clone()),
        ("zstd in chunks", in_chunks.clone() + &zstded, chunked(&zstd)),
        ("brotli to the hang-up", brotlied.clone(), brotli.clone()),
        ("brotli in chunks", in_chunks + &brotlied, chunked(&brotli)),
    ]
}

/// Every KiB, and every byte of the last 4 KiB; a sample of both in the short form.
fn cuts(length: usize) -> Vec<usize> {
    let (coarse, fine) = if in_full() { (1, 1) } else { (6, 97) };
    let ends = (length.saturating_sub(4 * KIB)..length).rev().step_by(fine);
    let mut cuts: Vec<usize> = (0..length).step_by(coarse * KIB).chain(ends).collect();
    // The very end is where a proof could slip in.
    cuts.extend(length - 12..length);
    cuts.sort_unstable();
    cuts.dedup();
    cuts
}

/// Who reads.
struct Reader {
    client: Client<MemoryTokens>,
    wire: Wire,
    pages: usize,
}

/// How many profiles came with the proof that the page ended whole.
type Page = Result<usize, String>;

impl Reader {
    async fn start() -> Self {
        let wire = Wire::start().await;
        Self {
            client: wire.client(),
            wire,
            pages: 0,
        }
    }

    /// Reads the page that the wire answers with.
    async fn ask(&mut self, answer: Vec<u8>) -> Page {
        *self.wire.answer.lock().unwrap() = answer;
        self.pages += 1;
        let request = listing(&format!("/segments/{}/profiles", self.pages), "*");
        let page = self.client.open(&request, 0, &Meter::default()).await;
        let (elements, end) = match page {
            Ok(page) => read(page).await,
            Err(fault) => Err(fault),
        }
        .map_err(|fault| fault.sentence())?;
        assert_eq!(end.elements(), elements.len() as u64);
        Ok(elements.len())
    }
}

/// Profiles that would be lost: those that are missing from a page that is said to have ended whole.
fn lost(page: &Page) -> u64 {
    page.as_ref().map_or(0, |came| (PROFILES - came) as u64)
}

#[tokio::test]
async fn a_cut_body_is_never_a_whole_page() {
    let mut reader = Reader::start().await;
    for (form, lines, body) in forms() {
        let mut case = Case::new(&format!("bodies cut, {form}"));
        let mut refused = 0_u64;
        for cut in cuts(body.len()) {
            let page = reader.ask(with_head(&lines, &body[..cut])).await;
            case.tried(1);
            case.lost(lost(&page));
            refused += u64::from(page.is_err());
        }
        let whole = reader.ask(with_head(&lines, &body)).await;
        assert_eq!(whole, Ok(PROFILES), "{form}: whole, and refused");
        case.note(format!("{refused} refused"));
        case.report();
    }
}

#[tokio::test]
async fn broken_framing_is_never_a_whole_page() {
    let mut reader = Reader::start().await;
    let mut case = Case::new("framing, lengths and packing that lie");
    for (name, answer) in lies() {
        let page = reader.ask(answer).await;
        case.tried(1);
        case.lost(lost(&page));
        assert!(page.is_err(), "{name} was taken for a page");
    }
    case.note("all refused");
    case.report();
}

fn lies() -> Vec<(String, Vec<u8>)> {
    let body = page();
    let framed = chunked(&body);
    let packed = gzip(&body);
    let mut answers: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |name: &str, answer: Vec<u8>| answers.push((name.to_owned(), answer));
    for more in [1, 2, 1000] {
        add("a length too long", of_length(body.len() + more, &body, ""));
        add("a length too short", of_length(body.len() - more, &body, ""));
    }
    add(
        "HTML under a 200",
        sized(b"<html><body>Be right back</body></html>", ""),
    );
    add("an empty body", sized(b"", ""));
    add(
        "no JSON but packed",
        sized(&gzip(b"<html>"), "content-encoding: gzip\r\n"),
    );
    add("plain, and called br", sized(&body, "content-encoding: br\r\n"));
    let in_chunks = |framed: &[u8]| with_head("transfer-encoding: chunked\r\n", framed);
    for (name, from, to) in [
        ("a chunk's size is no number", "1388\r\n", "13x8\r\n"),
        ("a chunk's size is negative", "1388\r\n", "-388\r\n"),
        ("a chunk is longer than announced", "1388\r\n", "1387\r\n"),
        ("a chunk is shorter than announced", "1388\r\n", "1389\r\n"),
        (
            "a chunk's size is beyond all bounds",
            "1388\r\n",
            "fffffffffffffffff\r\n",
        ),
        ("a chunk ends the body too early", "1388\r\n", "0\r\n\r\n"),
        ("the last chunk is missing", "\r\n0\r\n\r\n", "\r\n"),
        ("a line's end is missing", "\r\n0\r\n\r\n", "0\r\n\r\n"),
    ] {
        let text = String::from_utf8(framed.clone()).unwrap();
        for broken in [text.replacen(from, to, 1), replaced_last(&text, from, to)] {
            add(name, in_chunks(broken.as_bytes()));
        }
    }
    let step = if in_full() { 37 } else { 997 };
    for at in (0..packed.len())
        .step_by(step)
        .chain(packed.len() - 8..packed.len())
    {
        let mut flipped = packed.clone();
        // Head fields that say nothing about the content: time, level, system.
        if (4..10).contains(&at) {
            continue;
        }
        flipped[at] ^= 0x10;
        add(
            &format!("gzip with byte {at} flipped"),
            sized(&flipped, "content-encoding: gzip\r\n"),
        );
    }
    answers
}

fn replaced_last(text: &str, from: &str, to: &str) -> String {
    let at = text.rfind(from).unwrap();
    format!("{}{to}{}", &text[..at], &text[at + from.len()..])
}
