//! A gateway between the program and PostgreSQL: its address can be pointed at another
//! server, and its connections can become silent, as behind a NAT that has forgotten them: nothing arrives, and nothing ends.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::watch;
use tokio_util::task::AbortOnDropHandle;

/// The state of connections, which are numbered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct State {
    /// Connections up to this number are silent.
    silent_through: u64,
    /// Connections up to this number are closed.
    cut_through: u64,
    /// New connections are accepted, and silent.
    dark: bool,
}

/// An address in front of a server.
pub(crate) struct Gateway {
    port: u16,
    target: Arc<Mutex<PathBuf>>,
    state: watch::Sender<State>,
    taken: Arc<Mutex<u64>>,
    _serving: AbortOnDropHandle<()>,
}

impl Gateway {
    /// A gateway in front of a server's socket.
    pub(crate) async fn before(socket: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let target = Arc::new(Mutex::new(socket));
        let taken = Arc::new(Mutex::new(0));
        let (state, _) = watch::channel(State {
            silent_through: 0,
            cut_through: 0,
            dark: false,
        });
        let serving = tokio::spawn(serve(
            listener,
            Arc::clone(&target),
            Arc::clone(&taken),
            state.clone(),
        ));
        Self {
            port,
            target,
            state,
            taken,
            _serving: AbortOnDropHandle::new(serving),
        }
    }

    /// The address of a database behind it.
    pub(crate) fn url_of(&self, database: &str) -> String {
        format!(
            "postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable",
            self.port
        )
    }

    /// Existing connections become silent; new ones work.
    pub(crate) fn silence(&self) {
        let through = *self.taken.lock().unwrap();
        self.state.send_modify(|state| state.silent_through = through);
    }

    /// All connections are silent, new ones too.
    pub(crate) fn go_dark(&self) {
        self.state.send_modify(|state| state.dark = true);
        self.silence();
    }

    /// New connections work again.
    pub(crate) fn light_up(&self) {
        self.state.send_modify(|state| state.dark = false);
    }

    /// Existing connections end, and new ones go to another server.
    pub(crate) fn point_at(&self, socket: PathBuf) {
        *self.target.lock().unwrap() = socket;
        let through = *self.taken.lock().unwrap();
        self.state.send_modify(|state| state.cut_through = through);
    }
}

async fn serve(
    listener: TcpListener,
    target: Arc<Mutex<PathBuf>>,
    taken: Arc<Mutex<u64>>,
    state: watch::Sender<State>,
) {
    loop {
        let (client, _) = listener.accept().await.unwrap();
        let number = {
            let mut taken = taken.lock().unwrap();
            *taken += 1;
            *taken
        };
        if state.borrow().dark {
            state.send_modify(|state| state.silent_through = state.silent_through.max(number));
        }
        let socket = target.lock().unwrap().clone();
        let state = state.subscribe();
        tokio::spawn(Box::pin(carry(client, socket, number, state)));
    }
}

/// Copies until either side ends or the connection is closed.
async fn carry(client: TcpStream, socket: PathBuf, number: u64, mut state: watch::Receiver<State>) {
    let cut = {
        let mut state = state.clone();
        async move {
            // The sender lives as long as the test.
            let _ = state
                .wait_for(|state| state.cut_through >= number)
                .await
                .map(drop);
        }
    };
    let carrying = async {
        if state.borrow().silent_through >= number {
            // Open and silent: a silent connection must not work again, whatever happens later.
            std::future::pending::<()>().await;
        }
        let Ok(server) = UnixStream::connect(&socket).await else {
            return;
        };
        let (mut from_client, mut to_client) = client.into_split();
        let (mut from_server, mut to_server) = server.into_split();
        let mut there = vec![0; 64 * 1024];
        let mut back = vec![0; 64 * 1024];
        loop {
            let silent = async {
                let _ = state
                    .wait_for(|state| state.silent_through >= number)
                    .await
                    .map(drop);
            };
            let moved = tokio::select! {
                biased;
                () = silent => std::future::pending().await,
                read = from_client.read(&mut there) => match read {
                    Ok(length @ 1..) => to_server.write_all(&there[..length]).await,
                    _ => return,
                },
                read = from_server.read(&mut back) => match read {
                    Ok(length @ 1..) => to_client.write_all(&back[..length]).await,
                    _ => return,
                },
            };
            if moved.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = carrying => {}
        () = cut => {}
    }
}
