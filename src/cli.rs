//! The grammar: commands and flags. What they do is in `commands`; what can be set is in `config`.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono::{DateTime, Utc};
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand, ValueHint};
use clap_complete::Shell;

use crate::resources::registry;
use crate::version;

/// The most profiles of a simulated tenant.
const MOST_PROFILES: u64 = 100_000_000;
/// More rows than any table has.
const MOST_REMOVALS: u64 = 1_000_000_000_000;
/// The longest wait for a person.
const LONGEST_PATIENCE: Duration = Duration::from_hours(24);

/// The longest pause that ends by itself.
const LONGEST_PAUSE: Duration = Duration::from_hours(366 * 24);
/// More than the vendor says that its search index may be late.
const LONGEST_LATENESS: Duration = Duration::from_mins(15);

/// Keeps a PostgreSQL database equal to a BlueConic tenant.
#[derive(Debug, Parser)]
#[command(
    name = version::PROGRAM,
    version = version::VERSION,
    long_version = version::LONG,
    about,
    max_term_width = 100,
    after_help = "Settings come from the defaults, then the file given with --config, then variables such as\n\
        BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE, then BLUECONIC_URL, BLUECONIC_CLIENT_ID,\n\
        BLUECONIC_CLIENT_SECRET[_FILE], DATABASE_URL[_FILE] and BLUECONIC_SYNC_KEY[_FILE] (and for rotate-key\n\
        BLUECONIC_SYNC_OLD_KEY[_FILE]; for hashed properties BLUECONIC_SYNC_HASH_KEY[_FILE]; for messages\n\
        BLUECONIC_SYNC_WEBHOOK_URL[_FILE] and BLUECONIC_SYNC_HEARTBEAT_URL[_FILE]).\n\n\
        Exit codes: 0 done · 1 failed · 2 usage or settings · 3 partial · 4 a person must act · 130 interrupted\n\n\
        New here? `blueconic-sync demo` needs nothing but PostgreSQL's programs."
)]
pub struct Cli {
    /// A TOML file with settings; what it leaves out keeps its default.
    #[arg(long, global = true, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub config: Option<PathBuf>,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the whole way once: a simulated tenant, an embedded PostgreSQL, rows on the screen
    Demo(Demo),
    /// Try settings, database, token and every resource; change nothing
    Check(Check),
    /// Sign in: let a person grant access on the tenant's consent page (grant `authorization_code`)
    Login(Login),
    /// Sign out: revoke the stored tokens at the tenant and forget them
    Logout(Logout),
    /// Seal the stored tokens with the key in `BLUECONIC_SYNC_KEY`; `BLUECONIC_SYNC_OLD_KEY` holds the one before it
    RotateKey,
    /// Apply the migrations
    Migrate,
    /// Read everything once, resuming what was left open
    Backfill(Backfill),
    /// Keep the database current: schedule, health, metrics, status page
    Serve(Serve),
    /// Hold the jobs of a resource in every `serve` on the database; a run that is under way goes on
    Pause(Pause),
    /// End a pause; a run that was due meanwhile is made up once
    Resume(Resume),
    /// Let a running `serve` read a resource at its next heartbeat, and tell which one and when
    RunNow(RunNow),
    /// Show how far each resource is
    Status(Status),
    /// List every resource: its scope, its state, its schedule, and what it costs in requests a day
    Resources(Resources),
    /// Write what each table and column means: as Markdown, as a page with a picture, or as sources of dbt
    Docs(Docs),
    /// Ask the tenant what the vendor's document leaves open, and tell what follows; reads only, at most 200 requests
    Probe(Probe),
    /// Forget a resource's cursor, so that its next run starts over, or move its watermark back; deletes no data
    Reset(Reset),
    /// Remove persons everywhere here and keep them from coming back; the tenant is not touched
    Erase(Erase),
    /// Make the roles for readers and give them their rights, or check these
    Rights(Rights),
    /// Print what distributes the tables of profiles over the nodes of Citus, or do it
    Distribute(Distribute),
    /// Open psql on the configured database
    Psql(Psql),
    /// Send a test message to the webhook, and a sign of life to the dead-man switch
    Notify(Notify),
    /// Ask a running `serve` for its health; exit code 0 if it is well
    Healthcheck,
    /// Show the settings of this program
    Config(Config),
    /// Print a script that completes command lines in a shell
    Completions(Completions),
    /// Write the manual pages
    Man(Man),
    /// Serve a simulated tenant until interrupted, for tests and benchmarks
    #[command(hide = true)]
    SimulateTenant(SimulateTenant),
}

/// `demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// How many profiles the simulated tenant has
    #[arg(long, default_value_t = 20_000, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_PROFILES))]
    pub profiles: u64,
    /// Keep the database afterwards (always kept where there is no terminal)
    #[arg(long)]
    pub keep: bool,
}

/// `check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Compare the tenant's own description of its API with what this program uses, instead; exit code 3 if the tenant lacks
    /// something that is used
    #[arg(long)]
    pub drift: bool,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `login`.
