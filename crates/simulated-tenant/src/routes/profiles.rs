//! `GET /segments/{segment}/profiles` and `GET /profiles/{profileId}`

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State as Shared};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use futures_util::StreamExt;

use crate::answer::{Refusal, json};
use crate::cursor;
use crate::json::Node;
use crate::listing::{Plan, Scope};
use crate::page::{Envelope, Page};
use crate::path_pages::{self, Asked};
use crate::profile_json::{Detail, ProfileWriter, SegmentDetail, TimelineDetail};
use crate::query::Query;
use crate::read_paths::Turn;
use crate::refinement;
use crate::rendered;
use crate::settings::MergedLookup;
use crate::state::State;
use crate::world::{Lookup, World};

/// The document's limit for one page.
const MOST: u64 = 1_000_000;
/// The value of the document's example; the document names no default.
const DEFAULT_COUNT: u64 = 20;
/// Events of a timeline unless `eventCount` says otherwise.
const DEFAULT_EVENTS: u64 = 20;

/// Parameters that are not simulated: a request with one of them is refused.
const NOT_SIMULATED: [&str; 6] = [
    "maxHitsAllowed",
    "audienceId",
    "autoCommit",
    "trackProperties",
    "trackPropertiesModifiedSince",
    "trackPropertyChangesInNumberOfDays",
];

/// The profiles of a segment.
pub(crate) async fn list(
    Shared(state): Shared<Arc<State>>,
    Path(segment): Path<String>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:segments")?;
    let query = Query::of(&uri);
    if let Some(name) = NOT_SIMULATED.iter().find(|name| query.one(name).is_some()) {
        return Err(Refusal::bad_request(format!("`{name}` is not simulated")));
    }
    let page = page(&state, &segment, &query)?;
    if state.settings.rendered && page.is_plain() {
        let cache = state
            .render_caches
            .cache(query.besides(&["cursor", "count"]), &state.world().base);
        return Ok(json(Body::from_stream(
            rendered::body(page, cache).map(Ok::<_, std::convert::Infallible>),
        )));
    }
    Ok(json(Body::from_stream(
        page.stream().map(Ok::<_, std::convert::Infallible>),
    )))
}

fn page(state: &Arc<State>, segment: &str, query: &Query) -> Result<Page, Refusal> {
    let count = query.number("count", 1, MOST, DEFAULT_COUNT)?;
    let count = state.settings.count_ceiling.map_or(count, |most| count.min(most));
    let filter = query
        .one("refinement")
        .map(|text| refinement::read(text, state.clock.now()))
        .transpose()?;
    let detail = listed_detail(query)?;
    let sent = query.one("cursor").unwrap_or("*");
    let world = state.world();
    let segment_bit = world
        .segment_bit(segment)
        .ok_or_else(|| Refusal::not_found("Segment not found."))?;
    let scope = Scope {
        segment: segment_bit,
        filter,
        now: state.clock.now(),
    };
    let plan = plan(state, &world, &scope, sent, count)?;
    let writer = state.writer();
    let encoded: String = url::form_urlencoded::byte_serialize(segment.as_bytes()).collect();
    let address = format!(
        "{}{}/segments/{encoded}/profiles",
        state.url, state.settings.api_path
    );
    let envelope = Envelope {
        cursor: sent.to_owned(),
        count,
        address,
    };
    let [head, tail] = envelope.members(&plan, &writer);
    let profiles = ProfileWriter::new(&world, detail, state.writer());
    drop(world);
    Ok(Page {
        state: Arc::clone(state),
        scope,
        plan,
        profiles,
        writer,
        head,
        tail,
    })
}

/// Selects the profiles of a page.
fn plan(state: &State, world: &World, scope: &Scope, sent: &str, count: u64) -> Result<Plan, Refusal> {
    let refused_cursor = state.settings.refused_cursor;
    if state.cursor_lives.is_over(sent, state.clock.now()) {
        return Err(path_pages::refused_cursor(refused_cursor));
    }
    let plan = if let Some(paths) = state.read_paths() {
        let asked = Asked {
            cursor: sent,
            count,
            turn: Turn {
                listings: state.next_listing(),
                seed: state.settings.seed,
            },
            refused_cursor,
        };
        path_pages::plan(paths, world, scope, &asked)?
    } else {
        let start = cursor::start(world.base.identities, sent);
        let start = start.ok_or_else(|| path_pages::refused_cursor(refused_cursor))?;
        scope.plan(world, start, count)
    };
    state
        .cursor_lives
        .give(plan.next_cursor.as_ref(), state.clock.now());
    if scope.filter.is_some() || state.settings.count_age.is_zero() {
        return Ok(plan);
    }
    Ok(Plan {
        total: state.count(world, scope.segment),
        ..plan
    })
}

