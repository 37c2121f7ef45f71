select
  i.profile_id as any_id,
  i.current_id as profile_id
from {{ source('blueconic', 'profile_identity') }} as i
