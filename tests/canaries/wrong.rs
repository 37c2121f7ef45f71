//! The part of the tour on which all goes wrong: at the tenant, at the database, with the key, in the settings, and in the
//! program itself.

use url::form_urlencoded::byte_serialize;

use super::front::{Answer, At};
use super::tour::Tour;
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

pub(super) async fn all(tour: &mut Tour) {
    begin(tour).await;
    wrong_secret(tour).await;
    careless_servers(tour).await;
    wrong_database(tour).await;
    wrong_key(tour).await;
    wrong_settings(tour).await;
    panics(tour).await;
    begin(tour).await;
}

/// Tokens that the tenant takes, and a copy of them to put back: each case begins with them, whatever the last one did.
async fn begin(tour: &mut Tour) {
    let program = tour.program.clone();
    if tour.is_personal {
        tour.sign_in(&program, true).await.0.expect(0);
    } else {
        tour.expect(&program, 0, &["backfill", "segments"]).await;
    }
    let keep = "create schema if not exists kept; drop table if exists kept.tokens;
                create table kept.tokens as table sync.tokens";
    tour.guarded.database.run(keep).await;
}

async fn put_back(tour: &Tour, expired: bool) {
    let database = &tour.guarded.database;
    database
        .run("truncate sync.tokens; insert into sync.tokens select * from kept.tokens")
        .await;
    if expired {
        database
            .run("update sync.tokens set expires_at = sync.clock()")
            .await;
    }
}

async fn wrong_secret(tour: &mut Tour) {
    put_back(tour, true).await;
    let wrong = tour
        .program
        .with("BLUECONIC_CLIENT_SECRET", &tour.given.wrong_secret);
    for arguments in [&["check"][..], &["backfill", "segments"], &["logout", "--yes"]] {
        let ended = tour.run(&wrong, arguments).await;
        assert_ne!(ended.code(), 0, "{}", ended.stderr);
    }
    tour.run_for_a_while(&wrong, &["serve"]).await;
}

/// Servers that send back what was sent to them, and tokens where none are looked for.
async fn careless_servers(tour: &mut Tour) {
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
    let program = tour.program.clone();
    for (at, answer) in cases {
        if (at, answer) == (At::Revoke, revoke[0]) {
            begin(tour).await;
        }
        put_back(tour, at == At::Token).await;
        tour.front.answer(Some((at, answer)));
        let commands: &[&[&str]] = match at {
            At::Token | At::Api => &[&["check"], &["backfill", "segments", "--json"]],
            At::Revoke => &[&["logout", "--yes"]],
        };
        for arguments in commands {
            tour.run(&program, arguments).await;
            if at == At::Token {
                put_back(tour, true).await;
            }
        }
        if at == At::Token && tour.is_personal {
            tour.sign_in(&program, true).await;
        }
        assert!(tour.front.answers() > 0, "{at:?} {answer:?}: nobody asked");
        tour.front.answer(None);
    }
}

async fn wrong_database(tour: &mut Tour) {
    let wrong = tour.guarded.url(&tour.given.wrong_password);
    for arguments in WITH_DATABASE {
        let program = tour.program.with("DATABASE_URL", &wrong);
        let program = match arguments[0] {
            "rotate-key" => program.with("BLUECONIC_SYNC_OLD_KEY", &tour.given.wrong_key),
            _ => program,
        };
        let ended = tour.run(&program, arguments).await;
        assert_ne!(ended.code(), 0, "{arguments:?}: {}", ended.stderr);
    }
    let password: String = byte_serialize(tour.given.password.as_bytes()).collect();
    let right = tour.guarded.url(&tour.given.password);
    let nowhere = right.replace(&tour.guarded.database.name, "nowhere");
    let urls = [
        nowhere,
        format!("postgres://guest:{password}@127.0.0.1:1/away"),
        format!("postgres://guest:{password}@no.such.host.invalid/away"),
        format!("mysql://guest:{password}@localhost/other"),
        format!("postgres://guest:{}@localhost/unescaped", tour.given.password),
        format!("postgres://guest:{password}@localhost:port/x"),
        format!("postgres://guest:{password}@[::1/x"),
        format!("{right}?passwd={password}"),
        format!("{right}?options[x={password}"),
        format!("postgres:///x?host=/nowhere&user=guest&password={password}"),
        format!("host=/tmp user=guest password={}", tour.given.password),
    ];
    for url in urls {
        let program = tour.program.with("DATABASE_URL", &url);
        for arguments in [&["check"][..], &["status"], &["psql", "-c", "select 1"]] {
            tour.run(&program, arguments).await;
        }
        tour.run_for_a_while(&program, &["serve"]).await;
    }
}

