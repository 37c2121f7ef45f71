//! Colour on a terminal, and none where nobody wants it. No output has links that a terminal would open.

use std::fs::File;
use std::io::Read as _;
use std::process::{Command, Stdio};

use nix::pty::openpty;

use crate::support::program::Program;

/// Begins the change of a colour or a style, and a link.
const STYLE: &str = "\u{1b}[";
const LINK: &str = "\u{1b}]8;";

/// What a command shows on a terminal, with these variables beside its own.
fn shown(arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let program = Program::new("http://127.0.0.1:9", "postgres://u@127.0.0.1:9/x")
        // A key that is not random: a line of the log says so.
        .with("BLUECONIC_SYNC_KEY", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    let terminal = openpty(None, None).unwrap();
    let slave = || Stdio::from(terminal.slave.try_clone().unwrap());
    let mut child = Command::new(env!("CARGO_BIN_EXE_blueconic-sync"))
        .args(arguments)
        .env_clear()
        .envs(program.variables())
        .env("TERM", "xterm-256color")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .stdout(slave())
        .stderr(slave())
        .spawn()
        .unwrap();
    drop(terminal.slave);
    let mut shown = Vec::new();
    let mut master = File::from(terminal.master);
    let mut part = [0; 4096];
    // When the last writer is gone, reading fails with EIO on Linux, and ends elsewhere.
    while let Ok(length @ 1..) = master.read(&mut part) {
        shown.extend_from_slice(&part[..length]);
    }
    child.wait().unwrap();
    String::from_utf8_lossy(&shown).into_owned()
}

/// Help, a wrong command line, and log lines.
const SHOWN: [&[&str]; 3] = [&["--help"], &["backfil"], &["backfill"]];

#[test]
fn a_terminal_shows_colour_unless_somebody_wants_none() {
    for arguments in SHOWN {
        let coloured = shown(arguments, &[]);
        assert!(coloured.contains(STYLE), "{arguments:?}: {coloured:?}");
        assert!(!coloured.contains(LINK), "{arguments:?}: {coloured:?}");
        for none in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let plain = shown(arguments, &[none]);
            assert!(!plain.contains('\u{1b}'), "{arguments:?} {none:?}: {plain:?}");
            assert!(plain.len() > 50, "{arguments:?}: {plain:?}");
        }
        // https://no-color.org: an empty value asks for nothing.
        assert!(
            shown(arguments, &[("NO_COLOR", "")]).contains(STYLE),
            "{arguments:?}"
        );
    }
}
