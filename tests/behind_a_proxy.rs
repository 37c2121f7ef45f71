//! The service in a company's network: a proxy by https that wants a password, a private authority for it and for the tenant, and both
//! changed while the service works.

use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::support::database::Database;
use crate::support::forward_proxy::{ForwardProxy, Rules, Way};
use crate::support::program::{LONG, Program, Running};
use crate::support::tls::{Authority, Behind, Server, Valid};
use crate::support::truth::{assert_events_equal, assert_profiles_equal};
use crate::support::{Scene, eventually, scene, small};

const PASSWORD: &str = "hunter2@:/%";
const ENCODED: &str = "hunter2%40%3A%2F%25";

/// A tenant that is reached through the proxy alone.
struct Company {
    authority: Authority,
    scene: Scene,
    proxy: ForwardProxy,
    _front: Server,
    folder: TempDir,
    program: Program,
}

impl Company {
    async fn new() -> Self {
        let scene = scene(small(30)).await;
        let authority = Authority::new("company");
        let front = authority.issue("tenant.invalid", Valid::Now);
        let front = Server::start(Some(&front), Behind::Relay(scene.tenant.address())).await;
        let rules = Rules {
            credentials: Some(("user", PASSWORD)),
            certificate: Some(&authority.issue("localhost", Valid::Now)),
        };
        let proxy = ForwardProxy::start(Way::To(front.address()), rules).await;
        let folder = TempDir::new().unwrap();
        let address = format!("https://user:{ENCODED}@localhost:{}\n", proxy.port);
        std::fs::write(folder.path().join("proxy"), address).unwrap();
        let program = scene
            .program
            .with("BLUECONIC_URL", "https://tenant.invalid")
            .with(
                "BLUECONIC_SYNC_PROXY_FILE",
                folder.path().join("proxy").to_str().unwrap(),
            )
            .with("HTTPS_PROXY", "http://127.0.0.1:9");
        Self {
            authority,
            scene,
            proxy,
            _front: front,
            folder,
            program,
        }
    }

    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_goes_through_the_proxy_and_nothing_tells_its_password() {
    let company = Company::new().await;
    let ca = company.authority.file(company.folder.path(), "ca.pem");
    let program = company.program.set("network.ca_file", &ca);
    let named = format!("localhost:{} (BLUECONIC_SYNC_PROXY_FILE)", company.proxy.port);
    let checked = program.expect(0, &["check"]).await;
    assert!(checked.stdout.contains(&named), "{}", checked.stdout);
    let loaded = program.with("RUST_LOG", "trace").expect(0, &["backfill"]).await;
    assert_profiles_equal(&company.scene.database, &company.scene.tenant).await;
    assert_events_equal(&company.scene.database, &company.scene.tenant).await;
    let heard = company.proxy.heard();
    assert!(!heard.is_empty());
    assert!(
        heard
            .iter()
            .all(|line| line == "CONNECT tenant.invalid:443 HTTP/1.1"),
        "{heard:?}"
    );
    let shown = program.expect(0, &["config", "show", "--given"]).await;
    assert!(
        shown.stdout.contains("named by BLUECONIC_SYNC_PROXY_FILE"),
        "{}",
        shown.stdout
    );
    // Of the usual variables, too, it is told which one counts.
    let usual = program.without("BLUECONIC_SYNC_PROXY_FILE").with(
        "HTTPS_PROXY",
        &format!("http://user:{ENCODED}@proxy.example:3128"),
    );
    let usual = usual.expect(0, &["config", "show"]).await;
    let row = usual
        .stdout
        .lines()
        .find(|line| line.starts_with("network.proxy "));
    let row = row.unwrap_or_default();
    assert!(
        row.contains("\"http://proxy.example:3128\"") && row.contains("variable HTTPS_PROXY"),
        "{}",
        usual.stdout
    );

    // Without the authority it is the proxy's certificate that fails first.
    let distrusting = program.without("BLUECONIC_SYNC__NETWORK__CA_FILE");
    let failed = distrusting.expect(1, &["check"]).await;
    assert!(
        failed
            .stdout
            .contains(&format!("the certificate of the proxy {named} is not trusted")),
        "{}",
        failed.stdout
    );
    failed.tells(&["network.ca_file"]);
    let wrong = program.set("network.ca_file", "/etc/passwd");
    wrong
        .expect(2, &["check"])
        .await
        .tells(&["`network.ca_file`", "no certificate"]);
    let public = program
        .without("BLUECONIC_SYNC_PROXY_FILE")
        .set("network.proxy", &format!("http://user:{ENCODED}@proxy.example"));
    let refused = public.expect(2, &["check"]).await;
    refused.tells(&["`network.proxy`", "BLUECONIC_SYNC_PROXY"]);
    for said in [checked, loaded, shown, usual, failed, refused] {
        let said = format!("{said:?}");
        assert!(!said.contains(PASSWORD) && !said.contains(ENCODED), "{said}");
    }
}

async fn runs(database: &Database, running: &mut Running, status: &str) {
    let of = format!("sync.runs where resource = 'segments' and status = '{status}'");
    let before = database.count(&of).await;
    eventually(&format!("segments end as {status}"), LONG, async || {
        assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
        (database.count(&of).await > before).then_some(())
    })
    .await;
}

/// A run says what `check` says, and a new authority needs a signal alone.
#[tokio::test(flavor = "multi_thread")]
async fn a_changed_authority_needs_no_restart() {
    let company = Company::new().await;
    let ca = Authority::new("former").file(company.folder.path(), "ca.pem");
    let settings = company.file("own.toml");
    let text = format!(
        "[network]\nca_file = \"{ca}\"\n[schedule]\nheartbeat = \"1s\"\n[resources.segments]\nschedule = \"* * * * * *\"\n"
    );
    std::fs::write(&settings, text).unwrap();
    let mut running = company
        .program
        .start(&["--config", &settings, "serve", "--bind", "127.0.0.1:0"]);
    let database = &company.scene.database;
    runs(database, &mut running, "failed").await;
    let error: String = database
        .one("select error from sync.runs where resource = 'segments' and status = 'failed' limit 1")
        .await;
    assert!(
        error.contains("the certificate of the proxy localhost:"),
        "{error}"
    );
    company.authority.file(company.folder.path(), "ca.pem");
    running.signal(Signal::SIGHUP);
    runs(database, &mut running, "succeeded").await;
    running.signal(Signal::SIGTERM);
    running.ended(Duration::from_secs(10)).await.expect(0);
}
