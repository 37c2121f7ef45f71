-- The view `freshness` read every run of every resource, though it wants the last one that succeeded: with a year of runs (40,000) that took
-- seconds for all resources. Now an index has the runs that succeeded by their end, and each part of the view reads one row by an
-- index.

create index runs_succeeded on sync.runs (resource, finished_at desc) where status = 'succeeded';

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
  -- In the order of an index: with `exists` the planner reads all runs, in vain where a resource was never read.
  where resources.by_default or (
    select true from sync.runs where runs.resource = resources.name order by runs.mode, runs.started_at desc limit 1
  )
  order by resources.place
) as r
cross join lateral (select sync.clock() as now) as t
cross join lateral (
  -- `least` passes over null: a walk that is under way has no watermark, and is not complete as of now.
  select max(least(cursors.watermark, t.now)) as watermark
  from sync.cursors
  where cursors.resource = r.name and cursors.watermark <= t.now + interval '1 minute'
) as c
left join lateral (
  select runs.started_at
  from sync.runs
  where runs.resource = r.name and runs.mode = 'full' and runs.status = 'succeeded' and runs.started_at <= t.now
  order by runs.started_at desc
  limit 1
) as f on true
left join lateral (
  select runs.finished_at as last_success_at
  from sync.runs
  where runs.resource = r.name and runs.status = 'succeeded' and runs.finished_at <= t.now
  order by runs.finished_at desc
  limit 1
) as s on true
cross join lateral (
  select count(*) as open_gaps from sync.gaps where gaps.resource = r.name and gaps.closed_at is null
) as g
union all
select 'timeline_events', least(w.timelines_as_of, t.now), s.last_success_at, g.open_gaps
from sync.cursors as w
cross join lateral (select sync.clock() as now) as t
left join lateral (
  select runs.finished_at as last_success_at
  from sync.runs
  where runs.resource = w.resource and runs.mode = 'full' and runs.status = 'succeeded' and runs.finished_at <= t.now
  order by runs.finished_at desc
  limit 1
) as s on true
cross join lateral (select count(distinct gaps.profile_id) as open_gaps from blueconic.timeline_gaps as gaps) as g
where w.resource = 'profiles' and w.scope = 'full' and w.timelines_as_of <= t.now + interval '1 minute';
