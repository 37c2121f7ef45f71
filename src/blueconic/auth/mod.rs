//! Access tokens: asking for them, keeping them, sealing them at rest. Nothing outside of this folder sees how a token
//! comes about; SQL sees only sealed bytes.

pub(super) mod grant;
pub(super) mod manager;
pub mod memory;
pub(super) mod seal;
