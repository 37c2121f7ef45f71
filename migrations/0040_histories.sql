-- Histories of profiles: when they were in which segment, consented to what, were in which lifecycle stage, and had which value of a
-- chosen property (`resources.profiles.history`). A load writes what changes and nothing else, so the tables below have no row of what has
-- stayed the same since recording began: the views take that from the current tables. The distribution column is profile_id.

create table sync.histories (
  history text not null check (history in ('segments', 'consent', 'lifecycle_stages', 'properties')),
  property_id text collate "C" not null default '',
  wanted_since timestamptz not null,
  recorded_since timestamptz,
  primary key (history, property_id)
);
comment on table sync.histories is 'The histories that are switched on, one row each, and one for each chosen property. A history that is switched off has neither a row here nor any interval.';
comment on column sync.histories.history is 'segments, consent, lifecycle_stages or properties.';
comment on column sync.histories.property_id is 'Of properties, the id of the property; of the others, empty.';
comment on column sync.histories.wanted_since is 'When it was switched on.';
comment on column sync.histories.recorded_since is 'Since when it is recorded: the end of the first complete full walk that began after it was switched on. Null: not yet.';

-- Volatile and in plpgsql: it sees what was committed before it was called, after the lock of loads was taken.
create function sync.recorded_histories() returns text[]
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  return array(select distinct h.history from sync.histories as h where h.recorded_since is not null order by 1);
end $$;
comment on function sync.recorded_histories() is 'The histories that loads record.';

-- A statement that merges profiles sees the table as it was when it began, and updates rows as they are once it has locked them. Where
-- these differ, another load has changed the row meanwhile: what it was before is read anew by another attempt.
create function sync.is_as_read(now_there tid, was_read tid) returns boolean
language plpgsql volatile
set search_path = pg_catalog, pg_temp
as $$
begin
  if now_there is distinct from was_read then
    raise exception 'another load changed the row meanwhile' using errcode = 'serialization_failure';
  end if;
  return true;
end $$;
comment on function sync.is_as_read(tid, tid) is 'True if a row that is locked is the one that was read; otherwise the transaction fails and is tried again.';

create table sync.segment_intervals (
  profile_id text collate "C" not null,
  segment_id text collate "C" not null,
  valid_from timestamptz not null,
  valid_to timestamptz check (valid_to > valid_from),
  primary key (profile_id, segment_id, valid_from)
);
create unique index segment_intervals_open on sync.segment_intervals (profile_id, segment_id) where valid_to is null;
comment on table sync.segment_intervals is 'When profiles were in which segment, as far as it changed while it was recorded: blueconic.segment_membership_history adds the rest.';
comment on column sync.segment_intervals.profile_id is 'The profile.';
comment on column sync.segment_intervals.segment_id is 'The segment.';
comment on column sync.segment_intervals.valid_from is 'The time of the load that brought it.';
comment on column sync.segment_intervals.valid_to is 'The time of the load that ended it; null while it is open.';

create table sync.consent_intervals (
  profile_id text collate "C" not null,
  objective_id text collate "C" not null,
  state text collate "C" not null,
  valid_from timestamptz not null,
  valid_to timestamptz check (valid_to > valid_from),
  primary key (profile_id, objective_id, state, valid_from)
);
create unique index consent_intervals_open on sync.consent_intervals (profile_id, objective_id, state) where valid_to is null;
comment on table sync.consent_intervals is 'When profiles consented to and refused what, as far as it changed while it was recorded: blueconic.profile_consent_history adds the rest.';
comment on column sync.consent_intervals.profile_id is 'The profile.';
comment on column sync.consent_intervals.objective_id is 'The objective.';
comment on column sync.consent_intervals.state is 'consented or refused.';
comment on column sync.consent_intervals.valid_from is 'The time of the load that brought it.';
comment on column sync.consent_intervals.valid_to is 'The time of the load that ended it; null while it is open.';

