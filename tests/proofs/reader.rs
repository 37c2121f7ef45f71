//! Reads any bytes as a page of the tenant would be read, and asserts what must hold for all of them. Knows nothing of how
//! the bytes were made: the property tests call it, and so do the targets in `fuzz/`.

use std::sync::{Arc, OnceLock};

use blueconic_sync::blueconic::elements::{Elements, Malformed};
use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::page::{Block, Broken, PageEnd, RejectReason};
use blueconic_sync::model::ports::{AnyResource, Clock, Feed, Identified, Walkable};
use blueconic_sync::resources::registry;
use blueconic_sync::resources::registry::RESOURCES;

/// The array that holds the elements.
pub(crate) const ARRAY: &str = "profiles";

/// What came of a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Read {
    /// Whole elements in order.
    pub(crate) elements: Vec<Vec<u8>>,
    /// Elements that could not be handed on, in order.
    pub(crate) broken: Vec<Broken>,
    /// The proof that the body ended whole, or why it did not.
    pub(crate) end: Result<PageEnd, Malformed>,
    /// The most bytes that the reader held room for.
    pub(crate) held: usize,
}

impl Read {
    fn add(&mut self, block: Block) {
        let cut = block
            .elements
            .iter()
            .map(|range| block.bytes[range.clone()].to_vec());
        self.elements.extend(cut);
        self.broken.extend(block.broken);
    }
}

/// Reads chunks. `eager` looks after each of them; otherwise enough are gathered first, as the client does it.
pub(crate) fn read<'a>(chunks: impl IntoIterator<Item = &'a [u8]>, largest: usize, eager: bool) -> Read {
    let mut walker = Elements::new(&[ARRAY], largest, None);
    let mut read = Read {
        elements: Vec::new(),
        broken: Vec::new(),
        end: Err(Malformed::Foreign { why: String::new() }),
        held: 0,
    };
    let mut chunks = chunks.into_iter();
    while !walker.is_over() {
        match chunks.next() {
            Some(chunk) => walker.push(chunk),
            None => walker.end(),
        }
        read.held = read.held.max(walker.held());
        if !eager && walker.is_hungry() {
            continue;
        }
        loop {
            match walker.take() {
                Ok(Some(block)) => read.add(block),
                Ok(None) => break,
                Err(malformed) => {
                    read.end = Err(malformed);
                    return read;
                }
            }
        }
    }
    read.end = walker.whole();
    read
}

/// Cuts bytes into chunks of these lengths, over and over.
pub(crate) fn chunks<'a>(body: &'a [u8], lengths: &[usize]) -> Vec<&'a [u8]> {
    let mut chunks = Vec::new();
    let mut rest = body;
    for length in lengths.iter().cycle() {
        let (chunk, behind) = rest.split_at((*length).clamp(1, rest.len().max(1)).min(rest.len()));
        chunks.push(chunk);
        rest = behind;
        if rest.is_empty() {
            break;
        }
    }
    chunks
}

/// All that must hold for any body, however it is cut: the same result; no proof for what is not whole by the judgement
/// of another reader; every element accounted for; no more memory than the bound.
pub(crate) fn check(body: &[u8], lengths: &[usize], largest: usize) -> Read {
    let at_once = read([body], largest, true);
    let cut = read(chunks(body, lengths), largest, true);
    let gathered = read(chunks(body, lengths), largest, false);
    for other in [&cut, &gathered] {
        assert_eq!(
            at_once.end.is_ok(),
            other.end.is_ok(),
            "{:?}",
            (&at_once.end, &other.end)
        );
        if at_once.end.is_ok() {
            assert_eq!(
                (&at_once.elements, &at_once.broken),
                (&other.elements, &other.broken)
            );
            assert_eq!(at_once.end, other.end);
        }
    }
    let longest = lengths.iter().copied().max().unwrap_or(1);
    let bound = bound(largest, longest);
    assert!(
        gathered.held <= bound,
        "{} bytes held, {bound} allowed",
        gathered.held
    );
    if let Ok(end) = &at_once.end {
        ends_whole(body, end);
        let came = at_once.elements.len() + at_once.broken.len();
        assert_eq!(end.elements(), came as u64);
    }
    for element in &at_once.elements {
        assert!(element.len() <= largest);
        decoded(element);
    }
    for broken in &at_once.broken {
        assert!(broken.head.len() <= 64 * 1024);
        for resource in resources() {
            resource.resource().broken(broken);
        }
    }
    at_once
}

/// Two elements of the largest size and what is gathered, twice, since a buffer grows by doubling; and a chunk.
pub(crate) fn bound(largest: usize, chunk: usize) -> usize {
    2 * (2 * (largest + 1).max(64 * 1024) + chunk)
}

/// Another judge of the end: a body is whole when it ends with its object's bracket; and where JSON readers can read it
/// at all, they read so many elements.
fn ends_whole(body: &[u8], end: &PageEnd) {
    assert!(body.trim_ascii_start().starts_with(b"{") && body.trim_ascii_end().ends_with(b"}"));
    let Ok(whole) = serde_json::from_slice::<serde_json::Value>(body) else {
        return;
    };
    // Of a key that comes twice a reader keeps the last.
    let array = whole[ARRAY].as_array().map_or(0, Vec::len) as u64;
    assert!(end.elements() >= array, "{} of {array} elements", end.elements());
}

