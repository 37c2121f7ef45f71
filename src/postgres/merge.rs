//! The SQL that brings staged rows into a table, generated from its descriptor: one function for each
//! [`Merge`] rule. SQL is put together here, in `leaving.rs` and in `child_hashes.rs`, out of the parts in `sql.rs`.
//!
//! Rules that hold for all: rows come in the order of their keys, so that two merges lock in one order; a row that would
//! stay the same is not written. Which of two readings of a profile stays is in [`the_later_reading`].

use crate::model::table::{Column, ColumnKind, Merge, Table};
use crate::postgres::child_hashes::HashStatements;
use crate::postgres::leaving::{self, Place};
use crate::postgres::sql::{
    SYNCED_AT, create_staging, insert_or_update, key, key_in_order, names, nothing, quoted, relation,
    sql_type, staging,
};

/// When a profile's page was asked for; the decoder does not bring it either.
const ASKED_AT: &str = "asked_at";
/// By which the older of two rows is known.
const MODIFIED_AT: &str = "modified_at";
/// Rows that an increment had passed when this full walk began (`$3`; null: nothing is looked at). The table still shows
/// what it held before this statement: a row whose date stayed changed without one, which is nobody's lateness. A new row
/// that is older than a day came back, or into the segment: no index is that far behind.
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

/// The statements of one table, generated once for each loader.
#[derive(Debug)]
pub(crate) struct Statements {
    /// The staging table's name.
    pub(crate) staging_name: String,
    /// Makes it.
    pub(crate) create_staging: String,
    /// Empties it, and gives its space back.
    pub(crate) empty_staging: String,
    /// Takes a few rows out of it.
    pub(crate) clear_staging: String,
    /// Fills it, where rows are `asked` with when they were asked for last.
    pub(crate) copy: String,
    /// Whether a row says when it was asked for.
    pub(crate) asked: bool,
    /// Fills the table itself, with when a row was asked for and the time last.
    pub(crate) copy_direct: String,
    /// Merges it: `$1` the time; for profiles `$2` ids to be locked besides, `$3` through when an increment has passed, or
    /// null. One row: inserted, updated, and for profiles the ids that were inserted, how many rows were late, by how
    /// many seconds the worst, and where there are children the ids that were updated. For a child table `$2` are the parents
    /// whose children are replaced, and nothing is given back.
    pub(crate) merge: String,
    /// The months of staged rows, for a partitioned table.
    pub(crate) staged_months: Option<String>,
    /// Those of its child tables.
    pub(crate) children: Vec<Self>,
    /// Those over the hashes of its children; none where a load compares all rows anyway, or where there are no children.
    pub(crate) hashes: Option<HashStatements>,
    /// For profiles: takes out the losers `$1`, and gives back the ids that were more than placeholders.
    pub(crate) drop_losers: String,
    /// Take out what leaves with rows that left, as [`leaving::deletes_below`].
    pub(crate) deletes_below: Vec<String>,
    /// Take the ids `$1` out of staging.
    pub(crate) unstage: Vec<String>,
}

impl Statements {
    /// These and those of the child tables.
    pub(crate) fn and_children(&self) -> impl Iterator<Item = &Self> {
        std::iter::once(self).chain(&self.children)
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
                Merge::Upsert => upsert(table, &staging_name),
                Merge::Profile => profile(table, &staging_name),
                Merge::Occurrence => occurrence(table, &staging_name),
                Merge::Child => child(table, &staging_name),
            },
            staged_months: staged_months(table, &staging_name),
            staging_name,
            children: table.children.iter().map(|child| Self::of(child.table)).collect(),
            hashes: (asked && !table.children.is_empty()).then(|| HashStatements::of(table)),
            drop_losers: drop_losers(table),
            deletes_below: leaving::deletes_below(table),
            unstage: leaving::stages(table).iter().map(Place::delete).collect(),
        }
    }
}

