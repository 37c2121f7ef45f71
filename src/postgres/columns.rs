//! Typed columns of profile properties: brings the tables and views in line with the tenant's catalogue, switches them on and off, and
//! fills the columns of profiles that were stored before.
//!
//! No load is under way while the columns change, and each load checks the version that it writes, so that no row is written by an
//! older one.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::model::Time;
use crate::model::personal_data::Action;
use crate::model::property_columns::{Brought, PropertyColumn, PropertyColumns, ValueKind, WantedColumns};
use crate::postgres::boundary;
use crate::postgres::distributed;
use crate::postgres::error::{Doing, Error};
use crate::postgres::load_lock::wait_for_loads;
use crate::postgres::sql::quoted;

use catalogue::{CatalogueColumn, Plan, Property};
use statements::{IDENTIFIERS, sql_type, table_name};
use views::{VIEWS_VERSION, literal, view_of_column};

pub(crate) mod catalogue;
pub(crate) mod fill;
pub(crate) mod statements;
pub(crate) mod status;
mod views;

const READING: &str = "reading the typed columns";
const CHANGING: &str = "changing the typed columns";
/// How long one attempt waits for the lock on a table or a view. A query that comes meanwhile waits behind it.
const TRY: &str = "50ms";
/// How long the change waits for loads that are under way.
const LOADS: &str = "5s";
/// The pause between two attempts, in which queries proceed.
const PAUSE: Duration = Duration::from_millis(250);
/// How long it is tried in one run.
const PATIENCE: Duration = Duration::from_secs(8);

/// The stored state.
struct Stored {
    version: i64,
    is_on: bool,
    /// Whether `profiles.properties` may lack what the columns hold.
    has_rest: bool,
    /// Whether this program makes the same views.
    has_views: bool,
    /// When a change was put off.
    postponed_at: Option<Time>,
    columns: Vec<CatalogueColumn>,
}

impl Stored {
    /// The columns for loads.
    fn columns(&self) -> Arc<PropertyColumns> {
        let tables = self.columns.iter().map(|one| one.table_number).max().unwrap_or(1);
        let mut columns = PropertyColumns {
            version: self.version,
            has_rest: self.has_rest,
            tables: vec![Vec::new(); tables],
            identifiers: Vec::new(),
        };
        for one in &self.columns {
            if let Some(table) = columns.tables.get_mut(one.table_number - 1) {
                table.push(one.column.clone());
            }
            if one.is_identifier {
                columns.identifiers.push(one.column.property.clone());
            }
        }
        columns.identifiers.sort_unstable();
        columns.identifiers.dedup();
        Arc::new(columns)
    }
}

