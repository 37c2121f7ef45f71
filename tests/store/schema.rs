//! The migrations: applied once, described throughout, refused when they are not ours, and closed to readers where
//! they hold the service's own state.

use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::postgres::migrate;
use sqlx::{Connection as _, PgConnection};

use crate::support::fixture::{AUDIT, AUDIT_EVENTS, database, empty_database, fixture, run};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_who_migrate_at_once_apply_each_migration_once() {
    let options = empty_database(None).await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..6 {
        let options = options.clone();
        tasks.spawn(async move { migrate::apply(&options).await.unwrap().len() });
    }
    let applied = tasks.join_all().await;
    let count = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/migrations"))
        .unwrap()
        .count();
    assert_eq!(applied.iter().sum::<usize>(), count);
    assert_eq!(migrate::apply(&options).await.unwrap(), []);
}

#[tokio::test]
async fn a_newer_and_an_altered_schema_are_refused() {
    let options = database().await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    migrate::verify(&mut connection).await.unwrap();
    run(
        &mut connection,
        "update sync._sqlx_migrations set checksum = '\\x00' where version = 1",
    )
    .await;
    let fault = Fault::from(migrate::apply(&options).await.unwrap_err());
    assert_eq!(fault.kind, Kind::Settings);
    assert!(fault.what.contains("another text"), "{fault}");
    let newer = "insert into sync._sqlx_migrations select 9999, 'later', now(), true, '', 0";
    run(&mut connection, newer).await;
    let fault = Fault::from(migrate::verify(&mut connection).await.unwrap_err());
    assert_eq!(fault.kind, Kind::Settings);
    assert!(fault.what.contains("newer than this program"), "{fault}");
}

#[tokio::test]
async fn what_is_pending_is_named_and_not_applied() {
    let options = empty_database(None).await;
    let mut connection = PgConnection::connect_with(&options).await.unwrap();
    let pending = migrate::pending(&mut connection).await.unwrap();
    assert_eq!(pending[0].version, 1);
    let fault = Fault::from(migrate::verify(&mut connection).await.unwrap_err());
    assert!(fault.hint.unwrap().contains("blueconic-sync migrate"));
    let schemas: i64 =
        sqlx::query_scalar("select count(*) from pg_namespace where nspname in ('blueconic', 'sync')")
            .fetch_one(&mut connection)
            .await
            .unwrap();
    assert_eq!(schemas, 0);
}

#[tokio::test]
async fn every_table_view_and_column_has_a_comment() {
    let db = fixture().await;
    let lease = db.lease(AUDIT).await;
    blueconic_sync::model::ports::LoadStore::loader(&db.store, &AUDIT_EVENTS, &lease, None)
        .await
        .unwrap();
    let bare = db
        .texts(
            "select c.oid::regclass::text || coalesce('.' || a.attname, '')
             from pg_class as c
             left join lateral (
               select 0::smallint as attnum, null::name as attname
               union all
               select attnum, attname from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped
             ) as a on true
             where c.relnamespace in ('blueconic'::regnamespace, 'sync'::regnamespace)
               and c.relkind in ('r', 'p', 'v', 'm')
               and coalesce(col_description(c.oid, a.attnum), obj_description(c.oid, 'pg_class'), '') = ''
                or (c.relnamespace in ('blueconic'::regnamespace, 'sync'::regnamespace)
                    and c.relkind in ('r', 'p', 'v', 'm') and a.attnum > 0 and col_description(c.oid, a.attnum) is null)
             union all
             select p.oid::regprocedure::text from pg_proc as p
             where p.pronamespace in ('blueconic'::regnamespace, 'sync'::regnamespace)
               and obj_description(p.oid, 'pg_proc') is null
             union all
             select n.nspname from pg_namespace as n
             where n.nspname in ('blueconic', 'sync') and obj_description(n.oid, 'pg_namespace') is null",
        )
        .await;
    assert_eq!(bare, Vec::<String>::new());
    assert!(
        db.one::<i64>("select count(*) from pg_description where objoid = 'blueconic.profiles'::regclass")
            .await
            > 10
    );
}

#[tokio::test]
async fn a_reader_sees_the_tenant_and_not_the_service() {
    let db = fixture().await;
    let role = format!("reader_{}", std::process::id());
    let mut connection = db.look.acquire().await.unwrap();
    run(
        &mut connection,
        &format!(
            "create role {role};
             grant usage on schema blueconic to {role};
             grant select on all tables in schema blueconic to {role};
             set role {role}"
        ),
    )
    .await;
    for allowed in [
        "select * from blueconic.profiles",
        "select * from blueconic.profile_identity",
        "select * from blueconic.segment_members('x')",
        "select * from blueconic.freshness",
        "select * from blueconic.audit_events",
    ] {
        sqlx::query(allowed).execute(&mut *connection).await.unwrap();
    }
    for denied in [
        "select * from sync.tokens",
        "select sync.clock()",
        "select * from sync.walk_seen",
    ] {
        let error = sqlx::query(denied).execute(&mut *connection).await.unwrap_err();
        assert_eq!(
            error.as_database_error().unwrap().code().unwrap(),
            "42501",
            "{denied}"
        );
    }
    run(
        &mut connection,
        &format!("reset role; drop owned by {role}; drop role {role}"),
    )
    .await;
}

#[tokio::test]
async fn a_role_needs_no_more_than_create_on_the_database() {
    let options = empty_database(None).await;
    let role = format!("owner_{}", std::process::id());
    let name = options.get_database().unwrap();
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    run(&mut admin, &format!("create role {role} login")).await;
    let fault = Fault::from(
        migrate::apply(&options.clone().username(&role))
            .await
            .unwrap_err(),
    );
    assert!(
        fault.hint.as_ref().unwrap().contains("grant create on database"),
        "{fault:?}"
    );
    run(&mut admin, &format!("grant create on database {name} to {role}")).await;
    migrate::apply(&options.clone().username(&role)).await.unwrap();
    // With nothing to apply the right is not asked for.
    run(
        &mut admin,
        &format!("revoke create on database {name} from {role}"),
    )
    .await;
    assert_eq!(
        migrate::apply(&options.clone().username(&role)).await.unwrap(),
        []
    );
}

/// What would break on distributed tables.
#[test]
fn migrations_and_statements_keep_to_what_distributed_tables_take() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = ["migrations", "src/postgres"].into_iter().flat_map(|folder| {
        std::fs::read_dir(root.join(folder))
            .unwrap()
            .map(|entry| entry.unwrap().path())
    });
    for file in files.filter(|file| file.extension().is_some_and(|kind| kind == "sql" || kind == "rs")) {
        let text = std::fs::read_to_string(&file).unwrap().to_lowercase();
        for forbidden in [
            "create trigger",
            "merge into",
            "not in (select",
            " references ",
            "pg_advisory_lock(",
        ] {
            assert!(!text.contains(forbidden), "{} has `{forbidden}`", file.display());
        }
        for update in text.split("do update").skip(1) {
            let clause = update.split(['"', ';', '#']).next().unwrap();
            assert!(
                !clause.contains('$'),
                "{}: a bind in `do update{clause}`",
                file.display()
            );
            assert!(
                !clause.contains("now()") && !clause.contains("clock()"),
                "{}: {clause}",
                file.display()
            );
        }
    }
}
