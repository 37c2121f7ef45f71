-- Typed columns of profile properties. The program adds columns and further tables (profile_columns_2, …) as the tenant's catalogue of
-- properties grows, and makes the views anew: `sync.property_columns` remembers every name and type that it ever gave.

create table sync.property_columns (
  column_name text collate "C" not null primary key,
  property_id text collate "C" not null,
  kind text not null check (kind in ('text', 'bigint', 'numeric', 'timestamptz')),
  is_all boolean not null,
  table_number integer not null,
  place integer not null,
  is_listed boolean not null,
  is_identifier boolean not null,
  description text not null,
  unique (property_id, kind, is_all),
  unique (place)
);
comment on table sync.property_columns is 'The typed columns of profile properties, in blueconic.profile_columns_N. A name and a type are given once and stay.';
comment on column sync.property_columns.column_name is 'The column''s name, from the id of the property.';
comment on column sync.property_columns.property_id is 'The property.';
comment on column sync.property_columns.kind is 'Its type: text, bigint, numeric or timestamptz.';
comment on column sync.property_columns.is_all is 'Whether it is an array of all values, null where there are fewer than two. Otherwise it holds the first value.';
comment on column sync.property_columns.table_number is 'The N of its table blueconic.profile_columns_N.';
comment on column sync.property_columns.place is 'Its place among all columns, in the order in which they were added.';
comment on column sync.property_columns.is_listed is 'Whether the tenant lists the property. Otherwise the views show null.';
comment on column sync.property_columns.is_identifier is 'Whether the tenant indexes the property, so that blueconic.profile_identifiers has its values.';
comment on column sync.property_columns.description is 'The comment on the column.';

create table sync.column_layout (
  only_row boolean not null primary key default true check (only_row),
  version bigint not null default 0,
  is_on boolean not null default false,
  has_rest boolean not null default false,
  fill_after text collate "C",
  fill_properties text[]
);
insert into sync.column_layout default values;
comment on table sync.column_layout is 'The state of the typed columns: one row.';
comment on column sync.column_layout.only_row is 'Always true, so that there is one row.';
comment on column sync.column_layout.version is 'Grows with each change of the columns. A load by an older version is repeated.';
comment on column sync.column_layout.is_on is 'Whether loads write typed columns.';
comment on column sync.column_layout.has_rest is 'Whether profiles.properties may lack what typed columns hold. It stays true once it was.';
comment on column sync.column_layout.fill_after is 'The id of the profile up to which stored profiles were filled into new columns; empty: none yet. Null: there is nothing to fill.';
comment on column sync.column_layout.fill_properties is 'The properties whose columns are filled; null: all, in every profile.';

-- Volatile and in plpgsql: it sees what was committed before it was called, after the lock of loads was taken.
create function sync.column_version() returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select case when l.is_on then l.version else -l.version - 1 end from sync.column_layout as l);
end $$;
comment on function sync.column_version() is 'The version of the typed columns; negative while they are off.';

create table blueconic.profile_columns_1 (
  id text collate "C" not null primary key,
  created_at timestamptz,
  modified_at timestamptz,
  privacy_legislation text,
  permission_level text,
  problems text[],
  synced_at timestamptz not null
) with (toast_tuple_target = 8160);
comment on table blueconic.profile_columns_1 is 'The properties of profiles in columns with types, as far as one table holds them. Read them through profiles_wide.';
comment on column blueconic.profile_columns_1.id is 'The profile''s id at the tenant.';
comment on column blueconic.profile_columns_1.created_at is 'When it was made at the tenant.';
comment on column blueconic.profile_columns_1.modified_at is 'When it last changed at the tenant.';
comment on column blueconic.profile_columns_1.privacy_legislation is 'The legislation under which it was collected, such as GDPR.';
comment on column blueconic.profile_columns_1.permission_level is 'What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.profile_columns_1.problems is 'The values that do not fit the type of their column, which is null: PROPERTY:REASON each. value_problems counts them. Null: none.';
comment on column blueconic.profile_columns_1.synced_at is 'When the load began that last changed this row.';

create view blueconic.profiles_wide as
select c1.id, c1.created_at, c1.modified_at, c1.privacy_legislation, c1.permission_level, c1.problems, c1.synced_at
from blueconic.profile_columns_1 as c1;
comment on view blueconic.profiles_wide is 'One row for each profile, with a column for each property.';
comment on column blueconic.profiles_wide.id is 'The profile''s id at the tenant.';
comment on column blueconic.profiles_wide.created_at is 'When it was made at the tenant.';
comment on column blueconic.profiles_wide.modified_at is 'When it last changed at the tenant.';
comment on column blueconic.profiles_wide.privacy_legislation is 'The legislation under which it was collected, such as GDPR.';
comment on column blueconic.profiles_wide.permission_level is 'What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.profiles_wide.problems is 'The values that do not fit the type of their column, which is null: PROPERTY:REASON each. value_problems counts them. Null: none.';
comment on column blueconic.profiles_wide.synced_at is 'When the load began that last changed this row.';

