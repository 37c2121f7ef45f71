-- The schedule by hand: a person holds the jobs of a resource or asks for a run, and the database tells which process will start it.

alter table sync.schedule add column requested_at timestamptz;
comment on column sync.schedule.requested_at is 'When a person last asked for a run (run-now). Null once a run that was claimed after that has ended.';

create table sync.pauses (
  resource text primary key,
  paused_at timestamptz not null,
  ends_at timestamptz,
  paused_by text not null
);
comment on table sync.pauses is 'Resources whose jobs a person holds. A held job stays due, and runs once when the pause ends.';
comment on column sync.pauses.resource is 'The resource.';
comment on column sync.pauses.paused_at is 'Since when.';
comment on column sync.pauses.ends_at is 'When the pause ends by itself; null: with resume. A row whose time has passed holds nothing.';
comment on column sync.pauses.paused_by is 'Who paused it: role of the database, and host.';

create table sync.services (
  holder text primary key,
  version text not null,
  started_at timestamptz not null,
  seen_at timestamptz not null,
  heartbeat interval not null
);
comment on table sync.services is 'The processes that keep the schedule (serve): one row each, written at every heartbeat, removed when the process ends in order.';
comment on column sync.services.holder is 'Host, process id and a random part, as in leases and claims.';
comment on column sync.services.version is 'The version of the program.';
comment on column sync.services.started_at is 'When it first looked for due jobs.';
comment on column sync.services.seen_at is 'When it last looked for due jobs. A process that has not for three heartbeats and ten seconds counts as gone.';
comment on column sync.services.heartbeat is 'How often it looks for due jobs.';
