//! What `check` asks the tenant about its size, before the first run: a small page of each list with the list's total, one of profiles, how
//! many profiles changed within a day, and the audit events of a day. About one request for each resource, and nothing is stored.

use std::collections::HashMap;

use chrono::Duration;
use tokio::time::Instant;

use crate::blueconic::client::Client;
use crate::model::Time;
use crate::model::description::Reading;
use crate::model::fault::Outcome;
use crate::model::page::{Meter, Request};
use crate::model::ports::{Feed, Page as _, Source as _, TokenStore, Walkable};
use crate::model::position::CursorPosition;
use crate::resources::registry::Entry;

/// Halvings of a list's page: an eighth of it tells as much.
const LIST_SHRINK: u32 = 3;
/// Halvings of a page of profiles: 156 of the usual 10,000.
const PROFILES_SHRINK: u32 = 6;
/// Halvings down to the smallest page, of which only the total is wanted.
const SMALLEST: u32 = u32::BITS;

/// An answer that was read to its end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Sample {
    /// What the tenant says that there is.
    pub(super) total: Option<u64>,
    /// Elements that came.
    pub(super) elements: u64,
    /// Bytes on the wire.
    pub(super) received: u64,
    /// The same after unpacking.
    pub(super) unpacked: u64,
    /// From the request to the end of the body.
    pub(super) seconds: f64,
}

/// What the tenant said of profiles.
#[derive(Debug, Clone, Copy)]
pub(super) struct ProfileSample {
    /// The listing of segments, which each run over profiles reads first.
    pub(super) segments: Sample,
    /// A page of profiles as a walk asks for it.
    pub(super) page: Sample,
    /// How many changed within the last day; none: the tenant did not say.
    pub(super) changed_a_day: Option<u64>,
}

/// What the tenant said. What could not be asked is missing; the lines of `check` say why.
#[derive(Debug, Default)]
pub(super) struct Samples {
    /// By the name of the list.
    pub(super) lists: HashMap<&'static str, Sample>,
    pub(super) profiles: Option<ProfileSample>,
    /// The audit events of the last day: a page of them.
    pub(super) events: Option<Sample>,
}

impl Samples {
    /// Whether the tenant said nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty() && self.profiles.is_none() && self.events.is_none()
    }

    /// Bytes on the wire of one byte after unpacking, of all answers.
    #[expect(clippy::cast_precision_loss, reason = "a share needs no last digit")]
    pub(super) fn packing(&self) -> f64 {
        let profiles = self.profiles.iter().flat_map(|it| [it.segments, it.page]);
        let all: Vec<Sample> = self
            .lists
            .values()
            .copied()
            .chain(profiles)
            .chain(self.events)
            .collect();
        let sum = |of: fn(&Sample) -> u64| all.iter().map(of).sum::<u64>();
        match sum(|it| it.unpacked) {
            0 => 1.0,
            unpacked => sum(|it| it.received) as f64 / unpacked as f64,
        }
    }
}

/// Asks about each of the entries.
pub(super) async fn ask<T: TokenStore>(client: &Client<T>, entries: &[Entry], now: Time) -> Samples {
    let mut samples = Samples::default();
    for entry in entries {
        let asked = match &entry.resource {
            // Of listings for parents nothing is asked: the parents are not known yet.
            Reading::List(_) if !has_one_listing(entry) => continue,
            Reading::List(list) => take(client, &list.page(0, LIST_SHRINK))
                .await
                .map(|sample| samples.lists.extend([(entry.name(), sample)])),
            Reading::Walk(walk) => of_profiles(client, walk.as_ref(), now)
                .await
                .map(|sample| samples.profiles = Some(sample)),
            Reading::Feed(feed) => of_events(client, feed.as_ref(), now)
                .await
                .map(|sample| samples.events = Some(sample)),
        };
        if let Err(fault) = asked {
            tracing::debug!(%fault, resource = entry.name(), "the size could not be asked for");
        }
    }
    samples
}

fn has_one_listing(entry: &Entry) -> bool {
    let list = entry.description.as_list();
    list.is_some_and(|list| list.each.is_none() && list.history.is_none())
}

async fn of_profiles<T: TokenStore>(
    client: &Client<T>,
    walk: &dyn Walkable,
    now: Time,
) -> Outcome<ProfileSample> {
    let mut resolver = walk.segment_resolver(None);
    let segments = read(client, &resolver.request(0, 0), |element| resolver.take(element)).await?;
    let segment = resolver.resolve(None)?.segment;
    let position =
        |range| CursorPosition::at_start(&segment, range, walk.selection(), walk.reads_timelines(), now);
    let page = take(client, &walk.page(&position(None), PROFILES_SHRINK)).await?;
    let day = position(Some((now - Duration::days(1), now)));
    let changed = take(client, &walk.page(&day, SMALLEST)).await;
    Ok(ProfileSample {
        segments,
        page,
        changed_a_day: changed.ok().and_then(|sample| sample.total),
    })
}

async fn of_events<T: TokenStore>(client: &Client<T>, feed: &dyn Feed, now: Time) -> Outcome<Sample> {
    take(client, &feed.page(now - Duration::days(1))).await
}

async fn take<T: TokenStore>(client: &Client<T>, request: &Request) -> Outcome<Sample> {
    read(client, request, |_| {}).await
}

async fn read<T: TokenStore>(
    client: &Client<T>,
    request: &Request,
    mut element: impl FnMut(&[u8]),
) -> Outcome<Sample> {
    let (traffic, began) = (client.traffic(), Instant::now());
    let before = traffic.used();
    let mut page = client.open(request, 0, &Meter::default()).await?;
    while let Some(block) = page.next().await? {
        let elements = block.elements.iter();
        elements
            .filter_map(|range| block.bytes.get(range.clone()))
            .for_each(&mut element);
    }
    let end = page.finish().await?;
    let more = traffic.used().since(&before);
    Ok(Sample {
        total: end.head().total_results,
        elements: end.elements(),
        received: more.received,
        unpacked: more.unpacked,
        seconds: began.elapsed().as_secs_f64(),
    })
}
