//! The command that installs PostgreSQL on this system, for messages. Reads the name of the system and runs nothing.

use std::fs;

/// The command that installs PostgreSQL on this system; none for an unknown system.
pub fn command() -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("brew install postgresql@17");
    }
    command_for(&fs::read_to_string("/etc/os-release").unwrap_or_default())
}

/// By the text of `/etc/os-release`.
fn command_for(os_release: &str) -> Option<&'static str> {
    let value = |key: &str| {
        let line = os_release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches('"').to_owned()
    };
    let family = format!("{} {}", value("ID"), value("ID_LIKE"));
    let is = |name: &str| family.split_whitespace().any(|word| word == name);
    if is("debian") || is("ubuntu") {
        Some("sudo apt-get install postgresql")
    } else if is("fedora") || is("rhel") {
        Some("sudo dnf install postgresql-server")
    } else if is("alpine") {
        Some("sudo apk add postgresql postgresql-client")
    } else if is("arch") {
        Some("sudo pacman -S postgresql")
    } else if is("suse") || is("opensuse") {
        Some("sudo zypper install postgresql-server")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_of_systems_has_its_command() {
        let of = command_for;
        assert_eq!(of("ID=debian\n"), Some("sudo apt-get install postgresql"));
        assert_eq!(
            of("NAME=\"Linux Mint\"\nID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            Some("sudo apt-get install postgresql")
        );
        assert_eq!(
            of("ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            Some("sudo dnf install postgresql-server")
        );
        assert_eq!(
            of("ID=alpine\n"),
            Some("sudo apk add postgresql postgresql-client")
        );
        assert_eq!(of(""), None);
    }
}
