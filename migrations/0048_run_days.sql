-- The status page tells of 30 days. Totals of ended runs by day bound what it reads: as many rows, whether a resource ran once a day or
-- every minute. A run says what started it, and its rejects are found by an index.

alter table sync.runs add column cause text check (cause in ('schedule', 'request', 'command'));
comment on column sync.runs.cause is 'What started it: schedule (a job was due), request (run-now) or command (backfill). Null: it began before this column was there.';

create table sync.run_days (
  resource text collate "C" not null,
  mode text collate "C" not null,
  day date not null,
  status text collate "C" not null,
  runs bigint not null,
  seconds double precision not null,
  longest_seconds double precision not null,
  rows_read bigint not null,
  rows_written bigint not null,
  rows_removed bigint not null,
  rows_rejected bigint not null,
  primary key (resource, mode, day, status)
);
comment on table sync.run_days is 'Totals of ended runs by the day (UTC) of their start, for the status page. A run is added when it ends; days are kept for two months.';
comment on column sync.run_days.resource is 'What was read.';
comment on column sync.run_days.mode is 'full or increment.';
comment on column sync.run_days.day is 'The day, in UTC.';
comment on column sync.run_days.status is 'How they ended.';
comment on column sync.run_days.runs is 'How many there were.';
comment on column sync.run_days.seconds is 'How long they took in all, in seconds.';
comment on column sync.run_days.longest_seconds is 'How long the longest of them took, in seconds.';
comment on column sync.run_days.rows_read is 'Elements read.';
comment on column sync.run_days.rows_written is 'Rows inserted, and rows whose content changed.';
comment on column sync.run_days.rows_removed is 'Rows removed.';
comment on column sync.run_days.rows_rejected is 'Elements that could not be loaded.';

insert into sync.run_days
  (resource, mode, day, status, runs, seconds, longest_seconds, rows_read, rows_written, rows_removed, rows_rejected)
select r.resource, r.mode, (r.started_at at time zone 'UTC')::date, r.status, count(*),
  sum(t.seconds), max(t.seconds), sum(r.rows_read), sum(r.rows_inserted + r.rows_updated), sum(r.rows_removed), sum(r.rows_rejected)
from sync.runs as r
cross join lateral (
  select greatest(extract(epoch from coalesce(r.finished_at, r.started_at) - r.started_at), 0)::double precision as seconds
) as t
where r.status <> 'running' and r.started_at > sync.clock() - interval '60 days'
group by 1, 2, 3, 4;

create index rejects_of_a_run on sync.rejects (run_id, reason);
create index rejects_open_by_reason on sync.rejects (resource, reason) where resolved_at is null;
