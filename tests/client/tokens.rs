//! Tokens: one request however many ask, a new one when the old is refused, none in any message.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use blueconic_sync::blueconic::auth::memory::MemoryTokens;
use blueconic_sync::blueconic::client::Client;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::page::Meter;
use blueconic_sync::model::ports::TokenStore;
use blueconic_sync::model::ports::{Clock, Source};
use blueconic_sync::model::tokens::{ClaimOutcome, TokenName};

use crate::support::client::{
    SECRET, Tenant, TestClock, bearer, granted, html, json, listing, read_on, status,
};

const KEY: (&str, &str) = (
    "BLUECONIC_SYNC_KEY",
    "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
);
const OTHER_KEY: (&str, &str) = (
    "BLUECONIC_SYNC_KEY",
    "MTEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
);

fn name(tenant: &Tenant) -> TokenName {
    TokenName {
        tenant: tenant.address.to_string(),
        client_id: "app".to_owned(),
        grant_type: "client_credentials".to_owned(),
    }
}

async fn all(clients: &[Arc<Client<MemoryTokens>>], callers: usize) {
    let mut tasks = Vec::new();
    for client in clients {
        for _ in 0..callers {
            let client = Arc::clone(client);
            tasks.push(tokio::spawn(async move { client.sign_in().await.is_ok() }));
        }
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
}

#[tokio::test]
async fn two_hundred_callers_cost_one_token_request() {
    let tenant = Tenant::start().await;
    let client = Arc::new(tenant.client(&TestClock::new(), &[]));
    all(&[client], 200).await;
    assert_eq!(tenant.token_requests(), 1);
}

#[tokio::test]
async fn three_replicas_with_a_key_share_one_token() {
    let tenant = Tenant::start().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = MemoryTokens::new(Arc::clone(&clock));
    let replica = |key| {
        let settings = tenant.settings(&[key]);
        Arc::new(Client::new(&settings, store.clone(), Arc::clone(&clock)).unwrap())
    };
    let replicas = [replica(KEY), replica(KEY), replica(KEY)];
    all(&replicas, 200).await;
    assert_eq!(tenant.token_requests(), 1);
    let row = store.read(&name(&tenant)).await.unwrap().unwrap();
    let sealed = row.ciphertext.unwrap();
    assert!(!sealed.windows(6).any(|window| window == b"canary"));
    // Another key does not open it: one more token, and the row is that replica's.
    all(&[replica(OTHER_KEY)], 10).await;
    assert_eq!(tenant.token_requests(), 2);
    assert_eq!(store.read(&name(&tenant)).await.unwrap().unwrap().version, 2);
}

#[tokio::test]
async fn without_a_key_each_process_asks_in_its_turn() {
    let tenant = Tenant::start().await;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let store = MemoryTokens::new(Arc::clone(&clock));
    let settings = tenant.settings(&[]);
    let replica = || Arc::new(Client::new(&settings, store.clone(), Arc::clone(&clock)).unwrap());
    all(&[replica(), replica(), replica()], 50).await;
    assert_eq!(tenant.token_requests(), 3);
    assert_eq!(
        store.read(&name(&tenant)).await.unwrap().unwrap().ciphertext,
        None
    );
}

#[tokio::test]
async fn a_claim_whose_holder_is_gone_lapses() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let store = MemoryTokens::new(Arc::clone(&clock) as _);
    let hold = Duration::from_secs(5);
    let claim = store.claim(&name(&tenant), 0, hold).await.unwrap();
    assert!(matches!(claim, ClaimOutcome::Claimed { fence: 1, .. }));
    let client = Client::new(&tenant.settings(&[KEY]), store, Arc::clone(&clock) as _).unwrap();
    client.sign_in().await.unwrap();
    assert_eq!(tenant.token_requests(), 1);
    assert!(clock.slept() >= hold && clock.slept() < hold * 2);
}

