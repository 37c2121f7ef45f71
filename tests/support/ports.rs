//! Ports for programs that are told where to listen. The system may give a port of its own range to any connection before the program
//! listens there. So these lie below that range, and a lock keeps each for this process until it ends.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt as _;
use std::sync::{Mutex, PoisonError};

/// The ports that are tried below the system's range.
const TRIED: u16 = 12_000;
/// Where the system's range begins, if it does not say so.
const USUAL_BEGIN: u16 = 32_768;

/// An address on this machine at which nobody listens, and that no other process of the tests gets.
pub(crate) fn free() -> SocketAddr {
    static KEPT: Mutex<Vec<File>> = Mutex::new(Vec::new());
    let user = fs::metadata("/proc/self").map_or(0, |process| process.uid());
    let folder = std::env::temp_dir().join(format!("blueconic-sync-ports-{user}"));
    fs::create_dir_all(&folder).unwrap();
    let begin = system_range().unwrap_or(USUAL_BEGIN);
    // Each process begins elsewhere, so that few try the same ports.
    let first = u16::try_from(std::process::id() % u32::from(TRIED)).unwrap();
    for number in 0..TRIED {
        let port = begin - 1 - (first + number) % TRIED;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let lock = File::create(folder.join(port.to_string())).unwrap();
        if lock.try_lock().is_ok() && TcpListener::bind(address).is_ok() {
            KEPT.lock().unwrap_or_else(PoisonError::into_inner).push(lock);
            return address;
        }
    }
    panic!("none of {TRIED} ports below {begin} is free");
}

/// The first port that the system gives to connections.
fn system_range() -> Option<u16> {
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").ok()?;
    let begin: u16 = range.split_whitespace().next()?.parse().ok()?;
    (begin > TRIED + 1024).then_some(begin)
}
