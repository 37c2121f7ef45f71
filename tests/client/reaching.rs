//! Each fault on the way to a tenant has a sentence and an advice of its own: at the proxy, at the name, at the connection, at the
//! certificate, and behind all of them.

use blueconic_sync::model::fault::{Fault, Kind};
use tempfile::TempDir;

use super::proxies::{sign_in, signed_in};
use crate::support::client::Tenant;
use crate::support::forward_proxy::{ForwardProxy, Rules, Way};
use crate::support::ports::free;
use crate::support::tls::{Authority, Behind, ELSEWHERE, Server, Valid};

const PASSWORD: &str = "p@ss:w/rd%é";
/// The same in an address.
const ENCODED: &str = "p%40ss%3Aw%2Frd%25%C3%A9";

#[track_caller]
fn says(fault: &Fault, sentence: &str, advice: &str) {
    assert!(fault.what.ends_with(sentence), "{sentence}: {fault:?}");
    let hint = fault.hint.clone().unwrap_or_default();
    assert!(hint.contains(advice), "{advice}: {fault:?}");
    let all = format!("{fault:?}");
    assert!(!all.contains(PASSWORD) && !all.contains(ENCODED), "{all}");
}

fn tenant_at(url: &str) -> (&'static str, String) {
    ("BLUECONIC_URL", url.to_owned())
}

fn connecting_within(time: &str) -> (&'static str, String) {
    ("BLUECONIC_SYNC__TENANT__CONNECT_TIMEOUT", time.to_owned())
}

