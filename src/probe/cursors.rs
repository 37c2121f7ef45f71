//! Questions about the cursors of both read paths: a request for nearly the whole tenant scans its store, a smaller one asks its search
//! index.

use chrono::TimeDelta;

use crate::model::format;
use crate::model::segment::SegmentCount;

use super::facts::HeldCursor;
use super::found::{Answer, Found, Unanswered};
use super::index::wait_out;
use super::pages::ProfilesPage;
use super::prober::Prober;
use super::question::Question;
use super::{requests, words};

/// The profiles of a page. No other question asks for as many, so that no other page ends at the same cursor.
const COUNT: u64 = 5;
/// A segment with less than this share of the tenant, in percent, is certainly answered by the search index.
pub(super) const INDEX_SHARE: u64 = 90;
/// The name of a scan in the report.
const OF_SCAN: &str = "scan of the store";
/// The name of the search index in the report.
const OF_INDEX: &str = "search index";
/// No cursor of any tenant.
const UNKNOWN: &str = "no-such-cursor-0123456789";

pub(super) const SCAN: Question = Question {
    name: "cursor_of_scan",
    asks: "Which form has a cursor of the whole tenant, and does it lead to the same page twice?",
    assumed: "any form; the same page",
    ask: |prober| Box::pin(scan(prober)),
};
pub(super) const INDEX: Question = Question {
    name: "cursor_of_index",
    asks: "Which form has a cursor of a smaller segment, and does it lead to the same page twice?",
    assumed: "any form; the same page",
    ask: |prober| Box::pin(index(prober)),
};
pub(super) const REFUSED: Question = Question {
    name: "refused_cursor",
    asks: "Which status has a cursor that the tenant does not know?",
    assumed: "HTTP 400",
    ask: |prober| Box::pin(refused(prober)),
};
pub(super) const LIFE: Question = Question {
    name: "cursor_life",
    asks: "Is a cursor still accepted at the end of the probe?",
    assumed: "yes",
    ask: |prober| Box::pin(life(prober)),
};

/// The largest segment that is certainly answered by the search index; of at most so many profiles.
pub(super) fn smaller_segment(prober: &Prober<'_>, most: Option<u64>) -> Option<SegmentCount> {
    let all = prober.facts.walked.as_ref()?.count?;
    let segments = prober.facts.segments.iter().flatten();
    let fitting = segments.filter(|segment| {
        let count = segment.profile_count.unwrap_or(0);
        count > COUNT && count * 100 < all * INDEX_SHARE && most.is_none_or(|most| count <= most)
    });
    fitting.max_by_key(|segment| segment.profile_count).cloned()
}

/// The form of a cursor, without any part of it: it may hold the id of a profile.
fn form(cursor: &str) -> String {
    let all = |is: fn(char) -> bool| cursor.chars().all(is);
    let alphabet = if all(|one| one.is_ascii_digit()) {
        "decimal"
    } else if all(|one| one.is_ascii_hexdigit()) {
        "hexadecimal"
    } else if all(|one| one.is_ascii_alphanumeric() || "+/=-_".contains(one)) {
        "base64"
    } else {
        "other text"
    };
    // Solr's cursorMark begins with the tag of an array.
    let solr = if cursor.starts_with("Ao") {
        " that begins like Solr's cursorMark"
    } else {
        ""
    };
    format!("{alphabet} of {} characters{solr}", cursor.chars().count())
}

async fn page_of(prober: &mut Prober<'_>, segment: &str, cursor: &str) -> Result<ProfilesPage, Unanswered> {
    let request = requests::profiles(prober.listing_scope(), segment, cursor, COUNT);
    let answer = prober.get(&request).await?;
    ProfilesPage::read(&answer.body).ok_or_else(|| Unanswered::because("the answer is no page of profiles"))
}

async fn scan(prober: &mut Prober<'_>) -> Answer {
    let segment = prober.walked()?.id;
    cursor(prober, OF_SCAN, &segment).await
}

async fn index(prober: &mut Prober<'_>) -> Answer {
    let Some(segment) = smaller_segment(prober, None) else {
        return Err(Unanswered::because(format!(
            "no segment is known to hold more than {COUNT} profiles and less than {INDEX_SHARE}% of the tenant"
        )));
    };
    cursor(prober, OF_INDEX, &segment.id).await
}

