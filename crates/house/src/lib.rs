//! The structure of the code in figures, from the sources of a checkout: imports between files, circles of files within a
//! layer, imports that run back up in them, and long files.

mod imports;
mod sources;
#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::path::Path;
use std::{fmt, io};

pub use sources::{code, layer};

use imports::imports;
use sources::{module, read};

/// A file with more lines of code than this is long.
pub const LONG: usize = 400;

/// The files of a crate and the imports between them.
pub struct House {
    code: BTreeMap<String, String>,
    imports: BTreeMap<String, BTreeSet<String>>,
}

impl House {
    /// Reads a folder: its `src` and the `src` of each of its `crates`.
    pub fn of(root: &Path) -> io::Result<Self> {
        let code = read(root)?;
        let modules = code.keys().map(|path| (module(path), path.clone())).collect();
        let imports = code
            .iter()
            .map(|(path, text)| (path.clone(), imports(path, text, &modules)))
            .collect();
        Ok(Self { code, imports })
    }

    fn layers(&self) -> BTreeSet<&str> {
        self.code.keys().map(|path| layer(path)).collect()
    }

    /// The files of the same layer that a file imports.
    fn neighbours<'a>(&'a self, path: &'a str) -> impl Iterator<Item = &'a str> {
        let imports = self.imports[path].iter().map(String::as_str);
        imports.filter(move |other| layer(other) == layer(path))
    }

    /// All files of its layer that a file reaches by one import or more.
    fn reached<'a>(&'a self, from: &'a str) -> BTreeSet<&'a str> {
        let mut found = BTreeSet::new();
        let mut waiting = vec![from];
        while let Some(path) = waiting.pop() {
            waiting.extend(self.neighbours(path).filter(|other| found.insert(*other)));
        }
        found
    }

    /// The circles of a layer: files that all reach one another, each circle sorted by name.
    pub fn circles(&self) -> Vec<Vec<&str>> {
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

    /// The number of imports from the nearest entry of its layer to a file. An entry is imported by another layer, or by
    /// no file.
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

    /// The imports within a circle that lead nearer to the entry of the layer.
    pub fn upward(&self) -> Vec<(&str, &str)> {
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

    /// The files with more lines of code than [`LONG`], without blank lines and comments, the longest first.
    pub fn long(&self) -> Vec<(&str, usize)> {
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
