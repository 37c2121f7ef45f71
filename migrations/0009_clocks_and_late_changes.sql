-- A time from outside is a claim: a watermark that lies ahead of the database's clock is not shown as one. Changes that
-- showed up late are counted. And `synced_at` says what a reader may conclude from it.

alter table sync.runs
  add column rows_late bigint not null default 0,
  add column late_by_seconds bigint;
comment on column sync.runs.rows_late is 'Rows among the inserted and updated ones that a full walk found changed although an increment had passed their modified_at before this walk began: the tenant showed them late. New rows count up to a day back.';
comment on column sync.runs.late_by_seconds is 'How far the worst of rows_late lay before the increment''s watermark, in seconds: with an overlap of as much, an increment would have brought it. Null: no row was late.';

comment on column sync.cursors.watermark is 'Complete through this time (the tenant''s clock, but never ahead of both the service''s and the database''s by more than a minute). Moves back only where it lay ahead of both, and by `reset RESOURCE --to TIME`.';

-- An analyst's reader has no right on `sync`; the view asks in its owner's name. A minute is what a watermark may be ahead.
create or replace view blueconic.freshness as
select
  r.resource,
  case
    -- A resumed walk has several runs, so that its own start is known to the cursor alone.
    when r.resource in ('profiles', 'audit_events') then c.watermark
    else f.started_at
  end as complete_as_of,
  s.last_success_at,
  g.open_gaps
from (values ('segments'), ('profile_properties'), ('profiles'), ('audit_events')) as r (resource)
cross join lateral (select sync.clock() as now) as t
cross join lateral (
  -- `least` passes over null: a walk that is under way has no watermark, and is not complete as of now.
  select max(least(cursors.watermark, t.now)) as watermark
  from sync.cursors
  where cursors.resource = r.resource and cursors.watermark <= t.now + interval '1 minute'
) as c
cross join lateral (
  select max(runs.started_at) as started_at
  from sync.runs
  where runs.resource = r.resource and runs.mode = 'full' and runs.status = 'succeeded' and runs.started_at <= t.now
) as f
cross join lateral (
  select max(runs.finished_at) as last_success_at
  from sync.runs
  where runs.resource = r.resource and runs.status = 'succeeded' and runs.finished_at <= t.now
) as s
cross join lateral (
  select count(*) as open_gaps from sync.gaps where gaps.resource = r.resource and gaps.closed_at is null
) as g;
comment on column blueconic.freshness.complete_as_of is 'The table says what the tenant said at this time, or later. Never in the future. Null: never complete yet, or not known because a clock ran ahead (the next run mends that).';

comment on column blueconic.segments.synced_at is 'When the load began that last changed this row. Not a feed of changes: loads run side by side, and one that commits later may carry an earlier time, so `synced_at > the last one seen` misses rows. Compare modified_at or content, or read back further than the longest load takes (sync.runs).';
comment on column blueconic.profile_properties.synced_at is 'When the load began that last changed this row. Not a feed of changes: see segments.synced_at.';
comment on column blueconic.profiles.synced_at is 'When the load began that last changed this row: the start of its transaction, not its commit. Not a feed of changes: loads run side by side, and one that commits later may carry an earlier time, so `synced_at > the last one seen` misses rows, and a removed row leaves none. To follow changes, read back by more than the longest transaction took, and compare content_hash; removals are in profile_tombstones.';
comment on column blueconic.audit_events.synced_at is 'When the load began that stored this event, or last took an erased person out of it. Not a feed of changes: see profiles.synced_at.';
