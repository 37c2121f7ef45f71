//! All that can be set and called has its place in the documents, and what they name is there.

use blueconic_sync::cli::Cli;
use clap::CommandFactory as _;

use super::document::documents;
use crate::support::sources::{files, root};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap()
}

/// `(section, key)` of every line of the defaults that sets something, also of those in comments.
fn settings() -> Vec<(String, String)> {
    let defaults = read("config/default.toml");
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

#[test]
fn every_setting_is_described() {
    let (document, settings) = (read("docs/settings.md"), settings());
    assert!(settings.len() > 30, "only {} keys were found", settings.len());
    for (section, key) in settings {
        let heading = format!("\n## `[{section}]`\n");
        let (_, part) = document
            .split_once(&heading)
            .unwrap_or_else(|| panic!("docs/settings.md has no heading for [{section}]"));
        let part = part.split("\n## ").next().unwrap();
        let rows = part
            .lines()
            .filter(|line| line.starts_with(&format!("| `{key}` |")));
        assert_eq!(rows.count(), 1, "[{section}] {key}");
    }
}

/// Each command has a row that begins with it, and each of its flags stands in a row of that command.
#[test]
fn every_command_and_flag_is_described() {
    let document = read("docs/commands.md");
    let mut seen = 0;
    for command in Cli::command()
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = command.get_name();
        let begins = |line: &&str| {
            let usage = line.strip_prefix("| `").and_then(|rest| rest.split('`').next());
            usage.is_some_and(|usage| usage.split(' ').next() == Some(name))
        };
        let rows: Vec<&str> = document.lines().filter(begins).collect();
        assert!(!rows.is_empty(), "`{name}` has no row in docs/commands.md");
        let nested = command.get_subcommands().flat_map(clap::Command::get_arguments);
        let arguments = command.get_arguments().chain(nested);
        let flags = arguments.filter_map(clap::Arg::get_long);
        for flag in flags.filter(|flag| !["help", "version", "config"].contains(flag)) {
            seen += 1;
            let flag = format!("--{flag}");
            assert!(
                rows.iter().any(|row| row.contains(&flag)),
                "`{name} {flag}` is not in docs/commands.md"
            );
        }
    }
    assert!(seen > 15, "only {seen} flags were found");
}

#[test]
fn every_command_is_in_the_readme() {
    let readme = read("README.md");
    for command in Cli::command()
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        let name = command.get_name();
        assert!(readme.contains(name), "`{name}` is not in the README");
    }
}

/// A first page is read, a long one is not.
#[test]
fn the_readme_stays_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 250, "README.md has {lines} lines");
}

/// A metric that an alert waits for exists.
#[test]
fn every_metric_that_is_named_is_served() {
    let sources: String = files("src", ".rs").into_iter().map(|(_, text)| text).collect();
    let mut seen = 0;
    for document in documents().iter().filter(|one| one.path != "CHANGELOG.md") {
        for span in document
            .spans()
            .filter(|span| span.starts_with("blueconic_sync_"))
        {
            let name = span.split('{').next().unwrap();
            // Their common beginning is written in one place.
            let own = name.strip_prefix("blueconic_sync_").unwrap();
            seen += 1;
            assert!(
                sources.contains(&format!("\"{own}\"")),
                "{}: no metric is named {name}",
                document.path
            );
        }
    }
    assert!(seen > 6, "only {seen} metrics were found");
}
