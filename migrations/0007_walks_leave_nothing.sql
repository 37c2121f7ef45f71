-- What a walk noted down goes with it at once: rows that are deleted would stay until the next vacuum, and the table of a
-- tenant of millions would grow with each walk that came before it.

-- In plpgsql, and volatile: each statement in it sees what was committed before that statement began. Truncating is not
-- waited for: whoever holds the table at this moment adds to it or vacuums it, and deleting does as well. A walk is
-- in `sync.cursors` before it adds its first id, or in the same transaction, so that under the lock none can be
-- overlooked.
create function sync.forget_walk(forgotten uuid) returns void
language plpgsql volatile
as $$
declare
  is_large boolean := pg_relation_size('sync.walk_seen') > 1024 * 1024;
begin
  delete from sync.walk_unseen where walk_id = forgotten;
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
comment on function sync.forget_walk(uuid) is
  'Takes the ids of a walk out of sync.walk_seen and sync.walk_unseen, and gives their space back where no other walk is open.';

-- Rows that were only added need neither vacuum nor statistics here: they go soon, and gathering either would hold the table
-- when it is to be truncated.
alter table sync.walk_seen
set (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2000000000);
alter table sync.walk_unseen
set (autovacuum_vacuum_insert_threshold = -1, autovacuum_analyze_threshold = 2000000000);

-- Whether a profile is known as it came is answered by the index alone where its page is known to be visible to all; with
-- 20% of the rows changed since the last vacuum the answer took a third to a half longer, with 5% no longer than with none.
-- The fill factor stays 100: a changed row has another hash in the primary key, so that room in its page would not save
-- the index from a new entry.
alter table blueconic.profiles set (autovacuum_vacuum_scale_factor = 0.05, autovacuum_vacuum_insert_scale_factor = 0.05);
