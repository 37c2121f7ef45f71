//! The SQL that merges staged rows into a table, generated from the table's description: one function for each
//! [`Merge`] rule. Only this file, `sweep_sql.rs`, `leaving.rs`, `moving.rs` and `child_hashes.rs` generate SQL, from the parts in `sql.rs`.
//!
//! Every rule reads rows in the order of their keys, so that all merges lock in the same order, and writes no row that would
//! stay the same. [`the_later_reading`] decides which of two readings of a profile stays.

use crate::model::table::{Child, Merge, Table};
use crate::postgres::changes::ChangedTable;
use crate::postgres::child_hashes::HashStatements;
use crate::postgres::leaving::{self, DeleteBelow, Place};
use crate::postgres::moving::{self, Move};
use crate::postgres::partitions::Months;
use crate::postgres::recorded::statements::{DIFFERS, FORMER_ROW};
use crate::postgres::sql::{
    SYNCED_AT, change_key, create_staging, element_id, insert_or_update, key, key_in_order, names, nothing,
    quoted, relation, sql_type, staging,
};

/// The column with the time of the request for a profile's page. The decoder does not fill it.
const ASKED_AT: &str = "asked_at";
/// The column that shows which of two rows is older.
const MODIFIED_AT: &str = "modified_at";
/// Counts late rows: changed rows that an increment had passed when this full walk began (`$3`; null: nothing is counted).
/// The statement still sees the table as it was before. A row that changed under the same date is not late. A new row older
/// than a day came back, or came into the segment, since no search index is that far behind.
const LATE: &str = ",
         late as (
           select extract(epoch from $3::timestamptz - m.modified_at)::bigint as seconds
           from merged as m
           left join blueconic.profiles as former on former.id = m.id
           where m.modified_at <= $3 and not m.locked
             and case
               when m.inserted then m.modified_at > $3 - interval '1 day'
               else former.modified_at is null or former.modified_at < m.modified_at
             end
         )";

/// The statements of one table, generated once per loader.
#[derive(Debug)]
pub(crate) struct Statements {
    /// The table in the feed of changes.
    pub(crate) changed: ChangedTable,
    /// The staging table's name.
    pub(crate) staging_name: String,
    /// Creates the staging table.
    pub(crate) create_staging: String,
    /// Empties the staging table and frees its space.
    pub(crate) empty_staging: String,
    /// Deletes a few rows from the staging table.
    pub(crate) clear_staging: String,
    /// Copies rows into the staging table; if [`Self::asked`], the last column is the time of their request.
    pub(crate) copy: String,
    /// Whether staged rows have the time of their request.
    pub(crate) asked: bool,
    /// Copies rows directly into the table; the last columns are the time of their request and the current time.
    pub(crate) copy_direct: String,
    /// Merges the staging table. `$1` is the current time. For profiles, `$2` are further ids to lock, and `$3` is the time
    /// that an increment has passed, or null. Returns one row: the numbers of inserted and updated rows; the inserted and the
    /// updated ones as the feed of changes names them; for profiles also the number of late rows and the seconds of the latest one.
    /// For a child table, `$2` are the parents whose children are replaced; returns those whose children were others.
    pub(crate) merge: String,
    /// For profiles: the same while histories are recorded that are made from rows. Returns further the ids of the updated ones that
    /// differ in what a history is made from, and as a JSON array what these were.
    pub(crate) merge_recorded: Option<String>,
    /// For profiles without children: the same two statements as of [`HashStatements`].
    known: [String; 2],
    /// For profiles that are distributed: the same, without what needs the rows as they were. Returns the first four values alone.
    pub(crate) merge_apart: Option<String>,
    /// For a partitioned table: what its partitions follow from.
    pub(crate) months: Option<Months>,
    /// The statements of the child tables.
    pub(crate) children: Vec<Self>,
    /// The statements for the hashes of children; none if a load compares all rows anyway, or if there are no children.
    pub(crate) hashes: Option<HashStatements>,
    /// For profiles: deletes the losers `$1` and returns the ids whose rows were not placeholders.
    pub(crate) drop_losers: String,
    /// Delete what leaves with deleted rows: [`leaving::deletes_below`].
    pub(crate) deletes_below: Vec<DeleteBelow>,
    /// Move the history of merged rows to their survivors: [`moving::moves`].
    pub(crate) moves: Vec<Move>,
    /// Delete the ids `$1` from staging.
    pub(crate) unstage: Vec<String>,
}

