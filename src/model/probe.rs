//! The report of a probe: what this program assumes of a tenant, what the probe found, and what follows. It is made to be sent on,
//! so it holds counts, times and fixed words alone: no id, no name, no text of the tenant but its release.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Time;

/// A report.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The version of this program.
    pub version: String,
    /// When the probe began.
    pub started_at: Time,
    /// How long it took.
    pub seconds: f64,
    /// The requests that it sent, without those for tokens.
    pub requests: u64,
    /// The tenant's release, as its own document says.
    pub release: Option<String>,
    /// Why some questions were not asked; none if all were.
    #[serde(default)]
    pub partial: Option<String>,
    /// The questions in order.
    pub findings: Vec<Finding>,
    /// Lines for the settings file; empty if nothing is proposed.
    #[serde(default)]
    pub settings: String,
}

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The name of the question.
    pub question: String,
    /// The question.
    pub asks: String,
    /// The answer that this program assumes.
    pub assumed: String,
    /// Whether the tenant is as assumed.
    pub state: State,
    /// The answer of the tenant; none if there is no answer.
    pub found: Option<String>,
    /// What follows from the answer, or why there is none.
    pub follows: String,
    /// The settings that the answer proposes.
    #[serde(default)]
    pub proposals: Vec<Proposal>,
}

/// What an answer is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// The tenant is as this program assumes.
    AsAssumed,
    /// The tenant is not as this program assumes.
    Differs,
    /// The question could not be answered.
    Unanswered,
}

impl State {
    /// The words for a person.
    pub const fn words(self) -> &'static str {
        match self {
            Self::AsAssumed => "as assumed",
            Self::Differs => "differs",
            Self::Unanswered => "no answer",
        }
    }
}

/// A setting.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The table of the settings file.
    pub section: String,
    /// The key.
    pub key: String,
    /// The value as TOML writes it.
    pub value: String,
}

impl Proposal {
    /// A setting whose value is a text.
    pub fn text(section: &str, key: &str, value: &str) -> Self {
        Self::plain(section, key, &format!("\"{value}\""))
    }

    /// A setting whose value is a number or a switch.
    pub fn plain(section: &str, key: &str, value: &str) -> Self {
        Self {
            section: section.to_owned(),
            key: key.to_owned(),
            value: value.to_owned(),
        }
    }
}

impl Report {
    /// How many questions have an answer of this kind.
    pub fn count(&self, state: State) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.state == state)
            .count()
    }
}

/// All proposals as lines of a settings file, each table once. Of two proposals for one key the first counts.
pub fn settings_of(findings: &[Finding]) -> String {
    let mut tables: Vec<(&str, Vec<&Proposal>)> = Vec::new();
    for proposal in findings.iter().flat_map(|finding| &finding.proposals) {
        match tables.iter_mut().find(|(name, _)| *name == proposal.section) {
            Some((_, lines)) if lines.iter().any(|line| line.key == proposal.key) => {}
            Some((_, lines)) => lines.push(proposal),
            None => tables.push((&proposal.section, vec![proposal])),
        }
    }
    let mut text = String::new();
    for (name, lines) in tables {
        let blank = if text.is_empty() { "" } else { "\n" };
        // Writing into a text cannot fail.
        let _ = writeln!(text, "{blank}[{name}]");
        for line in lines {
            let _ = writeln!(text, "{} = {}", line.key, line.value);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proposals_make_each_table_once_and_each_key_once() {
        let finding = |proposals| Finding {
            question: String::new(),
            asks: String::new(),
            assumed: String::new(),
            state: State::Differs,
            found: None,
            follows: String::new(),
            proposals,
        };
        let findings = [
            finding(vec![
                Proposal::text("resources.audit_events", "order", "oldest_first"),
                Proposal::plain("limits", "concurrent_requests", "2"),
            ]),
            finding(vec![
                Proposal::text("resources.audit_events", "settle", "2m"),
                Proposal::plain("limits", "concurrent_requests", "1"),
            ]),
        ];
        assert_eq!(
            settings_of(&findings),
            "[resources.audit_events]\norder = \"oldest_first\"\nsettle = \"2m\"\n\n[limits]\nconcurrent_requests = 2\n"
        );
        assert_eq!(settings_of(&[]), "");
    }
}
