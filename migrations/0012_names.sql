-- Names are looked up where they are meant: a function runs with its caller's search path, in which a schema that anybody may
-- create in can hold an operator or a function that fits better than PostgreSQL's own.

-- Still without a path of its own: a function with one is not inlined, and a condition on its rows would not reach the
-- index. Its one operator says its schema instead.
create or replace function blueconic.segment_members(segment_id text) returns setof blueconic.profiles
language sql stable parallel safe
as $$ select * from blueconic.profiles as p where p.segment_ids operator(pg_catalog.@>) array[$1] $$;

alter function sync.clock() set search_path = pg_catalog, pg_temp;
alter function sync.make_month_partitions(text, timestamptz, timestamptz) set search_path = pg_catalog, pg_temp;
alter function sync.erasures_lock() set search_path = pg_catalog, pg_temp;
alter function sync.load_beside_erasures() set search_path = pg_catalog, pg_temp;
alter function sync.forget_walk(uuid) set search_path = pg_catalog, pg_temp;
