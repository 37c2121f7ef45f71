//! The settings of a simulated tenant: size, deviations, authentication. Every default follows the vendor's
//! document; each deviation has a setting.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use secrecy::SecretString;

use crate::faults::RetryAfter;
use crate::lists::List;
use crate::read_paths::ReadPaths;
use crate::shape::Shape;

/// The order of audit events, which the document leaves open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AuditOrder {
    /// The order of the vendor's example.
    #[default]
    NewestFirst,
    /// Oldest first: of too many events an answer holds the oldest.
    OldestFirst,
    /// None; [`Settings::audit_selection`] selects from too many events.
    Shuffled,
}

/// The events that an unordered tenant returns if more match than were requested.
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

/// Events that the run-as user may not see. They are left out after the limit was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AuditHidden {
    /// In each time range of so many milliseconds …
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

/// The key for an event's user: the schema and the example of the document differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UserSpelling {
    /// Both, alternating.
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

/// The answer of `GET /profiles/{id}` for a profile that lost a merge.
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

/// The answer of `GET /openapi.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum OpenApi {
    /// 404.
    #[default]
    Absent,
    /// A document of this release, without any operation.
    Release(String),
    /// This document.
    Document(Bytes),
}

/// The body of a 404.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AbsentBody {
    /// The object that every refusal has.
    #[default]
    Json,
    /// None.
    Empty,
    /// A web page.
    Html,
}

/// A tenant that refuses requests while it is busy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// So many requests at once are answered.
    pub at_once: usize,
    /// The status of the others.
    pub status: u16,
    /// Their header `Retry-After`.
    pub retry_after: Option<RetryAfter>,
}

/// The settings of one simulated tenant.
#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent switches, set by name")]
pub struct Settings {
    /// Port on 127.0.0.1; 0 picks a free one.
    pub port: u16,
    /// Equal seeds (and equal `now`) make equal tenants.
    pub seed: u64,
    /// Current profiles at the start; losers of merges are extra, and in no listing.
    pub profiles: u64,
    /// Property ids that profiles use, at least the two dates.
    pub properties: usize,
    /// Overlapping segments besides that of all visitors, at most 63.
    pub segments: usize,
    /// The id of the segment of all profiles; `None`: there is no such segment.
    pub all_visitors: Option<String>,
    /// How many of 1,000 profiles won a merge.
    pub merged_per_thousand: u64,
    /// How many of 1,000 profiles lack fields that others have.
    pub lacking_per_thousand: u64,
    /// Some values contain U+0000, which JSON allows and a database may not.
    pub zero_characters: bool,
    /// Of 1,000 values so many are odd: no number in a number, an empty text, no value at all, a text of 65,000 characters. With one or
    /// more, profiles have two more properties, whose ids are not of ASCII alone.
    pub odd_values_per_thousand: u64,
    /// The time before `now` over which the modification dates of profiles are spread.
    pub history: Duration,
    /// Audit events at the start.
    pub audit_events: usize,
    /// The time before `now` over which the audit events are spread.
    pub audit_history: Duration,
    /// How long the tenant keeps audit events.
    pub audit_retention: Duration,
    /// The order of audit events.
    pub audit_order: AuditOrder,
    /// The audit events that an unordered tenant returns if there are too many.
    pub audit_selection: AuditSelection,
    /// The most audit events of an answer, whatever `count` says.
    pub audit_cap: Option<usize>,
    /// Audit events that are left out of answers after the limit was applied.
    pub audit_hidden: Option<AuditHidden>,
    /// The key for an audit event's user.
    pub user_spelling: UserSpelling,
    /// How late audit events show up.
    pub audit_lag: Duration,
    /// Whether each token that is given out is audited.
    pub audit_tokens: bool,
    /// Some audit events have an object type or an operation of a later release.
    pub later_enums: bool,
    /// Without `groupTypeId`, lists the properties of groups among those of profiles. Against the document.
    pub group_properties_listed: bool,
    /// The application's id.
    pub client_id: String,
    /// The application's secret.
    pub client_secret: SecretString,
    /// The exact redirect URL of a consent.
    pub redirect_uri: String,
    /// The scopes of the application.
    pub scopes: Vec<String>,
    /// Plain lists that it serves beside its own.
    pub lists: Vec<List>,
    /// How long an access token lives.
    pub token_life: Duration,
    /// The status for a token without the scope: 403 or 401.
    pub missing_scope: u16,
    /// The prefix of the API's paths.
    pub api_path: String,
    /// The delay before each answer.
    pub latency: Duration,
    /// Compresses bodies with gzip for a client that accepts it.
    pub compress: bool,
    /// Renders each profile once and then sends it from memory: for a tenant without changes.
    pub rendered: bool,
    /// So many profiles differ; all others are copies with ids and dates of their own. `None`: all of them differ.
    pub distinct: Option<u64>,
    /// How many events each timeline has. `None`: few, and now and then as many as a tenant keeps.
    pub timeline_events: Option<u64>,
    /// The `Date` header.
    pub date_header: DateHeader,
    /// The delay of the search index, which refined listings use to find and count profiles. With read paths the index is
    /// also late with memberships and with new and deleted profiles.
    pub index_lag: Duration,
    /// The read paths of listings of profiles. `None`: one path in the order of positions, which is the fastest.
    pub read_paths: Option<ReadPaths>,
    /// `profileCount` of segments and `totalResults` of listings without a refinement may be so old.
    pub count_age: Duration,
    /// The status for a cursor that the tenant does not know.
    pub refused_cursor: u16,
    /// How long after it was given out a cursor of profiles is accepted. `None`: for ever.
    pub cursor_life: Option<Duration>,
    /// The most profiles or groups of a page, whatever `count` says.
    pub count_ceiling: Option<u64>,
    /// The most ids in `replaces` of an answer.
    pub replaces_most: Option<usize>,
    /// Groups of each of the two group types at the start. 0: the tenant has neither groups nor group types.
    pub groups: u64,
    /// The list that serves the types of these groups, in place of one of `lists` at the same path.
    pub group_types: Option<List>,
    /// Lifecycles. With one or more, profiles have the field `lifecycleStages`.
    pub lifecycles: u64,
    /// The tenant's own document.
    pub openapi: OpenApi,
    /// The body of a 404.
    pub absent_body: AbsentBody,
    /// The refusal of requests beyond so many at once.
    pub busy: Option<Busy>,
    /// The answer to a look-up of a merged profile.
    pub merged_lookup: MergedLookup,
    /// The form of answers, which can change while the tenant runs.
    pub shape: Shape,
    /// The tenant's time at its start. `None`: the real time, and the data as of the last midnight (UTC), so that
    /// two tenants of the same day are equal.
    pub now: Option<DateTime<Utc>>,
    /// The time of the data, independent of the tenant's own time, so that two tenants are equal on any day.
    pub as_of: Option<DateTime<Utc>>,
}

