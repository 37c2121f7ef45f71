-- The lists of the tenant beside segments, properties and channels: one table each, by its description in src/resources/lists.
-- Runs of connections and notebooks, items of content stores and interactions of channels are read for each parent.

alter table blueconic.channels add column body jsonb not null default '{}';
comment on column blueconic.channels.body is 'What came beside the other columns, by the tenant''s names.';

create table blueconic.connections (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  plugin_id text,
  schedule_mode text,
  all_channels boolean,
  last_run_id text,
  last_run_state text,
  last_run_started_at timestamptz,
  last_run_ended_at timestamptz,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.connections is 'Connections that bring data into the tenant or send it elsewhere, one row each.';
comment on column blueconic.connections.id is 'Its id at the tenant.';
comment on column blueconic.connections.name is 'Its name.';
comment on column blueconic.connections.description is 'Its description.';
comment on column blueconic.connections.tags is 'Its tags; empty when there are none.';
comment on column blueconic.connections.enabled is 'Whether it is switched on.';
comment on column blueconic.connections.plugin_id is 'Id of the plugin that it runs.';
comment on column blueconic.connections.schedule_mode is 'SCHEDULED or CONTINUOUS.';
comment on column blueconic.connections.all_channels is 'Whether it works for all channels.';
comment on column blueconic.connections.last_run_id is 'Id of its last run.';
comment on column blueconic.connections.last_run_state is 'State of its last run.';
comment on column blueconic.connections.last_run_started_at is 'When its last run started.';
comment on column blueconic.connections.last_run_ended_at is 'When its last run ended; null while it runs.';
comment on column blueconic.connections.creator is 'User name of the person who made it.';
comment on column blueconic.connections.created_at is 'When it was made at the tenant.';
comment on column blueconic.connections.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.connections.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.connections.synced_at is 'When the load began that last changed this row.';

create table blueconic.connection_runs (
  connection_id text collate "C" not null,
  run_id text collate "C" not null,
  state text,
  started_at timestamptz,
  ended_at timestamptz,
  run_count bigint,
  message text,
  goal_statistics jsonb,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (connection_id, run_id)
);
comment on table blueconic.connection_runs is 'Runs of connections, one row each. A run stays when the tenant no longer lists it.';
comment on column blueconic.connection_runs.connection_id is 'Id of the connection: see connections.';
comment on column blueconic.connection_runs.run_id is 'The run''s id at the tenant.';
comment on column blueconic.connection_runs.state is 'STARTING, RUNNING, FINISHED, FAILED, STOPPING or STOPPED.';
comment on column blueconic.connection_runs.started_at is 'When it started.';
comment on column blueconic.connection_runs.ended_at is 'When it ended; null while it runs.';
comment on column blueconic.connection_runs.run_count is 'Its number among the runs.';
comment on column blueconic.connection_runs.message is 'What it reports, as the tenant''s HTML.';
comment on column blueconic.connection_runs.goal_statistics is 'What it counted: an array of {id, values}.';
comment on column blueconic.connection_runs.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.connection_runs.synced_at is 'When the load began that last changed this row.';

create table blueconic.dialogues (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  priority text,
  goal text,
  variant_strategy text,
  control_group_percent integer,
  variants jsonb,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.dialogues is 'Dialogues of the tenant, one row each.';
comment on column blueconic.dialogues.id is 'Its id at the tenant.';
comment on column blueconic.dialogues.name is 'Its name.';
comment on column blueconic.dialogues.description is 'Its description.';
comment on column blueconic.dialogues.tags is 'Its tags; empty when there are none.';
comment on column blueconic.dialogues.enabled is 'Whether it is switched on.';
comment on column blueconic.dialogues.priority is 'Name of its priority.';
comment on column blueconic.dialogues.goal is 'The goal that its optimizer works for.';
comment on column blueconic.dialogues.variant_strategy is 'How its variants are chosen: AUTOMATIC, EXCLUSIVE, ROTATING or MODEL_BASED.';
comment on column blueconic.dialogues.control_group_percent is 'Percent of the profiles that see nothing of it, for comparison.';
comment on column blueconic.dialogues.variants is 'Its variants: an array of objects.';
comment on column blueconic.dialogues.creator is 'User name of the person who made it.';
comment on column blueconic.dialogues.created_at is 'When it was made at the tenant.';
comment on column blueconic.dialogues.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.dialogues.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.dialogues.synced_at is 'When the load began that last changed this row.';

create table blueconic.listeners (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  plugin_id text,
  all_channels boolean,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.listeners is 'Listeners of the tenant, one row each.';
comment on column blueconic.listeners.id is 'Its id at the tenant.';
comment on column blueconic.listeners.name is 'Its name.';
comment on column blueconic.listeners.description is 'Its description.';
comment on column blueconic.listeners.tags is 'Its tags; empty when there are none.';
comment on column blueconic.listeners.enabled is 'Whether it is switched on.';
comment on column blueconic.listeners.plugin_id is 'Id of the plugin that it runs.';
comment on column blueconic.listeners.all_channels is 'Whether it works for all channels.';
comment on column blueconic.listeners.creator is 'User name of the person who made it.';
comment on column blueconic.listeners.created_at is 'When it was made at the tenant.';
comment on column blueconic.listeners.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.listeners.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.listeners.synced_at is 'When the load began that last changed this row.';

create table blueconic.lifecycles (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  priority text,
  stages jsonb,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.lifecycles is 'Lifecycles of the tenant, one row each, with their stages.';
comment on column blueconic.lifecycles.id is 'Its id at the tenant.';
comment on column blueconic.lifecycles.name is 'Its name.';
comment on column blueconic.lifecycles.description is 'Its description.';
comment on column blueconic.lifecycles.tags is 'Its tags; empty when there are none.';
comment on column blueconic.lifecycles.enabled is 'Whether it is switched on.';
comment on column blueconic.lifecycles.priority is 'Name of its priority.';
comment on column blueconic.lifecycles.stages is 'Its stages in order: an array of {identifier, name, rule, touchpoints}.';
comment on column blueconic.lifecycles.creator is 'User name of the person who made it.';
comment on column blueconic.lifecycles.created_at is 'When it was made at the tenant.';
comment on column blueconic.lifecycles.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.lifecycles.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.lifecycles.synced_at is 'When the load began that last changed this row.';

create table blueconic.objectives (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  title text,
  objective_description text,
  needs_consent boolean,
  legislations text[] not null default '{}',
  consented_profile_count bigint,
  refused_profile_count bigint,
  total_profile_count bigint,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.objectives is 'Objectives that a profile can consent to or refuse, one row each.';
comment on column blueconic.objectives.id is 'Its id at the tenant.';
comment on column blueconic.objectives.name is 'Its name.';
comment on column blueconic.objectives.description is 'Its description.';
comment on column blueconic.objectives.tags is 'Its tags; empty when there are none.';
comment on column blueconic.objectives.title is 'Its title, as a visitor sees it.';
comment on column blueconic.objectives.objective_description is 'Its text, as a visitor sees it.';
comment on column blueconic.objectives.needs_consent is 'Whether it takes a consent.';
comment on column blueconic.objectives.legislations is 'Privacy legislations that it applies to; empty when there are none.';
comment on column blueconic.objectives.consented_profile_count is 'Profiles that consented to it, as the tenant counts.';
comment on column blueconic.objectives.refused_profile_count is 'Profiles that refused it, as the tenant counts.';
comment on column blueconic.objectives.total_profile_count is 'Profiles that it applies to, as the tenant counts.';
comment on column blueconic.objectives.creator is 'User name of the person who made it.';
comment on column blueconic.objectives.created_at is 'When it was made at the tenant.';
comment on column blueconic.objectives.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.objectives.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.objectives.synced_at is 'When the load began that last changed this row.';

create table blueconic.group_types (
  id text collate "C" primary key,
  name text,
  plural_name text,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.group_types is 'Types of groups, such as households or companies, one row each.';
comment on column blueconic.group_types.id is 'Its id at the tenant.';
comment on column blueconic.group_types.name is 'Its name.';
comment on column blueconic.group_types.plural_name is 'Its name in the plural.';
comment on column blueconic.group_types.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.group_types.synced_at is 'When the load began that last changed this row.';

create table blueconic.timeline_event_types (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  priority text,
  retention_days integer,
  source text,
  field_types jsonb,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.timeline_event_types is 'Types of timeline events, one row each, with the types of their fields.';
comment on column blueconic.timeline_event_types.id is 'Its id at the tenant.';
comment on column blueconic.timeline_event_types.name is 'Its name.';
comment on column blueconic.timeline_event_types.description is 'Its description.';
comment on column blueconic.timeline_event_types.tags is 'Its tags; empty when there are none.';
comment on column blueconic.timeline_event_types.priority is 'HIGH, or LOW: the tenant forgets events of low priority sooner.';
comment on column blueconic.timeline_event_types.retention_days is 'How long the tenant keeps its events.';
comment on column blueconic.timeline_event_types.source is 'Who made it: PLUGIN or REST.';
comment on column blueconic.timeline_event_types.field_types is 'Its fields: an array of {key, value, dataSensitivity}; value is a type or the fields below.';
comment on column blueconic.timeline_event_types.creator is 'User name of the person who made it.';
comment on column blueconic.timeline_event_types.created_at is 'When it was made at the tenant.';
comment on column blueconic.timeline_event_types.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.timeline_event_types.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.timeline_event_types.synced_at is 'When the load began that last changed this row.';

create table blueconic.timeline_event_rollups (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  query_type text,
  event_type_ids text[] not null default '{}',
  sql_query text,
  profiles_updated bigint,
  last_statistics_at timestamptz,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.timeline_event_rollups is 'Roll-ups that sum up timeline events into profile properties, one row each.';
comment on column blueconic.timeline_event_rollups.id is 'Its id at the tenant.';
comment on column blueconic.timeline_event_rollups.name is 'Its name.';
comment on column blueconic.timeline_event_rollups.description is 'Its description.';
comment on column blueconic.timeline_event_rollups.tags is 'Its tags; empty when there are none.';
comment on column blueconic.timeline_event_rollups.enabled is 'Whether it is switched on.';
comment on column blueconic.timeline_event_rollups.query_type is 'BASIC or SQL.';
comment on column blueconic.timeline_event_rollups.event_type_ids is 'Ids of the event types that it reads; empty when there are none.';
comment on column blueconic.timeline_event_rollups.sql_query is 'Its query, where its type is SQL.';
comment on column blueconic.timeline_event_rollups.profiles_updated is 'Profiles that its last run changed.';
comment on column blueconic.timeline_event_rollups.last_statistics_at is 'When its numbers were last counted.';
comment on column blueconic.timeline_event_rollups.creator is 'User name of the person who made it.';
comment on column blueconic.timeline_event_rollups.created_at is 'When it was made at the tenant.';
comment on column blueconic.timeline_event_rollups.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.timeline_event_rollups.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.timeline_event_rollups.synced_at is 'When the load began that last changed this row.';

create table blueconic.roles (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  permissions text[] not null default '{}',
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.roles is 'Roles that users of the tenant may have, one row each.';
comment on column blueconic.roles.id is 'Its id at the tenant.';
comment on column blueconic.roles.name is 'Its name.';
comment on column blueconic.roles.description is 'Its description.';
comment on column blueconic.roles.tags is 'Its tags; empty when there are none.';
comment on column blueconic.roles.permissions is 'Its permissions; empty when there are none.';
comment on column blueconic.roles.creator is 'User name of the person who made it.';
comment on column blueconic.roles.created_at is 'When it was made at the tenant.';
comment on column blueconic.roles.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.roles.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.roles.synced_at is 'When the load began that last changed this row.';

create table blueconic.users (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  active boolean,
  all_domains boolean,
  roles jsonb,
  permissions text[] not null default '{}',
  last_login_at timestamptz,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.users is 'People who may use the tenant''s user interface, one row each.';
comment on column blueconic.users.id is 'Its id at the tenant.';
comment on column blueconic.users.name is 'Its name.';
comment on column blueconic.users.description is 'Its description.';
comment on column blueconic.users.tags is 'Its tags; empty when there are none.';
comment on column blueconic.users.active is 'Whether the person may log in.';
comment on column blueconic.users.all_domains is 'Whether the person sees all domains.';
comment on column blueconic.users.roles is 'The person''s roles: an array of {id, name}.';
comment on column blueconic.users.permissions is 'What those roles permit; empty when there is nothing.';
comment on column blueconic.users.last_login_at is 'When the person last logged in.';
comment on column blueconic.users.creator is 'User name of the person who made it.';
comment on column blueconic.users.created_at is 'When it was made at the tenant.';
comment on column blueconic.users.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.users.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.users.synced_at is 'When the load began that last changed this row.';

create table blueconic.notebooks (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  enabled boolean,
  last_run_id text,
  last_run_state text,
  last_run_started_at timestamptz,
  last_run_ended_at timestamptz,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.notebooks is 'AI workbench notebooks, one row each.';
comment on column blueconic.notebooks.id is 'Its id at the tenant.';
comment on column blueconic.notebooks.name is 'Its name.';
comment on column blueconic.notebooks.description is 'Its description.';
comment on column blueconic.notebooks.tags is 'Its tags; empty when there are none.';
comment on column blueconic.notebooks.enabled is 'Whether it is switched on.';
comment on column blueconic.notebooks.last_run_id is 'Id of its last run.';
comment on column blueconic.notebooks.last_run_state is 'State of its last run.';
comment on column blueconic.notebooks.last_run_started_at is 'When its last run started.';
comment on column blueconic.notebooks.last_run_ended_at is 'When its last run ended; null while it runs.';
comment on column blueconic.notebooks.creator is 'User name of the person who made it.';
comment on column blueconic.notebooks.created_at is 'When it was made at the tenant.';
comment on column blueconic.notebooks.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.notebooks.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.notebooks.synced_at is 'When the load began that last changed this row.';

create table blueconic.notebook_runs (
  notebook_id text collate "C" not null,
  run_id text collate "C" not null,
  state text,
  started_at timestamptz,
  ended_at timestamptz,
  run_count bigint,
  message text,
  goal_statistics jsonb,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (notebook_id, run_id)
);
comment on table blueconic.notebook_runs is 'Runs of notebooks, one row each. A run stays when the tenant no longer lists it.';
comment on column blueconic.notebook_runs.notebook_id is 'Id of the notebook: see notebooks.';
comment on column blueconic.notebook_runs.run_id is 'The run''s id at the tenant.';
comment on column blueconic.notebook_runs.state is 'STARTING, RUNNING, FINISHED, FAILED, STOPPING or STOPPED.';
comment on column blueconic.notebook_runs.started_at is 'When it started.';
comment on column blueconic.notebook_runs.ended_at is 'When it ended; null while it runs.';
comment on column blueconic.notebook_runs.run_count is 'Its number among the runs.';
comment on column blueconic.notebook_runs.message is 'What it reports, as the tenant''s HTML.';
comment on column blueconic.notebook_runs.goal_statistics is 'What it counted: an array of {id, values}.';
comment on column blueconic.notebook_runs.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.notebook_runs.synced_at is 'When the load began that last changed this row.';

create table blueconic.models (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  type text,
  model_hash text,
  parameters jsonb,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.models is 'Models of the tenant, one row each, without their binary content.';
comment on column blueconic.models.id is 'Its id at the tenant.';
comment on column blueconic.models.name is 'Its name.';
comment on column blueconic.models.description is 'Its description.';
comment on column blueconic.models.tags is 'Its tags; empty when there are none.';
comment on column blueconic.models.type is 'GENERAL, DIALOGUE, RECOMMENDATION, CONTINUOUS or SUPPRESSION.';
comment on column blueconic.models.model_hash is 'Hash over its content, which changes with it.';
comment on column blueconic.models.parameters is 'Its parameters: an array of {id, relation, type, values}.';
comment on column blueconic.models.creator is 'User name of the person who made it.';
comment on column blueconic.models.created_at is 'When it was made at the tenant.';
comment on column blueconic.models.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.models.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.models.synced_at is 'When the load began that last changed this row.';

create table blueconic.content_stores (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  store_type text,
  item_count bigint,
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.content_stores is 'Content and product stores, one row each.';
comment on column blueconic.content_stores.id is 'Its id at the tenant.';
comment on column blueconic.content_stores.name is 'Its name.';
comment on column blueconic.content_stores.description is 'Its description.';
comment on column blueconic.content_stores.tags is 'Its tags; empty when there are none.';
comment on column blueconic.content_stores.store_type is 'CONTENT or PRODUCT.';
comment on column blueconic.content_stores.item_count is 'Items in it, as the tenant counts.';
comment on column blueconic.content_stores.creator is 'User name of the person who made it.';
comment on column blueconic.content_stores.created_at is 'When it was made at the tenant.';
comment on column blueconic.content_stores.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.content_stores.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.content_stores.synced_at is 'When the load began that last changed this row.';

create table blueconic.content_store_items (
  content_store_id text collate "C" not null,
  id text collate "C" not null,
  name text,
  description text,
  url text,
  image text,
  in_stock boolean,
  published_at timestamptz,
  properties jsonb,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (content_store_id, id)
);
comment on table blueconic.content_store_items is 'Items of content and product stores, one row each.';
comment on column blueconic.content_store_items.content_store_id is 'Id of the store: see content_stores.';
comment on column blueconic.content_store_items.id is 'Its id at the tenant.';
comment on column blueconic.content_store_items.name is 'Its name.';
comment on column blueconic.content_store_items.description is 'Its description.';
comment on column blueconic.content_store_items.url is 'Address of its page.';
comment on column blueconic.content_store_items.image is 'Address of its image.';
comment on column blueconic.content_store_items.in_stock is 'Whether it is in stock.';
comment on column blueconic.content_store_items.published_at is 'When it was published.';
comment on column blueconic.content_store_items.properties is 'Its properties: an array of {id, values}.';
comment on column blueconic.content_store_items.created_at is 'When it was made at the tenant.';
comment on column blueconic.content_store_items.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.content_store_items.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.content_store_items.synced_at is 'When the load began that last changed this row.';

create table blueconic.plugins (
  id text collate "C" primary key,
  name text,
  description text,
  tags text[] not null default '{}',
  type text,
  version text,
  latest_version boolean,
  support_level text,
  channel_types text[] not null default '{}',
  labels jsonb,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null
);
comment on table blueconic.plugins is 'Plugins that are installed at the tenant, one row each.';
comment on column blueconic.plugins.id is 'Its id at the tenant.';
comment on column blueconic.plugins.name is 'Its name.';
comment on column blueconic.plugins.description is 'Its description.';
comment on column blueconic.plugins.tags is 'Its tags; empty when there are none.';
comment on column blueconic.plugins.type is 'Its type, such as batchconnection or globallistener.';
comment on column blueconic.plugins.version is 'Its version.';
comment on column blueconic.plugins.latest_version is 'Whether there is no newer version.';
comment on column blueconic.plugins.support_level is 'How far the vendor supports it.';
comment on column blueconic.plugins.channel_types is 'Types of channels that it works for; empty when there are none.';
comment on column blueconic.plugins.labels is 'Its names by language: an array of {key, value}.';
comment on column blueconic.plugins.created_at is 'When it was made at the tenant.';
comment on column blueconic.plugins.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.plugins.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.plugins.synced_at is 'When the load began that last changed this row.';

create table blueconic.interactions (
  channel_id text collate "C" not null,
  id text collate "C" not null,
  name text,
  type text,
  plugin_id text,
  position text,
  default_locale text,
  parameters jsonb,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (channel_id, id)
);
comment on table blueconic.interactions is 'Interactions that a channel serves, one row for each channel and interaction.';
comment on column blueconic.interactions.channel_id is 'Id of the channel: see channels.';
comment on column blueconic.interactions.id is 'The interaction''s id at the tenant.';
comment on column blueconic.interactions.name is 'Its name.';
comment on column blueconic.interactions.type is 'Type of the plugin behind it, such as listener.';
comment on column blueconic.interactions.plugin_id is 'Id of that plugin.';
comment on column blueconic.interactions.position is 'Where it stands on the page.';
comment on column blueconic.interactions.default_locale is 'The language of its parameters without a translation.';
comment on column blueconic.interactions.parameters is 'Its parameters: an array of {id, values}.';
comment on column blueconic.interactions.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.interactions.synced_at is 'When the load began that last changed this row.';

create table blueconic.dialogue_statistics (
  day date not null,
  dialogue_id text collate "C" not null,
  name text,
  enabled boolean,
  views bigint,
  unique_views bigint,
  clicks bigint,
  unique_clicks bigint,
  conversions bigint,
  unique_conversions bigint,
  indirect_conversions bigint,
  total_conversions bigint,
  statistics jsonb,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (day, dialogue_id)
);
comment on table blueconic.dialogue_statistics is 'What dialogues brought, one row for each dialogue and day (UTC). A row stays when the tenant forgets the day; the last seven days are read again, since they may still change.';
comment on column blueconic.dialogue_statistics.day is 'The day, by UTC.';
comment on column blueconic.dialogue_statistics.dialogue_id is 'Id of the dialogue: see dialogues.';
comment on column blueconic.dialogue_statistics.name is 'Its name.';
comment on column blueconic.dialogue_statistics.enabled is 'Whether it is switched on.';
comment on column blueconic.dialogue_statistics.views is 'Views of it.';
comment on column blueconic.dialogue_statistics.unique_views is 'Profiles that viewed it.';
comment on column blueconic.dialogue_statistics.clicks is 'Clicks on it.';
comment on column blueconic.dialogue_statistics.unique_clicks is 'Profiles that clicked on it.';
comment on column blueconic.dialogue_statistics.conversions is 'Direct conversions.';
comment on column blueconic.dialogue_statistics.unique_conversions is 'Profiles with a direct conversion.';
comment on column blueconic.dialogue_statistics.indirect_conversions is 'Indirect conversions.';
comment on column blueconic.dialogue_statistics.total_conversions is 'Direct and indirect conversions.';
comment on column blueconic.dialogue_statistics.statistics is 'All numbers of that day by the tenant''s names, ratios included; null: there is no ratio.';
comment on column blueconic.dialogue_statistics.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.dialogue_statistics.synced_at is 'When the load began that last changed this row.';
