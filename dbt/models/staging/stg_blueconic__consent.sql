select
  c.profile_id,
  c.objective_id,
  c.state = 'consented' as has_consented,
  c.legislation
from {{ source('blueconic', 'profile_consent') }} as c
