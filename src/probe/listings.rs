//! Questions about listings: the segment that is walked, `count`, the size of pages, and totals.

use std::collections::HashSet;
use std::time::Duration;

use chrono::TimeDelta;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use crate::model::format;
use crate::model::probe::Proposal;
use crate::model::segment::SegmentCount;

use super::cursors::smaller_segment;
use super::facts::Walked;
use super::found::{Answer, Found, Unanswered};
use super::pages::{List, ProfilesPage};
use super::prober::Prober;
use super::question::Question;
use super::{requests, words};

/// The resource that lists segments.
const SEGMENTS: &str = "segments";
/// Segments of a page.
const PAGE: u64 = 1000;
/// Pages of segments.
const MOST_PAGES: u64 = 5;
/// The sizes of pages that are tried, beside the settings'.
const SIZES: [u64; 3] = [100, 1_000, 10_000];
/// A page that would be larger is not asked for, in bytes: a probe holds it whole.
const MOST_BYTES: u64 = 40 * 1024 * 1024;
/// No larger page is tried after one that took so long.
const SLOW: Duration = Duration::from_secs(20);
/// Pages that are read to compare a total.
const PAGES_OF_TOTAL: u64 = 10;
/// A profile is a recent change for so long.
const RECENT: TimeDelta = TimeDelta::days(1);

pub(super) const SEGMENT: Question = Question {
    name: "segment",
    asks: "Which segment holds everybody?",
    assumed: "the one in `resources.profiles.segment`",
    ask: |prober| Box::pin(segment(prober)),
};
pub(super) const COUNT: Question = Question {
    name: "count",
    asks: "Do as many elements come as `count` asks for?",
    assumed: "yes",
    ask: |prober| Box::pin(count(prober)),
};
pub(super) const PAGE_SIZE: Question = Question {
    name: "page_size",
    asks: "How large may a page of profiles be, and how fast does it come?",
    assumed: "at least as large as `resources.profiles.page_size`",
    ask: |prober| Box::pin(page_size(prober)),
};
pub(super) const TOTAL_RESULTS: Question = Question {
    name: "total_results",
    asks: "Do `totalResults` and `profileCount` say how many profiles come?",
    assumed: "yes, up to 10 profiles or 1%",
    ask: |prober| Box::pin(total_results(prober)),
};

fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.parse().ok())
}

fn segment_of(element: &Value) -> Option<SegmentCount> {
    Some(SegmentCount {
        id: element.get("id")?.as_str()?.to_owned(),
        name: String::new(),
        profile_count: element.get("profileCount").and_then(number),
    })
}

async fn read_segments(prober: &mut Prober<'_>) -> Result<Vec<SegmentCount>, Unanswered> {
    let description = prober
        .subject
        .list(SEGMENTS)
        .ok_or_else(|| Unanswered::because("no segments are read"))?;
    let mut segments: Vec<SegmentCount> = Vec::new();
    for page in 0..MOST_PAGES {
        let request = requests::list(description, page * PAGE, PAGE);
        let answer = prober.get(&request).await?;
        let page = List::read(&answer.body, description.arrays)
            .ok_or_else(|| Unanswered::because("the answer is no list of segments"))?;
        segments.extend(page.elements.iter().filter_map(segment_of));
        let is_last = page.total.is_none_or(|total| segments.len() as u64 >= total);
        if page.elements.is_empty() || is_last {
            break;
        }
    }
    Ok(segments)
}

async fn segment(prober: &mut Prober<'_>) -> Answer {
    let configured = prober.subject.settings.resources.profiles.segment.clone();
    let segments = read_segments(prober).await?;
    let number = format::count(segments.len() as u64);
    let own = segments.iter().find(|segment| segment.id == configured).cloned();
    let largest = segments
        .iter()
        .max_by_key(|segment| segment.profile_count)
        .cloned();
    prober.facts.segments = Some(segments);
    let Some(own) = own else {
        return absent_segment(prober, largest, &number);
    };
    prober.facts.walked = Some(Walked {
        id: configured,
        count: own.profile_count,
    });
    let is_largest = largest.is_none_or(|largest| largest.profile_count <= own.profile_count);
    let count = format::known(own.profile_count);
    let found = format!("that one, with {count} profiles; {number} segments");
    if is_largest || own.profile_count.is_none() {
        return Ok(Found::as_assumed(found));
    }
    Ok(Found::differs(
        format!("{found}, of which another one is larger"),
        "profiles outside of it are not read: set `segment` if everybody is wanted",
    ))
}

