//! Reads `docs/queries.sql`: questions in comments, each with one query.

use crate::support::sources::root;

/// A question with its query.
pub(crate) struct Asked {
    pub(crate) question: String,
    pub(crate) sql: String,
}

/// All of them, in order.
pub(crate) fn asked() -> Vec<Asked> {
    let file = std::fs::read_to_string(root().join("docs/queries.sql")).unwrap();
    let parts = file.split("\n\n").filter(|part| !part.trim().is_empty());
    let (heading, parts): (Vec<&str>, Vec<&str>) = parts.partition(|part| {
        let mut lines = part.trim().lines();
        lines.all(|line| line.starts_with("--"))
    });
    assert_eq!(heading.len(), 1, "one comment stands before the questions");
    parts.into_iter().map(Asked::of).collect()
}

impl Asked {
    fn of(part: &str) -> Self {
        let (comments, lines): (Vec<&str>, Vec<&str>) =
            part.trim().lines().partition(|line| line.starts_with("--"));
        assert!(!comments.is_empty(), "a query without a question: {part}");
        let words = comments.iter().map(|line| line.trim_start_matches("--").trim());
        Self {
            question: words.collect::<Vec<_>>().join(" "),
            sql: lines.join("\n"),
        }
    }
}
