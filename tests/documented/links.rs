//! Links, anchors, and the files that the documents name.

use std::path::{Component, Path, PathBuf};

use super::document::{Document, documents};
use crate::support::sources::{files, root};

/// The path that a link leads to, from the root; `docs/../README.md` is `README.md`.
fn resolved(document: &Document, target: &str) -> PathBuf {
    let folder = Path::new(&document.path).parent().unwrap();
    let mut path = PathBuf::new();
    for part in folder.join(target).components() {
        if part == Component::ParentDir {
            assert!(path.pop(), "{}: {target} leads out of the project", document.path);
        } else {
            path.push(part);
        }
    }
    path
}

/// What is wrong with a link, if anything.
fn fault(document: &Document, target: &str, all: &[Document]) -> Option<String> {
    let (file, anchor) = target
        .split_once('#')
        .map_or((target, None), |(file, anchor)| (file, Some(anchor)));
    let path = if file.is_empty() {
        PathBuf::from(&document.path)
    } else {
        resolved(document, file)
    };
    if !root().join(&path).exists() {
        return Some(format!("{}: {target} is not there", document.path));
    }
    let anchor = anchor?;
    let named = all.iter().find(|one| Path::new(&one.path) == path);
    let Some(named) = named else {
        return Some(format!(
            "{}: {target} has an anchor and is no document",
            document.path
        ));
    };
    let there = named.anchors().iter().any(|one| one == anchor);
    (!there).then(|| format!("{}: {} has no heading for #{anchor}", document.path, named.path))
}

#[test]
fn every_link_and_anchor_leads_somewhere() {
    let all = documents();
    let mut seen = 0;
    let mut wrong = Vec::new();
    for document in &all {
        for target in document.links().filter(|target| !target.contains("://")) {
            seen += 1;
            wrong.extend(fault(document, target, &all));
        }
    }
    assert!(seen > 60, "only {seen} links were found");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A site that is made of `docs` alone has what its pages link to.
#[test]
fn the_book_is_closed_and_complete() {
    let all = documents();
    let pages = || all.iter().filter(|one| one.path.starts_with("docs/"));
    for page in pages() {
        let outside = page
            .links()
            .filter(|target| !target.contains("://") && !target.starts_with('#'))
            .find(|target| !resolved(page, target).starts_with("docs"));
        assert_eq!(outside, None, "{} links to what is not in the book", page.path);
    }
    let summary = pages().find(|page| page.path == "docs/SUMMARY.md").unwrap();
    let mut listed: Vec<PathBuf> = summary.links().map(|target| resolved(summary, target)).collect();
    let mut there: Vec<PathBuf> = pages()
        .filter(|page| page.path != summary.path)
        .map(|page| PathBuf::from(&page.path))
        .collect();
    listed.sort();
    there.sort();
    assert_eq!(listed, there, "docs/SUMMARY.md lists every page once");
    let book: toml::Table = std::fs::read_to_string(root().join("book.toml"))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(book["book"]["src"].as_str(), Some("docs"));
}

/// `src/model/table.rs`, `script/test`: a span that is a path of the project and nothing else.
fn is_path(span: &str) -> bool {
    const FOLDERS: [&str; 11] = [
        ".ci",
        "config",
        "crates",
        "deploy",
        "docs",
        "fuzz",
        "migrations",
        "script",
        "src",
        "target",
        "tests",
    ];
    let is_plain = |one: char| one.is_ascii_alphanumeric() || "._/-".contains(one);
    let first = span.split('/').next().unwrap();
    span.contains('/') && span.chars().all(is_plain) && FOLDERS.contains(&first)
}

#[test]
fn every_file_that_is_named_is_there() {
    let mut seen = 0;
    let mut missing = Vec::new();
    for document in documents() {
        // What a release had is history.
        if document.path == "CHANGELOG.md" {
            continue;
        }
        // A name in capitals stands for another one; what is built is not there before.
        let paths = document.spans().filter(|span| {
            is_path(span) && !span.contains("NAME") && !span.contains("NNNN") && !span.starts_with("target/")
        });
        for path in paths {
            seen += 1;
            // A member of the workspace names its own files from its own folder.
            let own = root().join(&document.path).with_file_name(path);
            if !root().join(path).exists() && !own.exists() {
                missing.push(format!("{} names {path}", document.path));
            }
        }
    }
    assert!(seen > 80, "only {seen} paths were found");
    assert!(missing.is_empty(), "{missing:#?}");
}

/// A hint that sends a person to a document sends them to one that is there.
#[test]
fn what_the_program_says_of_documents_is_true() {
    let mut seen = 0;
    for (path, text) in files("src", ".rs") {
        for part in text.split("docs/").skip(1) {
            let name: String = part
                .chars()
                .take_while(|one| one.is_ascii_alphanumeric() || "._-".contains(*one))
                .collect();
            let name = name.trim_end_matches('.');
            // PostgreSQL's and other people's documents have addresses of their own.
            if Path::new(name).extension().is_some_and(|kind| kind == "md") {
                seen += 1;
                assert!(
                    root().join("docs").join(name).is_file(),
                    "{path} names docs/{name}"
                );
            }
        }
    }
    assert!(seen >= 2, "only {seen} documents are named in src");
}
