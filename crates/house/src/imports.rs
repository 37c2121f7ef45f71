//! Finds the files of a crate that a file imports, from the paths in its text.

use std::collections::{BTreeMap, BTreeSet};

use crate::sources::module;

/// Files by their modules.
pub(crate) type Modules = BTreeMap<Vec<String>, String>;

/// The files that a file names, or whose items it names.
pub(crate) fn imports(path: &str, text: &str, modules: &Modules) -> BTreeSet<String> {
    let own = module(path);
    let mut found = BTreeSet::new();
    for named in paths(text) {
        let other = resolve(&own, &named, modules);
        found.extend(other.filter(|other| other != path));
    }
    found
}

/// All paths of a text: those of `use`, with their braces expanded, and those in the code.
fn paths(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut rest = String::new();
    let mut statement: Option<String> = None;
    for line in text.lines() {
        let begins = line.trim_start();
        let begins = begins.strip_prefix("pub ").unwrap_or(begins);
        if statement.is_none() && begins.starts_with("use ") {
            statement = Some(String::new());
        }
        let Some(so_far) = &mut statement else {
            rest.push_str(line);
            rest.push('\n');
            continue;
        };
        so_far.push_str(line.trim());
        so_far.push(' ');
        if line.trim_end().ends_with(';') {
            let tree = so_far.split_once("use ").map_or("", |(_, tree)| tree);
            found.extend(branches(tree.trim().trim_end_matches(';')));
            statement = None;
        }
    }
    let in_code = rest.split(|one: char| !(one.is_alphanumeric() || one == '_' || one == ':'));
    found.extend(in_code.filter(|word| word.contains("::")).map(str::to_owned));
    found
}

/// `a::{b, c::{d, self}}` as `a::b`, `a::c::d` and `a::c`.
fn branches(tree: &str) -> Vec<String> {
    let tree = tree.trim();
    let Some((before, inside)) = tree.split_once('{') else {
        let name = tree.split_once(" as ").map_or(tree, |(name, _)| name);
        return vec![name.trim().to_owned()];
    };
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let mut depth = 0;
    let parts = inside.split(|one: char| {
        match one {
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => {}
        }
        one == ',' && depth == 0
    });
    let parts = parts.filter(|part| !part.trim().is_empty());
    parts
        .flat_map(branches)
        .map(|branch| format!("{before}{branch}"))
        .collect()
}

/// The file that a path refers to; none if that is outside of the crate or the file itself. An item that no module of a crate
/// holds is in its root.
fn resolve(own: &[String], named: &str, modules: &Modules) -> Option<String> {
    let mut parts: Vec<&str> = named.split("::").collect();
    let mut base: Vec<String> = own.to_vec();
    match parts[0] {
        "crate" => {
            base.truncate(1);
            parts.remove(0);
        }
        "self" => {
            parts.remove(0);
        }
        "super" => {
            while parts.first() == Some(&"super") {
                base.pop();
                parts.remove(0);
            }
        }
        first => {
            let child: Vec<String> = own.iter().cloned().chain([first.to_owned()]).collect();
            modules.get(&child)?;
        }
    }
    let named = parts.into_iter().filter(|part| *part != "self");
    base.extend(named.map(str::to_owned));
    while !base.is_empty() {
        if let Some(path) = modules.get(&base) {
            return Some(path.clone());
        }
        base.pop();
    }
    None
}
