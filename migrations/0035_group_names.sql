-- Audit events name groups and their properties, too. An event tells no type of group, so that an id of several types has one name.

create or replace view blueconic.named_objects as
select 'SEGMENT' as object_type, 'segments' as table_name, id, name from blueconic.segments
union all
select 'PROFILE_PROPERTY' as object_type, 'profile_properties' as table_name, id, name from blueconic.profile_properties
union all
select 'CHANNEL' as object_type, 'channels' as table_name, id, name from blueconic.channels
union all
select 'CONNECTION' as object_type, 'connections' as table_name, id, name from blueconic.connections
union all
select 'DIALOGUE' as object_type, 'dialogues' as table_name, id, name from blueconic.dialogues
union all
select 'LISTENER' as object_type, 'listeners' as table_name, id, name from blueconic.listeners
union all
select 'LIFECYCLE' as object_type, 'lifecycles' as table_name, id, name from blueconic.lifecycles
union all
select 'OBJECTIVE' as object_type, 'objectives' as table_name, id, name from blueconic.objectives
union all
select 'GROUP_TYPE' as object_type, 'group_types' as table_name, id, name from blueconic.group_types
union all
select 'TIMELINE_EVENT_TYPE' as object_type, 'timeline_event_types' as table_name, id, name from blueconic.timeline_event_types
union all
select 'TIMELINE_EVENT_ROLLUP' as object_type, 'timeline_event_rollups' as table_name, id, name from blueconic.timeline_event_rollups
union all
select 'ROLE' as object_type, 'roles' as table_name, id, name from blueconic.roles
union all
select 'USER' as object_type, 'users' as table_name, id, name from blueconic.users
union all
select 'NOTEBOOK' as object_type, 'notebooks' as table_name, id, name from blueconic.notebooks
union all
select 'MODEL' as object_type, 'models' as table_name, id, name from blueconic.models
union all
select 'CONTENTSTORE' as object_type, 'content_stores' as table_name, id, name from blueconic.content_stores
union all
select 'PLUGIN' as object_type, 'plugins' as table_name, id, name from blueconic.plugins
union all
select 'VARIANT', 'dialogues', variant ->> 'id', variant ->> 'name'
from blueconic.dialogues
cross join lateral jsonb_array_elements(
  case jsonb_typeof(variants) when 'array' then variants else '[]' end
) as variant
union all
select distinct on (domain_id) 'DOMAIN', 'channels', domain_id, domain_name
from blueconic.channels
where domain_id is not null
union all
select distinct on (id) 'GROUP', 'groups', id, name from blueconic.groups
union all
select distinct on (id) 'GROUP_PROPERTY', 'group_properties', id, name from blueconic.group_properties;
