-- What each column of the analysts' tables and views means, from the same facts as the tables themselves: comments, types and keys of the
-- database, the tenant's catalogue of properties, and the program's own descriptions of what it reads.

alter table sync.resources add column fields text not null default '';
comment on column sync.resources.fields is 'Where the columns of its tables come from, one line each: table, column, path of the listing, place of the value in an element.';

-- A column is joined by its name. A table of a later release needs no line here where it uses these names.
create view blueconic.data_dictionary as
select
  c.relname::text as relation,
  case when c.relkind = 'v' then 'view' else 'table' end as kind,
  row_number() over (partition by c.oid order by a.attnum)::integer as position,
  a.attname::text as column_name,
  format_type(a.atttypid, a.atttypmod) as type,
  case when c.relkind <> 'v' then not a.attnotnull end as is_nullable,
  exists (
    select from pg_catalog.pg_index as i where i.indrelid = c.oid and i.indisprimary and a.attnum = any (i.indkey::smallint[])
  ) as is_key,
  col_description(c.oid, a.attnum) as description,
  obj_description(c.oid, 'pg_class') as relation_description,
  j.target as joins_relation,
  case when j.target is not null then 'id' end as joins_column,
  f.path as source_path,
  f.field as source_field,
  w.property_id,
  p.name as property_name,
  p.filter_type as property_type,
  p.data_sensitivity,
  p.permission_level
from pg_catalog.pg_class as c
join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
left join (
  select
    split_part(line, ' ', 1) as table_name, split_part(line, ' ', 2) as column_name,
    split_part(line, ' ', 3) as path, split_part(line, ' ', 4) as field
  from sync.resources as r
  cross join lateral string_to_table(r.fields, E'\n') as line
) as f on f.table_name = c.relname and f.column_name = a.attname
left join sync.property_columns as w on w.column_name = a.attname and c.relname ~ '^profiles_wide(_[0-9]+)?$'
left join blueconic.profile_properties as p on p.id = w.property_id
left join (
  values
    ('profile_id', 'profiles'), ('survivor_id', 'profiles'), ('loser_id', 'profiles'), ('current_id', 'profiles'),
    ('example_profile_id', 'profiles'), ('segment_id', 'segments'), ('segment_ids', 'segments'), ('inverse_of', 'segments'),
    ('inversed_by', 'segments'), ('property_id', 'profile_properties'), ('objective_id', 'objectives'),
    ('consented_objectives', 'objectives'), ('refused_objectives', 'objectives'), ('channel_id', 'channels'),
    ('connection_id', 'connections'), ('content_store_id', 'content_stores'), ('dialogue_id', 'dialogues'),
    ('event_type_id', 'timeline_event_types'), ('event_type_ids', 'timeline_event_types'), ('group_id', 'groups'),
    ('group_type_id', 'group_types'), ('lifecycle_id', 'lifecycles'), ('notebook_id', 'notebooks'), ('plugin_id', 'plugins')
) as named (column_name, target) on named.column_name = a.attname
cross join lateral (
  select case
    when named.target is not null then named.target
    when a.attname = 'id' and c.relname ~ '^profiles_(wide(_[0-9]+)?|json)$' then 'profiles'
  end as target
) as j
where c.relnamespace = 'blueconic'::regnamespace
  and c.relkind in ('r', 'p', 'v')
  and not c.relispartition
  and c.relname !~ '^profile_columns_[0-9]+$'
  and a.attname not in ('source_hash', 'content_hash')
  and has_column_privilege(c.oid, a.attnum, 'select');
