-- Another release of the program may make other views over the same columns: they are made anew then.
alter table sync.column_layout add column views_version integer not null default 1;
comment on column sync.column_layout.views_version is 'The version of the views and functions over the typed columns. A program that makes another one makes them anew.';
