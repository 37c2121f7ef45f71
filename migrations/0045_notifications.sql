-- Messages about what is wrong (settings `notify`): which were sent and which are due, so that neither a restart nor a second replica repeats
-- one.

create table sync.notifications (
  concern text collate "C" not null check (
    concern in ('failed', 'needs_approval', 'stale', 'gap', 'gap_for_good', 'rejects', 'reauthorization', 'drift')
  ),
  resource text collate "C" not null default '',
  scope text collate "C" not null default '',
  amount bigint not null,
  told_amount bigint,
  began_at timestamptz not null,
  is_over boolean not null default false,
  sent integer not null default 0,
  last_sent_at timestamptz,
  failed integer not null default 0,
  next_at timestamptz,
  fence bigint not null default 0,
  claimed_until timestamptz,
  primary key (concern, resource, scope)
);
comment on table sync.notifications is 'What is wrong, one row each, and the messages about it. A row goes once the message is sent that all is well again.';
comment on column sync.notifications.concern is 'failed, needs_approval, stale, gap, gap_for_good, rejects, reauthorization or drift.';
comment on column sync.notifications.resource is 'The resource; empty: the service as a whole.';
comment on column sync.notifications.scope is 'The scope of a run; empty: the resource as a whole.';
comment on column sync.notifications.amount is 'How much of it there is: gaps, elements or findings; of stale, the goal in seconds; 1 where nothing is counted.';
comment on column sync.notifications.told_amount is 'The amount in the last message that was sent; null before the first one.';
comment on column sync.notifications.began_at is 'When it was noticed.';
comment on column sync.notifications.is_over is 'Whether all is well again, and the message that says so is due.';
comment on column sync.notifications.sent is 'How many messages were sent about it.';
comment on column sync.notifications.last_sent_at is 'When the last one was sent.';
comment on column sync.notifications.failed is 'How many attempts in a row could not send the next one.';
comment on column sync.notifications.next_at is 'When the next message is due; null: none is.';
comment on column sync.notifications.fence is 'Counts up with each claim. What an earlier claim records counts no more.';
comment on column sync.notifications.claimed_until is 'Until when a process sends the message; null: none does.';

create table sync.heartbeat (
  only_row boolean primary key default true check (only_row),
  claimed_at timestamptz not null,
  next_at timestamptz not null
);
comment on table sync.heartbeat is 'The signs of life for a dead-man switch (BLUECONIC_SYNC_HEARTBEAT_URL): one row.';
comment on column sync.heartbeat.only_row is 'Always true, so that there is one row.';
comment on column sync.heartbeat.claimed_at is 'When a replica began to send the last one.';
comment on column sync.heartbeat.next_at is 'When one of the replicas sends the next one.';
