//! Started programs (psql, a browser) inherit this process's environment without this program's variables: a child's
//! environment is visible to its own children and to other processes of the same user.

use std::process::Command;

/// Removes this program's variables, secrets among them, from the environment of a command.
pub(super) fn without_ours(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if is_ours(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

fn is_ours(name: &str) -> bool {
    let name = name.to_uppercase();
    name.starts_with("BLUECONIC") || name.starts_with("DATABASE_URL")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_or_holds_a_secret_is_ours() {
        for name in [
            "BLUECONIC_CLIENT_SECRET",
            "BLUECONIC_SYNC_KEY_FILE",
            "BLUECONIC_SYNC__DATABASE__URL",
            "DATABASE_URL",
        ] {
            assert!(is_ours(name), "{name}");
        }
        for name in ["PATH", "HOME", "PGPASSFILE", "PAGER"] {
            assert!(!is_ours(name), "{name}");
        }
    }
}
