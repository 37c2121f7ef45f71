//! The commands where everything goes wrong: at the tenant, at the database, with the key, in the settings, and in the
//! program itself.

use url::form_urlencoded::byte_serialize;

use super::front::{Answer, At};
use super::harness::Harness;
use crate::support::forward_proxy::{ForwardProxy, Rules, Way};
use crate::support::ports::free;
use crate::support::program::Program;

/// All commands that look into the database, in the form that needs nobody.
const WITH_DATABASE: [&[&str]; 11] = [
    &["check"],
    &["migrate"],
    &["backfill", "segments"],
    &["status"],
    &["status", "--verify"],
    &["reset", "segments", "--yes"],
    &["erase", "nobody", "--yes"],
    &["rotate-key"],
    &["logout", "--yes"],
    &["login", "--no-browser", "--timeout", "1s"],
    &["psql", "-c", "select 1"],
];

pub(super) async fn all(harness: &mut Harness) {
    begin(harness).await;
    wrong_secret(harness).await;
    careless_servers(harness).await;
    wrong_database(harness).await;
    // The way to the tenant has nothing to do with the grant.
    if !harness.is_personal {
        wrong_proxy(harness).await;
    }
    wrong_key(harness).await;
    wrong_settings(harness).await;
    panics(harness).await;
    begin(harness).await;
}

/// Tokens that the tenant takes, and a copy of them to put back: each case begins with them, whatever the last one did.
async fn begin(harness: &mut Harness) {
    let program = harness.program.clone();
    if harness.is_personal {
        harness.sign_in(&program, true).await.0.expect(0);
    } else {
        harness.expect(&program, 0, &["backfill", "segments"]).await;
    }
    let keep = "create schema if not exists kept; drop table if exists kept.tokens;
                create table kept.tokens as table sync.tokens";
    harness.guarded.database.run(keep).await;
}

async fn put_back(harness: &Harness, expired: bool) {
    let database = &harness.guarded.database;
    database
        .run("truncate sync.tokens; insert into sync.tokens select * from kept.tokens")
        .await;
    if expired {
        database
            .run("update sync.tokens set expires_at = sync.clock()")
            .await;
    }
}

async fn wrong_secret(harness: &mut Harness) {
    put_back(harness, true).await;
    let wrong = harness
        .program
        .with("BLUECONIC_CLIENT_SECRET", &harness.given.wrong_secret);
    for arguments in [&["check"][..], &["backfill", "segments"], &["logout", "--yes"]] {
        let ended = harness.run(&wrong, arguments).await;
        assert_ne!(ended.code(), 0, "{}", ended.stderr);
    }
    harness.run_for_a_while(&wrong, &["serve"]).await;
}

/// Servers that send back what was sent to them, and tokens where none are looked for.
async fn careless_servers(harness: &mut Harness) {
    let token = [
        Answer::Page(200),
        Answer::Page(503),
        Answer::Page(403),
        Answer::Error(400),
        Answer::Error(401),
        Answer::Error(503),
        Answer::Redirect,
        Answer::FormOfTokens,
        Answer::Created,
        Answer::HalfOfTokens,
        Answer::Swapped,
    ];
    let api = [
        Answer::Page(200),
        Answer::Page(404),
        Answer::Page(502),
        Answer::Error(400),
        Answer::Error(401),
        Answer::Error(403),
        Answer::Error(404),
        Answer::Error(500),
        Answer::Redirect,
        Answer::Created,
    ];
    let revoke = [Answer::Page(503), Answer::Error(400), Answer::Redirect];
    let cases = token.map(|answer| (At::Token, answer)).into_iter();
    let cases = cases
        .chain(api.map(|answer| (At::Api, answer)))
        .chain(revoke.map(|answer| (At::Revoke, answer)));
    let program = harness.program.clone();
    for (at, answer) in cases {
        if (at, answer) == (At::Revoke, revoke[0]) {
            begin(harness).await;
        }
        put_back(harness, at == At::Token).await;
        harness.front.answer(Some((at, answer)));
        let commands: &[&[&str]] = match at {
            At::Token | At::Api => &[&["check"], &["backfill", "segments", "--json"]],
            At::Revoke => &[&["logout", "--yes"]],
        };
        for arguments in commands {
            harness.run(&program, arguments).await;
            if at == At::Token {
                put_back(harness, true).await;
            }
        }
        if at == At::Token && harness.is_personal {
            harness.sign_in(&program, true).await;
        }
        assert!(harness.front.answers() > 0, "{at:?} {answer:?}: nobody asked");
        harness.front.answer(None);
    }
}