async fn cursor(prober: &mut Prober<'_>, path: &'static str, segment: &str) -> Answer {
    let first = page_of(prober, segment, "*").await?;
    let Some(cursor) = first.next_after("*").map(str::to_owned) else {
        return Err(Unanswered::because(format!(
            "the tenant gave none: {} of {COUNT} profiles came",
            first.profiles.len()
        )));
    };
    prober.facts.cursors.push(HeldCursor {
        path,
        segment: segment.to_owned(),
        cursor: cursor.clone(),
        count: COUNT,
        given_at: prober.clock.now(),
    });
    let pages = [
        page_of(prober, segment, &cursor).await?,
        page_of(prober, segment, &cursor).await?,
    ];
    let form = form(&cursor);
    if pages[0].print() == first.print() && first.total.is_some_and(|total| total > 2 * COUNT) {
        return Ok(Found::differs(
            format!("{form}; it leads to the first page again"),
            "a walk of such a tenant ends early and removes nothing: report this",
        ));
    }
    if pages[0].print() == pages[1].print() {
        return Ok(Found::as_assumed(format!("{form}; the same page")));
    }
    Ok(Found::differs(
        format!("{form}; another page the second time"),
        "profiles may be missed or come twice where a page is read again; the next full walk finds them",
    ))
}

async fn refused(prober: &mut Prober<'_>) -> Answer {
    let walked = prober.walked()?;
    let scope = prober.listing_scope();
    let request = requests::profiles(scope, &walked.id, UNKNOWN, COUNT);
    let status = prober.ask(&request).await?.status;
    let mut found = match status {
        200 => "none: it is answered with a page".to_owned(),
        status => format!("HTTP {status}"),
    };
    let other = prober
        .facts
        .cursors
        .iter()
        .find(|held| held.path == OF_INDEX)
        .cloned();
    if let Some(other) = other {
        let request = requests::profiles(scope, &walked.id, &other.cursor, COUNT);
        let taken = match prober.ask(&request).await?.status {
            200 => " is taken".to_owned(),
            status => format!(": HTTP {status}"),
        };
        found = format!("{found}; a cursor of the other read path{taken}");
    }
    Ok(match status {
        400 => Found::as_assumed(found).so("nothing: the walk starts over"),
        200 => Found::differs(
            found,
            "a cursor that is lost cannot be told from one that is known: the totals of a walk show it",
        ),
        402 | 404..=428 => Found::differs(found, "nothing: the walk starts over after such a refusal, too"),
        _ => Found::differs(
            found,
            "it looks like a failure of the tenant: two runs end at that page before the walk starts over",
        ),
    })
}

async fn life(prober: &mut Prober<'_>) -> Answer {
    let held = prober.facts.cursors.clone();
    if held.is_empty() {
        return Err(Unanswered::because("the tenant gave no cursor"));
    }
    wait_out(prober).await?;
    let mut parts = Vec::new();
    let mut shortest: Option<TimeDelta> = None;
    for held in held {
        let request = requests::profiles(prober.listing_scope(), &held.segment, &held.cursor, held.count);
        let age = prober.clock.now() - held.given_at;
        let status = prober.ask(&request).await?.status;
        let outcome = match status {
            200 => "accepted".to_owned(),
            status => {
                shortest = Some(shortest.map_or(age, |known| known.min(age)));
                format!("refused with HTTP {status}")
            }
        };
        parts.push(format!(
            "{}: {outcome} after {}",
            held.path,
            words::difference(age)
        ));
    }
    let found = parts.join("; ");
    match shortest {
        None => Ok(Found::as_assumed(found)
            .so("a walk that is interrupted goes on where it was, for at least as long as that")),
        Some(age) => {
            let page_size = prober.subject.settings.resources.profiles.page_size.get();
            Ok(Found::differs(
                found,
                format!(
                    "a walk that rests for longer than {} starts over, and so does one whose pages of {} take longer than that to read and \
                     load",
                    words::difference(age),
                    format::count(page_size)
                ),
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_cursor_shows_nothing_of_it() {
        for (cursor, expected) in [
            ("0008ffeeaabb", "hexadecimal of 12 characters"),
            ("12345", "decimal of 5 characters"),
            (
                "AoJyZ3x_-=",
                "base64 of 10 characters that begins like Solr's cursorMark",
            ),
            ("page:2", "other text of 6 characters"),
        ] {
            assert_eq!(form(cursor), expected);
        }
    }
}
