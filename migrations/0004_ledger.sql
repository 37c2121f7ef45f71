-- A run's ledger adds up: every element that was read is in exactly one of the counts, so two kinds that had none get
-- theirs. A sweep remembers where its asking stopped. Analysts see the open gaps.

alter table sync.runs
  add column rows_repeated bigint not null default 0,
  add column rows_elsewhere bigint not null default 0,
  add column page_fill_percent bigint;
comment on column sync.runs.rows_read is 'Elements read, repeats and rejects included: inserted + updated + unchanged + rejected + suppressed + repeated + elsewhere.';
comment on column sync.runs.rows_distinct is 'Distinct ids among them that this run''s walk had not read before. Audit events have no id: those that were stored or found stored.';
comment on column sync.runs.rows_updated is 'Rows whose content changed, in pages or in the look-up of a candidate for removal.';
comment on column sync.runs.rows_repeated is 'Elements that came once more within one batch; the newest copy is counted elsewhere in this row.';
comment on column sync.runs.rows_elsewhere is 'Elements that are no row of this table: losers of merges (blueconic.profile_aliases), properties of groups.';
comment on column sync.runs.unexplained is 'source_total less the elements that the whole walk read, distinct ids and unreadable ones. Up to 10 or 1% is what changes while profiles are walked; beyond it, and for lists at once, the run is partial. Null: there is no total, or the walk did not end.';
comment on column sync.runs.page_fill_percent is 'Audit events that came since the watermark, in percent of a page. Unless the oldest come first, those beyond 100 are lost.';

alter table sync.cursors add column asked_through text collate "C";
comment on column sync.cursors.asked_through is 'The last sweep asked for its candidates up to this id, and no further: the next one begins behind it. Null: all were asked for.';

create view blueconic.gaps as
select g.resource, g.from_at, g.to_at, g.reason, g.noticed_at
from sync.gaps as g
where g.closed_at is null;
comment on view blueconic.gaps is 'Stretches of time for which a table may lack rows, and why. Those that a later run covers leave it; the others stay as a note to the reader.';
comment on column blueconic.gaps.resource is 'The table.';
comment on column blueconic.gaps.from_at is 'The beginning, exclusive.';
comment on column blueconic.gaps.to_at is 'The end, inclusive.';
comment on column blueconic.gaps.reason is 'retention (the tenant had dropped it before it was read) and saturated (more in one millisecond than a page holds): for good. unreachable (hidden behind a full page, newest first) and interrupted (passed over with --since): until a wider scan covers it.';
comment on column blueconic.gaps.noticed_at is 'When it was noticed.';