create table sync.stage_intervals (
  profile_id text collate "C" not null,
  lifecycle_id text collate "C" not null,
  stage_id text collate "C" not null,
  valid_from timestamptz not null,
  valid_to timestamptz check (valid_to > valid_from),
  primary key (profile_id, lifecycle_id, stage_id, valid_from)
);
create unique index stage_intervals_open on sync.stage_intervals (profile_id, lifecycle_id, stage_id) where valid_to is null;
comment on table sync.stage_intervals is 'When profiles were in which lifecycle stage, as far as it changed while it was recorded: blueconic.lifecycle_stage_history adds the rest.';
comment on column sync.stage_intervals.profile_id is 'The profile.';
comment on column sync.stage_intervals.lifecycle_id is 'The lifecycle.';
comment on column sync.stage_intervals.stage_id is 'The stage.';
comment on column sync.stage_intervals.valid_from is 'The time of the load that brought it.';
comment on column sync.stage_intervals.valid_to is 'The time of the load that ended it; null while it is open.';

create table sync.property_intervals (
  profile_id text collate "C" not null,
  property_id text collate "C" not null,
  all_values text[] not null,
  valid_from timestamptz not null,
  valid_to timestamptz check (valid_to > valid_from),
  primary key (profile_id, property_id, valid_from)
);
create unique index property_intervals_open on sync.property_intervals (profile_id, property_id) where valid_to is null;
comment on table sync.property_intervals is 'When profiles had which values of chosen properties, as far as they changed while that was recorded: blueconic.profile_property_history adds the rest.';
comment on column sync.property_intervals.profile_id is 'The profile.';
comment on column sync.property_intervals.property_id is 'The property.';
comment on column sync.property_intervals.all_values is 'The values in the order in which they came.';
comment on column sync.property_intervals.valid_from is 'The time of the load that brought them.';
comment on column sync.property_intervals.valid_to is 'The time of the load that ended them; null while they are open.';

-- An erasure removes the intervals of a person, and samples of ids and values would outlive it.
alter table sync.segment_intervals alter column profile_id set statistics 0;
alter table sync.consent_intervals alter column profile_id set statistics 0;
alter table sync.stage_intervals alter column profile_id set statistics 0;
alter table sync.property_intervals alter column profile_id set statistics 0, alter column all_values set statistics 0;

create view blueconic.recorded_histories as
select
  case h.history
    when 'segments' then 'segment_membership_history'
    when 'consent' then 'profile_consent_history'
    when 'lifecycle_stages' then 'lifecycle_stage_history'
    else 'profile_property_history'
  end as history,
  nullif(h.property_id, '') as property_id, h.recorded_since
from sync.histories as h;
comment on view blueconic.recorded_histories is 'Which histories are recorded (resources.profiles.history), and since when. Before that time a history says nothing.';
comment on column blueconic.recorded_histories.history is 'The view that shows it.';
comment on column blueconic.recorded_histories.property_id is 'Of profile_property_history, the property; each has a time of its own.';
comment on column blueconic.recorded_histories.recorded_since is 'Since when it is recorded. Null: it is switched on, and recording begins at the end of the next complete full walk.';

create view blueconic.segment_membership_history as
select s.profile_id, s.segment_id, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.segment_intervals as s
union all
select m.profile_id, m.segment_id, h.recorded_since, null, true
from sync.histories as h
cross join blueconic.profile_segments as m
where h.history = 'segments' and h.recorded_since is not null
  and not exists (
    select from sync.segment_intervals as s
    where s.profile_id = m.profile_id and s.segment_id = m.segment_id and s.valid_to is null
  );
comment on view blueconic.segment_membership_history is 'When profiles were in which segment, one row for each interval; the current ones are profile_segments. Times are those of the loads that noticed a change. A membership that changes with time alone, or with a change of the segment, is noticed by the next full walk (resources.profiles.full_schedule), any other by the next increment. Empty unless resources.profiles.history.segments is on.';
comment on column blueconic.segment_membership_history.profile_id is 'The profile. It may be gone, or merged: see profile_identity.';
comment on column blueconic.segment_membership_history.segment_id is 'The segment.';
comment on column blueconic.segment_membership_history.valid_from is 'When the membership was noticed. Where it was there when recording began, that time: see recorded_histories.';
comment on column blueconic.segment_membership_history.valid_to is 'When its end was noticed; the interval does not include this time. Null while it lasts.';
comment on column blueconic.segment_membership_history.is_current is 'Whether it lasts.';

