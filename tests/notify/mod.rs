//! Messages about what is wrong: each once, whatever the webhook, the replicas and their ends do.

mod bad_day;
mod command;
mod killed;
