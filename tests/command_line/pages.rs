//! Completions and manual pages: they have all that the grammar has, they work, and they need no settings.

use std::fs;
use std::process::Command;

use blueconic_sync::cli::Cli;
use clap::CommandFactory as _;

use crate::support::program::Program;

/// With settings that end every command that reads them.
fn astray() -> Program {
    Program::new("nowhere", "nothing").with("BLUECONIC_SECRET", "x")
}

/// The commands that a person sees.
fn commands() -> Vec<clap::Command> {
    let mut grammar = Cli::command();
    grammar.build();
    let commands = grammar
        .get_subcommands()
        .filter(|one| !one.is_hide_set() && one.get_name() != "help");
    commands.cloned().collect()
}

#[tokio::test]
async fn each_shell_has_its_completions_whatever_the_settings_are() {
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let ended = astray().expect(0, &["completions", shell]).await;
        assert_eq!(ended.stderr, "");
        for command in commands() {
            assert!(
                ended.stdout.contains(command.get_name()),
                "{shell}: {}",
                command.get_name()
            );
        }
    }
    astray()
        .expect(2, &["completions", "tcsh"])
        .await
        .tells(&["possible values", "zsh"]);
}

/// What bash offers behind a line.
fn offered(script: &str, words: &[&str]) -> Vec<String> {
    let last = words.len() - 1;
    let text = format!(
        "{script}\nCOMP_WORDS=({}); COMP_CWORD={last}; by=$(complete -p blueconic-sync)\n\
         by=${{by#*-F }}; ${{by%% *}} blueconic-sync '{}' '{}'; echo \"${{COMPREPLY[@]}}\"",
        words.join(" "),
        words[last],
        words[last - 1],
    );
    let output = Command::new("bash").args(["-c", &text]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let printed = String::from_utf8(output.stdout).unwrap();
    printed.split_whitespace().map(str::to_owned).collect()
}

#[tokio::test]
async fn bash_completes_commands_flags_and_values() {
    let script = astray().expect(0, &["completions", "bash"]).await.stdout;
    assert_eq!(offered(&script, &["blueconic-sync", "back"]), ["backfill"]);
    assert_eq!(
        offered(&script, &["blueconic-sync", "backfill", "--ver"]),
        ["--verify"]
    );
    assert_eq!(offered(&script, &["blueconic-sync", "config", "sh"]), ["show"]);
    let formats = offered(&script, &["blueconic-sync", "docs", "--format", "\"\""]);
    assert_eq!(formats, ["markdown", "html", "dbt"]);
}

/// The text of a page without the backslashes of roff.
fn plain(page: &str) -> String {
    page.replace('\\', "")
}

#[tokio::test]
async fn each_command_has_its_manual_page_with_every_flag() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let ended = astray().expect(0, &["man", pages.to_str().unwrap()]).await;
    let mut commands = commands();
    let nested: Vec<clap::Command> = commands
        .iter()
        .flat_map(clap::Command::get_subcommands)
        .filter(|command| command.get_name() != "help")
        .cloned()
        .collect();
    assert!(!nested.is_empty());
    commands.extend(nested);
    for command in &commands {
        let name = command.get_display_name().unwrap();
        let page = fs::read_to_string(pages.join(format!("{name}.1"))).unwrap();
        let page = plain(&page);
        assert!(page.contains(&format!(".TH {}", name.to_uppercase())), "{page}");
        for flag in command.get_arguments().filter_map(clap::Arg::get_long) {
            assert!(page.contains(&format!("--{flag}")), "{name}: {flag}");
        }
        ended.tells(&[&format!("{name}.1")]);
    }
    let written = fs::read_dir(&pages).unwrap().count();
    assert_eq!(written, commands.len() + 1);
    let first = astray().expect(0, &["man"]).await.stdout;
    assert_eq!(first, fs::read_to_string(pages.join("blueconic-sync.1")).unwrap());
    for said in ["backfill", "Exit codes", "BLUECONIC_CLIENT_SECRET"] {
        assert!(plain(&first).contains(said), "{said} is not in {first}");
    }
}

#[tokio::test]
async fn pages_that_cannot_be_written_are_a_failure() {
    let ended = astray().expect(1, &["man", "/proc/nowhere"]).await;
    ended.tells(&["/proc/nowhere cannot be written", "do:"]);
}
