//! The state of the typed columns, and who reads columns that no longer follow the tenant.

use sqlx::PgConnection;

use crate::model::property_columns::ValueKind;
use crate::model::status::{ColumnStatus, ColumnUse, Postponed, StaleColumn};
use crate::postgres::error::{Doing, Error};

const READING: &str = "reading the state of the typed columns";

/// The state; none while the columns are off.
pub(crate) async fn read(connection: &mut PgConnection) -> Result<Option<ColumnStatus>, Error> {
    let row = sqlx::query!(
        r#"select fill_after is not null as "is_filling!", postponed_at, postponed_why,
             (select count(*) from sync.property_columns) as "columns!",
             (select coalesce(max(table_number), 1) from sync.property_columns) as "tables!"
           from sync.column_layout where is_on"#
    )
    .fetch_optional(&mut *connection)
    .await
    .doing(READING)?;
    let Some(row) = row else {
        return Ok(None);
    };
    let postponed = row.postponed_at.zip(row.postponed_why);
    Ok(Some(ColumnStatus {
        columns: row.columns,
        tables: row.tables,
        is_filling: row.is_filling,
        postponed: postponed.map(|(at, why)| Postponed { at, why }),
        stale_uses: stale_uses(connection).await?,
    }))
}

/// The views and tables of others that read a column of a view `profiles_wide` whose property is gone or has another type by now.
async fn stale_uses(connection: &mut PgConnection) -> Result<Vec<ColumnUse>, Error> {
    let rows = sqlx::query!(
        r#"select distinct format('%I.%I', s.nspname, v.relname) as "relation!", c.column_name, c.kind, c.is_listed,
             p.filter_type as "filter_type?"
           from pg_depend as d
           join pg_rewrite as r on r.oid = d.objid
           join pg_class as v on v.oid = r.ev_class and v.oid <> d.refobjid
           join pg_namespace as s on s.oid = v.relnamespace
           join pg_class as w on w.oid = d.refobjid
           join pg_namespace as ws on ws.oid = w.relnamespace
           join pg_attribute as a on a.attrelid = w.oid and a.attnum = d.refobjsubid
           join sync.property_columns as c on c.column_name = a.attname
           left join blueconic.profile_properties as p on p.id = c.property_id
           where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
             and ws.nspname = 'blueconic' and w.relname ~ '^profiles_wide(_[0-9]+)?$'
             and s.nspname not in ('blueconic', 'sync')
           order by 1, 2"#
    )
    .fetch_all(connection)
    .await
    .doing(READING)?;
    let uses = rows.into_iter().filter_map(|row| {
        let kind = ValueKind::of_filter_type(row.filter_type.as_deref());
        let why = if !row.is_listed {
            StaleColumn::Gone
        } else if row.kind != kind.as_str() {
            StaleColumn::Retyped
        } else {
            return None;
        };
        Some(ColumnUse {
            relation: row.relation,
            column: row.column_name,
            why,
        })
    });
    Ok(uses.collect())
}
