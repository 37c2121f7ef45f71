//! Copies of all tables of `blueconic`, kept by whoever follows `blueconic.changes`: what a copy lacks, or has besides, is a change that
//! the feed does not have.

use std::time::Duration;

use super::database::Database;
use super::eventually;
use super::registry::tables;

/// The copies, in the database's schema `kept`.
pub(crate) struct Copies<'database>(&'database Database);

impl<'database> Copies<'database> {
    /// Copies every table, and remembers the newest change.
    pub(crate) async fn of(database: &'database Database) -> Self {
        eventually("the feed has begun", Duration::from_mins(1), async || {
            (database.count("blueconic.changes").await > 0).then_some(())
        })
        .await;
        database
            .run(
                "create schema kept;
                 create table kept.place as
                 select changed_by, change_id from blueconic.changes order by changed_by desc, change_id desc limit 1",
            )
            .await;
        for table in tables() {
            let copy = format!("create table kept.{table} as select * from blueconic.{table}");
            database.run(&copy).await;
        }
        Self(database)
    }

    /// Follows the feed until it has the last change, and asserts that every copy is its table. Transactions in other databases of the
    /// server delay the feed.
    pub(crate) async fn assert_follow(&self) {
        let last = "sync.changes as c where not exists (
             select from blueconic.changes as shown where shown.changed_by = c.changed_by
           )";
        eventually(
            "the feed shows every change",
            Duration::from_mins(1),
            async || (self.0.count(last).await == 0).then_some(()),
        )
        .await;
        let mut differing = Vec::new();
        let gone = "kept.place as p where not exists (
             select from blueconic.changes as c where (c.changed_by, c.change_id) = (p.changed_by, p.change_id)
           )";
        assert_eq!(self.0.count(gone).await, 0, "the feed does not lead here");
        for table in tables() {
            self.0.run(&follow(table)).await;
            let differences = self.0.count(&differences(table)).await;
            if differences > 0 {
                differing.push((table, differences));
            }
        }
        assert_eq!(differing, [], "rows that the feed does not have");
        self.0
            .run(
                "update kept.place as p set changed_by = c.changed_by, change_id = c.change_id
                 from (
                   select changed_by, change_id from blueconic.changes order by changed_by desc, change_id desc limit 1
                 ) as c",
            )
            .await;
    }
}

/// Replaces the rows that changed. A change without a key: those that the table no longer has.
fn follow(table: &str) -> String {
    format!(
        "set time zone 'UTC';
         create temporary table changed as
         select distinct c.key from blueconic.changes as c, kept.place as p
         where c.table_name = '{table}' and (c.changed_by, c.change_id) > (p.changed_by, p.change_id);
         delete from kept.{table} as copy using changed as c where to_jsonb(copy) @> c.key;
         delete from kept.{table} as copy
         where exists (select from changed as c where c.key is null)
           and not exists (select from blueconic.{table} as t where to_jsonb(t) = to_jsonb(copy));
         insert into kept.{table}
         select t.* from blueconic.{table} as t
         where exists (select from changed as c where to_jsonb(t) @> c.key);
         drop table changed"
    )
}

/// Columns that a reader does not copy: hashes are refreshed, and readings renewed, without a change of what the row says.
fn row(of: &str) -> String {
    format!("to_jsonb({of}) - array['source_hash', 'asked_at']")
}

fn differences(table: &str) -> String {
    let (stored, kept) = (row("t"), row("k"));
    format!(
        "(
           (select {stored} from blueconic.{table} as t except all select {kept} from kept.{table} as k)
           union all
           (select {kept} from kept.{table} as k except all select {stored} from blueconic.{table} as t)
         ) as differing"
    )
}
