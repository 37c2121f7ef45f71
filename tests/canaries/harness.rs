//! Runs every command with each grant and each log format, and searches everything that they leave behind.

use std::collections::BTreeSet;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blueconic_sync::cli::Cli;
use clap::CommandFactory as _;
use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::{Tenant, start};
use tempfile::TempDir;
use uuid::Uuid;

use super::documents::Documents;
use super::front::Front;
use super::guarded::Guarded;
use super::searcher::Searcher;
use super::wrong;
use crate::support::hook::Hook;
use crate::support::oauth::browser::Browser;
use crate::support::oauth::server::redirect_url;
use crate::support::ports::free;
use crate::support::program::{Ended, LONG, Program, Running};
use crate::support::{eventually, small};

/// What does not end by itself is asked to after so long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A text that is nowhere else in the world.
fn unique(marks: &str) -> String {
    format!("{}{marks}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple())
}

fn key() -> String {
    let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()];
    STANDARD.encode(bytes.concat())
}

/// What the program is given, and nobody else may learn.
pub(super) struct Given {
    pub(super) client_secret: String,
    pub(super) wrong_secret: String,
    pub(super) password: String,
    pub(super) wrong_password: String,
    pub(super) key: String,
    pub(super) next_key: String,
    pub(super) wrong_key: String,
    pub(super) web_token: String,
    pub(super) hash_key: String,
    /// Values of properties whose values are hashed and dropped.
    hashed: String,
    dropped: String,
    pub(super) webhook: String,
    pub(super) heartbeat: String,
    /// The password for a proxy.
    pub(super) proxy: String,
}

impl Given {
    fn new() -> Self {
        Self {
            client_secret: unique("+/=&%\"'*~"),
            wrong_secret: unique("/+"),
            password: unique("/@:+%?#"),
            wrong_password: unique("+@/"),
            key: key(),
            next_key: key(),
            wrong_key: key(),
            web_token: unique("."),
            hash_key: key(),
            hashed: unique("@"),
            dropped: unique("-"),
            webhook: unique("/-_"),
            heartbeat: unique("~."),
            proxy: unique("/@:%+"),
        }
    }

    fn named(&self) -> Vec<(&'static str, Vec<u8>)> {
        let mut named: Vec<(&str, Vec<u8>)> = [
            ("client secret", &self.client_secret),
            ("wrong client secret", &self.wrong_secret),
            ("database password", &self.password),
            ("wrong database password", &self.wrong_password),
            ("key", &self.key),
            ("next key", &self.next_key),
            ("wrong key", &self.wrong_key),
            ("token of the pages", &self.web_token),
            ("key of hashes", &self.hash_key),
            ("hashed value", &self.hashed),
            ("dropped value", &self.dropped),
            ("address of the webhook", &self.webhook),
            ("address of the dead-man switch", &self.heartbeat),
            ("password of the proxy", &self.proxy),
        ]
        .map(|(name, text)| (name, text.clone().into_bytes()))
        .to_vec();
        for (name, key) in [
            ("bytes of the key", &self.key),
            ("bytes of the next key", &self.next_key),
            ("bytes of the key of hashes", &self.hash_key),
        ] {
            named.push((name, STANDARD.decode(key).unwrap()));
        }
        named
    }
}

pub(super) struct Harness {
    tenant: Tenant,
    hook: Hook,
    pub(super) is_personal: bool,
    pub(super) front: Front,
    pub(super) guarded: Guarded,
    pub(super) program: Program,
    pub(super) given: Given,
    pub(super) documents: Documents,
    pub(super) folder: TempDir,
    commands: BTreeSet<String>,
    redirect_url: String,
}

