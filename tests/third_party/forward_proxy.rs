//! `proxy-chain`, a forward proxy that nobody here wrote, on the way to a tenant behind nginx: by http and by https, with a password of
//! odd characters and a private authority for both.

use std::path::Path;

use serde_json::Value;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant;
use tempfile::TempDir;

use super::certificates::{Authority, Certificate, HOST, shown};
use super::front::{Front, Kind};
use super::process::Process;
use super::service::Service;
use crate::support::ports::free;

const PASSWORD: &str = "p@ss:w/rd%é";
/// The same in an address.
const ENCODED: &str = "p%40ss%3Aw%2Frd%25%C3%A9";

struct ProxyChain {
    port: u64,
    process: Process,
    _folder: TempDir,
}

impl ProxyChain {
    async fn start(certificate: Option<&Certificate>) -> Self {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/third-party");
        assert!(
            scripts.join("node_modules/proxy-chain").exists(),
            "proxy-chain is not installed: script/test --third-party does that"
        );
        let script = scripts.join("forward-proxy.mjs");
        let folder = TempDir::new().unwrap();
        let mut command = vec!["node", shown(&script), "user", PASSWORD];
        if let Some(certificate) = certificate {
            command.extend([shown(&certificate.certificate), shown(&certificate.key)]);
        }
        let process = Process::start(&command, folder.path(), &folder.path().join("log"));
        let port = process.wait_for("proxy-chain", listening).await;
        Self {
            port,
            process,
            _folder: folder,
        }
    }

    /// What it was asked for and whether it granted that.
    fn asked(&self) -> Vec<(String, bool)> {
        lines(&self.process.said())
            .filter_map(|line| Some((line["asked"].as_str()?.to_owned(), line["granted"].as_bool()?)))
            .collect()
    }
}

fn lines(said: &str) -> impl Iterator<Item = Value> {
    said.lines().filter_map(|line| serde_json::from_str(line).ok())
}

fn listening(said: &str) -> Option<u64> {
    lines(said).find_map(|line| line["listening"].as_u64())
}

#[tokio::test(flavor = "multi_thread")]
async fn through_another_s_proxy_by_http_and_by_https() {
    let tenant = tenant::start(Settings {
        profiles: 300,
        ..Settings::default()
    })
    .await
    .unwrap();
    let authority = Authority::new("own");
    let front = Front::start(Kind::NginxGzip, tenant.url(), &authority.issue(HOST, 2)).await;
    let mut service = Service::before(&front.url).await;
    service.set("BLUECONIC_SYNC__NETWORK__CA_FILE", &authority.file());
    service.set("BLUECONIC_SYNC__RETRY__GIVE_UP_AFTER", "1s");
    let database = service.address();
    let own = authority.issue("127.0.0.1", 2);
    for (scheme, certificate) in [("http", None), ("https", Some(&own))] {
        let proxy = ProxyChain::start(certificate).await;
        let address = |password: &str| format!("{scheme}://user:{password}@127.0.0.1:{}", proxy.port);
        service.set("BLUECONIC_SYNC_PROXY", &address(ENCODED));
        service.run(&["backfill", "--full"]).await.expect(0);
        let stored: i64 = sqlx::query_scalar("select count(*) from blueconic.profiles")
            .fetch_one(&service.database)
            .await
            .unwrap();
        assert_eq!(stored, 300);
        let host = front.url.trim_start_matches("https://");
        let asked = proxy.asked();
        assert!(
            asked.iter().all(|(to, granted)| to == host && *granted),
            "{asked:?}"
        );
        assert!(!asked.is_empty());

        service.set("BLUECONIC_SYNC_PROXY", &address("wrong"));
        let refused = service.run(&["check"]).await.expect(2);
        assert!(
            refused.stdout.contains("refuses the credentials"),
            "{}",
            refused.stdout
        );
        // It hangs up where nothing listens behind it, and refuses a host by its rules (192.0.2.0/24 is nobody's: RFC 5737). Without a
        // database nobody knows that the tenant is another one.
        let nobody = format!("https://{HOST}:{}", free().port());
        service.set("BLUECONIC_SYNC_PROXY", &address(ENCODED));
        service.set("DATABASE_URL", "postgres://nobody@127.0.0.1:9/x");
        for (url, says) in [
            (nobody.as_str(), "closes the connection before it is ready"),
            (
                "https://192.0.2.1",
                "does not allow the way to the tenant (192.0.2.1:443) (HTTP 403)",
            ),
        ] {
            service.set("BLUECONIC_URL", url);
            let away = service.run(&["check"]).await.expect(1);
            let expected = format!("the proxy 127.0.0.1:{} (BLUECONIC_SYNC_PROXY) {says}", proxy.port);
            assert!(away.stdout.contains(&expected), "{}", away.stdout);
        }
        service.set("BLUECONIC_URL", &front.url);
        service.set("DATABASE_URL", &database);
    }
    service.stop().await;
}
