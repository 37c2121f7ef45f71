-- A walk keeps what it saw as sorted hashes, a row for each page, in the transaction that moves its cursor. It is logged: a crash
-- or a failover costs a page and never a walk. Walks that are open when this comes start over: their ids were kept otherwise.

drop table sync.walk_seen;
create table sync.walk_seen (
  walk_id uuid not null,
  part integer not null,
  read boolean not null,
  hashes bytea not null,
  witnesses text[] collate "C" not null default '{}'
);
create index walk_seen_parts on sync.walk_seen (walk_id, part);
comment on table sync.walk_seen is 'What an open walk saw, and what its sweep must not remove: hashes of ids, a row for each page and part of the table. Goes with the walk.';
comment on column sync.walk_seen.walk_id is 'The walk, named in the cursor''s position.';
comment on column sync.walk_seen.part is 'The part of the table that the ids belong to, from 0 on; -1: any part.';
comment on column sync.walk_seen.read is 'True: the walk itself read them, they count for completeness. False: another run loaded them meanwhile.';
comment on column sync.walk_seen.hashes is 'Hashes of ids under the walk''s own key (SipHash-1-3), 8 bytes each, sorted.';
comment on column sync.walk_seen.witnesses is 'A few of these ids themselves: the sweep looks them up as a check of the tenant''s answers.';

-- Hashes do not compress, and whoever reads some of them need not read all.
alter table sync.walk_seen alter column hashes set storage external;
-- Samples of ids would outlive the walk, and rows come and go by the walk.
alter table sync.walk_seen alter column witnesses set statistics 0;
alter table sync.walk_seen alter column hashes set statistics 0;
alter table sync.walk_seen set (
  autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_insert_threshold = -1,
  autovacuum_analyze_threshold = 2000000000,
  toast.autovacuum_vacuum_scale_factor = 0, toast.autovacuum_vacuum_threshold = 10000, toast.autovacuum_vacuum_insert_threshold = -1
);

-- Candidates are few, and what a sweep has found stays known after a crash.
alter table sync.walk_unseen set logged;

create or replace function sync.forget_walk(forgotten uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  delete from sync.walk_unseen where walk_id = forgotten;
  delete from sync.walk_notices where walk_id = forgotten;
  delete from sync.walk_seen where walk_id = forgotten;
end
$$;
comment on function sync.forget_walk(uuid) is 'Takes out what was recorded for a walk: what it saw, what it did not see, and what it was told.';

-- Walks do not wait until each commit has reached the disk, and a failover may lose more. A run that goes on behind either has
-- to know of it: its mark is gone then, since PostgreSQL empties this table.
create unlogged table sync.lease_marks (
  name text primary key,
  fence bigint not null
);
comment on table sync.lease_marks is 'A row for each lease while its server goes on. Unlogged: a crash of PostgreSQL or a failover, which may lose the last commits, empties it.';
comment on column sync.lease_marks.name is 'The lease.';
comment on column sync.lease_marks.fence is 'Its holder''s fence.';
