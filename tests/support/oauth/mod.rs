//! Shared by all tests with an authorization server: the simulated tenant, and third-party servers.

pub(crate) mod browser;
pub(crate) mod opened;
pub(crate) mod scenario;
pub(crate) mod server;
