//! `blueconic.data_dictionary` and `blueconic.quality`: complete, true, and open only as far as the tables themselves.

mod written;

use std::collections::BTreeSet;

use blueconic_sync::model::table::Table;
use blueconic_sync::resources::registry::RESOURCES;
use simulated_tenant::settings::Settings;
use sqlx::{AssertSqlSafe, Connection as _, Executor as _, PgConnection};

use crate::support::database::Database;
use crate::support::{Scene, scene, small};

async fn loaded() -> Scene {
    let scene = scene(Settings {
        properties: Settings::default().properties,
        odd_values_per_thousand: 50,
        ..small(300)
    })
    .await;
    scene.program.expect(0, &["backfill"]).await;
    scene
}

/// Every column of every public table and view has one row, with a description.
#[tokio::test(flavor = "multi_thread")]
async fn the_dictionary_has_every_public_column_once() {
    let Scene { database, .. } = loaded().await;
    let mut here = database
        .texts("select relation || '.' || column_name from blueconic.data_dictionary")
        .await;
    let count = here.len();
    here.sort();
    here.dedup();
    assert_eq!(here.len(), count, "a column has several rows");
    let mut expected = database
        .texts(
            "select c.table_name || '.' || c.column_name from information_schema.columns as c
             where c.table_schema = 'blueconic' and c.column_name not in ('source_hash', 'content_hash')
               and c.table_name not like 'profile\\_columns\\_%'
               and not exists (
                 select from pg_inherits as i where i.inhrelid = format('%I.%I', c.table_schema, c.table_name)::regclass)",
        )
        .await;
    expected.sort();
    assert_eq!(here, expected);
    let bare = database
        .count("blueconic.data_dictionary where coalesce(description, '') = '' or coalesce(relation_description, '') = ''")
        .await;
    assert_eq!(bare, 0, "columns without a description");
}

/// A join goes to a key of the same type, or to the elements of an array.
#[tokio::test(flavor = "multi_thread")]
async fn joins_lead_to_columns_that_are_there() {
    let Scene { database, .. } = loaded().await;
    let wrong = database
        .texts(
            "select d.relation || '.' || d.column_name || ' to ' || d.joins_relation
             from blueconic.data_dictionary as d
             left join blueconic.data_dictionary as t
               on t.relation = d.joins_relation and t.column_name = d.joins_column and t.is_key
             where d.joins_relation is not null and t.type is distinct from replace(d.type, '[]', '')",
        )
        .await;
    assert_eq!(wrong, Vec::<String>::new());
    for pair in [
        "profile_segments.segment_id to segments",
        "profiles.segment_ids to segments",
        "profiles_wide.id to profiles",
        "connection_runs.connection_id to connections",
        "profile_groups.group_id to groups",
    ] {
        let (from, to) = pair.split_once(" to ").unwrap();
        let (relation, column) = from.split_once('.').unwrap();
        let found = format!(
            "blueconic.data_dictionary where relation = '{relation}' and column_name = '{column}' and joins_relation = '{to}'"
        );
        assert_eq!(database.count(&found).await, 1, "{pair}");
    }
}

/// Where a column comes from is what the decoders read.
#[tokio::test(flavor = "multi_thread")]
async fn a_column_names_its_source_at_the_tenant() {
    let Scene { database, .. } = loaded().await;
    let mut expected = BTreeSet::new();
    let mut add = |table: &Table, path: &str, array: &str| {
        let columns = table.columns.iter().filter(|column| !column.source.is_empty());
        expected.extend(
            columns.map(|column| format!("{}.{} {path} {array}{}", table.name, column.name, column.source)),
        );
    };
    for description in RESOURCES.iter() {
        add(description.table, description.path, "");
        for child in description
            .table
            .children
            .iter()
            .filter(|child| !child.source.is_empty())
        {
            add(child.table, description.path, &format!("{}[].", child.source));
        }
    }
    let found = database
        .texts(
            "select relation || '.' || column_name || ' ' || source_path || ' ' || source_field
             from blueconic.data_dictionary where source_path is not null",
        )
        .await;
    let found: BTreeSet<String> = found.into_iter().collect();
    assert_eq!(found, expected);
    assert!(
        found.contains("profiles.permission_level /segments/{segment}/profiles permissions.level"),
        "{found:?}"
    );
}

/// The columns of properties say which property they hold, what it is called, and whether it is personal data.
#[tokio::test(flavor = "multi_thread")]
async fn columns_of_properties_name_them() {
    let Scene { tenant, database, .. } = loaded().await;
    let mut expected: Vec<String> = tenant
        .properties()
        .into_iter()
        .map(|one| {
            let sensitivity = one.data_sensitivity;
            format!("{}|{}|{sensitivity}|{}", one.id, one.name, one.permission_level)
        })
        .collect();
    expected.sort();
    let found = database
        .texts(
            "select distinct concat_ws('|', property_id, property_name, data_sensitivity, permission_level)
             from blueconic.data_dictionary where relation = 'profiles_wide' and property_id is not null",
        )
        .await;
    let found: BTreeSet<String> = found.into_iter().collect();
    assert_eq!(found.into_iter().collect::<Vec<_>>(), expected);
    assert!(
        expected.iter().any(|one| one.starts_with("größe 👟|")),
        "{expected:?}"
    );
}

