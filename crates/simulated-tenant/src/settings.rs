//! What a simulated tenant is like: how large, how awkward, how it authenticates. Every default follows the vendor's
//! document; what departs from it has to be asked for.

use std::io;
use std::time::Duration;

use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::lists::List;
use crate::shape::Shape;

/// The order of audit events, which the document leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditOrder {
    /// The order of the vendor's example.
    #[default]
    NewestFirst,
    /// The order that pages best: of too many events the oldest come.
    OldestFirst,
    /// None; of too many events [`Settings::audit_selection`] decides which come.
    Shuffled,
}

/// Which events an unordered tenant returns when more match than were asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditSelection {
    /// The newest.
    #[default]
    Newest,
    /// The oldest.
    Oldest,
    /// Any, the same for the same request.
    Arbitrary,
}

/// Events that the run-as user may not see. They are left out after the limit was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHidden {
    /// In each stretch of so many milliseconds …
    pub every: i64,
    /// … those of its first so many milliseconds.
    pub first: i64,
}

impl AuditHidden {
    /// Whether an event of this date is hidden.
    pub fn hides(self, date: i64) -> bool {
        date.rem_euclid(self.every.max(1)) < self.first
    }
}

/// How an event names its user: the schema and the example of the document differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSpelling {
    /// Both, event by event.
    #[default]
    Mixed,
    /// `username`, as in the schema.
    Schema,
    /// `userName`, as in the example.
    Example,
}

/// The `Date` header of every answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DateHeader {
    /// The tenant's time.
    #[default]
    True,
    /// No header at all.
    Absent,
    /// The tenant's time and so many seconds.
    Off(i64),
}

/// What `GET /profiles/{id}` answers for a profile that lost a merge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MergedLookup {
    /// Its own id and `replacedBy`, nothing else.
    #[default]
    ReplacedBy,
    /// The profile that won, under its own id.
    Survivor,
    /// 404.
    NotFound,
}

/// The settings of one simulated tenant.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, set by name")]
pub struct Settings {
    /// Port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Equal seeds (and equal `now`) make equal tenants.
    pub seed: u64,
    /// Current profiles at the start; losers of merges come on top, in no listing.
    pub profiles: u64,
    /// Property ids that profiles use, at least the two dates.
    pub properties: usize,
    /// Overlapping segments besides that of all visitors, at most 63.
    pub segments: usize,
    /// The id of the segment that holds everybody; `None`: there is no such segment.
    pub all_visitors: Option<String>,
    /// Of 1,000 profiles, how many won a merge.
    pub merged_per_thousand: u64,
    /// Of 1,000 profiles, how many lack fields that others have.
    pub lacking_per_thousand: u64,
    /// Some values contain U+0000, which JSON allows and a database may not.
    pub zero_characters: bool,
    /// The modification dates of profiles spread over so long a time before `now`.
    pub history: Duration,
    /// Audit events at the start.
    pub audit_events: usize,
    /// The audit events spread over so long a time before `now`.
    pub audit_history: Duration,
    /// How long the tenant keeps audit events.
    pub audit_retention: Duration,
    /// The order of audit events.
    pub audit_order: AuditOrder,
    /// Which audit events come when there are too many, in no order.
    pub audit_selection: AuditSelection,
    /// The most audit events that an answer holds, whatever `count` asks for.
    pub audit_cap: Option<usize>,
    /// Audit events that are left out of answers after the limit was taken.
    pub audit_hidden: Option<AuditHidden>,
    /// How an audit event names its user.
    pub user_spelling: UserSpelling,
    /// Some audit events have an object type or an operation of a later release.
    pub later_enums: bool,
    /// Without `groupTypeId`, the properties of groups are listed among those of profiles. Against the document.
    pub group_properties_listed: bool,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// Where a consent leads back to, to the letter.
    pub redirect_uri: String,
    /// The scopes of the application.
    pub scopes: Vec<String>,
    /// Plain lists that it serves beside its own.
    pub lists: Vec<List>,
    /// How long an access token lives.
    pub token_life: Duration,
    /// The status for a token without the scope: 403 or 401.
    pub missing_scope: u16,
    /// What the API's paths begin with.
    pub api_path: String,
    /// Time that passes before each answer begins.
    pub latency: Duration,
    /// Bodies are gzip-encoded for a client that accepts it.
    pub compress: bool,
    /// Profiles are written once and sent from memory afterwards: for a tenant that nobody changes.
    pub rendered: bool,
    /// So many profiles differ; all others are like these, under ids and dates of their own. `None`: all of them differ.
    pub distinct: Option<u64>,
    /// The `Date` header.
    pub date_header: DateHeader,
    /// How long a change takes to reach the search index, by which refined listings find profiles and count them.
    pub index_lag: Duration,
    /// What a lookup of a merged profile answers.
    pub merged_lookup: MergedLookup,
    /// The outward form of answers, which can change while the tenant runs.
    pub shape: Shape,
    /// The tenant's time at its start; `None`: the real time, and the data as of the last midnight (UTC), so that
    /// two tenants of one day are equal.
    pub now: Option<DateTime<Utc>>,
    /// The data as of this time, whatever the tenant's own time is: two tenants are equal on any day.
    pub as_of: Option<DateTime<Utc>>,
}

