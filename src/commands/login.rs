//! `login`: a person grants access on the tenant's consent page, and the tokens are stored. The answer comes through a
//! browser on this machine, or as an address that the person pastes.

mod callback;
mod page;

use std::io::{BufRead as _, IsTerminal as _};
use std::process::{Command, Stdio};
use std::sync::Arc;

use tokio::sync::mpsc;
use url::Url;

use crate::app::{self, Database};
use crate::blueconic::auth::error::AuthorizationError;
use crate::blueconic::auth::login::{Consent, Login as SignIn};
use crate::blueconic::error::ClientError;
use crate::cli::Login;
use crate::clock::SystemClock;
use crate::commands::exit::Exit;
use crate::config::settings::Settings;
use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::postgres::store::PostgresStore;

use super::{child_environment, output};
use callback::{Callback, CallbackServer, SignInResult};

/// The most answers to other sign-ins that are reported.
const MOST_REPORTED: u64 = 3;

/// Runs the command.
pub async fn run(arguments: &Login, settings: &Settings) -> Outcome<Exit> {
    let consent = Consent::new(settings)?;
    let database = Database::open(settings).await?;
    let outcome = Box::pin(sign_in(arguments, settings, &consent, &database)).await;
    database.close().await?;
    outcome
}

/// Checks everything on this side before a person is asked.
async fn sign_in(
    arguments: &Login,
    settings: &Settings,
    consent: &Consent,
    database: &Database,
) -> Outcome<Exit> {
    let url = settings
        .tenant
        .address()
        .map_err(|error| app::settings_fault(&error))?;
    app::migrate(database, settings).await?;
    let store = database.store(settings).await?;
    store.verify_tenant(&url).await?;
    let sign_in = SignIn::new(settings, store.clone(), Arc::new(SystemClock))?;
    let (server, callbacks) = open(settings).await;
    invite(arguments, settings, consent, server.is_some());
    let asking = ask(consent, callbacks, &sign_in);
    let outcome = tokio::time::timeout(arguments.timeout, asking).await;
    if let Some(server) = server {
        server.close().await;
    }
    let until = outcome.unwrap_or_else(|_| Err(too_late(arguments)))?;
    // The database is claimed only now, so that a wrong address does not claim it.
    store.claim_tenant(&url).await?;
    store.disconnect().await;
    output::line(&format!(
        "signed in to {url}: the access token is valid until {}, and is renewed from now on",
        until.format("%H:%M:%S UTC")
    ));
    Ok(Exit::Done)
}

/// Takes answers until one belongs to this sign-in; others are answered with an error.
async fn ask(
    consent: &Consent,
    mut callbacks: mpsc::Receiver<Callback>,
    sign_in: &SignIn<PostgresStore>,
) -> Outcome<Time> {
    let mut others = 0;
    while let Some(callback) = callbacks.recv().await {
        let outcome = match consent.read(&callback.query) {
            Ok(code) => sign_in.finish(consent, code).await,
            Err(error @ AuthorizationError::Redirect { .. }) => {
                let fault = Fault::from(ClientError::from(error));
                others += 1;
                report_other(&fault, others);
                callback.tell(SignInResult::of::<()>(&Err(fault)));
                continue;
            }
            // A refusal is an answer, too.
            Err(error) => Err(Fault::from(ClientError::from(error))),
        };
        callback.tell(SignInResult::of(&outcome));
        return outcome;
    }
    Err(Fault::new(
        Kind::Final,
        "no answer from the consent page can reach this process",
    )
    .because("nothing listens for the browser, and stdin has ended")
    .hint("set `tenant.redirect_url` to a free port of 127.0.0.1, or paste the address on a terminal"))
}

/// Reports an answer that belongs to another sign-in. Anybody who reaches the address can send many, so only the first
/// ones are reported.
fn report_other(fault: &Fault, number: u64) {
    if number <= MOST_REPORTED {
        output::print_fault(fault);
        output::note("Still waiting for the answer to this sign-in.");
    } else if number == MOST_REPORTED + 1 {
        output::note("Further answers that are not this sign-in's are refused without a message.");
    }
}

/// Receives answers from a browser on this machine and from lines on stdin.
async fn open(settings: &Settings) -> (Option<CallbackServer>, mpsc::Receiver<Callback>) {
    let (sender, callbacks) = mpsc::channel(8);
    let server = match Url::parse(&settings.tenant.redirect_url) {
        Ok(url) if url.scheme() == "http" => match CallbackServer::open(&url, sender.clone()).await {
            Ok(server) => Some(server),
            Err(error) => {
                output::note(&format!(
                    "nothing can listen at {url} ({error}): paste the address that the browser shows at the end"
                ));
                None
            }
        },
        _ => None,
    };
    listen_to_stdin(sender);
    (server, callbacks)
}

/// A thread reads stdin, so that a blocking read does not delay the end of the command.
fn listen_to_stdin(callbacks: mpsc::Sender<Callback>) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { return };
            if !line.trim().is_empty() && callbacks.blocking_send(Callback::pasted(line)).is_err() {
                return;
            }
        }
    });
}

fn invite(arguments: &Login, settings: &Settings, consent: &Consent, listens: bool) {
    let redirect = &settings.tenant.redirect_url;
    output::note(&format!(
        "Sign in as a user with the permission 'Authorize Applications', and let the application read:\n\n  {}\n\n\
         The application in BlueConic (Settings > Access management > Applications) must have the authorization code flow, \
         'Send Proof Key for Code Exchange' enabled, and this redirect URL, to the letter:\n\n  {redirect}\n",
        consent.url()
    ));
    if listens {
        output::note(
            "Waiting for the browser. If it runs on another machine, paste the address that it shows at the end:",
        );
    } else {
        output::note("Paste the address that the browser shows at the end:");
    }
    if !arguments.no_browser && std::io::stderr().is_terminal() {
        open_browser(consent.url());
    }
}

/// Opens a browser; if that fails, the person opens the address.
fn open_browser(url: &Url) {
    let program = if cfg!(target_os = "macos") {
        "open"
    } else {
        "xdg-open"
    };
    let spawned = child_environment::without_ours(&mut Command::new(program))
        .arg(url.as_str())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    if let Err(error) = spawned {
        tracing::debug!(%error, program, "no browser was opened");
    }
}

fn too_late(arguments: &Login) -> Fault {
    let waited = humantime::format_duration(arguments.timeout);
    Fault::new(Kind::Final, format!("nobody has signed in within {waited}"))
        .hint("run `blueconic-sync login` again; `--timeout` gives more time")
}
