-- What the service needs for itself: the schema `sync`. Nobody but its role reads it. All of these stay local tables
-- when the big ones are distributed.

create schema if not exists sync;
revoke all on schema sync from public;
comment on schema sync is 'State of blueconic-sync: cursors, runs, leases, tokens. Not for analysts.';

create function sync.clock() returns timestamptz
language sql volatile parallel safe
as $$ select clock_timestamp() + coalesce(nullif(current_setting('sync.clock_offset', true), ''), '0')::interval $$;
comment on function sync.clock() is
  'The one clock that all replicas go by. The setting sync.clock_offset (an interval) moves it; only tests set it.';

create table sync.tenant (
  only_row boolean primary key default true check (only_row),
  url text not null,
  first_seen_at timestamptz not null
);
comment on table sync.tenant is 'The tenant to which this database belongs: one row, written by the first run.';
comment on column sync.tenant.only_row is 'Always true, so that there is one row.';
comment on column sync.tenant.url is 'Its address. Two are the same tenant when host (lower case) and port are.';
comment on column sync.tenant.first_seen_at is 'When the first run wrote it.';

create table sync.cursors (
  resource text not null,
  scope text not null check (scope in ('full', 'increment')),
  position jsonb,
  watermark timestamptz,
  updated_at timestamptz not null,
  primary key (resource, scope)
);
comment on table sync.cursors is 'Where each listing stands. Moves in the transaction that loads what the move stands for.';
comment on column sync.cursors.resource is 'The resource, named as its table.';
comment on column sync.cursors.scope is 'full or increment.';
comment on column sync.cursors.position is 'Where an open walk stands, with all that was fixed when it began; null when none is open.';
comment on column sync.cursors.watermark is 'Complete through this time (the tenant''s clock). Never moves back.';
comment on column sync.cursors.updated_at is 'When it last moved.';

create table sync.runs (
  id uuid primary key,
  resource text not null,
  mode text not null check (mode in ('full', 'increment')),
  status text not null
    check (status in ('running', 'succeeded', 'partial', 'failed', 'interrupted', 'needs_approval')),
  started_at timestamptz not null,
  finished_at timestamptz,
  source_total bigint,
  rows_read bigint not null default 0,
  rows_distinct bigint not null default 0,
  rows_inserted bigint not null default 0,
  rows_updated bigint not null default 0,
  rows_unchanged bigint not null default 0,
  rows_removed bigint not null default 0,
  rows_rejected bigint not null default 0,
  rows_rehashed bigint not null default 0,
  rows_suppressed bigint not null default 0,
  rows_missed bigint not null default 0,
  replaced_characters bigint not null default 0,
  unexplained bigint,
  pages bigint not null default 0,
  requests bigint not null default 0,
  retries bigint not null default 0,
  bytes_read bigint not null default 0,
  position_from jsonb,
  position_to jsonb,
  error text,
  hint text
);
create index runs_of_a_slot on sync.runs (resource, mode, started_at desc);
comment on table sync.runs is 'One execution for one resource: what it did and how it ended. A resumed walk has several.';
comment on column sync.runs.id is 'Its id; also in log lines.';
comment on column sync.runs.resource is 'The resource, named as its table.';
comment on column sync.runs.mode is 'full or increment.';
comment on column sync.runs.status is 'running, succeeded, partial (something could not be loaded or explained), failed, interrupted (the next run goes on) or needs_approval (of removals).';
comment on column sync.runs.started_at is 'When it began.';
comment on column sync.runs.finished_at is 'When it ended; null while it runs.';
comment on column sync.runs.source_total is 'Elements there are, as the tenant says (totalResults of the last page).';
comment on column sync.runs.rows_read is 'Elements read, repeats included.';
comment on column sync.runs.rows_distinct is 'Distinct ids among them.';
comment on column sync.runs.rows_inserted is 'Rows inserted.';
comment on column sync.runs.rows_updated is 'Rows whose content changed.';
comment on column sync.runs.rows_unchanged is 'Elements that were the same as the row here.';
comment on column sync.runs.rows_removed is 'Rows removed, by merges and by the sweep.';
comment on column sync.runs.rows_rejected is 'Elements that could not be loaded (sync.rejects).';
comment on column sync.runs.rows_rehashed is 'Rows of which source_hash alone was refreshed.';
comment on column sync.runs.rows_suppressed is 'Elements left out because their person was erased.';
comment on column sync.runs.rows_missed is 'Rows that the walk did not see and the tenant still has.';
comment on column sync.runs.replaced_characters is 'Characters that PostgreSQL cannot store, replaced by U+FFFD.';
comment on column sync.runs.unexplained is 'source_total less rows_distinct, where rejects and changes during the walk do not explain it.';
comment on column sync.runs.pages is 'Pages that ended whole.';
comment on column sync.runs.requests is 'Requests sent.';
comment on column sync.runs.retries is 'Requests among them that repeated an earlier one.';
comment on column sync.runs.bytes_read is 'Bytes of bodies, decompressed.';
comment on column sync.runs.position_from is 'The cursor''s position when the run began.';
comment on column sync.runs.position_to is 'The cursor''s position when the run ended.';
comment on column sync.runs.error is 'What failed and why.';
comment on column sync.runs.hint is 'What to do about it.';