async fn wrong_database(harness: &mut Harness) {
    let wrong = harness.guarded.url(&harness.given.wrong_password);
    for arguments in WITH_DATABASE {
        let program = harness.program.with("DATABASE_URL", &wrong);
        let program = match arguments[0] {
            "rotate-key" => program.with("BLUECONIC_SYNC_OLD_KEY", &harness.given.wrong_key),
            _ => program,
        };
        let ended = harness.run(&program, arguments).await;
        assert_ne!(ended.code(), 0, "{arguments:?}: {}", ended.stderr);
    }
    let password: String = byte_serialize(harness.given.password.as_bytes()).collect();
    let right = harness.guarded.url(&harness.given.password);
    let nowhere = right.replace(&harness.guarded.database.name, "nowhere");
    let urls = [
        nowhere,
        format!("postgres://guest:{password}@127.0.0.1:1/away"),
        format!("postgres://guest:{password}@no.such.host.invalid/away"),
        format!("mysql://guest:{password}@localhost/other"),
        format!("postgres://guest:{}@localhost/unescaped", harness.given.password),
        format!("postgres://guest:{password}@localhost:port/x"),
        format!("postgres://guest:{password}@[::1/x"),
        format!("{right}?passwd={password}"),
        format!("{right}?options[x={password}"),
        format!("postgres:///x?host=/nowhere&user=guest&password={password}"),
        format!("host=/tmp user=guest password={}", harness.given.password),
    ];
    for url in urls {
        let program = harness.program.with("DATABASE_URL", &url);
        for arguments in [&["check"][..], &["status"], &["psql", "-c", "select 1"]] {
            harness.run(&program, arguments).await;
        }
        harness.run_for_a_while(&program, &["serve"]).await;
    }
}

/// Proxies that refuse, are not there or are none, each named in another way.
async fn wrong_proxy(harness: &mut Harness) {
    let given = harness.given.proxy.clone();
    let password: String = byte_serialize(given.as_bytes()).collect();
    let rules = Rules {
        credentials: Some(("user", &given)),
        ..Rules::default()
    };
    let proxy = ForwardProxy::start(Way::Refused("HTTP/1.1 403 Forbidden"), rules).await;
    let at = format!("127.0.0.1:{}", proxy.port);
    let cases = [
        ("BLUECONIC_SYNC_PROXY", format!("http://user:{password}@{at}")),
        ("HTTPS_PROXY", format!("http://somebody:{password}@{at}")),
        ("ALL_PROXY", format!("https://user:{password}@{at}")),
        (
            "BLUECONIC_SYNC_PROXY",
            format!("socks5h://user:{password}@{}", free()),
        ),
        (
            "BLUECONIC_SYNC__NETWORK__PROXY",
            format!("http://user:{password}@{at}"),
        ),
        ("HTTPS_PROXY", format!("http://user:{password}@127.0.0.1:port")),
        ("BLUECONIC_SYNC_PROXY", format!("ftp://user:{given}@{at}")),
    ];
    for (name, address) in cases {
        let program = harness
            .program
            .with(name, &address)
            .with("BLUECONIC_URL", "https://tenant.invalid")
            .with("DATABASE_URL", "postgres://guest@127.0.0.1:9/x")
            .with("BLUECONIC_SYNC_WEBHOOK_URL", "https://hooks.invalid/x")
            .set("retry.give_up_after", "50ms");
        harness.run(&program, &["notify", "test"]).await;
        harness.run(&program, &["check"]).await;
        if name == "HTTPS_PROXY" {
            harness.run(&program, &["config", "show", "--json"]).await;
        }
    }
    assert!(!proxy.heard().is_empty(), "the proxy was never asked");
}

