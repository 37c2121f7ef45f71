//! Reads Markdown as far as the checks need it: blocks of code, spans of code, headings, and the text that remains.

use crate::support::sources::{files, root};

/// One document, taken apart.
pub(super) struct Document {
    /// Its path from the root.
    pub(super) path: String,
    /// Its blocks and spans of code, in order.
    pub(super) code: Vec<Code>,
    /// Its headings, without their `#`.
    pub(super) headings: Vec<String>,
    /// What remains without code.
    pub(super) text: String,
}

/// Code in a document.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Between two lines of backticks: the language (empty if none is named) and the lines.
    Block { language: String, lines: String },
    /// Between backticks within a line of text.
    Span(String),
}

/// All documents: those of the root, of `docs`, and what each member of the workspace says of itself.
pub(super) fn documents() -> Vec<Document> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|ending| ending == "md") {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found.extend(files("docs", ".md"));
    found.extend(files("crates", ".md"));
    found.sort();
    assert!(found.len() >= 12, "only {} documents were found", found.len());
    found
        .into_iter()
        .map(|(path, text)| Document::parse(path, &text))
        .collect()
}

impl Document {
    fn parse(path: String, source: &str) -> Self {
        let mut document = Self {
            path,
            code: Vec::new(),
            headings: Vec::new(),
            text: String::new(),
        };
        let mut prose = String::new();
        let mut lines = source.lines();
        while let Some(line) = lines.next() {
            if let Some(language) = line.trim_start().strip_prefix("```") {
                document.take_spans(&std::mem::take(&mut prose));
                let inner: Vec<&str> = lines
                    .by_ref()
                    .take_while(|line| !line.trim_start().starts_with("```"))
                    .collect();
                document.code.push(Code::Block {
                    language: language.trim().to_owned(),
                    lines: inner.join("\n"),
                });
                continue;
            }
            let heading = line.trim_start_matches('#');
            if heading.len() < line.len() && heading.starts_with(' ') {
                document.headings.push(heading.trim().to_owned());
            }
            // A span never reaches over the end of a paragraph.
            if line.is_empty() {
                document.take_spans(&std::mem::take(&mut prose));
            }
            prose.push_str(line);
            prose.push('\n');
        }
        document.take_spans(&prose);
        document
    }

    /// Parts prose into spans of code and text.
    fn take_spans(&mut self, prose: &str) {
        let mut rest = prose;
        while let Some(at) = rest.find('`') {
            self.text.push_str(&rest[..at]);
            let ticks = rest[at..].chars().take_while(|one| *one == '`').count();
            let (fence, inner) = rest[at..].split_at(ticks);
            let Some(end) = inner.find(fence) else {
                panic!("{}: a span of code has no end: {inner}", self.path);
            };
            let words: Vec<&str> = inner[..end].split_whitespace().collect();
            self.code.push(Code::Span(words.join(" ").replace("\\|", "|")));
            // Its place is kept, so that `[`name`](target)` is still a link.
            self.text.push('·');
            rest = &inner[end + ticks..];
        }
        self.text.push_str(rest);
    }

    /// The blocks of a language.
    pub(super) fn blocks(&self, wanted: &str) -> impl Iterator<Item = &str> {
        self.code.iter().filter_map(move |code| match code {
            Code::Block { language, lines } if language == wanted => Some(lines.as_str()),
            _ => None,
        })
    }

    /// The spans within text.
    pub(super) fn spans(&self) -> impl Iterator<Item = &str> {
        self.code.iter().filter_map(|code| match code {
            Code::Span(text) => Some(text.as_str()),
            Code::Block { .. } => None,
        })
    }

    /// The targets of its links.
    pub(super) fn links(&self) -> impl Iterator<Item = &str> {
        let parts = self.text.split("](").skip(1);
        parts.filter_map(|part| part.split_once(')').map(|(target, _)| target))
    }

    /// The anchors of its headings, as GitHub and mdBook make them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let mut anchors: Vec<String> = Vec::new();
        for heading in &self.headings {
            let kept = heading
                .chars()
                .filter(|one| one.is_alphanumeric() || " -_".contains(*one));
            let anchor: String = kept.collect::<String>().to_lowercase().replace(' ', "-");
            let before = anchors.iter().filter(|one| **one == anchor).count();
            anchors.push(if before == 0 {
                anchor
            } else {
                format!("{anchor}-{before}")
            });
        }
        anchors
    }
}

/// The words of each simple command of a script of the shell: comments, assignments and redirections are left out, lines
/// that end in a backslash are joined.
pub(super) fn shell_commands(script: &str) -> Vec<Vec<String>> {
    let script = script.replace("\\\n", " ");
    script.lines().flat_map(commands_of_line).collect()
}

fn commands_of_line(line: &str) -> Vec<Vec<String>> {
    let mut commands = vec![Vec::new()];
    let mut word: Option<String> = None;
    let mut quote: Option<char> = None;
    for one in line.chars() {
        match (quote, one) {
            (Some(open), _) if one == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(one);
                word.get_or_insert_default();
            }
            (None, '#') if word.is_none() => break,
            (None, '|' | ';' | '&') => {
                commands.last_mut().unwrap().extend(word.take());
                commands.push(Vec::new());
            }
            (None, _) if one.is_whitespace() => commands.last_mut().unwrap().extend(word.take()),
            _ => word.get_or_insert_default().push(one),
        }
    }
    assert!(quote.is_none(), "a quote has no end: {line}");
    commands.last_mut().unwrap().extend(word);
    commands
        .into_iter()
        .map(essential)
        .filter(|words| !words.is_empty())
        .collect()
}

/// Without a prompt, assignments in front and redirections at the end.
fn essential(words: Vec<String>) -> Vec<String> {
    let is_assignment = |word: &String| {
        word.split_once('=')
            .is_some_and(|(name, _)| name.chars().all(|one| one.is_ascii_uppercase() || one == '_'))
    };
    words
        .into_iter()
        .skip_while(|word| word == "$" || is_assignment(word))
        .take_while(|word| !word.starts_with('>') && !word.starts_with("2>"))
        .collect()
}

#[test]
fn a_document_is_taken_apart() {
    let source = "# A `b`, c!\n\nText with `one\nspan` and [a `link`](to.md#there).\n\n```sh\n$ x # y\n```\n## A b, c\n";
    let document = Document::parse("x.md".to_owned(), source);
    assert_eq!(document.spans().collect::<Vec<_>>(), ["b", "one span", "link"]);
    assert_eq!(document.blocks("sh").collect::<Vec<_>>(), ["$ x # y"]);
    assert_eq!(document.links().collect::<Vec<_>>(), ["to.md#there"]);
    assert_eq!(document.anchors(), ["a-b-c", "a-b-c-1"]);
}

#[test]
fn a_script_is_taken_apart() {
    let script = "$ A=1 b 'c d' \\\n  --e  # f\ng | h > i";
    let expected = [vec!["b", "c d", "--e"], vec!["g"], vec!["h"]];
    assert_eq!(shell_commands(script), expected);
}
