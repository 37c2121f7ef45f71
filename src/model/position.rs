//! The position of a walk in a listing, stored as JSON in `sync.cursors.position`. It has everything that the walk needs to
//! continue after a crash. Its parameters are fixed at the walk's start, so that changed settings never affect an open walk.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Time;

/// The scope of a cursor of a resource; also the mode of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Everything is read.
    Full,
    /// What changed since the watermark is read.
    Increment,
}

impl Scope {
    /// The word in `sync.cursors.scope` and `sync.runs.mode`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Increment => "increment",
        }
    }
}

/// A resource and a scope. Leases, cursors and runs are for a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slot {
    /// The resource's name, which is its table's.
    pub resource: &'static str,
    /// The scope.
    pub scope: Scope,
}

impl Slot {
    /// The name of its lease: `RESOURCE/SCOPE`.
    pub fn lease_name(&self) -> String {
        format!("{}/{}", self.resource, self.scope.as_str())
    }
}

/// The position of a walk, by the kind of its listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "walk", rename_all = "snake_case")]
pub enum Position {
    /// A listing paged by `startIndex` and `count`.
    Offset(OffsetPosition),
    /// A listing paged by `cursor`.
    Cursor(CursorPosition),
    /// Listings paged by `cursor`, one after the other.
    Listings(ListingsPosition),
    /// A listing read by `fromDate`.
    Since(SincePosition),
}

impl Position {
    /// The walk's id in `sync.walk_seen`, if it records seen ids.
    pub const fn walk_id(&self) -> Option<Uuid> {
        match self {
            Self::Offset(place) => Some(place.walk_id),
            Self::Cursor(place) => Some(place.walk_id),
            Self::Listings(place) => Some(place.walk_id),
            Self::Since(_) => None,
        }
    }
}

/// A place in a listing paged by `startIndex`. Such a listing shifts while it is read, so a restarted run starts over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OffsetPosition {
    /// Names this reading in `sync.walk_seen`.
    pub walk_id: Uuid,
    /// The next index to request.
    pub start_index: u64,
}

/// A place in the listings of a list that is paged by `cursor`: one listing for each parent, or one in all.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListingsPosition {
    /// Names this walk in `sync.walk_seen`.
    pub walk_id: Uuid,
    /// The database's time at the walk's start. Rows that were loaded since then are never swept.
    pub opened_at: Time,
    /// What its listings are about, in order. A walk over others starts over.
    pub listings: Vec<String>,
    /// The index of the listing that is read; behind the last one, only the sweep is left.
    pub place: usize,
    /// The cursor to send next; `*` at the start of a listing.
    #[serde(with = "opaque")]
    pub cursor: String,
    /// Elements read in whole pages, repeats included.
    pub read: u64,
    /// Those of the current listing.
    pub read_here: u64,
    /// Rejected elements in those pages whose id could not be read.
    pub unidentified: u64,
    /// `totalResults` of the listings that have ended; none if one of them had no total.
    pub total: Option<u64>,
    /// `totalResults` of the last page of the current listing.
    pub total_here: Option<u64>,
}

/// A place in a cursor listing, with the parameters of its walk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CursorPosition {
    /// Names this walk in `sync.walk_seen`.
    pub walk_id: Uuid,
    /// The segment that is walked.
    pub segment: String,
    /// The cursor to send next; `*` at the start.
    #[serde(with = "opaque")]
    pub cursor: String,
    /// `lastmodifieddate` from and to (both inclusive), for an increment.
    pub range: Option<(Time, Time)>,
    /// The tenant's time at the walk's start, or the local time if the tenant sent no `Date`.
    pub began_at: Time,
    /// The database's time at the walk's start. Rows that were loaded since then are never swept.
    pub opened_at: Time,
    /// The requested properties; empty means all.
    pub properties: Vec<String>,
    /// Whether all of its runs so far have read the timelines as well.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub timelines: bool,
    /// Pages that ended whole.
    pub pages: u64,
    /// Elements read in those pages, repeats included.
    pub read: u64,
    /// The ids at which the table is divided into parts, as [`super::seen::IdHasher`] takes them. None: a walk of a former
    /// release, which kept its seen ids otherwise.
    #[serde(default)]
    pub divided_at: Option<Vec<String>>,
    /// Of a full walk: the table was empty when it began, so that nothing is older than the walk.
    #[serde(default)]
    pub from_empty: bool,
    /// Rejected elements in those pages whose id could not be read.
    #[serde(default)]
    pub unidentified: u64,
    /// `totalResults` of the last page.
    pub total: Option<u64>,
    /// For a full walk: the increment's watermark at its start. A changed row with a date before that showed up late.
    #[serde(default)]
    pub passed: Option<Time>,
    /// The end of the listing, if it was reached; only the sweep is left.
    #[serde(default)]
    pub finished: Option<Finished>,
    /// The walk's place in another order of the same listing, if the tenant refused the cursor there.
    #[serde(default)]
    pub aside: Option<Aside>,
    /// What the runs of the walk learned.
    #[serde(default)]
    pub course: WalkHistory,
}

