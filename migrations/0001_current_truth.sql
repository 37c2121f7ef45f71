-- What an analyst reads: the tables of the schema `blueconic`. They hold current truth only; what the service needs
-- for itself stands in `sync` (0002).
--
-- Text keys are `collate "C"`: batches are ordered bytewise, so that any two transactions lock in one order, and an
-- index serves a comparison only under its own collation.
--
-- A reader gets: grant usage on schema blueconic to ROLE; grant select on all tables in schema blueconic to ROLE;
-- alter default privileges in schema blueconic grant select on tables to ROLE. Nothing in `sync`.

create schema if not exists blueconic;
comment on schema blueconic is
  'The BlueConic tenant as it is now, kept equal by blueconic-sync. Read freshness first: it says how far to trust each table.';

create table blueconic.segments (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  profile_count bigint,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  inverse_of text,
  inversed_by text,
  synced_at timestamptz not null
);
comment on table blueconic.segments is 'Segments of the tenant, one row each.';
comment on column blueconic.segments.id is 'The segment''s id at the tenant. Text: not every id is a UUID.';
comment on column blueconic.segments.name is 'Its name.';
comment on column blueconic.segments.description is 'Its description.';
comment on column blueconic.segments.tags is 'Its tags; empty when there are none.';
comment on column blueconic.segments.profile_count is 'Profiles in it, as the tenant counts (may differ a little from profile_segments while the tenant changes).';
comment on column blueconic.segments.creator is 'User name of the person who made it.';
comment on column blueconic.segments.created_at is 'When it was made at the tenant.';
comment on column blueconic.segments.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.segments.inverse_of is 'Id of the segment whose complement this one is.';
comment on column blueconic.segments.inversed_by is 'Id of the segment that is the complement of this one.';
comment on column blueconic.segments.synced_at is 'When this row last changed here.';

create table blueconic.profile_properties (
  id text collate "C" primary key,
  name text,
  description text,
  filter_type text,
  "precision" integer,
  currency text,
  data_sensitivity text,
  permission_level text,
  merge_strategy text,
  indexed boolean,
  tags text[] not null default '{}',
  profile_count bigint,
  created_at timestamptz,
  modified_at timestamptz,
  synced_at timestamptz not null
);
comment on table blueconic.profile_properties is 'The catalogue of profile properties: which keys profiles.properties may have, and of what type their values are.';
comment on column blueconic.profile_properties.id is 'The property''s id, which is its key in profiles.properties.';
comment on column blueconic.profile_properties.name is 'Its name.';
comment on column blueconic.profile_properties.description is 'Its description.';
comment on column blueconic.profile_properties.filter_type is 'Its type as the tenant filters it: RANGE, CURRENCY, DECIMAL, SELECT, EMAIL, DATETIME or None.';
comment on column blueconic.profile_properties."precision" is 'Decimal places of a DECIMAL or CURRENCY.';
comment on column blueconic.profile_properties.currency is 'ISO 4217 code of a CURRENCY.';
comment on column blueconic.profile_properties.data_sensitivity is 'PII or NON_PII; a property may become PII at any time.';
comment on column blueconic.profile_properties.permission_level is 'The consent that storing it takes: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.profile_properties.merge_strategy is 'What a merge of two profiles keeps; BOTH keeps several values.';
comment on column blueconic.profile_properties.indexed is 'Whether the tenant indexes it.';
comment on column blueconic.profile_properties.tags is 'Its tags; empty when there are none.';
comment on column blueconic.profile_properties.profile_count is 'Profiles that have a value of it, as the tenant counts.';
comment on column blueconic.profile_properties.created_at is 'When it was made at the tenant.';
comment on column blueconic.profile_properties.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.profile_properties.synced_at is 'When this row last changed here.';

create table blueconic.profiles (
  id text collate "C" primary key,
  created_at timestamptz,
  modified_at timestamptz,
  privacy_legislation text,
  permission_level text,
  consented_objectives text[] not null default '{}',
  refused_objectives text[] not null default '{}',
  segment_ids text[] not null default '{}',
  properties jsonb not null,
  source_hash bytea not null,
  content_hash bytea not null,
  synced_at timestamptz not null
);
comment on table blueconic.profiles is 'Profiles that exist now. One that is gone leaves this table: see profile_aliases and profile_tombstones.';
comment on column blueconic.profiles.id is 'The profile''s id at the tenant.';
comment on column blueconic.profiles.created_at is 'When it was made at the tenant (creationDate, else the property creationdate).';
comment on column blueconic.profiles.modified_at is 'When it last changed at the tenant (the property lastmodifieddate).';
comment on column blueconic.profiles.privacy_legislation is 'The legislation under which it was collected, such as GDPR.';
comment on column blueconic.profiles.permission_level is 'What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.profiles.consented_objectives is 'Objectives consented to; empty when there are none.';
comment on column blueconic.profiles.refused_objectives is 'Objectives refused; empty when there are none.';
comment on column blueconic.profiles.segment_ids is 'Ids of the segments it is in; profile_segments unnests them, segment_members() finds by one.';
comment on column blueconic.profiles.properties is 'Property id to its values, an array of texts in the order in which they came (a null that came stays one): {"email": ["a@b.example"], "visits": ["3"]}.';
comment on column blueconic.profiles.source_hash is 'Hash over the element''s bytes as they came: equal bytes need no decoding.';
comment on column blueconic.profiles.content_hash is 'Hash over its meaning: equal content needs no writing.';
comment on column blueconic.profiles.synced_at is 'When this row last changed here.';

