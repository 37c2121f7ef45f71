//! The macros of `dbt/` follow the feed of changes for an incremental model. They are rendered here as dbt renders them: they use nothing of
//! Jinja but values, and one condition.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use sqlx::Connection as _;

use crate::support::eventually;
use crate::support::fixture::{Fixture, PROFILES_FULL, add_profile, fixture, load, run};
use crate::support::sources::root;

const CONDITION: &str = "{%- if is_incremental() %}";
const END: &str = "{%- endif %}";

/// A macro's text with its values.
fn rendered(name: &str, id: &str, is_incremental: bool) -> String {
    let all = std::fs::read_to_string(root().join("dbt/macros/blueconic_changes.sql")).unwrap();
    let (_, text) = all.split_once(&format!("{{%- macro {name}(")).unwrap();
    let (_, text) = text.split_once("-%}\n").unwrap();
    let (text, _) = text.split_once("{%- endmacro -%}").unwrap();
    let text = match text.split_once(CONDITION) {
        Some((before, rest)) => {
            let (inner, after) = rest.split_once(END).unwrap();
            let inner = if is_incremental { inner } else { "" };
            format!("{before}{inner}{after}")
        }
        None => text.to_owned(),
    };
    let values = [
        ("{{ adapter.quote(this.schema) }}", "marts"),
        (
            "{{ 'true' if is_incremental() else 'false' }}",
            if is_incremental { "true" } else { "false" },
        ),
        ("{{ this.identifier }}", "people"),
        ("{{ this }}", "marts.people"),
        ("{{ table_name }}", "profiles"),
        ("{{ id }}", id),
    ];
    let rendered = values
        .iter()
        .fold(text, |text, (value, with)| text.replace(value, with));
    assert!(!rendered.contains("{{") && !rendered.contains("{%"), "{rendered}");
    rendered
}

/// What `dbt run` does for the model, in one transaction.
async fn dbt_run(db: &Fixture, is_incremental: bool) {
    let model = format!(
        "select p.id, p.modified_at from blueconic.profiles as p where {}",
        rendered("blueconic_changed", "p.id", is_incremental)
    );
    let rows = if is_incremental {
        format!(
            "create temporary table people__dbt_tmp on commit drop as {model};
             delete from marts.people where id in (select id from people__dbt_tmp);
             insert into marts.people select * from people__dbt_tmp"
        )
    } else {
        format!("create table marts.people as {model}")
    };
    let mut connection = db.look.acquire().await.unwrap();
    let mut transaction = connection.begin().await.unwrap();
    run(
        &mut transaction,
        &rendered("blueconic_follow", "id", is_incremental),
    )
    .await;
    run(&mut transaction, &rows).await;
    run(
        &mut transaction,
        &rendered("blueconic_followed", "id", is_incremental),
    )
    .await;
    transaction.commit().await.unwrap();
}

async fn differences(db: &Fixture) -> i64 {
    db.one(
        "select count(*) from blueconic.profiles as p full join marts.people as m on m.id = p.id
         where p.modified_at is distinct from m.modified_at or p.id is null or m.id is null",
    )
    .await
}

async fn catches_up(db: &Fixture) {
    eventually("the model is the table", Duration::from_mins(1), async || {
        dbt_run(db, true).await;
        (differences(db).await == 0).then_some(())
    })
    .await;
}

fn batch(profiles: &[(&str, i64)]) -> Batch {
    let mut batch = Batch::default();
    for (id, second) in profiles {
        add_profile(&mut batch, id, Some(*second), &format!("{id} {second}"));
    }
    batch
}

#[tokio::test]
async fn an_incremental_model_follows_the_feed_and_reads_everything_where_it_must() {
    let db = fixture().await;
    db.store.switch_changes().await.unwrap();
    run(&mut db.look.acquire().await.unwrap(), "create schema marts").await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    load(&mut loader, batch(&[("a", 1), ("b", 1), ("c", 1)])).await;
    dbt_run(&db, false).await;
    assert_eq!(differences(&db).await, 0, "a first run reads all rows");
    let merged = Batch {
        aliases: vec![("b".to_owned(), "c".to_owned())],
        ..batch(&[("c", 2), ("d", 1)])
    };
    load(&mut loader, merged).await;
    catches_up(&db).await;

    // A row that the feed does not name is not read again, unless the feed does not lead here.
    run(
        &mut db.look.acquire().await.unwrap(),
        "update marts.people set modified_at = null where id = 'a'",
    )
    .await;
    load(&mut loader, batch(&[("d", 2)])).await;
    eventually("the change is followed", Duration::from_mins(1), async || {
        dbt_run(&db, true).await;
        (differences(&db).await == 1).then_some(())
    })
    .await;
    run(&mut db.look.acquire().await.unwrap(), "truncate sync.lease_marks").await;
    db.store.switch_changes().await.unwrap();
    catches_up(&db).await;
}