#[tokio::test]
async fn without_a_proxy_name_connection_and_tls_are_told_apart() {
    let fault = sign_in(&[]).await;
    says(
        &fault,
        "the host of the tenant (tenant.invalid:443) does not resolve",
        "name server",
    );
    assert_eq!(fault.kind, Kind::Transient);

    let port = free().port();
    let fault = sign_in(&[tenant_at(&format!("https://{ELSEWHERE}:{port}"))]).await;
    says(
        &fault,
        &format!("the tenant ({ELSEWHERE}:{port}) refuses the connection"),
        "port",
    );

    let plain = Server::start(None, Behind::Answer("HTTP/1.1 400 Bad Request\r\n\r\n")).await;
    let fault = sign_in(&[tenant_at(&plain.url())]).await;
    says(
        &fault,
        &format!("the tenant ({ELSEWHERE}:{}) does not speak TLS", plain.port),
        "plain http",
    );

    let silent = Server::start(None, Behind::Nothing).await;
    let fault = sign_in(&[tenant_at(&silent.url()), connecting_within("100ms")]).await;
    says(&fault, "does not answer in time", "firewall");
    assert_eq!(fault.kind, Kind::Transient);
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_says_why() {
    let folder = TempDir::new().unwrap();
    let (own, stranger) = (Authority::new("own"), Authority::new("stranger"));
    let ca = (
        "BLUECONIC_SYNC__NETWORK__CA_FILE",
        own.file(folder.path(), "ca.pem"),
    );
    for (certificate, why, advice) in [
        (
            stranger.issue(ELSEWHERE, Valid::Now),
            "no authority that is known here has issued it",
            "`network.ca_file`",
        ),
        (own.issue(ELSEWHERE, Valid::NoLonger), "it has expired", "renewed"),
        (
            own.issue(ELSEWHERE, Valid::NotYet),
            "it is not valid yet",
            "clock",
        ),
        (
            own.issue("other.example", Valid::Now),
            "it is for another host",
            "something else answers",
        ),
    ] {
        let server = Server::start(Some(&certificate), Behind::Nothing).await;
        let fault = sign_in(&[tenant_at(&server.url()), ca.clone()]).await;
        let sentence = format!(
            "the certificate of the tenant ({ELSEWHERE}:{}) is not trusted: {why}",
            server.port
        );
        says(&fault, &sentence, advice);
        assert_eq!(fault.kind, Kind::Final, "{why}");
    }
}

/// The private authority stands beside the public ones, alone in its file or among others.
#[tokio::test]
async fn a_private_authority_is_trusted_once_it_is_named() {
    let folder = TempDir::new().unwrap();
    let (own, other) = (Authority::new("own"), Authority::new("other"));
    let tenant = Tenant::start().await;
    let front = Server::start(
        Some(&own.issue(ELSEWHERE, Valid::Now)),
        Behind::Relay(tenant.address),
    )
    .await;
    let both = folder.path().join("both.pem");
    std::fs::write(&both, format!("{}{}", other.pem(), own.pem())).unwrap();
    for file in [
        own.file(folder.path(), "ca.pem"),
        both.to_str().unwrap().to_owned(),
    ] {
        let ca = ("BLUECONIC_SYNC__NETWORK__CA_FILE", file);
        signed_in(&[tenant_at(&front.url()), ca]).await;
    }
    assert_eq!(tenant.token_requests(), 2);
}

#[tokio::test]
async fn each_fault_of_a_proxy_is_told() {
    let through = |address: String| ("BLUECONIC_SYNC_PROXY", format!("http://user:{ENCODED}@{address}"));
    let fault = sign_in(&[through("proxy.invalid:3128".to_owned())]).await;
    says(
        &fault,
        "the host of the proxy proxy.invalid:3128 (BLUECONIC_SYNC_PROXY) does not resolve",
        "the proxy's address",
    );
    let nobody = free();
    let fault = sign_in(&[through(nobody.to_string())]).await;
    says(
        &fault,
        &format!("the proxy {nobody} (BLUECONIC_SYNC_PROXY) refuses the connection"),
        "that the proxy runs",
    );

    for (line, sentence, advice) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required",
            "refuses the credentials, or wants some (HTTP 407)",
            "BLUECONIC_SYNC_PROXY_FILE",
        ),
        (
            "HTTP/1.1 403 Forbidden",
            "does not allow the way to the tenant (tenant.invalid:443) (HTTP 403)",
            "those who run the proxy allow",
        ),
        (
            "HTTP/1.1 502 Bad Gateway",
            "does not reach the tenant (tenant.invalid:443) (HTTP 502)",
            "the tenant's address",
        ),
        (
            "HTTP/1.1 405 No",
            "does not lead to the tenant (tenant.invalid:443) (HTTP 405)",
            "network.no_proxy",
        ),
        (
            "SSH-2.0-x",
            "does not answer as a proxy does",
            "scheme, host and port",
        ),
    ] {
        let proxy = ForwardProxy::start(Way::Refused(line), Rules::default()).await;
        let address = format!("127.0.0.1:{}", proxy.port);
        let fault = sign_in(&[through(address.clone())]).await;
        says(
            &fault,
            &format!("the proxy {address} (BLUECONIC_SYNC_PROXY) {sentence}"),
            advice,
        );
        assert!(
            proxy
                .heard()
                .iter()
                .all(|line| line == "CONNECT tenant.invalid:443 HTTP/1.1")
        );
    }

    let closing = Server::start(None, Behind::Answer("")).await;
    let fault = sign_in(&[through(closing.address().to_string())]).await;
    says(
        &fault,
        "closes the connection before it is ready",
        "those who run the proxy",
    );
    let silent = Server::start(None, Behind::Nothing).await;
    let fault = sign_in(&[through(silent.address().to_string()), connecting_within("100ms")]).await;
    says(
        &fault,
        "(BLUECONIC_SYNC_PROXY) does not answer in time",
        "that the proxy runs",
    );
    let socks = ("BLUECONIC_SYNC__NETWORK__PROXY", format!("socks5h://{nobody}"));
    let fault = sign_in(&[socks]).await;
    says(
        &fault,
        &format!("the proxy {nobody} (network.proxy) refuses the connection"),
        "that the proxy runs",
    );
}

