//! The house in figures, read from the sources: which file imports which, circles of files within a layer, imports that run
//! back up in them, and long files.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};
use std::path::Path;

use super::sources::{files_of, root};

/// A file with more lines of code than this is long.
pub(crate) const LONG: usize = 400;

/// A file's own code: without its comments and without the tests at its end.
pub(crate) fn code(text: &str) -> String {
    let end = text.rfind("\n#[cfg(test)]\n").filter(|at| {
        let behind = text[at + 1..].lines();
        let mut behind = behind.skip_while(|line| line.starts_with("#[") || line.starts_with("    "));
        behind.next().is_some_and(|line| line.starts_with("mod tests {"))
    });
    let lines = text[..end.unwrap_or(text.len())].lines();
    let lines = lines.filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// `src/postgres/pool.rs` and `src/postgres.rs` are of the layer `postgres`.
pub(crate) fn layer(path: &str) -> &str {
    let below = path.strip_prefix("src/").unwrap();
    below.split('/').next().unwrap().trim_end_matches(".rs")
}

/// The files of a crate and their imports of one another.
pub(crate) struct House {
    code: BTreeMap<String, String>,
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    /// The house of this project.
    pub(crate) fn own() -> Self {
        Self::of(&root())
    }

    /// The house below another folder that has a `src`.
    pub(crate) fn of(root: &Path) -> Self {
        let sources = files_of(root, "src", ".rs").into_iter();
        let sources = sources.filter(|(path, _)| !path.ends_with("/tests.rs") && !path.contains("/tests/"));
        let code: BTreeMap<_, _> = sources.map(|(path, text)| (path, code(&text))).collect();
        let modules: BTreeMap<_, _> = code.keys().map(|path| (module(path), path.clone())).collect();
        let imports = code
            .iter()
            .map(|(path, text)| (path.clone(), imports(path, text, &modules)))
            .collect();
        Self { code, imports }
    }

    fn layers(&self) -> BTreeSet<&str> {
        self.code.keys().map(|path| layer(path)).collect()
    }

    /// The files of the same layer that a file imports.
    fn neighbours<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let imports = self.imports[path].iter().map(String::as_str);
        imports.filter(move |other| layer(other) == layer(path))
    }

    /// All that a file of a layer leads to within it, by one import or more.
    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(path) = waiting.pop() {
            waiting.extend(self.neighbours(path).filter(|other| found.insert(*other)));
        }
        found
    }

    /// The files of a layer that all lead to one another, each circle in order of its names.
    pub(crate) fn circles(&self) -> Vec<Vec<&str>> {
        let reached: BTreeMap<&str, BTreeSet<&str>> = self
            .code
            .keys()
            .map(|path| (path.as_str(), self.reached(path)))
            .collect();
        let of = |path: &str| -> Vec<&str> {
            let leads_back = reached[path]
                .iter()
                .filter(|other| reached[**other].contains(path));
            leads_back.copied().collect()
        };
        let circles: BTreeSet<Vec<&str>> = reached
            .keys()
            .map(|path| of(path))
            .filter(|circle| circle.len() > 1)
            .collect();
        circles.into_iter().collect()
    }

    /// How many imports lead to a file from the nearest one that its layer is entered by: from another layer, or imported by
    /// nobody.
    fn depths(&self) -> BTreeMap<&str, usize> {
        let is_entered = |path: &str| {
            let mut importers = self.imports.iter().filter(|(_, others)| others.contains(path));
            let mut any = false;
            importers.any(|(other, _)| {
                any = true;
                layer(other) != layer(path)
            }) || !any
        };
        let entered = self
            .code
            .keys()
            .map(String::as_str)
            .filter(|path| is_entered(path));
        let mut depths: BTreeMap<&str, usize> = entered.map(|path| (path, 0)).collect();
        let mut waiting: VecDeque<&str> = depths.keys().copied().collect();
        while let Some(path) = waiting.pop_front() {
            let next = depths[path] + 1;
            for other in self.neighbours(path) {
                if !depths.contains_key(other) {
                    depths.insert(other, next);
                    waiting.push_back(other);
                }
            }
        }
        depths
    }

    /// The imports within a circle that lead nearer to where its layer is entered.
    pub(crate) fn upward(&self) -> Vec<(&str, &str)> {
        let depths = self.depths();
        let depth = |path: &str| depths.get(path).copied().unwrap_or(usize::MAX);
        let mut found = Vec::new();
        for circle in self.circles() {
            for path in &circle {
                let others = self.neighbours(path).filter(|other| circle.contains(other));
                found.extend(
                    others
                        .filter(|other| depth(other) < depth(path))
                        .map(|other| (*path, other)),
                );
            }
        }
        found
    }

    /// The files with more lines of code than [`LONG`], blank lines and comments left out, the longest first.
    pub(crate) fn long(&self) -> Vec<(&str, usize)> {
        let lines = |text: &str| text.lines().filter(|line| !line.trim().is_empty()).count();
        let all = self.code.iter().map(|(path, text)| (path.as_str(), lines(text)));
        let mut long: Vec<_> = all.filter(|(_, lines)| *lines > LONG).collect();
        long.sort_by_key(|(_, lines)| std::cmp::Reverse(*lines));
        long
    }
}

