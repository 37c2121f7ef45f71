//! The settings as the program uses them: typed and validated.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::num::{NonZeroU32, NonZeroU64};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use url::Url;

use super::authorities::Authorities;
use super::database::Database;
use super::error::SettingsError;
use super::hash_key::HashKey;
use super::network::Network;
use super::notify::Notify;
use super::proxy::Proxy;
use super::secret::Secret;
use super::shown::Shown;
use super::units::{self, Removals};
use crate::model::concern::Goals;
use crate::model::description::{self, Description, Registry};
use crate::model::personal_data::Rule;
use crate::model::usage::Budget;
use crate::model::window::Hours;

/// All settings.
#[derive(Debug, Clone, Deserialize)]
pub struct Settings {
    /// The tenant that is read.
    pub tenant: Tenant,
    /// The way to the tenant and to others over HTTP.
    pub network: Network,
    /// The database that is filled.
    pub database: Database,
    /// Rates and bounds.
    pub limits: Limits,
    /// How transient faults are retried.
    pub retry: Retry,
    /// When things run.
    pub schedule: Schedule,
    /// How long what the service writes down is kept.
    pub retention: Retention,
    /// The feed of changes.
    pub changes: Changes,
    /// What is read.
    pub resources: Resources,
    /// The registry that the settings were checked against.
    #[serde(skip)]
    pub registry: Registry,
    /// Health, metrics and status page.
    pub web: Web,
    /// Messages about what is wrong.
    pub notify: Notify,
    /// Logging.
    pub log: Log,
    /// The 32 bytes that seal tokens at rest, from `BLUECONIC_SYNC_KEY[_FILE]`; base64.
    #[serde(skip)]
    pub key: Option<Secret>,
    /// The key before it, from `BLUECONIC_SYNC_OLD_KEY[_FILE]`: for `rotate-key` alone.
    #[serde(skip)]
    pub old_key: Option<Secret>,
    /// The key of hashed values of properties, from `BLUECONIC_SYNC_HASH_KEY[_FILE]`.
    #[serde(skip)]
    pub hash_key: Option<HashKey>,
    /// What the settings were read from, apart from variables.
    #[serde(skip)]
    pub sources: Sources,
    /// Warnings about the settings, which are logged once logging is set up.
    #[serde(skip)]
    pub notices: Vec<String>,
    /// All settings with where they came from, without secrets: what `config show` prints.
    #[serde(skip)]
    pub shown: Vec<Shown>,
}

impl Settings {
    /// How far the table of each resource may be behind the tenant, where the settings say so.
    pub fn goals(&self) -> Goals {
        let enabled = self.registry.iter().filter(|it| self.resources.is_enabled(it));
        let goals = enabled.filter_map(|it| Some((it.name(), self.resources.fresh_within(it)?)));
        goals.collect()
    }

    /// The proxy that leads to the tenant, if there is one.
    pub fn proxy(&self) -> Result<Option<Proxy>, SettingsError> {
        self.network.proxies.to(&self.tenant.address()?)
    }
}

/// What settings are read from besides variables, which never change while a process runs. Equal sources make equal settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources {
    /// The text of the file that `--config` names.
    pub(super) file: Option<String>,
    /// The secrets, each from its variable or file.
    pub(super) secrets: Vec<Option<Secret>>,
    /// The certificates of the file that `network.ca_file` names.
    pub(super) authorities: Authorities,
}

/// The tenant that is read.
#[derive(Debug, Clone, Deserialize)]
pub struct Tenant {
    /// `https://…`; plain http only to a loopback address.
    pub url: Option<Url>,
    /// The application's client id.
    pub client_id: Option<String>,
    /// The file with the client secret.
    pub client_secret_file: Option<PathBuf>,
    /// The path of the API below the address.
    pub api_path: String,
    /// The OAuth 2.0 grant.
    pub grant: Grant,
    /// How the application authenticates.
    pub client_auth: ClientAuth,
    /// The requested scopes; empty: all scopes of the application.
    pub scopes: Vec<String>,
    /// The redirect URL of a consent, exactly as in the application's settings in BlueConic.
    pub redirect_url: String,
    /// The time-out of opening a connection.
    #[serde(deserialize_with = "units::duration")]
    pub connect_timeout: Duration,
    /// The longest time without a byte from the tenant.
    #[serde(deserialize_with = "units::duration")]
    pub read_timeout: Duration,
    /// The longest time of waiting for one body.
    #[serde(deserialize_with = "units::duration")]
    pub page_timeout: Duration,
    /// The lowest rate of a body in bytes a second on the wire, averaged over twice the `read_timeout`.
    #[serde(deserialize_with = "units::size")]
    pub least_rate: usize,
    /// Whether compressed bodies are requested; unset: yes, except from this machine.
    #[serde(default)]
    pub compression: Option<bool>,
    /// The client secret, from its variable or file.
    #[serde(skip)]
    pub client_secret: Option<Secret>,
}

