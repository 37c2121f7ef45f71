-- Audit events name objects by type and id, and by the name that they had then. These views add the names that they have now.

create view blueconic.named_objects as
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
where domain_id is not null;
comment on view blueconic.named_objects is 'Every object of the lists that audit events may name, with its name of today.';
comment on column blueconic.named_objects.object_type is 'Its type in audit_events.object_type.';
comment on column blueconic.named_objects.table_name is 'The table that knows it.';
comment on column blueconic.named_objects.id is 'Its id.';
comment on column blueconic.named_objects.name is 'Its name of today.';

create view blueconic.audit_events_named as
select
  e.occurred_at, e.event_key, e.occurrence, e.user_name, e.application, e.operation, e.ip_address, e.object_type,
  o.place as object_place,
  o.object ->> 'id' as object_id,
  o.object ->> 'name' as name_then,
  n.name as name_now,
  n.table_name
from blueconic.audit_events as e
left join lateral jsonb_array_elements(e.objects) with ordinality as o (object, place) on true
left join blueconic.named_objects as n on n.object_type = e.object_type and n.id = o.object ->> 'id';
comment on view blueconic.audit_events_named is 'Audit events with a row for each of their objects, and the name that it has today. An event without objects has one row.';
comment on column blueconic.audit_events_named.occurred_at is 'When it happened.';
comment on column blueconic.audit_events_named.event_key is 'The event, together with occurrence.';
comment on column blueconic.audit_events_named.occurrence is 'The number of the event among equal ones.';
comment on column blueconic.audit_events_named.user_name is 'Who did it.';
comment on column blueconic.audit_events_named.application is 'The application through which it was done.';
comment on column blueconic.audit_events_named.operation is 'What was done: CREATE, UPDATE, DELETE, READ, LOGIN and others.';
comment on column blueconic.audit_events_named.ip_address is 'The address from which it was done.';
comment on column blueconic.audit_events_named.object_type is 'The type of the object: SEGMENT, DIALOGUE, CONNECTION and others.';
comment on column blueconic.audit_events_named.object_place is 'The place of the object among those of the event, from 1; null for an event without objects.';
comment on column blueconic.audit_events_named.object_id is 'The id of the object.';
comment on column blueconic.audit_events_named.name_then is 'Its name in the event.';
comment on column blueconic.audit_events_named.name_now is 'Its name of today; null if no table knows the object, or not any more.';
comment on column blueconic.audit_events_named.table_name is 'The table that knows the object today.';

create view blueconic.activity as
select
  e.occurred_at, e.event_key, e.occurrence,
  coalesce(nullif(e.user_name, ''), nullif(e.application, ''), 'somebody') as who,
  e.operation, e.object_type,
  e.objects,
  coalesce(nullif(e.user_name, ''), nullif(e.application, ''), 'somebody')
    || ' '
    || case e.operation
         when 'CREATE' then 'created'
         when 'UPDATE' then 'changed'
         when 'DELETE' then 'deleted'
         when 'READ' then 'viewed'
         when 'LOGIN' then 'logged in'
         when 'LOGOUT' then 'logged out'
         when 'LOGIN_FAILED' then 'failed to log in'
         when 'MANUAL_RUN' then 'ran'
         when 'SCHEDULED_RUN' then 'ran by schedule'
         when 'EDITOR_RUN' then 'ran in the editor'
         when 'PASSWORD_CHANGE' then 'changed the password of'
         when 'PASSWORD_RESET_REQUESTED' then 'asked for a new password of'
         when 'PROFILE_MERGE_TRIGGERED_BY_USER' then 'merged'
         else lower(replace(e.operation, '_', ' '))
       end
    || case when e.operation in ('LOGIN', 'LOGOUT', 'LOGIN_FAILED') then ''
         else ' ' || lower(replace(e.object_type, '_', ' '))
           || coalesce(' ' || e.objects, '')
       end
    || case when e.application <> '' and e.user_name <> '' and e.application <> 'blueconic'
         then ' (' || e.application || ')' else '' end as line
from (
  select
    a.occurred_at, a.event_key, a.occurrence, a.user_name, a.application, a.operation, a.object_type,
    (
      select string_agg(coalesce(n.name, nullif(o.object ->> 'name', ''), o.object ->> 'id'), ', ' order by o.place)
      from jsonb_array_elements(a.objects) with ordinality as o (object, place)
      left join blueconic.named_objects as n on n.object_type = a.object_type and n.id = o.object ->> 'id'
    ) as objects
  from blueconic.audit_events as a
) as e;
comment on view blueconic.activity is 'Who did what to which object: audit events as one readable line each, with the names of today.';
comment on column blueconic.activity.occurred_at is 'When it happened.';
comment on column blueconic.activity.event_key is 'The event, together with occurrence: see audit_events.';
comment on column blueconic.activity.occurrence is 'The number of the event among equal ones.';
comment on column blueconic.activity.who is 'The person, or the application where no person is named.';
comment on column blueconic.activity.operation is 'What was done, as in audit_events.';
comment on column blueconic.activity.object_type is 'The type of the objects, as in audit_events.';
comment on column blueconic.activity.objects is 'The objects: their names of today, else their names in the event, else their ids.';
comment on column blueconic.activity.line is 'All of it in one line.';
