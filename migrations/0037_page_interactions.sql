-- Interactions of pages: what the tenant serves at each URL that `resources.page_interactions.urls` names. The distribution column is url.

create table blueconic.page_interactions (
  url text collate "C" not null,
  id text collate "C" not null,
  name text,
  type text,
  plugin_id text,
  position text,
  default_locale text,
  parameters jsonb,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (url, id)
);
comment on table blueconic.page_interactions is 'Interactions that a page serves, one row for each listed URL and interaction.';
comment on column blueconic.page_interactions.url is 'The URL of the page, as the settings list it.';
comment on column blueconic.page_interactions.id is 'The interaction''s id at the tenant.';
comment on column blueconic.page_interactions.name is 'Its name.';
comment on column blueconic.page_interactions.type is 'Type of the plugin behind it, such as listener.';
comment on column blueconic.page_interactions.plugin_id is 'Id of that plugin.';
comment on column blueconic.page_interactions.position is 'Where it stands on the page.';
comment on column blueconic.page_interactions.default_locale is 'The language of its parameters without a translation.';
comment on column blueconic.page_interactions.parameters is 'Its parameters: an array of {id, values}.';
comment on column blueconic.page_interactions.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.page_interactions.synced_at is 'When the load began that last changed this row.';
