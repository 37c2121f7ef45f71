-- The history of profiles' consent (`resources.consent_history`): a row for each profile whose history was read, and the events. Both
-- are child tables of profiles, and a resource of its own brings their rows: a request for each profile that has changed.
--
-- The tenant may forget events, so rows stay when it no longer lists them. The distribution column is profile_id; the key of the events
-- needs the partition column, too. The key of consent_history includes the hash, so that the profiles that have changed are found in the
-- two indexes alone.

create table blueconic.consent_history (
  profile_id text collate "C" not null,
  source_hash bytea not null,
  events bigint not null,
  not_stored bigint not null,
  detail text,
  synced_at timestamptz not null,
  constraint consent_history_pkey primary key (profile_id) include (source_hash)
);
comment on table blueconic.consent_history is 'The profiles whose history of consent was read, one row each; the events are in consent_events. Empty unless resources.consent_history is on.';
comment on column blueconic.consent_history.profile_id is 'The profile''s id.';
comment on column blueconic.consent_history.source_hash is 'The profile''s source_hash when its history was read. Where that of the profile differs, the history is read again.';
comment on column blueconic.consent_history.events is 'How many events the tenant listed; consent_events may hold older ones, too.';
comment on column blueconic.consent_history.not_stored is 'How many of them are not in consent_events, since they have no date or type or cannot be read.';
comment on column blueconic.consent_history.detail is 'What is wrong with the first of the events that are not stored.';
comment on column blueconic.consent_history.synced_at is 'When this row last changed here.';

create table blueconic.consent_events (
  profile_id text collate "C" not null,
  occurred_at timestamptz not null,
  event_type text collate "C" not null,
  ordinal integer not null,
  from_legislation text,
  to_legislation text,
  from_level text,
  to_level text,
  from_consented text[],
  to_consented text[],
  from_refused text[],
  to_refused text[],
  source text,
  properties jsonb,
  synced_at timestamptz not null,
  primary key (profile_id, occurred_at, event_type, ordinal)
) partition by range (occurred_at);
create index consent_events_occurred_at on blueconic.consent_events (occurred_at);
comment on table blueconic.consent_events is 'What people consented to and refused, and when: the events in the history of profiles, one partition a month (UTC). An event stays when the tenant no longer lists it, for as long as its profile. Empty unless resources.consent_history is on.';
comment on column blueconic.consent_events.profile_id is 'The profile''s id.';
comment on column blueconic.consent_events.occurred_at is 'When it happened.';
comment on column blueconic.consent_events.event_type is 'ConsentChanged or PermissionLevelChanged.';
comment on column blueconic.consent_events.ordinal is 'The number of the event among those of the profile with the same date and type, from 0.';
comment on column blueconic.consent_events.from_legislation is 'The legislation that applied before, such as GDPR (FromLegislation).';
comment on column blueconic.consent_events.to_legislation is 'The legislation that applies since (ToLegislation).';
comment on column blueconic.consent_events.from_level is 'The permission level before: DO_NOT_TRACK, ANONYMOUS or PERSONAL (FromLevel).';
comment on column blueconic.consent_events.to_level is 'The permission level since (ToLevel).';
comment on column blueconic.consent_events.from_consented is 'Objectives consented to before (FromConsented); null where the event does not say.';
comment on column blueconic.consent_events.to_consented is 'Objectives consented to since (ToConsented); null where the event does not say.';
comment on column blueconic.consent_events.from_refused is 'Objectives refused before (FromRefused); null where the event does not say.';
comment on column blueconic.consent_events.to_refused is 'Objectives refused since (ToRefused); null where the event does not say.';
comment on column blueconic.consent_events.source is 'Where it was changed, such as CLIENTSIDE or REST (Source).';
comment on column blueconic.consent_events.properties is 'Everything that the event says: each id with the array of its values, those of the other columns included.';
comment on column blueconic.consent_events.synced_at is 'When this row last changed here.';

-- As for timeline_events (0021).
create table blueconic.consent_events_before_y2010 (like blueconic.consent_events including all);
alter table blueconic.consent_events attach partition blueconic.consent_events_before_y2010
  for values from (minvalue) to ('2010-01-01 00:00:00+00');
comment on table blueconic.consent_events_before_y2010 is 'Rows of consent_events before 2010 (UTC).';
create table blueconic.consent_events_from_y2050 (like blueconic.consent_events including all);
alter table blueconic.consent_events attach partition blueconic.consent_events_from_y2050
  for values from ('2050-01-01 00:00:00+00') to (maxvalue);
comment on table blueconic.consent_events_from_y2050 is 'Rows of consent_events from 2050 on (UTC).';

-- A row leaves with its profile, so samples of ids would outlive an erasure.
alter table blueconic.consent_history alter column profile_id set statistics 0;
alter table blueconic.consent_history alter column detail set statistics 0;