/// The answer where no segment has the configured id.
fn absent_segment(prober: &mut Prober<'_>, largest: Option<SegmentCount>, number: &str) -> Answer {
    let Some(largest) = largest.filter(|largest| largest.profile_count.unwrap_or(0) > 0) else {
        return Err(Unanswered::because(format!(
            "none of {number} segments has that id or a count of profiles"
        )));
    };
    let found = format!(
        "there is none of that id; the largest of {number} has {} profiles",
        format::known(largest.profile_count)
    );
    prober.facts.walked = Some(Walked {
        id: largest.id,
        count: largest.profile_count,
    });
    // The report holds no id, so the line says what to put there.
    Ok(Found::differs(
        found,
        "the largest one is read; name it, so that removals are certain: after the first backfill `select id from blueconic.segments \
         order by profile_count desc nulls last limit 1`",
    )
    .propose([Proposal::text(
        "resources.profiles",
        "segment",
        "ID-OF-THE-LARGEST-SEGMENT",
    )]))
}

async fn count(prober: &mut Prober<'_>) -> Answer {
    let mut parts = Vec::new();
    let mut is_honoured = true;
    let mut compare = |what: &str, asked: u64, there: Option<u64>, came: u64| {
        let expected = there.map_or(asked, |there| there.min(asked));
        is_honoured &= came == expected;
        parts.push(format!("{what} {came} of {expected}"));
    };
    if let Ok(walked) = prober.walked() {
        let request = requests::profiles(prober.listing_scope(), &walked.id, "*", 7);
        let answer = prober.get(&request).await?;
        if let Some(page) = ProfilesPage::read(&answer.body) {
            compare("profiles", 7, page.total.or(walked.count), page.len());
        }
    }
    if let (Some(segments), Some(known)) = (prober.subject.list(SEGMENTS), &prober.facts.segments) {
        let known = known.len() as u64;
        let answer = prober.get(&requests::list(segments, 0, 2)).await?;
        if let Some(page) = List::read(&answer.body, segments.arrays) {
            compare("segments", 2, Some(known), page.elements.len() as u64);
        }
    }
    if let (Some(feed), Some(first)) = (prober.subject.feed(), prober.facts.events.clone()) {
        let known = first.dates.len() as u64;
        let answer = prober.get(&requests::events(feed, first.from, 3)).await?;
        if let Some(page) = List::read(&answer.body, feed.arrays) {
            compare("audit events", 3, Some(known), page.elements.len() as u64);
        }
    }
    if parts.is_empty() {
        return Err(Unanswered::because("no listing could be read"));
    }
    let found = parts.join(", ");
    Ok(if is_honoured {
        Found::as_assumed(found)
    } else {
        Found::differs(
            found,
            "pages have another size than the settings say; walks go by cursors and totals, and lose nothing",
        )
    })
}

/// Keeps what a page of whole profiles shows.
fn keep(prober: &mut Prober<'_>, page: &ProfilesPage) {
    let since = prober.now() - RECENT;
    let sample = &mut prober.facts.sample;
    sample.profiles += page.len();
    sample.properties.extend(page.properties.iter().cloned());
    sample.recent.clear();
    sample.merged.clear();
    for profile in &page.profiles {
        if let Some(modified) = profile.modified.filter(|modified| *modified > since) {
            sample.keep_recent(&profile.id, modified);
        }
        sample.keep_merged(&profile.id, &profile.replaces);
    }
}

fn a_second(profiles: u64, took: Duration) -> String {
    let profiles = u32::try_from(profiles).unwrap_or(u32::MAX);
    let rate = f64::from(profiles) / took.as_secs_f64().max(0.001);
    format!("{rate:.0}")
}

/// Pages of growing size.
#[derive(Default)]
struct Sizes {
    parts: Vec<String>,
    largest: u64,
    bytes_each: u64,
}

impl Sizes {
    /// Tries a size. Gives back why no larger one is tried; none if one is.
    async fn attempt(
        &mut self,
        prober: &mut Prober<'_>,
        segment: &str,
        size: u64,
    ) -> Result<Option<&'static str>, Unanswered> {
        if size * self.bytes_each > MOST_BYTES {
            return Ok(Some("; larger pages are too large for a probe"));
        }
        let settings = &prober.subject.settings.resources.profiles;
        let request = requests::whole_profiles(prober.listing_scope(), segment, settings, size);
        let answer = prober.get(&request).await?;
        let page = ProfilesPage::read(&answer.body)
            .ok_or_else(|| Unanswered::because("the answer is no page of profiles"))?;
        keep(prober, &page);
        let came = page.len();
        self.parts.push(format!(
            "{} of {} in {} ({} a second)",
            format::count(came),
            format::count(size),
            words::time(answer.took),
            a_second(came, answer.took)
        ));
        self.largest = self.largest.max(came);
        self.bytes_each = answer.body.len() as u64 / came.max(1);
        let has_more = page.next_after("*").is_some();
        if came < size && has_more {
            prober.facts.ceiling = Some(came);
        }
        Ok(match has_more {
            true if came < size => Some(""),
            true if answer.took > SLOW => Some("; larger pages would take too long for a probe"),
            true => None,
            false => Some("; the tenant has no more"),
        })
    }
}