create table sync.leases (
  name text primary key,
  holder text not null,
  fence bigint not null,
  expires_at timestamptz not null,
  run_id uuid
);
comment on table sync.leases is 'Who may write for a resource and scope. Every data transaction asserts the fence last.';
comment on column sync.leases.name is 'RESOURCE/SCOPE.';
comment on column sync.leases.holder is 'Host, process and a random part of who holds it or held it last.';
comment on column sync.leases.fence is 'Goes up with each holder: one who was taken for dead finds another number here and writes nothing.';
comment on column sync.leases.expires_at is 'Until when it is held, by sync.clock(). In the past: free.';
comment on column sync.leases.run_id is 'The run it is held for.';

create table sync.tokens (
  tenant text not null,
  client_id text not null,
  grant_type text not null,
  version bigint not null,
  status text not null check (status in ('valid', 'refreshing', 'failed', 'reauth_required')),
  issued_at timestamptz,
  expires_at timestamptz,
  refreshing_by text,
  refreshing_until timestamptz,
  last_error text,
  key_id text,
  ciphertext bytea,
  primary key (tenant, client_id, grant_type)
);
comment on table sync.tokens is 'State of the access token: who asked for it, how long it lives. The token itself is sealed.';
comment on column sync.tokens.tenant is 'Host (lower case) and port of the tenant.';
comment on column sync.tokens.client_id is 'Client id of the application.';
comment on column sync.tokens.grant_type is 'client_credentials or authorization_code.';
comment on column sync.tokens.version is 'Counts up with each token; 0 before the first.';
comment on column sync.tokens.status is 'valid, refreshing, failed (tried again) or reauth_required (only a person can help).';
comment on column sync.tokens.issued_at is 'When the token was issued.';
comment on column sync.tokens.expires_at is 'When it dies.';
comment on column sync.tokens.refreshing_by is 'Who is asking for the next one.';
comment on column sync.tokens.refreshing_until is 'When that claim lapses.';
comment on column sync.tokens.last_error is 'Why the last request for a token failed.';
comment on column sync.tokens.key_id is 'Which key sealed it.';
comment on column sync.tokens.ciphertext is 'The sealed token (XChaCha20-Poly1305); null without a key, when it lives in memory only.';

