-- Timelines of profiles (`resources.profiles.timeline`): the events, and for each profile what may be missing from them. They are
-- child tables of profiles; `sync.child_hashes` (0014) has their hashes.
--
-- The tenant forgets events, so rows stay when it no longer lists them. The distribution column is profile_id; the key needs the
-- partition column, too.

create table blueconic.timeline_events (
  profile_id text collate "C" not null,
  event_type_id text collate "C" not null,
  event_id text collate "C" not null,
  occurred_at timestamptz not null,
  source text,
  data jsonb,
  synced_at timestamptz not null,
  primary key (profile_id, event_type_id, event_id, occurred_at)
) partition by range (occurred_at);
create index timeline_events_occurred_at on blueconic.timeline_events (occurred_at);
comment on table blueconic.timeline_events is 'What people did: the events on the timelines of profiles, one partition a month (UTC). An event stays when the tenant no longer lists it, for as long as its profile. Empty unless resources.profiles.timeline is on.';
comment on column blueconic.timeline_events.profile_id is 'The profile''s id.';
comment on column blueconic.timeline_events.event_type_id is 'The id of the event''s type.';
comment on column blueconic.timeline_events.event_id is 'The event''s id. It is unique only together with the profile, the type and the date.';
comment on column blueconic.timeline_events.occurred_at is 'When it happened.';
comment on column blueconic.timeline_events.source is 'What recorded it, such as a connection or a notebook with its id.';
comment on column blueconic.timeline_events.data is 'Its data: each id with the array of its values, as {"order_number": ["17"]}. A value that is itself a list of data is such an object, too: {"product": [{"id": ["9876"], "quantity": [2]}]}.';
comment on column blueconic.timeline_events.synced_at is 'When this row last changed here.';

-- Wrong dates of a tenant (1970-01-01, 9999-12-31) must not make a partition for each month: `sync.make_month_partitions` is called
-- for the months between these two alone.
create table blueconic.timeline_events_before_y2010 (like blueconic.timeline_events including all);
alter table blueconic.timeline_events attach partition blueconic.timeline_events_before_y2010
  for values from (minvalue) to ('2010-01-01 00:00:00+00');
comment on table blueconic.timeline_events_before_y2010 is 'Rows of timeline_events before 2010 (UTC).';
create table blueconic.timeline_events_from_y2050 (like blueconic.timeline_events including all);
alter table blueconic.timeline_events attach partition blueconic.timeline_events_from_y2050
  for values from ('2050-01-01 00:00:00+00') to (maxvalue);
comment on table blueconic.timeline_events_from_y2050 is 'Rows of timeline_events from 2050 on (UTC).';

create table blueconic.timeline_gaps (
  profile_id text collate "C" not null,
  reason text not null,
  events bigint not null,
  listed_from timestamptz,
  detail text,
  synced_at timestamptz not null,
  primary key (profile_id, reason)
);
comment on table blueconic.timeline_gaps is 'What is missing from timeline_events, as of the latest reading of each profile. A profile without a row has every event that the tenant listed.';
comment on column blueconic.timeline_gaps.profile_id is 'The profile''s id.';
comment on column blueconic.timeline_gaps.reason is 'full_answer: as many events came as were asked for, so that older ones may be missing. no_id, no_type, no_date: events without it, which have no key. wrong_shape: events that cannot be read.';
comment on column blueconic.timeline_gaps.events is 'For full_answer, how many events came; otherwise how many of them are not stored.';
comment on column blueconic.timeline_gaps.listed_from is 'For full_answer, the date of the oldest event that came: events before it may be missing.';
comment on column blueconic.timeline_gaps.detail is 'What is wrong with the first of the events that are not stored.';
comment on column blueconic.timeline_gaps.synced_at is 'When this row last changed here.';

-- A gap leaves with each reading, so samples of ids would outlive an erasure.
alter table blueconic.timeline_gaps alter column profile_id set statistics 0;
alter table blueconic.timeline_gaps alter column detail set statistics 0;

alter table sync.cursors add column timelines_as_of timestamptz;
comment on column sync.cursors.timelines_as_of is 'When the last complete full walk began that read the timelines as well (the tenant''s clock). Never moves back.';

-- An increment brings the timelines of profiles that changed otherwise, so only a full walk makes the table complete.
create or replace view blueconic.freshness as
select
  r.name as resource,
  case
    -- A resumed walk has several runs, so that its own start is known to the cursor alone.
    when r.has_watermark then c.watermark
    else f.started_at
  end as complete_as_of,
  s.last_success_at,
  g.open_gaps
from (
  select resources.name, resources.has_watermark
  from sync.resources
  where resources.by_default or exists (select from sync.runs where runs.resource = resources.name)
  order by resources.place
) as r
cross join lateral (select sync.clock() as now) as t
cross join lateral (
  -- `least` passes over null: a walk that is under way has no watermark, and is not complete as of now.
  select max(least(cursors.watermark, t.now)) as watermark
  from sync.cursors
  where cursors.resource = r.name and cursors.watermark <= t.now + interval '1 minute'
) as c
cross join lateral (
  select max(runs.started_at) as started_at
  from sync.runs
  where runs.resource = r.name and runs.mode = 'full' and runs.status = 'succeeded' and runs.started_at <= t.now
) as f
cross join lateral (
  select max(runs.finished_at) as last_success_at
  from sync.runs
  where runs.resource = r.name and runs.status = 'succeeded' and runs.finished_at <= t.now
) as s
cross join lateral (
  select count(*) as open_gaps from sync.gaps where gaps.resource = r.name and gaps.closed_at is null
) as g
union all
select 'timeline_events', least(w.timelines_as_of, t.now), s.last_success_at, g.open_gaps
from sync.cursors as w
cross join lateral (select sync.clock() as now) as t
cross join lateral (
  select max(runs.finished_at) as last_success_at
  from sync.runs
  where runs.resource = w.resource and runs.mode = 'full' and runs.status = 'succeeded' and runs.finished_at <= t.now
) as s
cross join lateral (select count(distinct gaps.profile_id) as open_gaps from blueconic.timeline_gaps as gaps) as g
where w.resource = 'profiles' and w.scope = 'full' and w.timelines_as_of <= t.now + interval '1 minute';
comment on column blueconic.freshness.open_gaps is 'Stretches of time that may lack elements (audit events), or profiles in timeline_gaps (timeline_events).';
