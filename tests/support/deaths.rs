//! Walks in processes of their own that die at each hit of each place. The next walk makes up for a death, and one more has nothing to
//! write.

use std::os::unix::process::ExitStatusExt as _;

use futures_util::{StreamExt as _, stream};

use super::apart::walk_apart;
use super::cluster::Cluster;
use super::database::{Database, create};

/// More hits than there are of any place.
const MOST_HITS: u32 = 40;

/// A walk, and what it leaves in a database.
pub(crate) trait Dying {
    /// The test that walks in a process of its own.
    const WORKER: &'static str;
    /// Where it dies.
    const PLACES: &'static [&'static str];

    /// The rows that the walk loads, in order.
    async fn rows(database: &Database) -> Vec<String>;

    /// Panics if a database holds what it must not hold after a death, or (`has_ended`) after a walk that ended.
    async fn assert_sound(database: &Database, has_ended: bool);
}

/// How often it died at which place.
#[derive(Debug)]
pub(crate) struct Deaths(Vec<(&'static str, u32)>);

impl Deaths {
    /// The hits of a place.
    pub(crate) fn at(&self, place: &str) -> u32 {
        self.0.iter().find(|(name, _)| *name == place).unwrap().1
    }
}

/// Dies at each hit of each place, in copies of a template.
pub(crate) async fn die_everywhere<W: Dying>(expected: &[String], tenant: &str, template: &str) -> Deaths {
    let deaths = stream::iter(W::PLACES).map(|place| async move {
        for hit in 0..MOST_HITS {
            let order = format!("{place}={hit}*off->return(kill)");
            if !dies::<W>(expected, tenant, template, &order).await {
                return (*place, hit);
            }
        }
        panic!("{place}: no end of hits");
    });
    Deaths(deaths.buffered(W::PLACES.len()).collect().await)
}

/// Dies at one hit of one place, and is made up for. False: it did not die, there are fewer hits.
async fn dies<W: Dying>(expected: &[String], tenant: &str, template: &str, order: &str) -> bool {
    let database = Database::copy(Cluster::shared(), template).await;
    let ended = walk_apart(W::WORKER, tenant, &database.url, order).await;
    let died = ended.signal() == Some(9);
    assert!(died || ended.success(), "{order}: {ended:?}");
    W::assert_sound(&database, !died).await;
    if died {
        let again = walk_apart(W::WORKER, tenant, &database.url, "").await;
        assert!(again.success(), "after {order}");
    }
    assert_eq!(W::rows(&database).await, expected, "after {order}");
    W::assert_sound(&database, true).await;
    assert!(walk_apart(W::WORKER, tenant, &database.url, "").await.success());
    assert_eq!(
        written_last(&database).await,
        0,
        "the walk after {order} and one more"
    );
    database.remove(Cluster::shared()).await;
    died
}

/// How many rows the last run wrote.
pub(crate) async fn written_last(database: &Database) -> i64 {
    let written =
        "select coalesce(sum(rows_inserted + rows_updated + rows_removed + rows_rehashed), 0)::bigint
                   from sync.runs where started_at = (select max(started_at) from sync.runs)";
    database.one(written).await
}

/// What a walk that is left alone makes of a copy of a template.
pub(crate) async fn left_alone<W: Dying>(tenant: &str, template: &str) -> Vec<String> {
    let database = Database::copy(Cluster::shared(), template).await;
    assert!(walk_apart(W::WORKER, tenant, &database.url, "").await.success());
    let rows = W::rows(&database).await;
    database.remove(Cluster::shared()).await;
    rows
}

/// A template that a walk has filled, from one that it has not.
pub(crate) async fn filled<W: Dying>(tenant: &str, template: &str) -> String {
    let database = Database::copy(Cluster::shared(), template).await;
    assert!(walk_apart(W::WORKER, tenant, &database.url, "").await.success());
    database.pool.close().await;
    create(Cluster::shared(), &database.name).await
}
