//! Sessions: what a role's defaults are decides nothing, and a database that cannot be worked with is refused in words.

use std::time::Duration;

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::{Fault, Kind};
use blueconic_sync::model::ports::{Loader as _, RunStore as _};
use blueconic_sync::postgres::erasures::erase;
use blueconic_sync::postgres::{migrate, pool};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use crate::support::discarded::Discarded;
use crate::support::eventually;
use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, SEGMENTS, add_profile, another_store, empty_database, fixture, run,
};

/// A migrated database of a role with such defaults.
async fn fixture_of(what: &str, defaults: &[&str]) -> Fixture {
    let options = empty_database(None).await;
    let look = sqlx::PgPool::connect_with(options.clone()).await.unwrap();
    let role = format!("{what}_{}", std::process::id());
    let name = options.get_database().unwrap();
    let mut admin = look.acquire().await.unwrap();
    run(&mut admin, &format!("create role {role} login")).await;
    run(&mut admin, &format!("grant create on database {name} to {role}")).await;
    for default in defaults {
        run(&mut admin, &format!("alter role {role} set {default}")).await;
    }
    let options = options.username(&role);
    migrate::apply(&options).await.unwrap();
    let store = another_store(&options, Duration::from_secs(30)).await;
    Fixture {
        discarded: Discarded::with_its_test(options.get_database().unwrap()),
        options,
        store,
        look,
    }
}

async fn waiting(db: &Fixture) -> i64 {
    db.one(
        "select count(*) from pg_locks where locktype = 'advisory' and not granted and database =
            (select oid from pg_database where datname = current_database())",
    )
    .await
}

