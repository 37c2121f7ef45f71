//! A page of profiles, and the product's own path over it step by step, for the benches and for the count of
//! instructions: from the bytes of a body to the rows of COPY, without a socket and without a database.

use std::error::Error;
use std::sync::Arc;

use blueconic_sync::blueconic::elements::Elements;
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::page::Block;
use blueconic_sync::model::ports::{AnyResource, Clock, Identified, Walkable};
use blueconic_sync::resources::registry;
use blueconic_sync::resources::registry::RESOURCES;
use simulated_tenant::settings::Settings;
use simulated_tenant::tenant;

/// Any error.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Blocks of the size that a connection delivers.
const CHUNK: usize = 64 * 1024;
/// No element is larger.
const LARGEST: usize = 8 * 1024 * 1024;

/// The body of a page with so many profiles, the same in each call.
pub async fn page(profiles: u64) -> Outcome<Vec<u8>> {
    let tenant = tenant::start(Settings {
        profiles,
        now: Some("2026-08-15T12:00:00Z".parse()?),
        ..Settings::default()
    })
    .await?;
    let client = reqwest::Client::builder().no_proxy().build()?;
    let sign_in = [
        ("grant_type", "client_credentials"),
        ("client_id", "simulated-client"),
        ("client_secret", "simulated-secret"),
    ];
    let token = client
        .post(format!("{}/rest/v2/oauth/token", tenant.url()))
        .form(&sign_in);
    let answer: serde_json::Value = serde_json::from_slice(&token.send().await?.bytes().await?)?;
    let token = answer["access_token"].as_str().ok_or("no token")?;
    let count = profiles.to_string();
    let query = [
        ("count", count.as_str()),
        ("expand", "profiles.profile.segments"),
        ("expand", "profiles.profile.permissions"),
        ("expand", "profiles.profile.replace"),
    ];
    let listing = client
        .get(format!("{}/rest/v2/segments/allvisitors/profiles", tenant.url()))
        .query(&query)
        .bearer_auth(token);
    Ok(listing.send().await?.bytes().await?.to_vec())
}

/// Profiles as the product reads them from blocks.
pub fn profiles() -> Outcome<Arc<dyn Walkable>> {
    let variables: Variables = [
        ("BLUECONIC_URL", "http://127.0.0.1:1"),
        ("BLUECONIC_CLIENT_ID", "app"),
        ("BLUECONIC_CLIENT_SECRET", "secret"),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value.into()))
    .collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    registry::entries(&load(None, &variables, RESOURCES)?, &clock)
        .into_iter()
        .find_map(|entry| match entry.resource {
            AnyResource::Walk(profiles) => Some(profiles),
            AnyResource::List(_) | AnyResource::Feed(_) => None,
        })
        .ok_or_else(|| "no profiles".into())
}

/// Finds the ends of the elements. Passes each block to `take`.
pub fn cut(body: &[u8], mut take: impl FnMut(Block)) -> Outcome<()> {
    let mut elements = Elements::new(&["profiles"], LARGEST, None);
    for chunk in body.chunks(CHUNK) {
        elements.push(chunk);
        if !elements.is_hungry() {
            while let Some(block) = elements.take()? {
                take(block);
            }
        }
    }
    elements.end();
    while let Some(block) = elements.take()? {
        take(block);
    }
    elements.whole()?;
    Ok(())
}

/// Reads ids and hashes. Returns their number.
pub fn fingerprints(profiles: &dyn Identified, block: &Block) -> usize {
    let elements = block.elements.iter().map(|place| &block.bytes[place.clone()]);
    elements
        .filter(|element| profiles.fingerprint(element).is_ok())
        .count()
}

/// Rows.
pub fn decode(profiles: &dyn Identified, block: &Block, into: &mut Batch) {
    let mut decoder = profiles.decoder();
    for place in &block.elements {
        let element = &block.bytes[place.clone()];
        if let Ok(print) = profiles.fingerprint(element) {
            decoder.decode(element, print, Known::Absent, into);
        }
    }
}
