//! The SQL of recorded histories, one description for each: where its intervals are, and what they are made from. A statement compares
//! what rows were before a load with what they are now, so that only what differs is written.

/// A recorded history.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordedHistory {
    /// Its name in `sync.histories`.
    pub(crate) name: &'static str,
    /// The table of its intervals.
    pub(crate) table: &'static str,
    /// The columns that, with the profile, tell intervals apart that may overlap.
    key: &'static [&'static str],
    /// The columns with a value of which one is valid at a time.
    value: &'static [&'static str],
    /// Whether it is of lifecycle stages, which have a table of their own.
    pub(crate) is_of_stages: bool,
    /// What a row `r` has, as `selected` and what follows from `r`.
    selected: &'static str,
    /// What follows `r` in the `from` clause; `h` is the row of `sync.histories`.
    joined: &'static str,
}

/// All of them.
pub(crate) static ALL: [RecordedHistory; 4] = [
    RecordedHistory {
        name: "segments",
        table: "sync.segment_intervals",
        key: &["segment_id"],
        value: &[],
        is_of_stages: false,
        selected: "r.id as profile_id, u.segment_id",
        joined: "cross join lateral unnest(r.segment_ids) as u (segment_id) join sync.histories as h on true",
    },
    RecordedHistory {
        name: "consent",
        table: "sync.consent_intervals",
        key: &["objective_id", "state"],
        value: &[],
        is_of_stages: false,
        selected: "r.id as profile_id, o.objective_id, o.state",
        joined: "cross join lateral unnest(
             r.consented_objectives || r.refused_objectives,
             array_fill('consented'::text, array[cardinality(r.consented_objectives)])
               || array_fill('refused'::text, array[cardinality(r.refused_objectives)])
           ) as o (objective_id, state)
           join sync.histories as h on true",
    },
    RecordedHistory {
        name: "properties",
        table: PROPERTIES,
        key: &["property_id"],
        value: &["all_values"],
        is_of_stages: false,
        selected: "r.id as profile_id, h.property_id, array(
             select v.value from jsonb_array_elements_text(r.properties -> h.property_id) with ordinality as v (value, place)
             order by v.place
           ) as all_values",
        joined: "join sync.histories as h on r.properties ? h.property_id",
    },
    RecordedHistory {
        name: "lifecycle_stages",
        table: "sync.stage_intervals",
        key: &["lifecycle_id", "stage_id"],
        value: &[],
        is_of_stages: true,
        selected: "r.id as profile_id, r.lifecycle_id, r.stage_id",
        joined: "join sync.histories as h on true",
    },
];

/// The table of the profiles that came while histories were recorded.
pub(crate) const ARRIVED: &str = "sync.profile_arrivals";

/// Records that the profiles `$2` came at `$1`.
pub(crate) const ARRIVE: &str = "
insert into sync.profile_arrivals as a (profile_id, arrived_at)
select n.id, $1::timestamptz from unnest($2::text[]) as n (id) order by n.id
on conflict (profile_id) do update set arrived_at = excluded.arrived_at";

/// Those of the profiles `$1` with an interval in one of the tables.
pub(crate) fn were_there(tables: &[&str]) -> String {
    let of =
        |table: &&str| format!("select i.profile_id from {table} as i where i.profile_id = any ($1::text[])");
    tables.iter().map(of).collect::<Vec<_>>().join(" union ")
}

/// Deletes what the table has of the profiles `$1`.
pub(crate) fn forget(table: &str) -> String {
    format!("delete from {table} where profile_id = any ($1::text[])")
}

/// The table with the values of properties.
pub(crate) const PROPERTIES: &str = "sync.property_intervals";

/// What is kept of a row `p` of `profiles` to compare it with the row that takes its place, as a JSON object.
pub(crate) const FORMER_ROW: &str = "jsonb_build_object(
     'id', p.id, 'segment_ids', p.segment_ids,
     'consented_objectives', p.consented_objectives, 'refused_objectives', p.refused_objectives,
     'properties', coalesce((
       select jsonb_object_agg(h.property_id, p.properties -> h.property_id)
       from sync.histories as h
       where h.history = 'properties' and h.recorded_since is not null and p.properties ? h.property_id
     ), '{}')
   )";

/// Whether the row `m` that takes the place of the row `p` differs from it in what any history is made from.
pub(crate) const DIFFERS: &str = "(
     (p.segment_ids, p.consented_objectives, p.refused_objectives)
       is distinct from (m.segment_ids, m.consented_objectives, m.refused_objectives)
     or exists (
       select from sync.histories as h
       where h.history = 'properties' and h.recorded_since is not null
         and p.properties -> h.property_id is distinct from m.properties -> h.property_id
     )
   )";

/// The rows that were kept, which are `$3`.
const FORMER_ROWS: &str = "jsonb_to_recordset($3::text::jsonb) as r
   (id text, segment_ids text[], consented_objectives text[], refused_objectives text[], properties jsonb)";
const FORMER_STAGES: &str =
    "jsonb_to_recordset($3::text::jsonb) as r (id text, lifecycle_id text, stage_id text)";
const STAGES: &str = "(select s.profile_id, s.lifecycle_id, s.stage_id from blueconic.profile_lifecycle_stages as s) as r (id, lifecycle_id, stage_id)";

