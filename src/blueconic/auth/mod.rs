//! Tokens: asking for them, keeping them, sealing them at rest, and ending them. Nothing outside of this folder sees how
//! a token comes about; SQL sees only sealed bytes.

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
