//! The pages at the end of a sign-in, without scripts or external resources.

use maud::{Markup, html};

use crate::model::fault::Fault;
use crate::model::sanitize;
use crate::web::html::{Text, document};

const STYLE: &str = "body{font:1.1rem/1.5 system-ui,sans-serif;max-width:34rem;margin:15vh auto;padding:0 1rem;overflow-wrap:anywhere}\
     h1{font-size:1.5rem}";

/// The page of a successful sign-in.
pub(super) fn done() -> String {
    page(
        "You are signed in",
        &html! {
            p { "Thank you. blueconic-sync may read from BlueConic now, and renews its access by itself." }
            p { "You can close this page." }
        },
    )
}

/// The page of a failed sign-in, with the reason.
pub(super) fn failed(fault: &Fault) -> String {
    page(
        "You are not signed in",
        &html! {
            p { "Sorry, that did not work: " (sentence(&fault.sentence())) }
            @if let Some(hint) = &fault.hint { p { "What to do: " (sentence(hint)) } }
            p { "Nothing was changed. The terminal says the same; you can close this page." }
        },
    )
}

/// The page of a sign-in that has ended already.
pub(super) fn over() -> String {
    page(
        "This sign-in is over",
        &html! {
            p {
                "Nobody is waiting for an answer any more. If you still want to sign in, run "
                code { "blueconic-sync login" } " again."
            }
        },
    )
}

fn page(title: &str, body: &Markup) -> String {
    let body = html! { h1 { (title) } (body) };
    document(&format!("{title} · blueconic-sync"), None, STYLE, &body)
}

/// The text on one line, as on the terminal, with a full stop unless it has one.
fn sentence(text: &str) -> Text<String> {
    let line = sanitize::line(text.trim_end_matches('.'));
    let end = if line.ends_with(['?', '!']) { "" } else { "." };
    Text(format!("{line}{end}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::fault::Kind;

    #[test]
    fn a_question_gets_no_full_stop() {
        let page = failed(&Fault::new(Kind::Final, "is it from an earlier try?").hint("try again."));
        assert!(
            page.contains("an earlier try?</p>") && page.contains("try again.</p>"),
            "{page}"
        );
    }

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