impl RecordedHistory {
    /// The names of its columns.
    fn columns(&self) -> Vec<&'static str> {
        let own = self.key.iter().chain(self.value).copied();
        std::iter::once("profile_id").chain(own).collect()
    }

    /// The columns of `row`.
    fn columns_of(&self, row: &str) -> String {
        let columns = self.columns().into_iter().map(|name| format!("{row}.{name}"));
        columns.collect::<Vec<_>>().join(", ")
    }

    /// What the profiles `$2` have in these rows, and since when that is recorded.
    fn of(&self, rows: &str) -> String {
        let Self {
            name,
            selected,
            joined,
            ..
        } = self;
        format!(
            "select {selected}, h.recorded_since
             from {rows}
             {joined}
             where r.id = any ($2::text[]) and h.history = '{name}' and h.recorded_since is not null"
        )
    }

    fn former(&self) -> String {
        self.of(if self.is_of_stages {
            FORMER_STAGES
        } else {
            FORMER_ROWS
        })
    }

    fn current(&self) -> String {
        self.of(if self.is_of_stages {
            STAGES
        } else {
            "blueconic.profiles as r"
        })
    }

    /// The condition under which the interval `s` is of the same thing as `other`.
    fn same_key(&self, other: &str) -> String {
        let names = std::iter::once(&"profile_id").chain(self.key);
        let same: Vec<String> = names.map(|name| format!("s.{name} = {other}.{name}")).collect();
        same.join(" and ")
    }

    /// Ends what the profiles `$2` had before (`$3`) and have no longer, at `$1`. An interval that would have no length is deleted. What was
    /// there when recording began, or when the profile came, gets its row now. The open intervals are read first: on a distributed table a
    /// statement sees what its other parts have written.
    pub(crate) fn end(&self) -> String {
        let (table, columns) = (self.table, self.columns().join(", "));
        let (former, current, same) = (self.former(), self.current(), self.same_key("e"));
        let own = self.columns_of("e");
        format!(
            "with ended as materialized ({former} except {current}),
             open as materialized (
               select s.* from {table} as s where s.profile_id = any ($2::text[]) and s.valid_to is null
             ),
             arrived as materialized (
               select a.profile_id, a.arrived_at from {ARRIVED} as a where a.profile_id = any ($2::text[])
             ),
             closed as (
               update {table} as s set valid_to = $1::timestamptz from ended as e
               where {same} and s.valid_to is null and s.valid_from < $1
             ),
             undone as (
               delete from {table} as s using ended as e
               where {same} and s.valid_to is null and s.valid_from >= $1
             )
             insert into {table} ({columns}, valid_from, valid_to)
             select {own}, greatest(e.recorded_since, a.arrived_at), $1
             from ended as e
             left join arrived as a on a.profile_id = e.profile_id
             where greatest(e.recorded_since, a.arrived_at) < $1 and not exists (select from open as s where {same})
             order by {own}
             on conflict do nothing"
        )
    }

    /// Begins what the profiles `$2` have now and did not have before (`$3`), at `$1`, or where a clock was set back, when the last
    /// interval ended.
    pub(crate) fn begin(&self) -> String {
        let (table, columns) = (self.table, self.columns().join(", "));
        let (former, current, same) = (self.former(), self.current(), self.same_key("b"));
        let keys = std::iter::once("profile_id").chain(self.key.iter().copied());
        let keys: Vec<String> = keys.map(|name| format!("s.{name}")).collect();
        let own = self.columns_of("b");
        format!(
            "with begun as materialized ({current} except {former}),
             last as materialized (
               select {keys}, max(s.valid_to) as ended_at from {table} as s where s.profile_id = any ($2::text[]) group by {keys}
             )
             insert into {table} ({columns}, valid_from)
             select {own}, greatest($1::timestamptz, b.recorded_since, s.ended_at)
             from begun as b
             left join last as s on {same}
             order by {own}
             on conflict do nothing",
            keys = keys.join(", ")
        )
    }
}

/// Keeps the rows of the profiles `$1`, which this transaction has locked.
pub(crate) fn keep_rows() -> String {
    format!(
        "select coalesce(jsonb_agg({FORMER_ROW}), '[]')::text from blueconic.profiles as p where p.id = any ($1::text[])"
    )
}

/// The same where profiles are distributed: with all properties, since the names of the recorded ones are on another server.
pub(crate) const KEEP_WHOLE_ROWS: &str = "
select coalesce(jsonb_agg(jsonb_build_object(
  'id', p.id, 'segment_ids', p.segment_ids,
  'consented_objectives', p.consented_objectives, 'refused_objectives', p.refused_objectives, 'properties', p.properties
)), '[]')::text from blueconic.profiles as p where p.id = any ($1::text[])";

/// The same of their lifecycle stages.
pub(crate) const KEEP_STAGES: &str = "
select coalesce(jsonb_agg(jsonb_build_object('id', s.profile_id, 'lifecycle_id', s.lifecycle_id, 'stage_id', s.stage_id)), '[]')::text
from blueconic.profile_lifecycle_stages as s where s.profile_id = any ($1::text[])";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_told_apart_by_their_keys_alone() {
        let of = |name: &str| {
            ALL.iter()
                .find(|one| one.name == name)
                .map(|one| one.same_key("e"))
        };
        let expected = "s.profile_id = e.profile_id and s.property_id = e.property_id";
        assert_eq!(of("properties").as_deref(), Some(expected));
        let expected =
            "s.profile_id = e.profile_id and s.objective_id = e.objective_id and s.state = e.state";
        assert_eq!(of("consent").as_deref(), Some(expected));
    }
}
