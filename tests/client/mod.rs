//! The client against a server on a real socket: what it sends, what it repeats, what it gives up on, and what it says.

mod answers;
mod bodies;
mod outage;
mod passing;
mod proxies;
mod reaching;
mod tokens;
mod walk;