/// An OAuth 2.0 grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Grant {
    /// The application acts for itself.
    ClientCredentials,
    /// The application acts for a person who has consented.
    AuthorizationCode,
}

impl Grant {
    /// The name of the grant in OAuth 2.0.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ClientCredentials => "client_credentials",
            Self::AuthorizationCode => "authorization_code",
        }
    }
}

/// How the application authenticates at the token endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientAuth {
    /// Id and secret in the form, as in BlueConic's guide.
    Body,
    /// HTTP Basic, as in BlueConic's own client.
    Basic,
}

/// What every command that talks to the tenant needs.
#[derive(Debug, Clone)]
pub struct Access {
    /// The tenant's address.
    pub url: Url,
    /// The application's client id.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Secret,
    /// How the two are sent.
    pub client_auth: ClientAuth,
    /// The requested scopes.
    pub scopes: Vec<String>,
}

impl Tenant {
    /// The address, the client id and the secret, or which of them is missing.
    pub fn access(&self) -> Result<Access, SettingsError> {
        let missing = |key, how| SettingsError::Missing { key, how };
        Ok(Access {
            url: self.address()?,
            client_id: self.client_id.clone().filter(|id| !id.is_empty()).ok_or_else(|| {
                missing(
                    "tenant.client_id",
                    "set BLUECONIC_CLIENT_ID to the client id that BlueConic shows under Settings > Access management > Applications",
                )
            })?,
            client_secret: self.client_secret.clone().filter(|secret| !secret.is_empty()).ok_or_else(|| {
                missing(
                    "tenant.client_secret",
                    "set BLUECONIC_CLIENT_SECRET, or BLUECONIC_CLIENT_SECRET_FILE to a file that holds it",
                )
            })?,
            client_auth: self.client_auth,
            scopes: self.scopes.clone(),
        })
    }

    /// The tenant's address.
    pub fn address(&self) -> Result<Url, SettingsError> {
        self.url.clone().ok_or(SettingsError::Missing {
            key: "tenant.url",
            how: "set BLUECONIC_URL to the tenant's address, for example https://example.blueconic.net",
        })
    }
}

/// Rates and bounds.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Limits {
    /// Requests a second.
    pub requests_per_second: NonZeroU32,
    /// Requests that may be sent at once after a quiet period.
    pub burst: NonZeroU32,
    /// The most concurrent requests.
    pub concurrent_requests: NonZeroU32,
    /// Requests a month; none: as many as the schedule takes.
    #[serde(default)]
    pub requests_per_month: Option<NonZeroU64>,
    /// Bytes of bodies a month as they come over the wire; none: as many as the schedule takes.
    #[serde(default, deserialize_with = "units::optional_size")]
    pub traffic_per_month: Option<usize>,
    /// The largest element that is loaded, in bytes.
    #[serde(deserialize_with = "units::size")]
    pub element_size: usize,
    /// The size at which a batch is loaded, in bytes.
    #[serde(deserialize_with = "units::size")]
    pub batch_size: usize,
    /// The memory of the process, in bytes. What reading and loading leave free holds the hashes of stored profiles; a larger table
    /// has them in a temporary file (`TMPDIR`), of 8 bytes a profile.
    #[serde(deserialize_with = "units::size")]
    pub memory: usize,
}

impl Limits {
    /// What a month may cost.
    pub fn budget(&self) -> Budget {
        Budget {
            requests: self.requests_per_month.map(NonZeroU64::get),
            bytes: self.traffic_per_month.map(|bytes| bytes as u64),
        }
    }

    /// The size at which a batch is loaded, in bytes, where `lanes` connections load. More than two have smaller batches, so
    /// that all of them take the memory of two.
    pub fn batch_size_for(&self, lanes: u32) -> usize {
        const USUAL: u32 = 2;
        self.batch_size / lanes.max(USUAL) as usize * USUAL as usize
    }
}

/// How faults that pass are waited out.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Retry {
    /// The wait before the first retry.
    #[serde(deserialize_with = "units::duration")]
    pub initial_delay: Duration,
    /// The longest wait between two retries.
    #[serde(deserialize_with = "units::duration")]
    pub max_delay: Duration,
    /// The longest time of all retries of a request.
    #[serde(deserialize_with = "units::duration")]
    pub give_up_after: Duration,
}

