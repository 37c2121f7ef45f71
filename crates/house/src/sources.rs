//! The source files of a checkout, and the crate, layer and module of a path.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// The code of each file of `src` and of `crates/*/src`, by its path from the root, without files that only tests
/// compile.
pub(crate) fn read(root: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    collect(root, &root.join("src"), &mut found)?;
    let crates = root.join("crates");
    if crates.is_dir() {
        for entry in std::fs::read_dir(crates)? {
            let source = entry?.path().join("src");
            if source.is_dir() {
                collect(root, &source, &mut found)?;
            }
        }
    }
    Ok(found)
}

fn collect(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if !path.ends_with("tests") {
                collect(root, &path, found)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "rs") && !path.ends_with("tests.rs") {
            let name = path.strip_prefix(root).unwrap_or(&path);
            found.insert(
                name.to_string_lossy().into_owned(),
                code(&std::fs::read_to_string(&path)?),
            );
        }
    }
    Ok(())
}

/// A file's own code: without its comments and without the tests at its end.
pub fn code(text: &str) -> String {
    let end = text.rfind("\n#[cfg(test)]\n").filter(|at| {
        let behind = text[at + 1..].lines();
        let mut behind = behind.skip_while(|line| line.starts_with("#[") || line.starts_with("    "));
        behind.next().is_some_and(|line| line.starts_with("mod tests {"))
    });
    let lines = text[..end.unwrap_or(text.len())].lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The layer of a file. In the service it is the folder below `src`: `src/postgres/pool.rs` and `src/postgres.rs` are in the
/// layer `postgres`. Each other crate is one layer: `crates/simulated-tenant`.
pub fn layer(path: &str) -> &str {
    match path.strip_prefix("src/") {
        Some(below) => below.split('/').next().unwrap_or(below).trim_end_matches(".rs"),
        None => path.split_once("/src/").map_or(path, |(folder, _)| folder),
    }
}

/// The module of a file, below its crate: `src/sync/walk/since.rs` is `src`, `sync`, `walk`, `since`. A binary is a
/// crate of its own: `crates/bench/src/bin/reference/walk.rs` is `crates/bench/src/bin/reference`, `walk`.
pub(crate) fn module(path: &str) -> Vec<String> {
    let path = path.trim_end_matches(".rs");
    let (root, below) = split(path);
    let mut parts = vec![root.to_owned()];
    parts.extend(
        below
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned),
    );
    let is_root = below == "lib" || (below == "main" && root.contains("/bin/"));
    if is_root || (parts.len() > 1 && parts.last().is_some_and(|last| last == "mod")) {
        parts.pop();
    }
    parts
}

/// Splits a path into the root of its crate and the rest.
fn split(path: &str) -> (&str, &str) {
    if let Some(at) = path.find("src/bin/") {
        let name = at + "src/bin/".len();
        let end = path[name..].find('/').map_or(path.len(), |end| name + end);
        return (&path[..end], path[end..].trim_start_matches('/'));
    }
    match path.find("src/") {
        Some(at) => (&path[..at + 3], &path[at + 4..]),
        None => ("", path),
    }
}
