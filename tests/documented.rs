//! What can be set and called is in the README.

use std::process::Command;

use crate::support::sources::root;

fn readme() -> String {
    std::fs::read_to_string(root().join("README.md")).unwrap()
}

/// `(section, key)` of every line of the defaults that sets something, also of those in comments.
fn settings() -> Vec<(String, String)> {
    let defaults = std::fs::read_to_string(root().join("config/default.toml")).unwrap();
    let (mut section, mut keys) = (String::new(), Vec::new());
    for line in defaults.lines() {
        let plain = line.trim_start_matches("# ");
        if let Some(name) = plain.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            name.clone_into(&mut section);
        }
        let Some((key, _)) = plain.split_once(" = ") else {
            continue;
        };
        if !section.is_empty() && key.chars().all(|one| one.is_ascii_lowercase() || one == '_') {
            keys.push((section.clone(), key.to_owned()));
        }
    }
    keys
}

/// What stands under the heading that names a section: `` ### `[limits]` ``.
fn part<'a>(readme: &'a str, section: &str) -> &'a str {
    let name = format!("`[{section}]`");
    let parts = readme.split("\n### ");
    let mut named = parts.filter(|part| part.lines().next().is_some_and(|heading| heading.contains(&name)));
    named
        .next()
        .unwrap_or_else(|| panic!("the README has no heading for {name}"))
}

#[test]
fn every_setting_is_in_the_readme() {
    let (readme, settings) = (readme(), settings());
    assert!(settings.len() > 30, "only {} keys were found", settings.len());
    let missing: Vec<_> = settings
        .iter()
        .filter(|(section, key)| {
            // One part for two sections names the section too.
            let within = format!("{}.{key}", section.rsplit('.').next().unwrap());
            let part = part(&readme, section);
            ![key, &within]
                .iter()
                .any(|name| part.contains(&format!("\n| `{name}` |")))
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_command_is_in_the_readme() {
    let help = Command::new(env!("CARGO_BIN_EXE_blueconic-sync"))
        .arg("--help")
        .output()
        .unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands: Vec<&str> = commands
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split(' ').next())
        .filter(|name| !name.is_empty() && *name != "help")
        .collect();
    assert!(commands.len() >= 9, "{commands:?}");
    let readme = readme();
    for command in commands {
        assert!(readme.contains(command), "`{command}` is not in the README");
    }
}
