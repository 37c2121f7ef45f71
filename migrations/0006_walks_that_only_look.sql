-- A walk over profiles that did not change costs little: the ids that it reads are appended, and whether a profile is
-- known as it came is answered by the index alone.

-- Without an index an id costs a third. The ids of a walk are read whole, at its end, and may be there twice; only the
-- few that others protect from its sweep are looked up one by one.
alter table sync.walk_seen drop constraint walk_seen_pkey;
create index walk_protected on sync.walk_seen (walk_id, id) where not read;
comment on index sync.walk_protected is 'Finds the ids that other runs protect from the sweep of a walk.';

-- What a sweep found missing, so that it is looked for once and not for each of its steps. Unlogged as `walk_seen` is,
-- and emptied with it.
create unlogged table sync.walk_unseen (
  walk_id uuid not null,
  id text collate "C" not null
);
create index walk_unseen_ids on sync.walk_unseen (walk_id, id);
comment on table sync.walk_unseen is 'Candidates of a sweep: stored ids that a finished walk did not see. Emptied when the walk closes.';
comment on column sync.walk_unseen.walk_id is 'The walk.';
comment on column sync.walk_unseen.id is 'The id that may be gone at the tenant.';

comment on table sync.walk_seen is 'Ids that the sweep of an open walk must leave alone; an id may be there more than once. Emptied when the walk closes.';

-- Statistics would keep ids after the walk, and those of erased persons. Rows come and go at once, thousands at a time.
alter table sync.walk_seen alter column id set statistics 0;
alter table sync.walk_unseen alter column id set statistics 0;
alter table sync.walk_seen set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
alter table sync.walk_unseen set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);

-- The hash stands in the index, so that a batch that did not change never touches the wide rows.
alter table blueconic.profiles drop constraint profiles_pkey;
alter table blueconic.profiles add constraint profiles_pkey primary key (id) include (source_hash);

-- Nobody asks for a whole object or a hash by its value: gathering statistics over them took longer than all other
-- columns together, and kept persons' data in the planner's tables.
alter table blueconic.profiles alter column properties set statistics 0;
alter table blueconic.profiles alter column source_hash set statistics 0;
alter table blueconic.profiles alter column content_hash set statistics 0;
