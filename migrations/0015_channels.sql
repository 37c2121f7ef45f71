-- The tenant's channels, a plain list that is read where `resources.channels.enabled` says so.

create table blueconic.channels (
  id text collate "C" primary key,
  name text,
  type text,
  hostname text,
  aliases text[] not null default '{}',
  domain_id text,
  domain_name text,
  tags text[] not null default '{}',
  visitor_count bigint,
  synced_at timestamptz not null
);
comment on table blueconic.channels is 'Channels of the tenant, one row each: websites, mobile apps, e-mail and connected TV.';
comment on column blueconic.channels.id is 'The channel''s id at the tenant.';
comment on column blueconic.channels.name is 'Its name.';
comment on column blueconic.channels.type is 'WEBSITE, MOBILE, EMAIL or CTV.';
comment on column blueconic.channels.hostname is 'Host name of a website, app id of a mobile or TV app; empty for e-mail.';
comment on column blueconic.channels.aliases is 'Other host names of a website; empty when there are none.';
comment on column blueconic.channels.domain_id is 'Id of the domain that it belongs to.';
comment on column blueconic.channels.domain_name is 'Name of that domain.';
comment on column blueconic.channels.tags is 'Its tags; empty when there are none.';
comment on column blueconic.channels.visitor_count is 'Visitors of it, as the tenant counts.';
comment on column blueconic.channels.synced_at is 'When the load began that last changed this row.';
