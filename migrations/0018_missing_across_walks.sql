-- Which candidates of a sweep former complete walks missed, too: where there are more of them than can be looked up, a random sample of
-- those that two walks in a row missed decides about them.

create table sync.walk_missing (
  resource text collate "C" not null,
  id text collate "C" not null,
  walk_id uuid not null,
  missed_at timestamptz not null,
  walks integer not null,
  unclear boolean not null default false,
  primary key (resource, id)
);
comment on table sync.walk_missing is 'Stored rows that the last complete full walk missed and about which no look-up has decided yet: the backlog of the sweep.';
comment on column sync.walk_missing.resource is 'The resource.';
comment on column sync.walk_missing.id is 'The id that may be gone at the tenant.';
comment on column sync.walk_missing.walk_id is 'The complete walk that missed it last.';
comment on column sync.walk_missing.missed_at is 'When a complete walk missed it first.';
comment on column sync.walk_missing.walks is 'Complete walks in a row that missed it.';
comment on column sync.walk_missing.unclear is 'The tenant''s answer to a look-up did not say whether it is there: only a clear answer about this id removes it.';

-- Samples of ids would outlive an erasure.
alter table sync.walk_missing alter column id set statistics 0;
alter table sync.walk_missing set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
