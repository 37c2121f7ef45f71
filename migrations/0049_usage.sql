-- What reading the tenant costs: the ledger by month, and the budget among the things that a person should know of.
create table sync.usage (
  month date primary key check (extract(day from month) = 1),
  requests bigint not null,
  bytes_received bigint not null,
  bytes_unpacked bigint not null,
  profiles_read bigint not null,
  first_at timestamptz not null,
  last_at timestamptz not null
);
comment on table sync.usage is 'What all processes sent to and received from the tenant, by month. A row is kept for ever. Each process adds to it every few seconds while it sends requests, and at its end; one that is killed loses what it had not added yet.';
comment on column sync.usage.month is 'The month as its first day, in UTC by the clock of the database.';
comment on column sync.usage.requests is 'Requests to the API, those that were repeated or got no answer included; without those for tokens and for the tenant''s own document.';
comment on column sync.usage.bytes_received is 'Bytes of bodies as they came over the wire, without headers.';
comment on column sync.usage.bytes_unpacked is 'The same bodies after unpacking, in bytes.';
comment on column sync.usage.profiles_read is 'Profiles that runs over profiles read, those that came more than once included.';
comment on column sync.usage.first_at is 'When something was first added.';
comment on column sync.usage.last_at is 'When something was last added.';

alter table sync.notifications drop constraint notifications_concern_check;
alter table sync.notifications add constraint notifications_concern_check check (
  concern in ('failed', 'needs_approval', 'stale', 'gap', 'gap_for_good', 'rejects', 'reauthorization', 'drift', 'budget')
);
comment on column sync.notifications.concern is 'failed, needs_approval, stale, gap, gap_for_good, rejects, reauthorization, drift or budget.';
comment on column sync.notifications.amount is 'How much of it there is: gaps, elements or findings; of stale, the goal in seconds; of budget, the used share of the month''s limit in percent; 1 where nothing is counted.';
