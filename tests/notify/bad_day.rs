//! A bad day of two replicas on one database: each message comes once, whoever looks how often.

use std::sync::Arc;
use std::time::Duration;

use blueconic_sync::config::load::load;
use blueconic_sync::config::settings::Settings;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::concern::Goals;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::ports::{Observer as _, RunStore as _};
use blueconic_sync::model::position::Slot;
use blueconic_sync::model::status::RunStatus;
use blueconic_sync::notify::rounds::{Pace, Rounds};
use blueconic_sync::notify::sender::Sender;
use blueconic_sync::postgres::store::PostgresStore;
use blueconic_sync::resources::registry::RESOURCES;

use crate::support::fixture::{Fixture, PROFILES_FULL, SEGMENTS, another_store, fixture, run};
use crate::support::hook::Hook;

const HOUR: Duration = Duration::from_hours(1);

fn settings(hook: &Hook) -> Settings {
    let variables = Variables::from([
        (
            "BLUECONIC_SYNC_WEBHOOK_URL".to_owned(),
            format!("{}/hook", hook.url).into(),
        ),
        (
            "BLUECONIC_SYNC_HEARTBEAT_URL".to_owned(),
            format!("{}/beat", hook.url).into(),
        ),
    ]);
    load(None, &variables, RESOURCES).unwrap()
}

fn replica(hook: &Hook, store: PostgresStore) -> Rounds<PostgresStore> {
    let settings = settings(hook);
    Rounds {
        store: Arc::new(store),
        sender: Sender::new(&settings.notify, &settings.network).unwrap(),
        pace: Pace {
            every: HOUR,
            remind_after: HOUR,
            remind_at_most: HOUR * 3,
            heartbeat_every: HOUR,
            longest_silence: HOUR,
        },
        goals: Goals::from([("segments", HOUR)]),
        messages: Arc::default(),
    }
}

/// The end of a run, whose error quotes a person.
fn ledger(status: RunStatus) -> Ledger {
    Ledger {
        status,
        counts: Counts::default(),
        error: Some("the address of somebody@example.com".to_owned()),
        hint: None,
    }
}

/// Two replicas, and what they tell.
struct Day {
    db: Fixture,
    hook: Hook,
    replicas: Vec<Rounds<PostgresStore>>,
    heard: usize,
}

impl Day {
    async fn dawn() -> Self {
        let db = fixture().await;
        let hook = Hook::start().await;
        let mut replicas = Vec::new();
        for _ in 0..2 {
            let store = another_store(&db.options, Duration::from_secs(30)).await;
            replicas.push(replica(&hook, store));
        }
        let day = Self {
            db,
            hook,
            replicas,
            heard: 0,
        };
        day.sql(
            "insert into sync.schedule (job, resource, scope, cron, time_zone, next_run_at)
             select r.job, split_part(r.job, '/', 1), split_part(r.job, '/', 2), '0 0 * * *', 'UTC', now() + interval '1 day'
             from unnest(array['segments/full', 'profiles/full', 'profiles/increment', 'audit_events/increment']) as r (job)",
        )
        .await;
        day
    }

    async fn sql(&self, sql: &str) {
        run(&mut self.db.look.acquire().await.unwrap(), sql).await;
    }

    async fn ends(&self, slot: Slot, status: RunStatus) {
        let lease = self.db.lease(slot).await;
        self.db.store.close(&lease, &ledger(status)).await.unwrap();
    }

    /// The messages of some rounds of both replicas at the same time.
    async fn told(&mut self) -> Vec<Vec<String>> {
        for _ in 0..3 {
            let rounds = self.replicas.iter().map(|replica| async move {
                let look = async || replica.store.status().await;
                replica.tell(&look).await.unwrap();
            });
            futures_util::future::join_all(rounds).await;
        }
        let all = self.hook.told();
        let new = all[self.heard..].to_vec();
        self.heard = all.len();
        new
    }

