//! Why no way to a server can be set up.

use crate::config::error::SettingsError;

/// No way to a server can be set up. Nothing was sent yet.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    /// The proxy's address.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// Neither the system nor the settings have certificates of authorities.
    #[error("the certificates of authorities cannot be loaded")]
    Roots(#[from] rustls::Error),
    /// The HTTP client.
    #[error("the HTTP client cannot be made")]
    Client(#[source] reqwest::Error),
}
