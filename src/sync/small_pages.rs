//! Reads the small pages of lists, segment listings and audit events. (`pipeline` reads the pages of profiles.) A page that
//! breaks off is requested again, in a smaller size where the request allows it.

use crate::model::Time;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::page::{Block, Meter, PageEnd, Request};
use crate::model::ports::{Listing, Page, SegmentResolver, Source};

use super::lease::Stop;
use super::raw_batch::RawBatch;
use super::walk::offset::{OffsetWalk, Step};
use super::walk::size::PageSize;

/// The most bytes of a page that is held in memory as a whole.
const WHOLE_AT_MOST: usize = 64 * 1024 * 1024;

/// The next piece of a page.
pub(super) enum Piece {
    /// Whole elements.
    Block(Block),
    /// The page broke off and is read again; its earlier pieces do not count.
    Again,
    /// It ended whole; the next page follows.
    End(PageEnd),
}

/// Reads pages one after the other.
pub(super) struct PageReader<'a, S: Source> {
    source: &'a S,
    stop: &'a Stop,
    meter: &'a Meter,
    size: PageSize,
    attempt: u32,
    page: Option<S::Page>,
    asked: u32,
}

impl<'a, S: Source> PageReader<'a, S> {
    pub(super) fn new(source: &'a S, stop: &'a Stop, meter: &'a Meter) -> Self {
        Self {
            source,
            stop,
            meter,
            size: PageSize::of(0),
            attempt: 0,
            page: None,
            asked: 0,
        }
    }

    /// The next piece of the current page. `request` makes the page's request from the number of halvings of its size.
    pub(super) async fn next(&mut self, request: &(dyn Fn(u32) -> Request + Sync)) -> Outcome<Piece> {
        loop {
            let Some(page) = &mut self.page else {
                self.open(request).await?;
                continue;
            };
            match self.stop.or(page.next()).await {
                Ok(Some(block)) => return Ok(Piece::Block(block)),
                Ok(None) => {}
                Err(fault) => return self.broke_off(request, fault),
            }
            let Some(page) = self.page.take() else { continue };
            match self.stop.or(page.finish()).await {
                Ok(end) => {
                    self.attempt = 0;
                    self.size.whole(self.asked);
                    return Ok(Piece::End(end));
                }
                Err(fault) => return self.broke_off(request, fault),
            }
        }
    }

    /// `totalResults` of the current page, once it has arrived.
    pub(super) fn reported_total(&self) -> Option<u64> {
        self.page.as_ref()?.so_far().total_results
    }

    async fn open(&mut self, request: &(dyn Fn(u32) -> Request + Sync)) -> Outcome<()> {
        self.asked = self.size.shrink();
        let wanted = request(self.asked);
        let opening = self.source.open(&wanted, self.attempt, self.meter);
        match self.stop.or(opening).await {
            Ok(page) => self.page = Some(page),
            Err(fault) if fault.kind == Kind::Strained => self.failed(request),
            Err(fault) => return Err(fault),
        }
        Ok(())
    }

    fn broke_off(&mut self, request: &(dyn Fn(u32) -> Request + Sync), fault: Fault) -> Outcome<Piece> {
        self.page = None;
        if !fault.is_transient() {
            return Err(fault);
        }
        self.failed(request);
        Ok(Piece::Again)
    }

    fn failed(&mut self, request: &(dyn Fn(u32) -> Request + Sync)) {
        let shrink = self.size.shrink();
        self.size
            .fault(request(shrink).count() == request(shrink + 1).count());
        self.attempt += 1;
    }
}

/// Reads one page to its end and returns it as a whole.
pub(super) async fn read_whole<S: Source>(
    source: &S,
    stop: &Stop,
    meter: &Meter,
    request: &Request,
) -> Outcome<(PageEnd, RawBatch)> {
    let mut reader = PageReader::new(source, stop, meter);
    let wanted = |_| request.clone();
    let mut raw = RawBatch::default();
    loop {
        match reader.next(&wanted).await? {
            Piece::Block(block) => raw.push(block),
            Piece::Again => raw = RawBatch::default(),
            Piece::End(end) => return Ok((end, raw)),
        }
        if raw.bytes() > WHOLE_AT_MOST {
            return Err(too_large(request));
        }
    }
}

fn too_large(request: &Request) -> Fault {
    let mebibytes = WHOLE_AT_MOST / 1024 / 1024;
    Fault::new(Kind::Final, format!("GET {}: a page is too large", request.path))
        .because(format!("it has more than {mebibytes} MiB, and is held in memory"))
        .hint("lower the resource's `page_size`")
}

/// Reads the listing of segments for `resolver` and returns the tenant's time. Elements of a page that broke off are
/// passed again.
pub(super) async fn read_segments<S: Source>(
    source: &S,
    stop: &Stop,
    meter: &Meter,
    resolver: &mut dyn SegmentResolver,
    mut each: impl FnMut(&[u8]) + Send,
) -> Outcome<Option<Time>> {
    let mut reader = PageReader::new(source, stop, meter);
    let mut listing = OffsetWalk::default();
    let mut server_time = None;
    let (mut start, mut elements) = (0, 0);
    loop {
        // Elements are compared by their bytes, since ids are not known here.
        let piece = reader.next(&|shrink| resolver.request(start, shrink)).await?;
        match piece {
            Piece::Block(block) => {
                elements += (block.elements.len() + block.broken.len()) as u64;
                let mut raw = RawBatch::default();
                raw.push(block);
                listing.take(raw.elements(), 0);
                for element in raw.elements() {
                    resolver.take(element);
                    each(element);
                }
                if listing.is_too_much(elements, reader.reported_total(), 0) {
                    return Err(endless(&resolver.request(0, 0).path));
                }
            }
            Piece::Again => {
                listing.again();
                elements = 0;
            }
            Piece::End(end) => {
                elements = 0;
                server_time = server_time.or(end.head().server_time);
                match listing.page(end.elements(), end.head().total_results) {
                    Step::Read(next) => start = next,
                    Step::End => return Ok(server_time),
                }
            }
        }
    }
}

/// Reads a list once without loading it, and passes each batch of its elements to `each`.
pub(super) async fn read_list<S: Source>(
    reader: &mut PageReader<'_, S>,
    list: &dyn Listing,
    stored: u64,
    mut each: impl FnMut(&RawBatch, &mut OffsetWalk) + Send,
) -> Outcome<OffsetWalk> {
    let mut listing = OffsetWalk::default().paged(list.is_paged());
    let (mut start_index, mut elements) = (0, 0);
    loop {
        match reader.next(&|shrink| list.page(start_index, shrink)).await? {
            Piece::Block(block) => {
                elements += (block.elements.len() + block.broken.len()) as u64;
                let mut raw = RawBatch::default();
                raw.push(block);
                each(&raw, &mut listing);
                if listing.is_too_much(elements, reader.reported_total(), stored) {
                    return Ok(listing);
                }
            }
            Piece::Again => {
                listing.again();
                elements = 0;
            }
            Piece::End(end) => {
                elements = 0;
                match listing.page(end.elements(), end.head().total_results) {
                    Step::Read(next) => start_index = next,
                    Step::End => return Ok(listing),
                }
            }
        }
    }
}

fn endless(path: &str) -> Fault {
    Fault::new(Kind::Final, format!("GET {path}: the list does not end"))
        .because("more elements came than is plausible")
        .hint("see what answers in the tenant's place; nothing was changed")
}