impl CursorPosition {
    /// The start of a listing, for a request outside of any walk. `range` narrows it to what changed within that time.
    pub fn at_start(
        segment: &str,
        range: Option<(Time, Time)>,
        properties: Vec<String>,
        timelines: bool,
        at: Time,
    ) -> Self {
        Self {
            walk_id: Uuid::nil(),
            segment: segment.to_owned(),
            cursor: "*".to_owned(),
            range,
            began_at: at,
            opened_at: at,
            properties,
            timelines,
            pages: 0,
            read: 0,
            divided_at: None,
            from_empty: false,
            unidentified: 0,
            total: None,
            passed: None,
            finished: None,
            aside: None,
            course: WalkHistory::default(),
        }
    }

    /// Whether the walk waits only for a person's approval.
    pub fn awaits_approval(&self) -> bool {
        self.finished
            .as_ref()
            .is_some_and(|finished| finished.awaits_approval)
    }
}

/// What the runs of a walk learned; each part may be absent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct WalkHistory {
    /// Runs in a row that could not read the page at this position.
    pub failed_here: u32,
    /// The listing was begun anew because the page behind a stored cursor could not be read.
    pub restarted: Option<Restarted>,
    /// The number of halvings of the page size at the last page.
    pub shrink: u32,
    /// The first `totalResults` of the walk.
    pub first_total: Option<u64>,
    /// The walked segment is neither the configured one nor that of the last complete walk.
    pub other_segment: bool,
}

/// Where a walk stood whose listing was begun anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Restarted {
    /// Elements that it had read.
    pub read: u64,
    /// When, by the database's clock.
    pub at: Time,
}

/// A place that a walk reached in another order of its listing. The tenant may accept the cursor again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Aside {
    /// The cursor that was refused.
    #[serde(with = "opaque")]
    pub cursor: String,
    /// Elements read in that order, repeats included.
    pub read: u64,
    /// Rejected elements among them whose id could not be read.
    pub unidentified: u64,
}

/// How a walk ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finished {
    /// When, by the database's clock; a walk that waits for approval is kept for 24 hours.
    pub at: Time,
    /// Distinct ids that the walk itself read.
    pub distinct: u64,
    /// The sweep would remove so many rows that a person must approve it.
    #[serde(default)]
    pub awaits_approval: bool,
}

/// A place in a listing read by date.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SincePosition {
    /// The exclusive lower bound of the next request.
    pub from: Time,
}

/// Stores a text of the tenant in `jsonb`, which has no NUL. A text with NUL becomes an object with the percent-encoded text;
/// every other text is stored as it is.
mod opaque {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(untagged)]
    enum Stored<'a> {
        Plain(std::borrow::Cow<'a, str>),
        Encoded { percent_encoded: String },
    }

    pub(super) fn serialize<S: Serializer>(text: &str, into: S) -> Result<S::Ok, S::Error> {
        let stored = if text.contains('\0') {
            Stored::Encoded {
                percent_encoded: text.replace('%', "%25").replace('\0', "%00"),
            }
        } else {
            Stored::Plain(text.into())
        };
        stored.serialize(into)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
        Ok(match Stored::deserialize(from)? {
            Stored::Plain(text) => text.into_owned(),
            Stored::Encoded { percent_encoded } => percent_encoded.replace("%00", "\0").replace("%25", "%"),
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_of_any_characters_is_stored_and_comes_back() {
        for cursor in [
            "*",
            "AoE/=%00 plain",
            "a\0b",
            "\0",
            "%2500\0%00%25",
            "ü\u{1b}\0😀",
        ] {
            let place = CursorPosition {
                walk_id: Uuid::nil(),
                segment: "s".to_owned(),
                cursor: cursor.to_owned(),
                range: None,
                began_at: Time::UNIX_EPOCH,
                opened_at: Time::UNIX_EPOCH,
                properties: Vec::new(),
                timelines: false,
                pages: 0,
                read: 0,
                divided_at: Some(vec!["b".to_owned()]),
                from_empty: false,
                unidentified: 0,
                total: None,
                passed: None,
                course: WalkHistory::default(),
                finished: None,
                aside: None,
            };
            let stored = serde_json::to_value(Position::Cursor(place.clone())).unwrap();
            assert!(!stored.to_string().contains("\\u0000"), "{stored}");
            assert_eq!(stored["cursor"].is_string(), !cursor.contains('\0'));
            assert_eq!(
                serde_json::from_value::<Position>(stored).unwrap(),
                Position::Cursor(place)
            );
        }
    }
}