    /// So many minutes pass for what is due.
    async fn passes(&self, minutes: u32) {
        self.sql(&format!(
            "update sync.notifications set next_at = next_at - interval '{minutes} min',
               last_sent_at = last_sent_at - interval '{minutes} min'"
        ))
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_message_of_a_bad_day_comes_once() {
    let none: [Vec<String>; 0] = [];
    let mut day = Day::dawn().await;
    assert_eq!(day.told().await, none, "nothing has happened");
    day.ends(SEGMENTS, RunStatus::Succeeded).await;
    assert_eq!(day.told().await, none, "all is well");

    day.ends(SEGMENTS, RunStatus::Failed).await;
    assert_eq!(day.told().await, [["began failed segments/full 1"]]);
    // The next attempt is under way, was stopped, and fails again: nothing new.
    let lease = day.db.lease(SEGMENTS).await;
    assert_eq!(day.told().await, none);
    day.db
        .store
        .close(&lease, &ledger(RunStatus::Interrupted))
        .await
        .unwrap();
    assert_eq!(day.told().await, none);
    day.ends(SEGMENTS, RunStatus::Failed).await;
    day.passes(50).await;
    assert_eq!(day.told().await, none, "no reminder before its time");
    day.passes(20).await;
    assert_eq!(day.told().await, [["lasts failed segments/full 1"]]);
    day.passes(100).await;
    assert_eq!(day.told().await, none, "the second reminder comes twice as late");
    day.passes(30).await;
    assert_eq!(day.told().await, [["lasts failed segments/full 1"]]);
    let wait: f64 = day
        .db
        .one("select extract(epoch from next_at - last_sent_at)::float8 from sync.notifications")
        .await;
    assert!((wait - 3.0 * 3600.0).abs() < 5.0, "the wait is bounded: {wait}");

    // What comes at the same time is one message.
    day.ends(PROFILES_FULL, RunStatus::NeedsApproval).await;
    day.sql(
        "insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
         select 'audit_events', now() - interval '2 h', now() - interval '1 h', 'unreachable', gen_random_uuid(), now();
         insert into sync.rejects (resource, element_id, reason, detail, raw, raw_bytes, sha256, run_id, noticed_at)
         select 'profiles', n::text, 'wrong_shape', 'somebody@example.com', 'somebody@example.com', 1, '\\x00',
           gen_random_uuid(), now() from generate_series(1, 2) as n",
    )
    .await;
    assert_eq!(
        day.told().await,
        [[
            "began gap audit_events/- 1",
            "began rejects profiles/- 2",
            "began needs_approval profiles/full 1"
        ]]
    );

    // The webhook is away: one attempt for each replica's claim, and nothing is lost.
    day.hook.answer(503);
    day.sql(
        "insert into sync.tokens (tenant, client_id, grant_type, version, status)
         values ('t', 'c', 'authorization_code', 1, 'reauth_required')",
    )
    .await;
    assert_eq!(day.told().await, [["began reauthorization -/- 1"]]);
    day.hook.answer(200);
    assert_eq!(day.told().await, none, "it is not asked again at once");
    day.passes(2).await;
    assert_eq!(day.told().await, [["began reauthorization -/- 1"]]);

    // A restart knows what was told.
    let store = another_store(&day.db.options, Duration::from_secs(30)).await;
    day.replicas[0] = replica(&day.hook, store);
    assert_eq!(day.told().await, none);

    // All is well again.
    day.ends(SEGMENTS, RunStatus::Succeeded).await;
    day.ends(PROFILES_FULL, RunStatus::Succeeded).await;
    day.sql(
        "delete from sync.gaps; update sync.rejects set resolved_at = now(); update sync.tokens set status = 'valid'",
    )
    .await;
    assert_eq!(
        day.told().await,
        [[
            "ended reauthorization -/- 1",
            "ended gap audit_events/- 1",
            "ended rejects profiles/- 2",
            "ended needs_approval profiles/full 1",
            "ended failed segments/full 1"
        ]]
    );
    assert_eq!(
        day.db.one::<i64>("select count(*) from sync.notifications").await,
        0
    );
    for arrived in day.hook.arrived() {
        let body = String::from_utf8(arrived.body).unwrap();
        assert!(
            !body.contains("somebody"),
            "a person's data left the machine: {body}"
        );
        assert_eq!(
            (&*arrived.path, &*arrived.content_type),
            ("/hook", "application/json")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_behind_its_goal_is_told_and_so_is_its_return() {
    let mut day = Day::dawn().await;
    day.ends(SEGMENTS, RunStatus::Succeeded).await;
    assert_eq!(day.told().await.len(), 0);
    day.sql("update sync.runs set started_at = started_at - interval '2 h', finished_at = finished_at - interval '2 h'")
        .await;
    assert_eq!(day.told().await, [["began stale segments/- 3600"]]);
    day.ends(SEGMENTS, RunStatus::Succeeded).await;
    assert_eq!(day.told().await, [["ended stale segments/- 3600"]]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_lost_for_good_is_told_once_and_again_when_more_is_lost() {
    let none: [Vec<String>; 0] = [];
    let mut day = Day::dawn().await;
    let lose = "insert into sync.gaps (resource, from_at, to_at, reason, run_id, noticed_at)
                select 'audit_events', now() - n * interval '1 day', now() - n * interval '1 day' + interval '1 h', 'retention',
                  gen_random_uuid(), now()
                from (select count(*) + 1 from sync.gaps) as g (n)";
    day.sql(lose).await;
    assert_eq!(day.told().await, [["began gap_for_good audit_events/- 1"]]);
    day.passes(1_000_000).await;
    assert_eq!(day.told().await, none);
    day.sql(lose).await;
    assert_eq!(day.told().await, [["began gap_for_good audit_events/- 2"]]);
    day.sql("delete from sync.gaps").await;
    assert_eq!(day.told().await, none, "it ends without a word");
    assert_eq!(
        day.db.one::<i64>("select count(*) from sync.notifications").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nobody_reads_any_more_is_of_no_concern() {
    let mut day = Day::dawn().await;
    day.ends(SEGMENTS, RunStatus::Failed).await;
    assert_eq!(day.told().await, [["began failed segments/full 1"]]);
    let without_segments = async || {
        let mut status = day.db.store.status().await?;
        status.resources.retain(|it| it.resource != "segments");
        Ok(status)
    };
    for _ in 0..2 {
        day.replicas[0].tell(&without_segments).await.unwrap();
    }
    assert_eq!(
        day.hook.told()[1..],
        [["ended failed segments/full 1"]],
        "{:?}",
        day.hook.told()
    );
    assert_eq!(
        day.db.one::<i64>("select count(*) from sync.notifications").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_ends_before_anybody_was_told_is_told_to_nobody() {
    let mut day = Day::dawn().await;
    day.hook.answer(500);
    day.ends(SEGMENTS, RunStatus::Failed).await;
    assert_eq!(day.told().await.len(), 1);
    day.ends(SEGMENTS, RunStatus::Succeeded).await;
    day.hook.answer(200);
    day.passes(60).await;
    assert_eq!(day.told().await.len(), 0);
    assert_eq!(
        day.db.one::<i64>("select count(*) from sync.notifications").await,
        0
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_replica_sends_the_sign_of_life_and_the_next_one_by_its_time() {
    let day = Day::dawn().await;
    let beat = async || {
        for replica in &day.replicas {
            replica.beat().await.unwrap();
        }
        day.hook.arrived().len()
    };
    assert_eq!(beat().await, 1);
    assert_eq!(beat().await, 1);
    day.sql("update sync.heartbeat set next_at = next_at - interval '61 min'")
        .await;
    assert_eq!(beat().await, 2);
    assert_eq!(day.hook.arrived()[1].path, "/beat");
    // One that was not taken is an error, and the next one comes by its time.
    day.hook.answer(404);
    day.sql("update sync.heartbeat set next_at = next_at - interval '61 min'")
        .await;
    let fault = day.replicas[0].beat().await.unwrap_err();
    assert_eq!(fault.kind, Kind::Final);
    assert!(
        fault.what.contains("404") && !fault.sentence().contains("/beat"),
        "{fault}"
    );
}