impl Statements {
    /// These statements and those of the child tables.
    pub(crate) fn and_children(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.children)
    }

    /// The statements that return the source hashes of the rows `$1`, and the hashes over their contents and their children.
    pub(crate) fn known(&self) -> (&str, &str) {
        match (&self.hashes, &self.known) {
            (Some(of_children), _) => (&of_children.sources, &of_children.contents),
            (None, [sources, contents]) => (sources, contents),
        }
    }

    /// All of a table's.
    pub(crate) fn of(table: &Table) -> Self {
        let staging_name = staging(table);
        let asked = table.merge == Merge::Profile;
        let (asked_at, asked_type): (&str, &[&str]) = if asked {
            (", asked_at", &["asked_at timestamptz"])
        } else {
            ("", &[])
        };
        Self {
            changed: ChangedTable::of(table),
            asked,
            create_staging: create_staging(table, asked_type),
            empty_staging: format!("truncate {staging_name}"),
            clear_staging: format!("delete from {staging_name}"),
            copy: format!(
                "copy {staging_name} ({}{asked_at}) from stdin (format binary)",
                names(table, "")
            ),
            copy_direct: format!(
                "copy {} ({}{asked_at}, {SYNCED_AT}) from stdin (format binary)",
                relation(table),
                names(table, "")
            ),
            merge: match table.merge {
                Merge::Upsert | Merge::OfProfile => upsert(table, &staging_name),
                Merge::Profile => profile(table, &staging_name, Form::Plain),
                Merge::Occurrence => occurrence(table, &staging_name),
                Merge::Child | Merge::ChildHistory | Merge::ListedHistory => {
                    child(table, None, &staging_name)
                }
            },
            merge_recorded: asked.then(|| profile(table, &staging_name, Form::Recording)),
            merge_apart: asked.then(|| profile(table, &staging_name, Form::Apart)),
            known: known(table),
            months: Months::of(table),
            staging_name,
            children: children(table),
            hashes: (asked && table.reads_children()).then(|| HashStatements::of(table)),
            drop_losers: drop_losers(table),
            deletes_below: leaving::deletes_below(table),
            moves: moving::moves(table),
            unstage: leaving::stages(table).iter().map(Place::delete).collect(),
        }
    }
}

/// [`Merge::Upsert`]: inserts rows, or updates them where something differs. One run at a time reads a list, page by page, so
/// incoming rows were read later than stored ones, whatever their dates.
fn upsert(table: &Table, staging: &str) -> String {
    let changed = format!(
        "({}) is distinct from ({})",
        names(table, "stored."),
        names(table, "excluded.")
    );
    let incoming = format!("select {} from {staging}", names(table, ""));
    format!(
        "with merged as (
           {insert}
           where {changed}
           returning xmax = 0 as inserted, {name} as name
         )
         select count(*) filter (where inserted), count(*) filter (where not inserted),
           coalesce(array_agg(name) filter (where inserted), '{{}}'),
           coalesce(array_agg(name) filter (where not inserted), '{{}}')
         from merged",
        insert = insert_or_update(table, &[], &incoming),
        name = change_key(table, ""),
    )
}

/// The statements of [`Statements::known`] for a table without children.
fn known(table: &Table) -> [String; 2] {
    let (name, id) = (relation(table), quoted(table.key[0]));
    [
        format!("select {id}, source_hash from {name} where {id} = any ($1)"),
        format!("select {id}, content_hash, ''::bytea from {name} where {id} = any ($1)"),
    ]
}

/// The statements of the child tables that are read.
fn children(table: &Table) -> Vec<Statements> {
    let read: Vec<&Child> = table.read_children().collect();
    let of = |child: &&Child| {
        let statements = Statements::of(child.table);
        let gaps = child
            .gaps
            .and_then(|place| read.get(place))
            .map(|gaps| gaps.table);
        let merge = match child.table.merge {
            Merge::ListedHistory => self::child(child.table, gaps, &statements.staging_name),
            _ => statements.merge,
        };
        Statements { merge, ..statements }
    };
    read.iter().map(of).collect()
}