async fn wrong_key(harness: &mut Harness) {
    let keys = [
        harness.given.wrong_key.clone(),
        // Not base64, too short, too long.
        format!("{}!", harness.given.wrong_key),
        harness.given.wrong_key[..24].to_owned(),
        harness.given.wrong_key.replace('=', "AAAA"),
    ];
    for key in keys {
        put_back(harness, false).await;
        let program = harness.program.with("BLUECONIC_SYNC_KEY", &key);
        let rotating = harness.program.with("BLUECONIC_SYNC_OLD_KEY", &key);
        let rotating = rotating.with("BLUECONIC_SYNC_KEY", &harness.given.key);
        for arguments in [&["check"][..], &["backfill", "segments"], &["status"]] {
            harness.run(&program, arguments).await;
        }
        // The application's own token was replaced by one that is sealed with this key.
        put_back(harness, false).await;
        let ended = harness.run(&rotating, &["rotate-key"]).await;
        assert_ne!(ended.code(), 0, "{}", ended.stdout);
        let ended = harness.run(&program, &["logout", "--yes"]).await;
        assert_ne!(ended.code(), 0, "{}", ended.stdout);
    }
    put_back(harness, false).await;
}

/// Secrets in places that are not made for them.
async fn wrong_settings(harness: &mut Harness) {
    let secret = harness.given.client_secret.replace(['"', '\''], "");
    let right = harness.guarded.url(&harness.given.password);
    let files = [
        format!("[tenant]\nclient_secret = \"{secret}\"\n"),
        format!("[tenant]\nclient_secret = {secret}\n"),
        format!("[database]\nurl = \"{right}\n"),
        format!("[database]\nurl = '{right}' '\n"),
        format!("database = \"{right}\"\n"),
        format!("[database]\nurl = [\"{right}\"]\n"),
        format!("[database]\npassword = \"{secret}\"\nurl = \"{right}\"\n"),
    ];
    let file = harness.folder.path().join("settings.toml");
    for text in files {
        std::fs::write(&file, text).unwrap();
        let program = harness.program.without("DATABASE_URL");
        let ended = harness
            .run(&program, &["status", "--config", file.to_str().unwrap()])
            .await;
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
    }
    let encoded: String = byte_serialize(secret.as_bytes()).collect();
    let host = harness.front.url.strip_prefix("http://").unwrap().to_owned();
    let variables = [
        ("BLUECONIC_SYNC__TENANT__CLIENT_SECRET", secret.clone()),
        ("BLUECONIC_SYNC__DATABASE__URL", right),
        ("BLUECONIC_URL", format!("http://client:{encoded}@{host}")),
        (
            "BLUECONIC_URL",
            format!("https://client:{encoded}@example.com:port"),
        ),
        ("BLUECONIC_CLIENT_SECRET", String::new()),
    ];
    for (name, value) in variables {
        let program = harness.program.with(name, &value);
        harness.run(&program, &["check"]).await;
    }
}

/// The program breaks off with everything in its hands.
async fn panics(harness: &mut Harness) {
    if !cfg!(feature = "failpoints") {
        return;
    }
    for place in ["token/claim", "token/store", "page/tail", "load"] {
        begin(harness).await;
        put_back(harness, true).await;
        let program: Program = harness
            .program
            .with("FAILPOINTS", &format!("{place}/before=panic;{place}/after=panic"));
        harness.run_for_a_while(&program, &["backfill", "segments"]).await;
    }
    let program = harness.program.with("FAILPOINTS", "token/store/before=panic");
    begin(harness).await;
    put_back(harness, true).await;
    let ended = harness.run(&program, &["backfill", "segments"]).await;
    assert!(ended.stderr.contains("panicked"), "{}", ended.stderr);
}
