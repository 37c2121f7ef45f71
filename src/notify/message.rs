//! The body of a message in each form. One message tells of everything that is due at the time.

use serde_json::{Value, json};

use super::words;
use crate::config::notify::MessageFormat;
use crate::model::notification::{Event, Notification};

/// The most entries of one message in the forms for people, which have a bound on their length.
const MOST_LINES: usize = 30;

/// What one message tells.
pub(super) enum Message<'a> {
    /// What is due.
    Due(&'a [Notification]),
    /// That messages arrive.
    Test,
}

impl Message<'_> {
    /// The body, as JSON. `tenant` is the address of the tenant, if it is known.
    pub(super) fn body(&self, format: MessageFormat, tenant: Option<&str>) -> Value {
        match format {
            MessageFormat::Json => self.plain(tenant),
            MessageFormat::Slack => json!({ "text": slack(&self.text(tenant)) }),
            MessageFormat::Teams => teams(&self.text(tenant)),
        }
    }

    fn plain(&self, tenant: Option<&str>) -> Value {
        let events: Vec<Value> = match self {
            Self::Due(due) => due.iter().map(event).collect(),
            Self::Test => vec![json!({ "event": "test", "summary": TEST })],
        };
        json!({
            "source": "blueconic-sync",
            "version": env!("CARGO_PKG_VERSION"),
            "tenant": tenant,
            "text": self.text(tenant),
            "events": events,
        })
    }

    /// The message for a person, one line for each entry.
    fn text(&self, tenant: Option<&str>) -> String {
        let mut lines = vec![match tenant {
            Some(tenant) => format!("blueconic-sync of {tenant}"),
            None => "blueconic-sync".to_owned(),
        }];
        match self {
            Self::Due(due) => {
                lines.extend(due.iter().take(MOST_LINES).map(line));
                if let Some(more) = due.len().checked_sub(MOST_LINES).filter(|more| *more > 0) {
                    lines.push(format!("… and {more} more: see `blueconic-sync status`"));
                }
            }
            Self::Test => lines.push(TEST.to_owned()),
        }
        lines.join("\n")
    }
}

const TEST: &str = "this is a test: messages arrive here";

fn line(notification: &Notification) -> String {
    let mark = match notification.event {
        Event::Began | Event::Lasts => "✗",
        Event::Ended => "✓",
    };
    let summary = words::summary(notification);
    match words::advice(notification) {
        Some(advice) => format!("{mark} {summary}. Do: {advice}"),
        None => format!("{mark} {summary}"),
    }
}

fn event(notification: &Notification) -> Value {
    let subject = &notification.subject;
    let named = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    json!({
        "event": notification.event.as_str(),
        "concern": subject.concern.as_str(),
        "resource": named(&subject.resource),
        "scope": named(&subject.scope),
        "amount": notification.amount,
        "began_at": notification.began_at,
        "messages_before": notification.sent,
        "summary": words::summary(notification),
        "advice": words::advice(notification),
        "runbook_url": words::runbook(subject.concern),
    })
}

/// Slack reads three characters as markup.
fn slack(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// A message with one adaptive card. A line break in its text needs two.
fn teams(text: &str) -> Value {
    json!({
        "type": "message",
        "attachments": [{
            "contentType": "application/vnd.microsoft.card.adaptive",
            "content": {
                "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
                "type": "AdaptiveCard",
                "version": "1.4",
                "body": [{ "type": "TextBlock", "text": text.replace('\n', "\n\n"), "wrap": true }],
            },
        }],
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::model::concern::{Concern, Subject};

    fn notification(concern: Concern, event: Event) -> Notification {
        Notification {
            subject: Subject {
                concern,
                resource: "profiles".to_owned(),
                scope: "full".to_owned(),
            },
            event,
            amount: 3,
            began_at: "2026-01-10T02:00:00Z".parse().unwrap(),
            now: "2026-01-10T05:00:00Z".parse().unwrap(),
            sent: 2,
            failed: 0,
            fence: 1,
        }
    }

    #[test]
    fn each_form_has_the_same_words() {
        let due = [
            notification(Concern::Failed, Event::Lasts),
            notification(Concern::Rejects, Event::Ended),
        ];
        let message = Message::Due(&due);
        let tenant = Some("https://a.example");
        let plain = message.body(MessageFormat::Json, tenant);
        assert_eq!(plain["events"][0]["event"], "lasts");
        assert_eq!(plain["events"][0]["concern"], "failed");
        assert_eq!(plain["events"][0]["messages_before"], 2);
        assert_eq!(plain["events"][1]["advice"], Value::Null);
        let text = plain["text"].as_str().unwrap();
        assert!(
            text.starts_with("blueconic-sync of https://a.example\n✗ profiles/full: still so after 3 h"),
            "{text}"
        );
        assert!(text.contains("\n✓ profiles/full: well again"), "{text}");
        assert_eq!(message.body(MessageFormat::Slack, tenant)["text"], text);
        let card = &message.body(MessageFormat::Teams, tenant)["attachments"][0]["content"];
        assert_eq!(card["type"], "AdaptiveCard");
        assert_eq!(card["body"][0]["text"], text.replace('\n', "\n\n"));
    }

    #[test]
    fn a_message_of_very_much_is_cut_for_people_and_whole_for_programs() {
        let due = vec![notification(Concern::Failed, Event::Began); 100];
        let plain = Message::Due(&due).body(MessageFormat::Json, None);
        assert_eq!(plain["events"].as_array().unwrap().len(), 100);
        let text = plain["text"].as_str().unwrap();
        assert_eq!(text.lines().count(), MOST_LINES + 2);
        assert!(
            text.ends_with("… and 70 more: see `blueconic-sync status`"),
            "{text}"
        );
    }

    #[test]
    fn markup_of_slack_is_escaped() {
        let body = Message::Test.body(MessageFormat::Slack, Some("https://<!channel>&"));
        assert!(
            body["text"]
                .as_str()
                .unwrap()
                .contains("https://&lt;!channel&gt;&amp;")
        );
    }
}
