//! Which of two readings of a parent's children stays, where several load at once, and what becomes of a parent that goes
//! meanwhile. Each test drives the loader itself.

use blueconic_sync::model::Time;
use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::children::{CHILDLESS, ChildHash, Parent};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _};
use blueconic_sync::model::table::Table;
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::loader::PostgresLoader;

use super::{CHILDREN, MIGRATION, with_children};
use crate::support::fixture::{
    Fixture, PROFILES_FULL, PROFILES_INCREMENT, add_profile_of, fixture, hash, load, print, run, time,
};

/// What one reading of a profile brings.
struct Reading<'a> {
    id: &'a str,
    /// The content of its row.
    row: &'a str,
    modified: i64,
    /// The names of its devices.
    devices: &'a [&'a str],
    /// What was known before: the hash over its children, if its row is there, and whether that means the same.
    known: Option<(ChildHash, bool)>,
}

/// The hash over the bytes of an element like this.
fn source(reading: &Reading<'_>) -> String {
    format!("{} {:?}", reading.row, reading.devices)
}

fn add(batch: &mut Batch, reading: &Reading<'_>) -> ChildHash {
    for name in reading.devices {
        batch
            .children
            .row(0, name.as_bytes(), 6)
            .text(reading.id)
            .text(name)
            .text(name)
            .null()
            .bigint(Some(1))
            .null();
    }
    let children = batch.children.hash();
    let (stored, is_same) = reading.known.unwrap_or((CHILDLESS, false));
    let source = source(reading);
    batch.children.keep(Parent {
        id: reading.id.to_owned(),
        source: hash(&source),
        content: hash(reading.row),
        children,
        differs: children != stored,
        has_row: !is_same,
        asked_at: None,
        modified_at: Some(time(reading.modified)),
    });
    if is_same {
        batch.seen.push(reading.id.to_owned());
    } else {
        add_profile_of(batch, reading.id, Some(reading.modified), &source, reading.row);
    }
    children
}

fn batch(asked_at: Option<Time>, reading: &Reading<'_>) -> Batch {
    let mut batch = Batch::default();
    add(&mut batch, reading);
    batch.asked_at(asked_at);
    batch
}

fn table() -> &'static Table {
    Box::leak(Box::new(with_children(
        &crate::support::fixture::PROFILES,
        &CHILDREN,
    )))
}

async fn stored() -> Fixture {
    let db = fixture().await;
    run(&mut db.look.acquire().await.unwrap(), MIGRATION).await;
    db
}

async fn loader(db: &Fixture, lease: &Lease, walk: Option<Walk>) -> PostgresLoader {
    db.store.loader(table(), lease, walk).await.unwrap()
}

async fn devices(db: &Fixture) -> Vec<String> {
    db.texts("select profile_id || ' ' || name from blueconic.devices order by 1")
        .await
}

async fn known(loader: &mut PostgresLoader, id: &str, source: &str) -> Known {
    loader.known(&[print(id, source)]).await.unwrap().remove(0)
}

/// What is known of `p`: the hash over its children, and that its row is the same.
async fn known_children(loader: &mut PostgresLoader) -> ChildHash {
    match known(loader, "p", "never").await {
        Known::Differs { children, .. } => children,
        other => panic!("{other:?}"),
    }
}

const FIRST: Reading<'static> = Reading {
    id: "p",
    row: "row",
    modified: 1,
    devices: &["one"],
    known: None,
};

#[tokio::test]
async fn of_two_pages_the_children_of_the_one_that_was_asked_for_later_stay() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let (mut left, mut right) = (
        loader(&db, &lease, Some(walk)).await,
        loader(&db, &lease, Some(walk)).await,
    );
    load(&mut left, batch(None, &FIRST)).await;
    let hash = known_children(&mut left).await;
    let of = |devices| Reading {
        devices,
        known: Some((hash, true)),
        ..FIRST
    };
    let now: Time = db.one("select sync.clock()").await;
    let (early, late) = (now - chrono::TimeDelta::seconds(9), now);
    let written = load(&mut left, batch(Some(late), &of(&["late"]))).await;
    assert_eq!((written.updated, written.unchanged), (1, 0));
    let written = load(&mut right, batch(Some(early), &of(&["early", "more"]))).await;
    assert_eq!((written.updated, written.unchanged), (0, 1));
    assert_eq!(devices(&db).await, ["p late"]);
    // An increment knows only that it stores later.
    let increment = db.lease(PROFILES_INCREMENT).await;
    let mut third = loader(&db, &increment, None).await;
    load(&mut third, batch(None, &of(&["increment"]))).await;
    assert_eq!(devices(&db).await, ["p increment"]);
}

