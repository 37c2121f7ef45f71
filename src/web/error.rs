//! The errors of the web server, each with a hint.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::config::error::SettingsError;

/// Pages that cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum WebError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}{}", .by.as_ref().map(|by| format!(", which is in use by {by}")).unwrap_or_default())]
    Bind {
        /// The address.
        address: SocketAddr,
        /// The process that uses it, if it can be seen.
        by: Option<String>,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of `web.token_file` cannot be read.
    #[error(transparent)]
    Token(#[from] SettingsError),
    /// The file of `web.token_file` holds no token.
    #[error("{}, named by `web.token_file`, holds no token", .path.display())]
    NoToken {
        /// The file.
        path: PathBuf,
    },
}

impl WebError {
    /// What to do about it.
    pub fn hint(&self) -> String {
        const ELSEWHERE: &str = "choose another address with `serve --bind ADDRESS:PORT` or `web.bind`";
        match self {
            Self::Bind { address, source, .. } => match source.kind() {
                io::ErrorKind::AddrInUse => format!("end the other process, or {ELSEWHERE}"),
                io::ErrorKind::PermissionDenied => {
                    format!(
                        "port {} is for privileged users: {ELSEWHERE}, from port 1024 up",
                        address.port()
                    )
                }
                io::ErrorKind::AddrNotAvailable => {
                    format!("this machine has no address {}: {ELSEWHERE}", address.ip())
                }
                _ => ELSEWHERE.to_owned(),
            },
            Self::Token(error) => error.hint(),
            Self::NoToken { path } => {
                format!(
                    "write one into it, for example with `openssl rand -hex 32 > {}`",
                    path.display()
                )
            }
        }
    }
}
