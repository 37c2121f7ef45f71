//! Takes every request and answers with an empty 200: a webhook, a dead-man switch and a collector of traces for a service that is
//! measured. Prints its address on a line of its own.

use std::convert::Infallible;
use std::io::Write as _;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    writeln!(std::io::stdout(), "http://{}", listener.local_addr()?)?;
    loop {
        let (connection, _) = listener.accept().await?;
        let taken = async |_: Request<Incoming>| Ok::<_, Infallible>(Response::new(String::new()));
        // A client that goes away is its own affair.
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(connection), service_fn(taken)));
    }
}
