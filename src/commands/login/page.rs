//! What the browser shows at the end of a sign-in: plain, kind, without scripts or anything from elsewhere.

use crate::model::fault::Fault;
use crate::model::plain;

/// It worked.
pub(super) fn done() -> String {
    page(
        "You are signed in",
        "<p>Thank you. blueconic-sync may read from BlueConic now, and renews its access by itself.</p>\
         <p>You can close this page.</p>",
    )
}

/// It did not, and why.
pub(super) fn failed(fault: &Fault) -> String {
    let hint = fault.hint.as_deref().map(escaped);
    let hint = hint.map_or_else(String::new, |hint| format!("<p>What to do: {hint}.</p>"));
    page(
        "You are not signed in",
        &format!(
            "<p>Sorry, that did not work: {}.</p>{hint}\
             <p>Nothing was changed. The terminal says the same; you can close this page.</p>",
            escaped(&fault.sentence())
        ),
    )
}

/// Nobody waits for an answer any more.
pub(super) fn over() -> String {
    page(
        "This sign-in is over",
        "<p>Nobody is waiting for an answer any more. If you still want to sign in, run <code>blueconic-sync login</code> \
         again.</p>",
    )
}

fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>{title} · blueconic-sync</title>\
         <style>body{{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;overflow-wrap:anywhere}}\
         h1{{font-size:1.5rem}}</style></head><body><h1>{title}</h1>{body}</body></html>"
    )
}

fn escaped(text: &str) -> String {
    plain::line(text.trim_end_matches('.'))
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Kind;

    #[test]
    fn a_page_says_why_and_runs_nothing_of_it() {
        let fault = Fault::new(Kind::Final, "no access")
            .because("<script>alert(1)</script>")
            .hint("ask \"somebody\"");
        let page = failed(&fault);
        assert!(page.contains("no access: &lt;script&gt;alert(1)&lt;/script&gt;."));
        assert!(page.contains("ask &quot;somebody&quot;.") && !page.contains("<script"));
        assert!(done().contains("You are signed in") && over().contains("blueconic-sync login"));
    }
}
