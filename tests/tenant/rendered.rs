//! A tenant that sends from memory sends what one that writes anew would send, byte for byte, whatever its pages.

use chrono::{DateTime, Utc};
use simulated_tenant::settings::Settings;

use super::asker::{Asker, EVERYTHING, fixed, modified_between};

/// Neither the blocks in memory nor the pages end where the others do.
fn repeating() -> Settings {
    Settings {
        profiles: 1_500,
        distinct: Some(150),
        merged_per_thousand: 300,
        ..fixed()
    }
}

/// The bodies of all pages, with the tenant's own address taken out.
async fn bodies(asker: &Asker, count: &str) -> Vec<String> {
    let (mut bodies, mut cursor) = (Vec::new(), "*".to_owned());
    loop {
        let wanted = [("count", count), ("cursor", cursor.as_str())];
        // A timeline is made anew for each profile.
        let query: Vec<_> = EVERYTHING
            .into_iter()
            .chain(wanted)
            .filter(|(_, value)| !value.contains("timeline"))
            .collect();
        let answer = asker.ask("/segments/allvisitors/profiles", &query).await;
        let body = answer.text().await.unwrap().replace(asker.tenant.url(), "");
        let page: serde_json::Value = serde_json::from_str(&body).unwrap();
        bodies.push(body);
        match page["nextCursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return bodies,
        }
    }
}

fn disturb(asker: &Asker) {
    let tenant = &asker.tenant;
    // Not `touch`: the clocks of two tenants differ.
    tenant.set_property(0, "touched", Some(&["1"]));
    tenant.set_modified(0, 1_780_000_000_000);
    tenant.delete(5);
    tenant.delete(6);
    tenant.delete(1_499);
    tenant.merge(64, 65);
    tenant.set_modified(65, 1_780_000_000_001);
    tenant.skip(700);
    tenant.insert_raw(700, r#"{"id":7}"#);
    tenant.repeat(3, 701);
}

#[tokio::test]
async fn pages_from_memory_are_what_would_be_written() {
    for distinct in [Some(150), None] {
        let settings = Settings {
            distinct,
            ..repeating()
        };
        let fresh = Asker::new(settings.clone()).await;
        let stored = Asker::new(Settings {
            rendered: true,
            ..settings
        })
        .await;
        for disturbed in [false, true] {
            for count in ["1", "64", "333", "10000"] {
                // What stands in a memory of 1,500 pages of one is seen in those of 64.
                if count == "1" && disturbed {
                    continue;
                }
                let expected = bodies(&fresh, count).await;
                assert_eq!(bodies(&stored, count).await, expected, "{distinct:?} {count}");
                assert_eq!(
                    bodies(&stored, count).await,
                    expected,
                    "once more: {distinct:?} {count}"
                );
            }
            disturb(&fresh);
            disturb(&stored);
        }
    }
}

#[tokio::test]
async fn profiles_that_repeat_have_ids_and_dates_of_their_own() {
    let asker = Asker::new(Settings {
        rendered: true,
        ..repeating()
    })
    .await;
    let profiles: Vec<_> = asker.tenant.profiles().collect();
    let mut ids: Vec<_> = profiles.iter().map(|profile| &profile.id).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 1_500);
    assert_ne!(profiles[3].modified_at, profiles[153].modified_at);
    assert_eq!(profiles[3].values("email"), profiles[153].values("email"));
    let replaced: Vec<_> = profiles.iter().flat_map(|profile| &profile.replaces).collect();
    assert!(replaced.len() > 300, "{}", replaced.len());

    let at: DateTime<Utc> = "2026-05-01T00:00:00Z".parse().unwrap();
    let (from, to) = (at.timestamp_millis(), at.timestamp_millis() + 5 * 86_400_000);
    let refinement = modified_between(from, to);
    let page = asker
        .json(
            "/segments/allvisitors/profiles",
            &[("count", "1500"), ("refinement", refinement.as_str())],
        )
        .await;
    let truth = profiles.iter().filter(|profile| {
        profile
            .modified_at
            .is_some_and(|time| (from..=to).contains(&time))
    });
    assert_eq!(page["profiles"].as_array().unwrap().len(), truth.count());
}

#[tokio::test]
async fn two_tenants_as_of_one_time_send_the_same_bytes_on_any_day() {
    let as_of = Some("2026-05-01T00:00:00Z".parse().unwrap());
    let settings = Settings {
        rendered: true,
        as_of,
        ..repeating()
    };
    let first = Asker::new(settings.clone()).await;
    let now = Some("2026-08-17T03:00:00Z".parse().unwrap());
    let second = Asker::new(Settings { now, ..settings }).await;
    assert_eq!(bodies(&first, "400").await, bodies(&second, "400").await);
}
