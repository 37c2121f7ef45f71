-- A resource may fill child tables beside its own: lists of things that its elements hold. Whether the children of an element
-- changed is told by one hash for each parent, so that unchanged children are neither sent nor compared row by row. The hash
-- has a table of its own: a child that changes must not rewrite its parent, which may be wide.

create table sync.child_hashes (
  parent_id text collate "C" not null,
  parent_table text not null,
  hash bytea not null,
  source_hash bytea,
  instead_of bytea,
  asked_at timestamptz,
  primary key (parent_id, parent_table)
);
comment on table sync.child_hashes is 'What is stored in child tables, as one hash for each parent. A parent without a row here has no children.';
comment on column sync.child_hashes.parent_id is 'The parent''s id.';
comment on column sync.child_hashes.parent_table is 'The parent''s table in blueconic.';
comment on column sync.child_hashes.hash is 'Hash over the parent''s rows in all child tables; zeros: it has none.';
comment on column sync.child_hashes.source_hash is 'Hash over the element that the children came in. It counts in place of the parent''s own source_hash while that one is instead_of; empty: the element has to be decoded again.';
comment on column sync.child_hashes.instead_of is 'The parent''s source_hash when its children were written.';
comment on column sync.child_hashes.asked_at is 'When a full walk or a look-up sent the request that brought the children (the database''s clock); null if an increment did.';

-- Samples would keep ids of erased persons.
alter table sync.child_hashes alter column parent_id set statistics 0;
alter table sync.child_hashes alter column hash set statistics 0;
alter table sync.child_hashes alter column source_hash set statistics 0;
alter table sync.child_hashes alter column instead_of set statistics 0;