#[derive(Debug, Args)]
pub struct Login {
    /// Open no browser: the address is printed, to be opened anywhere
    #[arg(long)]
    pub no_browser: bool,
    /// How long to wait for the person
    #[arg(long, default_value = "10m", value_name = "TIME", value_parser = patience)]
    pub timeout: Duration,
}

/// `logout`.
#[derive(Debug, Args)]
pub struct Logout {
    /// The tokens of every grant that this client has stored, not only of the one in the settings
    #[arg(long)]
    pub all: bool,
    /// Forget them without telling the tenant (for tokens that cannot be opened any more)
    #[arg(long)]
    pub forget: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `backfill`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags that are set one by one")]
pub struct Backfill {
    /// Which resources; all enabled ones when none is named
    #[arg(value_name = "RESOURCE", value_parser = PossibleValuesParser::new(registry::RESOURCES.names()))]
    pub resources: Vec<String>,
    /// Walk all profiles, also where an increment would do; an open walk is resumed
    #[arg(long, conflicts_with = "since")]
    pub full: bool,
    /// Read what changed since this time (RFC 3339) instead of since the watermark
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub since: Option<DateTime<Utc>>,
    /// Remove up to so many rows that the tenant no longer has
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=MOST_REMOVALS))]
    pub approve_removals: Option<u64>,
    /// Wait for another process that is syncing the same resource, for as long as it takes
    #[arg(long)]
    pub wait: bool,
    /// Afterwards compare the tenant's own counts with the tables, by segment; exit code 3 if they differ
    #[arg(long)]
    pub verify: bool,
    /// Print a machine-readable summary on stdout
    #[arg(long)]
    pub json: bool,
}

/// `serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// Where health, metrics and status page are served, instead of `web.bind`
    #[arg(long, value_name = "ADDR")]
    pub bind: Option<SocketAddr>,
}

/// `pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// Which resource
    #[arg(value_name = "RESOURCE", value_parser = PossibleValuesParser::new(registry::RESOURCES.names()))]
    pub resource: String,
    /// End it by itself at this time (RFC 3339); else it lasts until `resume`
    #[arg(long, value_name = "TIME", value_parser = moment)]
    pub until: Option<DateTime<Utc>>,
    /// End it by itself after this time, from a second to a year
    #[arg(long = "for", value_name = "DURATION", value_parser = length, conflicts_with = "until")]
    pub length: Option<Duration>,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// Which resource
    #[arg(value_name = "RESOURCE", value_parser = PossibleValuesParser::new(registry::RESOURCES.names()))]
    pub resource: String,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `run-now`.
