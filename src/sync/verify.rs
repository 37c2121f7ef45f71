//! Compares the tenant's counts with those of the tables, outside of any run. Changes nothing.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures_util::{StreamExt, stream};
use tokio_util::sync::CancellationToken;
use xxhash_rust::xxh3::xxh3_128;

use crate::model::batch::Batch;
use crate::model::batch::Known;
use crate::model::description::Reading;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Meter, PageEnd, Request};
use crate::model::ports::{Listing, SegmentCounter, SegmentResolver, Source, Store, Walkable};
use crate::model::position::{Scope, Slot};
use crate::model::segment::SegmentCount;
use crate::model::verification::{Comparison, SegmentComparison, Verification};

use super::engine::Engine;
use super::lease::Stop;
use super::lists::{self, Faults};
use super::raw_batch::RawBatch;
use super::run_spec::RunSpec;
use super::small_pages::{PageReader, read_list, read_segments, read_whole};
use super::walk::cursor::tolerance;
use super::walk::offset::OffsetWalk;

impl<S: Source, T: Store> Engine<S, T> {
    /// Requests the tenant's counts for the resources of `specs` and compares the tables with them. A resource that is
    /// denied is reported; any other fault ends the comparison.
    pub async fn verify(&self, specs: &[RunSpec], shutdown: &CancellationToken) -> Outcome<Verification> {
        let counting = Counting {
            engine: self,
            stop: Stop::new(shutdown.clone()),
            meter: Meter::default(),
        };
        let mut found = Verification::default();
        for spec in specs {
            let name = spec.resource().name();
            let outcome = match &spec.wanted {
                Reading::List(list) => counting.list(list.as_ref(), &mut found).await,
                Reading::Walk((walk, _)) => counting.profiles(walk.as_ref(), &mut found).await,
                Reading::Feed(_) => {
                    found.uncounted.push(name);
                    Ok(())
                }
            };
            match outcome {
                Err(fault) if spec.is_skipped_by(&fault) => found.uncounted.push(name),
                Err(fault) if matches!(fault.kind, Kind::Denied { .. }) => {
                    found.denied.push((name, fault));
                }
                other => other?,
            }
        }
        Ok(found)
    }
}

/// The context of a comparison.
struct Counting<'a, S, T> {
    engine: &'a Engine<S, T>,
    stop: Stop,
    meter: Meter,
}

