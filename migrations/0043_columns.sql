-- Another release of the program may make other views over the same columns: they are made anew then. And what is put off, `status` tells.
alter table sync.column_layout
  add column views_version integer not null default 1,
  add column postponed_at timestamptz,
  add column postponed_why text;
comment on column sync.column_layout.postponed_at is 'When a change of the columns was last put off, since others held locks on them; null: none is.';
comment on column sync.column_layout.postponed_why is 'Why it was put off.';

-- The first full walk builds it in one pass once it has loaded all rows.
do $$
begin
  if not exists (select from blueconic.profile_identifiers) then
    drop index blueconic.profile_identifiers_value;
  end if;
end
$$;
comment on column sync.column_layout.views_version is 'The version of the views and functions over the typed columns. A program that makes another one makes them anew.';
