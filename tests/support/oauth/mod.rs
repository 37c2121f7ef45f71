//! What every scene with an authorization server needs, at the simulated tenant and at servers that other people wrote.

pub(crate) mod browser;
pub(crate) mod opened;
pub(crate) mod scenario;
pub(crate) mod server;
