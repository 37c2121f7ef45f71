-- A join of profile_segments with segments reads the members of the wanted segment alone. The ids of segments sort by code, those in the
-- arrays of profiles as the database does: the planner takes a condition under one collation for no condition under the other, and read
-- the members of all segments. Now the ids are compared under both.

create or replace view blueconic.profile_segments as
select p.id as profile_id, u.segment_id
from blueconic.profiles as p
cross join lateral unnest(p.segment_ids) as u (segment_id)
join sync.segment_ids as s on s.id = u.segment_id and s.id collate "C" = u.segment_id collate "C" and p.segment_ids @> array[s.id];