impl Harness {
    async fn new(grant: &str, format: &str, client_auth: &str) -> Self {
        let given = Given::new();
        let redirect_url = redirect_url();
        let tenant = start(Settings {
            client_secret: given.client_secret.clone().into(),
            redirect_uri: redirect_url.clone(),
            ..small(30)
        })
        .await
        .unwrap();
        assert!(tenant.touch(1, "email", &[&given.hashed]) && tenant.touch(2, "phone", &[&given.dropped]));
        let front = Front::start(tenant.url()).await;
        let guarded = Guarded::start(&given.password).await;
        let hook = Hook::start().await;
        // Who runs the embedded server must reach it.
        let folder = tempfile::Builder::new().prefix("bc").tempdir_in("/tmp").unwrap();
        std::os::unix::fs::PermissionsExt::set_mode(
            &mut std::fs::metadata(folder.path()).unwrap().permissions(),
            0o755,
        );
        let web_token = folder.path().join("web-token");
        std::fs::write(&web_token, &given.web_token).unwrap();
        let secret = folder.path().join("client-secret");
        std::fs::write(&secret, format!("{}\n", given.client_secret)).unwrap();
        let webhook = folder.path().join("webhook");
        std::fs::write(&webhook, format!("{}/{}\n", hook.url, given.webhook)).unwrap();
        let program = Program::new(&front.url, &guarded.url(&given.password))
            .with("BLUECONIC_SYNC_WEBHOOK_URL_FILE", webhook.to_str().unwrap())
            .with(
                "BLUECONIC_SYNC_HEARTBEAT_URL",
                &format!("{}/{}", hook.url, given.heartbeat),
            )
            .without("BLUECONIC_CLIENT_SECRET")
            .with("BLUECONIC_CLIENT_SECRET_FILE", secret.to_str().unwrap())
            .with("BLUECONIC_SYNC_KEY", &given.key)
            .with("BLUECONIC_SYNC_HASH_KEY", &given.hash_key)
            .set(
                "resources.profiles.personal_data",
                "property:email=hash,property:phone=drop",
            )
            .with("PATH", &std::env::var("PATH").unwrap())
            .with("RUST_LOG", "trace")
            .with("RUST_BACKTRACE", "full")
            .set("log.format", format)
            .set("tenant.grant", grant)
            .set("tenant.client_auth", client_auth)
            .set("tenant.redirect_url", &redirect_url)
            .set("database.data_dir", folder.path().join("data").to_str().unwrap())
            .set("retry.give_up_after", "300ms")
            .set("web.token_file", web_token.to_str().unwrap())
            .set("web.bind", &free().to_string());
        Self {
            is_personal: grant == "authorization_code",
            tenant,
            hook,
            front,
            guarded,
            program,
            given,
            documents: Documents::default(),
            folder,
            commands: BTreeSet::new(),
            redirect_url,
        }
    }

    /// Runs a command and keeps all that it says. What does not end by itself is ended.
    pub(super) async fn run(&mut self, program: &Program, arguments: &[&str]) -> Ended {
        let running = program.start(arguments);
        self.attend(running, arguments, None).await
    }

    pub(super) async fn expect(&mut self, program: &Program, code: i32, arguments: &[&str]) -> Ended {
        let ended = self.run(program, arguments).await;
        ended.expect(code);
        ended
    }

    pub(super) async fn attend(
        &mut self,
        mut running: Running,
        arguments: &[&str],
        patience: Option<Duration>,
    ) -> Ended {
        let until = tokio::time::Instant::now() + patience.unwrap_or(LONG);
        while patience.is_some() && !running.has_ended() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if patience.is_some() && !running.has_ended() {
            running.signal(Signal::SIGTERM);
        }
        let ended = running.ended(LONG).await;
        let named = arguments.join(" ");
        self.commands.insert(arguments[0].to_owned());
        self.documents
            .add(format!("stdout of {named}"), ended.stdout.clone());
        self.documents
            .add(format!("stderr of {named}"), ended.stderr.clone());
        self.documents.add_moment(&self.guarded).await;
        ended
    }

    /// Runs a command that may not end by itself.
    pub(super) async fn run_for_a_while(&mut self, program: &Program, arguments: &[&str]) -> Ended {
        let running = program.start(arguments);
        self.attend(running, arguments, Some(PATIENCE)).await
    }

    /// Signs in, or tries to: gives back what the browser shows at the end.
    pub(super) async fn sign_in(&mut self, program: &Program, allow: bool) -> (Ended, String) {
        let mut running = program.start(&["login", "--no-browser"]);
        let page = eventually("the address of the consent page", LONG, async || {
            let said = running.stderr();
            assert!(!running.has_ended(), "it has ended:\n{said}");
            let line = said.lines().find(|line| line.contains("/oauth/authorize?"))?;
            said.contains("Waiting").then(|| line.trim().to_owned())
        })
        .await;
        let decision = if allow { "allow" } else { "deny" };
        let redirect = Browser::new().consent(&page, &[("decision", decision)]).await;
        let shown = reqwest::get(redirect).await.unwrap().text().await.unwrap();
        self.documents.add("page at the end of login", shown.clone());
        let ended = self.attend(running, &["login"], None).await;
        (ended, shown)
    }

