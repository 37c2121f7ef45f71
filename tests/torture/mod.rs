//! What must hold whatever happens, tried many times: each case adds one row to a table (`script/torture` prints it).
//! `cargo test` runs each case a few times; with `BLUECONIC_SYNC_TORTURE=full` it runs as often as the promise says.

mod cut;
#[allow(dead_code, reason = "not every case tells of everything")]
mod table;
