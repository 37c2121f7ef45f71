-- `freshness` follows from the program: `migrate`, and every start that migrates, records here which resources there are. A new
-- list needs no other view.

create table sync.resources (
  name text primary key,
  place integer not null,
  has_watermark boolean not null,
  by_default boolean not null
);
comment on table sync.resources is 'The resources that the program knows, as its last start recorded them: the rows of blueconic.freshness.';
comment on column sync.resources.name is 'The resource, which is its table in blueconic.';
comment on column sync.resources.place is 'Its place in the order in which a backfill reads the resources.';
comment on column sync.resources.has_watermark is 'Whether its watermark says how far it is complete; else the start of its last full run that succeeded.';
comment on column sync.resources.by_default is 'Whether it is read where no setting says otherwise. One that is not appears in freshness after its first run.';

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
) as g;