comment on view blueconic.data_dictionary is 'What each column means: one row for each column of each table and view that you may read, without partitions, hashes that only serve the loads, and the tables behind profiles_wide.';
comment on column blueconic.data_dictionary.relation is 'The table or view.';
comment on column blueconic.data_dictionary.kind is 'table or view.';
comment on column blueconic.data_dictionary.position is 'The place of the column, from 1 on.';
comment on column blueconic.data_dictionary.column_name is 'The column.';
comment on column blueconic.data_dictionary.type is 'Its type in PostgreSQL.';
comment on column blueconic.data_dictionary.is_nullable is 'Whether it may be null; null for a view, of which PostgreSQL does not know it.';
comment on column blueconic.data_dictionary.is_key is 'Whether it is of the primary key; false for all columns of a view.';
comment on column blueconic.data_dictionary.description is 'What it holds.';
comment on column blueconic.data_dictionary.relation_description is 'What the table or view holds.';
comment on column blueconic.data_dictionary.joins_relation is 'The table whose rows it names, for a join. An array names several. A row may name one that is gone, or not read yet.';
comment on column blueconic.data_dictionary.joins_column is 'The column of that table.';
comment on column blueconic.data_dictionary.source_path is 'The path of the tenant''s API that lists it; null for what the program computes, and for views.';
comment on column blueconic.data_dictionary.source_field is 'The place of the value in an element of that listing; * for all members that have no column of their own.';
comment on column blueconic.data_dictionary.property_id is 'The profile property that the column of profiles_wide holds.';
comment on column blueconic.data_dictionary.property_name is 'Its name at the tenant.';
comment on column blueconic.data_dictionary.property_type is 'Its type at the tenant.';
comment on column blueconic.data_dictionary.data_sensitivity is 'Whether it is personal data at the tenant: PII or NON_PII.';
comment on column blueconic.data_dictionary.permission_level is 'The level that a profile needs for it at the tenant: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';

-- From the planner's samples alone, so that it costs the same with any number of profiles. The views pg_stats and pg_class show a reader
-- only what the reader may read, so this view shows no value of a column that is closed to the reader.
create view blueconic.quality as
select
  w.property_id,
  p.name as property_name,
  p.filter_type as property_type,
  w.column_name,
  w.kind as column_type,
  p.profile_count as profiles_by_the_tenant,
  o.rows as profiles,
  case when o.rows > 0 and s.null_frac is not null and t.rows is not null
    then least((1 - s.null_frac::numeric) * t.rows / o.rows, 1)
  end as filled_share,
  case when s.n_distinct < 0 then round(-s.n_distinct::numeric * t.rows) else s.n_distinct::numeric end::bigint as distinct_values,
  case when b.null_frac is not null then (1 - b.null_frac::numeric) * coalesce(m.share, 0) end as misfit_share,
  e.minimum,
  e.maximum,
  t.sampled_at
