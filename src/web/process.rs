//! The metrics that every process of any program has, by the usual names (`process_…`). What the system does not tell has no sample.

use nix::sys::resource::{Resource, UsageWho, getrlimit, getrusage};
use nix::sys::time::TimeValLike as _;

use super::exposition::Page;

/// Adds the metrics of this process. `started_at` is in Unix time, in seconds.
pub(super) fn add(page: &mut Page, started_at: f64) {
    page.process_gauge(
        "process_start_time_seconds",
        "When the process began, in Unix time.",
        started_at,
    );
    if let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) {
        let spent = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
        let spent = std::time::Duration::from_micros(spent.unsigned_abs());
        page.process_counter(
            "process_cpu_seconds_total",
            "The processor time of the process.",
            spent.as_secs_f64(),
        );
    }
    // Linux alone has these.
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    for (name, help, field) in [
        (
            "process_resident_memory_bytes",
            "The memory of the process that is in RAM.",
            "VmRSS:",
        ),
        (
            "process_virtual_memory_bytes",
            "The address space of the process.",
            "VmSize:",
        ),
    ] {
        if let Some(bytes) = kibibytes(&status, field) {
            page.process_gauge(name, help, bytes * 1024);
        }
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        page.process_gauge("process_open_fds", "The open file descriptors.", open.count());
    }
    if let Ok((most, _)) = getrlimit(Resource::RLIMIT_NOFILE) {
        page.process_gauge(
            "process_max_fds",
            "The most file descriptors that may be open.",
            most,
        );
    }
}

/// A value of `/proc/self/status`, such as `VmRSS:     1234 kB`.
fn kibibytes(status: &str, field: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_from_their_lines() {
        let status = "Name:\tx\nVmSize:\t    2048 kB\nVmRSS:\t     7 kB\nVmLck: many\n";
        assert_eq!(kibibytes(status, "VmRSS:"), Some(7));
        assert_eq!(kibibytes(status, "VmSize:"), Some(2048));
        assert_eq!(kibibytes(status, "VmLck:"), None);
        assert_eq!(kibibytes(status, "VmSwap:"), None);
    }
}