/// [`Merge::Child`]: for the parents `$2`, deletes children that are not staged, inserts missing ones and updates those that
/// differ. [`Merge::ChildHistory`]: the same without the deletion. [`Merge::ListedHistory`]: no child of a parent leaves for which
/// the table `gaps` has a staged row.
fn child(table: &Table, gaps: Option<&Table>, staging: &str) -> String {
    let parent = quoted(table.key[0]);
    let incoming = format!(
        "select {} from {staging} where {parent} = any ($2::text[])",
        names(table, "")
    );
    let (gone, and_gone) = if table.merge == Merge::ChildHistory {
        (String::new(), "")
    } else {
        let (listed, delete) = delete_unlisted(table, gaps, staging);
        (
            format!("{listed} gone as ({delete} returning stored.{parent}),"),
            " union select * from gone",
        )
    };
    format!(
        "with {gone}
         written as (
           {insert}
           where ({stored}) is distinct from ({excluded})
           returning {parent}
         )
         select {parent} from written group by {parent}{and_gone}",
        insert = insert_or_update(table, &[], &incoming),
        stored = names(table, "stored."),
        excluded = names(table, "excluded."),
    )
}

/// Deletes the children of the parents `$2` that are not staged, unless a gap of the parent is. The staged keys are read once, since
/// a distributed table is not joined with a temporary one.
fn delete_unlisted(table: &Table, gaps: Option<&Table>, staging: &str) -> (String, String) {
    let parent = quoted(table.key[0]);
    let keys: Vec<String> = table.key.iter().map(|name| quoted(name)).collect();
    let mut listed = format!(
        "listed as materialized (select {} from {staging}),",
        keys.join(", ")
    );
    let and_whole = gaps.map_or_else(String::new, |gaps| {
        let of_gap = quoted(gaps.key[0]);
        listed = format!(
            "{listed} gaps as materialized (select {of_gap} from {}),",
            self::staging(gaps)
        );
        format!(" and not exists (select from gaps as gap where gap.{of_gap} = stored.{parent})")
    });
    let same_key: Vec<String> = keys
        .iter()
        .map(|name| format!("incoming.{name} = stored.{name}"))
        .collect();
    let delete = format!(
        "delete from {relation} as stored
         where stored.{parent} = any ($2)
           and not exists (select from listed as incoming where {same_key}){and_whole}",
        relation = relation(table),
        same_key = same_key.join(" and "),
    );
    (listed, delete)
}

/// The statement of [`Statements::drop_losers`].
fn drop_losers(table: &Table) -> String {
    format!(
        "with gone as ({} returning id, source_hash = ''::bytea as locked)
         select coalesce(array_agg(id) filter (where not locked), '{{}}') from gone",
        Place::of_rows(table).delete()
    )
}

/// What a merge of profiles returns besides what it wrote.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// How many rows were late.
    Plain,
    /// That, and what updated rows were.
    Recording,
    /// Nothing: the rows are distributed.
    Apart,
}

/// [`Merge::Profile`]: inserts or updates by `content_hash` and [`the_later_reading`]. Ids that must only be locked (losers
/// of merges, rows of which only a hash changes) take part as placeholders with an empty `source_hash`, so that one
/// statement takes all locks of the transaction in one order. Inserted placeholders are deleted before the commit.
///
/// [`Form::Recording`] also returns what updated rows were. The statement sees them as they were when it began. An update of a row that
/// has changed since then fails, and the transaction is tried again.
fn profile(table: &Table, staging: &str, form: Form) -> String {
    let placeholder: Vec<String> = table
        .columns
        .iter()
        .map(|column| match column.name {
            name if name == table.key[0] => "locked.id".to_owned(),
            _ => format!("{}::{}", nothing(column.kind), sql_type(column.kind)),
        })
        .collect();
    let incoming = format!(
        "select {}, {ASKED_AT} from {staging}
         union all select {}, null::timestamptz from unnest($2::text[]) as locked (id)",
        names(table, ""),
        placeholder.join(", ")
    );
    let is_newer = format!(
        "excluded.source_hash <> ''::bytea
             and stored.content_hash <> excluded.content_hash
             and ({})",
        the_later_reading()
    );
    let (is_written, returned, kept, and_kept) = if form == Form::Recording {
        (
            format!(
                "case when {is_newer}
               then sync.is_as_read(stored.ctid, (select read.ctid from blueconic.profiles as read where read.id = stored.id))
               else false
             end"
            ),
            ", segment_ids, consented_objectives, refused_objectives, properties",
            format!(
                ",
         kept as (
           select p.id, {FORMER_ROW} as former
           from merged as m join blueconic.profiles as p on p.id = m.id
           where not m.inserted and {DIFFERS}
         )"
            ),
            ",
           (select coalesce(array_agg(id), '{}') from kept),
           (select coalesce(jsonb_agg(former), '[]')::text from kept)",
        )
    } else {
        (is_newer, "", String::new(), "")
    };
    // The parts of a statement over distributed tables run one after another: none of them sees a row as it was.
    let (late, of_late) = match form {
        Form::Apart => ("", ""),
        Form::Plain | Form::Recording => (
            LATE,
            ",
           (select count(*) from late),
           (select max(seconds) from late)",
        ),
    };
    format!(
        "with merged as (
           {insert}
           where {is_written}
           returning {key} as id, xmax = 0 as inserted, source_hash = ''::bytea as locked, {MODIFIED_AT}{returned}
         ){late}{kept}
         select
           count(*) filter (where inserted and not locked),
           count(*) filter (where not inserted),
           coalesce(array_agg(id) filter (where inserted and not locked), '{{}}'),
           coalesce(array_agg(id) filter (where not inserted), '{{}}'){of_late}{and_kept}
         from merged",
        insert = insert_or_update(table, &[ASKED_AT], &incoming),
        key = quoted(table.key[0]),
    )
}

