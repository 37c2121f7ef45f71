-- A list that the tenant does not have, or that the token may not read, is skipped and requested again a day later.

alter table sync.runs drop constraint runs_status_check;
alter table sync.runs add constraint runs_status_check
  check (status in ('running', 'succeeded', 'partial', 'failed', 'interrupted', 'needs_approval', 'skipped'));
comment on column sync.runs.status is 'running, succeeded, partial (something could not be loaded or explained), failed, interrupted (the next run goes on), needs_approval (of removals) or skipped (the tenant has no such list, or the token may not read it).';
