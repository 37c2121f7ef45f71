-- How the tenant's own description of its API differs from what this program uses, what it had before, and what came in the data that
-- nobody knows; and with which release of the tenant each run read.

create table sync.tenant_document (
  only_row boolean primary key default true check (only_row),
  asked_at timestamptz not null,
  read_at timestamptz,
  release text,
  operations jsonb
);
comment on table sync.tenant_document is 'The tenant''s own document (openapi.json), as far as it is compared: one row.';
comment on column sync.tenant_document.only_row is 'Always true, so that there is one row.';
comment on column sync.tenant_document.asked_at is 'When the document was last asked for, with or without success.';
comment on column sync.tenant_document.read_at is 'When it was last read; null if it never was.';
comment on column sync.tenant_document.release is 'The release of the tenant, as the document says; null if it does not.';
comment on column sync.tenant_document.operations is 'Parameters, arrays and fields of each operation that reads, for the comparison with the next release.';

create table sync.drift (
  source text not null check (source in ('document', 'data')),
  kind text not null,
  resource text not null,
  path text not null,
  name text not null,
  severity text not null check (severity in ('breaks', 'loses', 'note')),
  detail text not null,
  release text,
  first_seen_at timestamptz not null,
  last_seen_at timestamptz not null,
  times bigint not null,
  primary key (source, kind, resource, path, name)
);
comment on table sync.drift is 'Differences between the tenant''s API and what this program knows of it.';
comment on column sync.drift.source is 'document: the tenant''s document says so. data: elements that were read have it.';
comment on column sync.drift.kind is 'What kind of difference it is, such as missing_field, renamed_array or unknown_value.';
comment on column sync.drift.resource is 'The resource; empty for an operation that no resource reads.';
comment on column sync.drift.path is 'The path of the operation; empty for what was found in data.';
comment on column sync.drift.name is 'The parameter, array or field, and the value if there is one.';
comment on column sync.drift.severity is 'breaks: what is used is gone. loses: a column or a table stays empty until the tenant is upgraded. note: nothing is lost.';
comment on column sync.drift.detail is 'What follows from it.';
comment on column sync.drift.release is 'The tenant''s release when it was last seen; null if it is not known.';
comment on column sync.drift.first_seen_at is 'When it was seen first.';
comment on column sync.drift.last_seen_at is 'When it was seen last. A difference of the document that its last reading no longer shows is over.';
comment on column sync.drift.times is 'In how many readings of the document it was found, or in how many elements.';

alter table sync.runs add column tenant_release text;
comment on column sync.runs.tenant_release is 'The release of the tenant that it read, as the tenant''s document last said; null if it is not known.';