from sync.property_columns as w
left join blueconic.profile_properties as p on p.id = w.property_id
cross join lateral (select 'profile_columns_' || w.table_number as name) as n
-- The first table has a row for each profile. Another one may have fewer.
left join lateral (
  select case when c.reltuples >= 0 then c.reltuples::bigint end as rows
  from pg_catalog.pg_class as c
  where c.relnamespace = 'blueconic'::regnamespace and c.relname = 'profile_columns_1'
) as o on true
left join lateral (
  select
    case when c.reltuples >= 0 then c.reltuples::bigint end as rows,
    greatest(pg_stat_get_last_analyze_time(c.oid), pg_stat_get_last_autoanalyze_time(c.oid)) as sampled_at
  from pg_catalog.pg_class as c
  where c.relnamespace = 'blueconic'::regnamespace and c.relname = n.name
) as t on true
left join pg_catalog.pg_stats as s on s.schemaname = 'blueconic' and s.tablename = n.name and s.attname = w.column_name
left join pg_catalog.pg_stats as b on b.schemaname = 'blueconic' and b.tablename = 'profile_columns_1' and b.attname = 'problems'
left join lateral (
  select sum(of_problem.share::numeric) as share
  from unnest(b.most_common_elems::text::text[], b.most_common_elem_freqs) as of_problem (problem, share)
  where of_problem.problem like replace(replace(replace(w.property_id, '\', '\\'), '%', '\%'), '_', '\_') || ':%'
    and strpos(right(of_problem.problem, -length(w.property_id) - 1), ':') = 0
) as m on true
left join lateral (
  select
    case w.kind
      when 'bigint' then min(case when w.kind = 'bigint' then one.value::bigint end)::text
      when 'numeric' then min(case when w.kind = 'numeric' then one.value::numeric end)::text
      when 'timestamptz' then min(case when w.kind = 'timestamptz' then one.value::timestamptz end)::text
      else left(min(one.value collate "C"), 100)
    end as minimum,
    case w.kind
      when 'bigint' then max(case when w.kind = 'bigint' then one.value::bigint end)::text
      when 'numeric' then max(case when w.kind = 'numeric' then one.value::numeric end)::text
      when 'timestamptz' then max(case when w.kind = 'timestamptz' then one.value::timestamptz end)::text
      else left(max(one.value collate "C"), 100)
    end as maximum
  from unnest(s.histogram_bounds::text::text[] || s.most_common_vals::text::text[]) as one (value)
) as e on true
where w.is_listed and not w.is_all;
comment on view blueconic.quality is 'How well each property is filled: one row for each listed property and column of profiles_wide, from the planner''s samples of the tables (analyze). It reads no profile, so all shares and amounts are estimates, close where a table has fewer rows than a sample (30,000 by default). Null: not sampled yet, or the column is closed to you. value_problems counts values out of type exactly, and reads all profiles for it.';
comment on column blueconic.quality.property_id is 'The property.';
comment on column blueconic.quality.property_name is 'Its name at the tenant.';
comment on column blueconic.quality.property_type is 'Its type at the tenant.';
comment on column blueconic.quality.column_name is 'Its column in profiles_wide. A property whose type changed has several.';
comment on column blueconic.quality.column_type is 'The type of the column.';
comment on column blueconic.quality.profiles_by_the_tenant is 'How many profiles have a value, as the tenant says.';
comment on column blueconic.quality.profiles is 'How many profiles there are, estimated.';
comment on column blueconic.quality.filled_share is 'The share of profiles with a value that fits the type, from 0 to 1, estimated.';
comment on column blueconic.quality.distinct_values is 'How many different values there are, estimated. Each text of more than 1,024 bytes counts as different.';
comment on column blueconic.quality.misfit_share is 'The share of profiles with a value that does not fit the type, from 0 to 1, estimated. A problem that is rare may be missing from the sample.';
comment on column blueconic.quality.minimum is 'The smallest value of the sample as a text; texts by their bytes, and the first 100 characters of them. Values of more than 1,024 bytes do not count, and of a hundred values or less one that is rare may be missing.';
comment on column blueconic.quality.maximum is 'The largest value of the sample as a text, likewise.';
comment on column blueconic.quality.sampled_at is 'When the samples were taken.';

create view blueconic.connection_run_statistics as
select r.connection_id, r.run_id, s.place::integer as position, s.statistic ->> 'id' as statistic,
  case when s.statistic #>> '{values,0}' ~ '^-?[0-9]{1,18}$' then (s.statistic #>> '{values,0}')::bigint end as amount,
  s.statistic #>> '{values,0}' as value
from blueconic.connection_runs as r
cross join lateral jsonb_array_elements(
  case jsonb_typeof(r.goal_statistics) when 'array' then r.goal_statistics end
) with ordinality as s (statistic, place);
comment on view blueconic.connection_run_statistics is 'What runs of connections counted, such as profiles that came in or went out: one row for each run and statistic.';
comment on column blueconic.connection_run_statistics.connection_id is 'The connection.';
comment on column blueconic.connection_run_statistics.run_id is 'The run.';
comment on column blueconic.connection_run_statistics.position is 'The place of the statistic among those of the run, from 1 on.';
comment on column blueconic.connection_run_statistics.statistic is 'The id of the statistic, as the tenant names it.';
comment on column blueconic.connection_run_statistics.amount is 'Its first value as a whole number; null if it is none.';
comment on column blueconic.connection_run_statistics.value is 'Its first value as it came.';

create view blueconic.lifecycle_stages as
select l.id as lifecycle_id, s.stage ->> 'identifier' as stage_id, s.place::integer as position, s.stage ->> 'name' as name
from blueconic.lifecycles as l
cross join lateral jsonb_array_elements(case jsonb_typeof(l.stages) when 'array' then l.stages end) with ordinality as s (stage, place);
comment on view blueconic.lifecycle_stages is 'The stages of lifecycles in their order, one row each.';
comment on column blueconic.lifecycle_stages.lifecycle_id is 'The lifecycle.';
comment on column blueconic.lifecycle_stages.stage_id is 'The stage.';
comment on column blueconic.lifecycle_stages.position is 'Its place among the stages, from 1 on.';
comment on column blueconic.lifecycle_stages.name is 'Its name.';

-- The same rows without hashes, and with bytes and UUIDs as texts, for tools that cannot write them as JSON.

create view blueconic.profiles_plain as
select
  t.id,
  t.created_at,
  t.modified_at,
  t.privacy_legislation,
  t.permission_level,
  t.consented_objectives,
  t.refused_objectives,
  t.segment_ids,
  t.properties,
  t.synced_at,
  t.asked_at
from blueconic.profiles as t;
comment on view blueconic.profiles_plain is 'profiles without hashes, for tools that cannot write bytes as JSON. Profiles that exist now. One that is gone leaves this table: see profile_aliases and profile_tombstones.';
comment on column blueconic.profiles_plain.id is 'The profile''s id at the tenant.';
comment on column blueconic.profiles_plain.created_at is 'When it was made at the tenant (creationDate, else the property creationdate).';
comment on column blueconic.profiles_plain.modified_at is 'When it last changed at the tenant (the property lastmodifieddate).';
comment on column blueconic.profiles_plain.privacy_legislation is 'The legislation under which it was collected, such as GDPR.';
comment on column blueconic.profiles_plain.permission_level is 'What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.profiles_plain.consented_objectives is 'Objectives consented to; empty when there are none.';
comment on column blueconic.profiles_plain.refused_objectives is 'Objectives refused; empty when there are none.';
comment on column blueconic.profiles_plain.segment_ids is 'Ids of the segments it is in; profile_segments unnests them, segment_members() finds by one.';
comment on column blueconic.profiles_plain.properties is 'Property id to its values, an array of texts in the order in which they came (a null that came stays one): {"email": ["a@b.example"], "visits": ["3"]}.';
comment on column blueconic.profiles_plain.synced_at is 'When the load began that last changed this row: the start of its transaction, not its commit. Not a feed of changes: loads run side by side, and one that commits later may carry an earlier time, so `synced_at > the last one seen` misses rows, and a removed row leaves none. To follow changes, read back by more than the longest transaction took, and compare content_hash; removals are in profile_tombstones.';
comment on column blueconic.profiles_plain.asked_at is 'When a full walk or a look-up sent the request that brought this row (the database''s clock); null if an increment did, or a version before 0010. A row that is read again unchanged keeps it.';

create view blueconic.profile_tombstones_plain as
select
  t.profile_id,
  t.reason,
  t.survivor_id,
  t.noticed_at,
  t.run_id::text as run_id
from blueconic.profile_tombstones as t;
comment on view blueconic.profile_tombstones_plain is 'profile_tombstones without hashes, for tools that cannot write bytes as JSON. Profiles that are gone, without any of their data. One that returns leaves this table.';
comment on column blueconic.profile_tombstones_plain.profile_id is 'The id of the profile that is gone.';
comment on column blueconic.profile_tombstones_plain.reason is 'deleted: the tenant has it no more; merged: it lost a merge; out_of_scope: it left the walked segment.';
comment on column blueconic.profile_tombstones_plain.survivor_id is 'For merged: the id that remained.';
comment on column blueconic.profile_tombstones_plain.noticed_at is 'When the service learned of it.';
comment on column blueconic.profile_tombstones_plain.run_id is 'The run that removed it (sync.runs.id).';

create view blueconic.consent_history_plain as
select
  t.profile_id,
  t.events,
  t.not_stored,
  t.detail,
  t.synced_at
from blueconic.consent_history as t;
comment on view blueconic.consent_history_plain is 'consent_history without hashes, for tools that cannot write bytes as JSON. The profiles whose history of consent was read, one row each; the events are in consent_events. Empty unless resources.consent_history is on.';
comment on column blueconic.consent_history_plain.profile_id is 'The profile''s id.';
comment on column blueconic.consent_history_plain.events is 'How many events the tenant listed; consent_events may hold older ones, too.';
comment on column blueconic.consent_history_plain.not_stored is 'How many of them are not in consent_events, since they have no date or type or cannot be read.';
comment on column blueconic.consent_history_plain.detail is 'What is wrong with the first of the events that are not stored.';
comment on column blueconic.consent_history_plain.synced_at is 'When this row last changed here.';

create view blueconic.audit_events_plain as
select
  t.occurred_at,
  encode(t.event_key, 'hex') as event_key,
  t.occurrence,
  t.user_name,
  t.application,
  t.object_type,
  t.operation,
  t.ip_address,
  t.objects,
  t.synced_at
from blueconic.audit_events as t;
comment on view blueconic.audit_events_plain is 'audit_events without hashes, for tools that cannot write bytes as JSON. The tenant''s audit log, one partition a month (UTC). Rows never change, except that an erased person leaves objects. Stretches that cannot be known are counted in freshness.open_gaps.';
comment on column blueconic.audit_events_plain.occurred_at is 'When it happened, to the microsecond where the tenant tells it so fine.';
comment on column blueconic.audit_events_plain.event_key is 'SHA-256 over the event, its date as fine as it came and a renamed value as it was before: the tenant gives events no id, in hexadecimal.';
comment on column blueconic.audit_events_plain.occurrence is '0, 1, 2 … where the tenant has several events that are alike.';
comment on column blueconic.audit_events_plain.user_name is 'Who did it.';
comment on column blueconic.audit_events_plain.application is 'With which application.';
comment on column blueconic.audit_events_plain.object_type is 'On what kind of object, as the tenant called it when the event was first read.';
comment on column blueconic.audit_events_plain.operation is 'What was done.';
comment on column blueconic.audit_events_plain.ip_address is 'From which address, as the tenant wrote it.';
comment on column blueconic.audit_events_plain.objects is 'The objects it was done on: an array of {id, name}, without persons who were erased.';
comment on column blueconic.audit_events_plain.synced_at is 'When the load began that stored this event, or last took an erased person out of it. Not a feed of changes: see profiles.synced_at.';

create view blueconic.audit_events_named_plain as
select
  t.occurred_at,
  encode(t.event_key, 'hex') as event_key,
  t.occurrence,
  t.user_name,
  t.application,
  t.operation,
  t.ip_address,
  t.object_type,
  t.object_place,
  t.object_id,
  t.name_then,
  t.name_now,
  t.table_name
from blueconic.audit_events_named as t;
comment on view blueconic.audit_events_named_plain is 'audit_events_named without hashes, for tools that cannot write bytes as JSON. Audit events with a row for each of their objects, and the name that it has today. An event without objects has one row.';
comment on column blueconic.audit_events_named_plain.occurred_at is 'When it happened.';
comment on column blueconic.audit_events_named_plain.event_key is 'The event, together with occurrence, in hexadecimal.';
comment on column blueconic.audit_events_named_plain.occurrence is 'The number of the event among equal ones.';
comment on column blueconic.audit_events_named_plain.user_name is 'Who did it.';
comment on column blueconic.audit_events_named_plain.application is 'The application through which it was done.';
comment on column blueconic.audit_events_named_plain.operation is 'What was done: CREATE, UPDATE, DELETE, READ, LOGIN and others.';
comment on column blueconic.audit_events_named_plain.ip_address is 'The address from which it was done.';
comment on column blueconic.audit_events_named_plain.object_type is 'The type of the object: SEGMENT, DIALOGUE, CONNECTION and others.';
comment on column blueconic.audit_events_named_plain.object_place is 'The place of the object among those of the event, from 1; null for an event without objects.';
comment on column blueconic.audit_events_named_plain.object_id is 'The id of the object.';
comment on column blueconic.audit_events_named_plain.name_then is 'Its name in the event.';
comment on column blueconic.audit_events_named_plain.name_now is 'Its name of today; null if no table knows the object, or not any more.';
comment on column blueconic.audit_events_named_plain.table_name is 'The table that knows the object today.';

create view blueconic.activity_plain as
select
  t.occurred_at,
  encode(t.event_key, 'hex') as event_key,
  t.occurrence,
  t.who,
  t.operation,
  t.object_type,
  t.objects,
  t.line
from blueconic.activity as t;
comment on view blueconic.activity_plain is 'activity without hashes, for tools that cannot write bytes as JSON. Who did what to which object: audit events as one readable line each, with the names of today.';
comment on column blueconic.activity_plain.occurred_at is 'When it happened.';
comment on column blueconic.activity_plain.event_key is 'The event, together with occurrence: see audit_events, in hexadecimal.';
comment on column blueconic.activity_plain.occurrence is 'The number of the event among equal ones.';
comment on column blueconic.activity_plain.who is 'The person, or the application where no person is named.';
comment on column blueconic.activity_plain.operation is 'What was done, as in audit_events.';
comment on column blueconic.activity_plain.object_type is 'The type of the objects, as in audit_events.';
comment on column blueconic.activity_plain.objects is 'The objects: their names of today, else their names in the event, else their ids.';
comment on column blueconic.activity_plain.line is 'All of it in one line.';
