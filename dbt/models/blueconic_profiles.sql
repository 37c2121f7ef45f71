{{ config(
    materialized = 'incremental',
    unique_key = 'id',
    pre_hook = "{{ blueconic_sync.blueconic_follow('profiles') }}",
    post_hook = "{{ blueconic_sync.blueconic_followed() }}"
) }}
select
  w.id,
  w.created_at,
  w.modified_at,
  w.privacy_legislation,
  w.permission_level,
  array(select m.segment_id from {{ source('blueconic', 'profile_segments') }} as m where m.profile_id = w.id order by 1) as segment_ids
from {{ source('blueconic', 'profiles_wide') }} as w
where {{ blueconic_sync.blueconic_changed('w.id') }}
