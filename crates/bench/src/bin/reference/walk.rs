//! Walks over all profiles: cuts batches from the stream and passes each to a free connection.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc};

use crate::arguments::{Database, Done, Tenant};
use crate::batch::Batch;
use crate::database::{self, Loader};
use crate::ends::Ends;
use crate::known::Known;
use crate::pages::Pages;
use crate::profile::write_row;
use bench::Outcome;

/// A running walk.
struct Walk {
    pages: Pages,
    batch: Batch,
    /// Whether a page is being read.
    within: bool,
    ends: Ends,
    done: Done,
}

impl Walk {
    async fn open(tenant: &Tenant) -> Outcome<Self> {
        Ok(Self {
            pages: Pages::open(tenant).await?,
            batch: Batch::default(),
            within: false,
            ends: Ends::default(),
            done: Done::default(),
        })
    }

    /// Fills the batch from as many pages as needed. Returns whether it holds an element.
    async fn fill(&mut self) -> Outcome<bool> {
        while !self.batch.is_full() {
            if !self.within {
                let Some(begun) = self.pages.next_page().await? else {
                    break;
                };
                self.within = true;
                self.batch.bytes.extend_from_slice(&begun);
            }
            let before = self.batch.bytes.len();
            let goes_on = self.pages.gather(&mut self.batch.bytes).await?;
            self.done.bytes += (self.batch.bytes.len() - before) as u64;
            if self.batch.cut(self.ends)? {
                self.pages.end_page().await?;
                self.batch.end_page();
                self.within = false;
            } else if !goes_on {
                return Err("a page ended before its array did".into());
            }
        }
        self.done.rows += self.batch.elements.len() as u64;
        Ok(!self.batch.elements.is_empty())
    }
}

/// Finds the ends of the elements, hashes them, and discards them.
pub(crate) async fn boundaries(tenant: &Tenant, ends: Ends) -> Outcome<Done> {
    let mut walk = Walk {
        ends,
        ..Walk::open(tenant).await?
    };
    while walk.fill().await? {
        walk.batch.forget();
    }
    Ok(walk.done)
}

/// The rows of the first page, in batches.
pub(crate) async fn rows_of_a_page(tenant: &Tenant) -> Outcome<Vec<(u64, Vec<u8>)>> {
    let mut walk = Walk::open(tenant).await?;
    let mut batches = Vec::new();
    while walk.done.rows < u64::from(tenant.page_size) && walk.fill().await? {
        let mut full = walk.batch.take();
        full.order();
        let mut rows = Vec::new();
        for element in &full.elements {
            write_row(full.text(element), &element.hash, &mut rows)?;
        }
        batches.push((full.elements.len() as u64, rows));
    }
    Ok(batches)
}

/// Reads everything into the table.
pub(crate) async fn full(tenant: &Tenant, database: &Database, index: bool) -> Outcome<Done> {
    let known = Arc::new(Known::read(&mut database::connect(database).await?).await?);
    let (sender, receiver) = mpsc::channel(1);
    let receiver = Arc::new(Mutex::new(receiver));
    let mut loaders = Vec::new();
    for _ in 0..database.connections {
        let loader = Loader::open(database).await?;
        loaders.push(tokio::spawn(load(
            loader,
            Arc::clone(&receiver),
            Arc::clone(&known),
        )));
    }
    let read = read(tenant, sender).await;
    let mut written = 0;
    for loader in loaders {
        written += loader.await??;
    }
    let mut done = read?;
    done.written = written;
    done.deleted = database::end_walk(database, &known, index).await?;
    Ok(done)
}

async fn read(tenant: &Tenant, sender: mpsc::Sender<Batch>) -> Outcome<Done> {
    let mut walk = Walk::open(tenant).await?;
    while walk.fill().await? {
        sender
            .send(walk.batch.take())
            .await
            .map_err(|_| "no connection is left that loads")?;
    }
    Ok(walk.done)
}

async fn load(
    mut loader: Loader,
    batches: Arc<Mutex<mpsc::Receiver<Batch>>>,
    known: Arc<Known>,
) -> Outcome<u64> {
    let mut written = 0;
    loop {
        let batch = batches.lock().await.recv().await;
        match batch {
            Some(batch) => written += loader.load(batch, &known).await?,
            None => return Ok(written),
        }
    }
}