/// All scopes of a read-only sync.
const SCOPES: [&str; 5] = [
    "read:segments",
    "read:profiles",
    "read:profile-properties",
    "read:audit-events",
    "read:groups",
];

/// The scope of the list with the types of groups.
const GROUP_TYPES: &str = "read:group-types";

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
            odd_values_per_thousand: 0,
            history: 730 * DAY,
            audit_events: 500,
            audit_history: 29 * DAY,
            audit_retention: 30 * DAY,
            audit_order: AuditOrder::default(),
            audit_selection: AuditSelection::default(),
            audit_cap: None,
            audit_hidden: None,
            user_spelling: UserSpelling::default(),
            audit_lag: Duration::ZERO,
            audit_tokens: false,
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
            timeline_events: None,
            date_header: DateHeader::default(),
            index_lag: Duration::ZERO,
            read_paths: None,
            count_age: Duration::ZERO,
            refused_cursor: 400,
            cursor_life: None,
            count_ceiling: None,
            replaces_most: None,
            groups: 0,
            group_types: None,
            lifecycles: 0,
            openapi: OpenApi::default(),
            absent_body: AbsentBody::default(),
            busy: None,
            merged_lookup: MergedLookup::default(),
            shape: Shape::default(),
            now: None,
            as_of: None,
        }
    }
}

impl Settings {
    /// Adds these lists, and their scopes to the application. If the tenant has groups, one of the lists may serve their types.
    #[must_use]
    pub fn with_lists(mut self, lists: Vec<List>) -> Self {
        for list in &lists {
            if !self.scopes.iter().any(|scope| scope == list.scope) {
                self.scopes.push(list.scope.to_owned());
            }
        }
        if self.groups > 0 {
            let types = lists.iter().find(|list| list.scope == GROUP_TYPES);
            self.group_types = types.cloned().or(self.group_types);
        }
        self.lists = lists;
        self
    }

    /// Refuses settings that cannot be simulated.
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