/// [`Merge::Occurrence`]: inserts missing rows.
fn occurrence(table: &Table, staging: &str) -> String {
    format!(
        "with merged as (
           insert into blueconic.{name} ({columns}, {SYNCED_AT})
           select {columns}, $1 from {staging} order by {order}
           on conflict ({key}) do nothing
           returning {key}
         )
         select count(*), 0::bigint, coalesce(array_agg({change_key}), '{{}}'), '{{}}'::text[] from merged",
        name = quoted(table.name),
        change_key = change_key(table, ""),
        columns = names(table, ""),
        order = key_in_order(table),
        key = key(table),
    )
}

/// Whether an incoming profile replaces the stored one. The tenant's dates may go back or vanish (a backup is restored,
/// consent is withdrawn), so they decide only between two readings that overlapped:
///
/// - If a full walk requested the incoming row after the stored row existed, the incoming row was read later, whatever the
///   dates are. A stored row from another full walk or a look-up is as old as its request. For a stored row from an
///   increment, the time of storing counts, since the age of the tenant's search index is unknown.
/// - An incoming row that was requested earlier, or that comes from an increment (no `asked_at`), replaces the stored row
///   unless it is older by `modified_at`. A null date is older than any other; between equal dates the later merge wins.
///   An exception: if this walk stored the row from a page that it requested later, the stored row stays, since two lanes
///   may load two pages in either order. A time ahead of this transaction's time comes from a clock that was set back, and
///   is ignored.
fn the_later_reading() -> String {
    format!(
        "coalesce(stored.{ASKED_AT}, stored.{SYNCED_AT}) < excluded.{ASKED_AT}
             or (
               (stored.modified_at is null or excluded.modified_at >= stored.modified_at)
               and not coalesce(
                 stored.{ASKED_AT} > excluded.{ASKED_AT} and stored.{ASKED_AT} <= excluded.{SYNCED_AT}, false
               )
             )"
    )
}

/// Returns whether a table is empty.
pub(crate) fn emptiness_of(table: &Table) -> String {
    format!(
        "select count(*) = 0 from (select 1 from {} limit 1) as few",
        relation(table)
    )
}

/// Counts profiles, up to `$1`.
pub(crate) const HAS_ROWS: &str = "select count(*) from (select 1 from blueconic.profiles limit $1) as few";

/// Counts the rows of a table.
pub(crate) fn count_of(table: &Table) -> String {
    format!("select count(*) from {}", relation(table))
}

/// The ids of all rows of a table, in order.
pub(crate) fn ids_of(table: &Table) -> String {
    let id = element_id(table, "");
    format!("select {id} from {} order by {id}", relation(table))
}

/// The loaded profiles `$1` with an alias or a tombstone, and whether the alias was noticed since the walk's start (`$2`).
/// This statement follows the merge, so that it sees what other transactions committed while the merge waited for locks.
/// The ids are one array, and each is looked up in the index.
pub(crate) const GONE_BEFORE: &str = "
select a.profile_id, a.noticed_at >= $2
from blueconic.profile_aliases as a where a.profile_id = any ($1)
union all
select t.profile_id, false
from blueconic.profile_tombstones as t where t.profile_id = any ($1)";

