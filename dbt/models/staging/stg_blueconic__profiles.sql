select
  w.id as profile_id,
  w.created_at,
  w.modified_at,
  w.privacy_legislation,
  w.permission_level,
  coalesce(array_length(w.problems, 1), 0) as misfits
from {{ source('blueconic', 'profiles_wide') }} as w