impl<S: Source, T: Store> Counting<'_, S, T> {
    async fn page(&self, request: &Request) -> Outcome<(PageEnd, RawBatch)> {
        let source = self.engine.source.as_ref();
        read_whole(source, &self.stop, &self.meter, request).await
    }

    /// Counts a list by reading it. The list's total may include elements that belong to no table (properties of
    /// groups).
    async fn list(&self, resource: &dyn Listing, found: &mut Verification) -> Outcome<()> {
        if resource.keeps() {
            // The table rightly holds more than the tenant lists.
            found.uncounted.push(resource.name());
            return Ok(());
        }
        let mut by_the_tenant = 0;
        let now = self.engine.clock.now();
        let listings = lists::listings_of(resource, &self.engine.store, None, now).await?;
        let mut absent = Faults::default();
        for listing in &listings {
            match self.count_listing(listing.as_ref(), found).await {
                // A parent that the tenant no longer knows has no elements.
                Err(fault) if fault.kind == Kind::Absent => absent.add(fault),
                counted => by_the_tenant += counted?,
            }
        }
        absent.end_at(listings.len())?;
        let tolerance = if resource.is_by_cursor() {
            tolerance(by_the_tenant)
        } else {
            0
        };
        found.tables.push(Comparison {
            name: resource.name().to_owned(),
            by_the_tenant: Some(by_the_tenant),
            in_the_table: self.engine.store.rows(resource.table()).await?,
            tolerance: Some(tolerance),
        });
        Ok(())
    }

    /// Counts a listing by the total of its first page, which is as small as may be.
    async fn total_of(&self, listing: &dyn Listing, found: &mut Verification) -> Outcome<u64> {
        let (end, _) = self.page(&listing.page(0, u32::MAX)).await?;
        let total = end.head().total_results;
        if total.is_none() {
            let name = listing.name();
            found
                .notices
                .push(format!("the tenant reports no total of a listing of `{name}`"));
        }
        Ok(total.unwrap_or(0))
    }

    /// Counts a listing by reading it, or by its total if it is walked by cursor.
    async fn count_listing(&self, resource: &dyn Listing, found: &mut Verification) -> Outcome<u64> {
        if resource.is_by_cursor() {
            return self.total_of(resource, found).await;
        }
        let mut readings = 0;
        loop {
            let (walk, rows) = self.read_list(resource).await?;
            if walk.is_complete() {
                return Ok(rows);
            }
            readings += 1;
            if readings > walk.read_again() {
                let name = resource.name();
                found.notices.push(format!(
                    "the list of `{name}` does not add up to its total, also when read again"
                ));
                return Ok(walk.total().unwrap_or(rows));
            }
        }
    }

    /// Reads a list once; returns the number of rows that the table should have.
    async fn read_list(&self, resource: &dyn Listing) -> Outcome<(OffsetWalk, u64)> {
        let mut keys: HashSet<u128> = HashSet::new();
        let stored = self.engine.store.rows(resource.table()).await?;
        let source = self.engine.source.as_ref();
        let mut reader = PageReader::new(source, &self.stop, &self.meter);
        let walk = read_list(&mut reader, resource, stored, |raw, walk| {
            let read = ListPage::of(resource, raw);
            keys.extend(read.keys);
            walk.take(read.ids.iter().map(String::as_bytes), read.unidentified);
        })
        .await?;
        let rows = keys.len() as u64 + walk.unidentified();
        Ok((walk, rows))
    }

    /// Profiles are counted by segment, in the heads of the segments' own listings.
    async fn profiles(&self, resource: &dyn Walkable, found: &mut Verification) -> Outcome<()> {
        let (counter, resolver) = (resource.segment_counter(), resource.segment_resolver(None));
        let (listed, walked) = self
            .segments(resource.name(), counter.as_ref(), resolver, found)
            .await?;
        let mut totals = self
            .totals(counter.as_ref(), listed.keys().cloned().collect(), found)
            .await?;
        let members: HashMap<String, u64> = self.engine.store.memberships().await?.into_iter().collect();
        // A segment that only the tables know may be deleted at the tenant, or hidden from the listing.
        let unlisted: Vec<String> = members
            .keys()
            .filter(|id| !listed.contains_key(*id))
            .cloned()
            .collect();
        totals.extend(self.totals(counter.as_ref(), unlisted, found).await?);
        let stored = self.engine.store.rows(resource.table()).await?;
        // The tenant still counts those who were erased here.
        let erased = self.engine.store.erased().await?;
        if erased > 0 {
            found.notices.push(format!(
                "{erased} ids were erased here: as many profiles of the tenant are rightly in no table"
            ));
        }
        found.tables.push(whole(
            resource.name(),
            totals.get(&walked).copied().flatten(),
            stored,
            erased,
        ));
        let judged = judged(&totals, &walked, found);
        found.segments = compare(&listed, &totals, &members, judged, erased);
        found.walked = Some(walked);
        Ok(())
    }

    /// The segments that the tenant lists, by id, and the one that is walked.
    async fn segments(
        &self,
        name: &'static str,
        counter: &dyn SegmentCounter,
        mut resolver: Box<dyn SegmentResolver>,
        found: &mut Verification,
    ) -> Outcome<(BTreeMap<String, SegmentCount>, String)> {
        let mut listed = BTreeMap::new();
        let source = self.engine.source.as_ref();
        let each = |element: &[u8]| listed.extend(counter.segment(element).map(|one| (one.id.clone(), one)));
        read_segments(source, &self.stop, &self.meter, resolver.as_mut(), each).await?;
        let slot = Slot {
            resource: name,
            scope: Scope::Full,
        };
        let last = self.engine.store.cursor(slot).await?.segment;
        let choice = resolver.resolve(last.as_deref())?;
        found.notices.extend(choice.notice);
        Ok((listed, choice.segment))
    }

    /// Returns `totalResults` of each segment; a deleted segment has zero. A segment that cannot be counted is reported
    /// and not compared.
    async fn totals(
        &self,
        counter: &dyn SegmentCounter,
        segments: Vec<String>,
        found: &mut Verification,
    ) -> Outcome<BTreeMap<String, Option<u64>>> {
        let of = segments.len();
        let mut answers = stream::iter(segments)
            .map(|id| async move {
                let total = match counter.profiles_in(&id) {
                    Some(request) => self.page(&request).await.map(|(end, _)| end.head().total_results),
                    None => Err(Fault::new(Kind::Final, "no address can hold its id")),
                };
                (id, total)
            })
            .buffered(self.engine.bounds.lookups_at_once);
        let mut totals = BTreeMap::new();
        while let Some((id, answer)) = answers.next().await {
            let total = match answer {
                Ok(total) => total,
                Err(fault) if fault.kind == Kind::Absent => Some(0),
                Err(fault) if matches!(fault.kind, Kind::Final | Kind::CursorRefused) => {
                    let sentence = fault.sentence();
                    found.notices.push(format!(
                        "the profiles of the segment `{id}` cannot be counted: {sentence}"
                    ));
                    None
                }
                Err(fault) => return Err(fault),
            };
            totals.insert(id, total);
            self.engine.listener.counted(totals.len(), of);
        }
        Ok(totals)
    }
}

