-- A short answer is not the last one: where nothing proves that an answer of audit events was whole, the stretch before its
-- oldest event is a gap, until a longer answer over the same stretch shows that the first one was not cut.
alter table sync.gaps add column elements bigint;
comment on column sync.gaps.elements is 'How many elements the answer held that left this gap, where it was shorter than asked for: the tenant may give no more at a time. Null: the gap has another cause.';
comment on column sync.gaps.reason is 'retention (older than the tenant keeps), saturated (more in one millisecond than an answer holds), unreachable (before the oldest event of an answer in newest-first order that was full or that nothing proves to be whole, or where the tenant answers with less than there is) or interrupted (the scan stopped before it).';
comment on column blueconic.gaps.reason is 'retention (the tenant had dropped it before it was read) and saturated (more in one millisecond than an answer holds): for good. unreachable (hidden behind an answer that is not known to be whole) and interrupted (passed over with --since): until a later scan covers it.';