    /// The usual life: everything in order.
    async fn in_order(&mut self) {
        let program = self.program.clone();
        for command in Cli::command().get_subcommands() {
            self.expect(&program, 0, &[command.get_name(), "--help"]).await;
        }
        // A help that was shown is no command that was run.
        self.commands.clear();
        self.run(&program, &["check"]).await;
        self.run(&program, &["status"]).await;
        self.run(&program, &["resources"]).await;
        self.run(&program, &["probe", "--patience", "0s"]).await;
        self.expect(&program, 0, &["migrate"]).await;
        if self.is_personal {
            self.signed_in(&program).await;
        } else {
            self.expect(&program, 2, &["login"]).await;
        }
        self.expect(&program, 0, &["check"]).await;
        self.expect(&program, 0, &["backfill", "--json"]).await;
        for arguments in [
            &["backfill", "profiles", "--full", "--verify"][..],
            &["probe", "--patience", "0s"],
            &["probe", "--json", "--patience", "0s"],
            &["status"],
            &["status", "--json"],
            &["status", "--verify"],
            &["reset", "segments", "--yes"],
            &["config", "show"],
            &["config", "show", "--json"],
            &["completions", "bash"],
            &["man"],
        ] {
            self.expect(&program, 0, arguments).await;
        }
        self.expect(&program, 0, &["docs", "--format", "markdown"]).await;
        // The roles may be there or not, since they are those of the whole server.
        self.run(&program, &["rights", "--check"]).await;
        self.expect(&program, 0, &["distribute", "--json"]).await;
        self.expect(&program, 4, &["distribute", "--yes"]).await;
        let id = self.tenant.id(3);
        self.expect(&program, 0, &["erase", &id, "--yes", "--json"]).await;
        self.expect(&program, 0, &["erase", &id, "--lift", "--yes"]).await;
        // What everybody on the machine sees of the command line of its child.
        let shown = r#"\! tr '\0' ' ' <"/proc/$PPID/cmdline"; echo "it was $PPID""#;
        for sql in ["select * from sync.tokens", "\\conninfo", shown] {
            let ended = self.expect(&program, 0, &["psql", "-c", sql]).await;
            assert!(!ended.stdout.is_empty());
        }
        self.expect(&program, 0, &["pause", "profiles", "--json"]).await;
        self.expect(&program, 1, &["run-now", "profiles"]).await;
        self.expect(&program, 0, &["resume", "profiles"]).await;
        self.expect(&program, 0, &["run-now", "profiles", "--full"]).await;
        self.expect(&program, 1, &["healthcheck"]).await;
        self.notifying(&program).await;
        self.serving(&program).await;
        let next = program
            .with("BLUECONIC_SYNC_KEY", &self.given.next_key)
            .with("BLUECONIC_SYNC_OLD_KEY", &self.given.key);
        self.expect(&next, 0, &["rotate-key"]).await;
        self.program = program.with("BLUECONIC_SYNC_KEY", &self.given.next_key);
        let simulating = program.start(&["simulate-tenant", "--profiles", "5"]);
        self.attend(simulating, &["simulate-tenant"], Some(Duration::from_secs(1)))
            .await;
        self.expect(&program, 0, &["demo", "--profiles", "20"]).await;
    }

    async fn signed_in(&mut self, program: &Program) {
        let wrong = program.with("BLUECONIC_CLIENT_SECRET", &self.given.wrong_secret);
        let (ended, shown) = self.sign_in(&wrong, true).await;
        ended.expect(1);
        assert!(shown.contains("You are not signed in"), "{shown}");
        self.sign_in(program, false).await.0.expect(1);
        let mut running = program.start_reading(&["login", "--no-browser"]);
        let pasted = format!("{}?code={}&state=other\n", self.redirect_url, unique("-"));
        running.write(&pasted).await;
        let pasted = pasted.split(['=', '&']).nth(1).unwrap().to_owned();
        let ended = self
            .attend(running, &["login"], Some(Duration::from_secs(2)))
            .await;
        assert!(ended.stderr.contains("another's"), "{}", ended.stderr);
        let searcher = Searcher::new([("pasted code", pasted.as_bytes())].into_iter());
        assert_eq!(self.documents.search(&searcher), [""; 0]);
        self.sign_in(program, true).await.0.expect(0);
    }

    /// Messages that are taken, refused, sent elsewhere and not answered.
    async fn notifying(&mut self, program: &Program) {
        self.expect(program, 0, &["notify", "test"]).await;
        for status in [302, 404, 503] {
            self.hook.answer(status);
            self.expect(program, 1, &["notify", "test"]).await;
        }
        self.hook.answer(200);
        let nobody = format!("http://{}/{}", free(), self.given.webhook);
        let plain = format!("http://hooks.example.com/{}", self.given.webhook);
        for (url, code) in [(nobody, 1), (plain, 2), (self.given.webhook.clone(), 2)] {
            let program = program.with("BLUECONIC_SYNC_WEBHOOK_URL", &url);
            self.expect(&program, code, &["notify", "test"]).await;
        }
        for arrived in self.hook.arrived() {
            self.documents.add("message", arrived.body);
        }
    }

