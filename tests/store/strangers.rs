//! What somebody else did to the database: schemas that a DBA made, keys and views of an analyst's. Either it works, or the
//! hint names what is in the way.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::postgres::erasures::erase;
use blueconic_sync::postgres::migrate;
use sqlx::{Connection as _, PgConnection};

use crate::support::database::Database;
use crate::support::database::of_an_older_version;
use crate::support::fixture::{PROFILES, PROFILES_FULL, add_profile, empty_database, fixture, load, run};

/// A role that may not make a schema, and schemas that somebody else made.
async fn handed_over(what: &str, statements: &str) {
    let options = empty_database(None).await;
    let role = format!("{what}_{}", std::process::id());
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    run(&mut admin, &format!("create role {role} login")).await;
    let theirs = options.clone().username(&role);
    let error = migrate::verify_rights(&theirs).await.unwrap_err();
    let fault = Fault::from(error);
    assert_eq!(fault.kind, Kind::Settings);
    assert!(
        fault
            .hint
            .unwrap()
            .contains("create schema blueconic authorization")
    );
    run(&mut admin, &statements.replace("ROLE", &role)).await;
    migrate::verify_rights(&theirs).await.unwrap();
    let applied = migrate::apply(&theirs).await.unwrap();
    assert!(applied.len() > 5, "{applied:?}");
    assert_eq!(migrate::apply(&theirs).await.unwrap(), []);
}

#[tokio::test]
async fn schemas_that_a_dba_made_are_enough() {
    handed_over(
        "owns",
        "create schema blueconic authorization ROLE; create schema sync authorization ROLE",
    )
    .await;
    handed_over(
        "granted",
        "create schema blueconic; create schema sync; grant usage, create on schema blueconic, sync to ROLE",
    )
    .await;
    handed_over(
        "member",
        "create role ROLE_group; grant ROLE_group to ROLE;
         create schema blueconic authorization ROLE_group; create schema sync authorization ROLE_group",
    )
    .await;
}

#[tokio::test]
async fn a_foreign_key_of_an_analyst_is_named_without_the_person() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "a-person", Some(1), "x");
    load(&mut loader, batch).await;
    let mut admin = db.look.acquire().await.unwrap();
    run(
        &mut admin,
        "create table public.notes (about text collate \"C\" constraint notes_about
           references blueconic.profiles (id));
         insert into public.notes values ('a-person')",
    )
    .await;
    let fault = Fault::from(
        erase::erase(&db.store, &[&PROFILES], &["a-person".to_owned()])
            .await
            .unwrap_err(),
    );
    let reported = format!("{} {}", fault.sentence(), fault.hint.clone().unwrap());
    assert!(
        reported.contains("`notes_about`") && reported.contains("`public.notes`"),
        "{reported}"
    );
    assert!(!reported.contains("a-person"), "{reported}");
}

#[tokio::test]
async fn what_depends_on_a_migration_s_table_is_named() {
    let database = Database::bare().await;
    of_an_older_version(&database).await;
    database
        .run(
            "create table public.notes (about text collate \"C\" constraint notes_about
               references blueconic.profiles (id))",
        )
        .await;
    let options =
        blueconic_sync::postgres::pool::parse(&secrecy::SecretString::from(database.url.clone())).unwrap();
    let fault = Fault::from(migrate::apply(&options).await.unwrap_err());
    let hint = fault.hint.clone().unwrap();
    assert!(
        hint.contains("notes_about") && hint.contains("blueconic-sync migrate"),
        "{fault:?}"
    );
    database
        .run("alter table public.notes drop constraint notes_about")
        .await;
    migrate::apply(&options).await.unwrap();
}

/// Another replica migrated: what this one has prepared gives other columns, and would fail for as long as the session lives.
#[tokio::test]
async fn a_statement_that_a_migration_outdated_is_prepared_anew() {
    let db = fixture().await;
    db.store.tenant().await.unwrap();
    let mut admin = db.look.acquire().await.unwrap();
    run(
        &mut admin,
        "alter table sync.tenant alter column url type varchar",
    )
    .await;
    let mut failed = 0;
    for _ in 0..3 {
        if let Err(error) = db.store.tenant().await {
            let fault = Fault::from(error);
            assert_eq!(fault.kind, Kind::Transient, "{fault:?}");
            failed += 1;
        }
    }
    assert!(failed <= 1, "{failed} of 3 failed");
    db.store.tenant().await.unwrap();
}