#[derive(Debug, Args)]
pub struct RunNow {
    /// Which resource
    #[arg(value_name = "RESOURCE", value_parser = PossibleValuesParser::new(registry::RESOURCES.names()))]
    pub resource: String,
    /// Walk all profiles, also where an increment would do; look back at audit events as far as the widest scan; lists are
    /// always read whole
    #[arg(long)]
    pub full: bool,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub struct Status {
    /// Also compare the tenant's own counts with the tables, by segment; exit code 3 if they differ
    #[arg(long)]
    pub verify: bool,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `resources`.
#[derive(Debug, Args)]
pub struct Resources {
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `docs`.
#[derive(Debug, Args)]
pub struct Docs {
    /// The form: a Markdown document, one page of HTML with a picture, or `sources.yml` of dbt
    #[arg(long, value_enum, default_value_t = DocsFormat::Markdown, value_name = "FORMAT")]
    pub format: DocsFormat,
    /// The folder to write into, which is made if it is missing; else the document goes to stdout
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

/// The forms of `docs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum DocsFormat {
    /// `data-dictionary.md`, and its picture `data-dictionary.svg`
    Markdown,
    /// `data-dictionary.html`, with the picture
    Html,
    /// `sources.yml`
    Dbt,
}

/// `probe`.
#[derive(Debug, Args)]
pub struct Probe {
    /// How long to wait for what may be late: audit events, changes in the search index, the end of a cursor
    #[arg(long, default_value = "1m", value_name = "DURATION", value_parser = lateness)]
    pub patience: Duration,
    /// Print the report machine-readable, to be sent on: it holds no ids, no names and no secrets
    #[arg(long)]
    pub json: bool,
}

/// `reset`.
#[derive(Debug, Args)]
pub struct Reset {
    /// A resource, or `tenant` for everything that ties the database to its tenant
    #[arg(value_name = "RESOURCE", value_parser = PossibleValuesParser::new(registry::RESOURCES.names().chain(["tenant"])))]
    pub resource: String,
    /// Move the watermark back to this time (RFC 3339) instead of forgetting it, so that the next run reads what changed
    /// since then (`profiles`, `audit_events`)
    #[arg(long, value_name = "TIME")]
    pub to: Option<DateTime<Utc>>,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
}

/// `erase`.
#[derive(Debug, Args)]
pub struct Erase {
    /// The ids of profiles; all ids that were merged with one are the same person's and go with it
    #[arg(value_name = "PROFILE_ID", required = true)]
    pub ids: Vec<String>,
    /// Let them come back instead: the next full walk brings what the tenant still has
    #[arg(long)]
    pub lift: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Print the receipt machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `rights`.
#[derive(Debug, Args)]
pub struct Rights {
    /// Change nothing: compare what the roles may do with what they should; exit code 3 if they differ
    #[arg(long)]
    pub check: bool,
    /// Change nothing: print the statements that make the roles, for an administrator
    #[arg(long, conflicts_with = "check")]
    pub sql: bool,
    /// Print what was found machine-readable
    #[arg(long, conflicts_with = "sql")]
    pub json: bool,
}

/// `distribute`.
#[derive(Debug, Args)]
pub struct Distribute {
    /// Run the statements instead of printing them
    #[arg(long)]
    pub yes: bool,
    /// Print what is distributed, and the statements, machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `notify`.
#[derive(Debug, Args)]
pub struct Notify {
    /// What to send
    #[arg(value_enum, value_name = "WHAT")]
    pub what: NotifyWhat,
}

/// What `notify` sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum NotifyWhat {
    /// A message that says that it is a test, to each address that is set
    Test,
}

/// `psql`.
#[derive(Debug, Args)]
pub struct Psql {
    /// Open the database that `demo` left behind
    #[arg(long)]
    pub demo: bool,
    /// Handed to psql as they are
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub args: Vec<OsString>,
}

/// `config`.
#[derive(Debug, Args)]
pub struct Config {
    /// What to do with them.
    #[command(subcommand)]
    pub command: ConfigCommand,
}

/// The commands of `config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print every setting with its value and where it came from; secrets are hidden
    Show(ConfigShow),
}

/// `config show`.
#[derive(Debug, Args)]
pub struct ConfigShow {
    /// Only what a file or a variable sets
    #[arg(long)]
    pub given: bool,
    /// Print it machine-readable
    #[arg(long)]
    pub json: bool,
}

/// `completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write all pages into, which is made if it is missing; else the first page goes to stdout
    #[arg(value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
}

/// `simulate-tenant`, of which the simulated tenant itself says what can be ordered.
#[cfg(feature = "demo")]
pub use simulated_tenant::process::Arguments as SimulateTenant;

/// `simulate-tenant` in a build without the simulated tenant: whatever is asked for is refused.
#[cfg(not(feature = "demo"))]
#[derive(Debug, Args)]
pub struct SimulateTenant {
    /// Not looked at
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub args: Vec<OsString>,
}

/// A time to wait for what is late, up to fifteen minutes.
fn lateness(text: &str) -> Result<Duration, String> {
    let given = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if given <= LONGEST_LATENESS {
        return Ok(given);
    }
    Err("a time up to 15m is expected".to_owned())
}

/// The length of a pause.
fn length(text: &str) -> Result<Duration, String> {
    let given = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=LONGEST_PAUSE).contains(&given) {
        return Ok(given);
    }
    Err("a time from 1s to 366days is expected".to_owned())
}

/// A time to wait, from a second to a day.
fn patience(text: &str) -> Result<Duration, String> {
    let given = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if (Duration::from_secs(1)..=LONGEST_PATIENCE).contains(&given) {
        return Ok(given);
    }
    Err("a time from 1s to 1day is expected".to_owned())
}

/// A time in the years of which a tenant can have data. With other years, arithmetic would overflow.
fn moment(text: &str) -> Result<DateTime<Utc>, String> {
    let time: DateTime<Utc> = text
        .parse()
        .map_err(|error| format!("{error}; RFC 3339 is expected"))?;
    if (1970..=9999).contains(&chrono::Datelike::year(&time)) {
        return Ok(time);
    }
    Err("a time from 1970 to 9999 is expected".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_holds_and_absurd_amounts_are_no_part_of_it() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        for absurd in [
            &["demo", "--profiles", "0"][..],
            &["demo", "--profiles", "100000001"],
            &["login", "--timeout", "0s"],
            &["login", "--timeout", "2days"],
            &["login", "--timeout", "584542046090y"],
            &["probe", "--patience", "16m"],
            &["backfill", "--since", "0001-01-01T00:00:00Z"],
            &["backfill", "--since", "-262143-01-01T00:00:00Z"],
            &["backfill", "--since", "+262142-01-01T00:00:00Z"],
            &["backfill", "--approve-removals", "1000000000001"],
            &["backfill", "--approve-removals", "-1"],
            &["pause", "profiles", "--for", "0s"],
            &["pause", "profiles", "--for", "2y"],
            &[
                "pause",
                "profiles",
                "--for",
                "1h",
                "--until",
                "2030-01-01T00:00:00Z",
            ],
            &["pause", "profiles", "--until", "0001-01-01T00:00:00Z"],
            &["pause", "nothing"],
            &["run-now"],
            &["serve", "--bind", "127.0.0.1:65536"],
            &["serve", "--bind", "0"],
        ] {
            let arguments = std::iter::once("blueconic-sync").chain(absurd.iter().copied());
            let refused = Cli::try_parse_from(arguments).err();
            assert_eq!(refused.map(|error| error.exit_code()), Some(2), "{absurd:?}");
        }
    }
}