/// [`Merge::Upsert`]: insert, or update where something differs. A list has one reader at a time, page by page, so that
/// what comes was read later than what is there, whatever its date says.
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
           returning xmax = 0 as inserted
         )
         select count(*) filter (where inserted), count(*) filter (where not inserted) from merged",
        insert = insert_or_update(table, &[], &incoming),
    )
}

/// [`Merge::Child`]: of the parents `$2` delete what is not staged, insert what is missing, and update what differs.
fn child(table: &Table, staging: &str) -> String {
    let parent = quoted(table.key[0]);
    let same_key: Vec<String> = table
        .key
        .iter()
        .map(|name| format!("incoming.{0} = stored.{0}", quoted(name)))
        .collect();
    let incoming = format!(
        "select {} from {staging} where {parent} = any ($2::text[])",
        names(table, "")
    );
    format!(
        "with gone as (
           delete from {relation} as stored
           where stored.{parent} = any ($2)
             and not exists (select from {staging} as incoming where {same_key})
         )
         {insert}
         where ({stored}) is distinct from ({excluded})",
        relation = relation(table),
        same_key = same_key.join(" and "),
        insert = insert_or_update(table, &[], &incoming),
        stored = names(table, "stored."),
        excluded = names(table, "excluded."),
    )
}

/// The statement of [`Statements::drop_losers`].
fn drop_losers(table: &Table) -> String {
    format!(
        "with gone as ({} returning id, source_hash = ''::bytea as locked)
         select coalesce(array_agg(id) filter (where not locked), '{{}}') from gone",
        Place::of_rows(table).delete()
    )
}

/// [`Merge::Profile`]: as above, judged by `content_hash` and by [`the_later_reading`]. Ids that are only to be locked (losers of merges, rows
/// whose hash alone moves) take part as rows with an empty `source_hash`, so that all locks of the transaction are
/// taken in one order by one statement; what they insert is deleted before the commit.
fn profile(table: &Table, staging: &str) -> String {
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
    format!(
        "with merged as (
           {insert}
           where excluded.source_hash <> ''::bytea
             and stored.content_hash <> excluded.content_hash
             and ({later})
           returning {key} as id, xmax = 0 as inserted, source_hash = ''::bytea as locked, {MODIFIED_AT}
         ){LATE}
         select
           count(*) filter (where inserted and not locked),
           count(*) filter (where not inserted),
           coalesce(array_agg(id) filter (where inserted and not locked), '{{}}'),
           (select count(*) from late),
           (select max(seconds) from late){updated}
         from merged",
        insert = insert_or_update(table, &[ASKED_AT], &incoming),
        updated = if table.children.is_empty() {
            ""
        } else {
            ", coalesce(array_agg(id) filter (where not inserted), '{}')"
        },
        later = the_later_reading(),
        key = quoted(table.key[0]),
    )
}

/// [`Merge::Occurrence`]: insert what is missing.
fn occurrence(table: &Table, staging: &str) -> String {
    format!(
        "with merged as (
           insert into blueconic.{name} ({columns}, {SYNCED_AT})
           select {columns}, $1 from {staging} order by {order}
           on conflict ({key}) do nothing
           returning 1
         )
         select count(*), 0::bigint from merged",
        name = quoted(table.name),
        columns = names(table, ""),
        order = key_in_order(table),
        key = key(table),
    )
}

/// Whether an incoming profile takes the place of the stored one. Dates of the tenant's fall and vanish (a copy that was
/// restored, consent that was withdrawn), so that they decide only where two readings went on at once:
///
/// - What a full walk asked for after the stored row was there was read later, whatever the dates say. A row that
///   another full walk or a look-up brought is as old as its request; of one that an increment brought nobody knows
///   how old the tenant's search index was, so that the moment of storing counts.
/// - What was asked for before, and what an increment brings (no `asked_at`), takes its place unless it is older by
///   `modified_at`; none is older than any, and of equal ones the later merge wins. Not so if this walk itself brought
///   the stored row from a page that it asked for later: two lanes may load two pages in either order. A time ahead of
///   this transaction's is of a clock that was set back since, and says nothing.
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

