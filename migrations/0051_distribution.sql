-- Tables may be distributed by Citus: a few statements have another form there.

create function sync.is_distributed(relation regclass) returns boolean
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  answer boolean;
begin
  if to_regclass('pg_catalog.pg_dist_partition') is null then
    return false;
  end if;
  execute 'select exists (select from pg_catalog.pg_dist_partition as p where p.logicalrelid = $1)' into answer using relation;
  return answer;
end
$$;
comment on function sync.is_distributed(regclass) is 'Whether Citus keeps the rows of a table on several servers.';

-- What the view profile_identity reads once profile_aliases is distributed: Citus follows no chain of rows that lie on several servers.
-- The aliases are fetched once and followed here.
create function sync.merged_identity() returns table (profile_id text, current_id text)
language plpgsql stable
set search_path = pg_catalog, pg_temp
as $$
declare
  losers text[];
  survivors text[];
begin
  select array_agg(a.profile_id), array_agg(a.survivor_id) into losers, survivors from blueconic.profile_aliases as a;
  return query
  with recursive link (loser, survivor) as materialized (
    select * from unnest(losers, survivors)
  ),
  chain (loser, survivor, passed) as (
    select a.loser, a.survivor, array[a.loser] from link as a
    union all
    select c.loser, a.survivor, c.passed || a.loser
    from chain as c
    join link as a on a.loser = c.survivor
    where a.loser <> all (c.passed)
  )
  select c.loser, case when c.survivor = any (c.passed) then null else c.survivor end
  from chain as c
  where c.survivor = any (c.passed) or not exists (select from link as a where a.loser = c.survivor);
end
$$;
comment on function sync.merged_identity() is 'The merged ids of blueconic.profile_identity, for distributed tables.';