/// Brings the typed columns in line with the stored catalogue of properties.
pub(crate) async fn bring(connection: &mut PgConnection, wanted: &WantedColumns) -> Result<Brought, Error> {
    let began = Instant::now();
    loop {
        let stored = read(connection).await?;
        if !wanted.are_on && !stored.is_on {
            return Ok(Brought::default());
        }
        let plan = plan(connection, &stored, wanted).await?;
        // Without a property there is nothing to type: the columns are switched on with the first one.
        if !stored.is_on && stored.columns.is_empty() && plan.is_empty() {
            return Ok(Brought::default());
        }
        let knows_rest = stored.has_rest || !wanted.stores_rest;
        if wanted.are_on && stored.is_on && plan.is_empty() && knows_rest && stored.has_views {
            if stored.postponed_at.is_some() {
                postpone(connection, None).await?;
            }
            return Ok(Brought {
                columns: Some(stored.columns()),
                postponed: None,
            });
        }
        match change(connection, &stored, &plan, wanted).await {
            Ok(()) => {}
            Err(error) if error.is_lock_not_had() && began.elapsed() < PATIENCE => {
                tokio::time::sleep(PAUSE).await;
            }
            Err(error) if error.is_lock_not_had() => {
                let why = format!(
                    "the typed columns could not be changed, since others hold locks on them; the next run tries again: {error}"
                );
                postpone(connection, Some(&why)).await?;
                return Ok(Brought {
                    columns: (wanted.are_on && stored.is_on).then(|| stored.columns()),
                    postponed: Some(why),
                });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Records for `status` why the change is put off; none: there is no change any more.
async fn postpone(connection: &mut PgConnection, why: Option<&str>) -> Result<(), Error> {
    let statement = sqlx::query!(
        "update sync.column_layout set postponed_why = $1::text,
           postponed_at = case when $1::text is not null then sync.clock() end",
        why
    );
    boundary::cross("columns/postpone", CHANGING, statement.execute(connection)).await?;
    Ok(())
}

async fn read(connection: &mut PgConnection) -> Result<Stored, Error> {
    let layout =
        sqlx::query!("select version, is_on, has_rest, views_version, postponed_at from sync.column_layout")
            .fetch_one(&mut *connection)
            .await
            .doing(READING)?;
    let rows = sqlx::query!(
        "select column_name, property_id, kind, is_all, table_number, place, is_listed, is_identifier, description
         from sync.property_columns order by place"
    )
    .fetch_all(connection)
    .await
    .doing(READING)?;
    let columns = rows.into_iter().map(|row| CatalogueColumn {
        column: PropertyColumn {
            name: row.column_name,
            property: row.property_id,
            kind: ValueKind::named(&row.kind).unwrap_or(ValueKind::Text),
            is_all: row.is_all,
        },
        table_number: usize::try_from(row.table_number).unwrap_or(1).max(1),
        place: usize::try_from(row.place).unwrap_or(0),
        is_listed: row.is_listed,
        is_identifier: row.is_identifier,
        description: row.description,
    });
    Ok(Stored {
        version: layout.version,
        is_on: layout.is_on,
        has_rest: layout.has_rest,
        postponed_at: layout.postponed_at,
        has_views: layout.views_version >= VIEWS_VERSION,
        columns: columns.collect(),
    })
}

/// What the stored catalogue changes; nothing while the columns are off.
async fn plan(connection: &mut PgConnection, stored: &Stored, wanted: &WantedColumns) -> Result<Plan, Error> {
    if !wanted.are_on {
        return Ok(Plan::default());
    }
    let listed = sqlx::query_as!(
        Property,
        r#"select id, name, description, filter_type, currency, data_sensitivity, permission_level, merge_strategy,
           indexed, false as "is_hashed!"
         from blueconic.profile_properties
         where cardinality($1::text[]) = 0 or id = any ($1)
         order by id"#,
        &wanted.properties
    )
    .fetch_all(&mut *connection)
    .await
    .doing(READING)?;
    let action = |property: &Property| wanted.treatment.action(&property.id);
    let properties: Vec<Property> = listed
        .into_iter()
        .filter(|property| action(property) != Action::Drop)
        .map(|property| Property {
            is_hashed: action(&property) == Action::Hash,
            ..property
        })
        .collect();
    let known = catalogue::plan(&stored.columns, &properties, &HashSet::new());
    if known.added.is_empty() {
        return Ok(known);
    }
    let reserved = reserved(connection).await?;
    Ok(catalogue::plan(&stored.columns, &properties, &reserved))
}

/// The words that an unquoted name must not be: reserved ones, and the columns of the system.
async fn reserved(connection: &mut PgConnection) -> Result<HashSet<String>, Error> {
    let words = sqlx::query_scalar!(
        r#"select word as "word!" from pg_get_keywords() where catcode <> 'U'
           union all
           select attname from pg_attribute where attrelid = 'pg_class'::regclass and attnum < 0"#
    )
    .fetch_all(connection)
    .await
    .doing(READING)?;
    Ok(words.into_iter().collect())
}

/// The tables of typed columns, by their quoted names with their schema.
pub(crate) async fn tables(connection: &mut PgConnection) -> Result<Vec<String>, Error> {
    sqlx::query_scalar!(
        r#"select format('%I.%I', s.nspname, c.relname) as "name!"
           from pg_class as c join pg_namespace as s on s.oid = c.relnamespace
           where c.relkind = 'r' and s.nspname = 'blueconic'
             and (c.relname ~ '^profile_columns_[0-9]+$' or c.relname = 'profile_identifiers')
           order by 1"#
    )
    .fetch_all(connection)
    .await
    .doing(READING)
}

/// Changes the columns in one transaction, while no load is under way.
async fn change(
    connection: &mut PgConnection,
    stored: &Stored,
    plan: &Plan,
    wanted: &WantedColumns,
) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(CHANGING)?;
    wait_at_most(&mut transaction, LOADS).await?;
    wait_for_loads(&mut transaction).await?;
    wait_at_most(&mut transaction, TRY).await?;
    let is_as_read = sqlx::query_scalar!(
        r#"select version = $1 as "is_as_read!" from sync.column_layout for update"#,
        stored.version
    )
    .fetch_one(&mut *transaction)
    .await
    .doing(CHANGING)?;
    // Another process changed them meanwhile.
    if !is_as_read {
        return transaction.rollback().await.doing(CHANGING);
    }
    let has_rest = stored.has_rest || wanted.stores_rest;
    if wanted.are_on {
        alter(&mut transaction, stored, plan, has_rest).await?;
        fill::want(&mut transaction, !stored.is_on, plan).await?;
    } else {
        empty(&mut transaction, stored).await?;
    }
    sqlx::query!(
        "update sync.column_layout set version = version + 1, is_on = $1, has_rest = $2,
           views_version = case when $1 then $3 else views_version end, postponed_at = null, postponed_why = null",
        wanted.are_on,
        has_rest,
        VIEWS_VERSION
    )
    .execute(&mut *transaction)
    .await
    .doing(CHANGING)?;
    boundary::cross("columns/change", CHANGING, transaction.commit()).await
}

async fn wait_at_most(connection: &mut PgConnection, time: &str) -> Result<(), Error> {
    sqlx::query!("select set_config('lock_timeout', $1, true)", time)
        .fetch_one(connection)
        .await
        .doing(CHANGING)?;
    Ok(())
}

/// Removes all rows, since they would no longer follow the profiles.
async fn empty(connection: &mut PgConnection, stored: &Stored) -> Result<(), Error> {
    let tables = 1..=stored.columns().tables.len();
    let names: Vec<String> = tables.map(table_name).chain([IDENTIFIERS.to_owned()]).collect();
    run(connection, format!("truncate {}", names.join(", "))).await?;
    sqlx::query!("update sync.column_layout set fill_after = null, fill_properties = null")
        .execute(connection)
        .await
        .doing(CHANGING)?;
    Ok(())
}

/// Adds tables and columns, records them, and makes the views anew.
async fn alter(
    connection: &mut PgConnection,
    stored: &Stored,
    plan: &Plan,
    has_rest: bool,
) -> Result<(), Error> {
    let mut columns = stored.columns.clone();
    for changed in &plan.changed {
        if let Some(column) = columns.iter_mut().find(|one| one.place == changed.place) {
            column.clone_from(changed);
        }
    }
    let before = columns.iter().map(|one| one.table_number).max().unwrap_or(1);
    columns.extend(plan.added.iter().cloned());
    let after = columns.iter().map(|one| one.table_number).max().unwrap_or(1);
    let is_apart = distributed::is(connection).await?;
    if is_apart {
        distributed::use_one_connection(connection).await?;
    }
    let mut script: Vec<String> = Vec::new();
    for number in before + 1..=after {
        script.extend(create(number));
        script.extend(is_apart.then(|| distributed::beside(&table_name(number))));
    }
    for number in before..=after {
        let added = plan.added.iter().filter(|one| one.table_number == number);
        let added: Vec<String> = added
            .map(|one| {
                let (name, kind) = (
                    quoted(&one.column.name),
                    sql_type(one.column.kind, one.column.is_all),
                );
                format!("add column {name} {kind}")
            })
            .collect();
        if !added.is_empty() {
            script.push(format!("alter table {} {}", table_name(number), added.join(", ")));
        }
    }
    // What stays as it is keeps its lock free.
    let former = if stored.has_views {
        views::make(&stored.columns, stored.has_rest, is_apart)
    } else {
        Vec::new()
    };
    let views = views::make(&columns, has_rest, is_apart).into_iter();
    script.extend(views.filter(|statement| !former.contains(statement)));
    for one in plan.changed.iter().chain(&plan.added) {
        let (name, text) = (quoted(&one.column.name), literal(&one.description));
        for relation in [table_name(one.table_number), view_of_column(one)] {
            script.push(format!("comment on column {relation}.{name} is {text}"));
        }
    }
    if is_apart {
        // A distributed table takes one statement at a time.
        for statement in script {
            run(connection, statement).await?;
        }
    } else if !script.is_empty() {
        run(connection, script.join(";\n")).await?;
    }
    record(connection, plan).await
}

/// Creates a further table, with the comments that do not follow from a property.
fn create(number: usize) -> [String; 4] {
    let table = table_name(number);
    [
        format!(
            "create table {table} (id text collate \"C\" not null primary key, synced_at timestamptz not null)
             with (toast_tuple_target = 8160)"
        ),
        format!(
            "comment on table {table} is 'More properties of profiles in columns with types. Read them through the views profiles_wide.'"
        ),
        format!("comment on column {table}.id is 'The profile''s id at the tenant.'"),
        format!("comment on column {table}.synced_at is 'When the load began that last changed this row.'"),
    ]
}

async fn record(connection: &mut PgConnection, plan: &Plan) -> Result<(), Error> {
    let all: Vec<&CatalogueColumn> = plan.changed.iter().chain(&plan.added).collect();
    let number = |number: usize| i32::try_from(number).unwrap_or(i32::MAX);
    let names: Vec<String> = all.iter().map(|one| one.column.name.clone()).collect();
    let properties: Vec<String> = all.iter().map(|one| one.column.property.clone()).collect();
    let kinds: Vec<String> = all
        .iter()
        .map(|one| one.column.kind.as_str().to_owned())
        .collect();
    let are_all: Vec<bool> = all.iter().map(|one| one.column.is_all).collect();
    let tables: Vec<i32> = all.iter().map(|one| number(one.table_number)).collect();
    let places: Vec<i32> = all.iter().map(|one| number(one.place)).collect();
    let are_listed: Vec<bool> = all.iter().map(|one| one.is_listed).collect();
    let are_identifiers: Vec<bool> = all.iter().map(|one| one.is_identifier).collect();
    let descriptions: Vec<String> = all.iter().map(|one| one.description.clone()).collect();
    sqlx::query!(
        "insert into sync.property_columns
           (column_name, property_id, kind, is_all, table_number, place, is_listed, is_identifier, description)
         select * from unnest(
           $1::text[], $2::text[], $3::text[], $4::bool[], $5::int[], $6::int[], $7::bool[], $8::bool[], $9::text[])
         on conflict (column_name) do update set
           is_listed = excluded.is_listed, is_identifier = excluded.is_identifier, description = excluded.description",
        &names,
        &properties,
        &kinds,
        &are_all,
        &tables,
        &places,
        &are_listed,
        &are_identifiers,
        &descriptions
    )
    .execute(connection)
    .await
    .doing(CHANGING)?;
    Ok(())
}

async fn run(connection: &mut PgConnection, script: String) -> Result<(), Error> {
    sqlx::raw_sql(AssertSqlSafe(script))
        .execute(connection)
        .await
        .doing(CHANGING)?;
    Ok(())
}
