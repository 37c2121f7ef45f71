-- A profile that comes while histories are recorded begins all that it has at once: one row says when, in place of one for each segment,
-- objective, stage and property. What it had from then on gets a row of its own as it ends, as that does which was there when recording
-- began. A profile that had been there before has intervals, and gets one for each thing, as until now. The views below join where
-- they looked by `not exists` before: Citus takes no such subquery beside an outer join.

create table sync.profile_arrivals (
  profile_id text collate "C" primary key,
  arrived_at timestamptz not null
);
comment on table sync.profile_arrivals is 'The profiles that came while any history of profiles was recorded, and are still there. What such a profile has without an open interval of its own, it has had since it came, or since that history is recorded.';
comment on column sync.profile_arrivals.profile_id is 'The profile.';
comment on column sync.profile_arrivals.arrived_at is 'The time of the load that brought it.';
-- An erasure removes the row of a person, and samples of ids would outlive it.
alter table sync.profile_arrivals alter column profile_id set statistics 0;

do $$
begin
  if sync.is_distributed('blueconic.profiles') then
    perform create_distributed_table('sync.profile_arrivals', 'profile_id', colocate_with => 'blueconic.profiles');
  end if;
end
$$;

create or replace view blueconic.segment_membership_history as
select s.profile_id, s.segment_id, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.segment_intervals as s
union all
select m.profile_id, m.segment_id, greatest(h.recorded_since, a.arrived_at), null, true
from sync.histories as h
cross join blueconic.profile_segments as m
left join sync.profile_arrivals as a on a.profile_id = m.profile_id
left join sync.segment_intervals as s on s.profile_id = m.profile_id and s.segment_id = m.segment_id and s.valid_to is null
where h.history = 'segments' and h.recorded_since is not null and s.profile_id is null;

create or replace view blueconic.profile_consent_history as
select s.profile_id, s.objective_id, s.state, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.consent_intervals as s
union all
select c.profile_id, c.objective_id, c.state, greatest(h.recorded_since, a.arrived_at), null, true
from sync.histories as h
cross join blueconic.profile_consent as c
left join sync.profile_arrivals as a on a.profile_id = c.profile_id
left join sync.consent_intervals as s
  on s.profile_id = c.profile_id and s.objective_id = c.objective_id and s.state = c.state and s.valid_to is null
where h.history = 'consent' and h.recorded_since is not null and s.profile_id is null;

create or replace view blueconic.lifecycle_stage_history as
select s.profile_id, s.lifecycle_id, s.stage_id, s.valid_from, s.valid_to, s.valid_to is null as is_current
from sync.stage_intervals as s
union all
select m.profile_id, m.lifecycle_id, m.stage_id, greatest(h.recorded_since, a.arrived_at), null, true
from sync.histories as h
cross join blueconic.profile_lifecycle_stages as m
left join sync.profile_arrivals as a on a.profile_id = m.profile_id
left join sync.stage_intervals as s
  on s.profile_id = m.profile_id and s.lifecycle_id = m.lifecycle_id and s.stage_id = m.stage_id and s.valid_to is null
where h.history = 'lifecycle_stages' and h.recorded_since is not null and s.profile_id is null;

create or replace view blueconic.profile_property_history as
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
    greatest(h.recorded_since, a.arrived_at), null
  from sync.histories as h
  join blueconic.profiles as p on p.properties ? h.property_id
  left join sync.profile_arrivals as a on a.profile_id = p.id
  left join sync.property_intervals as s on s.profile_id = p.id and s.property_id = h.property_id and s.valid_to is null
  where h.history = 'properties' and h.recorded_since is not null and s.profile_id is null
) as i;
