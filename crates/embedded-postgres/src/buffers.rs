//! The server's memory for pages (`shared_buffers`). An index that is written in random order and does not
//! fit costs a page read and a page write for each new row.

use std::fs;

/// The divisor: `shared_buffers` is this part of the memory,
const SHARE: u64 = 8;
/// at least so many megabytes (PostgreSQL's own default),
const LEAST: u64 = 128;
/// and at most so many: an index over ten million text keys. The system allocates them on first use.
const MOST: u64 = 1024;

const MEGABYTE: u64 = 1 << 20;

/// The option for the server.
pub(crate) fn option() -> String {
    format!("shared_buffers={}MB", megabytes(memory()))
}

/// The value for a known amount of memory, in bytes.
fn megabytes(memory: Option<u64>) -> u64 {
    memory.map_or(LEAST, |memory| (memory / SHARE / MEGABYTE).clamp(LEAST, MOST))
}

/// The memory of the machine, or the container's limit, in bytes. Linux only.
fn memory() -> Option<u64> {
    let machine = fs::read_to_string("/proc/meminfo")
        .ok()
        .as_deref()
        .and_then(total)?;
    let container = fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let limit = container.and_then(|limit| limit.trim().parse().ok());
    Some(limit.map_or(machine, |limit| machine.min(limit)))
}

/// `MemTotal` of `/proc/meminfo`, which counts in KiB.
fn total(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kibibytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_eighth_within_bounds() {
        let gigabyte = 1024 * MEGABYTE;
        for (memory, expected) in [
            (None, 128),
            (Some(gigabyte / 2), 128),
            (Some(4 * gigabyte), 512),
            (Some(64 * gigabyte), 1024),
        ] {
            assert_eq!(megabytes(memory), expected, "{memory:?}");
        }
    }

    #[test]
    fn memory_is_read_from_what_linux_tells() {
        assert_eq!(
            total("MemFree: 5 kB\nMemTotal:       24689764 kB\n"),
            Some(24_689_764 * 1024)
        );
        assert_eq!(total("MemTotal: much"), None);
        assert_eq!(total(""), None);
    }
}