create table sync.rejects (
  id bigint generated always as identity primary key,
  resource text not null,
  element_id text,
  reason text not null
    check (reason in ('not_json', 'too_large', 'no_id', 'wrong_shape', 'date_out_of_range')),
  detail text not null,
  raw text not null,
  raw_bytes bigint not null,
  sha256 bytea not null,
  run_id uuid not null,
  noticed_at timestamptz not null,
  resolved_at timestamptz
);
-- One open row for an element, by its id, or by its bytes where no id could be read.
create unique index rejects_open on sync.rejects (resource, coalesce(element_id, encode(sha256, 'hex')))
where resolved_at is null;
create index rejects_noticed_at on sync.rejects (noticed_at);
comment on table sync.rejects is 'Elements that could not be loaded. Closed when the element loads, deleted after 30 days.';
comment on column sync.rejects.id is 'Counts up.';
comment on column sync.rejects.resource is 'The resource, named as its table.';
comment on column sync.rejects.element_id is 'The element''s id, where one could be read.';
comment on column sync.rejects.reason is 'not_json, too_large, no_id, wrong_shape or date_out_of_range.';
comment on column sync.rejects.detail is 'What exactly.';
comment on column sync.rejects.raw is 'Its head as text, at most 64 KiB; NUL and broken UTF-8 as U+FFFD.';
comment on column sync.rejects.raw_bytes is 'Its whole length in bytes.';
comment on column sync.rejects.sha256 is 'SHA-256 over its original bytes.';
comment on column sync.rejects.run_id is 'The run that last met it.';
comment on column sync.rejects.noticed_at is 'When it was last met.';
comment on column sync.rejects.resolved_at is 'When the element loaded after all; null while it is open.';

create table sync.gaps (
  id bigint generated always as identity primary key,
  resource text not null,
  from_at timestamptz not null,
  to_at timestamptz not null,
  reason text not null check (reason in ('retention', 'saturated', 'unreachable', 'interrupted')),
  run_id uuid not null,
  noticed_at timestamptz not null,
  closed_at timestamptz,
  check (from_at < to_at)
);
create index gaps_open on sync.gaps (resource, from_at) where closed_at is null;
comment on table sync.gaps is 'Stretches of time for which the tables may lack elements, and why.';
comment on column sync.gaps.id is 'Counts up.';
comment on column sync.gaps.resource is 'The resource, named as its table.';
comment on column sync.gaps.from_at is 'Its beginning, exclusive.';
comment on column sync.gaps.to_at is 'Its end, inclusive.';
comment on column sync.gaps.reason is 'retention (older than the tenant keeps), saturated (more in one millisecond than a page holds), unreachable (behind a full page in newest-first order) or interrupted (the scan stopped before it).';
comment on column sync.gaps.run_id is 'The run that recorded it.';
comment on column sync.gaps.noticed_at is 'When it was recorded.';
comment on column sync.gaps.closed_at is 'When a later scan covered it; null while it is open.';

-- Unlogged: logged, it would cost an unchanged walk more WAL than all else. Each cursor keeps the count, so that
-- a loss in a crash is noticed.
create unlogged table sync.walk_seen (
  walk_id uuid not null,
  id text collate "C" not null,
  read boolean not null,
  primary key (walk_id, id)
);
comment on table sync.walk_seen is 'Ids that the sweep of an open full walk must not remove. Emptied when the walk closes.';
comment on column sync.walk_seen.walk_id is 'The walk, named in the cursor''s position.';
comment on column sync.walk_seen.id is 'An element''s id.';
comment on column sync.walk_seen.read is 'True: the walk itself read it, it counts for completeness. False: another run loaded it meanwhile.';

create table sync.schedule (
  job text primary key,
  resource text not null,
  scope text not null check (scope in ('full', 'increment')),
  cron text not null,
  time_zone text not null,
  next_run_at timestamptz not null,
  last_run_at timestamptz,
  claimed_by text,
  claimed_until timestamptz
);
comment on table sync.schedule is 'When each job runs next.';
comment on column sync.schedule.job is 'The job''s name.';
comment on column sync.schedule.resource is 'The resource it runs.';
comment on column sync.schedule.scope is 'full or increment.';
comment on column sync.schedule.cron is 'Cron expression, 5 or 6 fields.';
comment on column sync.schedule.time_zone is 'IANA zone that the expression means.';
comment on column sync.schedule.next_run_at is 'When it is due.';
comment on column sync.schedule.last_run_at is 'When it was last claimed.';
comment on column sync.schedule.claimed_by is 'Who runs it.';
comment on column sync.schedule.claimed_until is 'When that claim lapses unless it is extended.';