impl fmt::Display for House {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (circles, upward, long) = (self.circles(), self.upward(), self.long());
        writeln!(out, "{} files in {} layers", self.code.len(), self.layers().len())?;
        for layer_name in self.layers() {
            let files = self.code.keys().filter(|path| layer(path) == layer_name).count();
            writeln!(out, "  {layer_name}: {files}")?;
        }
        writeln!(out, "{} circles of files within a layer", circles.len())?;
        for circle in &circles {
            writeln!(out, "  {} files: {}", circle.len(), circle.join(", "))?;
        }
        writeln!(out, "{} imports that run back up", upward.len())?;
        for (from, to) in &upward {
            writeln!(out, "  {from} -> {to}")?;
        }
        writeln!(out, "{} files over {LONG} lines of code", long.len())?;
        for (path, lines) in &long {
            writeln!(out, "  {path}: {lines}")?;
        }
        Ok(())
    }
}

/// `src/sync/walk/since.rs` is `sync::walk::since`.
fn module(path: &str) -> Vec<String> {
    let below = path.strip_prefix("src/").unwrap().trim_end_matches(".rs");
    let mut parts: Vec<String> = below.split('/').map(str::to_owned).collect();
    if parts.last().is_some_and(|last| last == "mod") || below == "lib" {
        parts.pop();
    }
    parts
}

/// The files whose names or items a file names.
fn imports(path: &str, text: &str, modules: &BTreeMap<Vec<String>, String>) -> BTreeSet<String> {
    let own = module(path);
    let mut found = BTreeSet::new();
    for named in paths(text) {
        let other = resolve(&own, &named, modules);
        found.extend(other.filter(|other| other != path));
    }
    found
}

/// All paths of a text: those of `use`, with their braces taken apart, and those in the code.
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
        if let Some(so_far) = &mut statement {
            let _ = write!(so_far, "{} ", line.trim());
            if line.trim_end().ends_with(';') {
                let (_, tree) = so_far.split_once("use ").unwrap();
                found.extend(branches(tree.trim().trim_end_matches(';')));
                statement = None;
            }
        } else {
            rest.push_str(line);
            rest.push('\n');
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
        let name = tree.split(" as ").next().unwrap();
        return vec![name.trim().to_owned()];
    };
    let inside = inside.rsplit_once('}').map_or(inside, |(inside, _)| inside);
    let (mut parts, mut depth) = (vec![String::new()], 0);
    for one in inside.chars() {
        match one {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                parts.push(String::new());
                continue;
            }
            _ => {}
        }
        parts.last_mut().unwrap().push(one);
    }
    let parts = parts.iter().filter(|part| !part.trim().is_empty());
    parts
        .flat_map(|part| branches(part))
        .map(|branch| format!("{before}{branch}"))
        .collect()
}

/// The file that a path leads to; none where it leads out of the crate or stays in its own file.
fn resolve(own: &[String], named: &str, modules: &BTreeMap<Vec<String>, String>) -> Option<String> {
    let mut parts: Vec<&str> = named.split("::").collect();
    let mut base: Vec<String> = own.to_vec();
    match parts[0] {
        "crate" => {
            base.clear();
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
    base.extend(
        parts
            .into_iter()
            .filter(|part| *part != "self")
            .map(str::to_owned),
    );
    while !base.is_empty() {
        if let Some(path) = modules.get(&base) {
            return Some(path.clone());
        }
        base.pop();
    }
    None
}
