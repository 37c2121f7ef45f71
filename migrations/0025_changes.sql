-- The feed of changes: which rows of which table were inserted, changed or removed. The transaction that changes rows says so here,
-- one row for each table and operation, so an unchanged walk writes nothing, and a changed row costs about its id.
--
-- The feed is on while this table has a row: `changes.enabled` adds the first one, under the lock that keeps loads out, and the
-- newest row is never removed.

create table sync.changes (
  changed_by xid8 not null default pg_current_xact_id(),
  change_id bigint generated always as identity,
  table_name text,
  operation text not null,
  reason text,
  key_column text,
  keys text[],
  changed_at timestamptz not null,
  primary key (changed_by, change_id)
);
comment on table sync.changes is 'The feed of changes (blueconic.changes), one row for each transaction, table, operation and reason. Empty: the feed is off.';
comment on column sync.changes.changed_by is 'The transaction that changed the rows. Transactions commit in another order than that of their ids, so readers see those alone that are older than every open one.';
comment on column sync.changes.change_id is 'The number of the change; orders those of a transaction.';
comment on column sync.changes.table_name is 'The table, without its schema; null for the start of the feed.';
comment on column sync.changes.operation is 'inserted, updated, removed; started: the feed begins here.';
comment on column sync.changes.reason is 'Why rows were removed, and how the others changed where that is not by what the tenant lists.';
comment on column sync.changes.key_column is 'The column whose values are in keys; null: each key is a JSON object of several columns.';
comment on column sync.changes.keys is 'The keys of the rows. Null: rows that are not named, since persons were erased.';
comment on column sync.changes.changed_at is 'The synced_at of the rows that were written.';

-- Samples of ids would outlive an erasure.
alter table sync.changes alter column keys set statistics 0;

comment on column sync.lease_marks.name is 'The lease; changes: the feed of changes.';
comment on column sync.lease_marks.fence is 'Its holder''s fence; of the feed, the oid of its table, which is another one where a dump was restored.';

-- Volatile, so that it sees what was committed before it began: called behind the lock against erasures, it sees whether the feed
-- was switched on before that lock was free.
create function sync.records_changes() returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return exists (select from sync.changes);
end
$$;
comment on function sync.records_changes() is 'Whether the feed of changes is on.';

-- No transaction that is older than every open one can still commit. So nothing can appear before a row that is in this view.
create view blueconic.changes as
select
  c.changed_by, c.change_id, c.table_name, c.operation, c.reason,
  case when c.key_column is not null then k.value end as id,
  case
    when k.value is null then null
    when c.key_column is null then k.value::jsonb
    else jsonb_build_object(c.key_column, k.value)
  end as key,
  c.changed_at
from sync.changes as c
left join lateral unnest(c.keys) as k (value) on true
where c.changed_by < pg_snapshot_xmin(pg_current_snapshot());
comment on view blueconic.changes is 'Which rows were inserted, changed or removed, for the last days (changes.keep). Follow it by (changed_by, change_id); nothing appears before a row that was read. A change names a row, and the table says what the row is now.';
comment on column blueconic.changes.changed_by is 'The transaction that changed the row.';
comment on column blueconic.changes.change_id is 'The number of the change; orders those of a transaction. Several rows of a table that changed together have the same.';
comment on column blueconic.changes.table_name is 'The table, without its schema; null for the start of the feed.';
comment on column blueconic.changes.operation is 'inserted, updated or removed, as seen by that transaction alone; of a child table, updated: the profile has other rows now; started: the feed begins here.';
comment on column blueconic.changes.reason is 'Of removed rows: deleted, merged or out_of_scope as in profile_tombstones; not_listed: the tenant no longer lists it; parent_removed: the row went with its profile; erased: rows of erased persons, which are not named; renamed: the audit event has another key; returned: the profile is back, so that it has no tombstone or alias. Of updated rows: merged, history that moved to a survivor; erased, an audit event that named an erased person.';
comment on column blueconic.changes.id is 'The row''s id. For a child table of profiles, the profile whose rows changed. Null for a key of several columns, and for rows of erased persons.';
comment on column blueconic.changes.key is 'The same as an object from the columns of the key to their values, also for a key of several columns.';
comment on column blueconic.changes.changed_at is 'The synced_at of the row if it was written then.';
