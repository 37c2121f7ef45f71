//! A plain server that says of the tables of profiles that they are distributed. The program then takes the forms of its statements that
//! distributed tables accept, so that every test can hold them without a cluster of Citus. What Citus refuses, this server does not.

use serde_json::Value;

use super::database::Database;
use super::program::Program;

/// Set: the databases of tests pretend.
pub(crate) const VARIABLE: &str = "BLUECONIC_SYNC_TEST_DISTRIBUTED_FORMS";

/// Whether the databases of this process pretend.
pub(crate) fn is_wanted() -> bool {
    std::env::var_os(VARIABLE).is_some()
}

/// The tables that `distribute` would distribute, and the columns by which; none: every node would have a copy.
pub(crate) async fn tables(database: &Database) -> Vec<(String, Option<String>)> {
    let program = Program::new("http://127.0.0.1:9", &database.url);
    let told = program.expect(0, &["distribute", "--json"]).await.json();
    let tables = told["tables"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().map(str::to_owned);
    tables
        .filter_map(|table| Some((text(&table["name"])?, text(&table["column"]))))
        .collect()
}

/// Lets a migrated database say that its tables are distributed: it gets what the program asks of Citus.
pub(crate) async fn pretend(database: &Database) {
    let (names, columns): (Vec<String>, Vec<Option<String>>) = tables(database).await.into_iter().unzip();
    let methods: Vec<&str> = columns
        .iter()
        .map(|column| if column.is_some() { "h" } else { "n" })
        .collect();
    assert!(names.len() > 10, "{names:?}");
    database
        .run(&format!(
            "set allow_system_table_mods = on;
             create table pg_catalog.pg_dist_partition (logicalrelid regclass primary key, partmethod text);
             grant select on pg_catalog.pg_dist_partition to public;
             insert into pg_catalog.pg_dist_partition select unnest('{{{}}}'::regclass[]), unnest('{{{}}}'::text[]);
             create function pg_catalog.create_distributed_table(relation regclass, distribution_column text, colocate_with text)
               returns void language sql security definer
               as $$ insert into pg_catalog.pg_dist_partition values (relation, 'h') $$;
             create function pg_catalog.run_command_on_all_nodes(command text) returns table (success boolean, result text)
               language sql as $$ select true, '[]' $$",
            names.join(","),
            methods.join(",")
        ))
        .await;
}