async fn wrong_key(tour: &mut Tour) {
    let keys = [
        tour.given.wrong_key.clone(),
        // Not base64, too short, too long.
        format!("{}!", tour.given.wrong_key),
        tour.given.wrong_key[..24].to_owned(),
        tour.given.wrong_key.replace('=', "AAAA"),
    ];
    for key in keys {
        put_back(tour, false).await;
        let program = tour.program.with("BLUECONIC_SYNC_KEY", &key);
        let rotating = tour.program.with("BLUECONIC_SYNC_OLD_KEY", &key);
        let rotating = rotating.with("BLUECONIC_SYNC_KEY", &tour.given.key);
        for arguments in [&["check"][..], &["backfill", "segments"], &["status"]] {
            tour.run(&program, arguments).await;
        }
        // The application's own token was replaced by one that is sealed with this key.
        put_back(tour, false).await;
        let ended = tour.run(&rotating, &["rotate-key"]).await;
        assert_ne!(ended.code(), 0, "{}", ended.stdout);
        let ended = tour.run(&program, &["logout", "--yes"]).await;
        assert_ne!(ended.code(), 0, "{}", ended.stdout);
    }
    put_back(tour, false).await;
}

/// Secrets in places that are not made for them.
async fn wrong_settings(tour: &mut Tour) {
    let secret = tour.given.client_secret.replace(['"', '\''], "");
    let right = tour.guarded.url(&tour.given.password);
    let files = [
        format!("[tenant]\nclient_secret = \"{secret}\"\n"),
        format!("[tenant]\nclient_secret = {secret}\n"),
        format!("[database]\nurl = \"{right}\n"),
        format!("[database]\nurl = '{right}' '\n"),
        format!("database = \"{right}\"\n"),
        format!("[database]\nurl = [\"{right}\"]\n"),
        format!("[database]\npassword = \"{secret}\"\nurl = \"{right}\"\n"),
    ];
    let file = tour.folder.path().join("settings.toml");
    for text in files {
        std::fs::write(&file, text).unwrap();
        let program = tour.program.without("DATABASE_URL");
        let ended = tour
            .run(&program, &["status", "--config", file.to_str().unwrap()])
            .await;
        assert_eq!(ended.code(), 2, "{}", ended.stderr);
    }
    let encoded: String = byte_serialize(secret.as_bytes()).collect();
    let host = tour.front.url.strip_prefix("http://").unwrap().to_owned();
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
        let program = tour.program.with(name, &value);
        tour.run(&program, &["check"]).await;
    }
}

/// The program breaks off with everything in its hands.
async fn panics(tour: &mut Tour) {
    if !cfg!(feature = "failpoints") {
        return;
    }
    for place in ["token/claim", "token/store", "page/tail", "load"] {
        begin(tour).await;
        put_back(tour, true).await;
        let program: Program = tour
            .program
            .with("FAILPOINTS", &format!("{place}/before=panic;{place}/after=panic"));
        tour.run_for_a_while(&program, &["backfill", "segments"]).await;
    }
    let program = tour.program.with("FAILPOINTS", "token/store/before=panic");
    begin(tour).await;
    put_back(tour, true).await;
    let ended = tour.run(&program, &["backfill", "segments"]).await;
    assert!(ended.stderr.contains("panicked"), "{}", ended.stderr);
}
