-- Personal data under control: what the rules of the settings make of each property, and how far stored profiles are scrubbed of what
-- became stricter. The views and functions for readers are below.

create table sync.personal_data (
  only_row boolean not null primary key default true check (only_row),
  version bigint not null default 0,
  rules text[] not null default '{}',
  key_check text,
  treatment jsonb not null default '{"actions": {}, "kept": null}',
  scrub jsonb,
  scrub_after text collate "C",
  analyze_due boolean not null default false,
  check ((scrub is null) = (scrub_after is null))
);
insert into sync.personal_data default values;
comment on table sync.personal_data is 'What becomes of the values of profile properties: one row. It holds ids of properties and no values.';
comment on column sync.personal_data.only_row is 'Always true, so that there is one row.';
comment on column sync.personal_data.version is 'Grows with each change of what becomes of values. A load by another version is repeated.';
comment on column sync.personal_data.rules is 'The rules of the settings (resources.profiles.personal_data), in order.';
comment on column sync.personal_data.key_check is 'Tells keys of hashes apart; the key cannot be found from it. Null: there is no key.';
comment on column sync.personal_data.treatment is 'What follows from the rules and the catalogue: actions has the properties that are hashed or dropped. Where kept is no null, it has the properties that are kept, and all others are dropped.';
comment on column sync.personal_data.scrub is 'What has to be done to stored profiles, in the form of treatment. No profile is loaded before it is done. Null: nothing.';
comment on column sync.personal_data.scrub_after is 'The id of the profile up to which it is done; empty: none yet.';
comment on column sync.personal_data.analyze_due is 'Whether the planner''s statistics may still hold samples of what was scrubbed.';

-- Volatile and in plpgsql: it sees what was committed before it was called, after the lock of loads was taken.
create function sync.treatment_version() returns bigint
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return (select case when d.scrub is null then d.version else -1 end from sync.personal_data as d);
end $$;
comment on function sync.treatment_version() is 'The version of what becomes of personal data; -1 while stored profiles are scrubbed, so that nothing is loaded.';

-- A failed log-in names what was typed, which may be a password. Its event_key is a plain hash over all of it, which would let guesses
-- be tested.
create view blueconic.audit_events_masked as
select
  e.occurred_at, e.user_name, e.application, e.object_type, e.operation, e.ip_address,
  case when e.operation <> 'LOGIN_FAILED' then e.objects end as objects,
  e.synced_at
from blueconic.audit_events as e;
comment on view blueconic.audit_events_masked is 'Audit events without what was typed in failed log-ins, which may be a password.';
comment on column blueconic.audit_events_masked.occurred_at is 'When it happened.';
comment on column blueconic.audit_events_masked.user_name is 'Who did it. Empty for a failed log-in.';
comment on column blueconic.audit_events_masked.application is 'With which application.';
comment on column blueconic.audit_events_masked.object_type is 'On what kind of object.';
comment on column blueconic.audit_events_masked.operation is 'What was done.';
comment on column blueconic.audit_events_masked.ip_address is 'From which address, as the tenant wrote it.';
comment on column blueconic.audit_events_masked.objects is 'The objects it was done on: an array of {id, name}. Null for a failed log-in.';
comment on column blueconic.audit_events_masked.synced_at is 'When the load began that brought it.';

-- Roles for readers. Which columns each may select follows from these functions, so that what is unknown to them, such as a table of a
-- later release, is open to blueconic_pii_reader alone.

create function sync.reader_columns()
returns table (role_name text, relation oid, column_number smallint, may boolean, should boolean)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  select
    reader.name, c.oid, a.attnum,
    coalesce(has_column_privilege(r.oid, c.oid, a.attnum, 'select'), false),
    case
      -- Readers select from the parent.
      when c.relispartition then false
      -- What was typed in a failed log-in, and its hash: readers have audit_events_masked.
      when c.relname ~ '^(audit_events|audit_events_named|activity)(_plain)?$'
        and a.attname in ('event_key', 'objects', 'object_id', 'name_then') then false
      when c.relname = 'changes' and a.attname = 'key' then false
      when reader.name = 'blueconic_pii_reader' then true
      -- Hashes over elements let guesses of a value be tested; JSON holds whatever the tenant sends; the other names are of people.
      when a.atttypid in ('json'::regtype, 'jsonb'::regtype)
        or a.attname in (
          'source_hash', 'content_hash', 'event_key', 'creator', 'user_name', 'who', 'line', 'ip_address', 'detail', 'objects'
        ) then false
      when c.relname ~ '^profiles_wide(_[0-9]+)?$' then
        a.attname in (
          'id', 'created_at', 'modified_at', 'privacy_legislation', 'permission_level', 'problems', 'synced_at'
        ) or exists (
          select from sync.property_columns as column_of
          join blueconic.profile_properties as p on p.id = column_of.property_id
          cross join sync.personal_data as d
          where column_of.column_name = a.attname and column_of.is_listed and (
            coalesce(p.data_sensitivity, 'NON_PII') = 'NON_PII'
            or d.scrub is null and d.treatment -> 'actions' ->> p.id = 'hash'
          )
        )
      else c.relname in (
        'profiles', 'profile_aliases', 'profile_tombstones', 'profile_identity', 'profile_merges', 'profile_segments',
        'profile_consent', 'profile_groups', 'profile_lifecycle_stages', 'value_problems', 'timeline_gaps', 'consent_events',
        'consent_history', 'freshness', 'gaps', 'changes', 'audit_events_masked', 'segments', 'profile_properties', 'channels',
        'connections', 'connection_runs', 'dialogues', 'listeners', 'lifecycles', 'objectives', 'group_types', 'group_properties',
        'timeline_event_types', 'timeline_event_rollups', 'roles', 'notebooks', 'notebook_runs', 'models', 'content_stores',
        'plugins', 'interactions', 'page_interactions', 'dialogue_statistics', 'recorded_histories', 'segment_membership_history',
        'profile_consent_history', 'lifecycle_stage_history', 'daily_segment_sizes', 'daily_profile_counts', 'daily_property_fill',
        'lifecycle_stages', 'data_dictionary'
      )
    end
  from unnest(array['blueconic_reader', 'blueconic_pii_reader']) as reader (name)
  left join pg_roles as r on r.rolname = reader.name
  cross join pg_class as c
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  where c.relnamespace = 'blueconic'::regnamespace and c.relkind in ('r', 'p', 'v', 'm')
$$;
comment on function sync.reader_columns() is 'Which columns of the schema blueconic the roles blueconic_reader and blueconic_pii_reader may select, and which they should.';