fn staged_months(table: &Table, staging: &str) -> Option<String> {
    let (Merge::Occurrence, Some(moment)) = (table.merge, moment(table)) else {
        return None;
    };
    Some(format!(
        "select distinct date_trunc('month', {0} at time zone 'UTC') at time zone 'UTC' from {staging}",
        quoted(moment.name)
    ))
}

/// The column by which a table of occurrences is partitioned: the time in its key.
fn moment(table: &Table) -> Option<&Column> {
    table
        .columns
        .iter()
        .find(|column| column.kind == ColumnKind::Timestamptz && table.key.contains(&column.name))
}

/// What a sweep asks of a table: `$1` the walk, `$2` when it was opened.
#[derive(Debug)]
pub(crate) struct SweepStatements {
    /// How many rows the walk (`$1` alone) did not see, whenever they were loaded.
    pub(crate) missing: String,
    /// Finds the candidates and writes them down. One row: all rows, and the candidates among them.
    pub(crate) candidates: String,
    /// Ids that would go after `$3`, at most `$4`.
    pub(crate) unseen: String,
    /// Locks those of the ids `$3` that may go, in order.
    pub(crate) lock: String,
    /// Deletes those of the ids `$3` that still may, and gives back their ids.
    pub(crate) remove: String,
    /// Take out what leaves with them, as [`leaving::deletes_below`].
    pub(crate) deletes_below: Vec<String>,
}

impl SweepStatements {
    /// All of a table's.
    pub(crate) fn of(table: &Table) -> Self {
        let name = relation(table);
        let id = quoted(table.key[0]);
        let not_seen = format!(
            "not exists (select from sync.walk_seen as seen where seen.walk_id = $1 and seen.id = stored.{id})"
        );
        // What was loaded or protected since the candidates were written down stays.
        let still = format!(
            "stored.{SYNCED_AT} < $2
             and not exists (
               select from sync.walk_seen as seen where seen.walk_id = $1 and seen.id = stored.{id} and not seen.read
             )"
        );
        let may_go = format!(
            "exists (select from sync.walk_unseen as u where u.walk_id = $1 and u.id = stored.{id}) and {still}"
        );
        Self {
            // The index alone answers; the usual answer is none.
            missing: format!("select count(*) from {name} as stored where {not_seen}"),
            candidates: format!(
                "with former as (delete from sync.walk_unseen where walk_id = $1),
                 found as (
                   insert into sync.walk_unseen (walk_id, id)
                   select $1, stored.{id} from {name} as stored where stored.{SYNCED_AT} < $2 and {not_seen}
                   returning 1
                 )
                 select (select count(*) from {name}), (select count(*) from found)"
            ),
            unseen: format!(
                "select u.id from sync.walk_unseen as u join {name} as stored on stored.{id} = u.id
                 where u.walk_id = $1 and u.id > $3 and {still}
                 order by u.id limit $4"
            ),
            lock: format!(
                "select stored.{id} from {name} as stored where stored.{id} = any ($3) and {may_go}
                 order by stored.{id} for update"
            ),
            remove: format!(
                "delete from {name} as stored where stored.{id} = any ($3) and {may_go} returning stored.{id}"
            ),
            deletes_below: leaving::deletes_below(table),
        }
    }
}

/// Whether a table has no row.
pub(crate) fn emptiness_of(table: &Table) -> String {
    format!("select not exists (select from {})", relation(table))
}

/// How many profiles there are, of at most `$1`.
pub(crate) const HAS_ROWS: &str = "select count(*) from (select from blueconic.profiles limit $1) as few";

/// How many rows a table has.
pub(crate) fn count_of(table: &Table) -> String {
    count_in(table.name)
}

/// How many rows a table or partition of the schema `blueconic` has.
pub(crate) fn count_in(name: &str) -> String {
    format!("select count(*) from blueconic.{}", quoted(name))
}

