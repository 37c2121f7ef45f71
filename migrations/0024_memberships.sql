-- What profiles belong to beside segments: their groups (`resources.profiles.groups`) and their lifecycle stages
-- (`resources.profiles.lifecycle_stages`). They are child tables of profiles; `sync.child_hashes` (0014) has their hashes. The
-- distribution column is profile_id.

create table blueconic.profile_groups (
  profile_id text collate "C" not null,
  group_type_id text collate "C" not null,
  group_id text collate "C" not null,
  synced_at timestamptz not null,
  primary key (profile_id, group_type_id, group_id)
);
create index profile_groups_by_group on blueconic.profile_groups (group_id, group_type_id);
comment on table blueconic.profile_groups is 'The groups of profiles, one row each, as of the latest reading of the profile. Empty unless resources.profiles.groups is on.';
comment on column blueconic.profile_groups.profile_id is 'The profile''s id.';
comment on column blueconic.profile_groups.group_type_id is 'The id of the group''s type: see group_types.';
comment on column blueconic.profile_groups.group_id is 'The group''s id: see groups.';
comment on column blueconic.profile_groups.synced_at is 'When this row last changed here.';

create table blueconic.profile_lifecycle_stages (
  profile_id text collate "C" not null,
  lifecycle_id text collate "C" not null,
  stage_id text collate "C" not null,
  synced_at timestamptz not null,
  primary key (profile_id, lifecycle_id, stage_id)
);
comment on table blueconic.profile_lifecycle_stages is 'The lifecycle stages of profiles, one row each, as of the latest reading of the profile. Empty unless resources.profiles.lifecycle_stages is on.';
comment on column blueconic.profile_lifecycle_stages.profile_id is 'The profile''s id.';
comment on column blueconic.profile_lifecycle_stages.lifecycle_id is 'The lifecycle''s id: see lifecycles.';
comment on column blueconic.profile_lifecycle_stages.stage_id is 'The id of the stage that the profile is in: see lifecycles.stages.';
comment on column blueconic.profile_lifecycle_stages.synced_at is 'When this row last changed here.';

-- A membership leaves with any reading, so samples of ids would outlive an erasure.
alter table blueconic.profile_groups alter column profile_id set statistics 0;
alter table blueconic.profile_lifecycle_stages alter column profile_id set statistics 0;
