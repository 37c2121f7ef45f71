//! The proxy on the way to a tenant: which one is used, what it is told, and what its refusals lead to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::model::ports::Clock;
use blueconic_sync::resources::registry::RESOURCES;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::client::TestClock;

const PASSWORD: &str = "canary-pass-5c1d";

/// A proxy that answers each CONNECT with this, and hangs up.
struct Proxy {
    address: SocketAddr,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heard = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = Vec::new();
                while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                    if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
                        break;
                    }
                }
                log.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&request).into_owned());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        Self { address, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }
}

/// A client of a tenant far away, with these variables.
fn client(pairs: &[(&str, String)]) -> Result<Client<MemoryTokens>, Fault> {
    let mut variables: Variables = [
        ("BLUECONIC_URL", "https://tenant.invalid"),
        ("BLUECONIC_CLIENT_ID", "app"),
        ("BLUECONIC_CLIENT_SECRET", "secret"),
        ("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "2s"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    variables.extend(
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.into())),
    );
    let settings = load(None, &variables, RESOURCES).unwrap();
    let clock: Arc<dyn Clock> = TestClock::new();
    let store = MemoryTokens::new(Arc::clone(&clock));
    Ok(Client::new(&settings, store, clock)?)
}

/// Signs in, which must fail.
pub(super) async fn sign_in(pairs: &[(&str, String)]) -> Fault {
    match client(pairs) {
        Ok(client) => client.sign_in().await.err().unwrap(),
        Err(fault) => fault,
    }
}

/// Signs in, which must succeed.
pub(super) async fn signed_in(pairs: &[(&str, String)]) {
    client(pairs).unwrap().sign_in().await.unwrap();
}

#[tokio::test]
async fn a_407_is_final_and_reported_with_what_to_do_and_without_the_password() {
    let proxy = Proxy::start("HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n").await;
    let address = format!("http://user:{PASSWORD}@{}", proxy.address);
    for name in ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"] {
        let before = proxy.heard().len();
        let fault = sign_in(&[(name, address.clone())]).await;
        assert_eq!(fault.kind, Kind::Settings);
        assert_eq!(
            fault.what,
            format!(
                "POST /oauth/token: the proxy {} ({name}) refuses the credentials, or wants some (HTTP 407)",
                proxy.address
            )
        );
        let hint = fault.hint.clone().unwrap();
        assert!(hint.contains("USER:PASSWORD"), "{hint}");
        assert!(!format!("{fault:?}").contains(PASSWORD), "{fault:?}");
        let heard = proxy.heard();
        assert_eq!(heard.len(), before + 1, "repeated");
        let connect = heard.last().unwrap().to_ascii_lowercase();
        assert!(
            connect.starts_with("connect tenant.invalid:443 http/1.1"),
            "{connect}"
        );
        assert!(connect.contains("proxy-authorization: basic "), "{connect}");
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_lead_there_is_named_and_waited_for() {
    let proxy = Proxy::start("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    let address = format!("http://user:{PASSWORD}@{}", proxy.address);
    let fault = sign_in(&[("HTTPS_PROXY", address)]).await;
    assert_eq!(fault.kind, Kind::Transient);
    let expected = format!(
        "the proxy {} (HTTPS_PROXY) does not reach the tenant (tenant.invalid:443) (HTTP 503)",
        proxy.address
    );
    assert!(fault.what.ends_with(&expected), "{fault}");
    assert!(fault.sentence().contains("gave up after"), "{fault}");
    assert!(
        fault.hint.clone().unwrap().contains("those who run the proxy"),
        "{fault:?}"
    );
    assert!(proxy.heard().len() > 1);
    assert!(!format!("{fault:?}").contains(PASSWORD), "{fault:?}");
}

#[tokio::test]
async fn a_host_of_no_proxy_is_asked_without_one() {
    let proxy = Proxy::start("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
    let address = format!("http://{}", proxy.address);
    for (name, value) in [("NO_PROXY", "other.example, .invalid"), ("no_proxy", "*")] {
        let fault = sign_in(&[("HTTPS_PROXY", address.clone()), (name, value.to_owned())]).await;
        assert!(fault.what.ends_with("does not resolve"), "{fault}");
        assert!(fault.hint.unwrap().contains("HTTPS_PROXY"));
    }
    // A variable for plain http says nothing about a tenant, which is https.
    let fault = sign_in(&[("HTTP_PROXY", address)]).await;
    assert!(fault.what.ends_with("does not resolve"), "{fault}");
    assert_eq!(proxy.heard(), Vec::<String>::new());
}

#[tokio::test]
async fn what_is_no_proxy_is_refused_before_anything_is_sent() {
    for given in [
        "ftp://127.0.0.1:1",
        "socks9://127.0.0.1:1",
        "http://127.0.0.1:port",
    ] {
        let fault = sign_in(&[("https_proxy", given.to_owned())]).await;
        assert_eq!(fault.kind, Kind::Settings, "{given}");
        assert!(
            fault
                .what
                .starts_with("`https_proxy` names no proxy that can be used"),
            "{fault}"
        );
        assert!(fault.hint.unwrap().contains("http://HOST:PORT"));
    }
}

/// The greeting of SOCKS 5 (RFC 1928), with a name that the proxy is to look up.
#[tokio::test]
async fn a_socks_proxy_is_spoken_to_in_its_own_protocol() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut greeting = [0; 3];
        stream.read_exact(&mut greeting).await.unwrap();
        stream.write_all(&[5, 0]).await.unwrap();
        let mut request = vec![0; 5 + "tenant.invalid".len()];
        stream.read_exact(&mut request).await.unwrap();
        (greeting, String::from_utf8_lossy(&request[5..]).into_owned())
    });
    let fault = sign_in(&[("ALL_PROXY", format!("socks5h://{address}"))]).await;
    assert_eq!(fault.kind, Kind::Transient);
    let (greeting, name) = heard.await.unwrap();
    assert_eq!((greeting[0], name.as_str()), (5, "tenant.invalid"));
}