-- Months are UTC. A table of its own that is then attached takes SHARE UPDATE EXCLUSIVE on the parent, where
-- `create table … partition of` would wait for every reader. The advisory lock ends with the transaction.
create function sync.make_month_partitions(parent text, first_month timestamptz, last_month timestamptz) returns integer
language plpgsql
as $$
declare
  month timestamp := date_trunc('month', first_month at time zone 'UTC');
  partition text;
  made integer := 0;
begin
  while month <= last_month at time zone 'UTC' loop
    partition := parent || to_char(month, '"_y"YYYY"m"MM');
    -- Asked of pg_class, not of to_regclass: that may answer from a cache which waiting for the lock does not renew.
    if not exists (
      select from pg_class as c where c.relnamespace = 'blueconic'::regnamespace and c.relname = partition
    ) then
      perform pg_advisory_xact_lock(hashtextextended('blueconic-sync partitions', 0));
      if not exists (
        select from pg_class as c where c.relnamespace = 'blueconic'::regnamespace and c.relname = partition
      ) then
        execute format('create table blueconic.%I (like blueconic.%I including all)', partition, parent);
        execute format(
          'alter table blueconic.%I attach partition blueconic.%I for values from (%L) to (%L)',
          parent, partition, month at time zone 'UTC', (month + interval '1 month') at time zone 'UTC');
        execute format('comment on table blueconic.%I is %L', partition,
          format('Rows of %s in %s (UTC).', parent, to_char(month, 'YYYY-MM')));
        made := made + 1;
      end if;
    end if;
    month := month + interval '1 month';
  end loop;
  return made;
end $$;
comment on function sync.make_month_partitions(text, timestamptz, timestamptz) is
  'Makes the partitions of a table of blueconic for all months from one time to another, where they are missing.';

create view blueconic.freshness as
select
  r.resource,
  case
    -- A resumed walk has several runs, so that its own start is known to the cursor alone.
    when r.resource in ('profiles', 'audit_events') then c.watermark
    else f.started_at
  end as complete_as_of,
  s.last_success_at,
  g.open_gaps
from (values ('segments'), ('profile_properties'), ('profiles'), ('audit_events')) as r (resource)
cross join lateral (
  select max(cursors.watermark) as watermark from sync.cursors where cursors.resource = r.resource
) as c
cross join lateral (
  select max(runs.started_at) as started_at
  from sync.runs
  where runs.resource = r.resource and runs.mode = 'full' and runs.status = 'succeeded'
) as f
cross join lateral (
  select max(runs.finished_at) as last_success_at
  from sync.runs
  where runs.resource = r.resource and runs.status = 'succeeded'
) as s
cross join lateral (
  select count(*) as open_gaps from sync.gaps where gaps.resource = r.resource and gaps.closed_at is null
) as g;
comment on view blueconic.freshness is 'How far to trust each table.';
comment on column blueconic.freshness.resource is 'The table.';
comment on column blueconic.freshness.complete_as_of is 'The table says what the tenant said at this time, or later; null: never complete yet.';
comment on column blueconic.freshness.last_success_at is 'When a run last ended without anything missing.';
comment on column blueconic.freshness.open_gaps is 'Stretches of time that may lack elements (audit events).';

do $$
begin
  if to_regclass('sync._sqlx_migrations') is not null then
    comment on table sync._sqlx_migrations is 'Which migrations were applied.';
    comment on column sync._sqlx_migrations.version is 'Number of the migration.';
    comment on column sync._sqlx_migrations.description is 'Its name.';
    comment on column sync._sqlx_migrations.installed_on is 'When it was applied.';
    comment on column sync._sqlx_migrations.success is 'Whether it went through.';
    comment on column sync._sqlx_migrations.checksum is 'Hash of its text: a changed one is refused.';
    comment on column sync._sqlx_migrations.execution_time is 'How long it took, in nanoseconds.';
  end if;
end $$;
