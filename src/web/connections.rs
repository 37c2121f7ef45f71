//! The connections of the web server: how many are open at once, how long a request may take to arrive, and which
//! connection is closed when there are too many. axum's own server bounds none of them, so a few hundred half-sent
//! requests would use up all file descriptors, and the database could not be reached.

use std::future::Future;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use nix::sys::resource::{Resource, getrlimit};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The most connections at once: far below the 1024 descriptors of a usual process, far above what probes, a scraper and some
/// browsers need. With fewer descriptors, a quarter of them.
const MOST: u64 = 128;
/// How long the headers of a request may take, also of the next request on a kept connection.
const HEAD_TIME: Duration = Duration::from_secs(10);
/// How long a connection may last in all; no response takes minutes to read.
const LONGEST: Duration = Duration::from_mins(10);
/// The largest headers of a request, in bytes.
const HEAD_SIZE: usize = 32 * 1024;
/// The pause when no connection can be accepted for lack of descriptors.
const REST: Duration = Duration::from_millis(100);
/// How long the last responses may take after a shutdown request.
const FAREWELL: Duration = Duration::from_secs(2);

/// The address of this machine at which a request arrived.
#[derive(Debug, Clone, Copy)]
pub struct ArrivedAt(pub IpAddr);

/// Serves until `shutdown`; current responses have two more seconds.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let table = ConnectionTable::new(most());
    let tasks = TaskTracker::new();
    let stop = CancellationToken::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            // A connection beyond the limit is closed at once.
            Ok((stream, _)) => {
                if let Some(place) = table.enter() {
                    tasks.spawn(connection(stream, router.clone(), place, stop.clone()));
                }
            }
            Err(error) => {
                tracing::debug!(%error, "no connection could be accepted");
                tokio::time::sleep(REST).await;
            }
        }
    }
    drop(listener);
    stop.cancel();
    tasks.close();
    if tokio::time::timeout(FAREWELL, tasks.wait()).await.is_err() {
        tracing::debug!("responses under way were cut off by the shutdown");
        table.clear();
    }
}

fn most() -> usize {
    let descriptors = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    usize::try_from(MOST.min(descriptors / 4).max(4)).unwrap_or(4)
}

async fn connection(stream: TcpStream, router: Router, place: OpenConnection, stop: CancellationToken) {
    let Ok(address) = stream.local_addr() else {
        return;
    };
    let arrived = ArrivedAt(address.ip().to_canonical());
    let pages = TowerToHyperService::new(router);
    let state = Arc::clone(&place.state);
    let answer = service_fn(move |mut request: hyper::Request<Incoming>| {
        let busy = state.begin();
        request.extensions_mut().insert(arrived);
        let response = pages.call(request.map(Body::new));
        async move {
            let response = response.await;
            drop(busy);
            response
        }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIME)
        .max_buf_size(HEAD_SIZE);
    let connection = http.serve_connection(TokioIo::new(stream), answer);
    tokio::pin!(connection);
    let dismissed = place.state.dismissed.clone();
    tokio::select! {
        ended = &mut connection => return log_broken(ended),
        () = dismissed.cancelled() => return,
        () = tokio::time::sleep(LONGEST) => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        ended = &mut connection => log_broken(ended),
        () = dismissed.cancelled() => {}
    }
}

fn log_broken(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the web server broke");
    }
}

/// The open connections.
#[derive(Clone)]
struct ConnectionTable {
    most: usize,
    present: Arc<Mutex<Vec<Arc<State>>>>,
}

/// The state of one connection.
struct State {
    dismissed: CancellationToken,
    /// Requests that are being answered.
    busy: AtomicU64,
}

/// A connection in the table; removed from it when dropped.
struct OpenConnection {
    table: ConnectionTable,
    state: Arc<State>,
}

/// A request that is being answered.
struct ActiveRequest(Arc<State>);

impl State {
    fn begin(self: &Arc<Self>) -> ActiveRequest {
        self.busy.fetch_add(1, Ordering::Relaxed);
        ActiveRequest(Arc::clone(self))
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}

impl ConnectionTable {
    fn new(most: usize) -> Self {
        Self {
            most,
            present: Arc::default(),
        }
    }

    /// Adds a connection. If the table is full, the oldest connection without a current request is closed: a half-sent
    /// request or an idle connection never keeps a health check out. None if all connections are active.
    fn enter(&self) -> Option<OpenConnection> {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        if present.len() >= self.most {
            let idle = present
                .iter()
                .position(|state| state.busy.load(Ordering::Relaxed) == 0)?;
            present.remove(idle).dismissed.cancel();
        }
        let state = Arc::new(State {
            dismissed: CancellationToken::new(),
            busy: AtomicU64::new(0),
        });
        present.push(Arc::clone(&state));
        Some(OpenConnection {
            table: self.clone(),
            state,
        })
    }

    /// Closes all connections.
    fn clear(&self) {
        let mut present = self.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.drain(..).for_each(|state| state.dismissed.cancel());
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        let mut present = self.table.present.lock().unwrap_or_else(PoisonError::into_inner);
        present.retain(|state| !Arc::ptr_eq(state, &self.state));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_that_is_not_answered_goes_and_nobody_who_is() {
        let table = ConnectionTable::new(3);
        let places: Vec<OpenConnection> = (0..3).map(|_| table.enter().unwrap()).collect();
        let answering = places[0].state.begin();
        let fourth = table.enter().unwrap();
        let gone: Vec<bool> = places
            .iter()
            .map(|place| place.state.dismissed.is_cancelled())
            .collect();
        assert_eq!(gone, [false, true, false]);
        let others = [places[2].state.begin(), fourth.state.begin()];
        assert!(table.enter().is_none());
        drop(answering);
        assert!(table.enter().is_some());
        assert!(places[0].state.dismissed.is_cancelled());
        drop((places, fourth, others));
        assert_eq!(table.present.lock().unwrap().len(), 0);
    }
}
