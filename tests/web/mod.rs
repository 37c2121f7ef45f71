//! The pages over real sockets: health, metrics, status, who may read, and that no name of a tenant becomes markup.
mod connections;
mod metrics;
mod pages;
mod server;
mod states;
mod story;