create view blueconic.profile_consent_history as
select s.profile_id, s.objective_id, s.state, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.consent_intervals as s
union all
select c.profile_id, c.objective_id, c.state, h.recorded_since, null, true
from sync.histories as h
cross join blueconic.profile_consent as c
where h.history = 'consent' and h.recorded_since is not null
  and not exists (
    select from sync.consent_intervals as s
    where s.profile_id = c.profile_id and s.objective_id = c.objective_id and s.state = c.state and s.valid_to is null
  );
comment on view blueconic.profile_consent_history is 'When profiles consented to and refused what, one row for each interval; the current ones are profile_consent. Times are those of the loads that noticed a change: the next increment where the tenant dates the profile anew, otherwise the next full walk (resources.profiles.full_schedule). consent_events has the tenant''s own times. Empty unless resources.profiles.history.consent is on.';
comment on column blueconic.profile_consent_history.profile_id is 'The profile. It may be gone, or merged: see profile_identity.';
comment on column blueconic.profile_consent_history.objective_id is 'The objective.';
comment on column blueconic.profile_consent_history.state is 'consented or refused.';
comment on column blueconic.profile_consent_history.valid_from is 'When it was noticed. Where it was so when recording began, that time: see recorded_histories.';
comment on column blueconic.profile_consent_history.valid_to is 'When its end was noticed; the interval does not include this time. Null while it lasts.';
comment on column blueconic.profile_consent_history.is_current is 'Whether it lasts.';

create view blueconic.lifecycle_stage_history as
select s.profile_id, s.lifecycle_id, s.stage_id, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.stage_intervals as s
union all
select m.profile_id, m.lifecycle_id, m.stage_id, h.recorded_since, null, true
from sync.histories as h
cross join blueconic.profile_lifecycle_stages as m
where h.history = 'lifecycle_stages' and h.recorded_since is not null
  and not exists (
    select from sync.stage_intervals as s
    where s.profile_id = m.profile_id and s.lifecycle_id = m.lifecycle_id and s.stage_id = m.stage_id
      and s.valid_to is null
  );
comment on view blueconic.lifecycle_stage_history is 'When profiles were in which lifecycle stage, one row for each interval; the current ones are profile_lifecycle_stages. Times are those of the loads that noticed a change: the next increment where the tenant dates the profile anew, otherwise the next full walk (resources.profiles.full_schedule). Empty unless resources.profiles.history.lifecycle_stages is on.';
comment on column blueconic.lifecycle_stage_history.profile_id is 'The profile. It may be gone, or merged: see profile_identity.';
comment on column blueconic.lifecycle_stage_history.lifecycle_id is 'The lifecycle: see lifecycles.';
comment on column blueconic.lifecycle_stage_history.stage_id is 'The stage: see lifecycles.stages.';
comment on column blueconic.lifecycle_stage_history.valid_from is 'When it was noticed. Where it was so when recording began, that time: see recorded_histories.';
comment on column blueconic.lifecycle_stage_history.valid_to is 'When its end was noticed; the interval does not include this time. Null while it lasts.';
comment on column blueconic.lifecycle_stage_history.is_current is 'Whether it lasts.';

create view blueconic.profile_property_history as
select i.profile_id, i.property_id,
  (select v.value from unnest(i.all_values) with ordinality as v (value, place) where v.value is not null order by v.place limit 1) as value,
  i.all_values, i.valid_from, i.valid_to, i.valid_to is null as is_current