/// When things run.
#[derive(Debug, Clone, Deserialize)]
pub struct Schedule {
    /// The zone of the cron expressions.
    #[serde(deserialize_with = "units::time_zone")]
    pub time_zone: chrono_tz::Tz,
    /// How often due jobs are looked for.
    #[serde(deserialize_with = "units::duration")]
    pub heartbeat: Duration,
    /// How long a lease holds without renewal.
    #[serde(deserialize_with = "units::duration")]
    pub lease_ttl: Duration,
    /// How far the starts of jobs with the same cron expression are spread.
    #[serde(deserialize_with = "units::duration")]
    pub jitter: Duration,
    /// When the tenant's own document is compared with what is used; empty: never.
    pub drift: String,
    /// When what is older than [`Retention`] says is removed; empty: never.
    pub housekeeping: String,
}

/// How long what the service writes down is kept.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Retention {
    /// Runs; the last ones and the totals of each day stay.
    #[serde(deserialize_with = "units::duration")]
    pub runs: Duration,
    /// Rejects.
    #[serde(deserialize_with = "units::duration")]
    pub rejects: Duration,
    /// Audit events, by whole months; none: for ever.
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub audit_events: Option<Duration>,
}

/// The feed of changes.
#[derive(Debug, Clone, Copy, Deserialize)]
pub struct Changes {
    /// Whether changes are recorded.
    pub enabled: bool,
    /// How long they are kept.
    #[serde(deserialize_with = "units::duration")]
    pub keep: Duration,
}

/// What is read.
#[derive(Debug, Clone, Deserialize)]
pub struct Resources {
    /// Profiles.
    pub profiles: Profiles,
    /// Audit events.
    pub audit_events: AuditEvents,
    /// The settings of the plain lists by name; see [`Resources::list`].
    #[serde(skip)]
    pub(super) lists: BTreeMap<String, GivenList>,
}

/// The settings of a plain list; missing ones follow from its description.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct GivenList {
    enabled: Option<bool>,
    schedule: Option<String>,
    page_size: Option<NonZeroU32>,
    #[serde(default, deserialize_with = "units::optional_duration")]
    fresh_within: Option<Duration>,
    /// What [`GivenUrls`] has of the list.
    #[serde(skip)]
    pub(super) urls: Vec<String>,
}

/// The further settings of a list whose listings follow from URLs.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct GivenUrls {
    #[serde(default)]
    pub(super) urls: Vec<String>,
}

/// A plain list.
#[derive(Debug, Clone)]
pub struct List {
    /// Whether it is read.
    pub enabled: bool,
    /// Whether the settings say so, and not only the default.
    pub is_named: bool,
    /// When.
    pub schedule: String,
    /// Elements per page.
    pub page_size: NonZeroU32,
    /// The URLs that have a listing each, of a list whose listings follow from URLs.
    pub urls: Vec<String>,
}

impl Resources {
    /// The settings of a plain list, with the defaults of its description.
    pub fn list(&self, description: &Description, list: &description::List) -> List {
        let given = self.lists.get(description.name()).cloned().unwrap_or_default();
        let described = NonZeroU32::new(list.page_size).unwrap_or(NonZeroU32::MIN);
        List {
            enabled: given.enabled.unwrap_or(list.enabled),
            is_named: given.enabled == Some(true),
            schedule: given.schedule.unwrap_or_else(|| list.schedule.to_owned()),
            page_size: given.page_size.unwrap_or(described),
            urls: given.urls,
        }
    }

    /// How far the table of a resource may be behind the tenant; none: nobody said.
    pub fn fresh_within(&self, description: &Description) -> Option<Duration> {
        match &description.reading {
            description::Reading::List(_) => self.lists.get(description.name())?.fresh_within,
            description::Reading::Walk(()) => self.profiles.fresh_within,
            description::Reading::Feed(()) => self.audit_events.fresh_within,
        }
    }

    /// Whether a resource is read.
    pub fn is_enabled(&self, description: &Description) -> bool {
        match &description.reading {
            description::Reading::List(list) => self.list(description, list).enabled,
            description::Reading::Walk(()) => self.profiles.enabled,
            description::Reading::Feed(()) => self.audit_events.enabled,
        }
    }
}

