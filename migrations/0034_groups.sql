-- Groups of the tenant and the catalogue of their properties. The key begins with the distribution column.

create table blueconic.groups (
  group_type_id text collate "C" not null,
  id text collate "C" not null,
  properties jsonb,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  -- The API has no name of a group. The vendor's examples name it by the first of these properties.
  name text generated always as (
    coalesce(properties #>> array[group_type_id || '_name', '0'], properties #>> '{name,0}', body ->> 'name')
  ) stored,
  primary key (group_type_id, id)
);
comment on table blueconic.groups is 'Groups of the tenant, such as households or companies, one row each. See profile_groups for their profiles.';
comment on column blueconic.groups.group_type_id is 'Id of its type: see group_types.';
comment on column blueconic.groups.id is 'Its id at the tenant.';
comment on column blueconic.groups.properties is 'Property id to its values, an array of texts: {"company_name": ["Acme"]}. See group_properties for the ids.';
comment on column blueconic.groups.created_at is 'When it was made at the tenant.';
comment on column blueconic.groups.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.groups.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.groups.synced_at is 'When this row last changed here.';
comment on column blueconic.groups.name is 'Its name: the first value of its property TYPE_name, such as company_name, or else of its property name. The tenant''s API knows no name of a group.';

create table blueconic.group_properties (
  group_type_id text collate "C" not null,
  id text collate "C" not null,
  name text,
  description text,
  filter_type text,
  "precision" integer,
  currency text,
  data_sensitivity text,
  permission_level text,
  indexed boolean,
  tags text[] not null default '{}',
  creator text,
  created_at timestamptz,
  modified_at timestamptz,
  body jsonb not null default '{}',
  synced_at timestamptz not null,
  primary key (group_type_id, id)
);
comment on table blueconic.group_properties is 'The catalogue of group properties: which keys groups.properties may have, and of what type their values are.';
comment on column blueconic.group_properties.group_type_id is 'Id of the type of groups that has it: see group_types.';
comment on column blueconic.group_properties.id is 'The property''s id, which is its key in groups.properties.';
comment on column blueconic.group_properties.name is 'Its name.';
comment on column blueconic.group_properties.description is 'Its description.';
comment on column blueconic.group_properties.filter_type is 'Its type as the tenant filters it: RANGE, CURRENCY, DECIMAL, SELECT, EMAIL, DATETIME or None.';
comment on column blueconic.group_properties."precision" is 'Decimal places of a DECIMAL or CURRENCY.';
comment on column blueconic.group_properties.currency is 'ISO 4217 code of a CURRENCY.';
comment on column blueconic.group_properties.data_sensitivity is 'PII or NON_PII; a property may become PII at any time.';
comment on column blueconic.group_properties.permission_level is 'The consent that storing it takes: DO_NOT_TRACK, ANONYMOUS or PERSONAL.';
comment on column blueconic.group_properties.indexed is 'Whether the tenant indexes it.';
comment on column blueconic.group_properties.tags is 'Its tags; empty when there are none.';
comment on column blueconic.group_properties.creator is 'User name of the person who made it.';
comment on column blueconic.group_properties.created_at is 'When it was made at the tenant.';
comment on column blueconic.group_properties.modified_at is 'When it was last changed at the tenant.';
comment on column blueconic.group_properties.body is 'What came beside the other columns, by the tenant''s names.';
comment on column blueconic.group_properties.synced_at is 'When this row last changed here.';
