-- What a full walk knows of stored profiles it keeps in memory. Whoever else changes profiles while it is open says so here, in
-- the transaction that changes them.

create table sync.walk_notices (
  walk_id uuid not null,
  changed_by xid8 not null default pg_current_xact_id(),
  id_hashes bigint[]
);
create index walk_notices_walk on sync.walk_notices (walk_id, changed_by);
comment on table sync.walk_notices is 'Profiles that others changed while a full walk was open; goes with the walk.';
comment on column sync.walk_notices.walk_id is 'The walk that is to know of it.';
comment on column sync.walk_notices.changed_by is 'The transaction that changed them.';
comment on column sync.walk_notices.id_hashes is 'Hashes of 64 bits of their ids; null: any may have changed.';

-- Volatile, so that its statement sees what was committed before it began: called behind the lock against erasures, it sees
-- each walk that was opened before that lock was free.
create function sync.open_walks(of_resource text, but uuid) returns uuid[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(
    select (c.position ->> 'walk_id')::uuid
    from sync.cursors as c
    where c.resource = of_resource and c.scope = 'full'
      and (c.position ->> 'walk_id')::uuid is distinct from but
      and c.position ->> 'walk_id' is not null
  );
end
$$;
comment on function sync.open_walks(text, uuid) is 'Full walks of a resource that are open, but for one.';

create or replace function sync.forget_walk(forgotten uuid) returns void
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
declare
  is_large boolean := pg_relation_size('sync.walk_seen') > 1024 * 1024;
begin
  delete from sync.walk_unseen where walk_id = forgotten;
  delete from sync.walk_notices where walk_id = forgotten;
  if is_large then
    begin
      lock table sync.walk_seen in access exclusive mode nowait;
      if not exists (
        select from sync.cursors as c
        where (c.position ->> 'walk_id')::uuid is not null and (c.position ->> 'walk_id')::uuid <> forgotten
      ) then
        truncate sync.walk_seen;
        return;
      end if;
    exception when lock_not_available or insufficient_privilege then
      null;
    end;
  end if;
  delete from sync.walk_seen where walk_id = forgotten;
end
$$;
