-- A walk over another segment than the last one misses profiles that nobody removed: what it did not see must stay.

alter table sync.cursors add column segment text collate "C";
comment on column sync.cursors.segment is 'The segment that the last complete full walk of profiles read. A walk over another one that the settings do not name removes nothing.';
