//! What all pages have in common: the stylesheet, a link past the head, the links between pages, and the foot.

use maud::{Markup, html};

use super::html::document;
use super::severity::class;
use crate::model::severity::Severity;
use crate::model::{Time, format};

/// The stylesheet; the content security policy has its hash.
pub(super) const STYLE: &str = include_str!("page.css");

/// A page.
#[derive(Debug)]
pub(super) struct Frame<'a> {
    /// The title of the document.
    pub(super) title: &'a str,
    /// The way to the root of the pages: empty, or `../` for a page below it. Pages link by relative addresses, since a proxy may serve
    /// them below a path of its own.
    pub(super) root: &'static str,
    /// How soon the page reloads itself; none: it does not.
    pub(super) refresh_seconds: Option<u32>,
    /// The colour of the head.
    pub(super) severity: Severity,
    pub(super) now: Time,
}

impl Frame<'_> {
    /// The page with its head and its main part.
    pub(super) fn page(&self, head: &Markup, main: &Markup) -> String {
        let root = self.root;
        let body = html! {
            a class="skip" href="#main" { "To the content" }
            header class=(class(self.severity)) { (head) }
            main id="main" { (main) }
            footer {
                p { "As of " (format::moment(self.now)) " UTC · blueconic-sync " (env!("CARGO_PKG_VERSION")) }
                nav aria-label="Pages" {
                    ul {
                        li { a href=(home(root)) { "Status" } }
                        li { a href={ (root) "runs" } { "Runs" } }
                        li { a href={ (root) "status.json" } { "status.json" } }
                        li { a href={ (root) "metrics" } { "metrics" } }
                    }
                }
            }
        };
        document(self.title, self.refresh_seconds, STYLE, &body)
    }
}

/// The address of the status page.
pub(super) const fn home(root: &'static str) -> &'static str {
    if root.is_empty() { "./" } else { root }
}

/// A part of a page with a heading.
pub(super) fn section(id: &str, heading: &str, content: &Markup) -> Markup {
    html! {
        section class="panel" id=(id) aria-labelledby={ (id) "-heading" } {
            h2 id={ (id) "-heading" } { (heading) }
            (content)
        }
    }
}
