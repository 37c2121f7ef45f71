-- What probes found of the tenant, so that the answers are at hand when a setting is chosen or a question comes up.

create table sync.probe (
  started_at timestamptz primary key,
  version text not null,
  release text,
  is_partial boolean not null,
  requests bigint not null,
  report jsonb not null
);
comment on table sync.probe is 'The reports of the last probes. They hold no ids, no names and no data of persons.';
comment on column sync.probe.started_at is 'When the probe began.';
comment on column sync.probe.version is 'The version of the program that asked.';
comment on column sync.probe.release is 'The release of the tenant, as its own document says; null if it does not.';
comment on column sync.probe.is_partial is 'Whether some questions were not asked, since the probe was stopped or its time or its requests were used up.';
comment on column sync.probe.requests is 'The requests that it sent, without those for tokens.';
comment on column sync.probe.report is 'The report, as `probe --json` prints it.';