/// Every element becomes one thing in each resource: a row, a reject, a loser of a merge, or a property of a group.
fn decoded(element: &[u8]) {
    for resource in resources() {
        let mut batch = Batch::default();
        decode(resource, &[element], &mut batch);
        let name = resource.resource().name();
        for reject in &batch.rejects {
            assert!(reject.raw.len() <= 64 * 1024 && !reject.raw.contains('\0'));
            assert!(!reject.element_id.as_ref().is_some_and(|id| id.contains('\0')));
        }
        // Whether an element is JSON is the decoder's to say.
        if serde_json::from_slice::<&serde_json::value::RawValue>(element).is_err() {
            assert_eq!(batch.rejects.len(), 1, "an element that is no JSON was loaded");
            assert_eq!(batch.rejects[0].reason, RejectReason::NotJson);
        }
        let became = batch.rows.len() + batch.rejects.len();
        let elsewhere = match name {
            "profiles" => !batch.aliases.is_empty(),
            name => {
                let list = RESOURCES
                    .named(name)
                    .and_then(|description| description.as_list());
                list.is_some_and(|list| list.owner.is_some())
            }
        };
        assert!(
            became == 1 || (became == 0 && elsewhere),
            "{became} of one in `{name}`"
        );
    }
}

/// All resources, as the defaults set them.
pub(crate) fn resources() -> &'static [AnyResource] {
    static RESOURCES: OnceLock<Vec<AnyResource>> = OnceLock::new();
    RESOURCES.get_or_init(|| all_with(&[]))
}

/// Profiles, with pages of another size.
pub(crate) fn profiles_with(page_size: u32) -> Arc<dyn Walkable> {
    let size = page_size.to_string();
    let resources = all_with(&[("BLUECONIC_SYNC__RESOURCES__PROFILES__PAGE_SIZE", &size)]);
    let walk = |resource| match resource {
        AnyResource::Walk(walk) => Some(walk),
        AnyResource::List(_) | AnyResource::Feed(_) => None,
    };
    resources.into_iter().find_map(walk).unwrap()
}

/// Audit events, with pages of another size.
pub(crate) fn events_with(page_size: u32) -> Arc<dyn Feed> {
    let size = page_size.to_string();
    let resources = all_with(&[("BLUECONIC_SYNC__RESOURCES__AUDIT_EVENTS__PAGE_SIZE", &size)]);
    resources.iter().find_map(feed).cloned().unwrap()
}

fn feed(resource: &AnyResource) -> Option<&Arc<dyn Feed>> {
    match resource {
        AnyResource::Feed(feed) => Some(feed),
        AnyResource::List(_) | AnyResource::Walk(_) => None,
    }
}

/// Decodes elements of one response, none of which is stored.
pub(crate) fn decode(resource: &AnyResource, elements: &[&[u8]], into: &mut Batch) {
    match resource {
        AnyResource::List(list) => decode_identified(list.as_ref(), elements, into),
        AnyResource::Walk(walk) => decode_identified(walk.as_ref(), elements, into),
        AnyResource::Feed(feed) => {
            let mut decoder = feed.decoder(&[]);
            for element in elements {
                decoder.decode(element, into);
            }
        }
    }
}

fn decode_identified<R: Identified + ?Sized>(resource: &R, elements: &[&[u8]], into: &mut Batch) {
    let mut decoder = resource.decoder();
    for element in elements {
        match resource.fingerprint(element) {
            Ok(print) => decoder.decode(element, print, Known::Absent, into),
            Err(reject) => into.rejects.push(reject),
        }
    }
}

fn all_with(more: &[(&str, &str)]) -> Vec<AnyResource> {
    let variables: Variables = [
        ("BLUECONIC_URL", "http://127.0.0.1:1"),
        ("BLUECONIC_CLIENT_ID", "app"),
        ("BLUECONIC_CLIENT_SECRET", "secret"),
    ]
    .iter()
    .chain(more)
    .map(|(name, value)| ((*name).to_owned(), (*value).into()))
    .collect();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entries = registry::entries(&load(None, &variables, RESOURCES).unwrap(), &clock);
    entries.into_iter().map(|entry| entry.resource).collect()
}

/// The canonical form of an audit event: the same key whatever the order of its keys and objects and whatever the
/// objects are called, another key for another date, user or object.
pub(crate) fn check_event(element: &[u8]) {
    let Ok(mut event) = serde_json::from_slice::<serde_json::Value>(element) else {
        return;
    };
    // As another writer would put it: keys in order, numbers in another spelling.
    let Some(key) = event_key(event.to_string().as_bytes()) else {
        return;
    };
    if let Some(objects) = event.get_mut("objects").and_then(serde_json::Value::as_array_mut) {
        objects.reverse();
        for object in objects.iter_mut().filter_map(serde_json::Value::as_object_mut) {
            object.insert("name".to_owned(), "renamed".into());
        }
    }
    if let Some(again) = event_key(event.to_string().as_bytes()) {
        assert_eq!(key, again, "{event}");
    }
    let one_more = serde_json::json!({ "id": "one more" });
    match event.get_mut("objects").and_then(serde_json::Value::as_array_mut) {
        Some(objects) => objects.push(one_more),
        None => event["objects"] = serde_json::json!([one_more]),
    }
    if let Some(other) = event_key(event.to_string().as_bytes()) {
        assert_ne!(key, other, "an object more, and still the same: {event}");
    }
}

/// The key of an audit event's row, if it becomes one.
fn event_key(element: &[u8]) -> Option<Vec<u8>> {
    let events = resources().iter().find_map(feed)?;
    let mut batch = Batch::default();
    events.decoder(&[]).decode(element, &mut batch);
    batch.rows.keys().next().map(<[u8]>::to_vec)
}
