{#- An incremental model that follows blueconic.changes, for PostgreSQL. All three macros run in the model's own transaction:

  blueconic_follow(table_name, id)  pre-hook: notes what changed since the model's last run, and deletes these rows from the model
  blueconic_changed(id)             condition of the model's rows: those that changed, or all
  blueconic_followed()              post-hook: remembers the place in the feed

`table_name` is a table of the schema blueconic with a key of one column, or a child table of profiles. `id` is the name of that column
there (of a child table: profile_id), and in the model. All rows are read in a first run, with --full-refresh, and where the feed does
not lead from the model's place to the present. -#}

{%- macro blueconic_follow(table_name, id='id') -%}
create table if not exists {{ adapter.quote(this.schema) }}.blueconic_places (
  model text primary key, changed_by xid8, change_id bigint, changed_at timestamptz
);
create temporary table blueconic_step on commit drop as
select
  newest.changed_by, newest.change_id, newest.changed_at,
  {{ 'true' if is_incremental() else 'false' }} and exists (
    select from blueconic.changes as c
    where (c.changed_by, c.change_id, c.changed_at) = (p.changed_by, p.change_id, p.changed_at)
  ) as goes_on,
  array(
    select distinct c.id from blueconic.changes as c
    where c.table_name = '{{ table_name }}' and (c.changed_by, c.change_id) > (p.changed_by, p.change_id)
  ) as ids
from (select 1) as one
left join {{ adapter.quote(this.schema) }}.blueconic_places as p on p.model = '{{ this.identifier }}'
left join (
  select c.changed_by, c.change_id, c.changed_at from blueconic.changes as c
  order by c.changed_by desc, c.change_id desc limit 1
) as newest on true;
create temporary table blueconic_ids on commit drop as
select unnest(step.ids) as id from pg_temp.blueconic_step as step where step.goes_on
union all
select distinct stored.{{ id }} from blueconic.{{ table_name }} as stored
where not (select step.goes_on from pg_temp.blueconic_step as step);
analyze pg_temp.blueconic_ids;
{%- if is_incremental() %}
delete from {{ this }} as copy
where not (select step.goes_on from pg_temp.blueconic_step as step)
  or copy.{{ id }} in (select changed.id from pg_temp.blueconic_ids as changed)
  or exists (select from pg_temp.blueconic_ids as unnamed where unnamed.id is null)
    and not exists (select from blueconic.{{ table_name }} as stored where stored.{{ id }} = copy.{{ id }});
{%- endif %}
{%- endmacro -%}

{%- macro blueconic_changed(id='id') -%}
{{ id }} in (select changed.id from pg_temp.blueconic_ids as changed)
{%- endmacro -%}

{%- macro blueconic_followed() -%}
insert into {{ adapter.quote(this.schema) }}.blueconic_places (model, changed_by, change_id, changed_at)
select '{{ this.identifier }}', step.changed_by, step.change_id, step.changed_at from pg_temp.blueconic_step as step
on conflict (model) do update set
  changed_by = excluded.changed_by, change_id = excluded.change_id, changed_at = excluded.changed_at;
{%- endmacro -%}
