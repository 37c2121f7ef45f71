//! The client against a server on a real socket: what it sends, what it repeats, what it gives up on, and what it says.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "client/tenant.rs"]
mod tenant;

#[path = "client/answers.rs"]
mod answers;
#[path = "client/bodies.rs"]
mod bodies;
#[path = "client/tokens.rs"]
mod tokens;
#[path = "client/walk.rs"]
mod walk;