create table blueconic.profile_aliases (
  profile_id text collate "C" primary key,
  survivor_id text collate "C" not null,
  noticed_at timestamptz not null
);
comment on table blueconic.profile_aliases is 'Ids that were merged away, and into what. Chains are possible: profile_identity follows them.';
comment on column blueconic.profile_aliases.profile_id is 'The id that lost the merge.';
comment on column blueconic.profile_aliases.survivor_id is 'The id that remained (it may have lost another merge since).';
comment on column blueconic.profile_aliases.noticed_at is 'When the service learned of it.';

create table blueconic.profile_tombstones (
  profile_id text collate "C" primary key,
  reason text not null check (reason in ('deleted', 'merged', 'out_of_scope')),
  survivor_id text collate "C",
  noticed_at timestamptz not null,
  run_id uuid
);
comment on table blueconic.profile_tombstones is 'Profiles that are gone, without any of their data. One that returns leaves this table.';
comment on column blueconic.profile_tombstones.profile_id is 'The id of the profile that is gone.';
comment on column blueconic.profile_tombstones.reason is 'deleted: the tenant has it no more; merged: it lost a merge; out_of_scope: it left the walked segment.';
comment on column blueconic.profile_tombstones.survivor_id is 'For merged: the id that remained.';
comment on column blueconic.profile_tombstones.noticed_at is 'When the service learned of it.';
comment on column blueconic.profile_tombstones.run_id is 'The run that removed it (sync.runs.id).';

-- The partition column has to be in the key; event_key, the column to distribute by, is.
create table blueconic.audit_events (
  occurred_at timestamptz not null,
  event_key bytea not null,
  occurrence integer not null,
  user_name text,
  application text,
  object_type text,
  operation text,
  ip_address text,
  objects jsonb,
  synced_at timestamptz not null,
  primary key (event_key, occurrence, occurred_at)
) partition by range (occurred_at);
create index audit_events_occurred_at on blueconic.audit_events (occurred_at);
comment on table blueconic.audit_events is 'The tenant''s audit log, one partition a month (UTC). Rows never change. Stretches that cannot be known are counted in freshness.open_gaps.';
comment on column blueconic.audit_events.occurred_at is 'When it happened, to the millisecond.';
comment on column blueconic.audit_events.event_key is 'SHA-256 over the event: the tenant gives events no id.';
comment on column blueconic.audit_events.occurrence is '0, 1, 2 … where the tenant has several events that are alike.';
comment on column blueconic.audit_events.user_name is 'Who did it.';
comment on column blueconic.audit_events.application is 'With which application.';
comment on column blueconic.audit_events.object_type is 'On what kind of object.';
comment on column blueconic.audit_events.operation is 'What was done.';
comment on column blueconic.audit_events.ip_address is 'From which address, as the tenant wrote it.';
comment on column blueconic.audit_events.objects is 'The objects it was done on: an array of {id, name}.';
comment on column blueconic.audit_events.synced_at is 'When the row was written here.';

create view blueconic.profile_segments as
select p.id as profile_id, membership.segment_id
from blueconic.profiles as p
cross join lateral unnest(p.segment_ids) as membership (segment_id);
comment on view blueconic.profile_segments is 'Which profile is in which segment, one row for each membership.';
comment on column blueconic.profile_segments.profile_id is 'The profile''s id.';
comment on column blueconic.profile_segments.segment_id is 'The segment''s id.';

-- A string body: a `begin atomic` one would break when a column is added to profiles.
create function blueconic.segment_members(segment_id text) returns setof blueconic.profiles
language sql stable parallel safe
as $$ select * from blueconic.profiles where segment_ids @> array[$1] $$;
comment on function blueconic.segment_members(text) is 'The profiles of a segment, found through the index on segment_ids.';

create view blueconic.profile_identity as
with recursive chain (profile_id, current_id, passed) as (
  select a.profile_id, a.survivor_id, array[a.profile_id]
  from blueconic.profile_aliases as a
  union all
  select c.profile_id, a.survivor_id, c.passed || a.profile_id
  from chain as c
  join blueconic.profile_aliases as a on a.profile_id = c.current_id
  where a.profile_id <> all (c.passed)
)
select p.id as profile_id, p.id as current_id
from blueconic.profiles as p
union all
select c.profile_id, case when c.current_id = any (c.passed) then null else c.current_id end
from chain as c
where c.current_id = any (c.passed)
   or not exists (select from blueconic.profile_aliases as a where a.profile_id = c.current_id);
comment on view blueconic.profile_identity is 'Every id that is or was a profile''s, and the id it has now: a row for every current profile and for every alias.';
comment on column blueconic.profile_identity.profile_id is 'A current id, or one that was merged away.';
comment on column blueconic.profile_identity.current_id is 'The id at the end of the chain of merges; null when the tenant''s merges run in a circle.';