    async fn serving(&mut self, program: &Program) {
        let address = free();
        let program = program
            .set("web.bind", &address.to_string())
            .set("schedule.heartbeat", "1s")
            .set("resources.segments.schedule", "* * * * * *");
        let mut running = program.start(&["serve"]);
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = |path: &str| format!("http://{address}{path}");
        eventually("it is ready", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            let answer = client.get(url("/readyz")).send().await.ok()?;
            answer.status().is_success().then_some(())
        })
        .await;
        for path in ["/", "/status.json", "/metrics", "/healthz", "/readyz", "/nowhere"] {
            for token in [&*self.given.web_token, "", &self.given.wrong_secret] {
                let (head, page) = eventually("the page is there", LONG, async || {
                    let answer = client.get(url(path)).bearer_auth(token).send().await.unwrap();
                    let (status, head) = (answer.status(), format!("{:?}", answer.headers()));
                    let page = answer.text().await.unwrap();
                    // A busy database may keep a page waiting for longer than it waits.
                    let is_busy = status == reqwest::StatusCode::SERVICE_UNAVAILABLE;
                    if token == self.given.web_token && path != "/nowhere" {
                        assert!(status.is_success() || is_busy, "{path}: {status} {page}");
                    }
                    (!is_busy).then_some((head, page))
                })
                .await;
                self.documents
                    .add(format!("page {path}"), format!("{head}\n{page}"));
            }
        }
        self.expect(&program, 0, &["healthcheck"]).await;
        running.signal(Signal::SIGTERM);
        self.attend(running, &["serve"], None).await.expect(0);
    }

    async fn signed_out(&mut self) {
        let program = self.program.clone();
        self.expect(&program, 2, &["logout"]).await;
        let wrong = program.with("BLUECONIC_CLIENT_SECRET", &self.given.wrong_secret);
        self.run(&wrong, &["logout", "--yes"]).await;
        self.run(&program, &["backfill", "segments"]).await;
        self.expect(&program, 0, &["logout", "--all", "--yes"]).await;
        self.expect(&program, 0, &["logout", "--yes"]).await;
        self.expect(&program, 0, &["logout", "--forget", "--yes"]).await;
    }

    /// Every command was run, all of it was read, and no secret stands in any of it.
    async fn nothing_has_come_to_light(mut self) {
        self.documents.add_tables(&self.guarded).await;
        let log = self.guarded.log();
        // With the parameters of statements: else the log would prove nothing.
        let text = String::from_utf8_lossy(&log);
        assert!(text.contains("$1 = ") && text.contains("password authentication failed"));
        self.documents.add("log of the server", log.clone());
        let grammar: BTreeSet<String> = Cli::command()
            .get_subcommands()
            .map(|command| command.get_name().to_owned())
            .collect();
        assert_eq!(self.commands, grammar, "every command is run");

        let passed = self.front.secrets();
        let kinds: BTreeSet<&str> = passed.values().copied().collect();
        let expected: &[&str] = if self.is_personal {
            &[
                "access token",
                "authorization code",
                "code verifier",
                "refresh token",
            ]
        } else {
            &["access token"]
        };
        assert!(expected.iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
        assert!(self.tenant.requests().count(Route::Revoke) > 0);
        let given = self.given.named();
        let given = given.iter().map(|(name, secret)| (*name, &secret[..]));
        let passed = passed.iter().map(|(secret, kind)| (*kind, secret.as_bytes()));
        let searcher = Searcher::new(given.chain(passed));
        let found = self.documents.search(&searcher);
        assert!(
            found.is_empty(),
            "{} hits:\n{}",
            found.len(),
            found[..found.len().min(30)].join("\n")
        );
        // What is no secret is found in all of them.
        let known = self.documents.with("simulated-client");
        for kind in ["stdout of check", "table sync.tokens", "log of the server"] {
            assert!(known.contains(&kind), "{known:?}");
        }
        let traced = self.documents.with("TRACE");
        assert!(traced.contains(&"stderr of backfill segments"), "{traced:?}");
        let closed = self.documents.with("closed to core dumps and debuggers");
        assert!(closed.contains(&"stderr of serve"), "{closed:?}");
        assert!(self.documents.len() > 200 && self.documents.bytes() > 1_000_000);
    }
}

async fn run_every_command(grant: &str, format: &str, client_auth: &str) {
    let mut harness = Harness::new(grant, format, client_auth).await;
    harness.in_order().await;
    wrong::all(&mut harness).await;
    harness.signed_out().await;
    harness.nothing_has_come_to_light().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_client_credentials_in_json() {
    run_every_command("client_credentials", "json", "body").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_client_credentials_in_text() {
    run_every_command("client_credentials", "text", "basic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_an_authorization_in_json() {
    run_every_command("authorization_code", "json", "basic").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_of_an_authorization_in_text() {
    run_every_command("authorization_code", "text", "body").await;
}