async fn page_size(prober: &mut Prober<'_>) -> Answer {
    let segment = prober.walked()?.id;
    let configured = u64::from(prober.subject.settings.resources.profiles.page_size.get());
    let mut wanted: Vec<u64> = SIZES.into_iter().chain([configured]).collect();
    wanted.sort_unstable();
    wanted.dedup();
    let mut sizes = Sizes::default();
    let mut end = "";
    for size in wanted {
        if let Some(why) = sizes.attempt(prober, &segment, size).await? {
            end = why;
            break;
        }
    }
    // All pages begin at the same profile, so the largest one is the sample.
    prober.facts.sample.profiles = sizes.largest;
    let found = format!("{}{end}", sizes.parts.join(", "));
    let Some(ceiling) = prober.facts.ceiling else {
        return Ok(Found::as_assumed(found));
    };
    let proposed = (ceiling < configured).then(|| {
        let size = ceiling.max(1).to_string();
        Proposal::plain("resources.profiles", "page_size", &size)
    });
    Ok(Found::differs(
        format!("{found}; no page holds more than {}", format::count(ceiling)),
        "a full walk takes one request for each page of that size: more requests than the settings suggest",
    )
    .propose(proposed))
}

/// The totals of one listing.
struct Totals {
    said: Option<u64>,
    counted: Option<u64>,
    came: u64,
}

impl Totals {
    fn is_off(&self) -> bool {
        let is_off = |said: u64| said.abs_diff(self.came) > (self.came / 100).max(10);
        self.said.is_some_and(is_off) || self.counted.is_some_and(is_off)
    }

    fn words(&self, path: &str) -> String {
        format!(
            "{path}: {} came, `totalResults` {}, `profileCount` {}",
            format::count(self.came),
            format::known(self.said),
            format::known(self.counted)
        )
    }
}

async fn read_whole(
    prober: &mut Prober<'_>,
    segment: &str,
    counted: Option<u64>,
    size: u64,
) -> Result<Totals, Unanswered> {
    let mut cursor = "*".to_owned();
    let mut ids = HashSet::new();
    let mut said = None;
    // A page more than needed, since the count may be too low.
    for _ in 0..=PAGES_OF_TOTAL {
        let request = requests::profiles(prober.listing_scope(), segment, &cursor, size);
        let answer = prober.get(&request).await?;
        let page = ProfilesPage::read(&answer.body)
            .ok_or_else(|| Unanswered::because("the answer is no page of profiles"))?;
        said = said.or(page.total);
        ids.extend(page.profiles.iter().map(|profile| xxh3_64(profile.id.as_bytes())));
        match page.next_after(&cursor) {
            Some(next) => next.clone_into(&mut cursor),
            None => {
                return Ok(Totals {
                    said,
                    counted,
                    came: ids.len() as u64,
                });
            }
        }
    }
    Err(Unanswered::because("more pages came than were expected"))
}

async fn total_results(prober: &mut Prober<'_>) -> Answer {
    let walked = prober.walked()?;
    let size = prober.facts.ceiling.unwrap_or(SIZES[2]).max(1);
    let most = size * PAGES_OF_TOTAL;
    let mut totals = Vec::new();
    if walked.count.is_some_and(|count| count <= most) {
        let of_scan = read_whole(prober, &walked.id, walked.count, size).await?;
        totals.push(("scan of the store", of_scan));
    }
    if let Some(smaller) = smaller_segment(prober, Some(most)) {
        let of_index = read_whole(prober, &smaller.id, smaller.profile_count, size).await?;
        totals.push(("search index", of_index));
    }
    if totals.is_empty() {
        return Err(Unanswered::because(format!(
            "no segment with a count has at most {} profiles: a backfill tells it",
            format::count(most)
        )));
    }
    let found: Vec<String> = totals.iter().map(|(path, totals)| totals.words(path)).collect();
    let found = found.join("; ");
    if totals.iter().any(|(_, totals)| totals.is_off()) {
        return Ok(Found::differs(
            found,
            "a walk that does not add up removes nothing; `status --verify` finds differences where there are none",
        ));
    }
    Ok(Found::as_assumed(found))
}