/// Everything that a read-only sync may ask for.
const SCOPES: [&str; 4] = [
    "read:segments",
    "read:profiles",
    "read:profile-properties",
    "read:audit-events",
];

const DAY: Duration = Duration::from_hours(24);

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 0,
            seed: 1,
            profiles: 1_000,
            properties: 40,
            segments: 8,
            all_visitors: Some("allvisitors".into()),
            merged_per_thousand: 20,
            lacking_per_thousand: 10,
            zero_characters: false,
            history: 730 * DAY,
            audit_events: 500,
            audit_history: 29 * DAY,
            audit_retention: 30 * DAY,
            audit_order: AuditOrder::default(),
            audit_selection: AuditSelection::default(),
            audit_cap: None,
            audit_hidden: None,
            user_spelling: UserSpelling::default(),
            later_enums: true,
            group_properties_listed: false,
            client_id: "simulated-client".into(),
            client_secret: "simulated-secret".into(),
            redirect_uri: "http://127.0.0.1:8918/callback".into(),
            scopes: SCOPES.map(str::to_owned).to_vec(),
            lists: Vec::new(),
            token_life: Duration::from_hours(1),
            missing_scope: 403,
            api_path: "/rest/v2".into(),
            latency: Duration::ZERO,
            compress: false,
            rendered: false,
            distinct: None,
            date_header: DateHeader::default(),
            index_lag: Duration::ZERO,
            merged_lookup: MergedLookup::default(),
            shape: Shape::default(),
            now: None,
            as_of: None,
        }
    }
}

impl Settings {
    /// The same with these lists, which its application may read.
    #[must_use]
    pub fn with_lists(mut self, lists: Vec<List>) -> Self {
        for list in &lists {
            if !self.scopes.iter().any(|scope| scope == list.scope) {
                self.scopes.push(list.scope.to_owned());
            }
        }
        self.lists = lists;
        self
    }

    /// Refuses what cannot be simulated.
    pub(crate) fn check(&self) -> io::Result<()> {
        let refusal = if self.segments > 63 {
            "at most 63 segments besides that of all visitors"
        } else if self.properties < 2 {
            "at least two properties: `creationdate` and `lastmodifieddate`"
        } else if !self.api_path.is_empty()
            && (!self.api_path.starts_with('/') || self.api_path.ends_with('/'))
        {
            "`api_path` begins with a slash and ends without one"
        } else {
            return Ok(());
        };
        Err(io::Error::new(io::ErrorKind::InvalidInput, refusal))
    }
}
