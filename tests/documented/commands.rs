//! The real grammar takes every command line that the documents show.

use std::collections::BTreeSet;

use blueconic_sync::cli::Cli;
use clap::{CommandFactory as _, Parser as _};

use super::document::{Code, Document, documents, shell_commands};

const PROGRAM: &str = "blueconic-sync";

/// What stands for something, and one thing that it may stand for.
const PLACEHOLDERS: [(&str, &str); 9] = [
    ("ADDR", "127.0.0.1:8080"),
    ("ARGS", "-l"),
    ("FILE", "settings.toml"),
    ("N", "1000"),
    ("PROFILE_ID", "004b24c8-d91b-479f-878b-cb42e9d04a9f"),
    ("RESOURCE", "profiles"),
    ("TIME", "2026-11-01T00:00:00Z"),
    ("DURATION", "10m"),
    ("SHELL", "bash"),
];

/// The names of the commands.
fn names() -> BTreeSet<String> {
    let commands = Cli::command();
    commands
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect()
}

/// The command lines that a document shows, as words that follow the program's name.
fn shown(document: &Document) -> Vec<Vec<String>> {
    let names = names();
    let mut found = Vec::new();
    for code in &document.code {
        match code {
            Code::Block { language, lines } if language == "sh" => {
                found.extend(
                    shell_commands(lines)
                        .into_iter()
                        .filter_map(|words| after_program(&words)),
                );
            }
            Code::Block { lines, .. } => {
                // What the program printed: after a prompt, or within its own backticks.
                let typed = lines.lines().filter(|line| line.starts_with("$ "));
                found.extend(
                    typed
                        .flat_map(shell_commands)
                        .filter_map(|words| after_program(&words)),
                );
                let quoted = lines.split('`').skip(1).step_by(2);
                found.extend(
                    quoted
                        .flat_map(shell_commands)
                        .filter_map(|words| after_program(&words)),
                );
            }
            Code::Span(span) => {
                let words: Vec<String> = span.split_whitespace().map(str::to_owned).collect();
                let is_line = words.len() > 1 && names.contains(&words[0]);
                if is_line {
                    found.push(words);
                } else if span.contains(PROGRAM) {
                    found.extend(
                        shell_commands(span)
                            .into_iter()
                            .filter_map(|words| after_program(&words)),
                    );
                }
            }
        }
    }
    found
}

/// The words behind the program's name, where a command calls it: by itself, or in its container.
fn after_program(words: &[String]) -> Option<Vec<String>> {
    let in_container = words.starts_with(&["docker", "compose", "run"].map(str::to_owned));
    let at = words.iter().position(|word| word == PROGRAM)?;
    (words.len() > at + 1 && (at == 0 || in_container)).then(|| words[at + 1..].to_vec())
}

/// All that one line means: `[…]` may be there or not, and what stands for something is replaced.
fn meant(line: &[String]) -> Vec<Vec<String>> {
    let mut plain: Vec<String> = Vec::new();
    let mut optional: Vec<(usize, Vec<String>)> = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for word in line {
        let inner = word.trim_start_matches('[').trim_end_matches(']');
        let inner = filled(inner.trim_end_matches('…'));
        if word.starts_with('[') {
            open = Some(Vec::new());
        }
        match &mut open {
            Some(group) => group.push(inner),
            None => plain.push(inner),
        }
        if word.ends_with(']') {
            optional.extend(open.take().map(|group| (plain.len(), group)));
        }
    }
    assert!(open.is_none(), "a bracket has no end: {line:?}");
    let with = optional.iter().map(|(at, group)| {
        let mut words = plain.clone();
        words.splice(at..at, group.iter().cloned());
        words
    });
    std::iter::once(plain.clone()).chain(with).collect()
}

fn filled(word: &str) -> String {
    let found = PLACEHOLDERS.iter().find(|(name, _)| *name == word);
    found.map_or(word, |(_, example)| example).to_owned()
}

#[test]
fn the_grammar_takes_every_command_line() {
    let mut seen = BTreeSet::new();
    let mut refused = Vec::new();
    for document in documents() {
        for line in shown(&document) {
            for words in meant(&line) {
                let arguments = std::iter::once(PROGRAM.to_owned()).chain(words.clone());
                // `--help` and `--version` are answers, too.
                if let Err(error) = Cli::try_parse_from(arguments)
                    && error.exit_code() != 0
                {
                    refused.push(format!("{}: {}: {error}", document.path, line.join(" ")));
                }
                seen.insert(words);
            }
        }
    }
    assert!(
        seen.len() > 35,
        "only {} command lines were found: {seen:?}",
        seen.len()
    );
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn a_line_stands_for_all_that_it_means() {
    let line: Vec<String> = "erase PROFILE_ID… [--yes] [--timeout TIME]"
        .split(' ')
        .map(str::to_owned)
        .collect();
    let (_, id) = PLACEHOLDERS[4];
    let expected = [
        vec!["erase", id],
        vec!["erase", id, "--yes"],
        vec!["erase", id, "--timeout", "2026-11-01T00:00:00Z"],
    ];
    assert_eq!(meant(&line), expected);
    let words = |line: &str| shell_commands(line).remove(0);
    let inside = after_program(&words("docker compose run --rm blueconic-sync check"));
    assert_eq!(inside, Some(vec!["check".to_owned()]));
    assert_eq!(
        after_program(&words("docker compose up -d blueconic-sync now")),
        None
    );
}
