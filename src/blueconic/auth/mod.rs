//! Tokens: requesting, keeping, sealing and ending them. Other folders see only valid access tokens; SQL sees only
//! sealed bytes.

pub(super) mod advice;
pub(super) mod claim;
mod endpoint;
pub mod error;
pub(super) mod grant;
pub mod keys;
pub mod login;
pub mod logout;
pub(super) mod manager;
pub mod memory;
mod refresh;
pub(super) mod seal;
pub(super) mod token;
