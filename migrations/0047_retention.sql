-- What stays of runs that are no longer kept (`retention.runs`): totals by day, which grow by a few rows a day for ever.
create table sync.run_totals (
  day date not null,
  resource text collate "C" not null,
  mode text collate "C" not null,
  status text collate "C" not null,
  runs bigint not null,
  seconds double precision not null,
  rows_read bigint not null,
  rows_inserted bigint not null,
  rows_updated bigint not null,
  rows_removed bigint not null,
  rows_rejected bigint not null,
  requests bigint not null,
  retries bigint not null,
  bytes_read bigint not null,
  primary key (day, resource, mode, status)
);
comment on table sync.run_totals is 'Totals of the runs that are no longer in sync.runs, by day (UTC) of their start.';
comment on column sync.run_totals.day is 'The day, in UTC.';
comment on column sync.run_totals.resource is 'What was read.';
comment on column sync.run_totals.mode is 'full or increment.';
comment on column sync.run_totals.status is 'How they ended.';
comment on column sync.run_totals.runs is 'How many there were.';
comment on column sync.run_totals.seconds is 'How long they took in all, in seconds.';
comment on column sync.run_totals.rows_read is 'Elements read.';
comment on column sync.run_totals.rows_inserted is 'Rows inserted.';
comment on column sync.run_totals.rows_updated is 'Rows whose content changed.';
comment on column sync.run_totals.rows_removed is 'Rows removed.';
comment on column sync.run_totals.rows_rejected is 'Elements that could not be loaded.';
comment on column sync.run_totals.requests is 'Requests to the tenant.';
comment on column sync.run_totals.retries is 'Requests among them that were repeated.';
comment on column sync.run_totals.bytes_read is 'Bytes of bodies, unpacked.';