/// The ids and keys of a page of a list.
struct ListPage {
    ids: Vec<String>,
    /// Hashes of the keys of rows, and of elements that should have become rows.
    keys: Vec<u128>,
    /// Elements without a readable id.
    unidentified: u64,
}

impl ListPage {
    fn of(resource: &dyn Listing, raw: &RawBatch) -> Self {
        let mut batch = Batch::default();
        let mut decoder = resource.decoder();
        let mut ids = Vec::new();
        let mut readable = 0;
        for element in raw.elements() {
            match resource.fingerprint(element) {
                Ok(print) => {
                    ids.push(print.id.clone());
                    decoder.decode(element, print, Known::Absent, &mut batch);
                    readable += 1;
                }
                Err(reject) => batch.rejects.push(reject),
            }
        }
        let rejected = batch
            .rejects
            .iter()
            .filter_map(|reject| reject.element_id.as_ref());
        let rejected = rejected.map(|id| xxh3_128(id.as_bytes()));
        Self {
            ids,
            keys: batch.rows.keys().map(xxh3_128).chain(rejected).collect(),
            unidentified: raw.count() as u64 - readable,
        }
    }
}

fn whole(name: &str, by_the_tenant: Option<u64>, in_the_table: u64, erased: u64) -> Comparison {
    Comparison {
        name: name.to_owned(),
        by_the_tenant,
        in_the_table,
        tolerance: by_the_tenant.map(|total| tolerance(total) + erased),
    }
}

/// Which segments must agree: all of them if the walked segment holds every profile; otherwise the walked segment
/// alone, since the tables hold only those profiles of other segments that are in it, too.
fn judged<'a>(
    totals: &BTreeMap<String, Option<u64>>,
    walked: &'a str,
    found: &mut Verification,
) -> Option<&'a str> {
    let everybody = totals.get(walked).copied().flatten().unwrap_or(0);
    let larger = totals
        .iter()
        .find(|(_, total)| total.is_some_and(|total| total > everybody))?;
    found.notices.push(format!(
        "profiles are read from the segment `{walked}`, and the segment `{}` is larger: only `{walked}` has to agree",
        larger.0
    ));
    Some(walked)
}

/// Largest first.
fn compare(
    listed: &BTreeMap<String, SegmentCount>,
    totals: &BTreeMap<String, Option<u64>>,
    members: &HashMap<String, u64>,
    judged: Option<&str>,
    erased: u64,
) -> Vec<SegmentComparison> {
    let mut segments: Vec<SegmentComparison> = totals
        .iter()
        .map(|(id, total)| {
            let is_judged = judged.is_none_or(|judged| judged == id);
            SegmentComparison {
                name: listed.get(id).map(|one| one.name.clone()).unwrap_or_default(),
                profile_count: listed.get(id).and_then(|one| one.profile_count),
                profiles: Comparison {
                    name: id.clone(),
                    by_the_tenant: *total,
                    in_the_table: members.get(id).copied().unwrap_or(0),
                    tolerance: total.filter(|_| is_judged).map(|total| tolerance(total) + erased),
                },
            }
        })
        .collect();
    segments.sort_by_key(|segment| std::cmp::Reverse(segment.profiles.by_the_tenant));
    segments
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_beside_a_part_of_the_tenant_need_not_agree() {
        let totals = |others: &[(&str, u64)]| -> BTreeMap<String, Option<u64>> {
            others
                .iter()
                .map(|(id, total)| ((*id).to_owned(), Some(*total)))
                .collect()
        };
        let members = HashMap::from([("all".to_owned(), 100), ("some".to_owned(), 3)]);
        let mut found = Verification::default();
        let whole = totals(&[("all", 100), ("some", 40)]);
        let all = judged(&whole, "all", &mut found);
        found.segments = compare(&BTreeMap::new(), &whole, &members, all, 0);
        assert_eq!(found.differences().len(), 1);
        found.segments = compare(&BTreeMap::new(), &whole, &members, all, 27);
        assert!(found.differences().is_empty(), "37 fewer, 27 of them erased");
        assert!(found.notices.is_empty());
        let part = totals(&[("all", 400), ("some", 3)]);
        let own = judged(&part, "some", &mut found);
        found.segments = compare(&BTreeMap::new(), &part, &members, own, 0);
        assert!(found.differences().is_empty() && found.notices.len() == 1);
        assert_eq!(found.segments[0].profiles.difference(), Some(300));
    }
}