from (
  select s.profile_id, s.property_id, s.all_values, s.valid_from, s.valid_to
  from sync.property_intervals as s
  union all
  select p.id, h.property_id,
    array(
      select v.value from jsonb_array_elements_text(p.properties -> h.property_id) with ordinality as v (value, place)
      order by v.place
    ),
    h.recorded_since, null
  from sync.histories as h
  join blueconic.profiles as p on p.properties ? h.property_id
  where h.history = 'properties' and h.recorded_since is not null
    and not exists (
      select from sync.property_intervals as s
      where s.profile_id = p.id and s.property_id = h.property_id and s.valid_to is null
    )
) as i;
comment on view blueconic.profile_property_history is 'When profiles had which values of the properties that resources.profiles.history.properties names, one row for each interval; the current ones are profiles.properties. Times are those of the loads that noticed a change: the next increment where the tenant dates the profile anew, otherwise the next full walk (resources.profiles.full_schedule). Values of a profile that the tenant deleted leave with it.';
comment on column blueconic.profile_property_history.profile_id is 'The profile. It may be gone, or merged: see profile_identity.';
comment on column blueconic.profile_property_history.property_id is 'The property.';
comment on column blueconic.profile_property_history.value is 'The first value that is not null.';
comment on column blueconic.profile_property_history.all_values is 'All values in the order in which they came.';
comment on column blueconic.profile_property_history.valid_from is 'When these values were noticed. Where they were there when recording began, that time: see recorded_histories.';
comment on column blueconic.profile_property_history.valid_to is 'When their end was noticed; the interval does not include this time. Null while they last.';
comment on column blueconic.profile_property_history.is_current is 'Whether they last.';

-- Sizes by day. They name no person, so they stay for ever.

create table blueconic.daily_segment_sizes (
  day date not null,
  segment_id text collate "C" not null,
  profiles bigint not null,
  measured_at timestamptz not null,
  primary key (day, segment_id)
);
comment on table blueconic.daily_segment_sizes is 'How many profiles each segment had, by day (UTC), one row for each segment with any. A run over profiles measures at its end, at most once an hour; the last measurement of a day stays. A day without a run has no row.';
comment on column blueconic.daily_segment_sizes.day is 'The day, in UTC.';
comment on column blueconic.daily_segment_sizes.segment_id is 'The segment.';
comment on column blueconic.daily_segment_sizes.profiles is 'The profiles in it, as in profile_segments.';
comment on column blueconic.daily_segment_sizes.measured_at is 'When it was measured.';

create table blueconic.daily_profile_counts (
  day date not null,
  is_known boolean,
  privacy_legislation text,
  permission_level text,
  profiles bigint not null,
  measured_at timestamptz not null
);
create unique index daily_profile_counts_key on blueconic.daily_profile_counts (
  day, (coalesce(is_known::text, '')), (coalesce(privacy_legislation, '')), (coalesce(permission_level, ''))
);
comment on table blueconic.daily_profile_counts is 'How many profiles there were, by day (UTC), one row for each combination; their sum is the number of all profiles. A run over profiles measures at its end, at most once an hour; the last measurement of a day stays. A day without a run has no row.';
comment on column blueconic.daily_profile_counts.day is 'The day, in UTC.';
comment on column blueconic.daily_profile_counts.is_known is 'Whether they have a value of any property that the tenant indexes, such as an e-mail address (profile_identifiers); false: they are anonymous. Null while typed columns are off.';
comment on column blueconic.daily_profile_counts.privacy_legislation is 'The legislation under which they were collected, such as GDPR.';
comment on column blueconic.daily_profile_counts.permission_level is 'What may be stored of them: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.daily_profile_counts.profiles is 'The number of profiles.';
comment on column blueconic.daily_profile_counts.measured_at is 'When it was measured.';

create table blueconic.daily_property_fill (
  day date not null,
  property_id text collate "C" not null,
  profiles bigint not null,
  measured_at timestamptz not null,
  primary key (day, property_id)
);
comment on table blueconic.daily_property_fill is 'How many profiles had a value of each property, by day (UTC). A run over profiles measures at its end, at most once an hour; the last measurement of a day stays. A day without a run has no row, nor has one on which typed columns were off.';
comment on column blueconic.daily_property_fill.day is 'The day, in UTC.';
comment on column blueconic.daily_property_fill.property_id is 'The property.';
comment on column blueconic.daily_property_fill.profiles is 'The profiles whose typed column of the property is not null.';
comment on column blueconic.daily_property_fill.measured_at is 'When it was measured.';
