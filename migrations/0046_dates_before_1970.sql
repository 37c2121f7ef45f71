-- Dates before 1970, which are negative in milliseconds, have become values of their typed columns. Stored profiles are filled in again.
update sync.column_layout as l
set fill_after = '',
  fill_properties = case
    when l.fill_after is not null and l.fill_properties is null then null
    else coalesce(l.fill_properties, '{}') || dates.properties
  end
from (
  select array_agg(distinct c.property_id) as properties from sync.property_columns as c where c.kind = 'timestamptz'
) as dates
where dates.properties is not null and exists (select from blueconic.profiles);
