//! Messages about what is wrong, and about what is well again, to a webhook; and signs of life to a dead-man switch. What was sent is kept by
//! the port `NotificationStore`; this layer knows no SQL.

pub mod error;
mod message;
pub mod rounds;
pub mod sender;
mod words;
