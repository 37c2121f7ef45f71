//! Audit events with the names that their objects have today, and as readable lines.

use sqlx::AssertSqlSafe;

use crate::support::fixture::{Fixture, fixture};

async fn run(db: &Fixture, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(&db.look).await.unwrap();
}

/// A database with some objects and some events about them.
async fn told() -> Fixture {
    let db = fixture().await;
    run(
        &db,
        "create table blueconic.audit_events_of_the_test partition of blueconic.audit_events
         for values from ('2020-01-01') to ('2020-02-01')",
    )
    .await;
    for (table, id, name) in [
        ("segments", "s1", "Everybody"),
        ("connections", "s1", "A feed with the id of a segment"),
        ("roles", "r1", "Editors"),
    ] {
        run(
            &db,
            &format!("insert into blueconic.{table} (id, name, synced_at) values ('{id}', '{name}', now())"),
        )
        .await;
    }
    run(&db,
        "insert into blueconic.dialogues (id, name, variants, synced_at)
         values ('d1', 'Welcome', '[{\"id\": \"v1\", \"name\": \"Variant A\"}]', now()), ('d2', 'Odd', '7', now())",
    )
    .await;
    run(&db,
        "insert into blueconic.audit_events
           (occurred_at, event_key, occurrence, user_name, application, object_type, operation, objects, synced_at)
         select '2020-01-01'::timestamptz + n * interval '1 minute', decode(lpad(n::text, 2, '0'), 'hex'), 0,
           who, through, kind, did, objects::jsonb, now()
         from (values
           (1, 'ann', 'blueconic', 'SEGMENT', 'UPDATE', '[{\"id\":\"s1\",\"name\":\"All\"},{\"id\":\"s2\",\"name\":\"Gone\"}]'),
           (2, 'ann', 'a script', 'CONNECTION', 'MANUAL_RUN', '[{\"id\":\"s1\",\"name\":\"Old feed\"}]'),
           (3, null, 'a script', 'VARIANT', 'CREATE', '[{\"id\":\"v1\"}]'),
           (4, 'bob', 'blueconic', 'USER', 'LOGIN', '[]'),
           (5, 'bob', '', 'CAMPAIGN', 'PUT_ON_HOLD', '[{\"id\":\"c1\"}]'),
           (6, null, null, 'ROLE', 'DELETE', '[{\"id\":\"r1\",\"name\":\"Writers\"}]')
         ) as e (n, who, through, kind, did, objects)",
    )
    .await;
    db
}

#[tokio::test]
async fn objects_have_the_names_of_today_by_their_type_and_id() {
    let db = told().await;
    let rows = db
        .texts(
            "select concat_ws('|', object_type, object_place, object_id, name_then, name_now, table_name)
             from blueconic.audit_events_named order by occurred_at, object_place",
        )
        .await;
    assert_eq!(
        rows,
        [
            "SEGMENT|1|s1|All|Everybody|segments",
            "SEGMENT|2|s2|Gone",
            "CONNECTION|1|s1|Old feed|A feed with the id of a segment|connections",
            "VARIANT|1|v1|Variant A|dialogues",
            "USER",
            "CAMPAIGN|1|c1",
            "ROLE|1|r1|Writers|Editors|roles",
        ]
    );
}

#[tokio::test]
async fn an_event_is_one_readable_line() {
    let db = told().await;
    let lines = db
        .texts("select line from blueconic.activity order by occurred_at")
        .await;
    assert_eq!(
        lines,
        [
            "ann changed segment Everybody, Gone",
            "ann ran connection A feed with the id of a segment (a script)",
            "a script created variant Variant A",
            "bob logged in",
            "bob put on hold campaign c1",
            "somebody deleted role Editors",
        ]
    );
}

/// Every type of an object that a list knows is a type of audit events, so that no name is looked for in vain.
#[tokio::test]
async fn every_list_with_names_is_among_the_named_objects() {
    let db = told().await;
    let unnamed = db
        .texts(
            "select c.table_name::text from information_schema.columns as c
             join information_schema.columns as n using (table_schema, table_name)
             join information_schema.tables as t using (table_schema, table_name)
             where c.table_schema = 'blueconic' and c.column_name = 'id' and n.column_name = 'name'
               and t.table_type = 'BASE TABLE'
               and pg_get_viewdef('blueconic.named_objects') not like '% ' || c.table_name || '%'
             order by 1",
        )
        .await;
    // Objects that audit events do not name by type.
    assert_eq!(
        unnamed,
        ["content_store_items", "interactions", "page_interactions"]
    );
}
