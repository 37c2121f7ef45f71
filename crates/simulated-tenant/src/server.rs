//! The server: accepts connections on the loopback address and serves each in a task of its own. It uses
//! hyper directly, since axum's own server can neither reset a connection nor omit the `Date` header.

use std::sync::Arc;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::observe::Connection;
use crate::routes::router;
use crate::state::State;

/// Serves until the token is cancelled; then drops every connection.
pub(crate) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let router = router(state);
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                connections.spawn(connection(stream, router.clone(), stop.clone()));
            }
            // The peer has gone, or no file descriptor is left: later connections may succeed.
            Err(error) => {
                tracing::debug!(%error, "the simulated tenant could not accept a connection");
                tokio::task::yield_now().await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "the simulated tenant answers with delays");
    }
    let reset = CancellationToken::new();
    let router = router.layer(Extension(Connection { reset: reset.clone() }));
    let mut http = http1::Builder::new();
    http.auto_date_header(false);
    let mut connection = http.serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::select! {
        ended = &mut connection => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection of the simulated tenant broke");
            }
            return;
        }
        () = reset.cancelled() => {}
        () = stop.cancelled() => return,
    }
    let stream = connection.into_parts().io.into_inner();
    // Closing without lingering makes the system send RST.
    if let Err(error) = stream.set_zero_linger() {
        tracing::debug!(%error, "a connection of the simulated tenant was closed, not reset");
    }
}