#[tokio::test]
async fn a_row_that_is_refused_as_older_brings_no_children() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = loader(&db, &lease, Some(walk)).await;
    load(&mut loader, batch(None, &Reading { modified: 5, ..FIRST })).await;
    let older = Reading {
        row: "older",
        devices: &["old"],
        ..FIRST
    };
    let written = load(&mut loader, batch(None, &older)).await;
    assert_eq!((written.updated, written.unchanged), (0, 1));
    assert_eq!(devices(&db).await, ["p one"]);
    // In one batch the newer copy stays, with its children and no other.
    let mut both = batch(
        None,
        &Reading {
            row: "newer",
            modified: 9,
            devices: &["new"],
            ..FIRST
        },
    );
    add(
        &mut both,
        &Reading {
            row: "between",
            modified: 7,
            devices: &["between"],
            ..FIRST
        },
    );
    let written = load(&mut loader, both).await;
    assert_eq!((written.updated, written.repeated), (1, 1));
    assert_eq!(devices(&db).await, ["p new"]);
    assert_eq!(
        known(
            &mut loader,
            "p",
            &source(&Reading {
                row: "newer",
                devices: &["new"],
                ..FIRST
            })
        )
        .await,
        Known::Same
    );
}

/// Two runs compare at once, and both find something else: what is in the tables is then of no element, and has to be read again.
#[tokio::test]
async fn children_that_others_changed_between_comparing_and_loading_are_decoded_again() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let (mut left, mut right) = (
        loader(&db, &lease, Some(walk)).await,
        loader(&db, &increment, None).await,
    );
    load(&mut left, batch(None, &FIRST)).await;
    let hash = known_children(&mut left).await;
    // The one brings another row with the same children, the other brings other children.
    let row = Reading {
        row: "new row",
        modified: 2,
        known: Some((hash, false)),
        ..FIRST
    };
    let children = Reading {
        devices: &["new"],
        known: Some((hash, true)),
        ..FIRST
    };
    load(&mut right, batch(None, &children)).await;
    let written = load(&mut left, batch(None, &row)).await;
    assert_eq!(written.updated, 1);
    assert_eq!(devices(&db).await, ["p new"]);
    let element = source(&row);
    assert!(
        matches!(known(&mut left, "p", &element).await, Known::Differs { .. }),
        "the row was made from this element, and its children were not"
    );
    let again = Reading {
        known: Some((known_children(&mut left).await, true)),
        ..row
    };
    load(&mut left, batch(None, &again)).await;
    assert_eq!(devices(&db).await, ["p one"]);
    assert_eq!(known(&mut left, "p", &element).await, Known::Same);
}

#[tokio::test]
async fn children_of_a_parent_that_went_meanwhile_are_not_left_behind() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = loader(&db, &lease, Some(walk)).await;
    load(&mut loader, batch(None, &FIRST)).await;
    let hash = known_children(&mut loader).await;
    let merged = Batch {
        aliases: vec![("p".to_owned(), "q".to_owned())],
        ..Batch::default()
    };
    load(&mut loader, merged).await;
    assert_eq!(devices(&db).await, [""; 0]);
    let late = Reading {
        devices: &["late"],
        known: Some((hash, true)),
        ..FIRST
    };
    load(&mut loader, batch(None, &late)).await;
    assert_eq!(devices(&db).await, [""; 0]);
    let left = db.one::<i64>("select count(*) from blueconic.profiles").await;
    assert_eq!(
        left + db.one::<i64>("select count(*) from sync.child_hashes").await,
        0
    );
}

/// A batch that is taken for fresh and is not goes through staging, children and all.
#[tokio::test]
async fn a_batch_that_was_taken_for_fresh_is_merged() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = loader(&db, &lease, Some(walk)).await;
    for devices in [&["one", "two"][..], &["three"]] {
        let mut batch = batch(
            None,
            &Reading {
                row: devices[0],
                devices,
                ..FIRST
            },
        );
        batch.fresh = true;
        load(&mut loader, batch).await;
    }
    assert_eq!(devices(&db).await, ["p three"]);
}

/// Loads of the same parents on two connections, with children that differ, until they would have met in every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn loads_of_the_same_parents_do_not_deadlock() {
    let db = stored().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let (mut left, mut right) = (
        loader(&db, &lease, Some(walk)).await,
        loader(&db, &increment, None).await,
    );
    for round in 0..60_i64 {
        let fill = |name: &str, reverse: bool| {
            let mut batch = Batch::default();
            let mut ids: Vec<String> = (0..20).map(|number| format!("p{number:02}")).collect();
            if reverse {
                ids.reverse();
            }
            for id in &ids {
                let row = format!("{name} {}", round / 2);
                add(
                    &mut batch,
                    &Reading {
                        id,
                        row: &row,
                        modified: round,
                        devices: &[name, "both"],
                        known: None,
                    },
                );
            }
            batch
        };
        let (one, two) = tokio::join!(
            left.load(fill("left", false), None),
            right.load(fill("right", true), None)
        );
        one.unwrap();
        two.unwrap();
    }
    let mixed = "select count(*) from blueconic.devices as one join blueconic.devices as other
                 on other.profile_id = one.profile_id where one.id = 'left' and other.id = 'right'";
    assert_eq!(
        db.one::<i64>(mixed).await,
        0,
        "no parent has children of two readings"
    );
    assert_eq!(db.one::<i64>("select count(*) from blueconic.devices").await, 40);
}