#[tokio::test]
async fn a_refused_token_is_replaced_once_and_the_call_repeated() {
    let tenant = Tenant::start().await;
    tenant.always(|headers| match bearer(headers).as_str() {
        "Bearer canary-token-1" => status(401, ""),
        _ => json(r#"{"profiles":[]}"#),
    });
    let client = Arc::new(tenant.client(&TestClock::new(), &[]));
    let meter = Meter::default();
    let mut tasks = Vec::new();
    for cursor in 0..20 {
        let (client, meter) = (Arc::clone(&client), meter.clone());
        tasks.push(tokio::spawn(async move {
            read_on(&*client, &listing("/p", &cursor.to_string()), &meter)
                .await
                .is_ok()
        }));
    }
    for task in tasks {
        assert!(task.await.unwrap());
    }
    assert_eq!(tenant.token_requests(), 2);
}

#[tokio::test]
async fn a_second_401_is_the_scope_and_costs_no_token_a_call() {
    let tenant = Tenant::start().await;
    tenant.always(|_| status(401, r#"{"message":"no right"}"#));
    let client = tenant.client(&TestClock::new(), &[]);
    let meter = Meter::default();
    for _ in 0..5 {
        let fault = client.open(&listing("/p", "*"), 0, &meter).await.err().unwrap();
        assert_eq!(
            fault.kind,
            Kind::Denied {
                scope: "read:profiles".to_owned()
            }
        );
        assert!(
            fault
                .hint
                .unwrap()
                .contains("grant `read:profiles` to the application")
        );
    }
    assert_eq!(tenant.token_requests(), 2);
    // Two tokens that get a few seconds each, and then one request a call.
    assert_eq!(tenant.requests(), 2 * 6 + 4);
}

#[tokio::test]
async fn a_wrong_secret_is_asked_about_once_however_many_want_a_token() {
    let tenant = Tenant::start().await;
    tenant.tokens(|_| {
        let body = format!(r#"{{"error":"invalid_client","error_description":"Unknown secret {SECRET}"}}"#);
        status(401, &body)
    });
    let client = Arc::new(tenant.client(&TestClock::new(), &[]));
    let mut tasks = Vec::new();
    for _ in 0..50 {
        let client = Arc::clone(&client);
        tasks.push(tokio::spawn(async move {
            client
                .open(&listing("/p", "*"), 0, &Meter::default())
                .await
                .err()
                .unwrap()
        }));
    }
    for task in tasks {
        let fault = task.await.unwrap();
        assert_eq!(fault.kind, Kind::Final);
        assert_eq!(
            fault.sentence(),
            "the tenant gives no token (invalid_client, HTTP 401): Unknown secret [redacted]"
        );
        assert!(fault.hint.unwrap().contains("BLUECONIC_CLIENT_SECRET"));
    }
    assert_eq!((tenant.token_requests(), tenant.requests()), (1, 0));
}

#[tokio::test]
async fn the_token_endpoint_is_repeated_only_where_it_helps() {
    let tenant = Tenant::start().await;
    tenant.tokens(|number| match number {
        1 => status(503, ""),
        2 => html(200),
        3 => status(429, ""),
        4 => json(""),
        5 => status(400, r#"{"error":"temporarily_unavailable"}"#),
        _ => granted(number, 3600),
    });
    let clock = TestClock::new();
    tenant.client(&clock, &[]).sign_in().await.unwrap();
    assert_eq!(tenant.token_requests(), 6);
    for body in [
        r#"{"error":"unauthorized_client"}"#,
        r#"{"error":"invalid_scope"}"#,
        r#"{"error":"unsupported_grant_type"}"#,
        r#"{"code":7}"#,
    ] {
        let tenant = Tenant::start().await;
        tenant.tokens(move |_| status(400, body));
        let fault = tenant.client(&clock, &[]).sign_in().await.err().unwrap();
        assert_eq!(fault.kind, Kind::Final);
        assert!(fault.hint.unwrap().contains("Access management > Applications"));
        assert_eq!(tenant.token_requests(), 1);
    }
}

#[tokio::test]
async fn a_day_costs_few_tokens_and_no_call_carries_a_dead_one() {
    let tenant = Tenant::start().await;
    let clock = TestClock::new();
    let began = clock.now();
    let seconds = {
        let clock = Arc::clone(&clock);
        move || u64::try_from((clock.now() - began).num_seconds()).unwrap()
    };
    let issued = seconds.clone();
    let dead = Arc::new(AtomicU64::new(0));
    tenant.tokens(move |_| granted(issued(), 3600));
    let found = Arc::clone(&dead);
    let now = seconds.clone();
    tenant.always(move |headers| {
        let issued: u64 = bearer(headers).rsplit('-').next().unwrap().parse().unwrap();
        found.fetch_add(u64::from(now() >= issued + 3600), Ordering::SeqCst);
        json(r#"{"profiles":[]}"#)
    });
    let client = tenant.client(&clock, &[KEY]);
    let meter = Meter::default();
    while seconds() < 24 * 3600 {
        read_on(&client, &listing("/p", "*"), &meter).await.unwrap();
        // The clock stands still for a refresh in the background, as it nearly does in life.
        tokio::time::sleep(Duration::from_millis(2)).await;
        clock.advance(Duration::from_mins(2));
    }
    assert_eq!(dead.load(Ordering::SeqCst), 0);
    let requests = tenant.token_requests();
    assert!((26..=31).contains(&requests), "{requests} token requests");
    assert_eq!(clock.slept(), Duration::ZERO);
}

#[tokio::test]
async fn the_old_token_serves_while_the_next_cannot_be_had() {
    let tenant = Tenant::start().await;
    tenant.tokens(|number| match number {
        1 => granted(1, 3600),
        _ => status(400, r#"{"error":"unauthorized_client"}"#),
    });
    let clock = TestClock::new();
    let client = tenant.client(&clock, &[]);
    client.sign_in().await.unwrap();
    clock.advance(Duration::from_mins(55));
    for _ in 0..20 {
        client.sign_in().await.unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(tenant.token_requests(), 2);
    clock.advance(Duration::from_mins(5));
    assert_eq!(client.sign_in().await.err().unwrap().kind, Kind::Final);
    assert_eq!(tenant.token_requests(), 3);
}

#[tokio::test]
async fn no_message_holds_a_token_or_a_secret_that_the_server_sends_back() {
    let tenant = Tenant::start().await;
    tenant.always(|headers| status(400, &format!(r#"{{"message":"bad: {}"}}"#, bearer(headers))));
    let client = tenant.client(&TestClock::new(), &[]);
    let fault = client
        .open(&listing("/p", "*"), 0, &Meter::default())
        .await
        .err()
        .unwrap();
    assert_eq!(fault.why.as_deref(), Some("bad: Bearer [redacted]"));
    assert!(!format!("{fault:?}").contains("canary"));
}
