-- Erasure of persons: what remains of them is a hash, by which every later page leaves them out.

create table sync.erasures (
  hash bytea primary key check (octet_length(hash) = 32),
  person uuid not null,
  erased_at timestamptz not null,
  receipt_id uuid not null
);
create index erasures_person on sync.erasures (person);
comment on table sync.erasures is 'Ids of profiles that were erased, as hashes. What carries one is left out of every load until `erase --lift`.';
comment on column sync.erasures.hash is 'HMAC-SHA-256 of the profile''s id (UTF-8) with the key in sync.erasure_key. The id itself is not kept.';
comment on column sync.erasures.person is 'Shared by the ids that were one person''s (merged into one another) when they were erased.';
comment on column sync.erasures.erased_at is 'When it was erased.';
comment on column sync.erasures.receipt_id is 'The erasure, as its receipt names it.';

-- Of its own, and not derived from BLUECONIC_SYNC_KEY: that one may be lost or rotated, this one never.
create table sync.erasure_key (
  only_row boolean primary key default true check (only_row),
  key bytea not null check (octet_length(key) = 32),
  made_at timestamptz not null
);
comment on table sync.erasure_key is 'The key of the hashes in sync.erasures: one row, made by the first erasure. Without it erased persons come back.';
comment on column sync.erasure_key.only_row is 'Always true, so that there is one row.';
comment on column sync.erasure_key.key is '32 bytes from the operating system''s random source.';
comment on column sync.erasure_key.made_at is 'When it was made.';

create function sync.erasures_lock() returns bigint
language sql immutable parallel safe
as $$ select hashtextextended('blueconic-sync erasures', 0) $$;
comment on function sync.erasures_lock() is
  'The advisory lock that loads share and an erasure has alone. The first lock of both, so that neither waits in a circle.';

-- In plpgsql, and volatile: each statement in it sees what was committed before that statement began, so that the
-- second one sees the erasure that the first one waited for.
create function sync.load_beside_erasures() returns bytea
language plpgsql volatile
as $$
declare
  key bytea;
begin
  perform pg_advisory_xact_lock_shared(sync.erasures_lock());
  if not exists (select from sync.erasures) then
    return null;
  end if;
  select k.key into key from sync.erasure_key as k;
  if key is null then
    raise exception 'sync.erasure_key is empty: nobody can tell who was erased'
      using hint = 'restore it from a backup, or empty sync.erasures and erase the persons anew';
  end if;
  return key;
end $$;
comment on function sync.load_beside_erasures() is
  'Keeps erasures away until the transaction ends. Gives the key of the hashes; null when nobody was erased.';

comment on column sync.runs.rows_suppressed is 'Elements left out because their person was erased. An audit event that loses an object is stored, and counted as such.';
-- The tenant's cursor is an opaque text in which it may encode the id of a profile: the history of runs is better off
-- without it.
update sync.runs set position_from = position_from - 'cursor', position_to = position_to - 'cursor'
where position_from ? 'cursor' or position_to ? 'cursor';
comment on column sync.runs.position_from is 'The cursor''s position when the run began, without the tenant''s own text.';
comment on column sync.runs.position_to is 'The cursor''s position when the run ended, without the tenant''s own text.';

comment on column sync.walk_seen.id is 'An element''s id; of an erased person `erased:` and the hash.';
comment on table blueconic.audit_events is 'The tenant''s audit log, one partition a month (UTC). Rows never change, except that an erased person leaves objects. Stretches that cannot be known are counted in freshness.open_gaps.';
comment on column blueconic.audit_events.objects is 'The objects it was done on: an array of {id, name}, without persons who were erased.';
comment on column blueconic.audit_events.synced_at is 'When the row was written here, or when an erased person left it.';
