select
  m.profile_id,
  m.segment_id,
  s.name as segment_name
from {{ source('blueconic', 'profile_segments') }} as m
join {{ source('blueconic', 'segments') }} as s on s.id = m.segment_id
