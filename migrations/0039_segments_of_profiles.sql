-- profile_segments finds the members of a segment by the index over profiles.segment_ids: a condition on segment_id, also one from a join,
-- reaches the index through the ids of all segments. A query without one reads all profiles as before.

create table sync.segment_ids (
  id text not null primary key
);
comment on table sync.segment_ids is 'The ids of all segments that any profile is or was in. A load adds new ones.';
comment on column sync.segment_ids.id is 'The segment''s id at the tenant.';

insert into sync.segment_ids (id)
select distinct u.segment_id from blueconic.profiles as p cross join lateral unnest(p.segment_ids) as u (segment_id);

create or replace view blueconic.profile_segments as
select p.id as profile_id, u.segment_id
from blueconic.profiles as p
cross join lateral unnest(p.segment_ids) as u (segment_id)
join sync.segment_ids as s on s.id = u.segment_id and p.segment_ids @> array[s.id];