/// Deletes the tombstones and aliases of the loaded profiles `$1` that exist now. Returns their ids, and whether it was an alias.
pub(crate) const FORGET_RETURNED: &str = "
with unburied as (
  delete from blueconic.profile_tombstones as t
  where t.profile_id = any ($1)
    and exists (select from blueconic.profiles as stored where stored.id = t.profile_id)
  returning t.profile_id
), unmerged as (
  delete from blueconic.profile_aliases as a
  where a.profile_id = any ($1)
    and exists (select from blueconic.profiles as stored where stored.id = a.profile_id)
  returning a.profile_id
)
select profile_id, false from unburied union all select profile_id, true from unmerged";

/// A stored row takes the `source_hash` of a staged profile with the same content, so that the next walk need not decode
/// that profile.
pub(crate) const ADOPT_SOURCE_HASH: &str = "
with incoming as materialized (select id, content_hash, source_hash from pg_temp.staged_profiles)
update blueconic.profiles as stored set source_hash = incoming.source_hash
from incoming
where stored.id = incoming.id
  and stored.content_hash = incoming.content_hash
  and stored.source_hash <> incoming.source_hash";

/// Copies audit events: those with the keys `$1`, numbers `$2` and dates `$3` to the keys `$4` and numbers `$5`.
/// [`FORGET_FORMER`] then deletes the originals: the key of a row in a distributed table cannot change.
pub(crate) const REKEY_STORED: &str = "
insert into blueconic.audit_events
  (occurred_at, event_key, occurrence, user_name, application, object_type, operation, ip_address, objects, synced_at)
select e.occurred_at, r.new_key, r.new_occurrence, e.user_name, e.application, e.object_type, e.operation, e.ip_address,
  e.objects, sync.clock()
from blueconic.audit_events as e
join unnest($1::bytea[], $2::integer[], $3::timestamptz[], $4::bytea[], $5::integer[])
  as r (event_key, occurrence, occurred_at, new_key, new_occurrence)
  on r.event_key = e.event_key and r.occurrence = e.occurrence and r.occurred_at = e.occurred_at";

/// Deletes the audit events with the keys `$1`, numbers `$2` and dates `$3`.
pub(crate) const FORGET_FORMER: &str = "
delete from blueconic.audit_events as e
using unnest($1::bytea[], $2::integer[], $3::timestamptz[]) as r (event_key, occurrence, occurred_at)
where r.event_key = e.event_key and r.occurrence = e.occurrence and r.occurred_at = e.occurred_at";

/// The names of audit events in the feed of changes, from their keys `$1`, numbers `$2` and dates `$3`.
pub(crate) const EVENT_NAMES: &str = "
select jsonb_build_object(
  'event_key', '\\x' || encode(r.event_key, 'hex'), 'occurrence', r.occurrence, 'occurred_at', r.occurred_at
)::text
from unnest($1::bytea[], $2::integer[], $3::timestamptz[]) as r (event_key, occurrence, occurred_at)";

/// Staged audit events with the key `$1` and number `$2` get the key `$3` and number `$4`.
pub(crate) const REKEY_STAGED: &str = "
update pg_temp.staged_audit_events as e set event_key = r.new_key, occurrence = r.new_occurrence
from unnest($1::bytea[], $2::integer[], $3::bytea[], $4::integer[]) as r (event_key, occurrence, new_key, new_occurrence)
where e.event_key = r.event_key and e.occurrence = r.occurrence";

/// The ids and names of the objects of staged audit events, each once.
pub(crate) const STAGED_OBJECTS: &str = "
select distinct word.said
from pg_temp.staged_audit_events as e
cross join lateral jsonb_array_elements(e.objects) as object
cross join lateral (values (object ->> 'id'), (object ->> 'name')) as word (said)
where word.said <> ''";

/// Removes the objects that name one of `$1` from staged audit events.
pub(crate) const UNSTAGE_OBJECTS: &str = "
update pg_temp.staged_audit_events as e
set objects = (
  select coalesce(jsonb_agg(object order by place), '[]')
  from jsonb_array_elements(e.objects) with ordinality as one (object, place)
  where (coalesce(object ->> 'id', '') <> all ($1)) and (coalesce(object ->> 'name', '') <> all ($1))
)
where exists (
  select from jsonb_array_elements(e.objects) as object
  where object ->> 'id' = any ($1) or object ->> 'name' = any ($1)
)";