/// A role sees the columns that it may read, and of others neither the name nor a value of the sample.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_sees_no_more_than_its_tables() {
    let Scene { database, .. } = loaded().await;
    database.run("analyze").await;
    let role = format!("looks_{}", database.name);
    database
        .run(&format!(
            "create role {role}; grant usage on schema blueconic to {role};
             grant select on blueconic.data_dictionary, blueconic.quality, blueconic.segments to {role}"
        ))
        .await;
    let mut connection = PgConnection::connect(&database.url).await.unwrap();
    connection
        .execute(sqlx::raw_sql(AssertSqlSafe(format!("set role {role}"))))
        .await
        .unwrap();
    let relations: Vec<String> =
        sqlx::query_scalar("select distinct relation from blueconic.data_dictionary order by relation")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert_eq!(relations, ["data_dictionary", "quality", "segments"]);
    let shown: i64 = sqlx::query_scalar(
        "select count(*) from blueconic.quality
         where minimum is not null or maximum is not null or filled_share is not null or misfit_share is not null",
    )
    .fetch_one(&mut connection)
    .await
    .unwrap();
    assert_eq!(shown, 0, "values of columns that the role may not read");
    assert!(filled(&database).await > 30, "the owner sees them");
    connection.execute("reset role").await.unwrap();
    database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

async fn filled(database: &Database) -> i64 {
    database
        .count("blueconic.quality where minimum is not null and filled_share > 0")
        .await
}

/// Quality reads no table of profiles.
#[tokio::test(flavor = "multi_thread")]
async fn quality_reads_no_profile() {
    let Scene { database, .. } = loaded().await;
    let plan = database
        .texts("explain (costs off) select * from blueconic.quality")
        .await;
    let reads: Vec<&String> = plan
        .iter()
        .filter(|line| line.contains("on profile_columns") || line.contains("on profiles"))
        .collect();
    assert!(reads.is_empty(), "{plan:#?}");
}

/// Stages and counts of runs are rows, whatever shape the tenant gave them.
#[tokio::test(flavor = "multi_thread")]
async fn lists_within_rows_are_rows_of_views() {
    let Scene { database, .. } = loaded().await;
    database
        .run(
            r#"truncate blueconic.lifecycles, blueconic.connection_runs;
             insert into blueconic.lifecycles (id, stages, synced_at) values
               ('l', '[{"identifier": "a", "name": "First"}, {"identifier": "b"}]', now()), ('m', '{"x": 1}', now()), ('n', null, now());
             insert into blueconic.connection_runs (connection_id, run_id, goal_statistics, synced_at) values
               ('c', '1', '[{"id": "in", "values": ["12"]}, {"id": "out", "values": ["n/a"]}, {"id": "none"}]', now()),
               ('c', '2', '"text"', now())"#,
        )
        .await;
    let stages = "select concat_ws('|', lifecycle_id, stage_id, position, coalesce(name, 'null')) from blueconic.lifecycle_stages order by 1";
    assert_eq!(database.texts(stages).await, ["l|a|1|First", "l|b|2|null"]);
    let counts = "select concat_ws('|', run_id, position, statistic, coalesce(amount::text, 'null'), value)
                  from blueconic.connection_run_statistics order by 1";
    assert_eq!(
        database.texts(counts).await,
        ["1|1|in|12|12", "1|2|out|null|n/a", "1|3|none|null"]
    );
}

/// A further table of columns may have a row for some profiles only. Shares are of all profiles.
#[tokio::test(flavor = "multi_thread")]
async fn shares_are_of_all_profiles_also_in_further_tables() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(Settings {
        properties: 260,
        ..small(80)
    })
    .await;
    program.expect(0, &["backfill"]).await;
    database.run("analyze").await;
    assert!(
        database
            .count("sync.property_columns where table_number > 1")
            .await
            > 50
    );
    let has_value = |id: &str| {
        let values = tenant
            .profiles()
            .map(|one| one.values(id).map_or(0, <[String]>::len));
        values.filter(|count| *count > 0).count()
    };
    // Dates before 1970 do not fit.
    let properties = tenant.properties().into_iter();
    let mut expected: Vec<String> = properties
        .filter(|property| property.filter_type != Some("DATETIME"))
        .map(|property| format!("{} {}", property.id, has_value(&property.id)))
        .collect();
    expected.sort();
    let mut found = database
        .texts(
            "select property_id || ' ' || round(filled_share * profiles) from blueconic.quality
             where property_type is distinct from 'DATETIME'",
        )
        .await;
    found.sort();
    assert_eq!(found, expected);
}
