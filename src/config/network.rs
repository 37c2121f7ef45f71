//! The settings of the way to other servers over HTTP: the proxy, what goes without it, and further authorities. They hold for the
//! tenant, the webhook and the dead-man switch, and not for PostgreSQL.

use std::path::PathBuf;

use serde::Deserialize;

use super::authorities::Authorities;
use super::proxy::Proxies;

/// The variable with the proxy's address, which may hold a password.
pub const PROXY: &str = "BLUECONIC_SYNC_PROXY";
/// The setting of a proxy without a password.
pub(super) const PROXY_KEY: &str = "network.proxy";

/// The way to other servers.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Network {
    /// The proxy; without user and password.
    pub proxy: Option<String>,
    /// The file with the proxy's address, which may hold a password.
    pub proxy_file: Option<PathBuf>,
    /// Hosts, domains and networks that are reached without the proxy; none: those of `NO_PROXY`.
    pub no_proxy: Option<Vec<String>>,
    /// The file with the certificates of further authorities.
    pub ca_file: Option<PathBuf>,
    /// The proxies by the settings above, else by the usual variables.
    #[serde(skip)]
    pub proxies: Proxies,
    /// The certificates of `ca_file`.
    #[serde(skip)]
    pub authorities: Authorities,
}
