//! What this binary is: its version, the commit that it was built from, and the platform that it was built for. `build.rs` finds
//! the last two.

/// The name of the program.
pub const PROGRAM: &str = "blueconic-sync";

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first digits of the commit; `-dirty` follows if the sources had been changed. `unknown` in a build without optimization, and
/// in one from sources that do not tell their commit, such as a tarball.
pub const COMMIT: &str = env!("BUILT_COMMIT");

/// The platform, as Rust names it: `x86_64-unknown-linux-gnu`.
pub const TARGET: &str = env!("BUILT_TARGET");

/// All three in one line.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("BUILT_COMMIT"),
    ", ",
    env!("BUILT_TARGET"),
    ")"
);
