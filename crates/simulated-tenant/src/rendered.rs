//! The body of a plain page with profiles from the cache.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{Stream, stream};

use crate::json::Separator;
use crate::page::Page;
use crate::render_cache::RenderCache;

#[derive(Clone, Copy)]
enum Stage {
    Head,
    Elements { next: u64, begun: bool },
    Done,
}

/// The body of a page in pieces, with profiles from the cache.
pub(crate) fn body(page: Page, cache: Arc<RenderCache>) -> impl Stream<Item = Bytes> + Send + 'static {
    stream::unfold((page, Stage::Head), move |(mut page, stage)| {
        let piece = piece(&mut page, &cache, stage);
        std::future::ready(piece.map(|(piece, stage)| (piece, (page, stage))))
    })
}

fn piece(page: &mut Page, cache: &RenderCache, stage: Stage) -> Option<(Bytes, Stage)> {
    let (mut next, begun) = match stage {
        Stage::Head => {
            let mut head = Vec::new();
            page.write_head(&mut head);
            let next = page.plan.start;
            return Some((head.into(), Stage::Elements { next, begun: false }));
        }
        Stage::Elements { next, begun } => (next, begun),
        Stage::Done => return None,
    };
    let tenant = Arc::clone(&page.state);
    let world = tenant.world();
    while next < page.plan.end {
        let other = world.next_other(next).min(page.plan.end);
        let (bytes, end) = if other == next {
            let write = |into: &mut Vec<u8>| {
                page.write_element(&world, next, &mut Separator::after_one(), into);
            };
            (cache.other(next, write), next + 1)
        } else {
            let end = cache.reach(next).min(other);
            (cache.run(&mut page.profiles, &world, next..end), end)
        };
        next = end;
        // A profile that is gone has no text.
        if !bytes.is_empty() {
            let bytes = bytes.slice(usize::from(!begun)..);
            return Some((bytes, Stage::Elements { next, begun: true }));
        }
    }
    drop(world);
    let mut tail = Vec::new();
    page.write_tail(&mut tail);
    Some((tail.into(), Stage::Done))
}