/// Profiles.
#[derive(Debug, Clone, Deserialize)]
pub struct Profiles {
    /// Whether they are read.
    pub enabled: bool,
    /// When what changed is read.
    pub schedule: String,
    /// When everything is read.
    pub full_schedule: String,
    /// How far the table may be behind the tenant; none: nobody said.
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub fresh_within: Option<Duration>,
    /// Between which hours a full walk reads pages; none: at any time.
    #[serde(default, deserialize_with = "units::hours")]
    pub full_window: Option<Hours>,
    /// Profiles per page; the tenant allows up to 1,000,000.
    pub page_size: NonZeroU32,
    /// The segment that holds all profiles.
    pub segment: String,
    /// The properties that are stored; empty means all.
    pub properties: Vec<String>,
    /// What becomes of personal data: the first rule that selects a property decides.
    pub personal_data: Vec<Rule>,
    /// Whether properties are written into typed columns as well.
    pub typed_columns: bool,
    /// What the column `properties` holds.
    pub properties_json: PropertiesJson,
    /// How far an increment reaches back before its watermark.
    #[serde(deserialize_with = "units::duration")]
    pub overlap: Duration,
    /// How many rows a run may remove without approval.
    #[serde(default, deserialize_with = "units::removals")]
    pub max_removals: Option<Removals>,
    /// Whether their timelines are read.
    pub timeline: Expansion,
    /// The events of a timeline that are requested with each profile.
    pub timeline_count: NonZeroU32,
    /// How long events of timelines stay.
    pub timeline_keep: TimelineKeep,
    /// Whether the groups are read that they belong to.
    pub groups: Expansion,
    /// Whether the lifecycle stages are read that they are in.
    pub lifecycle_stages: Expansion,
    /// Whether sizes by day are measured.
    pub daily_facts: bool,
    /// Which histories of them are recorded.
    pub history: ProfileHistory,
}

/// The histories of profiles that are recorded.
#[derive(Debug, Clone, Deserialize)]
pub struct ProfileHistory {
    /// When they were in which segment.
    pub segments: bool,
    /// When they consented to and refused what.
    pub consent: bool,
    /// When they were in which lifecycle stage.
    pub lifecycle_stages: bool,
    /// The properties of which it is recorded when they had which values.
    pub properties: Vec<String>,
}

/// What the column `properties` holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PropertiesJson {
    /// All properties.
    All,
    /// What typed columns do not hold exactly as it came.
    Rest,
}

/// How something is read that profiles have beside their properties.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expansion {
    /// Not at all.
    Off,
    /// With each profile.
    WithProfiles,
}

/// How long the events of a profile's timeline stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineKeep {
    /// As long as the profile.
    Always,
    /// Until a reading of the whole timeline does not bring them.
    WhileListed,
}

/// Audit events.
#[derive(Debug, Clone, Deserialize)]
pub struct AuditEvents {
    /// Whether they are read.
    pub enabled: bool,
    /// When.
    pub schedule: String,
    /// How far the table may be behind the tenant; none: nobody said.
    #[serde(default, deserialize_with = "units::optional_duration")]
    pub fresh_within: Option<Duration>,
    /// Events per request; the tenant allows up to 1000.
    pub page_size: NonZeroU32,
    /// The order in which the tenant answers.
    pub order: Order,
    /// How far a poll reaches back before its watermark.
    #[serde(deserialize_with = "units::duration")]
    pub overlap: Duration,
    /// Further looks back.
    pub scans: Vec<Scan>,
    /// How long events may take to show up.
    #[serde(deserialize_with = "units::duration")]
    pub settle: Duration,
    /// How long the tenant keeps them.
    #[serde(deserialize_with = "units::duration")]
    pub retention: Duration,
}

/// The order of a listing of audit events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Learned from the answers.
    Auto,
    /// The oldest event comes first.
    OldestFirst,
    /// The newest event comes first.
    NewestFirst,
}

/// A wider look back over the audit events.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scan {
    /// When.
    pub schedule: String,
    /// How far it reaches back before the watermark.
    #[serde(deserialize_with = "units::duration")]
    pub overlap: Duration,
}

/// Health, metrics and status page.
#[derive(Debug, Clone, Deserialize)]
pub struct Web {
    /// Where they are served.
    pub bind: SocketAddr,
    /// The file with the token that all pages except the health checks require.
    pub token_file: Option<PathBuf>,
    /// The hosts that the pages answer to beside loopback names and the address at which a request arrives.
    pub hosts: Vec<String>,
}

/// Logging.
#[derive(Debug, Clone, Deserialize)]
pub struct Log {
    /// The format of log lines.
    pub format: LogFormat,
    /// Which messages are logged; empty: the program's choice. `RUST_LOG` wins over it.
    pub filter: String,
    /// Where traces are sent (OTLP over HTTP); none: nowhere.
    pub traces_url: Option<Url>,
}

/// The format of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Text on a terminal, JSON elsewhere.
    Auto,
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}
