//! The process that listens on an address that this program wanted, for error messages. No answer where the system does
//! not tell (another system than Linux, another user's process).

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

/// The state `LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The name and the id of the process that listens on this port.
pub(super) fn of(address: SocketAddr) -> Option<String> {
    let inode = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .find_map(|table| socket_inode(&table, address.port()))?;
    let wanted = format!("socket:[{inode}]");
    let process = fs::read_dir("/proc")
        .ok()?
        .flatten()
        .map(|entry| entry.path())
        .filter(|process| number(process).is_some())
        .find(|process| holds(process, &wanted))?;
    let id = number(&process)?;
    let name = fs::read_to_string(process.join("comm")).ok()?;
    Some(format!("`{}` (process {id})", name.trim()))
}

/// The inode of the listening socket on `port`, from a table of the kernel.
fn socket_inode(table: &str, port: u16) -> Option<String> {
    table.lines().skip(1).find_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (_, local_port) = fields.get(1)?.rsplit_once(':')?;
        let same = u16::from_str_radix(local_port, 16) == Ok(port) && *fields.get(3)? == LISTEN;
        same.then(|| fields.get(9).map(|inode| (*inode).to_owned()))
            .flatten()
    })
}

/// The id of a process, by its folder in `/proc` (which also has `self` and much else).
fn number(process: &Path) -> Option<u32> {
    process.file_name()?.to_str()?.parse().ok()
}

fn holds(process: &Path, socket: &str) -> bool {
    let Ok(files) = fs::read_dir(process.join("fd")) else {
        return false;
    };
    files
        .flatten()
        .filter_map(|file| fs::read_link(file.path()).ok())
        .any(|target| target.as_os_str() == socket)
}
