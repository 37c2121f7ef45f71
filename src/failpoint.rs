//! Failpoints: places at which a test kills, stops or fails the program, around every commit and where the engine finishes a
//! page. Without the feature `failpoints` nothing of this is compiled. This file knows nothing of the work at a place.
//!
//! `FAILPOINTS` orders what happens, in the syntax of the crate `fail`: `load/before=2*off->return(kill)` kills the
//! process at the third batch that is about to be committed. `kill` is SIGKILL, `stop` SIGSTOP, and `error` a broken
//! connection. `FAILPOINTS_CLOCK` sets the process's clock off by so many seconds.

use std::io;

use chrono::TimeDelta;

/// Which side of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Nothing of it has happened.
    Before,
    /// It has happened, and nobody has been notified.
    After,
}

/// Does what is ordered at this side of a place. The error is the one that was ordered.
#[cfg(feature = "failpoints")]
pub fn at(place: &str, side: Side) -> io::Result<()> {
    let side = match side {
        Side::Before => "before",
        Side::After => "after",
    };
    let name = format!("{place}/{side}");
    match fail::eval(&name, Option::unwrap_or_default).as_deref() {
        None => Ok(()),
        Some("kill") => signal(nix::sys::signal::Signal::SIGKILL),
        Some("stop") => signal(nix::sys::signal::Signal::SIGSTOP),
        Some(order) => Err(io::Error::other(format!("`{order}` was ordered at {name}"))),
    }
}

/// Does nothing in a build without failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub fn at(_place: &str, _side: Side) -> io::Result<()> {
    Ok(())
}

#[cfg(feature = "failpoints")]
fn signal(signal: nix::sys::signal::Signal) -> io::Result<()> {
    // Sent to this thread: a signal to the process may reach another thread first, while this one runs on.
    nix::sys::signal::raise(signal).map_err(io::Error::from)
}

/// The offset of the process's clock.
#[cfg(feature = "failpoints")]
pub fn clock_error() -> TimeDelta {
    static ERROR: std::sync::LazyLock<TimeDelta> = std::sync::LazyLock::new(|| {
        let seconds = std::env::var("FAILPOINTS_CLOCK").ok();
        let seconds = seconds.and_then(|seconds| seconds.parse().ok());
        TimeDelta::seconds(seconds.unwrap_or(0))
    });
    *ERROR
}

/// No offset in a build without failpoints.
#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn clock_error() -> TimeDelta {
    TimeDelta::zero()
}

/// Reads the configured failpoints from the environment. They are active until the returned value is dropped.
#[cfg(feature = "failpoints")]
pub fn listen() -> fail::FailScenario<'static> {
    fail::FailScenario::setup()
}

/// Orders what happens at one side of a place of this process, in the syntax of `FAILPOINTS`; `off` ends it.
///
/// # Errors
///
/// An order that is not understood.
#[cfg(feature = "failpoints")]
pub fn order(place: &str, actions: &str) -> Result<(), String> {
    fail::cfg(place, actions)
}
