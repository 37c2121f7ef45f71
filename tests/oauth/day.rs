//! A day of tokens, on a clock that runs by itself: nobody waits, nobody sends a dead one, and few are asked for.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::Clock as _;

use crate::support::client::{Tenant, TestClock, bearer, granted, json, listing, read_on};
use crate::support::oauth::server::KEY;

const LIFE: u64 = 3600;
const DAY: u64 = 24 * LIFE;

/// The keeper alone moves the clock; nobody calls. Each token comes while the one before it could still be sent.
#[tokio::test(flavor = "multi_thread")]
async fn the_keeper_renews_ahead_also_when_nobody_calls() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let began = clock.now();
    let seconds = {
        let clock = Arc::clone(&clock);
        move || u64::try_from((clock.now() - began).num_seconds()).unwrap()
    };
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (note, now) = (Arc::clone(&asked), seconds.clone());
    tenant.tokens(move |number| {
        note.lock().unwrap().push(now());
        granted(number, LIFE)
    });
    let client = Arc::new(tenant.client(&clock, &[("BLUECONIC_SYNC_KEY", KEY)]));
    let keeping = Arc::clone(&client);
    let keeper = tokio::spawn(async move { keeping.keep_token().await });
    let dead = Arc::new(AtomicU64::new(0));
    // The keeper's clock may leap by most of a life while a request is under way: what counts is when it set out.
    let set_out = Arc::new(AtomicU64::new(0));
    let (found, at, given) = (Arc::clone(&dead), Arc::clone(&set_out), Arc::clone(&asked));
    tenant.always(move |headers| {
        let number: usize = bearer(headers).rsplit('-').next().unwrap().parse().unwrap();
        let issued = given.lock().unwrap()[number - 1];
        found.fetch_add(
            u64::from(at.load(Ordering::SeqCst) >= issued + LIFE),
            Ordering::SeqCst,
        );
        json(r#"{"profiles":[]}"#)
    });
    let meter = Meter::default();
    while seconds() < DAY {
        set_out.store(seconds(), Ordering::SeqCst);
        read_on(&*client, &listing("/p", "*"), &meter).await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    keeper.abort();
    let asked = asked.lock().unwrap().clone();
    let within: Vec<u64> = asked.into_iter().filter(|at| *at < DAY).collect();
    assert!(
        (26..=31).contains(&within.len()),
        "{} token requests",
        within.len()
    );
    assert_eq!(dead.load(Ordering::SeqCst), 0);
    for pair in within.windows(2) {
        let age = pair[1] - pair[0];
        assert!(
            (LIFE * 8 / 10..LIFE - 290).contains(&age),
            "asked for at an age of {age} s"
        );
    }
}
