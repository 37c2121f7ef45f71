//! Pages of profiles that were written once and are sent again from memory, for benchmarks: so a tenant costs little
//! more than its socket does. A page is kept by its whole request, and nothing may change the tenant meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};

use crate::demo::page::Page;

/// The pieces of a body.
type Pieces = Arc<[Bytes]>;

/// The pages that were written so far.
#[derive(Debug, Default)]
pub(crate) struct Rendered(Mutex<HashMap<String, Pieces>>);

impl Rendered {
    /// The page that `request` asks for, from memory if it was asked for before.
    pub(crate) async fn page(&self, request: &str, page: Page) -> impl Stream<Item = Bytes> + Send + 'static {
        let known = self.pages().get(request).map(Arc::clone);
        let pieces = match known {
            Some(pieces) => pieces,
            None => self.keep(request, page.stream().collect::<Vec<_>>().await),
        };
        let count = pieces.len();
        stream::iter((0..count).map(move |place| pieces[place].clone()))
    }

    fn keep(&self, request: &str, pieces: Vec<Bytes>) -> Pieces {
        let pieces: Pieces = pieces.into();
        self.pages().insert(request.to_owned(), Arc::clone(&pieces));
        pieces
    }

    fn pages(&self) -> std::sync::MutexGuard<'_, HashMap<String, Pieces>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