create view blueconic.value_problems as
select
  left(one.problem, -strpos(reverse(one.problem), ':')) as property_id,
  right(one.problem, strpos(reverse(one.problem), ':') - 1) as problem,
  count(*) as profiles,
  min(c1.id) as example_profile_id
from blueconic.profile_columns_1 as c1
cross join lateral unnest(c1.problems) as one (problem)
group by 1, 2;
comment on view blueconic.value_problems is 'Values that do not fit the type of their property''s column, where the column is null.';
comment on column blueconic.value_problems.property_id is 'The property.';
comment on column blueconic.value_problems.problem is 'Why the value does not fit: empty, not_a_number, not_an_integer, out_of_range or not_a_date.';
comment on column blueconic.value_problems.profiles is 'How many profiles have such a value.';
comment on column blueconic.value_problems.example_profile_id is 'One of them.';

create table blueconic.profile_identifiers (
  property_id text collate "C" not null,
  value text collate "C" not null,
  profile_id text collate "C" not null,
  synced_at timestamptz not null,
  primary key (profile_id, property_id, value)
);
create index profile_identifiers_value on blueconic.profile_identifiers (value, property_id);
comment on table blueconic.profile_identifiers is 'Whose is this e-mail address: the values of the properties that the tenant indexes, one row for each profile and value. A value of more than 600 bytes is left out.';
comment on column blueconic.profile_identifiers.property_id is 'The property, such as email.';
comment on column blueconic.profile_identifiers.value is 'The value as it came. Indexed, also together with the property.';
comment on column blueconic.profile_identifiers.profile_id is 'The profile that has it.';
comment on column blueconic.profile_identifiers.synced_at is 'When the load began that brought it.';

-- The program makes it anew for each further table.
create function sync.delete_profile_columns(ids text[]) returns setof text
language sql volatile
set search_path = pg_catalog, pg_temp
as $$
  delete from blueconic.profile_identifiers as stored where stored.profile_id = any ($1);
  delete from blueconic.profile_columns_1 as stored where stored.id = any ($1) returning stored.id;
$$;
comment on function sync.delete_profile_columns(text[]) is 'Deletes these profiles from all tables blueconic.profile_columns_N and from blueconic.profile_identifiers. Gives the ids that were in the first one.';

-- The program makes it anew with the columns, once profiles.properties may lack what they hold.
create view blueconic.profiles_json as
select p.id, p.properties
from blueconic.profiles as p;
comment on view blueconic.profiles_json is 'All properties of each profile as they came, whatever profiles.properties leaves out of them.';
comment on column blueconic.profiles_json.id is 'The profile''s id at the tenant.';
comment on column blueconic.profiles_json.properties is 'Property id to its values, an array of texts in the order in which they came.';

create view blueconic.profile_values as
select j.id as profile_id, p.id as property_id, v.position::integer as position, v.value
from blueconic.profiles_json as j
cross join lateral jsonb_each(j.properties) as p (id, listed)
cross join lateral jsonb_array_elements_text(p.listed) with ordinality as v (value, position);
comment on view blueconic.profile_values is 'One row for each value of each property of each profile. Slow over many profiles: profiles_wide has a column for each property.';
comment on column blueconic.profile_values.profile_id is 'The profile.';
comment on column blueconic.profile_values.property_id is 'The property.';
comment on column blueconic.profile_values.position is 'The place of the value among those of the property, from 1 on.';
comment on column blueconic.profile_values.value is 'The value as it came; null where a null came.';

create view blueconic.profile_merges as
select a.profile_id as loser_id, a.survivor_id, a.noticed_at
from blueconic.profile_aliases as a;
comment on view blueconic.profile_merges is 'Which profile was merged into which. The survivor may have been merged since: see profile_identity.';
comment on column blueconic.profile_merges.loser_id is 'The profile that is gone.';
comment on column blueconic.profile_merges.survivor_id is 'The profile that it was merged into.';
comment on column blueconic.profile_merges.noticed_at is 'When a load noticed it.';

create view blueconic.profile_consent as
select p.id as profile_id, o.objective_id, o.state, p.privacy_legislation as legislation
from blueconic.profiles as p
cross join lateral (
  select c.objective_id, 'consented' as state from unnest(p.consented_objectives) as c (objective_id)
  union all
  select r.objective_id, 'refused' from unnest(p.refused_objectives) as r (objective_id)
) as o;
comment on view blueconic.profile_consent is 'What profiles consent to and refuse now, one row for each profile and objective.';
comment on column blueconic.profile_consent.profile_id is 'The profile.';
comment on column blueconic.profile_consent.objective_id is 'The objective.';
comment on column blueconic.profile_consent.state is 'consented or refused.';
comment on column blueconic.profile_consent.legislation is 'The legislation under which the profile was collected, such as GDPR.';
