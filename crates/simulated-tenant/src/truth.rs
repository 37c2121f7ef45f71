//! The tenant's data as plain values: a test compares tables with them, row by row. The bodies of answers hold
//! the same in JSON. Dates are milliseconds since 1970.

/// A property of a profile, an event or a group: an id and its values in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Property {
    /// The id of the property.
    pub id: String,
    /// The values as texts; there may be none.
    pub values: Vec<String>,
}

/// A current profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Profile {
    /// Its position in every listing.
    pub position: u64,
    /// UUID text.
    pub id: String,
    /// The field `creationDate`; the property `creationdate` is among the properties.
    pub creation_date: Option<i64>,
    /// The number in the property `lastmodifieddate`.
    pub modified_at: Option<i64>,
    /// The legislation, an enum of the document.
    pub privacy_legislation: Option<String>,
    /// Ids of objectives; `None`: the field is absent.
    pub consented_objectives: Option<Vec<String>>,
    /// Ids of objectives; `None`: the field is absent.
    pub refused_objectives: Option<Vec<String>>,
    /// The level under `permissions`.
    pub permission_level: Option<String>,
    /// All properties in the order of the answer; `None`: the field is absent.
    pub properties: Option<Vec<Property>>,
    /// Its segments, with that of all visitors if there is one.
    pub segment_ids: Vec<String>,
    /// The ids of profiles that it replaces.
    pub replaces: Vec<String>,
    /// The timeline, newest event first.
    pub events: Vec<TimelineEvent>,
    /// Its groups, by type and id.
    pub groups: Vec<(String, String)>,
    /// Its lifecycle stages, at most one of each lifecycle.
    pub stages: Vec<LifecycleStage>,
}

/// The stage of a lifecycle that a profile is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifecycleStage {
    /// The id of the lifecycle.
    pub lifecycle_id: String,
    /// Its name.
    pub lifecycle_name: String,
    /// The id of the stage.
    pub stage_id: String,
    /// Its name.
    pub stage_name: String,
}

/// A type of groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupType {
    /// The id.
    pub id: String,
    /// The name of one.
    pub name: String,
    /// The name of several.
    pub plural_name: String,
}

/// A group, such as a household.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// The id of its type.
    pub group_type_id: String,
    /// UUID text.
    pub id: String,
    /// When it was made.
    pub creation_date: i64,
    /// When it was last changed.
    pub last_modified_date: i64,
    /// Its properties, in the order of the answer.
    pub properties: Vec<Property>,
}

/// A change of a profile's consent or permission level.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsentEvent {
    /// When it happened.
    pub date: i64,
    /// `ConsentChanged` or `PermissionLevelChanged`.
    pub event_type: String,
    /// What changed, in the order of the answer.
    pub properties: Vec<Property>,
}

impl Profile {
    /// The values of one property; `None`: the profile lacks it.
    pub fn values(&self, property: &str) -> Option<&[String]> {
        let found = self
            .properties
            .iter()
            .flatten()
            .find(|candidate| candidate.id == property);
        found.map(|property| property.values.as_slice())
    }
}

/// An event of a profile's timeline: an order of one product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimelineEvent {
    /// The id of the event, unique together with type and date.
    pub id: String,
    /// The id of the event's type.
    pub event_type_id: String,
    /// When it happened.
    pub date: i64,
    /// Its source.
    pub source: String,
    /// The product that the nested property `product` names.
    pub product: String,
    /// The quantity.
    pub quantity: i64,
    /// The number of the order.
    pub order_number: String,
}

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// The id, UUID text but for that of all visitors.
    pub id: String,
    /// The name, which can change.
    pub name: String,
    /// The description, possibly empty.
    pub description: String,
    /// The labels.
    pub tags: Vec<String>,
    /// When it was made.
    pub creation_date: i64,
    /// When it was last changed.
    pub last_modified_date: i64,
    /// The user name of its maker.
    pub creator: String,
    /// The id of the segment that this one inverts, or empty.
    pub inverse_of: String,
    /// The id of the segment that inverts this one, or empty.
    pub inversed_by: String,
    /// The number of its profiles; `None`: the answer leaves it out.
    pub profile_count: Option<u64>,
}

/// A currency of a property.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Currency {
    /// ISO 4217.
    pub iso_code: &'static str,
    /// In English.
    pub name: &'static str,
    /// Decimal places.
    pub precision: i64,
    /// For display.
    pub symbol: &'static str,
}

/// The definition of a property of profiles, or of groups if it has a group type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PropertyDefinition {
    /// The id.
    pub id: String,
    /// The name.
    pub name: String,
    /// The description, possibly empty.
    pub description: String,
    /// `RANGE`, `CURRENCY`, `DECIMAL`, `SELECT`, `EMAIL`, `DATETIME`; `None`: the answer leaves it out.
    pub filter_type: Option<&'static str>,
    /// Decimal places of a `DECIMAL`.
    pub precision: i64,
    /// The currency of a `CURRENCY`.
    pub currency: Option<Currency>,
    /// `PII` or `NON_PII`.
    pub data_sensitivity: &'static str,
    /// `DO_NOT_TRACK`, `ANONYMOUS` or `PERSONAL`.
    pub permission_level: &'static str,
    /// How a merge of profiles treats the values.
    pub merge_strategy: &'static str,
    /// Whether a value identifies a profile.
    pub indexed: bool,
    /// The labels.
    pub tags: Vec<String>,
    /// When it was made.
    pub creation_date: i64,
    /// When it was last changed.
    pub last_modified_date: i64,
    /// The approximate number of profiles with a value; `None`: the answer leaves it out.
    pub profile_count: Option<u64>,
    /// The group type that it belongs to.
    pub group_type_id: Option<String>,
}

/// An audit event. Events have no id, and two may be equal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct AuditEvent {
    /// When it happened.
    pub date: i64,
    /// The type of the changed object.
    pub object_type: String,
    /// The operation.
    pub operation: String,
    /// The application.
    pub application: Option<String>,
    /// The user, under either spelling.
    pub user_name: Option<String>,
    /// The address of the user.
    pub ip_address: Option<String>,
    /// Ids and names of the objects; `None`: the field is absent.
    pub objects: Option<Vec<(String, String)>>,
}