create function sync.reader_statements(everything boolean)
returns setof text
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with columns as (
    select
      o.role_name, o.relation, bool_or(o.may) as may_any, bool_or(o.may <> o.should) as differs, bool_and(o.should) as whole,
      string_agg(format('%I', a.attname), ', ' order by a.attnum) filter (where o.should) as names
    from sync.reader_columns() as o
    join pg_attribute as a on a.attrelid = o.relation and a.attnum = o.column_number
    group by o.role_name, o.relation
  )
  select format('grant usage on schema blueconic to %I', reader.name)
  from unnest(array['blueconic_reader', 'blueconic_pii_reader']) as reader (name)
  left join pg_roles as r on r.rolname = reader.name
  where everything or not coalesce(has_schema_privilege(r.oid, 'blueconic', 'usage'), false)
  union all
  select concat_ws(
    '; ',
    case when c.may_any then format('revoke all on %s from %I', c.relation::regclass, c.role_name) end,
    case
      when c.whole then format('grant select on %s to %I', c.relation::regclass, c.role_name)
      when c.names is not null then format('grant select (%s) on %s to %I', c.names, c.relation::regclass, c.role_name)
    end
  )
  from columns as c
  where c.differs or everything and c.names is not null
$$;
comment on function sync.reader_statements(boolean) is 'The statements that give the two roles for readers what they should have: all of them, or those that change something.';

create function sync.grant_readers()
returns integer
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  statement text;
  statements integer := 0;
begin
  if (select count(*) from pg_roles where rolname in ('blueconic_reader', 'blueconic_pii_reader')) < 2 then
    return 0;
  end if;
  for statement in select * from sync.reader_statements(false) loop
    execute statement;
    statements := statements + 1;
  end loop;
  return statements;
end $$;
comment on function sync.grant_readers() is 'Gives the two roles for readers what they should have, if both are there. Returns how many statements that took.';

create function sync.reader_problems()
returns table (role_name text, object text, problem text, mend text)
language sql stable
set search_path = pg_catalog, pg_temp
as $$
  with readers as (
    select reader.name, r.*
    from unnest(array['blueconic_reader', 'blueconic_pii_reader']) as reader (name)
    left join pg_roles as r on r.rolname = reader.name
  )
  select name, name, 'the role is missing', format('create role %I nologin', name)
  from readers where rolname is null
  union all
  select name, name, 'the role is a superuser, so that no right holds it back', format('alter role %I nosuperuser', name)
  from readers where rolsuper
  union all
  select name, 'schema blueconic', 'may not use it', format('grant usage on schema blueconic to %I', name)
  from readers where rolname is not null and not has_schema_privilege(rolname, 'blueconic', 'usage')
  union all
  select readers.name, 'schema ' || p.schema_name, 'has ' || p.privilege || ' on it, by itself, by PUBLIC or by a role that it is a member of',
    format('revoke %s on schema %I from %I', p.privilege, p.schema_name, readers.name)
  from readers
  cross join (values ('sync', 'usage'), ('sync', 'create'), ('blueconic', 'create')) as p (schema_name, privilege)
  where rolname is not null and not rolsuper and has_schema_privilege(rolname, p.schema_name, p.privilege)
  union all
  select r.name, c.oid::regclass::text, 'may ' || p.privilege || ', by itself, by PUBLIC or by a role that it is a member of',
    format('revoke %s on %s from %I', p.privilege, c.oid::regclass, r.name)
  from readers as r
  cross join pg_class as c
  cross join unnest(array['select', 'insert', 'update', 'delete', 'truncate']) as p (privilege)
  where r.rolname is not null and not r.rolsuper and c.relkind in ('r', 'p', 'v', 'm')
    and (c.relnamespace = 'sync'::regnamespace or c.relnamespace = 'blueconic'::regnamespace and p.privilege <> 'select')
    and has_table_privilege(r.rolname, c.oid, p.privilege)
  union all
  select o.role_name, o.relation::regclass::text,
    case when o.may then 'may select ' else 'may not select ' end
      || string_agg(format('%I', a.attname), ', ' order by a.attnum),
    case when o.may then 'run `blueconic-sync rights`; if it stays, revoke it from PUBLIC and from the roles that it is a member of'
      else 'run `blueconic-sync rights` as the owner' end
  from sync.reader_columns() as o
  join readers as r on r.name = o.role_name
  join pg_attribute as a on a.attrelid = o.relation and a.attnum = o.column_number
  where o.may <> o.should and r.rolname is not null and not r.rolsuper
  group by o.role_name, o.relation, o.may
$$;
comment on function sync.reader_problems() is 'What the two roles for readers lack, and what they have and should not, each with how to mend it.';