/// Which of the loaded profiles `$1` carry an alias or a tombstone, and whether the alias was noticed since the walk began
/// (`$2`); a later statement than the merge, so that it sees what a concurrent transaction committed while the merge
/// waited for its locks. The ids go as one array, which is looked up in the index id by id.
pub(crate) const GONE_BEFORE: &str = "
select a.profile_id, a.noticed_at >= $2
from blueconic.profile_aliases as a where a.profile_id = any ($1)
union all
select t.profile_id, false
from blueconic.profile_tombstones as t where t.profile_id = any ($1)";

/// A loaded profile of `$1` that is there now is neither gone nor merged away.
pub(crate) const FORGET_RETURNED: &str = "
with unburied as (
  delete from blueconic.profile_tombstones as t
  where t.profile_id = any ($1)
    and exists (select from blueconic.profiles as stored where stored.id = t.profile_id)
)
delete from blueconic.profile_aliases as a
where a.profile_id = any ($1)
  and exists (select from blueconic.profiles as stored where stored.id = a.profile_id)";

/// A staged profile that turned out to mean the same lends the row its `source_hash`, so that the next walk need not
/// decode it.
pub(crate) const ADOPT_SOURCE_HASH: &str = "
update blueconic.profiles as stored set source_hash = incoming.source_hash
from pg_temp.staged_profiles as incoming
where stored.id = incoming.id
  and stored.content_hash = incoming.content_hash
  and stored.source_hash <> incoming.source_hash";

/// Stored audit events with a former key `$1` at their date `$4` take the keys `$2` and numbers `$3` of those that are not
/// stored yet, in order.
pub(crate) const REKEY_STORED: &str = "
with incoming as (
  select i.*, row_number() over (partition by i.former, i.at order by i.event_key, i.occurrence) as place
  from unnest($1::bytea[], $2::bytea[], $3::integer[], $4::timestamptz[]) as i (former, event_key, occurrence, at)
  where not exists (
    select from blueconic.audit_events as e
    where e.event_key = i.event_key and e.occurrence = i.occurrence and e.occurred_at = i.at
  )
), stored as (
  select e.event_key, e.occurrence, e.occurred_at,
    row_number() over (partition by e.event_key, e.occurred_at order by e.occurrence) as place
  from blueconic.audit_events as e
  where exists (select from incoming as i where i.former = e.event_key and i.at = e.occurred_at)
)
, gone as (
  delete from blueconic.audit_events as e
  using stored as s
  join incoming as i on i.former = s.event_key and i.at = s.occurred_at and i.place = s.place
  where e.event_key = s.event_key and e.occurrence = s.occurrence and e.occurred_at = s.occurred_at
  returning e.*, i.event_key as new_key, i.occurrence as new_occurrence
)
insert into blueconic.audit_events
  (occurred_at, event_key, occurrence, user_name, application, object_type, operation, ip_address, objects, synced_at)
select g.occurred_at, g.new_key, g.new_occurrence, g.user_name, g.application, g.object_type, g.operation, g.ip_address,
  g.objects, sync.clock()
from gone as g";

/// Staged audit events with the key `$1` and number `$2` get the key `$3` and number `$4`.
pub(crate) const REKEY_STAGED: &str = "
update pg_temp.staged_audit_events as e set event_key = r.new_key, occurrence = r.new_occurrence
from unnest($1::bytea[], $2::integer[], $3::bytea[], $4::integer[]) as r (event_key, occurrence, new_key, new_occurrence)
where e.event_key = r.event_key and e.occurrence = r.occurrence";

/// What staged audit events are about: ids and names, each once.
pub(crate) const STAGED_OBJECTS: &str = "
select distinct word.said
from pg_temp.staged_audit_events as e
cross join lateral jsonb_array_elements(e.objects) as object
cross join lateral (values (object ->> 'id'), (object ->> 'name')) as word (said)
where word.said <> ''";

/// Takes the objects that name one of `$1` out of staged audit events.
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
