-- A short answer is not the last one: where nothing proves that an answer of audit events was whole, the stretch before its
-- oldest event is a gap.
alter table sync.gaps add column elements bigint;
comment on column sync.gaps.elements is 'How many elements the answer held that left this gap, where it was shorter than asked for: the tenant may give no more at a time. Null: the gap has another cause, or a longer answer came since.';
comment on column sync.gaps.reason is 'retention (older than the tenant keeps), saturated (more in one millisecond than an answer holds), unreachable (before the oldest event of an answer in newest-first order that was full or that nothing proves to be whole, or where the tenant answers with less than there is) or interrupted (the scan stopped before it).';
comment on column blueconic.gaps.reason is 'retention (the tenant had dropped it before it was read) and saturated (more in one millisecond than an answer holds): for good. unreachable (hidden behind an answer that is not known to be whole) and interrupted (passed over with --since): until a later scan covers it.';

-- The tenant renames values of audit events from one release to the next, in events of old as well. Their keys are made of
-- what they say, so that each would be stored twice.
create table sync.audit_renames (
  field text not null check (field in ('application', 'user_name', 'object_type', 'operation', 'ip_address')),
  old_value text,
  new_value text,
  run_id uuid not null,
  noticed_at timestamptz not null,
  unique nulls not distinct (field, old_value, new_value)
);
comment on table sync.audit_renames is 'Values of audit events that the tenant writes otherwise than before. Events that are stored keep the old value; the key of an event with the new value is made with the old one.';
comment on column sync.audit_renames.field is 'The column of blueconic.audit_events.';
comment on column sync.audit_renames.old_value is 'As stored events have it; null: the field was absent.';
comment on column sync.audit_renames.new_value is 'As the tenant writes it since; null: the field is absent.';
comment on column sync.audit_renames.run_id is 'The run that noticed it.';
comment on column sync.audit_renames.noticed_at is 'When.';

comment on column blueconic.audit_events.occurred_at is 'When it happened, to the microsecond where the tenant tells it so fine.';
comment on column blueconic.audit_events.event_key is 'SHA-256 over the event, its date as fine as it came and a renamed value as it was before: the tenant gives events no id.';
comment on column blueconic.audit_events.object_type is 'On what kind of object, as the tenant called it when the event was first read.';
