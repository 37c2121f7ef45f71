//! Whoever sends slowly, keeps connections or asks for other hosts keeps nobody else out.

use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::web::states::{Fixed, Running, settings, well};
use blueconic_sync::model::liveness::Liveness;

const SOON: Duration = Duration::from_secs(5);

async fn connect(running: &Running) -> TcpStream {
    TcpStream::connect(running.url.trim_start_matches("http://"))
        .await
        .unwrap()
}

/// What comes until the server closes.
async fn answer(mut stream: TcpStream) -> String {
    let mut bytes = Vec::new();
    // A reset is a closing, too.
    let _ = stream.read_to_end(&mut bytes).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

async fn ask(running: &Running, request: &str) -> String {
    let mut stream = connect(running).await;
    stream.write_all(request.as_bytes()).await.unwrap();
    timeout(SOON, answer(stream)).await.unwrap()
}

async fn for_host(running: &Running, path: &str, host: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    let answer = ask(running, &request).await;
    answer.split(' ').nth(1).unwrap_or("none").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn half_sent_requests_keep_no_health_check_out_and_take_no_descriptors() {
    let running = Running::with(Ok(well())).await;
    let mut half = Vec::new();
    for _ in 0..400 {
        let mut stream = connect(&running).await;
        // One that was dismissed already cannot be written to.
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: loc").await;
        half.push(stream);
    }
    for path in ["/healthz", "/readyz", "/"] {
        assert_eq!(timeout(SOON, running.get(path)).await.unwrap().0, 200, "{path}");
    }
    // The oldest ones are gone, the newest are still waited for.
    let mut byte = [0; 1];
    assert!(!matches!(
        timeout(SOON, half[0].read(&mut byte)).await.unwrap(),
        Ok(1..)
    ));
    let last = half.last_mut().unwrap();
    last.write_all(b"alhost\r\nConnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut all = Vec::new();
    timeout(SOON, last.read_to_end(&mut all)).await.unwrap().unwrap();
    assert!(
        all.starts_with(b"HTTP/1.1 200"),
        "{}",
        String::from_utf8_lossy(&all)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_head_is_given_up_also_on_a_connection_that_was_kept() {
    let running = Running::with(Ok(well())).await;
    let began = Instant::now();
    let mut slow = connect(&running).await;
    slow.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
    let mut kept = connect(&running).await;
    kept.write_all(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await
        .unwrap();
    let never = connect(&running).await;
    for stream in [slow, kept, never] {
        timeout(Duration::from_secs(20), answer(stream)).await.unwrap();
    }
    assert!(began.elapsed() >= Duration::from_secs(5), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_answer_to_the_hosts_that_they_are_meant_for() {
    let mut web = settings(0);
    web.hosts = vec!["sync.example".to_owned()];
    let running = Running::start(&web, Fixed(Ok(well())), Liveness::new()).await;
    for path in ["/", "/status.json", "/metrics", "/nowhere"] {
        for host in ["evil.example", "10.9.8.7:8080", "", "localhost.evil.example"] {
            assert_eq!(for_host(&running, path, host).await, "421", "{path} for {host}");
        }
        for host in ["localhost", "127.0.0.1:8080", "SYNC.example:9090", "[::1]"] {
            let wanted = if path == "/nowhere" { "404" } else { "200" };
            assert_eq!(for_host(&running, path, host).await, wanted, "{path} for {host}");
        }
    }
    // A probe asks by whatever address the container has.
    for path in ["/healthz", "/readyz"] {
        assert_eq!(for_host(&running, path, "10.9.8.7:8080").await, "200", "{path}");
    }
    let whole = "GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
    assert!(ask(&running, whole).await.starts_with("HTTP/1.1 421"));
    let two = "GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    assert!(!ask(&running, two).await.starts_with("HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_is_not_waited_for() {
    let running = Running::with(Ok(well())).await;
    let request =
        "POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: 1000000000\r\n\r\nx";
    assert!(ask(&running, request).await.starts_with("HTTP/1.1 405"));
}