fn listed_detail(query: &Query) -> Result<Detail, Refusal> {
    let mut detail = common_detail(query);
    for expansion in query.all("expand") {
        match expansion {
            "profiles.profile.permissions" => detail.permissions = true,
            "profiles.profile.replace" => detail.replaces = true,
            "profiles.profile.segments" => detail.segments = Some(SegmentDetail { tags: true }),
            "profiles.profile.timeline" => detail.timeline = Some(timeline(query)?),
            "profiles.profile.groups" => detail.groups = true,
            "profiles.profile.matchingGroups" => detail.matching_groups = true,
            other => return Err(Refusal::bad_request(format!("There is no expansion `{other}`"))),
        }
    }
    Ok(detail)
}

fn single_detail(query: &Query) -> Result<Detail, Refusal> {
    // The document's example of one profile has `replaces` although the request does not ask for it.
    let mut detail = Detail {
        replaces: true,
        ..common_detail(query)
    };
    for expansion in query.all("expand") {
        match expansion {
            "profile.permissions.exceptions" => detail.permissions = true,
            "profile.timeline" => detail.timeline = Some(timeline(query)?),
            "profile.segments" => detail.segments = detail.segments.or(Some(SegmentDetail { tags: false })),
            "profile.segments.tags" => detail.segments = Some(SegmentDetail { tags: true }),
            other => return Err(Refusal::bad_request(format!("There is no expansion `{other}`"))),
        }
    }
    if query
        .all("collapse")
        .any(|collapsed| collapsed == "profile.segments")
    {
        detail.segments = None;
    }
    Ok(detail)
}

fn common_detail(query: &Query) -> Detail {
    let listed = query.all("properties").flat_map(|list| list.split(','));
    let wanted: HashSet<String> = query
        .all("profileProperty")
        .chain(listed)
        .map(str::to_owned)
        .collect();
    Detail {
        properties: (!wanted.is_empty()).then_some(wanted),
        ..Detail::default()
    }
}

fn timeline(query: &Query) -> Result<TimelineDetail, Refusal> {
    let texts = |name| query.all(name).map(str::to_owned).collect();
    Ok(TimelineDetail {
        most: query.number(
            "eventCount",
            0,
            u64::from(i32::MAX.unsigned_abs()),
            DEFAULT_EVENTS,
        )?,
        types: texts("eventTypeId"),
        properties: texts("eventProperty"),
        from: query.date("fromDate")?,
        to: query.date("toDate")?,
    })
}

/// One profile by its id.
pub(crate) async fn one(
    Shared(state): Shared<Arc<State>>,
    headers: HeaderMap,
    uri: Uri,
) -> Result<Response, Refusal> {
    state.allow(&headers, "read:profiles")?;
    // Not the id of the route: a stale cache answers with another profile. Ids need no decoding.
    let id = uri.path().rsplit('/').next().unwrap_or_default().to_owned();
    let detail = single_detail(&Query::of(&uri))?;
    let gone = || Refusal::not_found("The specified profile doesn't exist.");
    let world = state.world();
    let position = match (world.lookup(&id), state.settings.merged_lookup) {
        (Lookup::Unknown, _) | (Lookup::Merged { .. }, MergedLookup::NotFound) => return Err(gone()),
        (Lookup::Merged { survivor }, MergedLookup::ReplacedBy) => {
            let body = Node::Object(vec![("id", Node::text(id)), ("replacedBy", Node::text(survivor))]);
            return Ok(json(state.writer().document(&body).into()));
        }
        (Lookup::Merged { survivor }, MergedLookup::Survivor) => {
            let Lookup::Current(position) = world.lookup(&survivor) else {
                return Err(gone());
            };
            position
        }
        (Lookup::Current(position), _) => position,
    };
    let profile = world.profile(position).ok_or_else(gone)?;
    let node = ProfileWriter::new(&world, detail, state.writer()).node(&world, &profile);
    Ok(json(state.writer().document(&node).into()))
}
