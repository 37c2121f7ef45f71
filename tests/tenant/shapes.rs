//! The outward form of answers differs, their meaning does not.

use std::collections::HashSet;

use chrono::{DateTime, Utc};
use reqwest::Client;
use serde_json::Value;
use simulated_tenant::settings::{DateHeader, Settings};
use simulated_tenant::shape::{KeyOrder, LastPage, Layout, NextCursor, Shape};
use simulated_tenant::truth::Profile;

use super::asker::{Asker, EVERYTHING, canonical, elements, fixed, read};

#[tokio::test]
async fn every_shape_says_the_same() {
    let asker = Asker::new(Settings {
        profiles: 300,
        zero_characters: true,
        ..fixed()
    })
    .await;
    asker.tenant.touch(7, "company", &["changed"]);
    let truth: Vec<Profile> = asker.tenant.profiles().map(canonical).collect();
    let shapes = [
        Shape::default(),
        Shape {
            layout: Layout::Pretty,
            key_order: KeyOrder::Reversed,
            ..Shape::default()
        },
        Shape {
            layout: Layout::Airy,
            key_order: KeyOrder::Shuffled,
            shuffled_lists: true,
            ..Shape::default()
        },
        Shape {
            unknown_keys: true,
            escaped: true,
            ..Shape::default()
        },
        Shape {
            next_cursor: NextCursor::AfterProfiles,
            last_page: LastPage::SameCursor,
            ..Shape::default()
        },
        Shape {
            links_upper_case: true,
            ..Shape::default()
        },
    ];
    let mut bodies = HashSet::new();
    for shape in shapes {
        asker.tenant.set_shape(shape);
        let query: Vec<_> = EVERYTHING.into_iter().chain([("count", "128")]).collect();
        let pages = asker.walk("allvisitors", &query).await;
        let last = pages.last().unwrap();
        assert_eq!(
            last.get("nextCursor").is_some(),
            shape.last_page == LastPage::SameCursor
        );
        let listed: Vec<Value> = pages.iter().flat_map(elements).cloned().collect();
        let read: Vec<Profile> = listed
            .iter()
            .zip(0..)
            .map(|(element, position)| read(element, position))
            .collect();
        assert_eq!(read, truth, "{shape:?}");
        let body = asker
            .ask("/segments/allvisitors/profiles", &query)
            .await
            .text()
            .await
            .unwrap();
        let cursor_first = body.find("\"nextCursor\"") < body.find("\"profiles\"");
        assert_eq!(
            cursor_first,
            shape.next_cursor == NextCursor::BeforeProfiles,
            "{shape:?}"
        );
        bodies.insert(body);
        for path in ["/segments", "/profileProperties", "/auditEvents"] {
            asker.json(path, &[]).await;
        }
    }
    assert_eq!(bodies.len(), 6, "every shape has bytes of its own");
}

/// A changed profile is written by way of a tree, an unchanged one straight into the buffer.
#[tokio::test]
async fn both_ways_of_writing_a_profile_are_equal_to_the_byte() {
    let asker = Asker::new(Settings {
        profiles: 400,
        ..fixed()
    })
    .await;
    let query: Vec<_> = EVERYTHING.into_iter().chain([("count", "400")]).collect();
    let plain = asker
        .ask("/segments/allvisitors/profiles", &query)
        .await
        .text()
        .await
        .unwrap();
    for profile in asker.tenant.profiles().collect::<Vec<_>>() {
        if let Some(modified) = profile.modified_at {
            asker.tenant.set_modified(profile.position, modified);
        }
    }
    let changed = asker
        .ask("/segments/allvisitors/profiles", &query)
        .await
        .text()
        .await
        .unwrap();
    assert!(plain == changed, "the two ways differ");
}

#[tokio::test]
async fn equal_seeds_make_equal_tenants() {
    let one = Asker::new(fixed()).await;
    let other = Asker::new(fixed()).await;
    let third = Asker::new(Settings { seed: 2, ..fixed() }).await;
    for path in [
        "/segments/allvisitors/profiles",
        "/segments",
        "/profileProperties",
        "/auditEvents",
    ] {
        let body = |asker: &Asker, body: String| body.replace(asker.tenant.url(), "");
        let of_one = body(&one, one.ask(path, &[]).await.text().await.unwrap());
        let of_other = body(&other, other.ask(path, &[]).await.text().await.unwrap());
        let of_third = body(&third, third.ask(path, &[]).await.text().await.unwrap());
        assert_eq!(of_one, of_other);
        assert_ne!(of_one, of_third);
    }
}

#[tokio::test]
async fn the_date_header_is_true_absent_or_off() {
    for (setting, expected) in [
        (DateHeader::True, Some(0)),
        (DateHeader::Off(-3600), Some(-3600)),
        (DateHeader::Absent, None),
    ] {
        let asker = Asker::new(Settings {
            date_header: setting,
            ..fixed()
        })
        .await;
        for path in ["/segments", "/segments/allvisitors/profiles", "/nothing"] {
            let answer = asker.ask(path, &[]).await;
            let date = answer
                .headers()
                .get("date")
                .map(|date| httpdate::parse_http_date(date.to_str().unwrap()).unwrap());
            let off = date.map(|date| DateTime::<Utc>::from(date).timestamp() - asker.tenant.now() / 1000);
            match (off, expected) {
                (Some(off), Some(expected)) => assert!((expected - 2..=expected).contains(&off), "{off}"),
                (off, expected) => assert_eq!(off, expected),
            }
        }
    }
}

#[tokio::test]
async fn bodies_are_compressed_only_for_those_who_accept_it() {
    let asker = Asker::new(Settings {
        compress: true,
        ..fixed()
    })
    .await;
    let path = "/segments/allvisitors/profiles";
    let query = [("count", "1000")];
    let plain = Client::builder()
        .no_proxy()
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .build()
        .unwrap();
    let request = plain
        .get(asker.address(path))
        .query(&query)
        .bearer_auth(&asker.token);
    let uncompressed = request.send().await.unwrap().bytes().await.unwrap();
    let request = plain
        .get(asker.address(path))
        .query(&query)
        .bearer_auth(&asker.token);
    let answer = request.header("accept-encoding", "gzip").send().await.unwrap();
    assert_eq!(answer.headers()["content-encoding"], "gzip");
    let packed = answer.bytes().await.unwrap();
    assert!(packed.len() < uncompressed.len() / 2);
    let mut decoded = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&packed[..]), &mut decoded).unwrap();
    assert_eq!(decoded, uncompressed);
}