/// The load's snapshot must not be from before the erasure that it waited for.
async fn a_load_behind_an_erasure_sees_it(what: &str, isolation: &str) {
    let db = fixture_of(what, &[&format!("default_transaction_isolation = '{isolation}'")]).await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    // Another load is under way, so that the erasure waits, and the load behind it.
    let mut another = db.look.begin().await.unwrap();
    sqlx::query("select pg_advisory_xact_lock_shared(sync.erasures_lock())")
        .execute(&mut *another)
        .await
        .unwrap();
    let store = db.store.clone();
    let erasing = tokio::spawn(async move {
        erase::erase(&store, &[&PROFILES], &["person".to_owned()])
            .await
            .unwrap()
    });
    eventually("the erasure waits", Duration::from_secs(20), async || {
        (waiting(&db).await == 1).then_some(())
    })
    .await;
    let loading = tokio::spawn(async move {
        let mut batch = Batch::default();
        add_profile(&mut batch, "person", Some(1), "x");
        add_profile(&mut batch, "somebody", Some(1), "x");
        loader.load(batch, None).await.unwrap()
    });
    eventually("the load waits", Duration::from_secs(20), async || {
        (waiting(&db).await == 2).then_some(())
    })
    .await;
    another.commit().await.unwrap();
    erasing.await.unwrap();
    assert_eq!(loading.await.unwrap().suppressed, 1);
    let stored: Vec<String> = sqlx::query_scalar("select id from blueconic.profiles")
        .fetch_all(&db.look)
        .await
        .unwrap();
    assert_eq!(stored, ["somebody"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn an_erased_person_stays_away_whatever_the_isolation_of_the_role() {
    a_load_behind_an_erasure_sees_it("repeatable", "repeatable read").await;
    a_load_behind_an_erasure_sees_it("serializable", "serializable").await;
}

#[tokio::test]
async fn a_database_that_is_not_utf8_is_refused_by_its_encoding() {
    let options = empty_database(None).await;
    let mut admin = PgConnection::connect_with(&options).await.unwrap();
    for encoding in ["LATIN1", "SQL_ASCII"] {
        let name = format!("not_utf8_{}_{}", encoding.to_lowercase(), std::process::id());
        let make = format!("create database {name} encoding '{encoding}' template template0 locale 'C'");
        run(&mut admin, &make).await;
        let fault = Fault::from(
            migrate::apply(&options.clone().database(&name))
                .await
                .unwrap_err(),
        );
        assert_eq!(fault.kind, Kind::Settings, "{fault:?}");
        assert!(fault.what.contains(encoding), "{fault:?}");
        assert!(fault.hint.unwrap().contains("encoding 'UTF8'"));
    }
}

#[tokio::test]
async fn a_role_that_may_not_stage_learns_which_right_it_lacks() {
    let db = fixture_of("unstaged", &[]).await;
    let name = db.options.get_database().unwrap();
    let mut admin = db.look.acquire().await.unwrap();
    run(
        &mut admin,
        &format!("revoke temporary on database {name} from public"),
    )
    .await;
    let fault = Fault::from(migrate::apply(&db.options).await.unwrap_err());
    assert_eq!(fault.kind, Kind::Settings, "{fault:?}");
    assert!(fault.hint.unwrap().contains("grant temporary on database"));
    pool::verify_writable(&db.options).await.unwrap_err();
}

/// A role's own default is ours to set; a database that somebody closed stays closed.
#[tokio::test]
async fn a_read_only_role_works_and_a_read_only_database_is_refused() {
    let db = fixture_of("read_only", &["default_transaction_read_only = on"]).await;
    db.store.tenant().await.unwrap();
    db.lease(SEGMENTS).await;
    let name = db.options.get_database().unwrap();
    let mut admin = db.look.acquire().await.unwrap();
    run(
        &mut admin,
        &format!("alter role {} reset all", db.options.get_username()),
    )
    .await;
    run(
        &mut admin,
        &format!("alter database {name} set default_transaction_read_only = on"),
    )
    .await;
    let fault = Fault::from(pool::verify_writable(&db.options).await.unwrap_err());
    assert_eq!(fault.kind, Kind::Transient, "{fault:?}");
    assert!(fault.what.contains("is read-only"), "{fault:?}");
    assert!(fault.hint.unwrap().contains("default_transaction_read_only"));
}

/// A failover through an address that follows the primary leaves sessions behind on a server that is read-only by now.
#[tokio::test]
async fn sessions_that_cannot_write_are_not_kept() {
    let db = fixture().await;
    let name = db.options.get_database().unwrap().to_owned();
    let mut admin = db.look.acquire().await.unwrap();
    let close = format!("alter database {name} set default_transaction_read_only = on");
    run(&mut admin, &close).await;
    let store = another_store(&db.options, Duration::from_secs(30)).await;
    let fault = store.acquire(PROFILES_FULL).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Transient, "{fault:?}");
    assert!(fault.sentence().contains("read-only"), "{fault:?}");
    assert!(fault.hint.unwrap().contains("standby"));
    // The superuser's own sessions are not of the closed database's default, which holds for new ones.
    let open = format!("alter database {name} reset default_transaction_read_only");
    run(&mut admin, &open).await;
    // Its sessions were made read-only and would stay so; each call gets one that writes.
    for slot in [PROFILES_FULL, SEGMENTS] {
        store.acquire(slot).await.unwrap();
    }
}

/// What a stranger may put where names are looked up is never called with the service's rights.
#[tokio::test]
async fn a_stranger_s_function_is_not_called() {
    let db = fixture_of("trapped", &["search_path = public, blueconic, pg_catalog"]).await;
    let mut admin = db.look.acquire().await.unwrap();
    run(
        &mut admin,
        "create function public.unnest(text[]) returns setof text language plpgsql as
           $$ begin raise exception 'a stranger was called by %', current_user; end $$;
         create function public.holds(text[], text[]) returns boolean language plpgsql as
           $$ begin raise exception 'a stranger was called by %', current_user; end $$;
         create operator public.@> (leftarg = text[], rightarg = text[], function = public.holds);
         create function public.same(text, text) returns boolean language plpgsql as
           $$ begin raise exception 'a stranger was called by %', current_user; end $$;
         create operator public.= (leftarg = text, rightarg = text, function = public.same)",
    )
    .await;
    // Dialed after the traps were laid.
    let store = another_store(&db.options, Duration::from_secs(30)).await;
    let db = Fixture { store, ..db };
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    let mut batch = Batch::default();
    add_profile(&mut batch, "p", Some(1), "x");
    loader.load(batch, None).await.unwrap();
    drop(loader);
    erase::erase(&db.store, &[&PROFILES], &["p".to_owned()])
        .await
        .unwrap();
    // The functions of ours, called by anybody with such a path.
    run(&mut admin, "set search_path = public, pg_catalog").await;
    for call in [
        "select * from blueconic.segment_members('x')",
        "select sync.clock()",
        "select sync.erasures_lock()",
        "select sync.load_beside_erasures()",
        "select sync.forget_walk('00000000-0000-0000-0000-000000000000')",
        "select sync.make_month_partitions('audit_events', pg_catalog.now(), pg_catalog.now())",
    ] {
        sqlx::query(AssertSqlSafe(call))
            .execute(&mut *admin)
            .await
            .unwrap_or_else(|error| panic!("{call}: {error}"));
    }
}

/// Every function either has a path of its own or, where one would keep it from being inlined, names the schema of all that
/// it calls.
#[tokio::test]
async fn every_function_says_where_names_are_looked_up() {
    let db = fixture().await;
    let loose: Vec<String> = sqlx::query_scalar(
        "select p.oid::regprocedure::text from pg_proc as p
         where p.pronamespace in ('blueconic'::regnamespace, 'sync'::regnamespace)
           and not coalesce(array_to_string(p.proconfig, ',') like '%search_path=pg_catalog, pg_temp%', false)
         order by 1",
    )
    .fetch_all(&db.look)
    .await
    .unwrap();
    assert_eq!(loose, ["blueconic.segment_members(text)"]);
    // Inlined: the condition on its rows reaches the index.
    run(
        &mut db.look.acquire().await.unwrap(),
        "create index profiles_segment_ids on blueconic.profiles using gin (segment_ids)",
    )
    .await;
    let mut connection = db.look.acquire().await.unwrap();
    run(&mut connection, "set enable_seqscan = off").await;
    let plan: Vec<String> =
        sqlx::query_scalar("explain select * from blueconic.segment_members('x') as m where m.id = 'y'")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let plan = plan.join("\n");
    assert!(
        plan.contains("Index") && !plan.contains("Function Scan"),
        "{plan}"
    );
}
