//! Holds the typed columns against the JSON of the properties, by rules in SQL that share no code with the program.

use std::collections::BTreeMap;

use sqlx::{AssertSqlSafe, PgConnection};

use super::coordinator::Coordinator;
use super::database::Database;

/// The first value that is not null, and the values of each type.
const RULES: &str = r"
create or replace function pg_temp.first_value(listed jsonb) returns text language sql immutable as
$$ select one #>> '{}' from jsonb_array_elements(listed) with ordinality as e (one, place)
   where jsonb_typeof(one) <> 'null' order by place limit 1 $$;
create or replace function pg_temp.as_text(given text) returns text language sql immutable as $$ select given $$;
create or replace function pg_temp.as_bigint(given text) returns bigint language sql immutable as
$$ select case when given ~ '^[-+]?[0-9]{1,40}$' then
     case when given::numeric between -9223372036854775808 and 9223372036854775807 then given::numeric::bigint end
   end $$;
create or replace function pg_temp.as_numeric(given text) returns numeric language sql immutable as
$$ select case when given ~ '^[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)$' then given::numeric end $$;
create or replace function pg_temp.as_timestamptz(given text) returns timestamptz language plpgsql stable as
$$ begin
   if given ~ '^-?[0-9]{1,14}$' then
     return case when given::bigint >= -62135596800000 then
       timestamptz 'epoch' + given::bigint / 1000 * interval '1 second' + given::bigint % 1000 * interval '1 millisecond' end;
   end if;
   if given ~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}($|[Tt ])' then
     return given::timestamptz;
   end if;
   return null;
 exception when others then
   return null;
 end $$;
";

/// A row of `sync.property_columns`: name, property, type, whether it is an array, its table.
type Column = (String, String, String, bool, i32);

/// Every profile has its typed columns, and they are what its properties say. Says nothing where the columns are off.
pub(crate) async fn assert_typed_columns(database: &Database) {
    let mut connection = database.pool.acquire().await.unwrap();
    let (is_on, filling): (bool, bool) =
        sqlx::query_as("select is_on, fill_after is not null from sync.column_layout")
            .fetch_one(&mut *connection)
            .await
            .unwrap();
    if !is_on {
        return;
    }
    assert!(
        !filling,
        "the typed columns of stored profiles are still to be filled"
    );
    sqlx::raw_sql(AssertSqlSafe(format!("set timezone = 'UTC'; {RULES}")))
        .execute(&mut *connection)
        .await
        .unwrap();
    let relations = Relations::of(&mut connection).await;
    let columns: Vec<Column> = sqlx::query_as(
        "select column_name, property_id, kind, is_all, table_number from sync.property_columns order by place",
    )
    .fetch_all(&mut *connection)
    .await
    .unwrap();
    let mut tables: BTreeMap<i32, Vec<String>> = BTreeMap::from([(
        1,
        [
            "created_at",
            "modified_at",
            "privacy_legislation",
            "permission_level",
        ]
        .map(|name| format!("c.{name} is distinct from p.{name}"))
        .to_vec(),
    )]);
    let mut values_of: BTreeMap<i32, Vec<String>> = BTreeMap::new();
    for (name, property, kind, is_all, table) in columns {
        let values = format!("j.properties -> '{}'", property.replace('\'', "''"));
        let expected = if is_all {
            format!(
                "(select array_agg(pg_temp.as_{kind}(one #>> '{{}}') order by place)
                  from jsonb_array_elements({values}) with ordinality as e (one, place)
                  having count(*) filter (where jsonb_typeof(one) <> 'null') > 1)"
            )
        } else {
            format!("pg_temp.as_{kind}(pg_temp.first_value({values}))")
        };
        let differs = format!("c.\"{name}\" is distinct from {expected}");
        tables.entry(table).or_default().push(differs);
        values_of.entry(table).or_default().push(format!("c.\"{name}\""));
    }
    assert_identifiers(&mut connection, &relations).await;
    for (number, differs) in tables {
        // Beyond the first table, exactly the profiles with a value have a row.
        let has_no_row = match values_of.get(&number).filter(|_| number > 1) {
            Some(values) => format!("(c.id is not null and row({}) is null)", values.join(", ")),
            None => "c.id is null".to_owned(),
        };
        let stored = relations.columns(&mut connection, number).await;
        let wrong = format!(
            "select coalesce(p.id, c.id) || ' ' || coalesce(j.properties::text, 'none') || ' ' || coalesce(to_jsonb(c)::text, 'none')
             from {} as p
             join {} as j on j.id = p.id
             full join {stored} as c on c.id = p.id
             where p.id is null or {has_no_row} or {} limit 3",
            relations.profiles,
            relations.json,
            differs.join(" or ")
        );
        let wrong: Vec<String> = sqlx::query_scalar(AssertSqlSafe(wrong))
            .fetch_all(&mut *connection)
            .await
            .unwrap();
        assert!(
            wrong.is_empty(),
            "profile_columns_{number} differs from the properties: {wrong:#?}"
        );
    }
}

/// What is compared: the program's relations, or copies of them.
struct Relations {
    profiles: &'static str,
    json: &'static str,
    is_copied: bool,
}

impl Relations {
    /// Nodes have no functions of this session: over a cluster, what is compared is fetched first.
    async fn of(connection: &mut PgConnection) -> Self {
        if Coordinator::named().is_none() {
            return Self {
                profiles: "blueconic.profiles",
                json: "blueconic.profiles_json",
                is_copied: false,
            };
        }
        copy(connection, "blueconic.profiles", "seen_profiles").await;
        copy(connection, "blueconic.profiles_json", "seen_json").await;
        Self {
            profiles: "pg_temp.seen_profiles",
            json: "pg_temp.seen_json",
            is_copied: true,
        }
    }

    /// A table of typed columns.
    async fn columns(&self, connection: &mut PgConnection, number: i32) -> String {
        let table = format!("blueconic.profile_columns_{number}");
        if !self.is_copied {
            return table;
        }
        copy(connection, &table, "seen_columns").await;
        "pg_temp.seen_columns".to_owned()
    }
}

async fn copy(connection: &mut PgConnection, relation: &str, name: &str) {
    for statement in [
        format!("drop table if exists pg_temp.{name}"),
        format!("create temp table {name} as table {relation}"),
        format!("create unique index on {name} (id)"),
        format!("analyze {name}"),
    ] {
        sqlx::raw_sql(AssertSqlSafe(statement))
            .execute(&mut *connection)
            .await
            .unwrap();
    }
}

/// The identifiers are what the properties say.
async fn assert_identifiers(connection: &mut PgConnection, relations: &Relations) {
    let wrong: Vec<String> = sqlx::query_scalar(AssertSqlSafe(format!(
        "with listed as (
           select distinct c.property_id, v.value, j.id as profile_id
           from sync.property_columns as c
           join {} as j on j.properties ? c.property_id
           cross join lateral jsonb_array_elements_text(j.properties -> c.property_id) as v (value)
           where c.is_identifier and octet_length(v.value) between 1 and 600
         ),
         stored as materialized (select property_id, value, profile_id from blueconic.profile_identifiers)
         select to_jsonb(d)::text
         from ((table listed except table stored) union all (table stored except table listed)) as d limit 3",
        relations.json
    )))
    .fetch_all(connection)
    .await
    .unwrap();
    assert!(
        wrong.is_empty(),
        "profile_identifiers differs from the properties: {wrong:#?}"
    );
}
