//! SIGTERM and SIGINT at random moments: the process ends in time, says how, and the next one asks for hardly anything
//! twice.

use std::time::Duration;

use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant::start;

use super::business::Business;
use super::interrupted::InterruptedBackfill;
use super::table::{Case, tries};
use crate::support::database::Database;
use crate::support::program::{LONG, Program};
use crate::support::{eventually, small};

/// How long a process may take to end.
const IN_TIME: Duration = Duration::from_secs(10);
const PAGES: usize = 40;

fn signals(number: u32) -> Signal {
    [Signal::SIGTERM, Signal::SIGINT][number as usize % 2]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backfill() {
    let settings = Settings {
        latency: Duration::from_millis(25),
        ..small(PAGES as u64 * 100)
    };
    let tenant = start(settings).await.unwrap();
    let reference = Database::bare().await;
    let program = Program::new(tenant.url(), &reference.url).set("resources.profiles.page_size", "100");
    let arguments = ["backfill"];
    program.expect(0, &arguments).await;
    let expected = Business::of(&reference).await;
    let mut case = Case::new("SIGTERM or SIGINT in a backfill");
    let (mut signalled, mut worst, mut repeated) = (0, Duration::ZERO, 0);
    let wanted = tries(4, 50);
    while signalled < wanted {
        let mut backfill = InterruptedBackfill::new(&tenant, &program, &arguments, Route::Profiles).await;
        for _ in 0..5 {
            let ended = backfill.end(signals(signalled), Duration::from_millis(500)).await;
            if ended.ended.code() == 0 {
                break;
            }
            ended.ended.expect(130);
            assert!(ended.after < IN_TIME, "it took {:?}", ended.after);
            worst = worst.max(ended.after);
            signalled += 1;
            let held = "sync.leases where expires_at > sync.clock()";
            assert_eq!(
                backfill.count_if_migrated(held).await,
                0,
                "nobody waits for its lease"
            );
            let open = "sync.runs where status = 'running'";
            assert_eq!(backfill.count_if_migrated(open).await, 0);
            let silent = "sync.runs where status = 'interrupted' and error is null";
            assert_eq!(backfill.count_if_migrated(silent).await, 0);
        }
        case.recovered(backfill.finish().await);
        repeated = repeated.max(backfill.most_repeated);
        assert!(repeated <= 2, "{repeated} pages were asked for again");
        backfill.judge(&expected, &mut case).await;
    }
    case.tried(u64::from(signalled));
    let worst = worst.as_secs_f64();
    case.note(format!(
        "worst exit {worst:.1} s, at most {repeated} pages asked for again"
    ));
    case.report();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_service() {
    let settings = Settings {
        latency: Duration::from_millis(25),
        ..small(PAGES as u64 * 100)
    };
    let tenant = start(settings).await.unwrap();
    let mut case = Case::new("SIGTERM or SIGINT of the service");
    let mut worst = Duration::ZERO;
    let database = Database::bare().await;
    let program = Program::new(tenant.url(), &database.url)
        .set("resources.profiles.page_size", "100")
        .set("resources.profiles.schedule", "* * * * * *")
        .set("resources.profiles.full_schedule", "*/2 * * * * *")
        .set("web.bind", "127.0.0.1:0")
        .set("schedule.heartbeat", "1s");
    for number in 0..tries(2, 50) {
        tenant.requests().forget();
        let mut running = program.start(&["serve"]);
        eventually("it serves", LONG, async || {
            assert!(!running.has_ended(), "it has ended:\n{}", running.stderr());
            (tenant.requests().count(Route::Profiles) > 0).then_some(())
        })
        .await;
        tokio::time::sleep(Duration::from_millis(rand::random_range(0..1_500))).await;
        let asked = std::time::Instant::now();
        running.signal(signals(number));
        running.ended(IN_TIME).await.expect(0);
        worst = worst.max(asked.elapsed());
        case.tried(1);
        let left = database.count("sync.runs where status = 'running'").await;
        assert_eq!(left, 0, "every run is closed");
    }
    let began = std::time::Instant::now();
    program.expect(0, &["backfill", "--full"]).await;
    case.recovered(began.elapsed());
    let reference = Database::bare().await;
    let undisturbed = program.with("DATABASE_URL", &reference.url);
    undisturbed.expect(0, &["backfill", "--full"]).await;
    Business::of(&reference).await.compare(&database, &mut case).await;
    case.note(format!("worst exit {:.1} s", worst.as_secs_f64()));
    case.report();
}