/// By https to the proxy, with a private authority for it and for the tenant, and with a password of odd characters.
#[tokio::test]
async fn a_proxy_by_https_leads_on_and_its_own_faults_are_told() {
    let folder = TempDir::new().unwrap();
    let (own, stranger) = (Authority::new("own"), Authority::new("stranger"));
    let tenant = Tenant::start().await;
    let front = own.issue("tenant.invalid", Valid::Now);
    let front = Server::start(Some(&front), Behind::Relay(tenant.address)).await;
    let certificate = own.issue("localhost", Valid::Now);
    let rules = Rules {
        credentials: Some(("user", PASSWORD)),
        certificate: Some(&certificate),
    };
    let proxy = ForwardProxy::start(Way::To(front.address()), rules).await;
    let address = |password: &str| format!("https://user:{password}@localhost:{}", proxy.port);
    let through = |password: &str| ("BLUECONIC_SYNC_PROXY", address(password));
    let ca = (
        "BLUECONIC_SYNC__NETWORK__CA_FILE",
        own.file(folder.path(), "ca.pem"),
    );
    signed_in(&[through(ENCODED), ca.clone()]).await;
    assert_eq!(tenant.token_requests(), 1);
    let file = folder.path().join("proxy");
    std::fs::write(&file, address(ENCODED) + "\n").unwrap();
    let by_file = (
        "BLUECONIC_SYNC__NETWORK__PROXY_FILE",
        file.to_str().unwrap().to_owned(),
    );
    signed_in(&[by_file, ca.clone()]).await;

    let fault = sign_in(&[through("wrong"), ca.clone()]).await;
    says(
        &fault,
        "refuses the credentials, or wants some (HTTP 407)",
        "BLUECONIC_SYNC_PROXY",
    );
    assert_eq!(fault.kind, Kind::Settings);
    let unknown = (
        "BLUECONIC_SYNC__NETWORK__CA_FILE",
        stranger.file(folder.path(), "other.pem"),
    );
    let fault = sign_in(&[through(ENCODED), unknown]).await;
    let named = format!(
        "the certificate of the proxy localhost:{} (BLUECONIC_SYNC_PROXY)",
        proxy.port
    );
    says(
        &fault,
        &format!("{named} is not trusted: no authority that is known here has issued it"),
        "`network.ca_file`",
    );

    let refusing = ForwardProxy::start(Way::Refused("HTTP/1.1 403 Forbidden"), rules).await;
    let refused = format!("https://user:{ENCODED}@localhost:{}", refusing.port);
    let fault = sign_in(&[("BLUECONIC_SYNC_PROXY", refused), ca.clone()]).await;
    says(
        &fault,
        "does not allow the way to the tenant (tenant.invalid:443) (HTTP 403)",
        "allow this machine",
    );
    // The tenant's own certificate, behind a proxy that works.
    let wrong = own.issue("other.example", Valid::Now);
    let wrong = Server::start(Some(&wrong), Behind::Nothing).await;
    let proxy = ForwardProxy::start(Way::To(wrong.address()), Rules::default()).await;
    let fault = sign_in(&[("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port)), ca]).await;
    let sentence = format!(
        "the certificate of the tenant (tenant.invalid:443) behind the proxy 127.0.0.1:{} (HTTPS_PROXY) is not trusted: it is \
         for another host",
        proxy.port
    );
    says(&fault, &sentence, "login page");
}

#[tokio::test]
async fn the_setting_wins_over_the_variables_and_its_exceptions_over_no_proxy() {
    let refusing = ForwardProxy::start(Way::Refused("HTTP/1.1 403 Forbidden"), Rules::default()).await;
    let other = ForwardProxy::start(Way::Refused("HTTP/1.1 502 Bad Gateway"), Rules::default()).await;
    let setting = (
        "BLUECONIC_SYNC__NETWORK__PROXY",
        format!("http://127.0.0.1:{}", refusing.port),
    );
    let variable = ("HTTPS_PROXY", format!("http://127.0.0.1:{}", other.port));
    let fault = sign_in(&[setting.clone(), variable.clone()]).await;
    assert!(fault.what.contains("(network.proxy)"), "{fault}");
    let exceptions = ("BLUECONIC_SYNC__NETWORK__NO_PROXY", ".invalid".to_owned());
    let fault = sign_in(&[setting.clone(), exceptions]).await;
    assert!(fault.what.ends_with("does not resolve"), "{fault}");
    let all = ("NO_PROXY", "*".to_owned());
    let none = ("BLUECONIC_SYNC__NETWORK__NO_PROXY", "other.example".to_owned());
    let fault = sign_in(&[setting, all, none]).await;
    assert!(fault.what.contains("(network.proxy)"), "{fault}");
    assert!(other.heard().is_empty());
}

/// What a gateway or the login page of a network answers in the place of the API.
#[tokio::test]
async fn a_page_in_the_place_of_the_api_is_told() {
    let folder = TempDir::new().unwrap();
    let own = Authority::new("own");
    let ca = (
        "BLUECONIC_SYNC__NETWORK__CA_FILE",
        own.file(folder.path(), "ca.pem"),
    );
    let certificate = own.issue(ELSEWHERE, Valid::Now);
    let page = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 25\r\nConnection: close\r\n\r\n\
                <html>Please log in</html>";
    let portal = Server::start(Some(&certificate), Behind::Answer(page)).await;
    let fault = sign_in(&[tenant_at(&portal.url()), ca.clone()]).await;
    assert!(fault.sentence().contains("text/html"), "{fault}");
    assert!(fault.hint.unwrap().contains("BLUECONIC_URL"));
    let redirect = "HTTP/1.1 302 Found\r\nLocation: https://login.example/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let portal = Server::start(Some(&certificate), Behind::Answer(redirect)).await;
    let fault = sign_in(&[tenant_at(&portal.url()), ca]).await;
    assert!(
        fault.what.contains("points to https://login.example/x"),
        "{fault}"
    );
}
